package frrconf_test

import (
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

// shuffled returns a copy of bgp with every list in it in another order.
func shuffled(bgp announce.BGP, r *rand.Rand) announce.BGP {
	bgp.Routers = shuffle(bgp.Routers, r)
	bgp.BFDProfiles = shuffle(bgp.BFDProfiles, r)
	for i := range bgp.Routers {
		router := &bgp.Routers[i]
		router.Neighbors = shuffle(router.Neighbors, r)
		for j := range router.Neighbors {
			n := &router.Neighbors[j]
			n.Policies = shuffle(n.Policies, r)
			for k := range n.Policies {
				n.Policies[k].Communities = shuffle(n.Policies[k].Communities, r)
			}
		}
		router.Prefixes = shuffle(router.Prefixes, r)
		for j := range router.Prefixes {
			router.Prefixes[j].Tags = shuffle(router.Prefixes[j].Tags, r)
		}
	}
	return bgp
}

func shuffle[T any](list []T, r *rand.Rand) []T {
	out := make([]T, len(list))
	for to, from := range r.Perm(len(list)) {
		out[to] = list[from]
	}
	return out
}

func TestGivenAnotherOrderWhenRenderedThenTheBytesAreTheSame(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			bgp := announce.Compute(g.in).BGP
			want := render(t, bgp)
			for range 20 {
				got := render(t, shuffled(bgp, r))
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("another order, another file:\n%s", diff)
				}
				if frrconf.Hash([]byte(got)) != frrconf.Hash([]byte(want)) {
					t.Fatal("equal files have different hashes")
				}
			}
		})
	}
}

// TestGivenAdvertisementWhenAnotherComesThenItsLinesStay is why entries are numbered by tag: what is there is not rewritten.
func TestGivenAdvertisementWhenAnotherComesThenItsLinesStay(t *testing.T) {
	in := base()
	before := statements(render(t, announce.Compute(in).BGP), func(line string) string { return line })
	first := in.Config.BGPAdvertisements[0]
	first.Name, first.Peers = "aaa-sorts-first", []string{"peer"}
	first.Pools = nil
	in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, first)
	after := map[string]bool{}
	for _, line := range statements(render(t, announce.Compute(in).BGP), func(line string) string { return line }) {
		after[line] = true
	}
	if len(after) <= len(before) {
		t.Fatalf("a new advertisement added nothing: %d statements before, %d after", len(before), len(after))
	}
	for _, line := range before {
		if !after[line] {
			t.Errorf("gone: %s", line)
		}
	}
}
