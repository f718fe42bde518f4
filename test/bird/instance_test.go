package bird_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/test/bird"
	"github.com/seed-551707bd/metallb-operator/test/frr"
	lab "github.com/seed-551707bd/metallb-operator/test/lab/bird"
)

const nodeConf = `route-map marked permit 10
 set community 64512:7 64512:100
 set large-community 64512:1:2
 set metric 7
 set local-preference 300
exit
router bgp 64512
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 192.0.2.100 remote-as 64512
 neighbor 192.0.2.100 password s3cret
 neighbor 2001:db8::100 remote-as 64513
 address-family ipv4 unicast
  network 10.1.0.1/32 route-map marked
  network 10.1.0.2/32
 exit-address-family
 address-family ipv6 unicast
  neighbor 2001:db8::100 activate
  network 2001:db8:1::1/128 route-map marked
 exit-address-family
exit
`

func TestGivenANeighborThatAnnouncesWhenAskedThenBIRDSaysWhatItWasSentAndWhetherTheSessionIsUp(t *testing.T) {
	b := bird.Start(t, bird.Options{Config: lab.Config{RouterID: netip.MustParseAddr("10.0.0.100"), Neighbors: []lab.Neighbor{
		{Name: "inside", Local: netip.MustParseAddr("192.0.2.100"), Address: netip.MustParseAddr("192.0.2.1"), LocalASN: 64512, ASN: 64512, Password: "s3cret"},
		{Name: "outside", Local: netip.MustParseAddr("2001:db8::100"), Address: netip.MustParseAddr("2001:db8::1"), LocalASN: 64513, ASN: 64512},
	}}.String()})
	n := frr.Start(t, frr.Options{})
	frr.Link(t, n, b, "eth0", []string{"192.0.2.1/24", "2001:db8::1/64"}, []string{"192.0.2.100/24", "2001:db8::100/64"})
	if s := b.Session(t, "inside"); s.State == "Established" {
		t.Errorf("session is %+v before the neighbor was told of it", s)
	}
	configure(t, n, nodeConf)
	b.AwaitSession(t, "inside")
	b.AwaitSession(t, "outside")
	want := []lab.Route{
		{Neighbor: "inside", Prefix: netip.MustParsePrefix("10.1.0.1/32"), NextHop: netip.MustParseAddr("192.0.2.1"), LocalPref: 300, MED: new(uint32(7)),
			Communities: []string{"64512:100", "64512:7"}, LargeCommunities: []string{"64512:1:2"}},
		{Neighbor: "inside", Prefix: netip.MustParsePrefix("10.1.0.2/32"), NextHop: netip.MustParseAddr("192.0.2.1"), LocalPref: 100, MED: new(uint32(0))},
		{Neighbor: "outside", Prefix: netip.MustParsePrefix("2001:db8:1::1/128"), NextHop: netip.MustParseAddr("2001:db8::1"), LocalPref: 100, MED: new(uint32(7)),
			ASPath: []uint32{64512}, Communities: []string{"64512:100", "64512:7"}, LargeCommunities: []string{"64512:1:2"}},
	}
	sorted := cmpopts.SortSlices(func(a, b lab.Route) bool { return a.Prefix.String() < b.Prefix.String() })
	frr.Eventually(t, frr.Patience, func() error {
		if diff := cmp.Diff(want, b.Routes(t), sorted, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
			return fmt.Errorf("routes (-want +got):\n%s", diff)
		}
		return nil
	})
	before := b.Session(t, "inside")
	n.Vtysh(t, "clear bgp 192.0.2.100")
	frr.Eventually(t, frr.Patience, func() error {
		if s := b.Session(t, "inside"); s.State != "Established" || s.Since == before.Since {
			return fmt.Errorf("session is %+v and was %+v: want it up anew", s, before)
		}
		return nil
	})
}

func configure(t *testing.T, n *frr.Instance, conf string) {
	t.Helper()
	cmd := n.Command(t.Context(), "sh", "-c", "printf %s \"$1\" >/tmp/more.conf && vtysh -f /tmp/more.conf", "sh", conf)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("configure FRR: %v\n%s", err, out)
	}
}
