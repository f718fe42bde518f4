package announce_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// verdictsBy returns those of one protocol.
func verdictsBy(protocol announce.Protocol, n announce.Node) []announce.Verdict {
	var of []announce.Verdict
	for _, v := range n.Verdicts {
		if v.Protocol == protocol {
			of = append(of, *v)
		}
	}
	return of
}

// TestLayer2Reasons: three nodes, and 10.0.0.13 is n3's by hash, and n1's next.
func TestLayer2Reasons(t *testing.T) {
	links := func(in *announce.Input, n1, n2, n3 []string) {
		in.Nodes[0].Links, in.Nodes[1].Links, in.Nodes[2].Links = n1, n2, n3
	}
	for _, c := range []struct {
		given  string
		node   string
		change func(*announce.Input)
		code   announce.ReasonCode
		detail string
		owner  string
	}{
		{"the owner", "n3", func(*announce.Input) {}, announce.ReasonNone, "", "n3"},
		{"another node", "n1", func(*announce.Input) {}, announce.ReasonNotOwner, "node n3 announces it: hash", "n3"},
		{"preferences", "n1", func(in *announce.Input) {
			in.Config.L2Advertisements[0].Preferences = []intent.NodePreference{{Weight: 30, Selector: labelIs{"name", "n2"}}, {Weight: 10, Selector: labelIs{"name", "n1"}}}
		}, announce.ReasonNotOwner, "node n2 announces it: preference 30 beats 10", "n2"},
		{"balanced placement", "n1", func(in *announce.Input) { in.Config.L2Advertisements[0].Balanced = true },
			announce.ReasonNotOwner, "node n3 announces it: balanced placement", "n3"},
		{"several addresses", "n1", func(in *announce.Input) {
			in.Services[0].Addresses = append(in.Services[0].Addresses, netip.MustParseAddr("10.0.0.200"))
		}, announce.ReasonNotOwner, "node n3 announces it: hash, address 1 of the family", "n3"},
		{"L6 an interface missing here", "n3", func(in *announce.Input) {
			in.Config.L2Advertisements[0].Interfaces = []string{"eth1"}
			links(in, []string{"eth0", "eth1"}, nil, []string{"eth0"})
		}, announce.ReasonInterfaceMissing, "node n3: interface eth1 missing; node n1 announces it", "n1"},
		{"L6 interfaces missing everywhere", "n1", func(in *announce.Input) {
			in.Config.L2Advertisements[0].Interfaces = []string{"eth1", "eth2"}
			links(in, []string{"eth0"}, []string{}, []string{"eth0"})
		}, announce.ReasonInterfaceMissing, "node n1: interfaces eth1, eth2 missing; no node announces it: " +
			"node n2: interfaces eth1, eth2 missing; node n3: interfaces eth1, eth2 missing", ""},
		{"no usable interface", "n1", func(in *announce.Input) { links(in, []string{}, nil, nil) },
			announce.ReasonInterfaceMissing, "node n1: no usable interface; node n3 announces it", "n3"},
		{"L2 no live member", "n1", func(in *announce.Input) { in.Members = []string{} }, announce.ReasonNotMember,
			"node n1: its speaker is not alive, or cannot be reached from here; no node announces it: " +
				"node n2: its speaker is not alive, or cannot be reached from here; node n3: its speaker is not alive, or cannot be reached from here", ""},
		{"L5 sharing and service selectors", "n1", func(in *announce.Input) {
			in.Services[0].SharingKey = "k"
			in.Config.L2Advertisements = append(in.Config.L2Advertisements, intent.L2Advertisement{Name: "some", Pools: []string{"p0"}, Services: set("team=a")})
		}, announce.ReasonSharedSelector, `the Service may share its address (sharing key "k") and L2Advertisement some has serviceSelectors: ` +
			"the address might be announced for another Service that the selectors leave out", ""},
		{"L1 no endpoint", "n1", func(in *announce.Input) { in.Services[0].Endpoints = announce.Endpoints{} },
			announce.ReasonNoEndpoints, "the Service has no serving endpoint", ""},
		{"L2 Local and endpoints elsewhere", "n1", func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{Serving: 3, OnNode: map[string]int{"n2": 3}}
		}, announce.ReasonNoLocalEndpoints, "node n1 has none of the 3 serving endpoints and externalTrafficPolicy is Local; node n2 announces it", "n2"},
		{"N6 Local and endpoints without a node", "n1", func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{Serving: 3}
		}, announce.ReasonNoLocalEndpoints,
			"node n1 has none of the 3 serving endpoints (3 without a node name, which never count) and externalTrafficPolicy is Local", ""},
		{"L4 a Local sharer with endpoints elsewhere", "n1", func(in *announce.Input) {
			b := web("b", "10.0.0.13")
			b.Local, b.Endpoints = true, announce.Endpoints{Serving: 1, OnNode: map[string]int{"n9": 1}}
			in.Services = append(in.Services, b)
		}, announce.ReasonNoLocalEndpoints, "node n1: no serving endpoint of Service default/b, whose externalTrafficPolicy is Local; no node announces it: " +
			"node n2: no serving endpoint of Service default/b, whose externalTrafficPolicy is Local; node n3: no serving endpoint of Service default/b, whose externalTrafficPolicy is Local", ""},
		{"node selectors", "n1", func(in *announce.Input) { in.Config.L2Advertisements[0].Nodes = set("name=n2") }, announce.ReasonNoAdvertisement,
			"no L2Advertisement of pool p0 selects node n1: there is only the L2Advertisement l2; node n2 announces it", "n2"},
		{"node selectors that select nothing", "n1", func(in *announce.Input) { in.Config.L2Advertisements[0].Nodes = set("name=x") }, announce.ReasonNoAdvertisement,
			"no L2Advertisement of pool p0 selects node n1: there is only the L2Advertisement l2; no node announces it: " +
				"node n2: not selected by an L2Advertisement; node n3: not selected by an L2Advertisement", ""},
		{"service selectors", "n1", func(in *announce.Input) { in.Config.L2Advertisements[0].Services = set("team=b") }, announce.ReasonNoAdvertisement,
			"the Service's labels match no service selector of the L2Advertisement l2 of pool p0", ""},
		{"N4 an excluded node", "n3", func(in *announce.Input) { in.Nodes[2].Excluded = true }, announce.ReasonNodeExcluded,
			"node n3 has the label node.kubernetes.io/exclude-from-external-load-balancers; node n1 announces it", "n1"},
		{"N3 a node without network", "n3", func(in *announce.Input) { in.Nodes[2].NetworkUnavailable = true }, announce.ReasonNetworkUnavailable,
			"node n3 has the condition NetworkUnavailable; node n1 announces it", "n1"},
		{"a node that may be cut off", "n3", func(in *announce.Input) { in.Quorate, in.Members = false, []string{"n3"} }, announce.ReasonNotQuorate,
			"node n3 has lost sight of so many speakers that it may be the one that is cut off: it announces nothing by layer 2 until it sees them again", ""},
		{"an impaired node", "n3", func(in *announce.Input) { in.Nodes[2].Impaired = "is not Ready" }, announce.ReasonImpaired,
			"node n3 is not Ready; node n1 announces it", "n1"},
		{"an impaired node, among impaired ones", "n3", func(in *announce.Input) {
			for i := range in.Nodes {
				in.Nodes[i].Impaired = "is not Ready"
			}
		}, announce.ReasonNone, "", "n3"},
		{"an impaired node that may be cut off", "n3", func(in *announce.Input) { in.Quorate, in.Nodes[2].Impaired = false, "is not Ready" }, announce.ReasonNotQuorate,
			"node n3 has lost sight of so many speakers that it may be the one that is cut off: it announces nothing by layer 2 until it sees them again", ""},
		{"a node that the cluster does not know", "n9", func(*announce.Input) {}, announce.ReasonUnknownNode,
			"node n9 is not among the 3 nodes of the cluster; node n3 announces it", "n3"},
	} {
		t.Run(c.given, func(t *testing.T) {
			in := flat("n1", "n2", "n3")
			in.Services = []announce.Service{web("a", "10.0.0.13")}
			in.Node = c.node
			c.change(&in)
			n := announce.Compute(in)
			got := verdictsBy(announce.ProtocolLayer2, n)[0]
			if diff := cmp.Diff(announce.Reason{Code: c.code, Detail: c.detail}, got.Reason); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			answers := slices.ContainsFunc(n.L2, func(e announce.L2Entry) bool { return e.Address == got.Address })
			if yes := c.code == announce.ReasonNone; got.Announce != yes || answers != yes {
				t.Errorf("announced is %t, with the entries %v", got.Announce, n.L2)
			}
			if got.Owner != c.owner {
				t.Errorf("owner is %q, wanted %q", got.Owner, c.owner)
			}
		})
	}
}

func TestGivenAdvertisementsOfBothKindsWhenTheyAreForAPoolThenTheVerdictsAreOfTheirProtocols(t *testing.T) {
	const neither = "there is neither a BGPAdvertisement nor an L2Advertisement"
	l2 := func(services ...string) []intent.L2Advertisement {
		return []intent.L2Advertisement{{Name: "l2", Pools: []string{"p0"}, Services: set(services...)}}
	}
	bgp := []intent.BGPAdvertisement{{Name: "bgp", Pools: []string{"p0"}}}
	for _, c := range []struct {
		given  string
		l2     []intent.L2Advertisement
		bgp    []intent.BGPAdvertisement
		layer2 int
		detail string // of BGP
	}{
		{"neither", nil, nil, 0, neither},
		{"layer 2 only", l2(), nil, 1, "there is no BGPAdvertisement"},
		{"layer 2 for other Services only", l2("team=z"), nil, 1, "there is no BGPAdvertisement"},
		{"BGP only", nil, bgp, 0, "there is no BGPPeer"},
		{"both", l2(), bgp, 1, "there is no BGPPeer"},
		{"both, layer 2 for other Services", l2("team=z"), bgp, 0, "there is no BGPPeer"},
		{"both for other pools", []intent.L2Advertisement{{Name: "l2", Pools: []string{"six"}}}, []intent.BGPAdvertisement{{Name: "bgp", Pools: []string{"six"}}}, 0,
			"none of the 1 BGPAdvertisements is for pool p0, and none of the 1 L2Advertisements is for pool p0"},
	} {
		t.Run(c.given, func(t *testing.T) {
			in := flat("n1", "n2", "n3")
			in.Services = []announce.Service{web("a", "10.0.0.1")}
			in.Config.L2Advertisements, in.Config.BGPAdvertisements = c.l2, c.bgp
			n := announce.Compute(in)
			if got := len(verdictsBy(announce.ProtocolLayer2, n)); got != c.layer2 {
				t.Errorf("%d verdicts on layer 2, wanted %d", got, c.layer2)
			}
			if got := verdictsBy(announce.ProtocolBGP, n); len(got) != 1 || got[0].Reason.Detail != c.detail {
				t.Errorf("on BGP: %+v\nwanted %q", got, c.detail)
			}
		})
	}
}

func TestGivenNothingNewWhenComputedAgainThenTheVerdictsAreTheSameValues(t *testing.T) {
	in := flat("n1", "n2", "n3")
	a, b := web("a", "10.0.0.1"), web("b", "10.0.0.2", "10.0.0.3")
	steps := announce.NewIncremental(in)
	first := steps.Compute([]*announce.Service{&a, &b})
	steps.See(in)
	changed := b
	changed.Endpoints = announce.Endpoints{}
	second := steps.Compute([]*announce.Service{&a, &changed})
	for i, v := range second.Verdicts {
		if same := v == first.Verdicts[i]; same != (v.Service == a.Key) {
			t.Errorf("verdict on %s by %s: the same value is %t", v.Address, v.Protocol, same)
		}
	}
}
