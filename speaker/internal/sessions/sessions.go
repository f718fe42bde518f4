// Package sessions tells of the node's BGP sessions as they change: BGPSessionState objects, log lines and events. FRR pushes what happens; it is
// then asked for the whole state, so what was missed or came twice does no harm.
package sessions

import (
	"context"
	"iter"
	"log/slog"
	"maps"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// FRR tells and shows what the sessions do; *frr.Client is one.
type FRR interface {
	Show(ctx context.Context, daemon, command string) ([]byte, error)
	SessionEvents(ctx context.Context) iter.Seq2[frr.SessionEvent, error]
}

// Options are what a Reporter works with.
type Options struct {
	// Node is the name of the node, Namespace the one of the objects, Pod the name of the speaker's pod there: their owner, "" for none.
	Node, Namespace, Pod string
	FRR                  FRR
	// Client writes. It needs no limit of its own: what is written is limited by session.
	Client client.Client
	// Seen, unless nil, is called with what bgpd has shown, all its sessions sorted by key, each time it was asked. It must return at once and
	// change nothing.
	Seen func([]frrstate.Session)
	Log  *slog.Logger
}

// Reporter follows the sessions. Start logs and tells in events, Write writes the objects.
type Reporter struct {
	Options
	recorder record.EventRecorder
	// poke has an element when the sessions are to be looked at.
	poke chan struct{}

	mu     sync.Mutex
	wanted wanted
	feed   feed
	// views are what was seen last, seen is true once there was something to see, and news has an element when they changed.
	views []view
	seen  bool
	news  chan struct{}
	// later is true while there is to be a look after sentAfter, again when there is to be another one after that.
	later, again bool
}

// wanted is what FRR was told last.
type wanted struct {
	// known is false before that is known.
	known     bool
	neighbors map[frrstate.Key]*announce.Neighbor
	// groups are those of routers that open the session themselves, by peer group.
	groups map[frrstate.Key]*announce.Neighbor
}

// none tells that there are no sessions to ask for.
func (w *wanted) none() bool { return len(w.neighbors)+len(w.groups) == 0 }

// same tells whether the neighbors are the same as far as it shows in what is told of them.
func same(a, b map[frrstate.Key]*announce.Neighbor) bool {
	return maps.EqualFunc(a, b, func(x, y *announce.Neighbor) bool { return x.Name == y.Name && x.PeerASN == y.PeerASN })
}

// feed is what is known from events.
type feed struct {
	// following is true while events come, lost when bgpd is known to have ended.
	following, lost bool
	traces          map[string]frrstate.Trace
}

// New returns a Reporter that does nothing yet.
func New(o Options) *Reporter {
	return &Reporter{Options: o, poke: make(chan struct{}, 1), news: make(chan struct{}, 1), feed: feed{traces: map[string]frrstate.Trace{}}}
}

// Publish implements node.Publisher.
func (r *Reporter) Publish(report node.Report) {
	if !report.InForce {
		return
	}
	neighbors, groups := map[frrstate.Key]*announce.Neighbor{}, map[frrstate.Key]*announce.Neighbor{}
	for i := range report.Node.BGP.Routers {
		router := &report.Node.BGP.Routers[i]
		for j := range router.Neighbors {
			n, to := &router.Neighbors[j], neighbors
			if n.Listens() {
				to = groups
			}
			to[frrstate.KeyOf(router.VRF, n)] = n
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	// A peer's field that changed is compared with what FRR shows at the next look, which many of these changes bring about by themselves, and all later.
	changed := !r.wanted.known || !same(neighbors, r.wanted.neighbors) || !same(groups, r.wanted.groups)
	r.wanted = wanted{known: true, neighbors: neighbors, groups: groups}
	if changed {
		wake(r.poke)
	}
	if len(report.Applies) > 0 {
		r.lookLater()
	}
}

// lookLater has the sessions looked at once bgpd has sent what it was just given, of which it tells nothing. Among many changes that is every
// sentAfter: each look costs bgpd time that it has better use for then. mu is held.
func (r *Reporter) lookLater() {
	if r.later {
		r.again = true
		return
	}
	r.later = true
	time.AfterFunc(sentAfter, func() {
		wake(r.poke)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.later = false
		if r.again {
			r.again = false
			r.lookLater()
		}
	})
}

// sentAfter is how long bgpd takes at most to send what a configuration brought: a second for policies to take effect, and the sending.
const sentAfter = 1500 * time.Millisecond

// wake makes a channel with room for one element have one.
func wake(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// Start follows the sessions until ctx ends.
func (r *Reporter) Start(ctx context.Context) error {
	broadcaster := record.NewBroadcaster(record.WithContext(ctx))
	defer broadcaster.Shutdown()
	broadcaster.StartRecordingToSink(&sink{client: r.Client})
	r.recorder = broadcaster.NewRecorder(r.Client.Scheme(), source(r.Node))
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { r.follow(ctx); return nil })
	tasks.Go(func() error { r.look(ctx); return nil })
	return tasks.Wait()
}

// reconnectPause is between two attempts to follow FRR's events.
const reconnectPause = 250 * time.Millisecond

// follow takes in events until ctx ends.
func (r *Reporter) follow(ctx context.Context) {
	for ctx.Err() == nil {
		for event, err := range r.FRR.SessionEvents(ctx) {
			r.mu.Lock()
			r.feed.take(event, err)
			r.mu.Unlock()
			wake(r.poke)
		}
		select {
		case <-ctx.Done():
		case <-time.After(reconnectPause):
		}
	}
}

// take takes in an event, or that there are none for now.
func (f *feed) take(event frr.SessionEvent, err error) {
	if err != nil {
		f.following = false // the reloader may be starting; bgpd goes on
		return
	}
	switch event.Kind {
	case frr.SessionsFollowed:
		f.following, f.lost = true, false
		clear(f.traces) // the sessions begin anew, or what is known of them comes next
	case frr.SessionsLost:
		f.following, f.lost = false, true
	case frr.SessionChanged:
		if e := event.Event; e != nil {
			f.traces[e.Peer] = f.traces[e.Peer].After(*e)
		}
	case frr.SessionsMissed:
	}
}
