package sessions

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// rack is a range of routers that connect by themselves.
func rack() announce.Neighbor {
	return announce.Neighbor{Peer: intent.Peer{Name: "rack", MyASN: 64512, PeerASN: 64513, ListenRange: netip.MustParsePrefix("203.0.113.0/24"), Port: 179}}
}

// rackFRR is an FRR that routers of the rack are connected to; since tells when each came.
type rackFRR struct {
	mu     sync.Mutex
	routed map[string]string // state by address
	since  map[string]int64
	err    error
}

func (f *rackFRR) Show(_ context.Context, _, _ string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	var entries []string
	for router, state := range f.routed {
		entries = append(entries, fmt.Sprintf(`%q:{"bgpState":%q,"connectionsEstablished":1,"bgpTimerUpEstablishedEpoch":%d,"peerGroup":"listen:rack","peerSubnetRangeGroup":"203.0.113.0/24",
			"addressFamilyInfo":{"ipv4Unicast":{}},"neighborCapabilities":{"multiprotocolExtensions":{"ipv4Unicast":{"advertisedAndReceived":true}}}}`, router, state, f.since[router]))
	}
	return fmt.Appendf(nil, `{"default":{%s}}`, strings.Join(entries, ",")), f.err
}

func (f *rackFRR) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// showOnly is an FRR that tells of no events.
type showOnly struct{ *rackFRR }

func (showOnly) SessionEvents(context.Context) iter.Seq2[frr.SessionEvent, error] {
	return func(func(frr.SessionEvent, error) bool) {}
}

// noStatus is that of an object that says nothing yet.
var noStatus v1beta1.BGPSessionStateStatus

// told are the events of the log, each with its peer and reason.
func (w *world) told() []string {
	var out []string
	for line := range strings.Lines(w.log.String()) {
		word := func(key string) string {
			_, rest, ok := strings.Cut(line, " "+key+"=")
			if !ok {
				return ""
			}
			value, _, _ := strings.Cut(rest, " ")
			return value
		}
		out = append(out, strings.TrimSpace(word("event")+" "+word("peer")+" "+word("name")+" "+word("reason")))
	}
	return out
}

func TestGivenARangeWhenRoutersConnectAndGoThenEachIsSeenByItsAddressAndToldOf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		fake := &rackFRR{routed: map[string]string{}, since: map[string]int64{}}
		w.FRR = showOnly{fake}
		w.Publish(node.Report{InForce: true, Node: announce.Node{BGP: announce.BGP{Routers: []announce.Router{{ASN: 64512, Neighbors: []announce.Neighbor{rack()}}}}}})
		teller := newTeller(w.Reporter)
		look := func(keys ...string) {
			t.Helper()
			views, err := w.read(t.Context())
			if err != nil {
				views = w.blind(err)
			}
			w.show(views)
			teller.tell(t.Context(), views)
			shown, _ := w.shown()
			var got []string
			for _, v := range shown {
				got = append(got, v.key.Peer)
				if v.neighbor.Name != "rack" || v.status("n1", &noStatus).BGPPeer != "rack" {
					t.Errorf("session with %s is of %q", v.key.Peer, v.neighbor.Name)
				}
			}
			if diff := cmp.Diff(keys, got); diff != "" {
				t.Errorf("sessions (-want +got):\n%s", diff)
			}
		}
		look()
		fake.set(func() { fake.routed["203.0.113.9"], fake.since["203.0.113.9"] = "Established", 1000 })
		fake.set(func() { fake.routed["203.0.113.7"] = "OpenSent" }) // FRR forgets it at once where nothing comes of it
		look("203.0.113.9")
		fake.set(func() { fake.routed["203.0.113.7"], fake.since["203.0.113.7"] = "Established", 1000 })
		look("203.0.113.7", "203.0.113.9")
		fake.set(func() { fake.since["203.0.113.7"] = 1100 }) // away and back between two looks
		look("203.0.113.7", "203.0.113.9")
		w.feed.traces["203.0.113.9"] = frrstate.Trace{Cause: frrstate.Cause{Notification: &frrstate.Notification{Code: 6, Subcode: 2, Text: "Cease/Administrative Shutdown"}}}
		fake.set(func() { delete(fake.routed, "203.0.113.9") })
		look("203.0.113.7")
		look("203.0.113.7")
		fake.set(func() { fake.err = errors.New("no answer") })
		look("203.0.113.7")
		fake.set(func() { fake.err = nil })
		look("203.0.113.7")
		fake.set(func() { delete(fake.routed, "203.0.113.7") })
		look()
		// One whose AS is another tries and is refused: it has no session, but it is told of, once.
		w.feed.traces["203.0.113.8"] = frrstate.Trace{
			Open:  &frrstate.Event{AS: 65000},
			Cause: frrstate.Cause{Notification: &frrstate.Notification{Sent: true, Code: 2, Subcode: 2, Text: "OPEN Message Error/Bad Peer AS"}},
		}
		w.feed.traces["198.51.100.1"] = w.feed.traces["203.0.113.8"] // of no range
		look()
		look()
		want := []string{
			"sessionUp 203.0.113.9:179 rack", "sessionUp 203.0.113.7:179 rack", "sessionUp 203.0.113.7:179 rack", "sessionDown 203.0.113.9:179 rack PeerShutDown",
			"sessionDown 203.0.113.7:179 rack FRRUnavailable", "sessionUp 203.0.113.7:179 rack", "sessionDown 203.0.113.7:179 rack ConnectionClosed",
			"sessionFailing 203.0.113.8:179 rack PeerASMismatch",
		}
		if diff := cmp.Diff(want, w.told()); diff != "" {
			t.Errorf("told (-want +got):\n%s\n%s", diff, w.log)
		}
	})
}

func TestGivenARouterOfARangeThatFlapsWhenItIsToldThenLinesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := rack()
		key := frrstate.Key{Peer: "203.0.113.9"}
		w.wanted.groups = map[frrstate.Key]*announce.Neighbor{frrstate.KeyOf("", &n): &n}
		teller := newTeller(w.Reporter)
		for i := range 600 { // for a minute
			session := up(1, 1)
			session.Key, session.UpSince = key, time.Unix(int64(1000+60*i), 0)
			teller.tell(t.Context(), []view{{key: key, neighbor: &n, at: time.Now(), session: session}})
			time.Sleep(50 * time.Millisecond)
			teller.tell(t.Context(), nil)
			time.Sleep(50 * time.Millisecond)
		}
		if lines, allowed := strings.Count(w.log.String(), "\n"), toldBurst+int(time.Minute/toldEvery); lines > allowed || lines == 0 {
			t.Errorf("%d lines in a minute, want at most %d", lines, allowed)
		}
		for range 2 * toldBurst {
			time.Sleep(toldEvery)
			teller.tell(t.Context(), nil)
		}
		if told := w.told(); !strings.HasPrefix(told[len(told)-1], "sessionDown ") {
			t.Errorf("told last: %s, want that it is gone", told[len(told)-1])
		}
		if len(teller.said) > 0 {
			t.Errorf("%d routers that are long gone are remembered", len(teller.said))
		}
	})
}

func TestGivenARangeThatIsGoneWhenItsRoutersGoThenNothingIsToldOfThem(t *testing.T) {
	w := newWorld(t)
	n := rack()
	w.wanted.groups = map[frrstate.Key]*announce.Neighbor{frrstate.KeyOf("", &n): &n}
	teller := newTeller(w.Reporter)
	session := up(1, 1)
	session.Key = frrstate.Key{Peer: "203.0.113.9"}
	teller.tell(t.Context(), []view{{key: session.Key, neighbor: &n, at: time.Now(), session: session}})
	w.Publish(node.Report{InForce: true})
	teller.tell(t.Context(), nil)
	if diff := cmp.Diff([]string{"sessionUp 203.0.113.9:179 rack"}, w.told()); diff != "" || len(teller.said) > 0 {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
