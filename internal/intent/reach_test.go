package intent_test

import (
	"net/netip"
	"reflect"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// built returns the one peer of the base after a change of it.
func built(t *testing.T, change func(*intent.RawPeer)) intent.Peer {
	t.Helper()
	raw := base()
	change(&raw.Peers[0])
	snapshot, problems := intent.Build(raw, intent.Snapshot{})
	for _, p := range problems {
		if p.Kind != intent.Warning {
			t.Fatalf("problem: %v", p)
		}
	}
	return snapshot.Peers[0]
}

func TestGivenATTLWhenBuiltThenItImpliesMultiHopAndOneIsNone(t *testing.T) {
	for _, c := range []struct {
		ttl     *uint32
		flag    bool
		multi   bool
		wantTTL uint8
	}{
		{nil, false, false, 0}, {nil, true, true, 0}, {new(uint32(2)), false, true, 2}, {new(uint32(255)), true, true, 255},
		{new(uint32(1)), false, false, 0}, {new(uint32(1)), true, false, 0},
	} {
		p := built(t, func(p *intent.RawPeer) { p.EBGPMultiHop, p.EBGPMultiHopTTL = c.flag, c.ttl })
		if p.EBGPMultiHop != c.multi || p.TTL != c.wantTTL {
			t.Errorf("%+v: multi-hop is %v with TTL %d", c, p.EBGPMultiHop, p.TTL)
		}
	}
	if p := built(t, func(p *intent.RawPeer) { p.TTLSecurityHops = new(uint32(254)) }); p.SecurityHops != 254 {
		t.Errorf("hops are %d, want 254", p.SecurityHops)
	}
}

type rack string

func (r rack) Matches(labels map[string]string) bool { return labels["rack"] == string(r) }
func (r rack) String() string                        { return "rack=" + string(r) }

var _ selector.Selector = rack("")

func TestGivenSourcesOfNodesWhenAskedThenTheFirstThatIsForTheNodeCounts(t *testing.T) {
	p := built(t, func(p *intent.RawPeer) {
		p.SourceAddress = "192.0.2.9"
		p.SourceAddresses = []intent.RawNodeSource{
			{NodeName: "n1", Address: "192.0.2.11"},
			{NodeSelector: &intent.RawSelector{Selector: rack("a")}, Address: "192.0.2.12"},
			{NodeName: "n2", Address: "192.0.2.13"},
		}
	})
	for _, c := range []struct{ node, rack, want string }{
		{"n1", "", "192.0.2.11"}, {"n1", "a", "192.0.2.11"}, {"n2", "a", "192.0.2.12"}, {"n2", "b", "192.0.2.13"},
		{"n3", "a", "192.0.2.12"}, {"n3", "b", "192.0.2.9"}, {"", "b", "192.0.2.9"},
	} {
		if got := p.SourceOn(c.node, map[string]string{"rack": c.rack}); got != netip.MustParseAddr(c.want) {
			t.Errorf("node %q of rack %q: %s, want %s", c.node, c.rack, got, c.want)
		}
	}
	p.SourceAddress = netip.Addr{}
	if got := p.SourceOn("n3", nil); got.IsValid() {
		t.Errorf("a node without an address of its own has %s", got)
	}
}

func TestGivenRoutesToReceiveWhenBuiltThenTheLengthsAreWrittenOutAndSorted(t *testing.T) {
	n := func(v uint32) *uint32 { return &v }
	p := built(t, func(p *intent.RawPeer) {
		p.DualStackAddressFamily = true
		p.ToReceive = &intent.RawReceive{Mode: "filtered", Prefixes: []intent.RawReceivePrefix{
			{Prefix: "2001:db8::/32", LE: n(64)}, {Prefix: "10.0.0.0/8"}, {Prefix: "0.0.0.0/0", GE: n(0)}, {Prefix: "10.0.0.0/8", GE: n(8), LE: n(8)},
			{Prefix: "10.0.0.0/8", GE: n(16)}, {Prefix: "10.0.0.0/8", GE: n(16), LE: n(24)},
		}}
	})
	prefix := netip.MustParsePrefix
	want := intent.Receive{Prefixes: []intent.ReceivePrefix{
		{prefix("0.0.0.0/0"), 0, 32}, {prefix("10.0.0.0/8"), 8, 8}, {prefix("10.0.0.0/8"), 16, 24}, {prefix("10.0.0.0/8"), 16, 32}, {prefix("2001:db8::/32"), 32, 64},
	}}
	if !reflect.DeepEqual(p.Receive, want) {
		t.Errorf("receives %+v, want %+v", p.Receive, want)
	}
	for _, none := range []*intent.RawReceive{nil, {}, {Mode: "filtered"}} {
		if p := built(t, func(p *intent.RawPeer) { p.ToReceive = none }); p.Receive.All || len(p.Receive.Prefixes) > 0 {
			t.Errorf("%+v receives %+v, want nothing", none, p.Receive)
		}
	}
	if p := built(t, func(p *intent.RawPeer) { p.ToReceive = &intent.RawReceive{Mode: "all"} }); !p.Receive.All {
		t.Error("mode all does not receive all")
	}
}
