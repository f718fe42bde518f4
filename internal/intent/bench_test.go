package intent_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// large is a configuration of 100 pools, 100 advertisements, 50 peers, 200 reservations, 50 quotas and 500 nodes.
func large() intent.Raw {
	raw := intent.Raw{Namespace: lab}
	for i := range 500 {
		raw.Nodes = append(raw.Nodes, node(fmt.Sprintf("node-%d", i), fmt.Sprint(i%10)))
	}
	for i := range 100 {
		raw.Pools = append(raw.Pools, pool(fmt.Sprintf("pool-%d", i), i, fmt.Sprintf("10.%d.0.0/24", i), fmt.Sprintf("10.%d.1.10-10.%d.1.99", i, i), fmt.Sprintf("2001:db8:%x::/120", i)))
		ad := bgp(fmt.Sprintf("ad-%d", i), i, fmt.Sprintf("pool-%d", i))
		ad.Communities, ad.NodeSelectors, ad.LocalPref = []string{"65535:65281", fmt.Sprintf("large:64512:%d:1", i)}, where("rack", fmt.Sprint(i%10)), uint32(i)
		raw.BGPAdvertisements = append(raw.BGPAdvertisements, ad)
	}
	for i := range 50 {
		p := peer(fmt.Sprintf("peer-%d", i), i, fmt.Sprintf("192.0.2.%d", i+1))
		p.NodeSelectors, p.PeerASN = where("rack", fmt.Sprint(i%10)), 64512
		raw.Peers = append(raw.Peers, p)
	}
	for i := range 200 {
		raw.Reservations = append(raw.Reservations, reservation(fmt.Sprintf("reservation-%d", i), i, fmt.Sprintf("10.%d.0.%d", i%100, i)))
	}
	for i := range 50 {
		raw.Quotas = append(raw.Quotas, quota(fmt.Sprintf("quota-%d", i), i, fmt.Sprintf("pool-%d", i), fmt.Sprintf("pool-%d", i+1)))
	}
	return raw
}

func BenchmarkBuild(b *testing.B) {
	raw := large()
	last, problems := intent.Build(raw, intent.Snapshot{})
	if len(problems) != 0 {
		b.Fatalf("problems %q", lines(problems))
	}
	for b.Loop() {
		last, _ = intent.Build(raw, last)
	}
}

func BenchmarkPoolOf(b *testing.B) {
	snapshot, _ := intent.Build(large(), intent.Snapshot{})
	addr := netip.MustParseAddr("10.57.1.50")
	for b.Loop() {
		if _, ok := snapshot.PoolOf(addr); !ok {
			b.Fatal("no pool")
		}
	}
}
