package announce_test

import (
	"fmt"
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

// drawCluster is an input with up to four nodes, some of which drain.
func drawCluster(t *rapid.T) announce.Input {
	in := drawInput(t)
	in.Nodes = nil
	if rapid.IntRange(0, 3).Draw(t, "any configuration") > 0 { // of those, most announce nothing
		in.Config = aDrain().Config
	}
	for i := range rapid.IntRange(1, 4).Draw(t, "cluster nodes") {
		n := announce.NodeInfo{Name: fmt.Sprintf("n%d", i), Labels: drawLabels(t, "zone"),
			NetworkUnavailable: rapid.IntRange(0, 7).Draw(t, "unavailable") == 0, Excluded: rapid.IntRange(0, 7).Draw(t, "excluded") == 0}
		if rapid.IntRange(0, 3).Draw(t, "drains") > 0 {
			n.Draining = "is unschedulable"
		}
		in.Nodes = append(in.Nodes, n)
	}
	if rapid.Bool().Draw(t, "gossip") {
		in.Members = []string{}
		for _, n := range in.Nodes {
			if rapid.IntRange(0, 3).Draw(t, "alive") > 0 {
				in.Members = append(in.Members, n.Name)
			}
		}
	}
	return in
}

// as is the input as the speaker of another node has it, in a stage of its drain.
func as(in announce.Input, node string, stage announce.Drain) announce.Input {
	in.Node, in.Drain = node, stage
	return in
}

// where is on which nodes each address of each Service is announced, when each node is in the stage that stages says.
func where(in announce.Input, stages map[string]announce.Drain) map[string][]string {
	found := map[string][]string{}
	for _, n := range in.Nodes {
		if in.Members != nil && !slices.Contains(in.Members, n.Name) {
			continue // its speaker is dead: nobody may count on it
		}
		for _, v := range announce.Compute(as(in, n.Name, stages[n.Name])).Verdicts {
			if v.Announce {
				key := fmt.Sprint(v.Service, v.Address)
				found[key] = append(found[key], n.Name)
			}
		}
	}
	return found
}

// TestADrainNeverTakesAnAddressAwayFromTheLastNode lets every draining node be at any stage, each by itself, as in a real cluster.
func TestADrainNeverTakesAnAddressAwayFromTheLastNode(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawCluster(t)
		stages := map[string]announce.Drain{}
		for _, n := range in.Nodes {
			if n.Draining != "" {
				stages[n.Name] = announce.Drain(min(2, rapid.IntRange(0, 5).Draw(t, "stage")))
			}
		}
		after := where(in, stages)
		for address, before := range where(in, nil) {
			if len(after[address]) == 0 {
				t.Fatalf("%s was announced by %v and is by nobody, stages %v", address, before, stages)
			}
		}
	})
}

// TestADrainMovesOnlyItsOwn: what a node that does not drain announces does not depend on the stage of any other.
func TestADrainMovesOnlyItsOwn(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawCluster(t)
		calm := in
		calm.Nodes = slices.Clone(in.Nodes)
		for i := range calm.Nodes {
			calm.Nodes[i].Draining = ""
		}
		for _, n := range in.Nodes {
			if n.Draining != "" {
				continue
			}
			if was, is := announce.Compute(as(calm, n.Name, announce.DrainNone)), announce.Compute(as(in, n.Name, announce.DrainNone)); !reflect.DeepEqual(was, is) {
				t.Fatalf("the drain of others changes what %s announces:\n%+v\n%+v", n.Name, was, is)
			}
		}
	})
}

// TestTheStagesOfADrain holds each stage to what it is: yielding changes one word, withdrawing takes routes away and adds none, and undoing
// restores everything.
func TestTheStagesOfADrain(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawCluster(t)
		in.WithdrawLast = rapid.Bool().Draw(t, "withdraw last")
		before := announce.Compute(as(in, "n0", announce.DrainNone))
		yielding := announce.Compute(as(in, "n0", announce.DrainYielding))
		withdrawn := announce.Compute(as(in, "n0", announce.DrainWithdrawn))
		if before.BGP.GracefulShutdown || !yielding.BGP.GracefulShutdown || !withdrawn.BGP.GracefulShutdown {
			t.Fatalf("graceful shutdown is %t, %t, %t", before.BGP.GracefulShutdown, yielding.BGP.GracefulShutdown, withdrawn.BGP.GracefulShutdown)
		}
		yielding.BGP.GracefulShutdown = false
		if !reflect.DeepEqual(yielding, before) {
			t.Fatalf("yielding changes more than the word:\n%+v\n%+v", before, yielding)
		}
		was := sent(before)
		for s := range sent(withdrawn) {
			if !was[s] {
				t.Fatalf("withdrawing sends %+v", s)
			}
		}
		for i := range before.BGP.Routers {
			checkSessionsStay(t, before.BGP.Routers[i].Neighbors, withdrawn.BGP.Routers[i].Neighbors)
		}
		for i, v := range withdrawn.Verdicts {
			w := before.Verdicts[i]
			gone := w.Announce && !v.Announce && v.Reason.Code == announce.ReasonDraining && len(v.Peers) == 0 && v.Despite.Code == announce.ReasonNone
			kept := w.Announce && v.Announce && !in.WithdrawLast && v.Despite.Code == announce.ReasonLastAnnouncer && slices.Equal(v.Peers, w.Peers)
			if !gone && !kept && !reflect.DeepEqual(v, w) || w.Announce && !gone && !kept {
				t.Fatalf("%+v came to be %+v", w, v)
			}
		}
	})
}

// checkSessionsStay checks that the sessions are the same, and that they have no policy that they did not have. Those for what a Service asked for
// go with its last route.
func checkSessionsStay(t *rapid.T, before, after []announce.Neighbor) {
	t.Helper()
	if len(before) != len(after) {
		t.Fatalf("there were %d sessions, and are %d", len(before), len(after))
	}
	for i := range after {
		if !reflect.DeepEqual(before[i].Peer, after[i].Peer) {
			t.Fatalf("session %+v came to be %+v", before[i].Peer, after[i].Peer)
		}
		for _, p := range after[i].Policies {
			if !slices.ContainsFunc(before[i].Policies, func(was announce.Policy) bool { return reflect.DeepEqual(was, p) }) {
				t.Fatalf("session %s has a new policy %+v", after[i].Name, p)
			}
		}
	}
}

// aDrain is node n1, which drains, beside n2, and one Service at 10.0.0.1 with endpoints on both.
func aDrain() announce.Input {
	return announce.Input{
		Node: "n1", Drain: announce.DrainWithdrawn,
		Nodes: []announce.NodeInfo{{Name: "n1", Draining: "is unschedulable"}, {Name: "n2", Labels: map[string]string{"rack": "b"}}},
		Config: intent.Snapshot{
			Pools:             pools(),
			Peers:             []intent.Peer{{Name: "tor", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr("198.51.100.1")}},
			BGPAdvertisements: []intent.BGPAdvertisement{{Name: "ad", Pools: []string{"p0"}}},
		},
		Services: []announce.Service{{
			Key: ipam.ServiceKey{Namespace: "ns", Name: "web"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.1")},
			Endpoints: announce.Endpoints{Serving: 2, OnNode: map[string]int{"n1": 1, "n2": 1}},
		}},
	}
}

func TestGivenADrainingNodeWhenAnotherCanOrCannotAnnounceThenTheVerdictSaysWhich(t *testing.T) {
	rackA := selector.Set{labelIs{"rack", "a"}}
	for name, row := range map[string]struct {
		change func(*announce.Input)
		// other is the node that announces the address instead; "" where it stays or, with gone, is announced nowhere.
		other string
		gone  bool
	}{
		"another can":                  {change: func(*announce.Input) {}, other: "n2"},
		"another drains too":           {change: func(in *announce.Input) { in.Nodes[1].Draining = "has the taint a" }},
		"there is no other":            {change: func(in *announce.Input) { in.Nodes = in.Nodes[:1] }},
		"another's network is away":    {change: func(in *announce.Input) { in.Nodes[1].NetworkUnavailable = true }},
		"another is excluded":          {change: func(in *announce.Input) { in.Nodes[1].Excluded = true }},
		"an exclusion that is ignored": {change: func(in *announce.Input) { in.Nodes[1].Excluded, in.IgnoreExcludeLabel = true, true }, other: "n2"},
		"another's speaker is dead":    {change: func(in *announce.Input) { in.Members = []string{"n1"} }},
		"another's speaker is alive":   {change: func(in *announce.Input) { in.Members = []string{"n1", "n2"} }, other: "n2"},
		"the advertisement is not for another": {change: func(in *announce.Input) {
			in.Nodes[0].Labels, in.Config.BGPAdvertisements[0].Nodes = map[string]string{"rack": "a"}, rackA
		}},
		"the peer is not for another": {change: func(in *announce.Input) {
			in.Nodes[0].Labels, in.Config.Peers[0].Nodes = map[string]string{"rack": "a"}, rackA
		}},
		"Local, endpoints on both": {change: func(in *announce.Input) { in.Services[0].Local = true }, other: "n2"},
		"Local, endpoints here only": {change: func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints.OnNode = true, map[string]int{"n1": 2}
		}},
		"Cluster, endpoints here": {change: func(in *announce.Input) { in.Services[0].Endpoints.OnNode = map[string]int{"n1": 2} }, other: "n2"},
		"the last, told to go":    {change: func(in *announce.Input) { in.Nodes, in.WithdrawLast = in.Nodes[:1], true }, gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			in := aDrain()
			row.change(&in)
			n := announce.Compute(in)
			v := n.Verdicts[0]
			want := announce.ReasonLastAnnouncer
			got := v.Despite
			if row.other != "" || row.gone {
				want, got = announce.ReasonDraining, v.Reason
			}
			if got.Code != want || v.Announce != (want == announce.ReasonLastAnnouncer) || (len(n.BGP.Routers[0].Prefixes) == 1) != v.Announce {
				t.Fatalf("verdict %+v with %d prefixes, want %s", v, len(n.BGP.Routers[0].Prefixes), want)
			}
			if !strings.Contains(got.Detail, "node n1 drains, because it is unschedulable") || row.other != "" && !strings.Contains(got.Detail, "node "+row.other+" announces") {
				t.Errorf("it says %q", got.Detail)
			}
		})
	}
}

func TestGivenAnAggregateWhenANodeDrainsThenItStaysForTheAddressThatNobodyElseCanAnnounce(t *testing.T) {
	in := aDrain()
	in.Config.BGPAdvertisements[0].AggregationLength = 24
	in.Services = append(in.Services, announce.Service{
		Key: ipam.ServiceKey{Namespace: "ns", Name: "local"}, Addresses: []netip.Addr{netip.MustParseAddr("10.0.0.2")}, Local: true,
		Endpoints: announce.Endpoints{Serving: 1, OnNode: map[string]int{"n1": 1}},
	})
	if got := announce.Compute(in).BGP.Routers[0].Prefixes; len(got) != 1 || got[0].Prefix != netip.MustParsePrefix("10.0.0.0/24") {
		t.Errorf("announced %v, want the aggregate for the second address", got)
	}
	in.Services[1].Endpoints.OnNode["n2"] = 1
	if got := announce.Compute(in).BGP.Routers[0].Prefixes; len(got) != 0 {
		t.Errorf("announced %v, want nothing once the other node can announce both", got)
	}
}
