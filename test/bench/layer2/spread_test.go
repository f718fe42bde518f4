package layer2

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// BenchmarkSpread has every node decide on its own, without a lab, and counts what each one would answer for.
func BenchmarkSpread(b *testing.B) {
	for _, c := range []struct {
		addresses, nodes int
		balanced         bool
		target           string
	}{
		{1000, 3, false, "1.05"}, {1000, 3, true, "1.01"}, {12, 5, true, ""},
	} {
		how := "by hash"
		if c.balanced {
			how = "balanced"
		}
		b.Run(fmt.Sprintf("%s/nodes=%d/addresses=%d", how, c.nodes, c.addresses), func(b *testing.B) {
			var all, moved int
			var loads map[string]int
			for b.Loop() {
				before := decide(b, c.nodes, c.addresses, c.balanced, "")
				after := decide(b, c.nodes, c.addresses, c.balanced, "node-0")
				loads, all, moved = Loads(before), 0, 0
				for address, owner := range before {
					if owner == "node-0" {
						all++
					}
					if after[address] != owner {
						moved++
					}
				}
			}
			ratio, difference := Spread(loads, c.nodes)
			what := fmt.Sprintf("%d addresses over %d nodes %s, decided without a lab", c.addresses, c.nodes, how)
			if c.target != "" {
				report.Value(valuesTitle, what+": most of a node, as multiple of the mean", fmt.Sprintf("%.3f", ratio), c.target)
			} else {
				report.Value(valuesTitle, what+": most of a node, less the fewest", fmt.Sprint(difference), "1")
			}
			report.Value(valuesTitle, what+": addresses that move when a node leaves, of those that it has", fmt.Sprintf("%d of %d", moved, all), fmt.Sprint(all))
			b.ReportMetric(ratio, "max/mean")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// decide asks every node that is alive what it answers for, and fails where two answer for the same or nobody does.
func decide(b *testing.B, nodes, addresses int, balanced bool, gone string) map[netip.Addr]string {
	b.Helper()
	in := announce.Input{Quorate: true, Members: []string{}, Config: intent.Snapshot{
		Pools:            []intent.Pool{{Pool: ipam.Pool{Name: "all", Ranges: []ipam.Range{{First: netip.MustParseAddr("10.30.0.0"), Last: netip.MustParseAddr("10.30.255.255")}}}}},
		L2Advertisements: []intent.L2Advertisement{{Name: "all", Pools: []string{"all"}, Balanced: balanced}},
	}}
	for i := range nodes {
		name := fmt.Sprintf("node-%d", i)
		in.Nodes = append(in.Nodes, announce.NodeInfo{Name: name})
		if name != gone {
			in.Members = append(in.Members, name)
		}
	}
	for i := range addresses {
		in.Services = append(in.Services, announce.Service{
			Key: ipam.ServiceKey{Namespace: "bench", Name: fmt.Sprintf("many-%04d", i)}, Endpoints: announce.Endpoints{Serving: 1},
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 30, byte(i >> 8), byte(i)})},
		})
	}
	owners := map[netip.Addr]string{}
	for _, name := range in.Members {
		in.Node = name
		for _, e := range announce.Compute(in).L2 {
			if other, taken := owners[e.Address]; taken {
				b.Fatalf("%s and %s both answer for %s", other, name, e.Address)
			}
			owners[e.Address] = name
		}
	}
	if len(owners) != addresses {
		b.Fatalf("%d of %d addresses are answered for", len(owners), addresses)
	}
	return owners
}
