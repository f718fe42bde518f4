package announce_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// everybody reports from all nodes of the input, and nothing of Services.
func everybody(in *announce.Input) *announce.Heard {
	h := &announce.Heard{Speakers: map[string]announce.Speaker{}}
	for _, n := range in.Nodes {
		h.Speakers[n.Name] = announce.Speaker{}
	}
	return h
}

// honest is what speakers report once they have done all that they decide for the Service by BGP.
func honest(in announce.Input, svc *announce.Service) *announce.Heard {
	h := everybody(&in)
	for _, n := range in.Nodes {
		in.Node = n.Name
		route := announce.Route{Node: n.Name}
		got := map[string][]netip.Addr{}
		for _, v := range announce.Compute(in).Verdicts {
			if v.Service == svc.Key && v.Announce {
				for _, peer := range v.Peers {
					got[peer] = append(got[peer], v.Address)
				}
			}
		}
		for peer, addresses := range got {
			route.Peers = append(route.Peers, peer)
			route.Sent = append(route.Sent, announce.Delivery{Peer: peer, Addresses: addresses})
		}
		slices.Sort(route.Peers)
		if len(route.Peers) > 0 {
			h.Routes = append(h.Routes, route)
		}
	}
	return h
}

func assess(in announce.Input, svc *announce.Service, heard *announce.Heard) announce.Assessment {
	all := make([]*announce.Service, len(in.Services))
	for i := range in.Services {
		all[i] = &in.Services[i]
	}
	return announce.Assess(svc, heard, func() []announce.View { return announce.NewSurvey(in).Of(svc.Key, all) })
}

func TestAnAssessmentIsAYesExactlyForWhatANodeAnnounces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		for i := range in.Services {
			svc := &in.Services[i]
			heard := honest(in, svc)
			sent, codes := map[netip.Addr]bool{}, map[announce.ReasonCode]bool{}
			for _, n := range in.Nodes {
				one := in
				one.Node = n.Name
				for _, v := range announce.Compute(one).Verdicts {
					if v.Service == svc.Key {
						sent[v.Address] = sent[v.Address] || v.Announce
						codes[v.Reason.Code] = true
					}
				}
			}
			count := 0
			for _, yes := range sent {
				if yes {
					count++
				}
			}
			a := assess(in, svc, heard)
			want := announce.Assessment{Announced: announce.No}
			switch {
			case len(svc.Addresses) == 0:
				want.Code = announce.ReasonNoAddress
			case len(in.Nodes) == 0:
				want.Code = announce.ReasonUnknownNode
			case count == len(svc.Addresses):
				want.Announced, want.Code = announce.Yes, announce.ReasonAnnounced
			case count > 0:
				want.Announced, want.Code = announce.Yes, announce.ReasonPartlyAnnounced
			default:
				if want.Code = a.Code; !codes[a.Code] {
					t.Fatalf("%s is not announced for the reason %q, which no node has: %v", svc.Key, a.Code, codes)
				}
			}
			if a.Announced != want.Announced || a.Code != want.Code || a.Detail == "" {
				t.Fatalf("%s is %+v, want %+v: %d of %d addresses are announced", svc.Key, a, want, count, len(svc.Addresses))
			}
		}
	})
}

func TestAnAssessmentFollowsFromWhatThereIsAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		in.Config.L2Advertisements = rapid.SampledFrom([][]intent.L2Advertisement{nil, {{Name: "l2", Pools: []string{"p0"}, Nodes: set("zone=a")}}}).Draw(t, "l2")
		heard := everybody(&in)
		for node := range heard.Speakers {
			if rapid.Bool().Draw(t, "no speaker") {
				delete(heard.Speakers, node)
			}
		}
		survey := announce.NewSurvey(in)
		all := make([]*announce.Service, len(in.Services))
		for i := range in.Services {
			all[i] = &in.Services[i]
		}
		again := shuffled(t, in)
		for i := range again.Services {
			// On layer 2 the order of a Service's addresses has a meaning: which node is to have which.
			again.Services[i].Addresses = all[slices.IndexFunc(all, func(s *announce.Service) bool { return s.Key == again.Services[i].Key })].Addresses
		}
		for _, svc := range all {
			// One survey is asked about many Services, one after the other.
			got := announce.Assess(svc, heard, func() []announce.View { return survey.Of(svc.Key, all) })
			k := slices.IndexFunc(again.Services, func(s announce.Service) bool { return s.Key == svc.Key })
			if want := assess(again, &again.Services[k], heard); got != want {
				t.Fatalf("%s is %+v, and in another order %+v", svc.Key, got, want)
			}
			if got.Detail == "" || got.Code == "" || got.Announced == announce.Yes {
				t.Fatalf("%s, of which nobody reports anything, is %+v", svc.Key, got)
			}
		}
	})
}

func TestAnAssessmentSaysWhatTheEventSays(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		for i := range in.Services {
			svc := &in.Services[i]
			if len(svc.Addresses) != 1 || len(in.Nodes) == 0 {
				continue
			}
			in.Node = "n0"
			for _, v := range announce.Compute(in).Verdicts {
				if v.Service != svc.Key || !v.Everywhere {
					continue
				}
				want := announce.Assessment{Announced: announce.No, Reason: announce.Reason{Code: v.Reason.Code,
					Detail: announce.NoNode([]netip.Addr{v.Address}, announce.ProtocolBGP, v.Reason.Detail)}}
				if got := assess(in, svc, everybody(&in)); got != want {
					t.Fatalf("assessed as %+v, while the event says %+v", got, want)
				}
			}
		}
	})
}

// told is a route of plain's Service that one node says it sends to the BGPPeer tor, or does not.
func told(node string, missing announce.ReasonCode, why string, addresses ...string) announce.Route {
	d := announce.Delivery{Peer: "tor", Missing: announce.Reason{Code: missing, Detail: why}}
	for _, a := range addresses {
		d.Addresses = append(d.Addresses, netip.MustParseAddr(a))
	}
	return announce.Route{Node: node, Peers: []string{"tor"}, Sent: []announce.Delivery{d}}
}

func TestWhyAServiceIsNotAnnounced(t *testing.T) {
	const down = "the session with 198.51.100.1 is not Established: its BGPSessionState says more"
	type world struct {
		announce.Input
		*announce.Heard
	}
	layer2 := func(w *world) {
		w.Config.BGPAdvertisements, w.Config.L2Advertisements = nil, []intent.L2Advertisement{{Name: "l2", Pools: []string{"p0"}}}
	}
	local := func(w *world, nodes ...string) {
		svc := &w.Services[0]
		svc.Local, svc.Endpoints = true, announce.Endpoints{Serving: len(nodes), OnNode: map[string]int{}}
		for _, n := range nodes {
			svc.Endpoints.OnNode[n]++
		}
	}
	for given, row := range map[string]struct {
		change func(*world)
		answer announce.Answer
		code   announce.ReasonCode
		detail string
	}{
		"one node sends it": {func(w *world) { w.Routes = []announce.Route{told("n2", "", "", "10.0.0.1")} },
			announce.Yes, announce.ReasonAnnounced, "announced by BGP from node n2 to BGPPeer tor"},
		"several do, and another one's session is down": {func(w *world) {
			w.Routes = []announce.Route{told("n1", "", "", "10.0.0.1"), told("n2", announce.ReasonSessionDown, down), told("n3", "", "", "10.0.0.1")}
		}, announce.Yes, announce.ReasonAnnounced, "announced by BGP from 2 nodes to BGPPeer tor"},
		"all sessions are down": {func(w *world) {
			w.Routes = []announce.Route{told("n1", announce.ReasonSessionDown, down), told("n2", announce.ReasonSessionDown, down)}
		}, announce.No, announce.ReasonSessionDown, "no node announces 10.0.0.1: nodes n1, n2, BGPPeer tor: " + down},
		"all sessions are down, and it is known why": {func(w *world) {
			w.Routes = []announce.Route{told("n1", announce.ReasonSessionDown, down), told("n2", announce.ReasonSessionDown, down), told("n3", announce.ReasonNotSent, "filtered")}
			w.Diagnoses = map[announce.Session]string{{Node: "n1", Peer: "tor"}: "NoRoute: no way", {Node: "n3", Peer: "tor"}: "MissingAddressFamily: no IPv4", {Node: "n2", Peer: "other"}: "Ceased: of another session"}
		}, announce.No, announce.ReasonNotSent, "no node announces 10.0.0.1: node n1, BGPPeer tor: the session is not Established: NoRoute: no way; " +
			"node n2, BGPPeer tor: " + down + "; node n3, BGPPeer tor: filtered; MissingAddressFamily: no IPv4"},
		"FRR does not send it": {func(w *world) {
			w.Routes = []announce.Route{told("n1", announce.ReasonSessionDown, down), told("n2", announce.ReasonNotSent, "filtered")}
		}, announce.No, announce.ReasonNotSent, "no node announces 10.0.0.1: node n1, BGPPeer tor: " + down + "; node n2, BGPPeer tor: filtered"},
		"not known yet what was sent": {func(w *world) { w.Routes = []announce.Route{{Node: "n1", Peers: []string{"tor"}}} },
			announce.Unknown, announce.ReasonPending, "no node announces 10.0.0.1: node n1 is configured to, and what it sends is not known yet"},
		"nobody reports yet": {func(*world) {}, announce.Unknown, announce.ReasonPending,
			"no node announces 10.0.0.1: node n1 is to announce it and does not report it yet; node n2 is to announce it and does not report it yet; " +
				"node n3 is to announce it and does not report it yet"},
		"no speaker": {func(w *world) { w.Speakers = nil }, announce.No, announce.ReasonNotMember,
			"no node announces 10.0.0.1: node n1 is to announce it, and no speaker reports from there; node n2 is to announce it, and no speaker reports from there; " +
				"node n3 is to announce it, and no speaker reports from there"},
		"FRR refuses the configuration": {func(w *world) {
			for n := range w.Speakers {
				w.Speakers[n] = announce.Speaker{Failure: "FRR refuses line 9"}
			}
		}, announce.No, announce.ReasonApplyFailed,
			"no node announces 10.0.0.1: node n1: FRR refuses line 9; node n2: FRR refuses line 9; node n3: FRR refuses line 9"},
		"all nodes have drained": {func(w *world) {
			for n := range w.Speakers {
				w.Speakers[n] = announce.Speaker{Drained: "node " + n + " is unschedulable: withdrawn"}
			}
		}, announce.No, announce.ReasonDraining, "no node announces 10.0.0.1: node n1 is unschedulable: withdrawn; node n2 is unschedulable: withdrawn; " +
			"node n3 is unschedulable: withdrawn"},
		"one of two nodes is lost": {func(w *world) {
			w.Routes = []announce.Route{told("n1", "", "", "10.0.0.1"), told("n2", "", "", "10.0.0.1")}
			w.Lost = map[string]bool{"n1": true}
		}, announce.Yes, announce.ReasonAnnounced, "announced by BGP from node n2 to BGPPeer tor"},
		"the only node is lost": {func(w *world) {
			w.Routes = []announce.Route{told("n1", "", "", "10.0.0.1")}
			w.Lost = map[string]bool{"n1": true}
			local(w, "n1")
		}, announce.Unknown, announce.ReasonNodeLost, "no node announces 10.0.0.1: node n1 is to announce it, and Kubernetes has not heard from that node for a while; " +
			"node n2 has none of the 1 serving endpoints"},
		"layer 2, of a node that is lost": {func(w *world) {
			layer2(w)
			local(w, "n1")
			w.Answering, w.Lost, w.Members = []string{"n1"}, map[string]bool{"n1": true}, []string{"n2", "n3"}
		}, announce.No, announce.ReasonNoLocalEndpoints, "node n1: its speaker is not alive, or cannot be reached from here"},
		"no address": {func(w *world) { w.Services[0].Addresses = nil }, announce.No, announce.ReasonNoAddress,
			"the Service has no address: its condition metallb.io/Allocated says why"},
		"no advertisement": {func(w *world) { w.Config.BGPAdvertisements = nil }, announce.No, announce.ReasonNoAdvertisement,
			"no node announces 10.0.0.1: there is neither a BGPAdvertisement nor an L2Advertisement"},
		"no peer": {func(w *world) { w.Config.Peers = nil }, announce.No, announce.ReasonNoPeer, "no node announces 10.0.0.1: there is no BGPPeer"},
		"no endpoint and Local": {func(w *world) { local(w) }, announce.No, announce.ReasonNoLocalEndpoints,
			"no node announces 10.0.0.1: the Service has no serving endpoint, on node n1 or elsewhere, and externalTrafficPolicy is Local"},
		"Local, with endpoints on nodes that are not selected": {func(w *world) {
			local(w, "n3")
			w.Config.BGPAdvertisements[0].Nodes = selector.Set{labelIs{"zone", "a"}}
		}, announce.No, announce.ReasonNoLocalEndpoints, "no node announces 10.0.0.1: node n1 has none of the 1 serving endpoints and externalTrafficPolicy is Local; " +
			"no advertisement of pool p0 selects node n2: there is only the BGPAdvertisement ad; no advertisement of pool p0 selects node n3: there is only the BGPAdvertisement ad"},
		"all nodes are excluded": {func(w *world) {
			for i := range w.Nodes {
				w.Nodes[i].Excluded = true
			}
		}, announce.No, announce.ReasonNodeExcluded, "no node announces 10.0.0.1: node n1 has the label node.kubernetes.io/exclude-from-external-load-balancers, " +
			"and so have all 3 nodes: nothing is announced anywhere; remove the label where traffic may enter, or let speakers ignore it (spec.ignoreExcludeLB of the MetalLB object)"},
		"no nodes":                    {func(w *world) { w.Nodes = nil }, announce.No, announce.ReasonUnknownNode, "no node announces 10.0.0.1: the cluster has no nodes"},
		"layer 2":                     {func(w *world) { layer2(w); w.Answering = []string{"n3"} }, announce.Yes, announce.ReasonAnnounced, "answered for on layer 2 by node n3"},
		"layer 2, and nobody answers": {layer2, announce.No, announce.ReasonNotAnswered, "is to answer for it and does not"},
		"layer 2, of a node that is gone": {func(w *world) {
			layer2(w)
			w.Speakers = nil
		}, announce.No, announce.ReasonNotMember, "is to answer for it, and no speaker reports from there"},
		"layer 2, without an endpoint": {func(w *world) {
			layer2(w)
			w.Services[0].Endpoints = announce.Endpoints{}
		}, announce.No, announce.ReasonNoEndpoints, "no node answers for 10.0.0.1: the Service has no serving endpoint"},
		"layer 2, without the link": {func(w *world) {
			layer2(w)
			w.Config.L2Advertisements[0].Interfaces = []string{"eth1"}
			for i := range w.Nodes {
				w.Nodes[i].Links = []string{"eth0"}
			}
		}, announce.No, announce.ReasonInterfaceMissing, "no node answers for 10.0.0.1: node n1: interface eth1 missing; no node announces it: " +
			"node n2: interface eth1 missing; node n3: interface eth1 missing"},
		"layer 2 without the link, and BGP without a peer": {func(w *world) {
			ads := w.Config.BGPAdvertisements
			layer2(w)
			w.Config.BGPAdvertisements, w.Config.Peers = ads, nil
			w.Config.L2Advertisements[0].Interfaces = []string{"eth1"}
			for i := range w.Nodes {
				w.Nodes[i].Links = []string{"eth0"}
			}
		}, announce.No, announce.ReasonInterfaceMissing, "; by BGP: there is no BGPPeer"},
		"one family of two": {func(w *world) {
			w.Services[0].Addresses = append(w.Services[0].Addresses, netip.MustParseAddr("2001:db8::1"))
			w.Routes = []announce.Route{told("n1", "", "", "10.0.0.1")}
		}, announce.Yes, announce.ReasonPartlyAnnounced, "announced by BGP from node n1 to BGPPeer tor; no node announces 2001:db8::1: " +
			"the address is IPv6 and the sessions with the BGPPeer tor do not carry IPv6 (dualStackAddressFamily is false)"},
		"two addresses on layer 2, of which one's pool is for other Services": {func(w *world) {
			layer2(w)
			w.Services[0].Addresses = append(w.Services[0].Addresses, netip.MustParseAddr("10.9.0.1"))
			w.Answering = []string{"n1"}
		}, announce.Yes, announce.ReasonPartlyAnnounced, "answered for on layer 2 by node n1; no node announces 10.9.0.1: there is no BGPAdvertisement, " +
			"and none of the 1 L2Advertisements is for pool p1"},
	} {
		t.Run(given, func(t *testing.T) {
			in := plain()
			w := &world{in, everybody(&in)}
			row.change(w)
			got := assess(w.Input, &w.Services[0], w.Heard)
			if got.Announced != row.answer || got.Code != row.code || !strings.Contains(got.Detail, row.detail) {
				t.Errorf("assessed as %+v, want %v, %s, %q", got, row.answer, row.code, row.detail)
			}
		})
	}
}

func TestGivenManyNodesWhenAssessedThenTheMessageStaysReadable(t *testing.T) {
	in := plain()
	in.Nodes = nil
	for i := range 300 {
		in.Nodes = append(in.Nodes, announce.NodeInfo{Name: "node-" + strings.Repeat("x", i)})
	}
	if got := assess(in, &in.Services[0], everybody(&in)); len(got.Detail) > 1024 || !strings.HasSuffix(got.Detail, "and so on for 297 more") {
		t.Errorf("a message of %d bytes: %s", len(got.Detail), got.Detail)
	}
}

func TestASurveyHearsEachNodeAndLayer2Once(t *testing.T) {
	in := flat("n1", "n2", "n3")
	svc := web("web", "10.0.0.1")
	in.Members = []string{"n2", "n3"}
	views := announce.NewSurvey(in).Of(svc.Key, []*announce.Service{&svc})
	var heard []string
	for _, view := range views {
		for _, v := range view.Verdicts {
			heard = append(heard, view.Node+" "+string(v.Protocol))
			if v.Protocol == announce.ProtocolLayer2 && v.Owner == "" {
				t.Errorf("nobody owns %s", v.Address)
			}
		}
	}
	if want := []string{"n1 bgp", "n2 bgp", "n2 layer2", "n3 bgp"}; !reflect.DeepEqual(heard, want) {
		t.Errorf("heard %v, want %v", heard, want)
	}
	if got := announce.NewSurvey(in).Of(ipam.ServiceKey{Name: "another"}, []*announce.Service{&svc}); len(got) != 3 || len(got[0].Verdicts) != 0 {
		t.Errorf("of a Service that is not there: %+v", got)
	}
}
