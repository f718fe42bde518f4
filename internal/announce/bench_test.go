package announce_test

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

func BenchmarkCompute(b *testing.B) {
	for _, services := range []int{0, 1000, 5000} {
		for _, local := range []bool{false, true} {
			b.Run(fmt.Sprintf("services=%d/local=%t", services, local), func(b *testing.B) {
				in := large(services, local)
				b.ReportAllocs()
				for b.Loop() {
					announce.Compute(in)
				}
			})
		}
	}
}

// BenchmarkIncremental measures one Service that comes and goes among many.
func BenchmarkIncremental(b *testing.B) {
	for _, n := range []int{0, 1000, 5000} {
		b.Run(fmt.Sprintf("services=%d", n), func(b *testing.B) {
			in := large(n+1, false)
			with := make([]*announce.Service, len(in.Services))
			for i := range in.Services {
				with[i] = &in.Services[i]
			}
			slices.SortFunc(with, func(a, b *announce.Service) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
			lists := [][]*announce.Service{slices.Delete(slices.Clone(with), n/2, n/2+1), with}
			steps := announce.NewIncremental(in)
			steps.Compute(with)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				steps.Compute(lists[i%2])
			}
		})
	}
}

// large has four peers, three advertisements (one selects Services) and that many Services; with local their endpoints are all on
// another node.
func large(services int, local bool) announce.Input {
	in := announce.Input{Node: "n1", Nodes: []announce.NodeInfo{{Name: "n1"}, {Name: "n2"}}}
	in.Config.Pools = []intent.Pool{{Pool: ipam.Pool{Name: "p", Ranges: []ipam.Range{
		{First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.0.255.255")},
	}}}}
	for i := range 4 {
		in.Config.Peers = append(in.Config.Peers, intent.Peer{
			Name: fmt.Sprintf("tor-%d", i), MyASN: 64512, PeerASN: 64513, Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
		})
	}
	in.Config.BGPAdvertisements = []intent.BGPAdvertisement{
		{Name: "all", AggregationLength: 32, AggregationLengthV6: 128, Pools: []string{"p"}},
		{Name: "gold", AggregationLength: 32, AggregationLengthV6: 128, Pools: []string{"p"}, LocalPref: 300, Services: selector.Set{labelIs{"class", "gold"}}},
		{Name: "wide", AggregationLength: 24, AggregationLengthV6: 64, Pools: []string{"p"}, Peers: []string{"tor-1", "tor-2"}},
	}
	classes := []map[string]string{{"class": "gold"}, {"class": "iron"}}
	for i := range services {
		in.Services = append(in.Services, announce.Service{
			Key: ipam.ServiceKey{Namespace: "default", Name: fmt.Sprintf("service-%05d", (i*7919)%services)}, Labels: classes[i%2], Local: local,
			Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})},
			Endpoints: announce.Endpoints{Serving: 3, OnNode: map[string]int{"n2": 3}},
		})
	}
	return in
}

// labelIs selects objects by one label.
type labelIs struct{ key, value string }

func (l labelIs) Matches(labels map[string]string) bool { return labels[l.key] == l.value }
func (l labelIs) String() string                        { return l.key + "=" + l.value }
