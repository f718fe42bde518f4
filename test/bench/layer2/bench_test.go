package layer2

import (
	"fmt"
	"testing"
)

// BenchmarkThree measures with three nodes.
func BenchmarkThree(b *testing.B) {
	g := bringUp(b, "benchl23", 3)
	b.Run("Created", func(b *testing.B) {
		must(b, g.objects.PrepareOne(g.ctx, single))
		fresh := func(i int) string { return fmt.Sprintf("10.31.0.%d", i) }
		g.created(b, "IPv4", "Service created → first packet, address never used before", fresh, false)
		g.created(b, "IPv6", "the same, IPv6", func(i int) string { return fmt.Sprintf("fd00:31::%x", i+1) }, true)
		g.created(b, "Again", "the same, IPv4, address used 0.2 s before", func(int) string { return "10.31.1.1" }, false)
	})
	b.Run("Label", func(b *testing.B) { g.labelled(b, share(2, 5)) })
	b.Run("Ended", func(b *testing.B) { g.ended(b, "3 nodes", share(3, 3)) })
	b.Run("PowerOff", func(b *testing.B) { g.poweredOff(b, share(7, 3)) })
	b.Run("Rollout", func(b *testing.B) {
		g.rolled(b, "rolling restart of all speakers", share(7, 3), g.restart)
	})
	b.Run("Impaired", func(b *testing.B) { g.impaired(b, share(4, 3)) })
}
