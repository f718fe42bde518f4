package reload_test

import (
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// far is a router under test and the node's side of it.
type far struct {
	router
	name     string
	inside   bool
	sessions []peering
}

// party is a node, rendered to and reloaded as in the product, and routers of every kind around it.
type party struct {
	*node
	routers []far
	peers   map[string]*intent.Peer // by name
	wanted  map[string]*announcement
	// profiles are those that peers name.
	profiles []intent.BFDProfile
}

// announcement is a Service's address, of both families, and the advertisement it alone is in.
type announcement struct {
	v4, v6 string
	ad     intent.BGPAdvertisement
}

// passwordOf is the right password of a session.
func passwordOf(peer string) string { return "secret-of-" + peer }

// startParty joins a node to a router of each kind in its own AS and to one of each in another, over IPv4 and IPv6, with passwords.
func startParty(t *testing.T, release frrtest.Release) *party {
	t.Helper()
	p := &party{node: startNode(t, release), peers: map[string]*intent.Peer{}, wanted: map[string]*announcement{}}
	for _, asn := range []uint32{nodeASN, outsideASN} {
		for _, k := range []routerKind{kindFRR, kindGoBGP, kindBIRD} {
			port := len(p.routers)
			f := far{name: fmt.Sprintf("%s-%d", k, asn), inside: asn == nodeASN, sessions: []peering{
				{own: netip.MustParseAddr(fmt.Sprintf("198.51.%d.2", 100+port)), node: netip.MustParseAddr(fmt.Sprintf("198.51.%d.1", 100+port))},
				{own: netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::2", 100+port)), node: netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", 100+port))},
			}}
			for i := range f.sessions {
				f.sessions[i].password = passwordOf(f.peer(i))
			}
			f.router = startRouterOf(t, k, release, asn, f.sessions...)
			frrtest.Link(t, p.node, f, fmt.Sprintf("eth%d", port),
				[]string{f.sessions[0].node.String() + "/24", f.sessions[1].node.String() + "/64"},
				[]string{f.sessions[0].own.String() + "/24", f.sessions[1].own.String() + "/64"})
			f.plugged(t)
			for i, s := range f.sessions {
				p.peers[f.peer(i)] = &intent.Peer{Name: f.peer(i), MyASN: nodeASN, PeerASN: asn, Address: s.own, Port: 179,
					ConnectTime: time.Second, Password: intent.NewSecret(s.password), GracefulRestart: true}
			}
			p.routers = append(p.routers, f)
		}
	}
	return p
}

// peer is the name of the node's BGPPeer for one session of a router.
func (f far) peer(session int) string { return fmt.Sprintf("%s-ipv%d", f.name, 4+2*session) }

// conf is what the product writes for the node.
func (p *party) conf(t *testing.T) string {
	t.Helper()
	in := announce.Input{Node: "n1", Nodes: []announce.NodeInfo{{Name: "n1"}}}
	in.Config.BFDProfiles = p.profiles
	for _, name := range sortedKeys(p.peers) {
		in.Config.Peers = append(in.Config.Peers, *p.peers[name])
	}
	for _, name := range sortedKeys(p.wanted) {
		a := p.wanted[name]
		var addresses []netip.Addr
		pool := ipam.Pool{Name: name}
		for _, text := range []string{a.v4, a.v6} {
			address := netip.MustParseAddr(text)
			addresses = append(addresses, address)
			pool.Ranges = append(pool.Ranges, ipam.Range{First: address, Last: address})
		}
		ad := a.ad
		ad.Name, ad.Pools, ad.AggregationLength, ad.AggregationLengthV6 = name, []string{name}, 32, 128
		in.Config.Pools = append(in.Config.Pools, intent.Pool{Pool: pool})
		in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, ad)
		in.Services = append(in.Services, announce.Service{Key: ipam.ServiceKey{Namespace: "default", Name: name}, Addresses: addresses,
			Endpoints: announce.Endpoints{Serving: 1, OnNode: map[string]int{"n1": 1}}})
	}
	conf, err := frrconf.Render(announce.Compute(in).BGP, frrconf.Options{Hostname: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	return string(conf)
}

// give applies what is wanted now, which must be possible without loading the whole file.
func (p *party) give(t *testing.T) {
	t.Helper()
	if ack := p.apply(t, p.conf(t)); ack.How != frr.Delta {
		t.Errorf("apply: %+v, want a delta", ack)
	}
}

// awaitEverywhere waits until every router holds, over each of its sessions, exactly what is wanted.
func (p *party) awaitEverywhere(t *testing.T) {
	t.Helper()
	for _, f := range p.routers {
		for i, s := range f.sessions {
			want := p.expected(f, i)
			frrtest.Eventually(t, frrtest.Patience, func() error {
				if diff := cmp.Diff(want, f.paths(t, s.node), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
					return fmt.Errorf("%s holds (-want +got):\n%s", f.peer(i), diff)
				}
				return nil
			})
		}
	}
}

// expected is what the router must hold over one of its sessions.
func (p *party) expected(f far, session int) map[netip.Prefix]attributes {
	want := map[netip.Prefix]attributes{}
	for _, a := range p.wanted {
		text := []string{a.v4 + "/32", a.v6 + "/128"}[session]
		w := attributes{ASPath: strings.TrimSpace(strings.Repeat(fmt.Sprintf("%d ", nodeASN), 1+a.ad.ASPathPrepend))}
		if f.inside {
			w.ASPath, w.LocalPref = "", max(100, a.ad.LocalPref)
		}
		var standard, large []string
		for _, c := range a.ad.Communities {
			if c.Large {
				large = append(large, fmt.Sprintf("%d:%d:%d", c.A, c.B, c.C))
			} else {
				standard = append(standard, fmt.Sprintf("%d:%d", c.A, c.B))
			}
		}
		w.Communities, w.LargeCommunities = strings.Join(standard, " "), strings.Join(large, " ")
		want[netip.MustParsePrefix(text)] = w
	}
	return want
}

// neighbors are the addresses of all routers but those of the named BGPPeers.
func (p *party) neighbors(but ...string) []string {
	left := maps.Clone(p.peers)
	for _, name := range but {
		delete(left, name)
	}
	var all []string
	for _, name := range sortedKeys(left) {
		all = append(all, left[name].Address.String())
	}
	return all
}

func TestGivenRoutersOfEveryKindWhenTheProductTalksToThemThenEachGetsWhatWasAskedOverBothFamilies(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			p := startParty(t, release)
			p.wanted["plain"] = &announcement{v4: "10.1.0.1", v6: "2001:db8:1::1"}
			p.wanted["marked"] = &announcement{v4: "10.1.0.2", v6: "2001:db8:1::2", ad: intent.BGPAdvertisement{LocalPref: 300, ASPathPrepend: 2, Communities: []intent.Community{
				{A: 64512, B: 100}, {A: 65535, B: 65281}, {Large: true, A: 64512, B: 1, C: 2}}}}
			p.give(t)
			p.awaitEverywhere(t)
			t.Run("and a prefix comes and goes and its attributes change without a reset", p.changes)
			t.Run("and a wrong password is one session's own affair", p.passwords)
			t.Run("and they keep what they have while bgpd is away", p.restarts)
		})
	}
}

func (p *party) changes(t *testing.T) {
	stay := sessionsStay(t, p.node, p.neighbors()...)
	p.wanted["added"] = &announcement{v4: "10.1.0.3", v6: "2001:db8:1::3"}
	p.give(t)
	p.awaitEverywhere(t)
	p.wanted["marked"].ad.LocalPref, p.wanted["marked"].ad.ASPathPrepend = 200, 1
	p.wanted["marked"].ad.Communities = []intent.Community{{A: 64512, B: 200}, {Large: true, A: 64512, B: 3, C: 4}}
	p.give(t)
	p.awaitEverywhere(t)
	delete(p.wanted, "added")
	p.give(t)
	p.awaitEverywhere(t)
	stay()
}

// passwords gives one session of every kind, one after the other, a wrong password and then the right one again.
func (p *party) passwords(t *testing.T) {
	for i, f := range p.routers[:3] {
		session := i % 2
		name, addr := f.peer(session), f.sessions[session]
		stay := sessionsStay(t, p.node, p.neighbors(name)...)
		p.peers[name].Password = intent.NewSecret("wrong")
		refused := refusedByMD5(t, f)
		p.give(t)
		frrtest.Eventually(t, frrtest.Patience, func() error {
			up, _ := f.up(t, addr.node)
			if now := refusedByMD5(t, f); up || now < refused+3 {
				return fmt.Errorf("%s: established is %v and %d segments were refused, want it down and attempts refused", name, up, now-refused)
			}
			return nil
		})
		if s := p.Session(t, addr.own.String()); s.State == "Established" {
			t.Errorf("%s: the node holds the session to be %+v", name, s)
		}
		stay()
		p.peers[name].Password = intent.NewSecret(passwordOf(name))
		p.give(t)
		p.AwaitSession(t, addr.own.String()) // the router may still have the routes of before: it keeps them for a neighbor that comes back
		p.awaitEverywhere(t)
		stay()
	}
}

// restarts kills bgpd and looks at the routers until all sessions are up again: nothing may be missing at any time.
func (p *party) restarts(t *testing.T) {
	type session struct {
		f far
		i int
	}
	before := map[string]string{}
	missing := map[string]session{}
	for _, f := range p.routers {
		for i, s := range f.sessions {
			up, since := f.up(t, s.node)
			if !up {
				t.Fatalf("%s is not up", f.peer(i))
			}
			before[f.peer(i)], missing[f.peer(i)] = since, session{f, i}
		}
	}
	p.Kill(t, "bgpd")
	lost := map[string]bool{}
	frrtest.Eventually(t, frrtest.Patience, func() error {
		for _, f := range p.routers {
			for i, s := range f.sessions {
				for prefix := range p.expected(f, i) {
					if _, ok := f.paths(t, s.node)[prefix]; !ok && !lost[f.peer(i)] {
						lost[f.peer(i)] = true
						_, waiting := missing[f.peer(i)]
						t.Errorf("%s lost %s; its session was not yet back: %v", f.peer(i), prefix, waiting)
					}
				}
			}
		}
		for name, s := range missing {
			if up, since := s.f.up(t, s.f.sessions[s.i].node); up && since != before[name] {
				delete(missing, name)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d sessions are not back: %v", len(missing), sortedKeys(missing))
		}
		return nil
	})
	// What they kept is theirs no longer than until the node says what holds now.
	p.awaitEverywhere(t)
	delete(p.wanted, "plain")
	p.give(t)
	p.awaitEverywhere(t)
}
