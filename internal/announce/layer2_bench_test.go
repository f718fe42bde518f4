package announce_test

import (
	"fmt"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// BenchmarkLayer2 measures a pass in which one Service of many comes or goes, one in which a member does, one in which a node becomes impaired or
// fit, and the first pass of all.
func BenchmarkLayer2(b *testing.B) {
	for _, balanced := range []bool{false, true} {
		for _, size := range []struct{ nodes, services int }{{3, 1000}, {3, 5000}, {50, 1000}, {50, 5000}, {100, 1000}} {
			benchmarkLayer2(b, balanced, size.nodes, size.services)
		}
	}
}

func benchmarkLayer2(b *testing.B, balanced bool, nodes, n int) {
	b.Helper()
	name := fmt.Sprintf("balanced=%t/nodes=%d/services=%d/", balanced, nodes, n)
	in := crowd(nodes, n+1, balanced)
	all := make([]*announce.Service, len(in.Services))
	for i := range in.Services {
		all[i] = &in.Services[i]
	}
	lists := [][]*announce.Service{all[:n], all}
	steps := announce.NewIncremental(in)
	steps.Compute(all)
	b.Run(name+"service", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			steps.Compute(lists[i%2])
		}
	})
	for _, see := range []struct {
		what  string
		other announce.Input
	}{{"member", without(in, "node-1")}, {"impaired", impaired(in, "node-1", "is not Ready")}} {
		views := []announce.Input{in, see.other}
		b.Run(name+see.what, func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				steps.See(views[i%2])
				steps.Compute(all)
			}
		})
	}
	b.Run(name+"first", func(b *testing.B) {
		for b.Loop() {
			in.Ranks = &announce.Ranks{}
			announce.Compute(in)
		}
	})
}
