package frrdelta_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
)

// announcing is a configuration with n prefixes.
func announcing(n int) string {
	var b strings.Builder
	b.WriteString("route-map s permit 10\n set large-community 4294967295:1:1 additive\nexit\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n address-family ipv4 unicast\n  neighbor 192.0.2.1 activate\n")
	for i := range n {
		fmt.Fprintf(&b, "  network 10.%d.%d.%d/32 route-map s\n", i/62500, i/250%250, i%250)
	}
	b.WriteString(" exit-address-family\nexit\n")
	return b.String()
}

// BenchmarkDelta measures reading a configuration with one prefix more and
// finding the command for it.
func BenchmarkDelta(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			running := daemonsRunning(announcing(n))
			text := announcing(n + 1)
			for b.Loop() {
				plan, full := frrdelta.Diff(running, frrdelta.Parse(text), frrdelta.Residue{})
				if full != nil || len(plan.Steps) != 1 {
					b.Fatalf("got %v, %v, want one step", plan, full)
				}
			}
		})
	}
}

// BenchmarkReader measures the same where the text before is known.
func BenchmarkReader(b *testing.B) {
	for _, n := range []int{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			running := daemonsRunning(announcing(n))
			texts := []string{announcing(n + 1), announcing(n)}
			var reader frrdelta.Reader
			reader.Parse(texts[1])
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				plan, full := frrdelta.Diff(running, reader.Parse(texts[i%2]), frrdelta.Residue{})
				if full != nil || len(plan.Steps) != 1-i%2 {
					b.Fatalf("got %v, %v, want one step or none", plan, full)
				}
			}
		})
	}
}

// daemonsRunning is what the daemons say when they run one configuration.
func daemonsRunning(text string) map[string]*frrdelta.Config {
	c := frrdelta.Parse(text)
	return map[string]*frrdelta.Config{"zebra": c, "bgpd": c, "bfdd": c}
}
