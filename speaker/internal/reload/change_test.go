package reload_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/observer"
)

const (
	// nodeAddress is the node's on the cable, peers its neighbors at the other end; goldEvery is how many Services there are for one of class gold.
	nodeAddress = "192.0.2.1/24"
	goldEvery   = 100
	asn         = 64512
)

func peerAddress(i int) string { return fmt.Sprintf("192.0.2.%d", 101+i) }

// scene is what the objects of a cluster say to one node: the product decides, renders and applies it as it does in a speaker.
type scene struct {
	announce.Input
	renderer *frrconf.Renderer
}

// newSite has that many Services and peers (iBGP), and advertisements: all for every Service, some for those of class gold, to every peer.
func newSite(services, peers int) *scene {
	s := &scene{renderer: frrconf.NewRenderer(frrconf.Options{Hostname: "n1"})}
	s.Node, s.Nodes = "n1", []announce.NodeInfo{{Name: "n1"}}
	s.Config.Pools = []intent.Pool{{Pool: ipam.Pool{Name: "p", Ranges: []ipam.Range{
		{First: netip.MustParseAddr("10.0.0.0"), Last: netip.MustParseAddr("10.0.255.255")},
	}}}}
	for i := range peers {
		s.addPeer(i)
	}
	s.Config.BFDProfiles = []intent.BFDProfile{{Name: "fast", ReceiveInterval: 400}}
	s.Config.Peers[peers-1].BFDProfile = "fast"
	s.advertise(intent.BGPAdvertisement{Name: "all", Communities: []intent.Community{{A: asn, B: 1}}})
	s.advertise(intent.BGPAdvertisement{Name: "some", Services: gold(), Communities: []intent.Community{{A: asn, B: 2}}})
	for i := range services {
		s.addService(i)
	}
	return s
}

func (s *scene) addPeer(i int) {
	s.Config.Peers = append(s.Config.Peers, intent.Peer{Name: fmt.Sprintf("tor-%02d", i), MyASN: asn, PeerASN: asn,
		Address: netip.MustParseAddr(peerAddress(i)), Port: 179, ConnectTime: time.Second})
}

func (s *scene) advertise(ad intent.BGPAdvertisement) {
	ad.AggregationLength, ad.AggregationLengthV6, ad.Pools = 32, 128, []string{"p"}
	s.Config.BGPAdvertisements = append(s.Config.BGPAdvertisements, ad)
}

func (s *scene) ad(name string) *intent.BGPAdvertisement {
	i := slices.IndexFunc(s.Config.BGPAdvertisements, func(ad intent.BGPAdvertisement) bool { return ad.Name == name })
	return &s.Config.BGPAdvertisements[i]
}

// addService adds the Service whose address serviceAddress gives.
func (s *scene) addService(i int) {
	class := "iron"
	if i%goldEvery == 0 {
		class = "gold"
	}
	s.Services = append(s.Services, announce.Service{Key: ipam.ServiceKey{Namespace: "default", Name: fmt.Sprintf("service-%05d", i)},
		Labels: map[string]string{"class": class}, Addresses: []netip.Addr{serviceAddress(i).Addr()}, Endpoints: announce.Endpoints{Serving: 1}})
}

func serviceAddress(i int) netip.Prefix {
	return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), 32)
}

// isGold tells whether a prefix is of a Service of class gold.
func isGold(p netip.Prefix) bool {
	a := p.Addr().As4()
	return (int(a[2])<<8|int(a[3]))%goldEvery == 0
}

type classIs string

func (c classIs) Matches(labels map[string]string) bool { return labels["class"] == string(c) }
func (c classIs) String() string                        { return "class=" + string(c) }

func gold() selector.Set { return selector.Set{classIs("gold")} }

func (s *scene) conf(tb testing.TB) string {
	tb.Helper()
	conf, err := s.renderer.Render(announce.Compute(s.Input).BGP)
	if err != nil {
		tb.Fatal(err)
	}
	return string(conf)
}

// startSite runs a node for a site and the routers that its peers are, of which there may be up to room, and returns when they have everything.
func startSite(tb testing.TB, release frrtest.Release, s *scene, room int) (*node, *observer.Router) {
	tb.Helper()
	n := startNode(tb, release)
	var addresses []string
	var bfd strings.Builder
	bfd.WriteString("bfd\n")
	for i := range room {
		addresses = append(addresses, peerAddress(i)+"/24")
		bfd.WriteString(" peer 192.0.2.1 local-address " + peerAddress(i) + "\n exit\n")
	}
	routers := observer.Start(tb, n.Instance, observer.Options{ASN: asn, Cable: "eth0", Node: []string{nodeAddress}, Addresses: addresses, Config: bfd.String() + "exit\n"})
	n.apply(tb, s.conf(tb))
	routers.Await(tb, s.everythingAt(routers))
	return n, routers
}

// everythingAt checks that every peer has a session and exactly the routes that it should.
func (s *scene) everythingAt(routers *observer.Router) func() error {
	wanted := map[bool]string{true: s.attributes(true), false: s.attributes(false)}
	return func() error {
		for _, p := range s.Config.Peers {
			state := routers.State(p.Address)
			if !state.Up || len(state.Routes) != len(s.Services) {
				return fmt.Errorf("%s: session %t (%s), %d routes of %d", p.Name, state.Up, state.Ended, len(state.Routes), len(s.Services))
			}
			for prefix, have := range state.Routes {
				if want := wanted[isGold(prefix)]; have != want {
					return fmt.Errorf("%s has %s with %s, not %s", p.Name, prefix, have, want)
				}
			}
		}
		return nil
	}
}

// attributes is what the routers are to see of a prefix of a class, in the observer's notation.
func (s *scene) attributes(gold bool) string {
	var communities []intent.Community
	preference := uint32(100) // FRR's, where nobody asks for another
	for _, ad := range s.Config.BGPAdvertisements {
		if len(ad.Services) > 0 && !gold {
			continue
		}
		communities = append(communities, ad.Communities...)
		if ad.LocalPref > 0 {
			preference = ad.LocalPref
		}
	}
	slices.SortFunc(communities, intent.Community.Compare)
	var words []string
	for _, c := range slices.Compact(communities) {
		words = append(words, c.String())
	}
	out := fmt.Sprintf("{Origin: i} {AsPath: } {Med: 0} {LocalPref: %d}", preference)
	if len(words) > 0 {
		out += " {Communities: " + strings.Join(words, ", ") + "}"
	}
	return out
}

// change is a change of one object: do makes it, undo takes it back. It changes the routes that touches names and no other; with policy it is
// one of what an advertisement says.
type change struct {
	name     string
	do, undo func(*scene)
	touches  func(netip.Prefix) bool
	policy   bool
}

func none(netip.Prefix) bool  { return false }
func every(netip.Prefix) bool { return true }

// changes are all kinds of changes of one object of a site with that many Services and peers, those of policies last. The last peer uses the
// BFD profile.
func changes(services, peers int) []change {
	one := func(p netip.Prefix) bool { return p == serviceAddress(services) }
	list := []change{
		{"prefix", func(s *scene) { s.addService(services) }, func(s *scene) { s.Services = s.Services[:services] }, one, false},
		{"peer", func(s *scene) { s.addPeer(peers) }, func(s *scene) { s.Config.Peers = s.Config.Peers[:peers] }, none, false},
		{"timers", func(s *scene) {
			s.Config.Peers[0].Timers = intent.Timers{Set: true, Hold: 60 * time.Second, Keepalive: 20 * time.Second}
		}, func(s *scene) { s.Config.Peers[0].Timers = intent.Timers{} }, none, false},
		{"connectTime", func(s *scene) { s.Config.Peers[0].ConnectTime = 7 * time.Second },
			func(s *scene) { s.Config.Peers[0].ConnectTime = time.Second }, none, false},
		{"BFD profile", func(s *scene) { s.Config.BFDProfiles[0].ReceiveInterval = 500 },
			func(s *scene) { s.Config.BFDProfiles[0].ReceiveInterval = 400 }, none, false},
	}
	for _, of := range []struct {
		ad      string
		touches func(netip.Prefix) bool
	}{{"all", every}, {"some", isGold}} {
		list = append(list,
			change{"community added, of " + of.ad, func(s *scene) {
				ad := s.ad(of.ad)
				ad.Communities = append(slices.Clone(ad.Communities), intent.Community{A: asn, B: 7})
			}, func(s *scene) { s.ad(of.ad).Communities = s.ad(of.ad).Communities[:1] }, of.touches, true},
			change{"community changed, of " + of.ad, func(s *scene) { s.ad(of.ad).Communities = []intent.Community{{A: asn, B: 8}} },
				func(s *scene) {
					s.ad(of.ad).Communities = []intent.Community{{A: asn, B: map[string]uint32{"all": 1, "some": 2}[of.ad]}}
				}, of.touches, true},
			change{"localPref, of " + of.ad, func(s *scene) { s.ad(of.ad).LocalPref = 300 }, func(s *scene) { s.ad(of.ad).LocalPref = 0 }, of.touches, true})
	}
	return append(list,
		change{"advertisement", func(s *scene) {
			s.advertise(intent.BGPAdvertisement{Name: "more", Services: gold(), Communities: []intent.Community{{A: asn, B: 9}}})
		}, func(s *scene) { s.Config.BGPAdvertisements = s.Config.BGPAdvertisements[:2] }, isGold, true})
}

// outcome is what one change came to.
type outcome struct {
	// daemon is the time until FRR runs it and was read back, peers until the last route that it changes was at the last peer.
	daemon, peers time.Duration
}

// way gets a configuration into FRR: it prepares that and returns a function that does it and tells how long it took until FRR ran it and was
// read back.
type way func(tb testing.TB, conf string) func() time.Duration

// product is the way that all go.
func (n *node) product(tb testing.TB, conf string) func() time.Duration {
	tb.Helper()
	return func() time.Duration {
		begin := time.Now()
		ack := n.apply(tb, conf)
		took := time.Since(begin)
		if ack.How != frr.Delta {
			tb.Errorf("applied by %+v, not by commands", ack)
		}
		return took
	}
}

// bring brings a site into FRR and waits until the routers have what it says.
func bring(tb testing.TB, by way, s *scene, routers *observer.Router) outcome {
	tb.Helper()
	apply, mark := by(tb, s.conf(tb)), routers.Count()
	begin := time.Now()
	out := outcome{daemon: apply()}
	routers.Await(tb, s.everythingAt(routers))
	for _, e := range routers.Events(mark) {
		out.peers = max(out.peers, e.At.Sub(begin))
	}
	return out
}

// strays are routes that a change should have left alone, in words. FRR sends a neighbor everything again when its policy has changed; what
// is as it was is no change.
func (c *change) strays(events []observer.Event, before map[netip.Addr]observer.State) []string {
	var found []string
	for _, e := range events {
		state, old := before[e.Peer]
		if !old || c.touches(e.Prefix) {
			continue
		}
		if was := state.Routes[e.Prefix]; !c.policy || e.Withdrawn || e.Attributes != was {
			found = append(found, fmt.Sprintf("%s at %s was %s: %+v", e.Prefix, e.Peer, was, e))
		}
	}
	return found
}

func (s *scene) states(routers *observer.Router) map[netip.Addr]observer.State {
	states := map[netip.Addr]observer.State{}
	for _, p := range s.Config.Peers {
		states[p.Address] = routers.State(p.Address)
	}
	return states
}

func TestGivenSessionsWhenOneObjectChangesThenOnlyItsRoutesDoAndNoSessionIsReset(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			const services, peers = 3 * goldEvery, 2
			s := newSite(services, peers)
			n, routers := startSite(t, release, s, peers+1)
			for _, c := range changes(services, peers) {
				for _, act := range []func(*scene){c.do, c.undo} {
					before, mark := s.states(routers), routers.Count()
					act(s)
					bring(t, n.product, s, routers)
					if strays := c.strays(routers.Events(mark), before); len(strays) > 0 {
						t.Errorf("%s: %d strays, the first: %s", c.name, len(strays), strays[0])
					}
					for address, was := range before {
						if now := routers.State(address); now.Opened != was.Opened {
							t.Errorf("%s: the session at %s was opened %d times before and %d after", c.name, address, was.Opened, now.Opened)
						}
					}
				}
			}
		})
	}
}

func TestGivenMorePrefixesAndPeersWhenRenderedThenTheSizeGrowsWithTheirSum(t *testing.T) {
	t.Parallel()
	// Addresses of peers and prefixes have as many digits in each.
	size := func(services, peers int) int { return len(newSite(services, peers).conf(t)) }
	few, many := size(100, 16)-size(100, 1), size(1000, 16)-size(1000, 1)
	if few != many {
		t.Errorf("15 peers more take %d bytes beside 100 prefixes and %d beside 1,000", few, many)
	}
}

// A session that opened before would tell its router of no address family, and would have to be opened again.
func TestGivenAPeerThatComesWhenItsCommandsAreGivenOneAfterTheOtherThenItsSessionBeginsOnceItIsActive(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			observer.Start(t, n.Instance, observer.Options{ASN: asn, Cable: "eth0", Node: []string{nodeAddress}, Addresses: []string{peerAddress(0) + "/24"}})
			bare := newFloor(t, n)
			for _, step := range bare.plan(t, newSite(1, 1).conf(t)) {
				bare.give(t, []frrdelta.Step{step})
				n.Vtysh(t, "show version") // as long as a session takes to open
			}
			n.AwaitSession(t, peerAddress(0))
			opened := shown[map[string]struct {
				Stats struct{ OpensSent, NotificationsSent int } `json:"messageStats"`
			}](t, n.Instance, "show bgp neighbors "+peerAddress(0)+" json")[peerAddress(0)].Stats
			if opened.OpensSent != 1 || opened.NotificationsSent != 0 {
				t.Errorf("%+v, want the session to be opened once", opened)
			}
		})
	}
}
