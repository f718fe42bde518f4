package announce_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// flat is a cluster of those nodes on one network, with one L2Advertisement for all pools.
func flat(nodes ...string) announce.Input {
	in := announce.Input{Node: nodes[0], Quorate: true, Config: intent.Snapshot{
		Pools:            pools(),
		L2Advertisements: []intent.L2Advertisement{{Name: "l2", Pools: []string{"p0", "p1", "six"}}},
	}}
	for _, name := range nodes {
		in.Nodes = append(in.Nodes, announce.NodeInfo{Name: name, Labels: map[string]string{"name": name}})
	}
	return in
}

// web is a Service with those addresses and an endpoint on each of the nodes n1 to n5.
func web(name string, addresses ...string) announce.Service {
	svc := announce.Service{
		Key: ipam.ServiceKey{Namespace: "default", Name: name}, Labels: map[string]string{"team": "a"},
		Endpoints: announce.Endpoints{Serving: 5, OnNode: map[string]int{"n1": 1, "n2": 1, "n3": 1, "n4": 1, "n5": 1}},
	}
	for _, a := range addresses {
		svc.Addresses = append(svc.Addresses, netip.MustParseAddr(a))
	}
	return svc
}

// owners computes on every node and returns which one answers for each address. Two that answer, or two that name different owners, fail the test.
func owners(t fataler, in announce.Input) map[string]string {
	t.Helper()
	all, named := map[string]string{}, map[string]string{}
	for _, n := range in.Nodes {
		in.Node = n.Name
		node := announce.Compute(in)
		for _, e := range node.L2 {
			if other, taken := all[e.Address.String()]; taken {
				t.Fatalf("%s is answered for by %s and %s", e.Address, other, n.Name)
			}
			all[e.Address.String()] = n.Name
		}
		for _, v := range node.Verdicts {
			if v.Protocol != announce.ProtocolLayer2 || v.Reason.Code == announce.ReasonNoEndpoints {
				continue
			}
			if before, ok := named[v.Address.String()]; ok && v.Owner != "" && before != "" && before != v.Owner {
				t.Fatalf("%s: owner is %s to some and %s to %s", v.Address, before, v.Owner, n.Name)
			}
			named[v.Address.String()] = v.Owner
		}
	}
	return all
}

type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

func set(labels ...string) selector.Set {
	var s selector.Set
	for _, l := range labels {
		key, value, _ := strings.Cut(l, "=")
		s = append(s, labelIs{key, value})
	}
	return s
}

// TestL3_GivenNodesAndAnAddressWhenElectedThenTheOrderIsThatOfMetalLB: the orders were worked out with another program, as
// sorted(nodes, key=lambda n: hashlib.sha256((n + "#" + ip).encode()).digest()).
func TestL3_GivenNodesAndAnAddressWhenElectedThenTheOrderIsThatOfMetalLB(t *testing.T) {
	for address, want := range map[string][]string{
		"10.0.0.1":    {"node-b", "worker-10.example.com", "n1", "node-a", "node-c"},
		"2001:db8::1": {"node-b", "node-a", "worker-10.example.com", "node-c", "n1"},
		"10.9.0.7":    {"node-a", "node-c", "node-b", "n1", "worker-10.example.com"},
		"2001:db8::f": {"node-c", "node-b", "node-a", "worker-10.example.com", "n1"},
	} {
		in := flat("node-a", "node-b", "node-c", "n1", "worker-10.example.com")
		in.Services = []announce.Service{web("web", address)}
		var got []string
		for len(in.Nodes) > 0 {
			owner := owners(t, in)[address]
			got = append(got, owner)
			in.Nodes = slices.DeleteFunc(in.Nodes, func(n announce.NodeInfo) bool { return n.Name == owner })
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", address, diff)
		}
	}
}

func TestL3_GivenTwoFamiliesWhenElectedThenTheFirstAddressIsHashedForBoth(t *testing.T) {
	in := flat("node-a", "node-b", "node-c", "n1", "worker-10.example.com")
	for i, addresses := range [][]string{{"10.0.0.1", "2001:db8::1"}, {"2001:db8::2", "10.0.0.2"}, {"10.0.0.3", "2001:db8::3"}, {"2001:db8::4", "10.0.0.4"}} {
		alone := in
		alone.Services = []announce.Service{web("web", addresses[0])}
		want := owners(t, alone)[addresses[0]]
		both := in
		both.Services = []announce.Service{web(fmt.Sprint(i), addresses...)}
		if got := owners(t, both); got[addresses[0]] != want || got[addresses[1]] != want {
			t.Errorf("%v are at %v, wanted both at %s", addresses, got, want)
		}
	}
}

func TestL3_GivenPreferencesWhenElectedThenTheHighestSumWins(t *testing.T) {
	in := flat("n1", "n2", "n3")
	in.Services = []announce.Service{web("web", "10.0.0.1")}
	in.Config.L2Advertisements = []intent.L2Advertisement{
		{Name: "a", Pools: []string{"p0"}, Preferences: []intent.NodePreference{{Weight: 60, Selector: labelIs{"name", "n1"}}, {Weight: 50, Selector: labelIs{"name", "n2"}}}},
		{Name: "b", Pools: []string{"p0"}, Preferences: []intent.NodePreference{{Weight: 20, Selector: labelIs{"name", "n2"}}}},
		{Name: "only n3", Pools: []string{"p0"}, Nodes: set("name=n3"), Preferences: []intent.NodePreference{{Weight: 100, Selector: labelIs{"name", "n1"}}, {Weight: 5, Selector: labelIs{"name", "n3"}}}},
		{Name: "other Services", Pools: []string{"p0"}, Services: set("team=z"), Preferences: []intent.NodePreference{{Weight: 100, Selector: labelIs{"name", "n3"}}}},
	}
	if got := owners(t, in)["10.0.0.1"]; got != "n2" { // n1: 60, n2: 50+20, n3: 5
		t.Errorf("owner is %s: wanted n2", got)
	}
	in.Members = []string{"n1", "n3"}
	if got := owners(t, in)["10.0.0.1"]; got != "n1" {
		t.Errorf("without n2 the owner is %s: wanted n1", got)
	}
}

func TestL2_GivenNodesThatMayNotOrCannotWhenElectedThenTheOthersAreTheCandidates(t *testing.T) {
	for name, change := range map[string]func(in *announce.Input, owner int){
		"speaker not alive": func(in *announce.Input, owner int) {
			for i, n := range in.Nodes {
				if i != owner {
					in.Members = append(in.Members, n.Name)
				}
			}
		},
		"N3 network unavailable": func(in *announce.Input, owner int) { in.Nodes[owner].NetworkUnavailable = true },
		"N4 excluded":            func(in *announce.Input, owner int) { in.Nodes[owner].Excluded = true },
		"N7 node deleted":        func(in *announce.Input, owner int) { in.Nodes = slices.Delete(in.Nodes, owner, owner+1) },
		"not selected": func(in *announce.Input, owner int) {
			in.Config.L2Advertisements[0].Nodes = nil
			for i, n := range in.Nodes {
				if i != owner {
					in.Config.L2Advertisements[0].Nodes = append(in.Config.L2Advertisements[0].Nodes, labelIs{"name", n.Name})
				}
			}
		},
		"Local and no endpoint": func(in *announce.Input, owner int) {
			in.Services[0].Local = true
			delete(in.Services[0].Endpoints.OnNode, in.Nodes[owner].Name)
		},
		"L6 interface missing": func(in *announce.Input, owner int) {
			in.Config.L2Advertisements[0].Interfaces = []string{"eth1"}
			for i := range in.Nodes {
				in.Nodes[i].Links = []string{"eth0", "eth1"}
			}
			in.Nodes[owner].Links = []string{"eth0"}
		},
		"L6 no usable interface": func(in *announce.Input, owner int) { in.Nodes[owner].Links = []string{} },
	} {
		t.Run(name, func(t *testing.T) {
			in := flat("n1", "n2", "n3")
			in.Services = []announce.Service{web("web", "10.0.0.1")}
			first := owners(t, in)["10.0.0.1"]
			change(&in, slices.IndexFunc(in.Nodes, func(n announce.NodeInfo) bool { return n.Name == first }))
			if got := owners(t, in)["10.0.0.1"]; got == first || got == "" {
				t.Errorf("owner was %s and is %q", first, got)
			}
		})
	}
}

func TestN4_GivenSpeakersThatIgnoreTheLabelWhenANodeIsExcludedThenItIsACandidate(t *testing.T) {
	in := flat("n1")
	in.Services = []announce.Service{web("web", "10.0.0.1")}
	in.Nodes[0].Excluded = true
	if got := owners(t, in); len(got) != 0 {
		t.Errorf("announced by %v", got)
	}
	in.IgnoreExcludeLabel = true
	if got := owners(t, in)["10.0.0.1"]; got != "n1" {
		t.Errorf("owner is %q", got)
	}
}

func TestL6_GivenSeveralAdvertisementsWhenTheySelectTheNodeThenTheirInterfacesAreUnited(t *testing.T) {
	in := flat("n1")
	in.Services = []announce.Service{web("web", "10.0.0.1")}
	in.Config.L2Advertisements = []intent.L2Advertisement{
		{Name: "a", Pools: []string{"p0"}, Interfaces: []string{"eth2", "eth0"}},
		{Name: "b", Pools: []string{"p0"}, Interfaces: []string{"eth1", "eth0"}},
		{Name: "c", Pools: []string{"p0"}, Interfaces: []string{"eth7"}, Nodes: set("name=other")},
	}
	in.Nodes[0].Links = []string{"eth1"}
	entry := announce.L2Entry{Address: netip.MustParseAddr("10.0.0.1"), Interfaces: []string{"eth0", "eth1", "eth2"}}
	if diff := cmp.Diff([]announce.L2Entry{entry}, announce.Compute(in).L2, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	in.Config.L2Advertisements = append(in.Config.L2Advertisements, intent.L2Advertisement{Name: "d", Pools: []string{"p0"}})
	if got := announce.Compute(in).L2; len(got) != 1 || got[0].Interfaces != nil {
		t.Errorf("with an advertisement that names none: %+v, wanted all interfaces", got)
	}
}

func TestL4_GivenLocalSharersWhenElectedThenANodeWithEndpointsOfAllAnnounces(t *testing.T) {
	in := flat("n1", "n2", "n3")
	a, b, c := web("a", "10.0.0.1"), web("b", "10.0.0.1"), web("c", "10.0.0.1")
	a.Local, b.Local = true, true
	a.Endpoints = announce.Endpoints{Serving: 2, OnNode: map[string]int{"n1": 1, "n2": 1}}
	b.Endpoints = announce.Endpoints{Serving: 2, OnNode: map[string]int{"n2": 1, "n3": 1}}
	in.Services = []announce.Service{a, b, c}
	if got := owners(t, in)["10.0.0.1"]; got != "n2" {
		t.Errorf("owner is %q, wanted n2, the only node with endpoints of a and b", got)
	}
	in.Services[1].Endpoints = announce.Endpoints{}
	if got := owners(t, in)["10.0.0.1"]; got != "n1" && got != "n2" {
		t.Errorf("owner is %q: a Service without endpoints must not keep the others from being announced", got)
	}
}

func TestP14_GivenAServiceWithManyAddressesWhenThereAreAsManyNodesThenEachIsAtAnother(t *testing.T) {
	for count := 1; count <= 5; count++ {
		in := flat("n1", "n2", "n3", "n4", "n5")
		svc := web("web")
		for i := range count {
			svc.Addresses = append(svc.Addresses, netip.MustParseAddr(fmt.Sprintf("10.0.0.%d", 10-i)), netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 1+i)))
		}
		in.Services = []announce.Service{svc}
		for _, balanced := range []bool{false, true} {
			in.Config.L2Advertisements[0].Balanced = balanced
			got, seen := owners(t, in), map[string]bool{}
			for i := range count {
				four, six := got[svc.Addresses[2*i].String()], got[svc.Addresses[2*i+1].String()]
				if four == "" || four != six || seen[four] {
					t.Fatalf("%d addresses, balanced %t: not both families together on nodes of their own: %v", count, balanced, got)
				}
				seen[four] = true
			}
		}
	}
}

func TestP14_GivenAServiceWithManyAddressesWhenANodeLeavesThenOnlyItsAddressesMove(t *testing.T) {
	for _, nodes := range []int{3, 5} {
		in := flat([]string{"n1", "n2", "n3", "n4", "n5"}[:nodes]...)
		in.Services = []announce.Service{web("web", "10.0.0.1", "10.0.0.2", "10.0.0.3")}
		before := owners(t, in)
		for _, gone := range in.Nodes {
			rest := in
			rest.Members = []string{}
			for _, n := range in.Nodes {
				if n.Name != gone.Name {
					rest.Members = append(rest.Members, n.Name)
				}
			}
			after := owners(t, rest)
			for address, owner := range before {
				if owner != gone.Name && after[address] != owner {
					t.Errorf("%d nodes, %s left: %s moved from %s to %s", nodes, gone.Name, address, owner, after[address])
				}
			}
		}
	}
}

func TestGivenAPoolThatIsGoneWhenAServiceKeepsItsAddressThenItIsAnnouncedAsBefore(t *testing.T) {
	in := flat("n1", "n2", "n3")
	svc := web("web", "10.0.0.1")
	svc.Pool = "p0"
	in.Services = []announce.Service{svc}
	before := owners(t, in)
	in.Config.Pools = in.Config.Pools[1:]
	in.Config.L2Advertisements[0].Pools, in.Config.L2Advertisements[0].Missing = []string{"p1", "six"}, []string{"p0"}
	if diff := cmp.Diff(before, owners(t, in)); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
	in.Config.L2Advertisements[0].Missing = nil
	if got := owners(t, in); len(got) != 0 {
		t.Errorf("no advertisement is for the pool, and yet: %v", got)
	}
}

// verdictAt is the verdict of one node on the only address there is.
func verdictAt(t *testing.T, in announce.Input, node string) announce.Verdict {
	t.Helper()
	in.Node = node
	all := verdictsBy(announce.ProtocolLayer2, announce.Compute(in))
	if len(all) != 1 {
		t.Fatalf("node %s: %d verdicts, wanted one", node, len(all))
	}
	return all[0]
}

func TestGivenImpairedNodesWhenElectedThenOneThatIsNotComesFirstWhateverIsPreferredAndTheReasonSaysSo(t *testing.T) {
	in := flat("n1", "n2", "n3")
	in.Services = []announce.Service{web("web", "10.0.0.1")}
	in.Config.L2Advertisements[0].Preferences = []intent.NodePreference{{Weight: 100, Selector: labelIs{"name", "n1"}}, {Weight: 50, Selector: labelIs{"name", "n2"}}}
	for _, row := range []struct {
		impaired []string
		owner    string
		// said is the reason of n1, or that of n2 where n1 is the owner.
		said announce.Reason
	}{
		{nil, "n1", announce.Reason{Code: announce.ReasonNotOwner, Detail: "node n1 announces it: preference 100 beats 50"}},
		{[]string{"n1"}, "n2", announce.Reason{Code: announce.ReasonImpaired, Detail: "node n1 is not Ready; node n2 announces it"}},
		{[]string{"n1", "n2"}, "n3", announce.Reason{Code: announce.ReasonImpaired, Detail: "node n1 is not Ready; node n3 announces it"}},
		{[]string{"n1", "n2", "n3"}, "n1", announce.Reason{Code: announce.ReasonNotOwner,
			Detail: "node n1 announces it: preference 100 beats 50; it is not Ready, and no other candidate is in better state"}},
	} {
		view, asked := in, "n1"
		for _, node := range row.impaired {
			view = impaired(view, node, "is not Ready")
		}
		if row.owner == "n1" {
			asked = "n2"
		}
		if got := owners(t, view)["10.0.0.1"]; got != row.owner {
			t.Errorf("%v impaired: owner is %q, wanted %s", row.impaired, got, row.owner)
		}
		if got := verdictAt(t, view, asked).Reason; got != row.said {
			t.Errorf("%v impaired: %s says %+v, wanted %+v", row.impaired, asked, got, row.said)
		}
	}
}

func TestGivenAnImpairedNodeWhenItAloneCanAnswerForAnAddressThenItDoes(t *testing.T) {
	for _, balanced := range []bool{false, true} {
		in := impaired(flat("n1", "n2", "n3"), "n2", "is unschedulable")
		in.Config.L2Advertisements[0].Balanced = balanced
		local, other, both := web("local", "10.0.0.1"), web("other", "10.0.0.2"), web("several", "10.0.0.3", "10.0.0.4", "10.0.0.5")
		local.Local, local.Endpoints = true, announce.Endpoints{Serving: 1, OnNode: map[string]int{"n2": 1}}
		in.Services = []announce.Service{local, other, both}
		got := owners(t, in)
		if got["10.0.0.1"] != "n2" {
			t.Errorf("balanced %t: the address with its only endpoint on n2 is at %q", balanced, got["10.0.0.1"])
		}
		for _, addr := range []string{"10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5"} {
			if got[addr] == "n2" || got[addr] == "" {
				t.Errorf("balanced %t: %s is at %q, wanted one of the others", balanced, addr, got[addr])
			}
		}
		if got = owners(t, without(without(in, "n1"), "n3")); len(got) != 5 {
			t.Errorf("balanced %t: when the others are gone, %v are announced, wanted all five", balanced, got)
		}
	}
}
