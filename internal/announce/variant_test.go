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
)

// leaving is a node with an eBGP router, and an advertisement that leaves things to Services.
func leaving(services ...announce.Service) announce.Input {
	return announce.Input{
		Node:  "n0",
		Nodes: []announce.NodeInfo{{Name: "n0"}, {Name: "n1"}},
		Config: intent.Snapshot{
			Pools: pools(),
			Peers: []intent.Peer{{Name: "tor", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr("198.51.100.1")}},
			BGPAdvertisements: []intent.BGPAdvertisement{{
				Name: "ad", Pools: []string{"p0"}, AggregationLength: 32, AggregationLengthV6: 128, Communities: []intent.Community{{A: 1, B: 1}},
				ASPathPrepend: 1, MED: intent.MED{Set: true, Value: 10}, LinkBandwidth: 100,
				Overrides: intent.Overrides{
					Communities:      []intent.AllowedCommunity{{Text: "blue", Value: intent.Community{A: 9, B: 9}}, {Text: "no-export", Value: intent.Community{A: 65535, B: 65281}}},
					MaxASPathPrepend: 3, MED: intent.Span{Set: true, Min: 5, Max: 20}, LocalPref: intent.Span{Set: true, Min: 1, Max: 9},
				},
			}},
		},
		Services: services,
	}
}

// asking is a Service with an address and, on node n0, so many endpoints of its own; 0 makes its policy Cluster.
func asking(name, address string, asked announce.Asked, local int) announce.Service {
	return announce.Service{
		Key: ipam.ServiceKey{Namespace: "ns", Name: name}, Addresses: []netip.Addr{netip.MustParseAddr(address)}, Asked: asked, Local: local > 0,
		Endpoints: announce.Endpoints{Serving: local + 1, OnNode: map[string]int{"n0": local}},
	}
}

// does returns, in words, what the policies of the first neighbor do to a prefix.
func does(n announce.Node, prefix string) []string {
	var out []string
	r := n.BGP.Routers[0]
	at := slices.IndexFunc(r.Prefixes, func(p announce.Prefix) bool { return p.Prefix.String() == prefix })
	if at < 0 {
		return []string{"nothing"}
	}
	for _, p := range r.Neighbors[0].Policies {
		if slices.Contains(r.Prefixes[at].Tags, p.Tag) {
			out = append(out, fmt.Sprintf("%s: %v pref %d prepend %d med %v %d Mbit/s", p.Advertisement, p.Communities, p.LocalPref, p.ASPathPrepend, p.MED, p.LinkBandwidth))
		}
	}
	return out
}

func TestGivenWhatAServiceAsksWhenItIsAllowedThenItsRouteHasItAndWhatIsNotIsIgnoredAndSaid(t *testing.T) {
	const ordinary = "ad: [1:1] pref 0 prepend 1 med {true 10} 0 Mbit/s"
	for _, row := range []struct {
		asked   announce.Asked
		does    string
		remarks string
	}{
		{announce.Asked{}, ordinary, ""},
		{announce.Asked{Communities: "65535:65281, blue,1:1"}, "ad: [1:1 9:9 65535:65281] pref 0 prepend 1 med {true 10} 0 Mbit/s",
			`metallb.io/bgp-communities is "1:1": wanted one of blue, no-export, as allowed by BGPAdvertisement ad`},
		{announce.Asked{ASPathPrepend: "3", MED: "20", LocalPref: "9"}, "ad: [1:1] pref 9 prepend 3 med {true 20} 0 Mbit/s", ""},
		{announce.Asked{ASPathPrepend: "0"}, "ad: [1:1] pref 0 prepend 0 med {true 10} 0 Mbit/s", ""},
		{announce.Asked{ASPathPrepend: "1", MED: "10"}, ordinary, ""},
		{announce.Asked{ASPathPrepend: "4", MED: "5"}, "ad: [1:1] pref 0 prepend 1 med {true 5} 0 Mbit/s",
			`metallb.io/bgp-as-path-prepend is "4": wanted 0 to 3, as allowed by BGPAdvertisement ad`},
		{announce.Asked{MED: "4", LocalPref: "x", Communities: "green"}, ordinary,
			`metallb.io/bgp-communities is "green": wanted one of blue, no-export, as allowed by BGPAdvertisement ad; ` +
				`metallb.io/bgp-med is "4": wanted 5 to 20, as allowed by BGPAdvertisement ad; ` +
				`metallb.io/bgp-local-pref is "x": wanted 1 to 9, as allowed by BGPAdvertisement ad`},
	} {
		n := announce.Compute(leaving(asking("web", "10.0.0.1", row.asked, 0)))
		if diff := cmp.Diff([]string{row.does}, does(n, "10.0.0.1/32")); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", row.asked, diff)
		}
		var remarks []string
		for _, r := range n.Verdicts[0].Remarks {
			if r.Code != announce.RemarkNotAllowed || !r.Here {
				t.Errorf("%+v: remark %+v, wanted one that this node tells", row.asked, r)
			}
			remarks = append(remarks, r.Detail)
		}
		if got := strings.Join(remarks, "\n"); got != row.remarks {
			t.Errorf("%+v: remarks are\n%s\nwanted\n%s", row.asked, got, row.remarks)
		}
	}
}

func TestGivenAnAdvertisementThatAllowsNothingWhenAServiceAsksThenItIsAnnouncedAsTheAdvertisementSays(t *testing.T) {
	in := leaving(asking("web", "10.0.0.1", announce.Asked{Communities: "blue", ASPathPrepend: "1", MED: "7", LocalPref: "7"}, 0))
	in.Config.BGPAdvertisements[0].Overrides = intent.Overrides{}
	n := announce.Compute(in)
	if got := does(n, "10.0.0.1/32"); len(got) != 1 || got[0] != "ad: [1:1] pref 0 prepend 1 med {true 10} 0 Mbit/s" {
		t.Errorf("the route is %v", got)
	}
	if v := n.Verdicts[0]; !v.Announce || len(v.Remarks) != 1 || strings.Count(v.Remarks[0].Detail, "wanted none, as spec.serviceOverrides.") != 4 {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestGivenManyServicesThatAskForTheSameWhenComputedThenTheyShareOnePolicyThatGoesWithTheLast(t *testing.T) {
	var services []announce.Service
	for i := range 200 {
		services = append(services, asking(fmt.Sprintf("s%03d", i), fmt.Sprintf("10.0.0.%d", i+1), announce.Asked{MED: "7"}, 0))
	}
	usual := len(announce.Compute(leaving()).BGP.Routers[0].Neighbors[0].Policies)
	if got := len(announce.Compute(leaving(services...)).BGP.Routers[0].Neighbors[0].Policies); got != usual+1 {
		t.Errorf("200 Services that ask for the same make %d policies of %d", got, usual)
	}
	steps := announce.NewIncremental(leaving())
	for _, count := range []int{2, 1, 0} {
		var list []*announce.Service
		for i := range count {
			list = append(list, &services[i])
		}
		want := usual + min(count, 1)
		if got := len(steps.Compute(list).BGP.Routers[0].Neighbors[0].Policies); got != want {
			t.Errorf("with %d Services that ask there are %d policies, wanted %d", count, got, want)
		}
	}
}

func TestGivenLinkBandwidthWhenEndpointsComeAndGoThenTheRouteFollowsAndNoPolicyChanges(t *testing.T) {
	before := announce.Compute(leaving()).BGP.Routers[0].Neighbors
	for endpoints, want := range map[int]string{1: "100 Mbit/s", 3: "300 Mbit/s", 8: "800 Mbit/s"} {
		n := announce.Compute(leaving(asking("web", "10.0.0.1", announce.Asked{}, endpoints), asking("other", "10.0.0.2", announce.Asked{}, 2)))
		if got := does(n, "10.0.0.1/32"); len(got) != 1 || !strings.HasSuffix(got[0], want) {
			t.Errorf("%d endpoints: %v, wanted %s", endpoints, got, want)
		}
		if got := does(n, "10.0.0.2/32"); len(got) != 1 || !strings.HasSuffix(got[0], " 200 Mbit/s") {
			t.Errorf("the other Service's route is %v", got)
		}
		if diff := cmp.Diff(before, n.BGP.Routers[0].Neighbors, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }), cmp.Comparer(func(a, b intent.Secret) bool { return a == b })); diff != "" {
			t.Errorf("%d endpoints change the policies:\n%s", endpoints, diff)
		}
	}
	for endpoints, want := range map[int]string{9: "900 Mbit/s", 1000: "25600 Mbit/s"} {
		if got := does(announce.Compute(leaving(asking("web", "10.0.0.1", announce.Asked{}, endpoints))), "10.0.0.1/32"); len(got) != 1 || !strings.HasSuffix(got[0], want) {
			t.Errorf("%d endpoints: %v, wanted %s", endpoints, got, want)
		}
	}
	if got := does(announce.Compute(leaving(asking("web", "10.0.0.1", announce.Asked{}, 0))), "10.0.0.1/32"); len(got) != 1 || !strings.HasSuffix(got[0], " 0 Mbit/s") {
		t.Errorf("with the policy Cluster the route is %v", got)
	}
}

func TestGivenASharedAddressWhenItsServicesAskForDifferentThingsThenOnePolicyAppliesWithWhatTheyAgreeOn(t *testing.T) {
	n := announce.Compute(leaving(
		asking("a", "10.0.0.1", announce.Asked{Communities: "blue", ASPathPrepend: "3", MED: "7"}, 2),
		asking("b", "10.0.0.1", announce.Asked{Communities: "no-export", ASPathPrepend: "2", MED: "7"}, 1),
	))
	want := []string{"ad: [1:1 9:9 65535:65281] pref 0 prepend 1 med {true 7} 100 Mbit/s"}
	if diff := cmp.Diff(want, does(n, "10.0.0.1/32")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGivenAWishThatContradictsAnotherAdvertisementWhenComputedThenTheServiceIsAnnouncedWithoutIt(t *testing.T) {
	in := leaving(asking("web", "10.0.0.1", announce.Asked{MED: "7"}, 0))
	second := intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, AggregationLength: 32, AggregationLengthV6: 128, MED: intent.MED{Set: true, Value: 10}}
	in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, second)
	n := announce.Compute(in)
	v := n.Verdicts[0]
	const want = `what the annotations ask for is ignored: for the same /32 to BGPPeer tor, BGPAdvertisement ad sets med 7 and BGPAdvertisement second sets 10`
	if !v.Announce || len(v.Remarks) != 1 || v.Remarks[0].Detail != want {
		t.Errorf("the verdict is %+v", v)
	}
}

func TestGivenAdvertisementsThatContradictEachOtherWhenComputedThenTheReasonNamesBothAndTheirValues(t *testing.T) {
	for field, change := range map[string]func(*intent.BGPAdvertisement){
		"asPathPrepend 1 and BGPAdvertisement second sets 2": func(ad *intent.BGPAdvertisement) { ad.ASPathPrepend = 2 },
		"med 10 and BGPAdvertisement second sets 0":          func(ad *intent.BGPAdvertisement) { ad.MED = intent.MED{Set: true} },
	} {
		in := leaving(asking("web", "10.0.0.1", announce.Asked{}, 0))
		second := intent.BGPAdvertisement{Name: "second", Pools: []string{"p0"}, AggregationLength: 32, AggregationLengthV6: 128}
		change(&second)
		in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, second)
		v := announce.Compute(in).Verdicts[0]
		if v.Announce || v.Reason.Code != announce.ReasonConflictingAds || v.Reason.Detail != "for the same /32 to BGPPeer tor, BGPAdvertisement ad sets "+field {
			t.Errorf("the verdict is %+v", v)
		}
		if in.Config.Peers[0].PeerASN = 64512; strings.HasPrefix(field, "asPath") && !announce.Compute(in).Verdicts[0].Announce {
			t.Error("asPathPrepend counts on an iBGP session")
		}
	}
}

func TestGivenSeveralNodesWhenThereIsARemarkThenOneOfThemTellsIt(t *testing.T) {
	for _, local := range []int{0, 1} {
		in := leaving(asking("web", "10.0.0.1", announce.Asked{MED: "99"}, local))
		in.Nodes = append(in.Nodes, announce.NodeInfo{Name: "a-excluded", Excluded: true}, announce.NodeInfo{Name: "a-without-endpoints"})
		if local == 0 {
			in.Nodes = in.Nodes[:3]
		}
		in.Services[0].Endpoints.OnNode["n1"] = 1
		for _, node := range []string{"n0", "n1"} {
			in.Node = node
			if v := announce.Compute(in).Verdicts[0]; len(v.Remarks) != 1 || v.Remarks[0].Here != (node == "n0") {
				t.Errorf("node %s: %+v", node, v)
			}
		}
	}
}

func TestGivenAnAggregateWhenAServiceIsLocalThenItsUserIsTold(t *testing.T) {
	in := leaving(asking("web", "10.0.0.1", announce.Asked{}, 1), asking("all", "10.0.0.2", announce.Asked{}, 0))
	in.Config.BGPAdvertisements[0].AggregationLength, in.Config.BGPAdvertisements[0].LinkBandwidth = 24, 0
	for _, v := range announce.Compute(in).Verdicts {
		told := len(v.Remarks) == 1 && v.Remarks[0].Code == announce.RemarkLocalAggregate && strings.Contains(v.Remarks[0].Detail, "announces a /24 around the address")
		if !v.Announce || told != (v.Service.Name == "web") {
			t.Errorf("the verdict is %+v", v)
		}
	}
}
