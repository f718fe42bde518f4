package announce_test

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

func drawL2Ads(t *rapid.T, balanced bool) []intent.L2Advertisement {
	var ads []intent.L2Advertisement
	for i := range rapid.IntRange(1, 3).Draw(t, "l2 ads") {
		ad := intent.L2Advertisement{
			Name: fmt.Sprintf("l2-%d", i), Nodes: drawSelector(t, "zone", "l2 nodes"), Services: drawSelector(t, "team", "l2 services"),
			Pools:      rapid.SliceOfNDistinct(rapid.SampledFrom(poolNames), 1, 3, rapid.ID).Draw(t, "l2 pools"),
			Interfaces: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"eth0", "eth1", "eth2"}), 0, 2, rapid.ID).Draw(t, "interfaces"),
			Balanced:   balanced && rapid.Bool().Draw(t, "balanced"),
		}
		for range rapid.IntRange(0, 2).Draw(t, "preferences") {
			ad.Preferences = append(ad.Preferences, intent.NodePreference{
				Weight: rapid.SampledFrom([]int{10, 20}).Draw(t, "weight"), Selector: labelIs{"zone", rapid.SampledFrom([]string{"a", "b"}).Draw(t, "preferred")},
			})
		}
		ads = append(ads, ad)
	}
	return ads
}

// drawNetwork is drawInput with up to five nodes on one network, all of which see the same.
func drawNetwork(t *rapid.T, balanced bool) announce.Input {
	in := drawInput(t)
	in.Nodes, in.Quorate = nil, true
	in.Config.L2Advertisements = drawL2Ads(t, balanced)
	for i := range rapid.IntRange(1, 5).Draw(t, "nodes") {
		n := announce.NodeInfo{
			Name: fmt.Sprintf("n%d", i), Labels: drawLabels(t, "zone"),
			NetworkUnavailable: rapid.IntRange(0, 9).Draw(t, "unavailable") == 0, Excluded: rapid.IntRange(0, 9).Draw(t, "excluded") == 0,
		}
		in.Nodes = append(in.Nodes, n)
	}
	in = drawSurroundings(t, in, balanced)
	in.Quorate = true
	for i := range in.Services {
		svc := &in.Services[i]
		svc.SharingKey = rapid.SampledFrom([]string{"", "", "k"}).Draw(t, "sharing key")
		for _, node := range []string{"n2", "n3", "n4"} {
			if rapid.Bool().Draw(t, "endpoint") {
				svc.Endpoints.OnNode[node], svc.Endpoints.Serving = 1, svc.Endpoints.Serving+1
			}
		}
	}
	return in
}

// drawSurroundings returns the input with other things known of its nodes.
func drawSurroundings(t *rapid.T, in announce.Input, balanced bool) announce.Input {
	in.Nodes, in.Members = slices.Clone(in.Nodes), nil
	in.Quorate = rapid.IntRange(0, 5).Draw(t, "quorate") > 0
	for i := range in.Nodes {
		n := &in.Nodes[i]
		n.Links = rapid.SampledFrom([][]string{nil, nil, {}, {"eth0"}, {"eth1", "eth0"}}).Draw(t, "links")
		n.Impaired = rapid.SampledFrom([]string{"", "", "is not Ready"}).Draw(t, "impaired")
		if balanced {
			n.Withheld = rapid.SampledFrom([]int{0, 0, 0, 50, 100}).Draw(t, "withheld")
		}
		if rapid.IntRange(0, 5).Draw(t, "alive") > 0 {
			in.Members = append(in.Members, n.Name)
		}
	}
	if rapid.IntRange(0, 3).Draw(t, "memberlist") == 0 {
		in.Members = nil
	}
	return in
}

// candidates are, by the words of the rules, the nodes that may answer for each address that somebody wants announced.
func candidates(in announce.Input) map[string][]string {
	all := map[string][]string{}
	type want struct {
		ads   []intent.L2Advertisement
		local []announce.Service
	}
	wants := map[netip.Addr]want{}
	for _, svc := range in.Services {
		for _, addr := range svc.Addresses {
			pool, ok := in.Config.PoolOf(addr)
			if !ok {
				continue
			}
			w := wants[addr]
			refused := svc.Endpoints.Serving == 0 || svc.Local && len(svc.Endpoints.OnNode) == 0
			var ads []intent.L2Advertisement
			for _, ad := range in.Config.L2Advertisements {
				if slices.Contains(ad.Pools, pool.Name) && (len(ad.Services) == 0 || ad.Services.Matches(svc.Labels)) {
					ads = append(ads, ad)
					refused = refused || svc.SharingKey != "" && len(ad.Services) > 0
				}
			}
			if refused || len(ads) == 0 {
				continue
			}
			w.ads = append(w.ads, ads...)
			if svc.Local {
				w.local = append(w.local, svc)
			}
			wants[addr] = w
		}
	}
	for addr, w := range wants {
		var fit, impaired []string
		for _, n := range in.Nodes {
			named, anyInterface, selected := []string{}, false, false
			for _, ad := range w.ads {
				if len(ad.Nodes) == 0 || ad.Nodes.Matches(n.Labels) {
					selected, anyInterface = true, anyInterface || len(ad.Interfaces) == 0
					named = append(named, ad.Interfaces...)
				}
			}
			reachable := n.Links == nil || anyInterface && len(n.Links) > 0 || slices.ContainsFunc(n.Links, func(l string) bool { return slices.Contains(named, l) })
			alive := in.Members == nil || slices.Contains(in.Members, n.Name)
			served := !slices.ContainsFunc(w.local, func(svc announce.Service) bool { return svc.Endpoints.OnNode[n.Name] == 0 })
			switch {
			case !selected || !reachable || !alive || !served || n.NetworkUnavailable || n.Excluded && !in.IgnoreExcludeLabel:
			case n.Impaired != "":
				impaired = append(impaired, n.Name)
			default:
				fit = append(fit, n.Name)
			}
		}
		if all[addr.String()] = fit; len(fit) == 0 {
			all[addr.String()] = impaired
		}
	}
	return all
}

func TestGivenAnyViewWhenEveryNodeComputesThenExactlyOneCandidateAnswers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		may, got := candidates(in), owners(t, in)
		for addr, nodes := range may {
			if len(nodes) > 0 && !slices.Contains(nodes, got[addr]) {
				t.Fatalf("%s: owner is %q, candidates are %v", addr, got[addr], nodes)
			}
		}
		for addr, owner := range got {
			if len(may[addr]) == 0 {
				t.Fatalf("%s is announced by %s although nobody may", addr, owner)
			}
		}
	})
}

func TestGivenAnyViewWhenComputedThenEveryLayer2VerdictExplainsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		in.Quorate = rapid.IntRange(0, 3).Draw(t, "quorate") > 0
		n := announce.Compute(in)
		if !in.Quorate && len(n.L2) > 0 {
			t.Fatalf("a node that may be cut off announces %v", n.L2)
		}
		for _, v := range verdictsBy(announce.ProtocolLayer2, n) {
			yes := v.Announce && v.Reason == announce.Reason{} && v.Owner == in.Node
			no := !v.Announce && v.Reason.Code != announce.ReasonNone && v.Reason.Detail != "" && v.Owner != in.Node
			if !yes && !no || v.Pool == "" {
				t.Fatalf("neither a yes nor a no with a reason: %+v", v)
			}
			if answers := slices.ContainsFunc(n.L2, func(e announce.L2Entry) bool { return e.Address == v.Address }); yes && !answers {
				t.Fatalf("%s is said to be announced and is not", v.Address)
			}
		}
	})
}

func TestGivenAnyViewWhenItComesInAnotherOrderThenTheOwnersAreTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		want := announce.Compute(in)
		other := in
		other.Nodes = rapid.Permutation(in.Nodes).Draw(t, "nodes")
		other.Services = rapid.Permutation(in.Services).Draw(t, "services")
		other.Members = rapid.Permutation(in.Members).Draw(t, "members")
		if in.Members == nil {
			other.Members = nil
		}
		other.Config.L2Advertisements = rapid.Permutation(in.Config.L2Advertisements).Draw(t, "l2 ads")
		if got := announce.Compute(other); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order, another result:\n%+v\n%+v", want, got)
		}
	})
}

func TestGivenTwoViewsWhenTheyBecomeEqualThenTheirOwnersDo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, ranks := drawNetwork(t, true), &announce.Ranks{}
		steps := announce.NewIncremental(in)
		for range 3 { // a node that has seen other members, and other nodes before
			past := drawNetwork(t, true)
			past.Config, past.Ranks = in.Config, ranks
			announce.Compute(past)
			past.Nodes = in.Nodes
			steps.See(past)
			steps.Compute(nil)
		}
		want := announce.Compute(in)
		services := make([]*announce.Service, len(in.Services))
		for i := range services {
			services[i] = &in.Services[i]
		}
		steps.See(in)
		if got := steps.Compute(services); !reflect.DeepEqual(got, want) {
			t.Fatalf("after another past:\n%+v\nwanted\n%+v", got, want)
		}
		in.Ranks = ranks
		if got := announce.Compute(in); !reflect.DeepEqual(got, want) {
			t.Fatalf("with what earlier passes worked out:\n%+v\nwanted\n%+v", got, want)
		}
	})
}

// without returns the view in which the speaker of that node is gone.
func without(in announce.Input, gone string) announce.Input {
	members := in.Members
	if members == nil {
		for _, n := range in.Nodes {
			members = append(members, n.Name)
		}
	}
	in.Members = slices.DeleteFunc(append([]string{}, members...), func(name string) bool { return name == gone })
	return in
}

// impaired returns the view in which that node is impaired, or is not.
func impaired(in announce.Input, node, how string) announce.Input {
	in.Nodes = slices.Clone(in.Nodes)
	in.Nodes[slices.IndexFunc(in.Nodes, func(n announce.NodeInfo) bool { return n.Name == node })].Impaired = how
	return in
}

// onlyOf checks that between two views with these owners, which differ in one node, only addresses move that the node has in the first. Those of a
// Service with several may move with them.
func onlyOf(t *rapid.T, what, node string, services []announce.Service, before, after map[string]string) {
	t.Helper()
	several := map[string]bool{}
	for _, svc := range services {
		for _, addr := range svc.Addresses {
			several[addr.String()] = several[addr.String()] || len(svc.Addresses) > 1
		}
	}
	idle := !slices.Contains(slices.Collect(maps.Values(before)), node)
	for addr, owner := range before {
		if owner != node && after[addr] != owner && (idle || !several[addr]) {
			t.Fatalf("%s %s: %s moved from %s to %q", node, what, addr, owner, after[addr])
		}
	}
}

func TestGivenAHashWhenANodeLeavesThenOnlyItsAddressesMove(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, false)
		before := owners(t, in)
		for _, n := range in.Nodes {
			onlyOf(t, "left", n.Name, in.Services, before, owners(t, without(in, n.Name)))
		}
	})
}

func TestGivenAHashWhenANodeBecomesImpairedOrFitThenOnlyMoveTheAddressesThatItHasWhenFit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, false)
		for _, n := range in.Nodes {
			fit, not := owners(t, impaired(in, n.Name, "")), owners(t, impaired(in, n.Name, "is unschedulable"))
			onlyOf(t, "became impaired, or fit again", n.Name, in.Services, fit, not)
			for addr := range not {
				if fit[addr] == "" {
					t.Fatalf("%s: %s is announced only while the node is impaired", n.Name, addr)
				}
			}
		}
	})
}

func TestGivenAnyViewWhenNobodyNeedsTheImpairedNodesThenTheOwnersAreAsIfThoseWereGone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		// Many addresses of one Service each, so that equal shares matter.
		for i := range rapid.IntRange(0, 12).Draw(t, "more") {
			in.Services = append(in.Services, web(fmt.Sprintf("more%d", i), fmt.Sprintf("10.0.2.%d", i)))
		}
		with, gone := owners(t, in), in
		bad := map[string]bool{}
		for _, n := range in.Nodes {
			if n.Impaired != "" {
				bad[n.Name], gone = true, without(gone, n.Name)
			}
		}
		for _, owner := range with {
			if bad[owner] {
				return
			}
		}
		if got := owners(t, gone); !maps.Equal(with, got) {
			t.Fatalf("owners are %v, and %v when %v are gone", with, got, bad)
		}
	})
}

func TestGivenAnyViewWhenAllNodesAreImpairedThenTheOwnersAreThoseOfNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		none, all := in, in
		for _, n := range in.Nodes {
			none, all = impaired(none, n.Name, ""), impaired(all, n.Name, "is not Ready")
		}
		if got, want := owners(t, all), owners(t, none); !maps.Equal(got, want) {
			t.Fatalf("owners are %v, want %v", got, want)
		}
	})
}

func TestGivenManyAddressesWhenSomeNodesAreGoneThenTheOthersHaveEquallyMany(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := []string{"n0", "n1", "n2", "n3", "n4", "n5"}[:rapid.IntRange(1, 6).Draw(t, "nodes")]
		in := flat(names...)
		in.Config.L2Advertisements[0].Balanced = rapid.Bool().Draw(t, "balanced")
		in.Members = rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, len(names), rapid.ID).Draw(t, "members")
		svc := web("web")
		count := rapid.IntRange(1, 8).Draw(t, "addresses")
		for i := range count {
			svc.Addresses = append(svc.Addresses, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", i)))
		}
		in.Services = []announce.Service{svc}
		got, load := owners(t, in), map[string]int{}
		for i := range count {
			four, six := got[svc.Addresses[2*i].String()], got[svc.Addresses[2*i+1].String()]
			if four != six {
				t.Fatalf("address %d: IPv4 at %s, IPv6 at %s", i, four, six)
			}
			load[four]++
		}
		for _, n := range in.Members {
			if want := count / len(in.Members); load[n] != want && load[n] != want+1 {
				t.Fatalf("%d addresses on %d nodes: %v", count, len(in.Members), load)
			}
		}
	})
}

func TestGivenSharersOfBothFamiliesWhenElectedThenAllIsAtOneNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		in.Config.L2Advertisements = []intent.L2Advertisement{{Name: "l2", Pools: poolNames, Balanced: rapid.Bool().Draw(t, "balanced"), Nodes: selector.Set{labelIs{"zone", "a"}}}}
		in.Services = []announce.Service{web("a", "10.0.0.1", "2001:db8::1"), web("b", "2001:db8::1", "10.0.0.1"), web("c", "2001:db8::1"), web("d", "10.0.0.1", "2001:db8::2")}
		got := owners(t, in)
		for _, addr := range []string{"2001:db8::1", "2001:db8::2"} {
			if got[addr] != got["10.0.0.1"] {
				t.Fatalf("not together: %v", got)
			}
		}
	})
}
