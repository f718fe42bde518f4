// Package sent finds out what routers were really sent. After a change of what is announced, and of a session, it reads back what bgpd says it has
// sent (the adj-RIB-out): prefix by prefix where few are in question, else all of a session at once. At rest it asks for nothing: whoever follows the
// sessions tells it of them.
package sent

import (
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// FRR shows what bgpd did; *frr.Client is one.
type FRR interface {
	Show(ctx context.Context, daemon, command string) ([]byte, error)
}

const (
	// firstLook is when to look first for what bgpd is about to send: it collects that for 50 ms (coalesce-time).
	firstLook = 50 * time.Millisecond
	// firstPause is between the first two looks, doubled from one to the next up to lastPause, for at most searchLimit: bgpd takes in changes of
	// policies once a second.
	firstPause  = 10 * time.Millisecond
	lastPause   = time.Second
	searchLimit = 10 * time.Second
	// grace is how long a session may be down before that is said of every Service: it may come back, and there may be many Services.
	grace = 10 * time.Second
	// few is how many prefixes are asked for one by one.
	few = 32
	// showLimit bounds the time that FRR has for one answer.
	showLimit = 5 * time.Second
)

// Tracker knows what the routers of this node were sent. Publish, See and Lookup may be called at any time; Start does the work.
type Tracker struct {
	frr   FRR
	log   *slog.Logger
	delay prometheus.Histogram
	// wake has an element when there is something to look at, news when what Lookup says may have changed.
	wake, news chan struct{}

	mu       sync.Mutex
	sessions map[frrstate.Key]*session
	// groups are the ranges of routers that open the session themselves, by peer group. Their sessions are among the others while they are up.
	groups map[frrstate.Key]group
	// vacant is since when no router of a group is connected.
	vacant map[frrstate.Key]*vacancy
	// prefixes are those of the last report that was in force, lengths what lengths they have; begun is true after the first.
	prefixes []announce.Prefix
	lengths  []int
	begun    bool
	// fresh are the prefixes that came since they were last all found, with the time that their cause was noticed.
	fresh map[netip.Prefix]time.Time
	// until is how long to look for what is missing, zero when nothing is; again is when to look next, pause how long to wait after that. Before
	// rested there is no look: among many changes, bgpd has more to do than to answer.
	until, again, rested time.Time
	pause                time.Duration
	// failing is true while FRR does not answer.
	failing bool
}

// New returns a Tracker that knows nothing yet.
func New(frr FRR, log *slog.Logger) *Tracker {
	return &Tracker{
		frr: frr, log: log, wake: make(chan struct{}, 1), news: make(chan struct{}, 1),
		sessions: map[frrstate.Key]*session{}, groups: map[frrstate.Key]group{}, vacant: map[frrstate.Key]*vacancy{}, fresh: map[netip.Prefix]time.Time{},
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "metallb_bgp_endpoint_to_peer_seconds",
			Help: "Time from the moment that this node noticed what makes an address to be announced, such as an endpoint that is ready, until bgpd had " +
				"sent its route to a peer whose session was up; one observation per route and peer.",
			// From what FRR needs for one prefix to a burst of thousands, and a change of policy.
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 12),
		}),
	}
}

// Describe implements prometheus.Collector.
func (t *Tracker) Describe(ch chan<- *prometheus.Desc) { t.delay.Describe(ch) }

// Collect implements prometheus.Collector.
func (t *Tracker) Collect(ch chan<- prometheus.Metric) { t.delay.Collect(ch) }

// News has an element when what Lookup says may have changed.
func (t *Tracker) News() <-chan struct{} { return t.news }

// signal makes a channel with room for one element have one.
func signal(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Publish implements node.Publisher: what is in force from now on is what routers are to be sent.
func (t *Tracker) Publish(r node.Report) {
	if !r.InForce {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	doubt := slices.ContainsFunc(r.Applies, func(a node.Application) bool { return a.How != "delta" })
	if t.take(r.Node.BGP, r.Noticed, doubt) {
		t.search(time.Now(), firstLook)
	}
	signal(t.wake)
}

// take makes what a node is to announce what is wanted, and returns whether there is something to look for. With doubt, everything is.
func (t *Tracker) take(bgp announce.BGP, noticed time.Time, doubt bool) (missing bool) {
	var all []announce.Prefix
	present := map[frrstate.Key]bool{}
	t.groups = map[frrstate.Key]group{}
	for i := range bgp.Routers {
		router := &bgp.Routers[i]
		all = append(all, router.Prefixes...)
		for j := range router.Neighbors {
			n := &router.Neighbors[j]
			key := frrstate.KeyOf(router.VRF, n)
			if n.Listens() {
				t.groups[key] = group{neighbor: n, prefixes: router.Prefixes}
				continue
			}
			present[key] = true
			s := t.sessions[key]
			if s == nil {
				s = newSession(key, n)
				t.sessions[key] = s
			}
			if doubt {
				s.forget()
			}
			s.want(n, router.Prefixes)
			missing = missing || s.missing > 0
		}
	}
	missing = t.takeDynamic(doubt) || missing
	maps.DeleteFunc(t.sessions, func(key frrstate.Key, s *session) bool { return s.group == "" && !present[key] })
	if t.begun && !noticed.IsZero() {
		t.note(all, noticed)
	}
	t.prefixes, t.lengths, t.begun = all, lengths(all), true
	return missing
}

// note remembers when what made new prefixes be announced was noticed.
func (t *Tracker) note(now []announce.Prefix, noticed time.Time) {
	known := make(map[netip.Prefix]bool, len(t.prefixes))
	for _, p := range t.prefixes {
		known[p.Prefix] = true
	}
	for _, p := range now {
		if !known[p.Prefix] {
			t.fresh[p.Prefix] = noticed
		}
	}
}

// lengths returns the lengths that prefixes have, the longest first.
func lengths(prefixes []announce.Prefix) []int {
	var have [129]bool
	for _, p := range prefixes {
		have[p.Prefix.Bits()] = true
	}
	var list []int
	for bits := len(have) - 1; bits >= 0; bits-- {
		if have[bits] {
			list = append(list, bits)
		}
	}
	return list
}

// search begins to look for what is missing, first after a time that it may take bgpd to send it, or goes on: a look that is due sooner stays so.
func (t *Tracker) search(now time.Time, first time.Duration) {
	next := latest(now.Add(first), t.rested)
	if !t.until.IsZero() {
		next = earliest(next, t.again)
	}
	t.until, t.again, t.pause = now.Add(searchLimit), next, firstPause
}

// Start looks until ctx ends.
func (t *Tracker) Start(ctx context.Context) error {
	for {
		var due <-chan time.Time
		if next := t.step(ctx); !next.IsZero() {
			due = time.After(time.Until(next))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.wake:
		case <-due:
		}
	}
}

// step does what is due and returns when to do so again, zero for never.
func (t *Tracker) step(ctx context.Context) time.Time {
	t.mu.Lock()
	due := !t.until.IsZero() && !time.Now().Before(t.again)
	t.mu.Unlock()
	if due {
		t.lookForRoutes(ctx)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	next := t.mourn(time.Now())
	if !t.until.IsZero() {
		next = earliest(next, t.again)
	}
	return next
}

// State is what is known of a router and an address.
type State int

// The states.
const (
	// Unknown: it is not known (yet); what was said before may still be true.
	Unknown State = iota
	// Sent: the router was sent a route for the address.
	Sent
	// Down: the session is not Established, for longer than a moment.
	Down
	// NotSent: the session is Established, and bgpd does not send the route.
	NotSent
)

// Answer says whether a router was sent a route for an address.
type Answer struct {
	State State
	// Router is FRR's name of the neighbor: its address, or the interface of an unnumbered session. Of a range it is the addresses of the routers
	// that the State is about, separated by commas.
	Router string
	// Range tells that the BGPPeer is a range, of which any number of routers may be connected.
	Range bool
	// Since is when the session came up, the last one of a range; zero when it is not.
	Since time.Time
}

// Lookup calls f with a function that tells what the router of a BGPPeer was sent. That function must not be used afterwards.
func (t *Tracker) Lookup(f func(of func(peer string, address netip.Addr) Answer)) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	byPeer := make(map[string][]*session, len(t.sessions))
	for _, s := range t.sessions {
		byPeer[s.peer] = append(byPeer[s.peer], s)
	}
	ranges := make(map[string]frrstate.Key, len(t.groups))
	for key, g := range t.groups {
		ranges[g.neighbor.Name] = key
	}
	f(func(peer string, address netip.Addr) Answer {
		if key, ok := ranges[peer]; ok {
			return t.ofRange(key, byPeer[peer], address, now)
		}
		if len(byPeer[peer]) == 0 {
			return Answer{}
		}
		return t.of(byPeer[peer][0], address, now)
	})
}

// of says whether the router of one session was sent a route for an address.
func (t *Tracker) of(s *session, address netip.Addr, now time.Time) Answer {
	if !s.known {
		return Answer{}
	}
	a := Answer{Router: s.key.Peer}
	if !s.up {
		if now.Sub(s.downs) >= grace {
			a.State = Down
		}
		return a
	}
	a.Since = s.since
	switch wanted, sent := s.covers(address, t.lengths); {
	case sent:
		a.State = Sent
	case wanted && t.until.IsZero():
		a.State = NotSent
	}
	return a
}
