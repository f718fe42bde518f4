package frrconf_test

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

// TestGivenValueThatLeavesItsWordWhenRenderedThenRefusedByName tries to write past the end of a word in every field that carries text.
func TestGivenValueThatLeavesItsWordWhenRenderedThenRefusedByName(t *testing.T) {
	fields := map[string]func(bgp *announce.BGP, o *frrconf.Options, value string){
		"name": func(b *announce.BGP, _ *frrconf.Options, v string) { b.Routers[0].Neighbors[0].Name = v },
		"interface": func(b *announce.BGP, _ *frrconf.Options, v string) {
			n := &b.Routers[0].Neighbors[0]
			n.Interface, n.Address = v, netip.Addr{}
		},
		"password": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].Password = intent.NewSecret("hidden" + v)
		},
		"bfdProfile": func(b *announce.BGP, _ *frrconf.Options, v string) { b.Routers[0].Neighbors[0].BFDProfile = v },
		"vrf": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].VRF = v
			b.Routers[0].Neighbors[0].VRF = v
		},
		"BGPAdvertisement": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].Policies[0].Advertisement = v
		},
		"dynamicASN": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].DynamicASN = intent.DynamicASN(v)
		},
		"sourceAddress": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].SourceAddress = netip.MustParseAddr("fe80::1").WithZone(v)
		},
		"sourceInterface": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].SourceInterface = v
		},
		"peerAddress": func(b *announce.BGP, _ *frrconf.Options, v string) {
			b.Routers[0].Neighbors[0].Address = netip.MustParseAddr("fe80::1").WithZone(v)
		},
		"BFDProfile": func(b *announce.BGP, _ *frrconf.Options, v string) { b.BFDProfiles[0].Name = v },
		"host name":  func(_ *announce.BGP, o *frrconf.Options, v string) { o.Hostname = v },
		"log level":  func(_ *announce.BGP, o *frrconf.Options, v string) { o.LogLevel = v },
	}
	for field, set := range fields {
		for _, value := range []string{"x\nrouter bgp 1", "x\ry", "x y", "x\ty", "x\x00y", "\x7f", " "} {
			bgp, o := announce.Compute(base()).BGP, frrconf.Options{Hostname: "n1"}
			set(&bgp, &o, value)
			conf, err := frrconf.Render(bgp, o)
			switch {
			case err == nil:
				t.Errorf("%s %q was accepted:\n%s", field, value, conf)
			case !strings.Contains(err.Error(), field):
				t.Errorf("%s %q: error %q does not name the field", field, value, err)
			case strings.ContainsAny(err.Error(), "\n\r\x00"):
				t.Errorf("%s %q: error %q carries the value as it is", field, value, err)
			case strings.Contains(err.Error(), "hidden"):
				t.Errorf("error %q prints the password", err)
			}
			inNeighbor := field != "host name" && field != "log level" && field != "BFDProfile" && field != "name"
			if err != nil && inNeighbor && !strings.Contains(err.Error(), `BGPPeer "peer"`) {
				t.Errorf("%s %q: error %q does not name the peer", field, value, err)
			}
		}
	}
}

func TestGivenContradictionWhenRenderedThenRefused(t *testing.T) {
	for what, change := range map[string]func(*announce.Router){
		"one session per address": func(r *announce.Router) {
			second := r.Neighbors[0]
			second.Name = "second"
			r.Neighbors = append(r.Neighbors, second)
		},
		"AS number":          func(r *announce.Router) { r.ASN = 0 },
		"peerASN is 0":       func(r *announce.Router) { r.Neighbors[0].PeerASN = 0 },
		"neither":            func(r *announce.Router) { r.Neighbors[0].Address = netip.Addr{} },
		"wanted one of them": func(r *announce.Router) { r.Neighbors[0].Interface = "eth1" },
		"name of an interface": func(r *announce.Router) {
			r.Neighbors[0].Address, r.Neighbors[0].Interface = netip.Addr{}, "192.0.2.1"
		},
		"at most 80": func(r *announce.Router) { r.Neighbors[0].Password = intent.NewSecret(strings.Repeat("x", 81)) },
		"up to 65535": func(r *announce.Router) {
			r.Neighbors[0].Policies[0].Communities = []intent.Community{{A: 70000, B: 1}}
		},
		"lengths from its own": func(r *announce.Router) {
			r.Neighbors[0].Receive.Prefixes = []intent.ReceivePrefix{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Shortest: 7, Longest: 8}}
		},
		"ttlSecurityHops": func(r *announce.Router) { r.Neighbors[0].EBGPMultiHop, r.Neighbors[0].SecurityHops = true, 1 },
		"and sourceInterface": func(r *announce.Router) {
			r.Neighbors[0].SourceInterface, r.Neighbors[0].SourceAddress = "lo", netip.MustParseAddr("192.0.2.1")
		},
		"wanted rt or soo": func(r *announce.Router) {
			r.Neighbors[0].Policies[0].ExtCommunities = []intent.ExtCommunity{{Kind: "rt\nexit", ASN: 1, Number: 1}}
		},
		"one number up to 65535": func(r *announce.Router) {
			r.Neighbors[0].Policies[0].ExtCommunities = []intent.ExtCommunity{{Kind: "rt", ASN: 70000, Number: 70000}}
		},
		"wanted one line":              func(r *announce.Router) { r.Neighbors[0].Policies[0].Variant = "med 1\nexit" },
		"wanted up to 25600":           func(r *announce.Router) { r.Neighbors[0].Policies[0].LinkBandwidth = 25601 },
		"wanted 0 to 10":               func(r *announce.Router) { r.Neighbors[0].Policies[0].ASPathPrepend = 11 },
		"host bits":                    func(r *announce.Router) { r.Prefixes[0].Prefix = netip.MustParsePrefix("10.0.0.1/24") },
		"at least one tag":             func(r *announce.Router) { r.Prefixes[0].Tags = nil },
		"a policy for":                 func(r *announce.Router) { r.Prefixes[0].Tags = []announce.Tag{announce.TagOf("stranger")} },
		"and peerAddress or interface": func(r *announce.Router) { r.Neighbors[0].ListenRange = netip.MustParsePrefix("192.0.2.0/24") },
		"says how the node connects": func(r *announce.Router) {
			n := &r.Neighbors[0]
			n.Address, n.ListenRange, n.ConnectTime = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/24"), 1
		},
		"and enableGracefulRestart": func(r *announce.Router) {
			n := &r.Neighbors[0]
			n.Address, n.ListenRange, n.GracefulRestart = netip.Addr{}, netip.MustParsePrefix("192.0.2.0/24"), true
		},
		"listenRange is": func(r *announce.Router) {
			r.Neighbors[0].Address, r.Neighbors[0].ListenRange = netip.Addr{}, netip.MustParsePrefix("192.0.2.1/24")
		},
		"that of its router": func(r *announce.Router) { r.Neighbors[0].VRF = "red" },
		"IPv4 address":       func(r *announce.Router) { r.RouterID = netip.MustParseAddr("2001:db8::1") },
	} {
		bgp := announce.Compute(base()).BGP
		change(&bgp.Routers[0])
		if _, err := frrconf.Render(bgp, frrconf.Options{Hostname: "n1"}); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("error is %v: wanted one with %q", err, what)
		}
	}
}

func TestGivenLogLevelOfTheFlagWhenTranslatedThenFRRKnowsIt(t *testing.T) {
	for flag, want := range map[string]string{
		"all": "debugging", "debug": "debugging", "info": "informational", "warn": "warnings", "error": "errors", "none": "emergencies",
	} {
		conf, err := frrconf.Render(announce.BGP{}, frrconf.Options{Hostname: "n1", LogLevel: frrconf.LogLevel(flag)})
		if err != nil || !strings.Contains(string(conf), "\nlog stdout "+want+"\n") {
			t.Errorf("%s: error %v, wanted level %s in:\n%s", flag, err, want, conf)
		}
	}
}

func TestGivenRawConfigurationThatLeavesItsSectionWhenRenderedThenRefused(t *testing.T) {
	for what, snippet := range map[string]announce.Snippet{
		"no name": {Text: "a\n"}, "a name of two lines": {Name: "a\nb", Text: "a\n"}, "a name twice": {Name: "FRRSnippet b", Text: "a\n"},
		"half a line": {Name: "x", Text: "a"}, "a NUL": {Name: "x", Text: "\x00\n"}, "a border": {Name: "x", Text: "a\n! end of raw configuration\n"},
	} {
		bgp := announce.Compute(base()).BGP
		bgp.Snippets = append(bgp.Snippets, snippet)
		if conf, err := frrconf.Render(bgp, frrconf.Options{Hostname: "n1"}); err == nil || !strings.Contains(err.Error(), "raw configuration") {
			t.Errorf("%s: got error %v and\n%s", what, err, conf)
		}
	}
}
