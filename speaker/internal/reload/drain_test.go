package reload_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// drainStage returns what the renderer writes for a node at that stage of a drain.
func drainStage(t *testing.T, name string) string {
	t.Helper()
	conf, err := os.ReadFile("../frrconf/testdata/" + name + ".conf")
	if err != nil {
		t.Fatal(err)
	}
	return string(conf)
}

// drainRouter is a router with one node as its neighbor, which it does not call.
func drainRouter(asn int, node string) string {
	return fmt.Sprintf(`router bgp %d
 no bgp ebgp-requires-policy
 neighbor %s remote-as 64512
 neighbor %[2]s passive
 address-family ipv6 unicast
  neighbor %[2]s activate
 exit-address-family
exit
`, asn, node)
}

// withLocalPref holds a route to its communities and to the preference that it has at the router.
func withLocalPref(communities string, localPref int) func(frrtest.Route) error {
	return func(r frrtest.Route) error {
		if err := withCommunities(communities)(r); err != nil {
			return err
		}
		if r.LocalPref != localPref {
			return fmt.Errorf("LOCAL_PREF %d, want %d", r.LocalPref, localPref)
		}
		return nil
	}
}

// TestGivenANodeThatDrainsWhenItYieldsWithdrawsAndReturnsThenPeersSeeEachStageAndNoSessionEnds has an iBGP and an eBGP router beside a node.
func TestGivenANodeThatDrainsWhenItYieldsWithdrawsAndReturnsThenPeersSeeEachStageAndNoSessionEnds(t *testing.T) {
	t.Parallel()
	const yields = " ! The node drains: every route is sent as the last to be chosen.\n bgp graceful-shutdown\n"
	yielding, withdrawn := drainStage(t, "yielding"), drainStage(t, "withdrawn")
	ordinary := strings.ReplaceAll(yielding, yields, "")
	if ordinary == yielding {
		t.Fatal("the renderer's file for a node that yields does not say so")
	}
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			n := startNode(t, release)
			// Routers start when their cables are there: FRR 8.4 may not notice later that it can reach a neighbor that is to call it.
			inside := frrtest.Start(t, frrtest.Options{Release: release, Name: "inside", Listen: true, Bare: true, Config: drainRouter(64512, "198.51.100.254")})
			outside := frrtest.Start(t, frrtest.Options{Release: release, Name: "outside", Listen: true, Bare: true, Config: drainRouter(64513, "198.51.101.254")})
			frrtest.Link(t, n.Instance, inside, "eth0", []string{"198.51.100.254/24", "2001:db8:100::254/64"}, []string{"198.51.100.1/24", "2001:db8:100::1/64"})
			frrtest.Link(t, n.Instance, outside, "eth1", []string{"198.51.101.254/24", "2001:db8:101::254/64"}, []string{"198.51.101.1/24", "2001:db8:101::1/64"})
			inside.StartFRR(t)
			outside.StartFRR(t)
			all := []string{"10.1.0.1/32", "10.1.0.2/32", "2001:db8:1::1/128"}
			// An eBGP session carries no LOCAL_PREF: what a route has there is the router's, which for FRR is 0 with the community.
			see := func(prefixes []string, communities string, preference int) {
				t.Helper()
				for _, prefix := range prefixes {
					awaitRoute(t, inside, prefix, withLocalPref(communities, preference))
					awaitRoute(t, outside, prefix, withCommunities(communities))
				}
			}
			delta := func(conf string) {
				t.Helper()
				if ack := n.apply(t, conf); ack.How != frr.Delta {
					t.Errorf("apply: %+v, want a delta", ack)
				}
			}
			n.apply(t, ordinary)
			n.AwaitSession(t, "198.51.100.1")
			n.AwaitSession(t, "198.51.101.1")
			see(all, "64512:100", 300)
			check := sessionsStay(t, n, "198.51.100.1", "198.51.101.1")

			delta(yielding)
			see(all, "64512:100 graceful-shutdown", 0)
			delta(withdrawn)
			for _, prefix := range []string{"10.1.0.1/32", "2001:db8:1::1/128"} {
				awaitNoRoute(t, inside, prefix)
				awaitNoRoute(t, outside, prefix)
			}
			see([]string{"10.1.0.2/32"}, "64512:100 graceful-shutdown", 0)
			delta(ordinary)
			see(all, "64512:100", 300)
			check()
			for router, node := range map[*frrtest.Instance]string{inside: "198.51.100.254", outside: "198.51.101.254"} {
				if s := router.Session(t, node); s.Established != 1 || s.State != "Established" {
					t.Errorf("the router's session with %s: %+v, want it as it was", node, s)
				}
			}
		})
	}
}
