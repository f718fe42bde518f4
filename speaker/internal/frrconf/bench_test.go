package frrconf_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

func BenchmarkRender(b *testing.B) {
	for _, prefixes := range []int{0, 1000, 5000} {
		b.Run(fmt.Sprintf("prefixes=%d", prefixes), func(b *testing.B) {
			bgp := large(prefixes)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := frrconf.Render(bgp, frrconf.Options{Hostname: "n1"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkRenderer measures rendering with one prefix more or less than the time before.
func BenchmarkRenderer(b *testing.B) {
	for _, prefixes := range []int{0, 1000, 5000} {
		b.Run(fmt.Sprintf("prefixes=%d", prefixes), func(b *testing.B) {
			with := large(prefixes + 1)
			without := announce.BGP{Routers: slices.Clone(with.Routers)}
			without.Routers[0].Prefixes = slices.Delete(slices.Clone(with.Routers[0].Prefixes), prefixes/2, prefixes/2+1)
			both := []announce.BGP{without, with}
			r := frrconf.NewRenderer(frrconf.Options{Hostname: "n1"})
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := r.Render(both[i%2]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// large is a router with four neighbors, three advertisements and that many prefixes.
func large(prefixes int) announce.BGP {
	var policies []announce.Policy
	var tags []announce.Tag
	for _, name := range []string{"a", "b", "c"} {
		policies = append(policies, announce.Policy{Advertisement: name, Tag: announce.TagOf(name), LocalPref: 100})
		tags = append(tags, announce.TagOf(name))
	}
	r := announce.Router{ASN: 64512}
	for i := range 4 {
		r.Neighbors = append(r.Neighbors, announce.Neighbor{Policies: policies, Peer: intent.Peer{
			Name: fmt.Sprintf("tor-%d", i), MyASN: 64512, PeerASN: 64513, Address: netip.AddrFrom4([4]byte{192, 0, 2, byte(i)}),
		}})
	}
	for i := range prefixes {
		addr := netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)})
		r.Prefixes = append(r.Prefixes, announce.Prefix{Prefix: netip.PrefixFrom(addr, 32), Tags: tags[:1+i%3]})
	}
	return announce.BGP{Routers: []announce.Router{r}}
}
