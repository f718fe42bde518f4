package reload_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// pair is a node that announces two prefixes to a router beside it.
func pair() speaker {
	return speaker{
		neighbors: []string{"192.0.2.100", "2001:db8::100"},
		ads:       []advertisement{{tag: 1, communities: "65535:65282"}, {tag: 2, communities: "64512:7"}},
		prefixes:  map[string][]int{"10.1.0.1/32": {1}, "10.1.0.2/32": {1, 2}, "2001:db8:1::1/128": {2}},
	}
}

func startPair(t *testing.T, release frrtest.Release, s speaker) (*node, *frrtest.Instance) {
	t.Helper()
	n := startNode(t, release)
	router := startRouter(t, n)
	n.apply(t, s.conf())
	for _, neighbor := range s.neighbors {
		name, _, _ := strings.Cut(neighbor, "/")
		n.AwaitSession(t, name)
	}
	for prefix, tags := range s.prefixes {
		if len(tags) > 0 {
			awaitRoute(t, router, prefix, func(frrtest.Route) error { return nil })
		}
	}
	return n, router
}

// awaitRoute waits until a router has a route that check finds right.
func awaitRoute(tb testing.TB, router *frrtest.Instance, prefix string, check func(frrtest.Route) error) {
	tb.Helper()
	frrtest.Eventually(tb, frrtest.Patience, func() error {
		route, ok := router.Route(tb, netip.MustParsePrefix(prefix))
		if !ok {
			return fmt.Errorf("no route for %s", prefix)
		}
		return check(route)
	})
}

func awaitNoRoute(tb testing.TB, router *frrtest.Instance, prefix string) {
	tb.Helper()
	frrtest.Eventually(tb, frrtest.Patience, func() error {
		if route, ok := router.Route(tb, netip.MustParsePrefix(prefix)); ok {
			return fmt.Errorf("there is a route for %s: %+v", prefix, route)
		}
		return nil
	})
}

func withCommunities(want string) func(frrtest.Route) error {
	return func(r frrtest.Route) error {
		if r.Communities != want || r.LargeCommunities != "" {
			return fmt.Errorf("communities %q and %q, want %q and none", r.Communities, r.LargeCommunities, want)
		}
		return nil
	}
}

// sessionsStay fails the test where a session came up again since it was called.
func sessionsStay(t *testing.T, n *node, neighbors ...string) (check func()) {
	t.Helper()
	before := map[string]frrtest.Session{}
	for _, name := range neighbors {
		before[name] = n.Session(t, name)
	}
	return func() {
		t.Helper()
		for name, was := range before {
			if now := n.Session(t, name); now != was || now.State != "Established" {
				t.Errorf("session with %s was %+v and is %+v", name, was, now)
			}
		}
	}
}

func (n *node) applyDelta(tb testing.TB, s speaker) {
	tb.Helper()
	if ack := n.apply(tb, s.conf()); ack.How != frr.Delta {
		tb.Errorf("apply: %+v, want a delta", ack)
	}
}

func TestGivenBareFRRWhenConfigurationIsAppliedThenItRunsByCommandsAndAgainDoesNothing(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			s := pair()
			s.prefixes["10.1.0.9/32"] = nil
			s.profiles = map[string]string{"p": "200", "q": "300"}
			s.neighbors[0] += "/p"
			conf := s.conf()
			if ack := n.apply(t, conf); ack.How != frr.Delta {
				t.Errorf("first apply: %+v, want a delta", ack)
			}
			if ack := n.apply(t, conf); ack.How != frr.Unchanged || ack.Commands != 0 {
				t.Errorf("second apply: %+v, want nothing done", ack)
			}
			if on := n.onDisk(t); on != conf {
				t.Errorf("on disk:\n%s\nwant:\n%s", on, conf)
			}
		})
	}
}

func (n *node) onDisk(tb testing.TB) string {
	tb.Helper()
	conf, err := os.ReadFile(n.Path("/etc/frr/frr.conf"))
	if err != nil {
		tb.Fatal(err)
	}
	return string(conf)
}

func TestGivenSessionsWhenPrefixesComeMoveAndGoThenThePeerFollowsAndSessionsStay(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
			awaitRoute(t, router, "10.1.0.2/32", withCommunities("64512:7 no-advertise"))
			awaitRoute(t, router, "2001:db8:1::1/128", withCommunities("64512:7"))
			stay := sessionsStay(t, n, "192.0.2.100", "2001:db8::100")

			s.prefixes = map[string][]int{"10.1.0.1/32": {2}, "10.1.0.3/32": {1}, "2001:db8:1::2/128": {1}, "10.1.0.4/32": nil}
			n.applyDelta(t, s)
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("64512:7"))
			awaitRoute(t, router, "10.1.0.3/32", withCommunities("no-advertise"))
			awaitRoute(t, router, "2001:db8:1::2/128", withCommunities("no-advertise"))
			awaitNoRoute(t, router, "10.1.0.2/32")
			awaitNoRoute(t, router, "2001:db8:1::1/128")
			if _, ok := router.Route(t, netip.MustParsePrefix("10.1.0.4/32")); ok {
				t.Error("the peer has the prefix that no advertisement covers")
			}
			stay()
		})
	}
}

func TestGivenSessionsWhenCommunitiesChangeThenThePeerHasThemWithinASecondAndSessionsStay(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100", "2001:db8::100")
			// bgpd's own delay after a change of a route-map is 5 s: an answer in less
			// than that shows that it was not waited for.
			s.ads = []advertisement{{tag: 1, communities: "64512:1 64512:2"}, {tag: 3, communities: "64512:3"}, {tag: 2, communities: "64512:7"}}
			n.applyDelta(t, s)
			start := time.Now()
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("64512:1 64512:2"))
			awaitRoute(t, router, "10.1.0.2/32", withCommunities("64512:1 64512:2 64512:7"))
			if took := time.Since(start); took > 4*time.Second {
				t.Errorf("the peer had the new communities after %v, which is bgpd's delay timer", took)
			}
			stay()
		})
	}
}

func TestGivenTwoNeighborsWhenOneIsRemovedAndAddedAgainThenTheOtherStays(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100")
			s.neighbors = s.neighbors[:1]
			n.applyDelta(t, s)
			awaitNoRoute(t, router, "2001:db8:1::1/128")
			s.neighbors = append(s.neighbors, "2001:db8::100")
			n.applyDelta(t, s)
			awaitRoute(t, router, "2001:db8:1::1/128", withCommunities("64512:7"))
			stay()
		})
	}
}

func TestGivenBFDProfileWhenItChangesAndGoesThenFRRHasExactlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, _ := startPair(t, release, s)
			stay := sessionsStay(t, n, "2001:db8::100")
			// The router has no BFD: whether FRR opens a session whose BFD is down differs from release to release.
			s.neighbors[0] += "/p"
			s.profiles = map[string]string{"p": "200", "unused": "100"}
			n.applyDelta(t, s)
			awaitShown(t, n, "receive-interval 200")
			s.profiles = map[string]string{"p": "250"}
			n.applyDelta(t, s)
			awaitShown(t, n, "receive-interval 250")
			s.neighbors[0], s.profiles = "192.0.2.100", nil
			n.applyDelta(t, s)
			frrtest.Eventually(t, frrtest.Patience, func() error {
				if shown := n.Vtysh(t, "show running-config"); strings.Contains(shown, "bfd") {
					return fmt.Errorf("there is a trace of BFD:\n%s", shown)
				}
				return nil
			})
			stay()
		})
	}
}

func awaitShown(t *testing.T, n *node, line string) {
	t.Helper()
	if shown := n.Vtysh(t, "show running-config"); !strings.Contains(shown, line+"\n") {
		t.Errorf("running configuration lacks %q:\n%s", line, shown)
	}
}

func TestGivenRunningConfigurationWhenFRRRefusesTheNextThenItsWordsComeBackAndNothingIsLost(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100")
			good := s.conf()
			for name, bad := range map[string]string{
				// Commands find these: the one in the middle of others that do apply.
				"value": strings.Replace(good, "timers connect 1\n", "timers connect seventy\n", 1),
				"entry": strings.Replace(good, " set community 65535:65282 additive", " set community 65535:65282:1:2 additive", 1),
				// The syntax check finds this.
				"line": good + "surprise surprise\n",
			} {
				bad = strings.Replace(bad, "network 10.1.0.1/32 route-map", "network 10.1.0.77/32 route-map", 1)
				_, err := n.client.Apply(t.Context(), []byte(bad))
				refused, ok := errors.AsType[*frr.Refused](err)
				if !ok {
					t.Fatalf("%s: got %v, want a refusal", name, err)
				}
				if refused.LineNumber == 0 || refused.Line == "" || !strings.Contains(refused.Words, "%") {
					t.Errorf("%s: refusal %+v lacks the line or FRR's words", name, refused.Refusal)
				}
				if n.onDisk(t) != good {
					t.Errorf("%s: the file on disk is not the one before", name)
				}
				if ack := n.apply(t, good); ack.How != frr.Unchanged {
					t.Errorf("%s: the configuration before does not run any more: %+v", name, ack)
				}
				// What was withdrawn before FRR came to the fault is announced again.
				awaitRoute(t, router, "10.1.0.1/32", func(frrtest.Route) error { return nil })
			}
			stay()
		})
	}
}

func TestGivenLineThatIsNotKnownWhenAppliedThenTheWholeFileIsLoadedAndDeltasGoOnAfterwards(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100")
			s.extra = "bgp as-path access-list people seq 5 permit ^64999_\n"
			ack := n.apply(t, s.conf())
			if ack.How != frr.FullReload || !strings.Contains(ack.Reason, "bgp as-path access-list people") {
				t.Errorf("got %+v, want a full reload because of the line", ack)
			}
			awaitShown(t, n, "bgp as-path access-list people seq 5 permit ^64999_")
			s.prefixes["10.1.0.3/32"] = []int{1}
			n.applyDelta(t, s)
			awaitRoute(t, router, "10.1.0.3/32", withCommunities("no-advertise"))
			s.extra = ""
			if ack := n.apply(t, s.conf()); ack.How != frr.FullReload {
				t.Errorf("removal of the line: got %+v, want a full reload", ack)
			}
			if shown := n.Vtysh(t, "show running-config"); strings.Contains(shown, "access-list people") {
				t.Errorf("the line is still there:\n%s", shown)
			}
			stay()
		})
	}
}
