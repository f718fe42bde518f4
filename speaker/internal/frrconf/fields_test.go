package frrconf_test

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// base is a configuration in which every field can be changed by itself.
func base() announce.Input {
	return announce.Input{
		Node:  "n1",
		Nodes: []announce.NodeInfo{{Name: "n1"}},
		Config: intent.Snapshot{
			Pools: []intent.Pool{{Pool: ipam.Pool{Name: "p", Ranges: []ipam.Range{
				{First: netip.MustParseAddr("10.1.0.0"), Last: netip.MustParseAddr("10.1.0.255")},
				{First: netip.MustParseAddr("2001:db8::"), Last: netip.MustParseAddr("2001:db8::ff")},
			}}}},
			Peers: []intent.Peer{{
				Name: "peer", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr("198.51.100.1"), BFDProfile: "bfd", DualStack: true,
			}},
			BGPAdvertisements: []intent.BGPAdvertisement{{Name: "ad", Pools: []string{"p"}}},
			BFDProfiles:       []intent.BFDProfile{{Name: "bfd"}, {Name: "other"}},
			Snippets: []intent.Snippet{
				{Ref: intent.ObjectRef{Kind: intent.KindSnippet, Name: "a"}, Text: "debug bgp updates in\n"},
				{Ref: intent.ObjectRef{Kind: intent.KindSnippet, Name: "b"}, Priority: 5, Text: "debug bgp updates out\n"},
			},
		},
		Services: []announce.Service{{
			Key: ipam.ServiceKey{Namespace: "default", Name: "web"}, Asked: announce.Asked{ASPathPrepend: "2"}, Endpoints: announce.Endpoints{Serving: 1},
			Addresses: []netip.Addr{netip.MustParseAddr("10.1.0.1"), netip.MustParseAddr("2001:db8::1")},
		}, {
			Key: ipam.ServiceKey{Namespace: "default", Name: "former"}, Endpoints: announce.Endpoints{Serving: 1},
			Addresses: []netip.Addr{netip.MustParseAddr("10.9.0.1")}, Pool: "gone",
		}},
	}
}

// TestGivenAnyFieldWhenChangedThenTheFileChanges sets each field that a user's object ends up in. A field that is new and has no value
// here fails the test, so none is forgotten.
func TestGivenAnyFieldWhenChangedThenTheFileChanges(t *testing.T) {
	elsewhere := selector.Set{labelIs{"kubernetes.io/hostname", "n2"}}
	address := netip.MustParseAddr("192.0.2.77")
	// values gives each field another value, and whatever else that takes.
	values := map[string]func(*intent.Snapshot){
		"Peer.Name":       func(s *intent.Snapshot) { s.Peers[0].Name = "renamed" },
		"Peer.MyASN":      func(s *intent.Snapshot) { s.Peers[0].MyASN = 64999 },
		"Peer.PeerASN":    func(s *intent.Snapshot) { s.Peers[0].PeerASN = 64999 },
		"Peer.LocalASN":   func(s *intent.Snapshot) { s.Peers[0].LocalASN = 64999 },
		"Peer.DynamicASN": func(s *intent.Snapshot) { s.Peers[0].PeerASN, s.Peers[0].DynamicASN = 0, intent.DynamicASNExternal },
		"Peer.Address":    func(s *intent.Snapshot) { s.Peers[0].Address = address },
		"Peer.Interface":  func(s *intent.Snapshot) { s.Peers[0].Address, s.Peers[0].Interface = netip.Addr{}, "eth1" },
		"Peer.ListenRange": func(s *intent.Snapshot) {
			s.Peers[0].Address, s.Peers[0].ListenRange = netip.Addr{}, netip.MustParsePrefix("198.51.100.0/24")
		},
		"Peer.ListenLimit":     func(s *intent.Snapshot) { s.Peers[0].ListenLimit = 7 },
		"Peer.SourceAddress":   func(s *intent.Snapshot) { s.Peers[0].SourceAddress = address },
		"Peer.Sources":         func(s *intent.Snapshot) { s.Peers[0].Sources = []intent.NodeSource{{Node: "n1", Address: address}} },
		"Peer.SourceInterface": func(s *intent.Snapshot) { s.Peers[0].SourceInterface = "eth1" },
		"Peer.TTL":             func(s *intent.Snapshot) { s.Peers[0].EBGPMultiHop, s.Peers[0].TTL = true, 7 },
		"Peer.SecurityHops":    func(s *intent.Snapshot) { s.Peers[0].EBGPMultiHop, s.Peers[0].SecurityHops = false, 3 },
		"Peer.Receive":         func(s *intent.Snapshot) { s.Peers[0].Receive.All = true },
		"Peer.Port":            func(s *intent.Snapshot) { s.Peers[0].Port = 1790 },
		"Peer.Timers":          func(s *intent.Snapshot) { s.Peers[0].Timers.Set = true },
		"Peer.ConnectTime":     func(s *intent.Snapshot) { s.Peers[0].ConnectTime = time.Second },
		"Peer.RouterID":        func(s *intent.Snapshot) { s.Peers[0].RouterID = address },
		"Peer.Nodes":           func(s *intent.Snapshot) { s.Peers[0].Nodes = elsewhere },
		"Peer.Password":        func(s *intent.Snapshot) { s.Peers[0].Password = intent.NewSecret("x") },
		"Peer.BFDProfile":      func(s *intent.Snapshot) { s.Peers[0].BFDProfile = "other" },
		"Peer.GracefulRestart": func(s *intent.Snapshot) { s.Peers[0].GracefulRestart = true },
		"Peer.EBGPMultiHop":    func(s *intent.Snapshot) { s.Peers[0].EBGPMultiHop = true },
		"Peer.VRF":             func(s *intent.Snapshot) { s.Peers[0].VRF = "red" },
		"Peer.DualStack":       func(s *intent.Snapshot) { s.Peers[0].DualStack = false },

		"BGPAdvertisement.Name":                func(s *intent.Snapshot) { s.BGPAdvertisements[0].Name = "renamed" },
		"BGPAdvertisement.AggregationLength":   func(s *intent.Snapshot) { s.BGPAdvertisements[0].AggregationLength = 24 },
		"BGPAdvertisement.AggregationLengthV6": func(s *intent.Snapshot) { s.BGPAdvertisements[0].AggregationLengthV6 = 120 },
		"BGPAdvertisement.LocalPref":           func(s *intent.Snapshot) { s.BGPAdvertisements[0].LocalPref = 7 },
		"BGPAdvertisement.ASPathPrepend":       func(s *intent.Snapshot) { s.BGPAdvertisements[0].ASPathPrepend = 3 },
		"BGPAdvertisement.MED":                 func(s *intent.Snapshot) { s.BGPAdvertisements[0].MED = intent.MED{Set: true} },
		"BGPAdvertisement.ExtCommunities": func(s *intent.Snapshot) {
			s.BGPAdvertisements[0].ExtCommunities = []intent.ExtCommunity{{Kind: "rt", ASN: 1, Number: 2}}
		},
		"BGPAdvertisement.LinkBandwidth": func(s *intent.Snapshot) { s.BGPAdvertisements[0].LinkBandwidth = 100 },
		"BGPAdvertisement.Overrides":     func(s *intent.Snapshot) { s.BGPAdvertisements[0].Overrides.MaxASPathPrepend = 3 },
		"BGPAdvertisement.Communities":   func(s *intent.Snapshot) { s.BGPAdvertisements[0].Communities = []intent.Community{{A: 1, B: 2}} },
		"BGPAdvertisement.Pools":         func(s *intent.Snapshot) { s.BGPAdvertisements[0].Pools = nil },
		"BGPAdvertisement.FormerPools":   func(s *intent.Snapshot) { s.BGPAdvertisements[0].All = true },
		"BGPAdvertisement.Peers":         func(s *intent.Snapshot) { s.BGPAdvertisements[0].Peers = []string{"other"} },
		"BGPAdvertisement.Nodes":         func(s *intent.Snapshot) { s.BGPAdvertisements[0].Nodes = elsewhere },
		"BGPAdvertisement.Services":      func(s *intent.Snapshot) { s.BGPAdvertisements[0].Services = elsewhere },

		"Snippet.Ref":   func(s *intent.Snapshot) { s.Snippets[0].Ref.Name = "renamed" },
		"Snippet.Nodes": func(s *intent.Snapshot) { s.Snippets[0].Nodes = elsewhere },
		"Snippet.Text":  func(s *intent.Snapshot) { s.Snippets[0].Text = "debug bgp zebra\n" },
		// Snapshots have them in the order of priority; intent's tests are about that.
		"Snippet.Priority": func(s *intent.Snapshot) {
			s.Snippets[0].Priority = 10
			s.Snippets[0], s.Snippets[1] = s.Snippets[1], s.Snippets[0]
		},

		"BFDProfile.Name":             func(s *intent.Snapshot) { s.BFDProfiles[0].Name, s.Peers[0].BFDProfile = "renamed", "renamed" },
		"BFDProfile.ReceiveInterval":  func(s *intent.Snapshot) { s.BFDProfiles[0].ReceiveInterval = 77 },
		"BFDProfile.TransmitInterval": func(s *intent.Snapshot) { s.BFDProfiles[0].TransmitInterval = 77 },
		"BFDProfile.EchoInterval":     func(s *intent.Snapshot) { s.BFDProfiles[0].EchoInterval = 77 },
		"BFDProfile.DetectMultiplier": func(s *intent.Snapshot) { s.BFDProfiles[0].DetectMultiplier = 77 },
		"BFDProfile.MinimumTTL":       func(s *intent.Snapshot) { s.BFDProfiles[0].MinimumTTL = 77 },
		"BFDProfile.EchoMode":         func(s *intent.Snapshot) { s.BFDProfiles[0].EchoMode = true },
		"BFDProfile.PassiveMode":      func(s *intent.Snapshot) { s.BFDProfiles[0].PassiveMode = true },
	}
	before := render(t, announce.Compute(base()).BGP)
	for _, kind := range []reflect.Type{reflect.TypeFor[intent.Peer](), reflect.TypeFor[intent.BGPAdvertisement](), reflect.TypeFor[intent.BFDProfile](), reflect.TypeFor[intent.Snippet]()} {
		for field := range kind.Fields() {
			name := kind.Name() + "." + field.Name
			set := values[name]
			if set == nil {
				t.Errorf("%s: no value to try", name)
				continue
			}
			in := base()
			was := base().Config
			set(&in.Config)
			if reflect.DeepEqual(was, in.Config) {
				t.Errorf("%s: the value to try is the one it has", name)
			}
			if render(t, announce.Compute(in).BGP) == before {
				t.Errorf("%s: another value, the same file", name)
			}
		}
	}
}

// TestGivenAnyPartOfBGPWhenChangedThenTheFileChanges does the same for what a decision says of the node's BGP as a whole.
func TestGivenAnyPartOfBGPWhenChangedThenTheFileChanges(t *testing.T) {
	changes := map[string]func(*announce.BGP){
		"Routers":          func(b *announce.BGP) { b.Routers = nil },
		"BFDProfiles":      func(b *announce.BGP) { b.BFDProfiles = nil },
		"GracefulShutdown": func(b *announce.BGP) { b.GracefulShutdown = true },
		"Snippets":         func(b *announce.BGP) { b.Snippets = nil },
	}
	before := render(t, announce.Compute(base()).BGP)
	for field := range reflect.TypeFor[announce.BGP]().Fields() {
		bgp := announce.Compute(base()).BGP
		change := changes[field.Name]
		if change == nil {
			t.Errorf("%s: no value to try", field.Name)
			continue
		}
		if change(&bgp); render(t, bgp) == before {
			t.Errorf("%s: another value, the same file", field.Name)
		}
	}
}

func TestGivenTimersWhenEachChangesThenTheFileChanges(t *testing.T) {
	seen := map[string]bool{}
	for _, timers := range []intent.Timers{
		{}, {Set: true}, {Set: true, Keepalive: 3 * time.Second, Hold: 9 * time.Second}, {Set: true, Keepalive: time.Second, Hold: 9 * time.Second},
		{Set: true, Keepalive: 3 * time.Second, Hold: 10 * time.Second},
	} {
		in := base()
		in.Config.Peers[0].Timers = timers
		seen[render(t, announce.Compute(in).BGP)] = true
	}
	if len(seen) != 5 {
		t.Errorf("5 different timers gave %d different files", len(seen))
	}
}

// TestGivenAnythingAServiceAsksForWhenItIsAllowedThenTheFileChanges does the same for what Services ask for.
func TestGivenAnythingAServiceAsksForWhenItIsAllowedThenTheFileChanges(t *testing.T) {
	values := map[string]announce.Asked{"Communities": {Communities: "no-export"}, "ASPathPrepend": {ASPathPrepend: "1"}, "MED": {MED: "5"}, "LocalPref": {LocalPref: "5"}}
	seen := map[string]string{}
	for field := range reflect.TypeFor[announce.Asked]().Fields() {
		asked, known := values[field.Name]
		if !known {
			t.Errorf("%s: no value to try", field.Name)
		}
		in := base()
		in.Services[0].Asked = asked
		before := render(t, announce.Compute(in).BGP)
		in.Config.BGPAdvertisements[0].Overrides = intent.Overrides{
			Communities:      []intent.AllowedCommunity{{Text: "no-export", Value: intent.Community{A: 65535, B: 65281}}},
			MaxASPathPrepend: 1, MED: intent.Span{Set: true, Max: 5}, LocalPref: intent.Span{Set: true, Max: 5},
		}
		after := render(t, announce.Compute(in).BGP)
		if after == before || seen[after] != "" {
			t.Errorf("%s: what is asked for makes no difference, or the same as %q", field.Name, seen[after])
		}
		seen[after] = field.Name
	}
}
