package announce_test

import (
	"fmt"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// BenchmarkLayer2 measures a pass in which one Service of many comes or goes, one in which a member does, and the first pass of all.
func BenchmarkLayer2(b *testing.B) {
	for _, balanced := range []bool{false, true} {
		for _, nodes := range []int{3, 50} {
			for _, n := range []int{1000, 5000} {
				name := fmt.Sprintf("balanced=%t/nodes=%d/services=%d/", balanced, nodes, n)
				in := crowd(nodes, n+1, balanced)
				all := make([]*announce.Service, len(in.Services))
				for i := range in.Services {
					all[i] = &in.Services[i]
				}
				lists := [][]*announce.Service{all[:n], all}
				views := []announce.Input{in, without(in, "node-1")}
				steps := announce.NewIncremental(in)
				steps.Compute(all)
				b.Run(name+"service", func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						steps.Compute(lists[i%2])
					}
				})
				b.Run(name+"member", func(b *testing.B) {
					b.ReportAllocs()
					for i := 0; b.Loop(); i++ {
						steps.See(views[i%2])
						steps.Compute(all)
					}
				})
				b.Run(name+"first", func(b *testing.B) {
					for b.Loop() {
						in.Ranks = &announce.Ranks{}
						announce.Compute(in)
					}
				})
			}
		}
	}
}
