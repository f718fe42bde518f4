package sent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// bgpd is a daemon whose sessions and routes a test sets.
type bgpd struct {
	mu sync.Mutex
	// up is since when sessions are, by router; sent is what was sent to each.
	up   map[string]time.Time
	sent map[string][]string
	// group is the peer group of the routers that connected by themselves.
	group map[string]string
	// asked counts the commands: prefix, session.
	asked map[string]int
	err   error
	// takes is how long an answer takes, busy how long all took.
	takes, busy time.Duration
}

func (b *bgpd) Show(_ context.Context, _, command string) ([]byte, error) {
	var takes time.Duration
	b.set(func(b *bgpd) {
		takes = b.takes
		b.busy += takes
	})
	time.Sleep(takes) // not with the lock: in a bubble, waiting for it is not being idle
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil, b.err
	}
	words := strings.Fields(command)
	switch {
	case command == frrstate.CommandSessions:
		return nil, errors.New("whoever follows the sessions asks for them")
	case strings.Contains(command, "advertised-routes"):
		b.asked["session"]++
		routes := map[string]any{}
		for _, p := range b.sent[words[5]] {
			if strings.Contains(p, ":") == (words[2] == "ipv6") {
				routes[p] = map[string]any{}
			}
		}
		return json.Marshal(map[string]any{"advertisedRoutes": routes})
	default:
		b.asked["prefix"]++
		to := map[string]any{}
		for router, prefixes := range b.sent {
			for _, p := range prefixes {
				if p == words[4] {
					to[router] = map[string]any{}
				}
			}
		}
		return json.Marshal(map[string]any{"advertisedTo": to})
	}
}

func (b *bgpd) set(change func(*bgpd)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(b)
}

// shown tells the tracker of the sessions, unless bgpd does not answer.
func (b *bgpd) shown(tracker *Tracker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return
	}
	var sessions []frrstate.Session
	for router, since := range b.up {
		sessions = append(sessions, frrstate.Session{Key: frrstate.Key{Peer: router}, Group: b.group[router], State: "Established", UpSince: since.Truncate(time.Second)})
	}
	tracker.See(sessions)
}

// follow does so as who follows the sessions: every now and then until done is closed.
func (b *bgpd) follow(tracker *Tracker, done <-chan struct{}) {
	for {
		b.shown(tracker)
		select {
		case <-done:
			return
		case <-time.After(between):
		}
	}
}

// between is the time between two looks at sessions to which nothing happens.
const between = 15 * time.Second

func (b *bgpd) count(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[what]
}

var tag = announce.Tag{High: 1, Low: 2}

// reportOf is what is in force with two peers and the prefixes.
func reportOf(prefixes ...string) node.Report {
	r := announce.Router{ASN: 64500}
	for i, name := range []string{"a", "b"} {
		r.Neighbors = append(r.Neighbors, announce.Neighbor{
			Peer:     intent.Peer{Name: name, Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)})},
			Policies: []announce.Policy{{Tag: tag}},
		})
	}
	for _, p := range prefixes {
		r.Prefixes = append(r.Prefixes, announce.Prefix{Prefix: netip.MustParsePrefix(p), Tags: []announce.Tag{tag}})
	}
	return node.Report{InForce: true, Outcome: node.Applied, Noticed: time.Now(), Node: announce.Node{BGP: announce.BGP{Routers: []announce.Router{r}}}}
}

func run(t *testing.T, test func(t *testing.T, b *bgpd, tracker *Tracker)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &bgpd{asked: map[string]int{}, sent: map[string][]string{}, up: map[string]time.Time{"192.0.2.1": time.Now(), "192.0.2.2": time.Now()}}
		tracker := New(b, slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = tracker.Start(ctx) }()
		go b.follow(tracker, done)
		time.Sleep(time.Minute)
		test(t, b, tracker)
		cancel()
		<-done
	})
}

func expect(t *testing.T, tracker *Tracker, peer, address string, want State) {
	t.Helper()
	synctest.Wait()
	tracker.Lookup(func(of func(string, netip.Addr) Answer) {
		if got := of(peer, netip.MustParseAddr(address)); got.State != want || want == Sent && got.Since.IsZero() {
			t.Errorf("of %s and %s it is said %+v, want state %d", peer, address, got, want)
		}
	})
}

func TestGivenAPrefixWhenFRRSendsItToOneRouterThenThatIsKnownAtOnceAndOfTheOtherAfterAWhile(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		tracker.Publish(reportOf())
		time.Sleep(time.Minute)
		tracker.Publish(reportOf("198.51.100.1/32"))
		expect(t, tracker, "a", "198.51.100.1", Unknown)
		b.set(func(b *bgpd) { b.sent["192.0.2.1"] = []string{"198.51.100.1/32"} })
		time.Sleep(firstLook)
		expect(t, tracker, "a", "198.51.100.1", Sent)
		expect(t, tracker, "b", "198.51.100.1", Unknown)
		expect(t, tracker, "a", "198.51.100.2", Unknown)
		time.Sleep(searchLimit + lastPause)
		expect(t, tracker, "b", "198.51.100.1", NotSent)
		if n := b.count("session"); n != 0 {
			t.Errorf("asked for all routes %d times because of one prefix", n)
		}
		if n := b.count("prefix"); n > 25 {
			t.Errorf("asked %d times for a prefix that is not sent", n)
		}
		asked := b.count("prefix")
		time.Sleep(10 * time.Minute)
		// The same moment read again may come out a second later.
		b.set(func(b *bgpd) { b.up["192.0.2.1"] = b.up["192.0.2.1"].Add(time.Second) })
		time.Sleep(between)
		synctest.Wait()
		if n, all := b.count("prefix")-asked, b.count("session"); n != 0 || all != 0 {
			t.Errorf("asked %d times for a prefix and %d times for all routes at rest", n, all)
		}
		b.set(func(b *bgpd) { b.sent["192.0.2.2"] = []string{"198.51.100.1/32", "198.51.100.2/32"} })
		tracker.Publish(reportOf("198.51.100.1/32", "198.51.100.2/32")) // any change makes it look again
		time.Sleep(firstLook)
		expect(t, tracker, "b", "198.51.100.1", Sent)
		// One at once, one after the change that was noticed later; what took longer than the search is not among them.
		if got, want := histogram(t, tracker), uint64(2); got != want {
			t.Errorf("observed %d times, want %d", got, want)
		}
	})
}

func TestGivenManyPrefixesWhenASessionComesUpAndGoesThenItIsReadAsAWholeAndToldAfterAMoment(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		var all []string
		for i := range 1000 {
			all = append(all, fmt.Sprintf("10.0.%d.%d/32", i/250, i%250))
		}
		b.set(func(b *bgpd) { b.sent["192.0.2.1"], b.sent["192.0.2.2"] = all, all })
		tracker.Publish(reportOf(all...))
		time.Sleep(between)
		expect(t, tracker, "a", "10.0.3.249", Sent)
		expect(t, tracker, "b", "10.0.0.0", Sent)
		if prefix, session := b.count("prefix"), b.count("session"); prefix != 0 || session != 2 {
			t.Errorf("asked for %d prefixes and %d sessions, want two sessions", prefix, session)
		}
		if n := histogram(t, tracker); n != 0 {
			t.Errorf("%d routes that were there before the speaker are measured", n)
		}
		b.set(func(b *bgpd) { delete(b.up, "192.0.2.2"); delete(b.sent, "192.0.2.2") })
		b.shown(tracker)
		expect(t, tracker, "b", "10.0.0.0", Unknown)
		drain(tracker)
		time.Sleep(grace)
		expect(t, tracker, "b", "10.0.0.0", Down)
		if !drain(tracker) {
			t.Error("nobody was told that a session stays down")
		}
		expect(t, tracker, "a", "10.0.0.0", Sent)
		b.set(func(b *bgpd) { b.up["192.0.2.2"], b.sent["192.0.2.2"] = time.Now(), all })
		time.Sleep(between + time.Second)
		expect(t, tracker, "b", "10.0.3.249", Sent)
		if session := b.count("session"); session != 3 {
			t.Errorf("asked for %d sessions, want only the one that came back", session)
		}
		drain(tracker)
		time.Sleep(10 * time.Minute)
		if drain(tracker) {
			t.Error("news at rest")
		}
	})
}

func TestGivenABurstWhenBGPDIsSlowThenItIsAskedATwentiethOfTheTimeAndAllIsKnownSoonAfter(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		tracker.Publish(reportOf())
		time.Sleep(time.Minute)
		b.set(func(b *bgpd) { b.takes = 3 * time.Millisecond })
		var all []string
		begin := time.Now()
		for i := range 1000 { // a change each 30 ms, each of which a router was sent before the next
			all = append(all, fmt.Sprintf("10.0.%d.%d/32", i/250, i%250))
			tracker.Publish(reportOf(all...))
			time.Sleep(20 * time.Millisecond)
			b.set(func(b *bgpd) { b.sent["192.0.2.1"], b.sent["192.0.2.2"] = all, all })
			time.Sleep(10 * time.Millisecond)
		}
		took, busy := time.Since(begin), time.Duration(0)
		b.set(func(b *bgpd) { busy = b.busy })
		if busy == 0 || busy > took/20+100*time.Millisecond {
			t.Errorf("bgpd was asked for %v of %v, want about a twentieth", busy, took)
		}
		time.Sleep(2 * time.Second)
		expect(t, tracker, "a", "10.0.3.249", Sent)
		expect(t, tracker, "b", "10.0.0.0", Sent)
		if got, want := histogram(t, tracker), uint64(2*len(all)); got != want {
			t.Errorf("observed %d times, want %d", got, want)
		}
	})
}

func TestGivenAggregatesAndPeersThatGoWhenLookedUpThenAnAddressIsSentWithItsPrefix(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		b.set(func(b *bgpd) { b.sent["192.0.2.1"] = []string{"198.51.100.0/24", "2001:db8::1/128"} })
		r := reportOf("198.51.100.0/24", "2001:db8::1/128")
		tracker.Publish(r)
		time.Sleep(between)
		expect(t, tracker, "a", "198.51.100.77", Sent)
		expect(t, tracker, "a", "198.51.101.1", Unknown)
		expect(t, tracker, "a", "2001:db8::1", Unknown) // an IPv4 session does not carry it
		r.Node.BGP.Routers[0].Neighbors = r.Node.BGP.Routers[0].Neighbors[1:]
		tracker.Publish(r)
		expect(t, tracker, "a", "198.51.100.77", Unknown)
	})
}

func TestGivenAnFRRThatDoesNotAnswerWhenItComesBackThenNothingWasForgotten(t *testing.T) {
	run(t, func(t *testing.T, b *bgpd, tracker *Tracker) {
		t.Helper()
		b.set(func(b *bgpd) { b.sent["192.0.2.1"] = []string{"198.51.100.1/32"} })
		tracker.Publish(reportOf("198.51.100.1/32"))
		time.Sleep(time.Minute)
		expect(t, tracker, "a", "198.51.100.1", Sent)
		b.set(func(b *bgpd) { b.err = errors.New("no reloader") })
		time.Sleep(time.Minute)
		expect(t, tracker, "a", "198.51.100.1", Sent)
		b.set(func(b *bgpd) { b.err = nil; b.up["192.0.2.1"] = time.Now() })
		time.Sleep(between + time.Second)
		expect(t, tracker, "a", "198.51.100.1", Sent)
		full := reportOf("198.51.100.1/32")
		full.Applies = []node.Application{{How: "full"}}
		b.set(func(b *bgpd) { b.sent = map[string][]string{} })
		tracker.Publish(full)
		time.Sleep(searchLimit + lastPause)
		expect(t, tracker, "a", "198.51.100.1", NotSent)
	})
}

func drain(tracker *Tracker) bool {
	synctest.Wait()
	select {
	case <-tracker.News():
		return true
	default:
		return false
	}
}

// histogram returns how often something was observed.
func histogram(t *testing.T, tracker *Tracker) uint64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(tracker)
	families, err := registry.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("families %v, error %v", families, err)
	}
	return families[0].GetMetric()[0].GetHistogram().GetSampleCount()
}
