package announce_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// small alphabets make collisions likely: shared addresses, shared aggregates, selectors that match.
var (
	poolNames = []string{"p0", "p1", "six"}
	addresses = []string{"10.0.0.1", "10.0.0.2", "10.0.1.3", "10.9.0.1", "10.9.0.2", "2001:db8::1", "2001:db8::2", "192.0.2.1"}
	vrfs      = []string{"", "", "red"}
)

func pools() []intent.Pool {
	pool := func(name, first, last string) intent.Pool {
		return intent.Pool{Pool: ipam.Pool{Name: name, Ranges: []ipam.Range{{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}}}}
	}
	return []intent.Pool{pool("p0", "10.0.0.0", "10.0.255.255"), pool("p1", "10.9.0.0", "10.9.0.255"), pool("six", "2001:db8::", "2001:db8::ff")}
}

func drawSelector(t *rapid.T, key, what string) selector.Set {
	return rapid.SampledFrom([]selector.Set{nil, nil, {labelIs{key, "a"}}, {labelIs{key, "b"}, labelIs{key, "a"}}, {labelIs{key, "c"}}}).Draw(t, what)
}

func drawLabels(t *rapid.T, key string) map[string]string {
	return map[string]string{key: rapid.SampledFrom([]string{"a", "b"}).Draw(t, key)}
}

func drawNames(t *rapid.T, prefix, what string) []string {
	return rapid.SliceOfNDistinct(rapid.Custom(func(t *rapid.T) string {
		return fmt.Sprintf("%s%d", prefix, rapid.IntRange(0, 4).Draw(t, "n"))
	}), 0, 3, rapid.ID).Draw(t, what)
}

func drawConfig(t *rapid.T) intent.Snapshot {
	s := intent.Snapshot{Pools: pools(), BFDProfiles: []intent.BFDProfile{{Name: "fast"}, {Name: "slow"}}}
	for i := range rapid.IntRange(0, 4).Draw(t, "peers") {
		p := intent.Peer{Name: fmt.Sprintf("peer%d", i), PeerASN: 64513, Nodes: drawSelector(t, "zone", "peer nodes")}
		p.VRF = rapid.SampledFrom(vrfs).Draw(t, "vrf")
		p.MyASN = 64512 + uint32(len(p.VRF)) // one per VRF, as Build guarantees
		p.Address = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		if rapid.Bool().Draw(t, "ipv6 peer") {
			p.Address = netip.MustParseAddr(fmt.Sprintf("2001:db8:f::%d", i+1))
		}
		p.DualStack = rapid.Bool().Draw(t, "dual stack")
		p.BFDProfile = rapid.SampledFrom([]string{"", "fast"}).Draw(t, "bfd")
		s.Peers = append(s.Peers, p)
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "ads") {
		ad := intent.BGPAdvertisement{
			Name: fmt.Sprintf("ad%d", i), LocalPref: rapid.SampledFrom([]uint32{0, 0, 0, 100, 200}).Draw(t, "localPref"),
			AggregationLength:   rapid.SampledFrom([]int{32, 32, 24, 16}).Draw(t, "length"),
			AggregationLengthV6: rapid.SampledFrom([]int{128, 64}).Draw(t, "lengthV6"),
			Pools:               rapid.SliceOfNDistinct(rapid.SampledFrom(poolNames), 0, 3, rapid.ID).Draw(t, "pools"),
			Peers:               drawNames(t, "peer", "ad peers"), Nodes: drawSelector(t, "zone", "ad nodes"), Services: drawSelector(t, "team", "ad services"),
			MED: rapid.SampledFrom([]intent.MED{{}, {}, {Set: true}, {Set: true, Value: 5}}).Draw(t, "med"), ASPathPrepend: rapid.SampledFrom([]int{0, 0, 1, 2}).Draw(t, "prepend"),
		}
		if rapid.Bool().Draw(t, "whole") { // then it may leave things to Services
			ad.AggregationLength, ad.AggregationLengthV6 = 32, 128
			ad.LinkBandwidth = rapid.SampledFrom([]uint32{0, 0, 100, 20000}).Draw(t, "link bandwidth")
			ad.Overrides.MaxASPathPrepend = rapid.IntRange(0, 3).Draw(t, "max prepend")
			ad.Overrides.MED = intent.Span{Set: rapid.Bool().Draw(t, "med span"), Max: 7}
			if rapid.Bool().Draw(t, "choice") {
				ad.Overrides.Communities = []intent.AllowedCommunity{{Text: "1:1", Value: intent.Community{A: 1, B: 1}}, {Text: "no-export", Value: intent.Community{A: 65535, B: 65281}}}
			}
		}
		s.BGPAdvertisements = append(s.BGPAdvertisements, ad)
	}
	return s
}

func drawService(t *rapid.T, name string) announce.Service {
	svc := announce.Service{Key: ipam.ServiceKey{Namespace: "ns", Name: name}, Labels: drawLabels(t, "team"), Local: rapid.Bool().Draw(t, "local")}
	for _, a := range rapid.SliceOfNDistinct(rapid.SampledFrom(addresses), 0, 3, rapid.ID).Draw(t, "addresses") {
		svc.Addresses = append(svc.Addresses, netip.MustParseAddr(a))
	}
	svc.Asked = rapid.SampledFrom([]announce.Asked{{}, {}, {MED: "5"}, {MED: "7", ASPathPrepend: "0"}, {Communities: "no-export, 1:1"}, {ASPathPrepend: "3", LocalPref: "9", Communities: "2:2"}}).Draw(t, "asked")
	svc.Endpoints.OnNode = map[string]int{}
	for _, node := range []string{"n0", "n1"} {
		if n := rapid.IntRange(0, 2).Draw(t, "endpoints"); n > 0 {
			svc.Endpoints.OnNode[node] = n
			svc.Endpoints.Serving += n
		}
	}
	svc.Endpoints.Serving += rapid.IntRange(0, 1).Draw(t, "endpoints without node")
	return svc
}

func drawInput(t *rapid.T) announce.Input {
	in := announce.Input{Node: "n0", Config: drawConfig(t), IgnoreExcludeLabel: rapid.Bool().Draw(t, "ignore label")}
	for i := range rapid.IntRange(0, 2).Draw(t, "nodes") {
		in.Nodes = append(in.Nodes, announce.NodeInfo{
			Name: fmt.Sprintf("n%d", i), Labels: drawLabels(t, "zone"),
			NetworkUnavailable: rapid.IntRange(0, 5).Draw(t, "unavailable") == 0, Excluded: rapid.IntRange(0, 3).Draw(t, "excluded") == 0,
		})
	}
	for i := range rapid.IntRange(0, 5).Draw(t, "services") {
		in.Services = append(in.Services, drawService(t, fmt.Sprintf("s%d", i)))
	}
	return in
}

// sending is one prefix that one peer gets because of one advertisement.
type sending struct {
	peer, ad string
	prefix   netip.Prefix
}

// sent is what the sessions of a node carry, by the meaning of Neighbor: a prefix goes where a policy has one of its tags.
func sent(n announce.Node) map[sending]bool {
	all := map[sending]bool{}
	for _, r := range n.BGP.Routers {
		for _, neighbor := range r.Neighbors {
			for _, p := range r.Prefixes {
				if is4 := p.Prefix.Addr().Is4(); is4 && !neighbor.IPv4() || !is4 && !neighbor.IPv6() {
					continue
				}
				for _, policy := range neighbor.Policies {
					if slices.Contains(p.Tags, policy.Tag) {
						all[sending{neighbor.Name, policy.Advertisement, p.Prefix}] = true
					}
				}
			}
		}
	}
	return all
}

// meant is what the verdicts say is sent, worked out from the input one advertisement at a time.
func meant(in announce.Input, n announce.Node) map[sending]bool {
	all := map[sending]bool{}
	for _, v := range n.Verdicts {
		if !v.Announce {
			continue
		}
		svc := in.Services[slices.IndexFunc(in.Services, func(s announce.Service) bool { return s.Key == v.Service })]
		here := in.Nodes[slices.IndexFunc(in.Nodes, func(i announce.NodeInfo) bool { return i.Name == in.Node })]
		for _, ad := range in.Config.BGPAdvertisements {
			if !slices.Contains(ad.Pools, v.Pool) || !ad.Nodes.MatchesOrEmpty(here.Labels) || !ad.Services.MatchesOrEmpty(svc.Labels) {
				continue
			}
			length := ad.AggregationLengthV6
			if v.Address.Is4() {
				length = ad.AggregationLength
			}
			for _, peer := range v.Peers {
				p := in.Config.Peers[slices.IndexFunc(in.Config.Peers, func(p intent.Peer) bool { return p.Name == peer })]
				if len(ad.Peers) > 0 && !slices.Contains(ad.Peers, peer) || !p.DualStack && p.Address.Is4() != v.Address.Is4() {
					continue
				}
				all[sending{peer, ad.Name, netip.PrefixFrom(v.Address, length).Masked()}] = true
			}
		}
	}
	return all
}

func TestPrefixIsSentExactlyIfAVerdictSaysSo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		n := announce.Compute(in)
		if diff := cmp.Diff(meant(in, n), sent(n), cmp.AllowUnexported(sending{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Fatalf("(-verdicts +routes):\n%s", diff)
		}
		for _, v := range n.Verdicts {
			for _, peer := range v.Peers {
				reached := false
				for s := range sent(n) {
					reached = reached || s.peer == peer && s.prefix.Contains(v.Address)
				}
				if !reached {
					t.Fatalf("%s %s is said to go to %s and does not", v.Service, v.Address, peer)
				}
			}
		}
	})
}

func TestEveryVerdictExplainsItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		n := announce.Compute(in)
		want := 0
		for _, svc := range in.Services {
			want += max(1, len(svc.Addresses))
		}
		if len(n.Verdicts) != want {
			t.Fatalf("%d verdicts on %d addresses", len(n.Verdicts), want)
		}
		for _, v := range n.Verdicts {
			yes := v.Announce && v.Reason == announce.Reason{} && len(v.Peers) > 0 && v.Pool != ""
			no := !v.Announce && v.Reason.Code != announce.ReasonNone && v.Reason.Detail != "" && len(v.Peers) == 0
			if !yes && !no {
				t.Fatalf("neither a yes with peers nor a no with a reason: %+v", v)
			}
		}
	})
}

// shuffled returns the input with its lists in another order.
func shuffled(t *rapid.T, in announce.Input) announce.Input {
	in.Nodes = rapid.Permutation(in.Nodes).Draw(t, "nodes")
	in.Services = rapid.Permutation(in.Services).Draw(t, "services")
	for i := range in.Services {
		in.Services[i].Addresses = rapid.Permutation(in.Services[i].Addresses).Draw(t, "addresses")
	}
	c := &in.Config
	c.Pools = rapid.Permutation(c.Pools).Draw(t, "pools")
	c.Peers = rapid.Permutation(c.Peers).Draw(t, "peers")
	c.BFDProfiles = rapid.Permutation(c.BFDProfiles).Draw(t, "profiles")
	c.BGPAdvertisements = rapid.Permutation(c.BGPAdvertisements).Draw(t, "ads")
	for i := range c.BGPAdvertisements {
		ad := &c.BGPAdvertisements[i]
		ad.Pools = rapid.Permutation(ad.Pools).Draw(t, "ad pools")
		ad.Peers = rapid.Permutation(ad.Peers).Draw(t, "ad peers")
	}
	return in
}

func TestOrderOfTheInputDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		want := announce.Compute(in)
		if got := announce.Compute(shuffled(t, in)); !reflect.DeepEqual(got, want) {
			t.Fatalf("another order, another result:\n%+v\n%+v", want, got)
		}
	})
}

func TestMoreServicesTakeNothingFromTheOthers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		before := announce.Compute(in)
		more := in
		for i := range rapid.IntRange(1, 3).Draw(t, "more") {
			more.Services = append(slices.Clip(more.Services), drawService(t, fmt.Sprintf("%c-more", 'r'+2*i))) // sorts before and after the others
		}
		after := announce.Compute(more)
		now := sent(after)
		for s := range sent(before) {
			if !now[s] {
				t.Fatalf("%+v is no longer sent", s)
			}
		}
		for _, v := range before.Verdicts {
			if !slices.ContainsFunc(after.Verdicts, func(w *announce.Verdict) bool { return reflect.DeepEqual(v, w) }) {
				t.Fatalf("verdict changed: %+v", v)
			}
		}
	})
}

func TestSessionsDoNotDependOnServices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		busy := announce.Compute(in).BGP
		in.Services = nil
		idle := announce.Compute(in).BGP
		for i := range busy.Routers {
			busy.Routers[i].Prefixes, idle.Routers[i].Prefixes = nil, nil
			for k := range busy.Routers[i].Neighbors {
				policies := &busy.Routers[i].Neighbors[k].Policies
				had := idle.Routers[i].Neighbors[k].Policies
				// But for variants that Services ask for: what is there without them stays as it is.
				*policies = slices.DeleteFunc(slices.Clone(*policies), func(p announce.Policy) bool {
					return p.Variant != "" && !slices.ContainsFunc(had, func(o announce.Policy) bool { return o.Tag == p.Tag })
				})
				if len(*policies) == 0 {
					*policies = had[:0]
				}
			}
		}
		if !reflect.DeepEqual(busy, idle) {
			t.Fatalf("sessions differ:\nbusy %+v\nidle %+v", busy, idle)
		}
	})
}

func TestAReasonThatHoldsEverywhereKeepsEveryNodeFromAnnouncing(t *testing.T) {
	type place struct {
		service ipam.ServiceKey
		address netip.Addr
	}
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		nowhere, somewhere := map[place]string{}, map[place]string{}
		for i := range max(len(in.Nodes), 1) {
			in.Node = fmt.Sprintf("n%d", i)
			for _, v := range announce.Compute(in).Verdicts {
				at := place{v.Service, v.Address}
				switch {
				case v.Protocol != announce.ProtocolBGP:
				case v.Announce:
					somewhere[at] = in.Node
				case v.Everywhere:
					nowhere[at] = fmt.Sprintf("%s on %s: %s", v.Reason.Code, in.Node, v.Reason.Detail)
				}
			}
		}
		for at, why := range nowhere {
			if node, ok := somewhere[at]; ok {
				t.Fatalf("%v is announced by %s, although everywhere holds %s", at, node, why)
			}
		}
	})
}

func TestWhatKeepsAllNodesFromAnnouncingIsSaidToHoldEverywhere(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*announce.Input)
		want   bool
	}{
		"in no pool":  {func(in *announce.Input) { in.Services[0].Addresses[0] = netip.MustParseAddr("192.0.2.1") }, true},
		"no endpoint": {func(in *announce.Input) { in.Services[0].Endpoints = announce.Endpoints{} }, true},
		"no endpoint, and Local": {func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints = true, announce.Endpoints{}
		}, true},
		"no advertisement":   {func(in *announce.Input) { in.Config.BGPAdvertisements = nil }, true},
		"no peer":            {func(in *announce.Input) { in.Config.Peers = nil }, true},
		"none for this node": {func(in *announce.Input) { in.Config.BGPAdvertisements[0].Nodes = selector.Set{labelIs{"zone", "b"}} }, false},
		"a peer elsewhere":   {func(in *announce.Input) { in.Config.Peers[0].Nodes = selector.Set{labelIs{"zone", "b"}} }, false},
		"endpoints elsewhere": {func(in *announce.Input) {
			in.Services[0].Local, in.Services[0].Endpoints.OnNode = true, map[string]int{"n2": 1}
		}, false},
		"all well": {func(*announce.Input) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := plain()
			row.change(&in)
			if v := announce.Compute(in).Verdicts[0]; v.Everywhere != row.want {
				t.Errorf("verdict %+v, want Everywhere %t", v, row.want)
			}
		})
	}
}
