package frrconf_test

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

// wander changes the prefixes of a router a little: some come, some go, some get other tags; now and then the lists come unsorted.
func wander(random *rand.Rand, prefixes []announce.Prefix, tags []announce.Tag) []announce.Prefix {
	prefixes = slices.Clone(prefixes)
	for range random.IntN(4) {
		addr, bits := netip.AddrFrom4([4]byte{10, 0, 0, byte(random.IntN(32))}), 32
		if random.IntN(3) == 0 {
			addr, bits = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", random.IntN(16))), 128
		}
		p := announce.Prefix{Prefix: netip.PrefixFrom(addr, bits), Tags: tags[:1+random.IntN(len(tags))]}
		at, known := slices.BinarySearchFunc(prefixes, p, func(a, b announce.Prefix) int { return a.Prefix.Compare(b.Prefix) })
		switch {
		case !known:
			prefixes = slices.Insert(prefixes, at, p)
		case random.IntN(2) == 0:
			prefixes = slices.Delete(prefixes, at, at+1)
		default:
			prefixes[at] = p
		}
	}
	return prefixes
}

func TestGivenAnyHistoryWhenRenderedStepByStepThenEachFileIsThatOfRenderingAnew(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		bgp := large(0)
		tags := []announce.Tag{announce.TagOf("a"), announce.TagOf("b"), announce.TagOf("c")}
		slices.SortFunc(tags, announce.Tag.Compare)
		red := bgp.Routers[0]
		red.VRF, red.Neighbors = "red", slices.Clone(red.Neighbors)
		for i := range red.Neighbors {
			red.Neighbors[i].VRF = "red"
		}
		red.Neighbors[0].DualStack = true
		both := []announce.Router{bgp.Routers[0], red}
		both[0].Neighbors[1].DualStack = true
		o := frrconf.Options{Hostname: "n1"}
		steps := frrconf.NewRenderer(o)
		for step := range 40 {
			for i := range both {
				both[i].Prefixes = wander(random, both[i].Prefixes, tags)
			}
			now := announce.BGP{Routers: slices.Clone(both[:random.IntN(3)])} // a router comes and goes as well
			if random.IntN(8) == 0 {
				for i := range now.Routers {
					now.Routers[i].Prefixes = slices.Clone(now.Routers[i].Prefixes)
					slices.Reverse(now.Routers[i].Prefixes)
				}
			}
			got, err := steps.Render(now)
			if err != nil {
				t.Fatal(err)
			}
			want, err := frrconf.Render(now, o)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Fatalf("seed %d, step %d: rendered\n%s\nwanted\n%s", seed, step, got, want)
			}
		}
	}
}
