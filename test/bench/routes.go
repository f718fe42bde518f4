package bench

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// wakeup wakes whoever waits for something to change.
type wakeup struct{ changed chan struct{} }

func newWakeup() wakeup { return wakeup{make(chan struct{})} }

// wake is called with the lock held that guards what changed.
func (w *wakeup) wake() {
	close(w.changed)
	w.changed = make(chan struct{})
}

// Withdrawal is a route that went away.
type Withdrawal struct {
	Prefix netip.Prefix
	Time   time.Time
}

// Routes are the BGP routes in a machine's kernel, as its events tell of them.
type Routes struct {
	mu    sync.Mutex
	since map[netip.Prefix]time.Time
	// withdrawn are all routes that ever went away, in order.
	withdrawn []Withdrawal
	err       error
	wakeup    wakeup
}

// FollowRoutes follows the BGP routes of a machine, which has none yet, until ctx ends.
func FollowRoutes(ctx context.Context, l *lab.Lab, machine string) (*Routes, error) {
	events, err := l.WatchRoutes(ctx, machine)
	if err != nil {
		return nil, err
	}
	r := &Routes{since: map[netip.Prefix]time.Time{}, wakeup: newWakeup()}
	go func() {
		for event, err := range events {
			r.take(event, err)
		}
	}()
	return r, nil
}

func (r *Routes) take(event netns.RouteEvent, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, present := r.since[event.Route.Prefix]
	switch {
	case err != nil:
		r.err = err
	case event.Route.Protocol != netns.BGP:
		return
	case event.Deleted && present:
		delete(r.since, event.Route.Prefix)
		r.withdrawn = append(r.withdrawn, Withdrawal{event.Route.Prefix, event.Time})
	case !event.Deleted && !present:
		r.since[event.Route.Prefix] = event.Time
	}
	r.wakeup.wake()
}

// until waits until holds does, which is called with the lock held.
func (r *Routes) until(ctx context.Context, what string, holds func() bool) error {
	for {
		r.mu.Lock()
		done, err, changed := holds(), r.err, r.wakeup.changed
		have := len(r.since)
		r.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, with %d routes at the router: %w", what, have, context.Cause(ctx))
		}
	}
}

// Appeared waits until there is a route to the prefix and returns when it came.
func (r *Routes) Appeared(ctx context.Context, prefix netip.Prefix) (at time.Time, err error) {
	err = r.until(ctx, fmt.Sprintf("the route to %s", prefix), func() bool {
		var ok bool
		at, ok = r.since[prefix]
		return ok
	})
	return at, err
}

// Withdrawn waits until there is no route to the prefix and returns when the last one went.
func (r *Routes) Withdrawn(ctx context.Context, prefix netip.Prefix) (at time.Time, err error) {
	err = r.until(ctx, fmt.Sprintf("the end of the route to %s", prefix), func() bool {
		if _, present := r.since[prefix]; present {
			return false
		}
		for _, w := range slices.Backward(r.withdrawn) {
			if w.Prefix == prefix {
				at = w.Time
				return true
			}
		}
		return false
	})
	return at, err
}

// Count waits until there are exactly n routes.
func (r *Routes) Count(ctx context.Context, n int) error {
	return r.until(ctx, fmt.Sprintf("%d routes", n), func() bool { return len(r.since) == n })
}

// Times returns when each present route came.
func (r *Routes) Times() map[netip.Prefix]time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.since)
}

// Withdrawals returns what went away after the first n withdrawals, of which there were that many.
func (r *Routes) Withdrawals(n int) []Withdrawal {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Withdrawal(nil), r.withdrawn[n:]...)
}

// WithdrawalCount is how many routes ever went away.
func (r *Routes) WithdrawalCount() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.withdrawn)
}
