package reload_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// hasLabel selects by one label.
type hasLabel struct{ key, value string }

func (l hasLabel) Matches(labels map[string]string) bool { return labels[l.key] == l.value }
func (l hasLabel) String() string                        { return l.key + "=" + l.value }

// policies is a node with an iBGP and an eBGP router, and every sort of advertisement.
func policies() announce.Input {
	pool := func(name, first, last string) intent.Pool {
		return intent.Pool{Pool: ipam.Pool{Name: name, Ranges: []ipam.Range{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}}}}
	}
	peer := func(name, address string, asn uint32) intent.Peer {
		return intent.Peer{Name: name, MyASN: 64512, PeerASN: asn, Address: netip.MustParseAddr(address), Port: 179, ConnectTime: 1e9}
	}
	return announce.Input{
		Node:  "n1",
		Nodes: []announce.NodeInfo{{Name: "n1", Labels: map[string]string{"rack": "a"}}},
		Config: intent.Snapshot{
			Pools: []intent.Pool{pool("own", "10.1.0.0", "10.1.0.255"), pool("net", "10.2.0.0", "10.2.255.255")},
			Peers: []intent.Peer{peer("inside", "198.51.100.1", 64512), peer("outside", "198.51.101.1", 64513)},
			BGPAdvertisements: []intent.BGPAdvertisement{
				{
					Name: "own", Pools: []string{"own"}, LinkBandwidth: 100, Communities: []intent.Community{{A: 64512, B: 1}},
					Overrides: intent.Overrides{
						Communities:      []intent.AllowedCommunity{{Text: "no-export", Value: intent.Community{A: 65535, B: 65281}}},
						MaxASPathPrepend: 3, MED: intent.Span{Set: true, Max: 100}, LocalPref: intent.Span{Set: true, Min: 1, Max: 200},
					},
				},
				{Name: "net", Pools: []string{"net"}, AggregationLength: 24},
			},
		},
		Services: []announce.Service{local("a", "10.1.0.1", 1), local("b", "10.1.0.2", 2), local("x", "10.2.5.1", 1), local("y", "10.2.5.2", 1)},
	}
}

func local(name, address string, endpoints int) announce.Service {
	return announce.Service{
		Key: ipam.ServiceKey{Namespace: "default", Name: name}, Addresses: []netip.Addr{netip.MustParseAddr(address)}, Local: true,
		Labels: map[string]string{"team": name}, Endpoints: announce.Endpoints{Serving: endpoints, OnNode: map[string]int{"n1": endpoints}},
	}
}

// policyRouter is a router of the node's at 198.51.SUBNET.1.
func policyRouter(tb testing.TB, n *node, asn, subnet int) *frrtest.Instance {
	tb.Helper()
	r := frrtest.Start(tb, frrtest.Options{Release: n.Release, Name: fmt.Sprintf("r%d", subnet), Listen: true, Config: fmt.Sprintf(
		"hostname r\nrouter bgp %d\n bgp router-id 10.0.0.%[2]d\n no bgp ebgp-requires-policy\n neighbor 198.51.%[2]d.254 remote-as 64512\n neighbor 198.51.%[2]d.254 passive\nexit\n", asn, subnet)})
	frrtest.Link(tb, n.Instance, r, fmt.Sprintf("eth%d", subnet-100), []string{fmt.Sprintf("198.51.%d.254/24", subnet)}, []string{fmt.Sprintf("198.51.%d.1/24", subnet)})
	return r
}

// route is what a router has got with a prefix.
type route struct {
	AS, Communities, Extended string
	MED, LocalPref            int
}

func tableOf(tb testing.TB, r *frrtest.Instance) map[string]route {
	tb.Helper()
	out := map[string]route{}
	for prefix := range r.Prefixes(tb) {
		var shown struct {
			Paths []struct {
				ASPath            struct{ String string }
				Community         struct{ String string }
				ExtendedCommunity struct{ String string }
				LocPrf, Metric    int
			}
		}
		text := r.Vtysh(tb, "show bgp ipv4 unicast "+prefix.String()+" json")
		if err := json.Unmarshal([]byte(text), &shown); err != nil {
			tb.Fatalf("read %q: %v", text, err)
		}
		if len(shown.Paths) == 1 {
			p := shown.Paths[0]
			out[prefix.String()] = route{p.ASPath.String, p.Community.String, p.ExtendedCommunity.String, p.Metric, p.LocPrf}
		}
	}
	return out
}

// updates counts the UPDATEs that a router has got from the node, and how often its session has come up.
func updates(tb testing.TB, r *frrtest.Instance, subnet int) (received, sessions int) {
	tb.Helper()
	id := fmt.Sprintf("198.51.%d.254", subnet)
	var shown map[string]struct {
		ConnectionsEstablished int
		MessageStats           struct{ UpdatesRecv int }
	}
	if err := json.Unmarshal([]byte(r.Vtysh(tb, "show bgp neighbors "+id+" json")), &shown); err != nil {
		tb.Fatal(err)
	}
	return shown[id].MessageStats.UpdatesRecv, shown[id].ConnectionsEstablished
}

// with returns a table with some routes changed; the zero route takes one out.
func with(table map[string]route, changed map[string]route) map[string]route {
	out := map[string]route{}
	for _, m := range []map[string]route{table, changed} {
		for prefix, r := range m {
			if out[prefix] = r; r == (route{}) {
				delete(out, prefix)
			}
		}
	}
	return out
}

// policyStep is a change, and which routes it is to change at the iBGP and at the eBGP router.
type policyStep struct {
	name            string
	change          func(*announce.Input)
	inside, outside map[string]route
	// prefixOnly: no policy changes, so nothing but these routes is sent. After a change of policy FRR sends a neighbor everything again as it is.
	prefixOnly bool
}

func policySteps() []policyStep {
	const a, b, net = "10.1.0.1/32", "10.1.0.2/32", "10.2.5.0/24"
	ours := func(ext string) route { return route{"Local", "64512:1", ext, 0, 100} }
	theirs := func(ext string) route { return route{"64512", "64512:1", ext, 0, 0} }
	asked := func(in *announce.Input, what announce.Asked) { in.Services[0].Asked = what }
	return []policyStep{
		{
			"everything", func(*announce.Input) {},
			map[string]route{a: ours(lb100), b: ours(lb200), net: {"Local", "", "", 0, 100}},
			map[string]route{a: theirs(lb100), b: theirs(lb200), net: {"64512", "", "", 0, 0}}, false,
		},
		{
			"two endpoints come", func(in *announce.Input) { in.Services[0] = local("a", "10.1.0.1", 3) },
			map[string]route{a: ours(lb300)}, map[string]route{a: theirs(lb300)}, true,
		},
		{
			"so many come that there is no policy for them yet", func(in *announce.Input) { in.Services[0] = local("a", "10.1.0.1", 12) },
			map[string]route{a: ours(lb1200)}, map[string]route{a: theirs(lb1200)}, false,
		},
		{
			"all but one go", func(in *announce.Input) { in.Services[0] = local("a", "10.1.0.1", 1) },
			map[string]route{a: ours(lb100)}, map[string]route{a: theirs(lb100)}, false,
		},
		{
			"a Service asks for attributes", func(in *announce.Input) {
				asked(in, announce.Asked{Communities: "no-export", ASPathPrepend: "2", MED: "7", LocalPref: "150"})
			},
			map[string]route{a: {"Local", "64512:1 no-export", lb100, 7, 150}},
			map[string]route{a: {"64512 64512 64512", "64512:1 no-export", lb100, 7, 0}}, false,
		},
		{
			"and for another MED", func(in *announce.Input) { asked(in, announce.Asked{MED: "8"}) },
			map[string]route{a: {"Local", "64512:1", lb100, 8, 100}}, map[string]route{a: {"64512", "64512:1", lb100, 8, 0}}, false,
		},
		{
			"for what is not allowed", func(in *announce.Input) { asked(in, announce.Asked{MED: "101"}) },
			map[string]route{a: ours(lb100)}, map[string]route{a: theirs(lb100)}, false,
		},
		{
			"an advertisement gets a MED and a longer path", func(in *announce.Input) {
				in.Config.BGPAdvertisements[1].MED, in.Config.BGPAdvertisements[1].ASPathPrepend = intent.MED{Set: true, Value: 9}, 1
			},
			map[string]route{net: {"Local", "", "", 9, 100}}, map[string]route{net: {"64512 64512", "", "", 9, 0}}, false,
		},
		{
			"and an extended community and a preference", func(in *announce.Input) {
				in.Config.BGPAdvertisements[1].ExtCommunities = []intent.ExtCommunity{{Kind: "rt", ASN: 64512, Number: 5}}
				in.Config.BGPAdvertisements[1].LocalPref = 300
			},
			map[string]route{net: {"Local", "", "RT:64512:5", 9, 300}}, map[string]route{net: {"64512 64512", "", "RT:64512:5", 9, 0}}, false,
		},
		{"one of two Services of the aggregate goes", func(in *announce.Input) { in.Services = slices.Delete(in.Services, 2, 3) }, nil, nil, true},
		{
			"the other one, too", func(in *announce.Input) { in.Services = slices.Delete(in.Services, 2, 3) },
			map[string]route{net: {}}, map[string]route{net: {}}, true,
		},
		{
			"a service selector leaves b out", func(in *announce.Input) {
				in.Config.BGPAdvertisements[0].Services = selector.Set{hasLabel{"team", "a"}}
			},
			map[string]route{b: {}}, map[string]route{b: {}}, false,
		},
		{
			"the eBGP router is no longer meant", func(in *announce.Input) { in.Config.BGPAdvertisements[0].Peers = []string{"inside"} },
			nil, map[string]route{a: {}}, false,
		},
		{
			"nor is the node", func(in *announce.Input) {
				in.Config.BGPAdvertisements[0].Nodes = selector.Set{hasLabel{"rack", "b"}}
			},
			map[string]route{a: {}}, nil, false,
		},
	}
}

// TestGivenSessionsWhenPoliciesChangeThenOnlyTheRoutesInQuestionChangeAndNoSessionIsReset takes what decides about attributes through
// one change after another, from the decision to the routers.
func TestGivenSessionsWhenPoliciesChangeThenOnlyTheRoutesInQuestionChangeAndNoSessionIsReset(t *testing.T) {
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			n := startNode(t, release)
			inside, outside := policyRouter(t, n, 64512, 100), policyRouter(t, n, 64513, 101)
			in := policies()
			var wantIn, wantOut map[string]route
			for k, step := range policySteps() {
				step.change(&in)
				wantIn, wantOut = with(wantIn, step.inside), with(wantOut, step.outside)
				if step.prefixOnly {
					settled(t, inside, 100)
					settled(t, outside, 101)
				}
				beforeIn, _ := updates(t, inside, 100)
				beforeOut, _ := updates(t, outside, 101)
				conf, err := frrconf.Render(announce.Compute(in).BGP, frrconf.Options{Hostname: "n1"})
				if err != nil {
					t.Fatal(err)
				}
				if ack := n.apply(t, string(conf)); ack.How != frr.Delta && (len(step.inside)+len(step.outside) > 0 || ack.How != frr.Unchanged) {
					t.Errorf("%s: %+v, want a delta", step.name, ack)
				}
				frrtest.Eventually(t, frrtest.Patience, func() error {
					if diff := cmp.Diff(wantIn, tableOf(t, inside)); diff != "" {
						return fmt.Errorf("%s: at the iBGP router (-want +got):\n%s", step.name, diff)
					}
					if diff := cmp.Diff(wantOut, tableOf(t, outside)); diff != "" {
						return fmt.Errorf("%s: at the eBGP router (-want +got):\n%s", step.name, diff)
					}
					return nil
				})
				afterIn, sessionsIn := updates(t, inside, 100)
				afterOut, sessionsOut := updates(t, outside, 101)
				if sessionsIn != 1 || sessionsOut != 1 {
					t.Fatalf("%s: sessions came up %d and %d times, want 1", step.name, sessionsIn, sessionsOut)
				}
				if k > 0 && step.prefixOnly && (afterIn-beforeIn > len(step.inside) || afterOut-beforeOut > len(step.outside)) {
					t.Errorf("%s: %d and %d UPDATEs, want at most %d and %d", step.name, afterIn-beforeIn, afterOut-beforeOut, len(step.inside), len(step.outside))
				}
			}
		})
	}
}

// settled waits until a router has had no UPDATE for longer than bgpd takes to begin to work off a change of policies, which is a second at most:
// what it sends then is said of the step before.
func settled(t *testing.T, router *frrtest.Instance, subnet int) {
	t.Helper()
	last, _ := updates(t, router, subnet)
	since := time.Now()
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if now, _ := updates(t, router, subnet); now != last {
			last, since = now, time.Now()
		}
		if quiet := time.Since(since); quiet < 2*time.Second {
			time.Sleep(100 * time.Millisecond)
			return fmt.Errorf("the last UPDATE came %v ago", quiet)
		}
		return nil
	})
}

// The link-bandwidth community as FRR shows it, in bytes per second; its words in brackets are cut to whole units of thousands.
const (
	lb100  = "LB:64512:12500000 (100.000 Mbps)"
	lb200  = "LB:64512:25000000 (200.000 Mbps)"
	lb300  = "LB:64512:37500000 (300.000 Mbps)"
	lb1200 = "LB:64512:150000000 (1.000 Gbps)"
)
