package layer2

import (
	"context"
	"fmt"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/bench"
)

// BenchmarkThree measures with three nodes.
func BenchmarkThree(b *testing.B) {
	g := bringUp(b, "benchl23", 3)
	b.Run("Created", func(b *testing.B) {
		must(b, g.objects.PrepareOne(g.ctx, single))
		fresh := func(i int) string { return fmt.Sprintf("10.31.0.%d", i) }
		g.created(b, "IPv4", "Service created → first packet, address never used before", fresh, false)
		g.created(b, "IPv6", "the same, IPv6", func(i int) string { return fmt.Sprintf("fd00:31::%x", i+1) }, true)
		g.created(b, "Again", "the same, IPv4, address used a moment before", func(int) string { return "10.31.1.1" }, false)
	})
	b.Run("Label", func(b *testing.B) { g.labelled(b, share(2, 5)) })
	b.Run("Ended", func(b *testing.B) { g.ended(b, "3 nodes", share(4, 3)) })
	b.Run("PowerOff", func(b *testing.B) { g.poweredOff(b, share(7, 3)) })
	b.Run("Rollout", func(b *testing.B) {
		g.rolled(b, "all speakers replaced one by one (rolling restart)", share(10, 2), g.restart)
	})
	b.Run("Crowd", func(b *testing.B) {
		g.crowd(b, "1,000 addresses over 3 nodes by hash", 1000, func(int) bench.Kind { return bench.Kind{} }, func(loads map[string]int) {
			ratio, _ := Spread(loads, len(g.nodes))
			report.Value(valuesTitle, "1,000 addresses over 3 nodes by hash: most of a node, as multiple of the mean", fmt.Sprintf("%.3f", ratio), "1.05")
		}, turn{"a node is excluded by label", g.patchNode(g.home, excluded(true))}, turn{"it is back", g.patchNode(g.home, excluded(false))})
	})
	b.Run("Impaired", func(b *testing.B) { g.impaired(b, share(7, 3)) })
}

// BenchmarkFive measures with five nodes. The crowd comes first: nodes whose speakers return take their part of balanced addresses back only bit by bit.
func BenchmarkFive(b *testing.B) {
	g := bringUp(b, "benchl25", 5)
	b.Run("Crowd", func(b *testing.B) {
		const n = 12
		g.crowd(b, "12 addresses over 5 nodes, balanced", n, func(i int) bench.Kind { return bench.Kind{Address: fmt.Sprintf("10.32.0.%d", i)} }, func(loads map[string]int) {
			_, difference := Spread(loads, len(g.nodes))
			report.Value(valuesTitle, "12 addresses over 5 nodes, balanced: most of a node, less the fewest", fmt.Sprint(difference), "1")
		}, turn{"a node is powered off", func(ctx context.Context) error { return g.PowerOff(ctx, g.home) }},
			turn{"it is on again", func(ctx context.Context) error { return g.Boot(ctx, g.home) }})
	})
	b.Run("Ended", func(b *testing.B) { g.ended(b, "5 nodes", share(7, 3)) })
}
