package cluster

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// BenchmarkGatherOne measures taking one Service that comes or goes into the list of many.
func BenchmarkGatherOne(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var list services
			set := func(i int, present bool) bool {
				key := ipam.ServiceKey{Namespace: "bench", Name: fmt.Sprintf("many-%04d", i)}
				var one *announce.Service
				if present {
					one = &announce.Service{Key: key, Addresses: []netip.Addr{netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i % 250)})}}
				}
				return list.replace([]ipam.ServiceKey{key}, []*announce.Service{one})
			}
			for i := range n {
				set(i, true)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if !set(n/2, i%2 == 1) {
					b.Fatal("the Service was there before, or was not")
				}
			}
		})
	}
}
