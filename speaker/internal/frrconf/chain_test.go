package frrconf_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

// drawText draws one of the usual values or, now and then, any text at all.
func drawText(t *rapid.T, label string, usual ...string) string {
	if rapid.IntRange(0, 3).Draw(t, label+" odd") == 0 {
		return rapid.String().Draw(t, label)
	}
	return rapid.SampledFrom(usual).Draw(t, label)
}

func drawDuration(t *rapid.T, label string) *time.Duration {
	if rapid.Bool().Draw(t, label+" unset") {
		return nil
	}
	d := time.Duration(rapid.Int64Range(-1, int64(70000*time.Second)).Draw(t, label))
	return &d
}

func drawNumber(t *rapid.T, label string) *uint32 {
	if rapid.IntRange(0, 2).Draw(t, label+" set") > 0 {
		return nil
	}
	return new(rapid.Uint32Range(0, 257).Draw(t, label))
}

func drawSources(t *rapid.T) []intent.RawNodeSource {
	if rapid.Bool().Draw(t, "no sources") {
		return nil
	}
	return []intent.RawNodeSource{{NodeName: drawText(t, "source node", "n1", "n2"), Address: drawText(t, "source", "10.0.0.8", "2001:db8::8")}}
}

func drawReceive(t *rapid.T) *intent.RawReceive {
	if rapid.Bool().Draw(t, "no toReceive") {
		return nil
	}
	r := &intent.RawReceive{Mode: drawText(t, "mode", "", "filtered", "all")}
	for range rapid.IntRange(0, 3).Draw(t, "prefixes") {
		r.Prefixes = append(r.Prefixes, intent.RawReceivePrefix{
			Prefix: drawText(t, "prefix", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.1/8", "2001:db8::/32", "::ffff:10.0.0.0/104"),
			GE:     drawNumber(t, "ge"), LE: drawNumber(t, "le"),
		})
	}
	return r
}

func drawMeta(t *rapid.T, name string) intent.Meta {
	return intent.Meta{Namespace: "lab", Name: name, UID: name, Created: time.Unix(int64(rapid.IntRange(0, 2).Draw(t, "age")), 0)}
}

func drawUserPeer(t *rapid.T, name string) intent.RawPeer {
	return intent.RawPeer{
		Meta:                   drawMeta(t, name),
		MyASN:                  rapid.SampledFrom([]uint32{0, 1, 1, 1, 2}).Draw(t, "myASN"),
		PeerASN:                rapid.SampledFrom([]uint32{0, 1, 2, 2}).Draw(t, "peerASN"),
		DynamicASN:             drawText(t, "dynamicASN", "", "", "external", "internal"),
		PeerAddress:            drawText(t, "peerAddress", "", "10.0.0.1", "10.0.0.2", "2001:db8::1"),
		Interface:              drawText(t, "interface", "", "", "eth0", "eth1"),
		ListenRange:            drawText(t, "listenRange", "", "", "", "10.0.0.0/24", "10.0.0.128/25", "2001:db8::/64"),
		ListenLimit:            drawNumber(t, "listenLimit"),
		SourceAddress:          drawText(t, "sourceAddress", "", "", "10.0.0.9"),
		SourceAddresses:        drawSources(t),
		SourceInterface:        drawText(t, "sourceInterface", "", "", "", "lo"),
		EBGPMultiHopTTL:        drawNumber(t, "ebgpMultiHopTTL"),
		TTLSecurityHops:        drawNumber(t, "ttlSecurityHops"),
		ToReceive:              drawReceive(t),
		VRF:                    drawText(t, "vrf", "", "", "red"),
		RouterID:               drawText(t, "routerID", "", "", "1.1.1.1"),
		Password:               intent.NewSecret(drawText(t, "password", "", "hunter2")),
		BFDProfile:             drawText(t, "bfdProfile", "", "", "profile"),
		HoldTime:               drawDuration(t, "holdTime"),
		KeepaliveTime:          drawDuration(t, "keepaliveTime"),
		EBGPMultiHop:           rapid.Bool().Draw(t, "ebgpMultiHop"),
		DualStackAddressFamily: rapid.Bool().Draw(t, "dualStackAddressFamily"),
	}
}

// drawUserConfiguration draws what users may have written, right or wrong, for one node.
func drawUserConfiguration(t *rapid.T) intent.Raw {
	raw := intent.Raw{
		Namespace:   "lab",
		Listens:     rapid.Bool().Draw(t, "listens"),
		Nodes:       []intent.RawNode{{Name: "n1"}},
		Pools:       []intent.RawPool{{Meta: drawMeta(t, "pool"), Addresses: []string{"192.0.2.0/24", "2001:db8:1::/120"}}},
		BFDProfiles: []intent.RawBFDProfile{{Meta: drawMeta(t, "profile")}},
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "peers") {
		raw.Peers = append(raw.Peers, drawUserPeer(t, fmt.Sprintf("peer-%d", i)))
	}
	for i := range rapid.IntRange(0, 3).Draw(t, "advertisements") {
		length := int32(rapid.IntRange(0, 33).Draw(t, "aggregationLength"))
		raw.BGPAdvertisements = append(raw.BGPAdvertisements, intent.RawBGPAdvertisement{
			Meta: drawMeta(t, fmt.Sprintf("ad-%d", i)), AggregationLength: &length,
			LocalPref:   rapid.SampledFrom([]uint32{0, 100, 200}).Draw(t, "localPref"),
			Communities: []string{drawText(t, "community", "1:1", "large:1:2:3")}, ExtCommunities: []string{drawText(t, "extended community", "rt:1:2", "soo:1.2.3.4:5")},
			LinkBandwidth: rapid.SampledFrom([]*int32{nil, new(int32(100)), new(int32(30000))}).Draw(t, "linkBandwidth"),
			Overrides:     &intent.RawOverrides{Communities: []string{drawText(t, "choice", "1:1", "no-export")}, MaxASPathPrepend: 10, MED: &intent.RawRange{Min: 5, Max: 9}},
			ASPathPrepend: int32(rapid.IntRange(-1, 11).Draw(t, "asPathPrepend")), MED: rapid.SampledFrom([]*int64{nil, new(int64(0)), new(int64(1 << 32))}).Draw(t, "med"),
		})
	}
	return raw
}

func TestGivenAnythingAUserMayWriteWhenItWentThroughBuildThenRenderRefusesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snapshot, problems := intent.Build(drawUserConfiguration(t), intent.Snapshot{})
		node := announce.Compute(announce.Input{
			Node: "n1", Config: snapshot, Nodes: []announce.NodeInfo{{Name: "n1"}},
			Services: []announce.Service{{
				Key:   ipam.ServiceKey{Namespace: "x", Name: "web"},
				Local: rapid.Bool().Draw(t, "local"),
				Asked: announce.Asked{
					Communities: drawText(t, "asked communities", "1:1", "no-export, 1:1"), ASPathPrepend: drawText(t, "asked prepend", "3"),
					MED: drawText(t, "asked MED", "7"), LocalPref: drawText(t, "asked preference", "7"),
				},
				Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8:1::7")},
				Endpoints: announce.Endpoints{Serving: 1, OnNode: map[string]int{"n1": 1}},
			}},
		})
		if _, err := frrconf.Render(node.BGP, frrconf.Options{Hostname: "n1"}); err != nil {
			t.Fatalf("%v\nof the peers %+v\nafter the problems %v", err, snapshot.Peers, problems)
		}
	})
}
