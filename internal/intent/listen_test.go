package intent_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// listening makes a peer one of routers that open the session themselves.
func listening(p *intent.RawPeer, routers string) { p.PeerAddress, p.ListenRange = "", routers }

func listenRows() []row {
	inRange := func(change func(*intent.RawPeer)) func(*intent.RawPeer) {
		return func(p *intent.RawPeer) {
			listening(p, "192.0.2.0/24")
			change(p)
		}
	}
	const connects = ": has no meaning with spec.listenRange, where the router connects and not the node; remove it"
	second := func(change func(*intent.RawPeer)) func(*intent.Raw) {
		return func(r *intent.Raw) {
			r.Listens = true
			listening(&r.Peers[0], "192.0.2.0/24")
			other := peer("second", 20, "")
			listening(&other, "198.51.100.0/24")
			change(&other)
			r.Peers = append(r.Peers, other)
		}
	}
	return []row{
		onPeer(intent.RuleListenRange, "host bits", func(p *intent.RawPeer) { listening(p, "192.0.2.1/24") },
			`invalid BGPPeer lab/first: spec.listenRange is "192.0.2.1/24": must be a prefix without host bits such as 192.0.2.0/24 or 2001:db8::/64`),
		onPeer(intent.RuleListenRange, "another line", func(p *intent.RawPeer) { listening(p, "192.0.2.0/24\nexit") },
			`invalid BGPPeer lab/first: spec.listenRange is "192.0.2.0/24\nexit": must be a prefix without host bits such as 192.0.2.0/24 or 2001:db8::/64`),
		onPeer(intent.RuleListenRange, "link-local", func(p *intent.RawPeer) { listening(p, "fe80::/64") },
			`invalid BGPPeer lab/first: spec.listenRange is "fe80::/64": must be addresses of hosts that are no link-local ones of IPv6: FRR accepts those by spec.interface only`),
		onPeer(intent.RulePeerTarget, "range and address", func(p *intent.RawPeer) { p.ListenRange = "192.0.2.0/24" },
			`invalid BGPPeer lab/first: spec.listenRange is "192.0.2.0/24": give exactly one of spec.peerAddress, spec.interface and spec.listenRange: spec.peerAddress is "192.0.2.1"`),
		onPeer(intent.RuleListenLimit, "0", inRange(func(p *intent.RawPeer) { p.ListenLimit = new(uint32(0)) }),
			`invalid BGPPeer lab/first: spec.listenLimit is 0: must be 1 to 65535, or left out`),
		onPeer(intent.RuleListenLimit, "without a range", func(p *intent.RawPeer) { p.ListenLimit = new(uint32(3)) },
			`invalid BGPPeer lab/first: spec.listenLimit is 3: is for spec.listenRange: remove it`),
		onPeer(intent.RuleListenField, "connect time", inRange(func(p *intent.RawPeer) { p.ConnectTime = new(5 * time.Second) }), "invalid BGPPeer lab/first: spec.connectTime is 5s"+connects),
		onPeer(intent.RuleListenField, "port", inRange(func(p *intent.RawPeer) { p.PeerPort = 1179 }), "invalid BGPPeer lab/first: spec.peerPort is 1179"+connects),
		onPeer(intent.RuleListenField, "source", inRange(func(p *intent.RawPeer) { p.SourceAddress = "192.0.2.9" }), `invalid BGPPeer lab/first: spec.sourceAddress is "192.0.2.9"`+connects),
		onPeer(intent.RuleListenField, "sources", inRange(func(p *intent.RawPeer) {
			p.SourceAddresses = []intent.RawNodeSource{{NodeName: "n1", Address: "192.0.2.9"}}
		}), "invalid BGPPeer lab/first: spec.sourceAddresses is 1 entries"+connects),
		onPeer(intent.RuleListenField, "source interface", inRange(func(p *intent.RawPeer) { p.SourceInterface = "lo" }), `invalid BGPPeer lab/first: spec.sourceInterface is "lo"`+connects),
		onPeer(intent.RuleListenField, "graceful restart", inRange(func(p *intent.RawPeer) { p.EnableGracefulRestart = true }),
			"invalid BGPPeer lab/first: spec.enableGracefulRestart is true: FRR does not offer it to routers that connect by themselves; remove it"),
		onPeer(intent.RuleListenField, "password in a VRF", inRange(func(p *intent.RawPeer) { p.VRF = "red" }),
			`invalid BGPPeer lab/first: spec.vrf is "red": must not be given together with spec.listenRange and a password: FRR listens in a VRF without the password when bgpd starts; remove one of them`),
		onPeer(intent.RuleListenPort, "nobody listens", inRange(func(*intent.RawPeer) {}),
			`unresolved BGPPeer lab/first: spec.listenRange is 192.0.2.0/24: the nodes accept no session that a router opens: set spec.bgpListenPort of the MetalLB object, such as 179; no session is opened before`),
		{intent.RuleDuplicatePeer, "ranges overlap", second(func(p *intent.RawPeer) { p.ListenRange = "192.0.2.128/25" }),
			[]string{`conflict BGPPeer lab/second: spec.listenRange is 192.0.2.128/25: the older BGPPeer lab/first already listens for 192.0.2.0/24, and a router is of one BGPPeer alone on the nodes that both select; the whole BGPPeer is left out`}, nil, nil},
		{intent.RuleListenLimitDiffers, "two limits", second(func(p *intent.RawPeer) { p.ListenLimit = new(uint32(4)) }), nil, nil, []string{"BGPPeer second"}},
		{intent.RuleListenLimitDiffers, "two limits that differ", func(r *intent.Raw) {
			second(func(p *intent.RawPeer) { p.ListenLimit = new(uint32(4)) })(r)
			r.Peers[0].ListenLimit = new(uint32(3))
		}, []string{`conflict BGPPeer lab/second: spec.listenLimit is 4: the older BGPPeer lab/first has 3, and there is one limit per node and VRF on the nodes that both select; the whole BGPPeer is left out`}, nil, nil},
		{intent.RuleDuplicatePeer, "an address within a range is another peer's", second(func(p *intent.RawPeer) { p.ListenRange, p.PeerAddress = "", "192.0.2.7" }), nil, nil, []string{"BGPPeer second"}},
		{intent.RuleDuplicatePeer, "the same range in another VRF", second(func(p *intent.RawPeer) { p.ListenRange, p.VRF, p.MyASN = "192.0.2.0/24", "red", 64512 }), nil, nil, []string{"BGPPeer second"}},
	}
}

// TestGivenEchoWhenTheRangeIsOfIPv6ThenTheSessionsAreRefusedAndOfIPv4TheyAreNot is about what follows from the family of a range.
func TestGivenEchoWhenTheRangeIsOfIPv6ThenTheSessionsAreRefusedAndOfIPv4TheyAreNot(t *testing.T) {
	for routers, refused := range map[string]bool{"192.0.2.0/24": false, "2001:db8::/64": true} {
		raw := base()
		raw.Listens = true
		raw.BFDProfiles[0].EchoMode = true
		listening(&raw.Peers[0], routers)
		s, problems := intent.Build(raw, intent.Snapshot{})
		if got := slices.ContainsFunc(problems, func(p intent.Problem) bool { return p.Rule == intent.RuleEchoIPv6 && p.Kind == intent.Conflict }); got != refused || (len(s.Peers) == 0) != refused {
			t.Errorf("%s: refused: %v, want %v; in force: %v; problems %v", routers, got, refused, s.Peers, problems)
		}
	}
}

// TestGivenARangeInForceWhenNothingListensAnyMoreThenItIsNotKept: what an object said before is no reason to take sessions that cannot come.
func TestGivenARangeInForceWhenNothingListensAnyMoreThenItIsNotKept(t *testing.T) {
	raw := base()
	raw.Listens = true
	listening(&raw.Peers[0], "192.0.2.0/24")
	before, problems := intent.Build(raw, intent.Snapshot{})
	if len(before.Peers) != 1 || len(problems) > 0 || before.Peers[0].Remote().String() != "192.0.2.0" {
		t.Fatalf("in force are %v, with problems %v", before.Peers, problems)
	}
	raw.Listens = false
	after, problems := intent.Build(raw, before)
	var rules []string
	for _, p := range problems {
		rules = append(rules, string(p.Rule))
	}
	if diff := cmp.Diff("PeerMissing ListenPort", strings.Join(rules, " ")); diff != "" || len(after.Peers) > 0 {
		t.Errorf("in force are %v; problems (-want +got): %s", after.Peers, diff)
	}
}
