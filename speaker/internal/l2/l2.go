// Package l2 answers for the addresses of Services that this node has on its links: to ARP requests (RFC 826, RFC 5227) and neighbor solicitations
// (RFC 4861), and by announcements when it gains an address. It follows the links of the network namespace it is run in, and opens sockets on
// those that it answers on, for as long as they are up.
package l2

import (
	"context"
	"log/slog"
	"net/netip"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// Options are what a Responder works with.
type Options struct {
	// Excluded are the names of links that nothing is answered on, whatever an entry says (announcedInterfacesToExclude); SetExcluded changes them.
	Excluded []*regexp.Regexp
	// Interval is the time between announcements of an address after those that follow its gain, 0 for none (speakerGratuitousARPInterval).
	Interval time.Duration
	Log      *slog.Logger
}

const (
	// retryPause is between attempts at what the kernel refuses.
	retryPause = time.Second
	// readPause is the least time between two looks at the links: containers that start make dozens of changes, and none of their links matters.
	// The first change after it is looked at at once.
	readPause = 50 * time.Millisecond
)

// Responder answers for addresses.
type Responder struct {
	Options
	tally   *tally
	changed chan struct{}
	// work wakes Run, stale says that links may have changed since they were read.
	work  chan struct{}
	stale atomic.Bool
	// relinked says that usable has changed, busy is when Run began to work on a change, in nanoseconds of the Unix epoch, 0 while it waits.
	relinked chan struct{}
	busy     atomic.Int64
	tasks    sync.WaitGroup

	mu   sync.Mutex
	want []announce.L2Entry
	// links are nil before they were read; own are the hardware addresses of all, usable the names of those that addresses can be answered on.
	links    []link.Link
	own      map[wire.MAC]struct{}
	usable   []string
	stations map[place]*station
	// failures are the places where a station is wanted and could not be had.
	failures map[place]failure
}

// failure is why there is no station, and when to try again.
type failure struct {
	words string
	again time.Time
}

// New returns a Responder that answers for nothing yet.
func New(o Options) *Responder {
	return &Responder{
		Options: o, tally: newTally(), changed: make(chan struct{}, 1), work: make(chan struct{}, 1), relinked: make(chan struct{}, 1),
		stations: map[place]*station{}, failures: map[place]failure{},
	}
}

// Apply makes the entries those that are answered for; the same again changes nothing. When it returns nothing is sent for any other address any
// more. New addresses are announced from then on by themselves, in less than a millisecond on a link that answers already. The caller does not
// change the entries afterwards.
func (r *Responder) Apply(want []announce.L2Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if same(r.want, want) {
		return
	}
	r.want = slices.Clone(want)
	wanted := make(map[netip.Addr]struct{}, len(want))
	for _, e := range want {
		wanted[e.Address] = struct{}{}
	}
	r.tally.keep(wanted)
	plan := divide(r.want, r.links, r.Excluded)
	now := time.Now()
	for at, s := range r.stations {
		s.keep(plan[at], r.own, now)
	}
	signal(r.work) // for stations and groups that are missing
	signal(r.changed)
}

// Changed is signaled when Observed may have changed.
func (r *Responder) Changed() <-chan struct{} { return r.changed }

// Counters returns what was done.
func (r *Responder) Counters() Counters { return r.tally.read() }

// Run answers until ctx ends. It works in the network namespace of the calling thread. What goes wrong is logged and tried again.
func (r *Responder) Run(ctx context.Context) {
	defer r.end()
	for ctx.Err() == nil {
		if err := r.follow(ctx); err != nil && ctx.Err() == nil {
			r.Log.ErrorContext(ctx, "cannot follow the links of this node; trying again", "op", "links", "error", err)
			pause(ctx, retryPause)
		}
	}
}

// end stops all stations.
func (r *Responder) end() {
	r.mu.Lock()
	for at := range r.stations {
		r.remove(at)
	}
	r.mu.Unlock()
	r.tasks.Wait()
}

// follow keeps the stations as they should be until ctx ends or changes of links are not heard of any more.
func (r *Responder) follow(ctx context.Context) error {
	events, err := link.Subscribe()
	if err != nil {
		return err
	}
	listening, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	var listener sync.WaitGroup
	listener.Go(func() { ended <- events.Run(listening, r.look) })
	defer listener.Wait()
	defer stop()
	r.look()
	var last time.Time // when the links were read
	defer r.busy.Store(0)
	for {
		r.busy.Store(time.Now().UnixNano())
		wait := max(readPause-time.Since(last), 0)
		fresh := wait == 0 && r.stale.Swap(false)
		if fresh {
			last = time.Now()
			if err := r.read(); err != nil {
				return err
			}
		} else if !r.stale.Load() {
			wait = 0
		}
		retry := r.reconcile(ctx, fresh)
		if wait > 0 && (retry == 0 || wait < retry) {
			retry = wait
		}
		var again <-chan time.Time
		if retry > 0 {
			again = time.After(retry)
		}
		r.busy.Store(0)
		select {
		case <-ctx.Done():
			return nil
		case err := <-ended:
			return err
		case <-r.work:
		case <-again:
		}
	}
}

// look makes Run read the links.
func (r *Responder) look() {
	r.stale.Store(true)
	signal(r.work)
}

// read takes in the links as they are now.
func (r *Responder) read() error {
	n, err := link.ReadLinks()
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.links, r.own = n.Links, n.MACs()
	r.relink()
	return nil
}

// reconcile opens and closes stations, gives each its part of the want, and makes it a member of its groups. fresh says that links were read just
// now. It returns when to try again what failed, 0 for nothing.
func (r *Responder) reconcile(ctx context.Context, fresh bool) time.Duration {
	now := time.Now()
	plan, retry := r.staff(ctx, fresh, now)
	// Entering groups takes the kernel a while where there are many; only this goroutine adds and removes stations.
	for at, s := range r.stations {
		if at.ipv4 {
			continue
		}
		words := ""
		if err := s.groups.keep(plan[at]); err != nil {
			words, retry = err.Error(), timing.Soonest(retry, retryPause)
		}
		s.complain(ctx, words)
	}
	return retry
}

// staff opens and closes stations and gives each its part of the want, which it returns.
func (r *Responder) staff(ctx context.Context, fresh bool, now time.Time) (map[place][]netip.Addr, time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	plan := divide(r.want, r.links, r.Excluded)
	for at, s := range r.stations {
		l, _ := r.byIndex(at.index)
		err := s.failed()
		switch {
		case len(plan[at]) == 0 || s.face != faceOf(l, at.ipv4):
			r.remove(at)
		case err != nil && fresh: // the link is up nevertheless: it was switched off and on, if it was not only just opened
			r.remove(at)
			r.fail(ctx, at, s.name, err, s.opened.Add(retryPause))
		}
	}
	for at := range r.failures {
		if len(plan[at]) == 0 {
			delete(r.failures, at)
		}
	}
	var retry time.Duration
	for at, addresses := range plan {
		if r.stations[at] == nil {
			if left := r.failures[at].again.Sub(now); left > 0 {
				retry = timing.Soonest(retry, left)
				continue
			}
			if !r.add(ctx, at, addresses, now) {
				retry = timing.Soonest(retry, retryPause)
				continue
			}
		}
		r.stations[at].keep(addresses, r.own, now)
	}
	return plan, retry
}

func (r *Responder) byIndex(index int) (link.Link, bool) {
	return link.Network{Links: r.links}.ByIndex(index)
}

// add opens a station and tells whether that succeeded.
func (r *Responder) add(ctx context.Context, at place, addresses []netip.Addr, now time.Time) bool {
	l, _ := r.byIndex(at.index)
	s, err := open(at, faceOf(l, at.ipv4), addresses)
	if err != nil {
		r.fail(ctx, at, l.Name, err, now.Add(retryPause))
		return false
	}
	s.opened, s.log, s.tally, s.broke = now, r.Log, r.tally, r.look
	s.news = func() { signal(r.changed) }
	s.keeper = newKeeper(s.Host, s.name, newTurns(at.ipv4, r.Interval))
	delete(r.failures, at)
	r.stations[at] = s
	r.tasks.Go(func() { s.run(ctx) })
	signal(r.changed)
	return true
}

// remove stops a station; when it returns it sends nothing any more.
func (r *Responder) remove(at place) {
	s := r.stations[at]
	delete(r.stations, at)
	s.stop()
	r.tasks.Go(s.groups.close) // with many groups it takes the kernel a while, and Apply may be waiting
	signal(r.changed)
}

// fail notes why there is no station at a place.
func (r *Responder) fail(ctx context.Context, at place, name string, err error, again time.Time) {
	if r.failures[at].words != err.Error() {
		r.Log.WarnContext(ctx, "cannot answer on a link; trying again", "op", "listen", "interface", name, "ipv4", at.ipv4, "error", err)
		signal(r.changed)
	}
	r.failures[at] = failure{words: err.Error(), again: again}
}

// pause returns after d, or when ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
