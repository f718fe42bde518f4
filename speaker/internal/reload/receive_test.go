package reload_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// givingConf is a router that sends routes, each with the mark by which a node
// chooses what it sends: whoever takes marks over from others would pass them on.
const givingConf = `hostname giving
bgp large-community-list standard any seq 5 permit 4294967295:0:0
route-map marked permit 10
 set large-community 4294967295:0:0
exit
router bgp 64513
 bgp router-id 10.0.0.100
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64512
 neighbor 192.0.2.1 passive
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 route-map marked out
  network 0.0.0.0/0
  network 10.100.0.0/16
  network 10.100.1.0/24
  network 10.100.1.7/32
  network 172.16.0.0/12
 exit-address-family
 address-family ipv6 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.1 route-map marked out
  network 2001:db8:f::/48
  network 2001:db8:f:1::/64
 exit-address-family
exit
`

// takingConf is a router beside it that is sent what the node has to send.
const takingConf = `hostname taking
router bgp 64514
 no bgp ebgp-requires-policy
 neighbor 198.51.100.1 remote-as 64512
 neighbor 198.51.100.1 passive
exit
`

// received are the routes that the node accepted and that its kernel uses.
func received(t *testing.T, n *node) (accepted, used []string) {
	t.Helper()
	own := []string{service4, service6}
	for prefix := range n.Prefixes(t) {
		if !slices.Contains(own, prefix.String()) {
			accepted = append(accepted, prefix.String())
		}
	}
	for _, family := range []string{"-4", "-6"} {
		for line := range strings.Lines(ip(t, n.Instance, family+" route show proto bgp")) {
			text, _, _ := strings.Cut(strings.TrimSpace(line), " ")
			switch {
			case text == "" || text == "nexthop":
				continue
			case text == "default" && family == "-4":
				text = "0.0.0.0/0"
			case !strings.Contains(text, "/"):
				text += fmt.Sprintf("/%d", netip.MustParseAddr(text).BitLen())
			}
			used = append(used, text)
		}
	}
	slices.Sort(accepted)
	slices.Sort(used)
	return accepted, used
}

// TestGivenASessionWhenWhatIsReceivedChangesThenTheKernelFollowsAndTheSessionStays
// asks for one set of routes after the other; a router that sends them all does
// nothing meanwhile.
func TestGivenASessionWhenWhatIsReceivedChangesThenTheKernelFollowsAndTheSessionStays(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			giving := frrtest.Start(t, frrtest.Options{Release: release, Name: "giving", Config: givingConf, Listen: true})
			taking := frrtest.Start(t, frrtest.Options{Release: release, Name: "taking", Config: takingConf, Listen: true})
			frrtest.Link(t, n.Instance, giving, "eth0", []string{"192.0.2.1/24", "2001:db8::1/64"}, []string{"192.0.2.100/24", "2001:db8::100/64"})
			frrtest.Link(t, n.Instance, taking, "eth1", []string{"198.51.100.1/24"}, []string{"198.51.100.100/24"})
			with := func(receive string) string {
				return site{peers: map[string]string{
					"giving": "{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.100, dualStackAddressFamily: true, connectTime: 1s" + receive + "}",
					"taking": "{myASN: 64512, peerASN: 64514, peerAddress: 198.51.100.100, connectTime: 1s}",
				}}.rendered(t)
			}
			n.apply(t, with(""))
			n.AwaitSession(t, "192.0.2.100")
			n.AwaitSession(t, "198.51.100.100")
			awaitRoute(t, taking, service4, func(frrtest.Route) error { return nil })
			stay := sessionsStay(t, n, "192.0.2.100", "198.51.100.100")

			all := []string{"0.0.0.0/0", "10.100.0.0/16", "10.100.1.0/24", "10.100.1.7/32", "172.16.0.0/12", "2001:db8:f:1::/64", "2001:db8:f::/48"}
			for _, step := range []struct {
				receive string
				want    []string
			}{
				{", toReceive: {allowed: {prefixes: [{prefix: 10.100.0.0/16, le: 24}]}}", []string{"10.100.0.0/16", "10.100.1.0/24"}},
				{", toReceive: {allowed: {prefixes: [{prefix: 10.100.0.0/16, ge: 32}, {prefix: 0.0.0.0/0}, {prefix: '2001:db8:f::/48'}]}}", []string{"0.0.0.0/0", "10.100.1.7/32", "2001:db8:f::/48"}},
				{", toReceive: {allowed: {mode: all}}", all},
				{", toReceive: {allowed: {prefixes: [{prefix: '2001:db8::/32', le: 64}]}}", []string{"2001:db8:f:1::/64", "2001:db8:f::/48"}},
				{", toReceive: {allowed: {mode: filtered}}", nil},
				{", toReceive: {allowed: {mode: all}}", all},
				{"", nil},
			} {
				if ack := n.apply(t, with(step.receive)); ack.How != frr.Delta {
					t.Errorf("%q: %+v, want a delta", step.receive, ack)
				}
				frrtest.Eventually(t, frrtest.Patience, func() error {
					accepted, used := received(t, n)
					if diff := cmp.Diff(step.want, accepted) + cmp.Diff(step.want, used); diff != "" {
						return fmt.Errorf("%q: (-want +got, of bgpd and of the kernel):\n%s", step.receive, diff)
					}
					return nil
				})
				if got := taking.Prefixes(t); len(got) != 1 {
					t.Errorf("%q: another router has %v, want %s alone", step.receive, got, service4)
				}
			}
			stay()
		})
	}
}
