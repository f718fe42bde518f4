package frrconf_test

import (
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// scene is what a testdata/NAME.in.yaml says, in the terms of the API where it has them. Everything in it is on one node, n1.
type scene struct {
	Pools          map[string]string `json:"pools"`
	Peers          []scenePeer       `json:"peers"`
	Advertisements []sceneAd         `json:"advertisements"`
	BFDProfiles    []sceneBFD        `json:"bfdProfiles"`
	// Snippets are raw configuration, in the order in which it stands.
	Snippets []sceneSnippet `json:"snippets"`
	// Services maps namespace/name to what it has.
	Services map[string]sceneService `json:"services"`
	// Drain is how far n1 is with giving up its routes, in the words of announce.Drain; n2 could announce whatever n1 can.
	Drain string `json:"drain"`
}

type scenePeer struct {
	Name                  string     `json:"name"`
	MyASN                 uint32     `json:"myASN"`
	PeerASN               uint32     `json:"peerASN"`
	LocalASN              uint32     `json:"localASN"`
	DynamicASN            string     `json:"dynamicASN"`
	PeerAddress           netip.Addr `json:"peerAddress"`
	Interface             string     `json:"interface"`
	ListenRange           string     `json:"listenRange"`
	ListenLimit           uint16     `json:"listenLimit"`
	SourceAddress         netip.Addr `json:"sourceAddress"`
	PeerPort              uint16     `json:"peerPort"`
	HoldTime              string     `json:"holdTime"`
	KeepaliveTime         string     `json:"keepaliveTime"`
	ConnectTime           string     `json:"connectTime"`
	RouterID              netip.Addr `json:"routerID"`
	Password              string     `json:"password"`
	BFDProfile            string     `json:"bfdProfile"`
	EnableGracefulRestart bool       `json:"enableGracefulRestart"`
	EBGPMultiHop          bool       `json:"ebgpMultiHop"`
	EBGPMultiHopTTL       uint8      `json:"ebgpMultiHopTTL"`
	TTLSecurityHops       uint8      `json:"ttlSecurityHops"`
	SourceInterface       string     `json:"sourceInterface"`
	// Sources maps node names to addresses, and Receive prefixes to the shortest and longest length; "all" is every route.
	Sources   map[string]netip.Addr `json:"sourceAddresses"`
	Receive   map[string][2]int     `json:"toReceive"`
	VRF       string                `json:"vrf"`
	DualStack bool                  `json:"dualStackAddressFamily"`
}

type sceneAd struct {
	Name                string   `json:"name"`
	AggregationLength   int      `json:"aggregationLength"`
	AggregationLengthV6 int      `json:"aggregationLengthV6"`
	LocalPref           uint32   `json:"localPref"`
	ASPathPrepend       int      `json:"asPathPrepend"`
	MED                 *uint32  `json:"med"`
	Communities         []string `json:"communities"`
	ExtCommunities      []string `json:"extCommunities"`
	LinkBandwidth       uint32   `json:"linkBandwidth"`
	// Choice lets Services choose: up to this for the AS path, no-export, and any MED up to 100.
	Choice         int      `json:"choice"`
	IPAddressPools []string `json:"ipAddressPools"`
	Peers          []string `json:"peers"`
	// Team is a service selector: team=<value>.
	Team string `json:"team"`
}

type sceneSnippet struct {
	Kind      string `json:"kind"`
	Name      string `json:"name"`
	RawConfig string `json:"rawConfig"`
}

type sceneBFD struct {
	Name             string `json:"name"`
	ReceiveInterval  uint32 `json:"receiveInterval"`
	TransmitInterval uint32 `json:"transmitInterval"`
	EchoInterval     uint32 `json:"echoInterval"`
	DetectMultiplier uint32 `json:"detectMultiplier"`
	MinimumTTL       uint32 `json:"minimumTtl"`
	EchoMode         bool   `json:"echoMode"`
	PassiveMode      bool   `json:"passiveMode"`
}

type sceneService struct {
	Addresses []netip.Addr `json:"addresses"`
	Team      string       `json:"team"`
	// Away says that externalTrafficPolicy is Local and all endpoints are on another node.
	Away bool `json:"away"`
	// Local is how many endpoints are on the node, where externalTrafficPolicy is Local.
	Local int            `json:"local"`
	Asked announce.Asked `json:"asked"`
}

// labelIs selects objects by one label.
type labelIs struct{ key, value string }

func (l labelIs) Matches(labels map[string]string) bool { return labels[l.key] == l.value }
func (l labelIs) String() string                        { return l.key + "=" + l.value }

// read returns the input that a file describes.
func read(t *testing.T, path string) announce.Input {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s scene
	if err := yaml.UnmarshalStrict(raw, &s); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	in := announce.Input{Node: "n1", Nodes: []announce.NodeInfo{{Name: "n1"}, {Name: "n2"}}}
	for in.Drain.String() != s.Drain && s.Drain != "" && in.Drain < announce.DrainWithdrawn {
		in.Drain++
	}
	var pools []string
	for name, cidr := range s.Pools {
		p := netip.MustParsePrefix(cidr)
		pools = append(pools, name)
		in.Config.Pools = append(in.Config.Pools, intent.Pool{Pool: ipam.Pool{Name: name, Ranges: []ipam.Range{{First: p.Addr(), Last: last(p)}}}})
	}
	for _, p := range s.Peers {
		in.Config.Peers = append(in.Config.Peers, p.intent(t))
	}
	for _, a := range s.Advertisements {
		in.Config.BGPAdvertisements = append(in.Config.BGPAdvertisements, a.intent(t, pools))
	}
	for _, b := range s.BFDProfiles {
		in.Config.BFDProfiles = append(in.Config.BFDProfiles, intent.BFDProfile(b))
	}
	for _, snippet := range s.Snippets {
		in.Config.Snippets = append(in.Config.Snippets, intent.Snippet{
			Ref: intent.ObjectRef{Kind: snippet.Kind, Namespace: "metallb-system", Name: snippet.Name}, Text: snippet.RawConfig,
		})
	}
	for key, svc := range s.Services {
		namespace, name, _ := strings.Cut(key, "/")
		where := "n1"
		if svc.Away {
			where = "n2"
		}
		in.Services = append(in.Services, announce.Service{
			Key: ipam.ServiceKey{Namespace: namespace, Name: name}, Labels: map[string]string{"team": svc.Team}, Addresses: svc.Addresses,
			Local: svc.Away || svc.Local > 0, Asked: svc.Asked, Endpoints: announce.Endpoints{Serving: max(1, svc.Local), OnNode: map[string]int{where: max(1, svc.Local)}},
		})
	}
	return in
}

func (p scenePeer) intent(t *testing.T) intent.Peer {
	t.Helper()
	peer := intent.Peer{
		Name: p.Name, MyASN: p.MyASN, PeerASN: p.PeerASN, LocalASN: p.LocalASN, DynamicASN: intent.DynamicASN(p.DynamicASN),
		Address: p.PeerAddress, Interface: p.Interface, SourceAddress: p.SourceAddress, Port: p.PeerPort, ConnectTime: duration(t, p.ConnectTime),
		RouterID: p.RouterID, Password: intent.NewSecret(p.Password), BFDProfile: p.BFDProfile, GracefulRestart: p.EnableGracefulRestart,
		EBGPMultiHop: p.EBGPMultiHop, VRF: p.VRF, DualStack: p.DualStack,
	}
	peer.TTL, peer.SecurityHops, peer.SourceInterface = p.EBGPMultiHopTTL, p.TTLSecurityHops, p.SourceInterface
	peer.EBGPMultiHop = p.EBGPMultiHop || p.EBGPMultiHopTTL > 0
	if peer.ListenLimit = p.ListenLimit; p.ListenRange != "" {
		peer.ListenRange = netip.MustParsePrefix(p.ListenRange)
	}
	for node, address := range p.Sources {
		peer.Sources = append(peer.Sources, intent.NodeSource{Node: node, Address: address})
	}
	for text, lengths := range p.Receive {
		if text == "all" {
			peer.Receive.All = true
			continue
		}
		peer.Receive.Prefixes = append(peer.Receive.Prefixes, intent.ReceivePrefix{Prefix: netip.MustParsePrefix(text), Shortest: lengths[0], Longest: lengths[1]})
	}
	if p.HoldTime != "" {
		peer.Timers = intent.Timers{Set: true, Hold: duration(t, p.HoldTime), Keepalive: duration(t, p.KeepaliveTime)}
	}
	return peer
}

func (a sceneAd) intent(t *testing.T, pools []string) intent.BGPAdvertisement {
	t.Helper()
	ad := intent.BGPAdvertisement{
		Name: a.Name, AggregationLength: a.AggregationLength, AggregationLengthV6: a.AggregationLengthV6,
		LocalPref: a.LocalPref, ASPathPrepend: a.ASPathPrepend, LinkBandwidth: a.LinkBandwidth, Pools: a.IPAddressPools, Peers: a.Peers,
	}
	if ad.Pools == nil {
		ad.Pools = pools
	}
	if a.Team != "" {
		ad.Services = selector.Set{labelIs{"team", a.Team}}
	}
	if a.Choice > 0 {
		ad.Overrides = intent.Overrides{
			Communities:      []intent.AllowedCommunity{{Text: "no-export", Value: intent.Community{A: 65535, B: 65281}}},
			MaxASPathPrepend: a.Choice, MED: intent.Span{Set: true, Max: 100},
		}
	}
	if a.MED != nil {
		ad.MED = intent.MED{Set: true, Value: *a.MED}
	}
	for _, text := range a.ExtCommunities {
		kind, value, _ := strings.Cut(text, ":")
		admin, number, _ := strings.Cut(value, ":")
		c := intent.ExtCommunity{Kind: kind}
		if strings.Contains(admin, ".") {
			c.Address = netip.MustParseAddr(admin)
		} else {
			_, err := fmt.Sscan(admin, &c.ASN)
			must(t, err)
		}
		_, err := fmt.Sscan(number, &c.Number)
		must(t, err)
		ad.ExtCommunities = append(ad.ExtCommunities, c)
	}
	for _, text := range a.Communities {
		var c intent.Community
		if large, is := strings.CutPrefix(text, "large:"); is {
			c.Large = true
			_, err := fmt.Sscanf(large, "%d:%d:%d", &c.A, &c.B, &c.C)
			must(t, err)
		} else {
			_, err := fmt.Sscanf(text, "%d:%d", &c.A, &c.B)
			must(t, err)
		}
		ad.Communities = append(ad.Communities, c)
	}
	return ad
}

// last is the last address of a prefix.
func last(p netip.Prefix) netip.Addr {
	bytes := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes)
	return addr
}

func duration(t *testing.T, text string) time.Duration {
	t.Helper()
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	must(t, err)
	return d
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
