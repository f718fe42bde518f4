package announce_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// plain is a node with one peer that announces one Service.
func plain() announce.Input {
	return announce.Input{
		Node:  "n1",
		Nodes: []announce.NodeInfo{{Name: "n1", Labels: map[string]string{"zone": "a"}}, {Name: "n2"}, {Name: "n3"}},
		Config: intent.Snapshot{
			Pools:             pools(),
			Peers:             []intent.Peer{{Name: "tor", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr("198.51.100.1")}},
			BGPAdvertisements: []intent.BGPAdvertisement{{Name: "ad", Pools: []string{"p0", "six"}}},
		},
		Services: []announce.Service{{
			Key: ipam.ServiceKey{Namespace: "default", Name: "web"}, Labels: map[string]string{"team": "a"},
			Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
			Endpoints: announce.Endpoints{Serving: 3, OnNode: map[string]int{"n1": 1, "n2": 1}},
		}},
	}
}

func TestReasons(t *testing.T) {
	const label = "node n1 has the label node.kubernetes.io/exclude-from-external-load-balancers"
	const remedy = ": nothing is announced anywhere; remove the label where traffic may enter, or let speakers ignore it (spec.ignoreExcludeLB of the MetalLB object)"
	another := func(in *announce.Input, ad intent.BGPAdvertisement) {
		in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, ad)
	}
	for _, c := range []struct {
		given  string
		change func(*announce.Input)
		code   announce.ReasonCode
		detail string
	}{
		{"nothing special", func(*announce.Input) {}, announce.ReasonNone, ""},
		{"Local with an endpoint here", func(in *announce.Input) { in.Services[0].Local = true }, announce.ReasonNone, ""},
		{"another advertisement that leaves localPref alone", func(in *announce.Input) {
			in.Config.BGPAdvertisements[0].LocalPref = 100
			another(in, intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}})
		}, announce.ReasonNone, ""},
		{"localPrefs that differ at different lengths", func(in *announce.Input) {
			in.Config.BGPAdvertisements[0].LocalPref = 100
			another(in, intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, LocalPref: 200, AggregationLength: 24})
		}, announce.ReasonNone, ""},
		{"localPrefs that differ towards another peer", func(in *announce.Input) {
			in.Config.BGPAdvertisements[0].LocalPref = 100
			another(in, intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, LocalPref: 200, Peers: []string{"other"}})
		}, announce.ReasonNone, ""},
		{"no address", func(in *announce.Input) { in.Services[0].Addresses = nil }, announce.ReasonNoAddress, "the Service has no address"},
		{"an address outside the pools", func(in *announce.Input) { in.Services[0].Addresses[0] = netip.MustParseAddr("192.0.2.1") },
			announce.ReasonNotAllowed, "address 192.0.2.1 is in no IPAddressPool"},
		{"an address whose pool shrank", func(in *announce.Input) {
			in.Services[0].Addresses[0], in.Services[0].Pool = netip.MustParseAddr("192.0.2.1"), "p0"
		}, announce.ReasonNone, ""},
		{"an address whose pool is gone but named", func(in *announce.Input) {
			in.Services[0].Addresses[0], in.Services[0].Pool = netip.MustParseAddr("192.0.2.1"), "gone"
			in.Config.BGPAdvertisements[0].Missing = []string{"gone"}
		}, announce.ReasonNone, ""},
		{"an address whose pool is gone and an advertisement of all pools", func(in *announce.Input) {
			in.Services[0].Addresses[0], in.Services[0].Pool = netip.MustParseAddr("192.0.2.1"), "gone"
			in.Config.BGPAdvertisements[0].All = true
		}, announce.ReasonNone, ""},
		{"an address whose pool is gone and that nobody names", func(in *announce.Input) {
			in.Services[0].Addresses[0], in.Services[0].Pool = netip.MustParseAddr("192.0.2.1"), "gone"
		}, announce.ReasonNoAdvertisement, "none of the 1 BGPAdvertisements is for pool gone, and there is no L2Advertisement"},
		{"no advertisement", func(in *announce.Input) { in.Config.BGPAdvertisements = nil },
			announce.ReasonNoAdvertisement, "there is neither a BGPAdvertisement nor an L2Advertisement"},
		{"advertisements of other pools", func(in *announce.Input) { in.Config.BGPAdvertisements[0].Pools = []string{"six"} },
			announce.ReasonNoAdvertisement, "none of the 1 BGPAdvertisements is for pool p0, and there is no L2Advertisement"},
		{"an advertisement for other nodes", func(in *announce.Input) { in.Config.BGPAdvertisements[0].Nodes = selector.Set{labelIs{"zone", "b"}} },
			announce.ReasonNoAdvertisement, "no advertisement of pool p0 selects node n1: there is only the BGPAdvertisement ad"},
		{"advertisements for other Services", func(in *announce.Input) {
			in.Config.BGPAdvertisements[0].Services = selector.Set{labelIs{"team", "b"}}
			another(in, intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, Services: selector.Set{labelIs{"team", "c"}}})
		}, announce.ReasonNoAdvertisement, "the Service's labels match no service selector of the BGPAdvertisements ad, second of pool p0"},
		{"localPrefs that differ", func(in *announce.Input) {
			in.Config.BGPAdvertisements[0].LocalPref = 100
			another(in, intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, LocalPref: 200})
		}, announce.ReasonConflictingAds, "for the same /32 to BGPPeer tor, BGPAdvertisement ad sets localPref 100 and BGPAdvertisement second sets 200"},
		{"no peer", func(in *announce.Input) { in.Config.Peers = nil }, announce.ReasonNoPeer, "there is no BGPPeer"},
		{"a peer for other nodes", func(in *announce.Input) { in.Config.Peers[0].Nodes = selector.Set{labelIs{"zone", "b"}} },
			announce.ReasonNoPeer, "none of the 1 BGPPeers selects node n1"},
		{"an advertisement for other peers", func(in *announce.Input) { in.Config.BGPAdvertisements[0].Peers = []string{"other"} },
			announce.ReasonNoPeer, "the BGPAdvertisement ad is for no peer of node n1, which has the BGPPeer tor"},
		{"an address of the other family", func(in *announce.Input) { in.Services[0].Addresses[0] = netip.MustParseAddr("2001:db8::1") },
			announce.ReasonNoPeer, "the address is IPv6 and the sessions with the BGPPeer tor do not carry IPv6 (dualStackAddressFamily is false)"},
		{"an unknown node", func(in *announce.Input) { in.Node = "n9" }, announce.ReasonUnknownNode, "node n9 is not among the 3 nodes of the cluster"},
		{"a node without network", func(in *announce.Input) { in.Nodes[0].NetworkUnavailable = true },
			announce.ReasonNetworkUnavailable, "node n1 has the condition NetworkUnavailable"},
		{"an excluded node", func(in *announce.Input) { in.Nodes[0].Excluded = true }, announce.ReasonNodeExcluded, label},
		{"an excluded node and speakers that ignore it", func(in *announce.Input) { in.Nodes[0].Excluded, in.IgnoreExcludeLabel = true, true },
			announce.ReasonNone, ""},
		{"all nodes excluded", func(in *announce.Input) {
			in.Nodes[0].Excluded, in.Nodes[1].Excluded, in.Nodes[2].Excluded = true, true, true
		},
			announce.ReasonNodeExcluded, label + ", and so have all 3 nodes" + remedy},
		{"the only node excluded", func(in *announce.Input) { in.Nodes = in.Nodes[:1]; in.Nodes[0].Excluded = true },
			announce.ReasonNodeExcluded, label + ", and it is the only node" + remedy},
		{"no endpoint", func(in *announce.Input) { in.Services[0].Endpoints = announce.Endpoints{} },
			announce.ReasonNoEndpoints, "the Service has no serving endpoint"},
		{"Local and no endpoint", func(in *announce.Input) { in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{} },
			announce.ReasonNoLocalEndpoints, "the Service has no serving endpoint, on node n1 or elsewhere, and externalTrafficPolicy is Local"},
		{"Local and endpoints elsewhere", func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{Serving: 3, OnNode: map[string]int{"n2": 3}}
		}, announce.ReasonNoLocalEndpoints, "node n1 has none of the 3 serving endpoints and externalTrafficPolicy is Local"},
		{"Local and endpoints without a node", func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{Serving: 3, OnNode: map[string]int{"n2": 1}}
		}, announce.ReasonNoLocalEndpoints,
			"node n1 has none of the 3 serving endpoints (2 without a node name, which never count) and externalTrafficPolicy is Local"},
	} {
		t.Run(c.given, func(t *testing.T) {
			in := plain()
			c.change(&in)
			got := announce.Compute(in).Verdicts[0]
			if diff := cmp.Diff(announce.Reason{Code: c.code, Detail: c.detail}, got.Reason); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.Announce != (c.code == announce.ReasonNone) {
				t.Errorf("announced is %t", got.Announce)
			}
		})
	}
}

// TestGivenAggregatesOfTwoAdvertisementsWhenTheyMeetThenBothStand: an address is refused for a contradiction among its own advertisements,
// never for what another Service's say.
func TestGivenAggregatesOfTwoAdvertisementsWhenTheyMeetThenBothStand(t *testing.T) {
	in := plain()
	in.Config.BGPAdvertisements = []intent.BGPAdvertisement{
		{Name: "a", Pools: []string{"p0"}, AggregationLength: 8, LocalPref: 100},
		{Name: "b", Pools: []string{"p1"}, AggregationLength: 8, LocalPref: 200},
	}
	second := in.Services[0]
	second.Key.Name, second.Addresses = "second", []netip.Addr{netip.MustParseAddr("10.9.0.1")}
	in.Services = append(in.Services, second)
	got := announce.Compute(in)
	prefixes := got.BGP.Routers[0].Prefixes
	if len(prefixes) != 1 || prefixes[0].Prefix.String() != "10.0.0.0/8" || len(prefixes[0].Tags) != 2 {
		t.Errorf("prefixes are %v: wanted 10.0.0.0/8 with both tags", prefixes)
	}
	for _, v := range got.Verdicts {
		if !v.Announce {
			t.Errorf("%s is not announced: %s", v.Service, v.Reason.Detail)
		}
	}
}

func TestTagsAreStable(t *testing.T) {
	// printf %s announce | sha256sum begins with f178ad42d80eb9cd.
	if got, want := announce.TagOf("announce").String(), "4294967295:4051217730:3624843725"; got != want {
		t.Errorf("tag is %s: wanted %s", got, want)
	}
}
