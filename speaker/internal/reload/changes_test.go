package reload_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// TestGivenASessionWhenAFieldChangesThenItOpensAnewOnlyWhereItMust takes one field after the other; what one step says stays in the next.
func TestGivenASessionWhenAFieldChangesThenItOpensAnewOnlyWhereItMust(t *testing.T) {
	t.Parallel()
	const router = "192.0.2.100"
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			r := startRouter(t, n)
			r.Vtysh(t, "configure terminal", "router bgp 64513", "address-family ipv6 unicast", "neighbor 192.0.2.1 activate")
			said := "{myASN: 64512, peerASN: 64513, peerAddress: " + router + ", connectTime: 1s"
			n.apply(t, site{peers: map[string]string{"tor": said + "}"}}.rendered(t))
			n.AwaitSession(t, router)
			for _, step := range []struct {
				field string
				anew  bool
			}{
				{"holdTime: 30s", false}, {"keepaliveTime: 5s", false}, {"toReceive: {allowed: {mode: all}}", false},
				{"routerID: 192.0.2.77", true}, {"ebgpMultiHopTTL: 5", true}, {"sourceInterface: eth0", true}, {"dualStackAddressFamily: true", true},
				{"nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]", false},
			} {
				said += ", " + step.field
				was := n.Session(t, router)
				ack := n.apply(t, site{peers: map[string]string{"tor": said + "}"}}.rendered(t))
				if ack.How == frr.FullReload {
					t.Errorf("%s: %+v, want commands to be enough", step.field, ack)
				}
				if !step.anew {
					// What FRR does about a setting it does before it answers.
					if now := n.Session(t, router); now != was {
						t.Errorf("%s: the session was %+v and is %+v", step.field, was, now)
					}
					continue
				}
				frrtest.Eventually(t, frrtest.Patience, func() error {
					if now := n.Session(t, router); now.State != "Established" || now.Established <= was.Established {
						return fmt.Errorf("%s: the session was %+v and is %+v, want it to have opened anew", step.field, was, now)
					}
					return nil
				})
			}
			n.apply(t, site{peers: map[string]string{"tor": said + ", peerPort: 1790}"}}.rendered(t))
			if now := n.Session(t, router); now.State == "Established" {
				t.Errorf("the session with another port, at which nobody listens, is %+v", now)
			}
		})
	}
}

// TestGivenOneRouterInTwoPeersWhenNoNodeIsSelectedByBothThenEachNodeHasItsOwn needs no daemon: that the values of one BGPPeer do what they say is
// shown above.
func TestGivenOneRouterInTwoPeersWhenNoNodeIsSelectedByBothThenEachNodeHasItsOwn(t *testing.T) {
	spec := "{myASN: %d, peerASN: 64513, peerAddress: 192.0.2.100, holdTime: %ds, sourceAddress: 192.0.2.%d, nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n%d}}]}"
	s := site{peers: map[string]string{"a": fmt.Sprintf(spec, 64512, 9, 1, 1), "b": fmt.Sprintf(spec, 64999, 30, 2, 2)}}
	for node, want := range map[string][]string{
		"n1": {"router bgp 64512\n", " neighbor 192.0.2.100 timers 3 9\n", " neighbor 192.0.2.100 update-source 192.0.2.1\n"},
		"n2": {"router bgp 64999\n", " neighbor 192.0.2.100 timers 10 30\n", " neighbor 192.0.2.100 update-source 192.0.2.2\n"},
	} {
		conf := s.renderedFor(t, node)
		for _, line := range want {
			if strings.Count(conf, line) != 1 {
				t.Errorf("%s: want %q once in\n%s", node, line, conf)
			}
		}
		if n := strings.Count(conf, "neighbor 192.0.2.100 remote-as "); n != 1 {
			t.Errorf("%s has %d sessions with the router, want 1", node, n)
		}
	}
}
