package reload

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

const (
	// monitorLimit bounds the time that bgpd has to hand over its log.
	monitorLimit = 5 * time.Second
	// monitorPause is between two attempts to get it.
	monitorPause = 100 * time.Millisecond
	// maxRemembered is how many events are kept for who comes later.
	maxRemembered = 4096
)

// sessionFeed hands what bgpd logs of its sessions to everybody who follows them.
type sessionFeed struct {
	fanout fanout[frr.SessionEvent]

	mu sync.Mutex
	// up is the last event that told whether bgpd can be followed, and last the last one of each kind of each neighbor since then: whoever
	// begins to follow gets them first, and so learns why a session that is down is.
	up   frr.SessionEvent
	last map[eventKey]frr.SessionEvent
}

type eventKey struct {
	peer string
	kind frrstate.EventKind
}

// run follows bgpd's log until the context ends. bgpd may come and go.
func (f *sessionFeed) run(ctx context.Context, o Options) {
	told := ""
	for ctx.Err() == nil {
		err := f.follow(ctx, o.RunDir)
		if refused, ok := errors.AsType[*vty.Refused](err); ok && told != refused.Error() {
			told = refused.Error()
			o.Log.Warn("bgpd does not tell what happens to its sessions; they are looked at from time to time instead", "event", "sessions", "error", told)
		}
		select {
		case <-ctx.Done():
		case <-time.After(monitorPause):
		}
	}
}

// follow hands on events until bgpd ends.
func (f *sessionFeed) follow(ctx context.Context, runDir string) error {
	opening, cancel := context.WithTimeout(ctx, monitorLimit)
	defer cancel()
	monitor, err := vty.OpenMonitor(opening, runDir, "bgpd", frrstate.CommandsEvents()...)
	if err != nil {
		return err
	}
	defer monitor.Close()
	f.tell(frr.SessionEvent{Kind: frr.SessionsFollowed})
	defer f.tell(frr.SessionEvent{Kind: frr.SessionsLost})
	for {
		message, err := monitor.Next(ctx)
		if err != nil {
			return err
		}
		if message.Lost > 0 {
			f.tell(frr.SessionEvent{Kind: frr.SessionsMissed})
		}
		if event, ok := frrstate.ParseEvent(message.Text); ok {
			f.tell(frr.SessionEvent{Kind: frr.SessionChanged, Event: &event})
		}
	}
}

func (f *sessionFeed) tell(e frr.SessionEvent) {
	e.Time = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case e.Event != nil:
		if f.last == nil || len(f.last) >= maxRemembered {
			f.last = map[eventKey]frr.SessionEvent{}
		}
		f.last[eventKey{e.Event.Peer, e.Event.Kind}] = e
	case e.Kind != frr.SessionsMissed:
		f.up, f.last = e, nil
	}
	f.fanout.publish(e)
}

// subscribe returns what is known and yields what happens from now on.
func (f *sessionFeed) subscribe(ctx context.Context) ([]frr.SessionEvent, <-chan frr.SessionEvent) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var known []frr.SessionEvent
	if f.up.Kind != "" {
		known = append(known, f.up)
	}
	for _, e := range f.last {
		known = append(known, e)
	}
	slices.SortStableFunc(known, func(a, b frr.SessionEvent) int { return a.Time.Compare(b.Time) })
	return known, f.fanout.subscribe(ctx)
}
