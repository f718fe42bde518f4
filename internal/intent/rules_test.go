package intent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// row is one way to break a rule: what is changed in the base, what Build says of it, and what of the base and the change is in force.
type row struct {
	rule   intent.Rule
	name   string
	change func(*intent.Raw)
	// want are all problems; without are the lines of names(base) that are missing and with those that are new.
	want          []string
	without, with []string
}

const (
	poolLine  = "IPAddressPool first"
	peerLine  = "BGPPeer first"
	bgpLine   = "BGPAdvertisement first [first] [first]"
	l2Line    = "L2Advertisement first [first]"
	bfdLine   = "BFDProfile first"
	resLine   = "IPReservation first [] [IPv4]"
	quotaLine = "AddressQuota first [first]"
	// resWaits is what is left of resLine while its pool is not in force.
	resWaits  = "IPReservation first [] []"
	noPool    = `unresolved BGPAdvertisement lab/first: spec.ipAddressPools[0] is "first": IPAddressPool lab/first is not in force, see its conditions; the advertisement announces nothing`
	noPoolL2  = `unresolved L2Advertisement lab/first: spec.ipAddressPools[0] is "first": IPAddressPool lab/first is not in force, see its conditions; the advertisement announces nothing`
	noPoolRes = `unresolved IPReservation lab/first: spec.pool is "first": IPAddressPool lab/first is not in force, see its conditions; nothing is chosen from it`
	noPoolQ   = `unresolved AddressQuota lab/first: spec.pools[0] is "first": IPAddressPool lab/first is not in force, see its conditions; nothing is limited`
	noPeer    = `unresolved BGPAdvertisement lab/first: spec.peers[0] is "first": BGPPeer lab/first is not in force, see its conditions; the advertisement announces nothing`
	noProfile = `unresolved BGPPeer lab/first: spec.bfdProfile is "first": BFDProfile lab/first is not in force, see its conditions; no session is opened without the BFD that was asked for`
	noAlias   = `unresolved BGPAdvertisement lab/first: spec.communities[0] is "first": no Community object defines this alias; must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export, or an alias`
)

// onPool, onPeer, … are rows in which the object named first is broken so that it is not used.
func onPool(rule intent.Rule, name string, change func(*intent.RawPool), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Pools[0]) }, append(want, noPool, noPoolL2, noPoolRes, noPoolQ), []string{poolLine, bgpLine, l2Line, resLine, quotaLine}, []string{resWaits}}
}

func onReservation(rule intent.Rule, name string, change func(*intent.RawReservation), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Reservations[0]) }, want, []string{resLine}, nil}
}

func onQuota(rule intent.Rule, name string, change func(*intent.RawQuota), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Quotas[0]) }, want, []string{quotaLine}, nil}
}

func onPeer(rule intent.Rule, name string, change func(*intent.RawPeer), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Peers[0]) }, append(want, noPeer), []string{peerLine, bgpLine}, nil}
}

func onBGP(rule intent.Rule, name string, change func(*intent.RawBGPAdvertisement), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.BGPAdvertisements[0]) }, want, []string{bgpLine}, nil}
}

func onL2(rule intent.Rule, name string, change func(*intent.RawL2Advertisement), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.L2Advertisements[0]) }, want, []string{l2Line}, nil}
}

func onBFD(rule intent.Rule, name string, change func(*intent.RawBFDProfile), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.BFDProfiles[0]) }, append(want, noProfile, noPeer), []string{peerLine, bgpLine, bfdLine}, nil}
}

func onAlias(rule intent.Rule, name string, change func(*intent.RawCommunity), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Communities[0]) }, append(want, noAlias), []string{bgpLine}, nil}
}

func onSecret(rule intent.Rule, name string, change func(*intent.Raw), want ...string) row {
	return row{rule, name, change, append(want, noPeer), []string{peerLine, bgpLine}, nil}
}

func warning(rule intent.Rule, name string, change func(*intent.Raw), want ...string) row {
	return row{rule: rule, name: name, change: change, want: want}
}

func commonRows() []row {
	return []row{
		{
			intent.RuleNamespace, "pool elsewhere", func(r *intent.Raw) {
				r.Pools = append(r.Pools, pool("second", 20, "203.0.113.0/24"))
				r.Pools[1].Namespace = "other"
			},
			[]string{`invalid IPAddressPool other/second: metadata.namespace is "other": only objects in namespace "lab" are used`},
			nil, nil,
		},
		onPool(intent.RuleSelector, "operator", func(p *intent.RawPool) {
			p.Allocation = &intent.RawAllocation{NamespaceSelectors: broken()}
		}, `invalid IPAddressPool lab/first: spec.serviceAllocation.namespaceSelectors[0]: must be a valid label selector: "Near" is not a valid label selector operator`),
		onPeer(intent.RuleSelector, "of nodes", func(p *intent.RawPeer) { p.NodeSelectors = broken() },
			`invalid BGPPeer lab/first: spec.nodeSelectors[0]: must be a valid label selector: "Near" is not a valid label selector operator`),
		onPeer(intent.RuleDuplicateEntry, "node selectors", func(p *intent.RawPeer) {
			p.NodeSelectors = append(where("rack", "a"), where("rack", "a")...)
		}, `invalid BGPPeer lab/first: spec.nodeSelectors[1] is "rack=a": must not repeat spec.nodeSelectors[0]`),
		onBGP(intent.RuleDuplicateEntry, "pools, peers and communities", func(a *intent.RawBGPAdvertisement) {
			a.Pools, a.Peers, a.Communities = []string{"first", "first"}, []string{"first", "first"}, []string{"1:1", "1:1"}
		},
			`invalid BGPAdvertisement lab/first: spec.communities[1] is "1:1": must not repeat spec.communities[0]`,
			`invalid BGPAdvertisement lab/first: spec.ipAddressPools[1] is "first": must not repeat spec.ipAddressPools[0]`,
			`invalid BGPAdvertisement lab/first: spec.peers[1] is "first": must not repeat spec.peers[0]`),
		onL2(intent.RuleDuplicateEntry, "interfaces", func(a *intent.RawL2Advertisement) { a.Interfaces = []string{"eth0", "eth0"} },
			`invalid L2Advertisement lab/first: spec.interfaces[1] is "eth0": must not repeat spec.interfaces[0]`),
		onPool(intent.RuleDuplicateEntry, "namespaces", func(p *intent.RawPool) {
			p.Allocation = &intent.RawAllocation{Namespaces: []string{"a", "a"}}
		}, `invalid IPAddressPool lab/first: spec.serviceAllocation.namespaces[1] is "a": must not repeat spec.serviceAllocation.namespaces[0]`),
		warning(intent.RuleMatchesNothing, "nodes", func(r *intent.Raw) { r.Peers[0].NodeSelectors = where("rack", "z") },
			`warning BGPPeer lab/first: spec.nodeSelectors: none of the 2 nodes matches`),
		{
			intent.RuleMatchesNothing, "pools", func(r *intent.Raw) {
				r.L2Advertisements[0].Pools, r.L2Advertisements[0].PoolSelectors = nil, where("rack", "z")
			},
			[]string{`warning L2Advertisement lab/first: spec.ipAddressPoolSelectors[0] is "rack=z": no IPAddressPool that is in force matches`},
			[]string{l2Line}, nil,
		},
	}
}

func poolRows() []row {
	addresses := func(list ...string) func(*intent.RawPool) {
		return func(p *intent.RawPool) { p.Addresses = list }
	}
	return []row{
		onPool(intent.RuleAddresses, "none", addresses(),
			`invalid IPAddressPool lab/first: spec.addresses is empty: give at least one prefix such as 192.0.2.0/24 or range such as 192.0.2.10-192.0.2.20`),
		onPool(intent.RuleAddresses, "bad prefix", addresses("192.0.2.0/24", "192.0.2.0/33"),
			`invalid IPAddressPool lab/first: spec.addresses[1] is "192.0.2.0/33": wanted a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20`),
		onPool(intent.RuleAddresses, "single address", addresses("192.0.2.1"),
			`invalid IPAddressPool lab/first: spec.addresses[0] is "192.0.2.1": wanted a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20`),
		onPool(intent.RuleAddresses, "range reversed", addresses("192.0.2.9 - 192.0.2.1"),
			`invalid IPAddressPool lab/first: spec.addresses[0] is "192.0.2.9 - 192.0.2.1": wanted the lower address first`),
		onPool(intent.RuleAddresses, "families mixed", addresses("192.0.2.9-2001:db8::1"),
			`invalid IPAddressPool lab/first: spec.addresses[0] is "192.0.2.9-2001:db8::1": wanted two addresses of one family`),
		onPool(intent.RuleEntryOverlap, "prefix and range", addresses("192.0.2.0/24", "192.0.2.9-192.0.2.10"),
			`invalid IPAddressPool lab/first: spec.addresses[1] is "192.0.2.9-192.0.2.10": must not overlap spec.addresses[0] "192.0.2.0/24"`),
		warning(intent.RuleHostBits, "prefix", func(r *intent.Raw) { r.Pools[0].Addresses = []string{"192.0.2.5/24"} },
			`warning IPAddressPool lab/first: spec.addresses[0] is "192.0.2.5/24": the whole prefix 192.0.2.0/24 is used`),
		warning(intent.RuleUnusualAddress, "loopback", func(r *intent.Raw) { r.Pools[0].Addresses = []string{"127.0.0.0/24"} },
			`warning IPAddressPool lab/first: spec.addresses[0] is "127.0.0.0/24": routers and hosts do not accept loopback addresses from the network`),
		{
			intent.RulePoolOverlap, "newer pool", func(r *intent.Raw) {
				r.Pools = append(r.Pools, pool("second", 20, "203.0.113.0/24", "198.51.100.200-198.51.100.210"))
			},
			[]string{`conflict IPAddressPool lab/second: spec.addresses is 198.51.100.200-198.51.100.210: overlaps 198.51.100.0-198.51.100.255 of the older IPAddressPool lab/first; the whole pool is left out`},
			nil, nil,
		},
		{
			intent.RulePoolOverlap, "older pool", func(r *intent.Raw) { r.Pools = append(r.Pools, pool("second", 5, "198.51.100.9/32")) },
			[]string{
				noPool,
				`conflict IPAddressPool lab/first: spec.addresses is 198.51.100.0-198.51.100.255: overlaps 198.51.100.9-198.51.100.9 of the older IPAddressPool lab/second; the whole pool is left out`,
				noPoolL2, noPoolRes, noPoolQ,
			},
			[]string{poolLine, bgpLine, l2Line, resLine, quotaLine},
			[]string{"IPAddressPool second", resWaits},
		},
		{
			intent.RulePoolOverlap, "same age, later name", func(r *intent.Raw) { r.Pools = append(r.Pools, pool("second", 10, "198.51.100.9/32")) },
			[]string{`conflict IPAddressPool lab/second: spec.addresses is 198.51.100.9-198.51.100.9: overlaps 198.51.100.0-198.51.100.255 of the older IPAddressPool lab/first; the whole pool is left out`},
			nil, nil,
		},
	}
}

func peerRows() []row {
	seconds := func(s float64) *time.Duration { return new(time.Duration(s * float64(time.Second))) }
	return []row{
		onPeer(intent.RuleMyASN, "zero", func(p *intent.RawPeer) { p.MyASN = 0 },
			`invalid BGPPeer lab/first: spec.myASN is 0: must be the AS number of the nodes, 1 to 4294967295`),
		onPeer(intent.RulePeerASN, "neither", func(p *intent.RawPeer) { p.PeerASN = 0 },
			`invalid BGPPeer lab/first: spec.peerASN: give either spec.peerASN or spec.dynamicASN: both are empty`),
		onPeer(intent.RulePeerASN, "both", func(p *intent.RawPeer) { p.DynamicASN = "external" },
			`invalid BGPPeer lab/first: spec.peerASN is 64513: give either spec.peerASN or spec.dynamicASN, which is "external"`),
		onPeer(intent.RuleDynamicASN, "unknown word", func(p *intent.RawPeer) { p.PeerASN, p.DynamicASN = 0, "any" },
			`invalid BGPPeer lab/first: spec.dynamicASN is "any": must be internal or external`),
		onPeer(intent.RuleLocalASN, "zero", func(p *intent.RawPeer) { p.LocalASN = new(uint32(0)) },
			`invalid BGPPeer lab/first: spec.localASN is 0: must be 1 to 4294967295, or left out`),
		onPeer(intent.RuleLocalASN, "iBGP", func(p *intent.RawPeer) { p.LocalASN, p.PeerASN = new(uint32(7)), 64512 },
			`invalid BGPPeer lab/first: spec.localASN is 7: is for eBGP sessions only, and must differ from spec.peerASN: FRR before version 10 refuses anything else`),
		onPeer(intent.RuleLocalASN, "the peer's", func(p *intent.RawPeer) { p.LocalASN = new(uint32(64513)) },
			`invalid BGPPeer lab/first: spec.localASN is 64513: is for eBGP sessions only, and must differ from spec.peerASN: FRR before version 10 refuses anything else`),
		warning(intent.RuleLocalASN, "my own", func(r *intent.Raw) { r.Peers[0].LocalASN = new(uint32(64512)) },
			`warning BGPPeer lab/first: spec.localASN is 64512: equals spec.myASN and so has no effect`),
		onPeer(intent.RulePeerTarget, "neither", func(p *intent.RawPeer) { p.PeerAddress = "" },
			`invalid BGPPeer lab/first: spec.peerAddress: give exactly one of spec.peerAddress, spec.interface and spec.listenRange: all are empty`),
		onPeer(intent.RulePeerTarget, "both", func(p *intent.RawPeer) { p.Interface = "eth0" },
			`invalid BGPPeer lab/first: spec.peerAddress is "192.0.2.1": give either spec.peerAddress or spec.interface, which is "eth0"`),
		onPeer(intent.RulePeerAddress, "no address", func(p *intent.RawPeer) { p.PeerAddress = "tor-1\n neighbor" },
			`invalid BGPPeer lab/first: spec.peerAddress is "tor-1\n neighbor": must be an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1`),
		onPeer(intent.RulePeerAddress, "all hosts", func(p *intent.RawPeer) { p.PeerAddress = "0.0.0.0" },
			`invalid BGPPeer lab/first: spec.peerAddress is "0.0.0.0": must be the address of one host`),
		onPeer(intent.RulePeerAddress, "link-local", func(p *intent.RawPeer) { p.PeerAddress = "fe80::1" },
			`invalid BGPPeer lab/first: spec.peerAddress is "fe80::1": a link-local address is no address without its interface: give spec.interface instead`),
		onPeer(intent.RuleInterface, "newline", func(p *intent.RawPeer) { p.PeerAddress, p.Interface = "", "eth0\n!" },
			`invalid BGPPeer lab/first: spec.interface is "eth0\n!": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onPeer(intent.RuleInterface, "space", func(p *intent.RawPeer) { p.PeerAddress, p.Interface = "", "eth0 remote-as" },
			`invalid BGPPeer lab/first: spec.interface is "eth0 remote-as": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onPeer(intent.RuleInterface, "quote", func(p *intent.RawPeer) { p.PeerAddress, p.Interface = "", "eth'0" },
			`invalid BGPPeer lab/first: spec.interface is "eth'0": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onPeer(intent.RuleInterface, "an address", func(p *intent.RawPeer) { p.PeerAddress, p.Interface = "", "192.0.2.1" },
			`invalid BGPPeer lab/first: spec.interface is "192.0.2.1": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onL2(intent.RuleInterface, "too long", func(a *intent.RawL2Advertisement) { a.Interfaces = []string{"a234567890123456"} },
			`invalid L2Advertisement lab/first: spec.interfaces[0] is "a234567890123456": must be the name of a network device: 1 to 15 visible ASCII characters without '/' and ':'`),
		onPeer(intent.RuleVRF, "newline", func(p *intent.RawPeer) { p.VRF = "red\nexit" },
			`invalid BGPPeer lab/first: spec.vrf is "red\nexit": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onPeer(intent.RuleVRF, "FRR's own", func(p *intent.RawPeer) { p.VRF = "default" },
			`invalid BGPPeer lab/first: spec.vrf is "default": FRR keeps this name for itself; leave spec.vrf out for the default routing table`),
		onPeer(intent.RuleSourceAddress, "no address", func(p *intent.RawPeer) { p.SourceAddress = "lo" },
			`invalid BGPPeer lab/first: spec.sourceAddress is "lo": must be an IPv4 or IPv6 address such as 192.0.2.1 or 2001:db8::1`),
		onPeer(intent.RuleSourceAddress, "other family", func(p *intent.RawPeer) { p.SourceAddress = "2001:db8::1" },
			`invalid BGPPeer lab/first: spec.sourceAddress is "2001:db8::1": must be of the same address family as spec.peerAddress 192.0.2.1`),
		onPeer(intent.RuleSourceAddress, "entry of other family", func(p *intent.RawPeer) {
			p.SourceAddresses = []intent.RawNodeSource{{NodeName: "n1", Address: "2001:db8::1"}}
		},
			`invalid BGPPeer lab/first: spec.sourceAddresses[0].address is "2001:db8::1": must be of the same address family as spec.peerAddress 192.0.2.1`),
		onPeer(intent.RuleSourceAddress, "entry for nobody", func(p *intent.RawPeer) { p.SourceAddresses = []intent.RawNodeSource{{Address: "192.0.2.9"}} },
			`invalid BGPPeer lab/first: spec.sourceAddresses[0]: give exactly one of nodeName and nodeSelector`),
		onPeer(intent.RuleSourceAddress, "entry without address", func(p *intent.RawPeer) { p.SourceAddresses = []intent.RawNodeSource{{NodeName: "n1"}} },
			`invalid BGPPeer lab/first: spec.sourceAddresses[0].address: must be an IPv4 or IPv6 address such as 192.0.2.10`),
		onPeer(intent.RuleDuplicateEntry, "source of one node twice", func(p *intent.RawPeer) {
			p.SourceAddresses = []intent.RawNodeSource{{NodeName: "n1", Address: "192.0.2.8"}, {NodeName: "n1", Address: "192.0.2.9"}}
		},
			`invalid BGPPeer lab/first: spec.sourceAddresses[1].nodeName is "n1": must not repeat spec.sourceAddresses[0]`),
		onPeer(intent.RuleSelector, "source of a selector that is none", func(p *intent.RawPeer) {
			p.SourceAddresses = []intent.RawNodeSource{{NodeSelector: &intent.RawSelector{Err: "no"}, Address: "192.0.2.8"}}
		},
			`invalid BGPPeer lab/first: spec.sourceAddresses[0].nodeSelector: must be a valid label selector: no`),
		onPeer(intent.RuleSourceAddress, "two kinds", func(p *intent.RawPeer) { p.SourceAddress, p.SourceInterface = "192.0.2.9", "lo" },
			`invalid BGPPeer lab/first: spec.sourceInterface is "lo": give one kind of source: spec.sourceInterface, or spec.sourceAddress and spec.sourceAddresses`),
		onPeer(intent.RuleSourceAddress, "interface with newline", func(p *intent.RawPeer) { p.SourceInterface = "lo\n!" },
			`invalid BGPPeer lab/first: spec.sourceInterface is "lo\n!": must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -`),
		onPeer(intent.RuleSourceAddress, "interface on unnumbered", func(p *intent.RawPeer) { p.PeerAddress, p.Interface, p.SourceInterface = "", "eth0", "lo" },
			`invalid BGPPeer lab/first: spec.interface is "eth0": comes from that interface: spec.sourceInterface and spec.sourceAddresses are for sessions by spec.peerAddress`),
		warning(intent.RuleSourceAddress, "address on unnumbered", func(r *intent.Raw) {
			p := &r.Peers[0]
			p.PeerAddress, p.Interface, p.SourceAddress = "", "eth0", "192.0.2.9"
		},
			`warning BGPPeer lab/first: spec.sourceAddress is "192.0.2.9": has no effect: a session by spec.interface comes from that interface`),
		onPeer(intent.RulePeerPort, "too high", func(p *intent.RawPeer) { p.PeerPort = 16385 },
			`invalid BGPPeer lab/first: spec.peerPort is 16385: must be 1 to 16384`),
		onPeer(intent.RuleHoldTime, "too short", func(p *intent.RawPeer) { p.HoldTime = seconds(2.9) },
			`invalid BGPPeer lab/first: spec.holdTime is 2.9s: must be 0s, or 3s to 65535s`),
		onPeer(intent.RuleHoldTime, "too long", func(p *intent.RawPeer) { p.HoldTime = seconds(65536) },
			`invalid BGPPeer lab/first: spec.holdTime is 18h12m16s: must be 0s, or 3s to 65535s`),
		onPeer(intent.RuleKeepaliveTime, "longer than hold", func(p *intent.RawPeer) { p.HoldTime, p.KeepaliveTime = seconds(9), seconds(10) },
			`invalid BGPPeer lab/first: spec.keepaliveTime is 10s: must not be longer than spec.holdTime 9s`),
		onPeer(intent.RuleKeepaliveTime, "none", func(p *intent.RawPeer) { p.HoldTime, p.KeepaliveTime = seconds(9), seconds(0) },
			`invalid BGPPeer lab/first: spec.keepaliveTime is 0s: must be at least 1s: without keepalives the session ends after spec.holdTime 9s`),
		onPeer(intent.RuleKeepaliveTime, "fraction", func(p *intent.RawPeer) { p.KeepaliveTime = seconds(0.5) },
			`invalid BGPPeer lab/first: spec.keepaliveTime is 500ms: must be 0s, or 1s to 65535s`),
		onPeer(intent.RuleKeepaliveTime, "three times too long", func(p *intent.RawPeer) { p.KeepaliveTime = seconds(21846) },
			`invalid BGPPeer lab/first: spec.keepaliveTime is 6h4m6s: must be at most 21845s where spec.holdTime is left out, which is then three times as long`),
		onPeer(intent.RuleConnectTime, "fraction", func(p *intent.RawPeer) { p.ConnectTime = seconds(1.5) },
			`invalid BGPPeer lab/first: spec.connectTime is 1.5s: must be whole seconds, 1s to 65535s`),
		onPeer(intent.RuleConnectTime, "zero", func(p *intent.RawPeer) { p.ConnectTime = seconds(0) },
			`invalid BGPPeer lab/first: spec.connectTime is 0s: must be whole seconds, 1s to 65535s`),
		onPeer(intent.RuleRouterID, "IPv6", func(p *intent.RawPeer) { p.RouterID = "2001:db8::1" },
			`invalid BGPPeer lab/first: spec.routerID is "2001:db8::1": must be written as an IPv4 address such as 10.0.0.1, and not be 0.0.0.0`),
		onPeer(intent.RuleMultiHop, "iBGP", func(p *intent.RawPeer) { p.PeerASN, p.EBGPMultiHop = 64512, true },
			`invalid BGPPeer lab/first: spec.ebgpMultiHop is true but spec.peerASN equals spec.myASN 64512: iBGP sessions have no hop limit; remove it`),
		onPeer(intent.RuleMultiHop, "dynamic iBGP", func(p *intent.RawPeer) { p.PeerASN, p.DynamicASN, p.EBGPMultiHop = 0, "internal", true },
			`invalid BGPPeer lab/first: spec.ebgpMultiHop is true but spec.dynamicASN is internal: iBGP sessions have no hop limit; remove it`),
		onPeer(intent.RuleMultiHop, "TTL on iBGP", func(p *intent.RawPeer) { p.PeerASN, p.EBGPMultiHopTTL = 64512, new(uint32(2)) },
			`invalid BGPPeer lab/first: spec.ebgpMultiHopTTL is 2: iBGP sessions have no hop limit; remove it`),
		onPeer(intent.RuleMultiHop, "TTL on unnumbered", func(p *intent.RawPeer) {
			p.PeerAddress, p.Interface, p.EBGPMultiHopTTL = "", "eth0", new(uint32(2))
		},
			`invalid BGPPeer lab/first: spec.ebgpMultiHopTTL is 2: spec.interface is "eth0", and what is found by its link-local address is one hop away; remove it`),
		onPeer(intent.RuleMultiHop, "TTL 256", func(p *intent.RawPeer) { p.EBGPMultiHopTTL = new(uint32(256)) },
			`invalid BGPPeer lab/first: spec.ebgpMultiHopTTL is 256: must be 1 to 255, or left out`),
		onPeer(intent.RuleMultiHop, "TTL 0", func(p *intent.RawPeer) { p.EBGPMultiHopTTL = new(uint32(0)) },
			`invalid BGPPeer lab/first: spec.ebgpMultiHopTTL is 0: must be 1 to 255, or left out`),
		onPeer(intent.RuleTTLSecurity, "255", func(p *intent.RawPeer) { p.TTLSecurityHops = new(uint32(255)) },
			`invalid BGPPeer lab/first: spec.ttlSecurityHops is 255: must be 1 to 254, or left out`),
		onPeer(intent.RuleTTLSecurity, "with multi-hop", func(p *intent.RawPeer) { p.EBGPMultiHop, p.TTLSecurityHops = true, new(uint32(1)) },
			`invalid BGPPeer lab/first: spec.ttlSecurityHops is 1: must not be given together with spec.ebgpMultiHop or spec.ebgpMultiHopTTL: it allows the hops that it names by itself`),
		onPeer(intent.RuleTTLSecurity, "far and unnumbered", func(p *intent.RawPeer) {
			p.PeerAddress, p.Interface, p.TTLSecurityHops = "", "eth0", new(uint32(2))
		},
			`invalid BGPPeer lab/first: spec.ttlSecurityHops is 2: must be 1: spec.interface is "eth0", and what is found by its link-local address is one hop away`),
		onPeer(intent.RuleReceive, "mode", func(p *intent.RawPeer) { p.ToReceive = &intent.RawReceive{Mode: "some"} },
			`invalid BGPPeer lab/first: spec.toReceive.allowed.mode is "some": must be all or filtered`),
		onPeer(intent.RuleReceive, "all and some", func(p *intent.RawPeer) { p.ToReceive = receive("all", "10.0.0.0/8", nil, nil) },
			`invalid BGPPeer lab/first: spec.toReceive.allowed.prefixes is 1 entries: must be empty where mode is all, which accepts every route`),
		onPeer(intent.RuleReceive, "host bits", func(p *intent.RawPeer) { p.ToReceive = receive("", "10.0.0.1/8", nil, nil) },
			`invalid BGPPeer lab/first: spec.toReceive.allowed.prefixes[0].prefix is "10.0.0.1/8": must be a prefix without host bits such as 10.0.0.0/8 or 2001:db8::/32`),
		onPeer(intent.RuleReceive, "ge below", func(p *intent.RawPeer) { p.ToReceive = receive("", "10.0.0.0/8", new(uint32(7)), nil) },
			`invalid BGPPeer lab/first: spec.toReceive.allowed.prefixes[0].ge is 7: must be 8 to 32, the length of prefix and that of an address`),
		onPeer(intent.RuleReceive, "le above", func(p *intent.RawPeer) { p.ToReceive = receive("", "10.0.0.0/8", nil, new(uint32(33))) },
			`invalid BGPPeer lab/first: spec.toReceive.allowed.prefixes[0].le is 33: must be 8 to 32, the length of prefix and that of an address`),
		onPeer(intent.RuleReceive, "ge above le", func(p *intent.RawPeer) {
			p.ToReceive = receive("filtered", "10.0.0.0/8", new(uint32(24)), new(uint32(16)))
		},
			`invalid BGPPeer lab/first: spec.toReceive.allowed.prefixes[0].ge is 24: must not be greater than le, which is 16`),
		warning(intent.RuleReceive, "nothing", func(r *intent.Raw) { r.Peers[0].ToReceive = &intent.RawReceive{} },
			`warning BGPPeer lab/first: spec.toReceive.allowed.prefixes: names no routes, so none is accepted`),
		warning(intent.RuleReceive, "other family", func(r *intent.Raw) { r.Peers[0].ToReceive = receive("", "2001:db8::/32", nil, nil) },
			`warning BGPPeer lab/first: spec.toReceive.allowed.prefixes[0] is 2001:db8::/32: has no effect: the session carries the address family of spec.peerAddress unless spec.dualStackAddressFamily is true`),
		onPeer(intent.RuleTwoPasswords, "text and Secret", func(p *intent.RawPeer) { p.Password = intent.NewSecret("hunter2") },
			`invalid BGPPeer lab/first: spec.password is set: give either spec.password or spec.passwordSecret, which names "first"`),
		onPeer(intent.RulePassword, "newline", func(p *intent.RawPeer) { p.PasswordSecret, p.Password = "", intent.NewSecret("hunter2\nexit") },
			`invalid BGPPeer lab/first: spec.password is a text with a space or control character at byte 7: must consist of visible characters only: FRR has no way to write anything else`),
		onPeer(intent.RulePassword, "line separator", func(p *intent.RawPeer) { p.PasswordSecret, p.Password = "", intent.NewSecret("hunter2\u2028exit") },
			`invalid BGPPeer lab/first: spec.password is a text with a space or control character at byte 7: must consist of visible characters only: FRR has no way to write anything else`),
		onPeer(intent.RulePassword, "too long", func(p *intent.RawPeer) { p.PasswordSecret, p.Password = "", intent.NewSecret(strings.Repeat("x", 81)) },
			`invalid BGPPeer lab/first: spec.password is 81 bytes long: must be at most 80 bytes, the longest key of TCP MD5`),
		warning(intent.RuleDisableMP, "true", func(r *intent.Raw) { r.Peers[0].DisableMP = true },
			`warning BGPPeer lab/first: spec.disableMP is true: has no effect and may be removed: the session carries the address family of its own addresses unless spec.dualStackAddressFamily is true`),
	}
}

func receive(mode, prefix string, ge, le *uint32) *intent.RawReceive {
	return &intent.RawReceive{Mode: mode, Prefixes: []intent.RawReceivePrefix{{Prefix: prefix, GE: ge, LE: le}}}
}

func sessionRows() []row {
	return []row{
		onPeer(intent.RuleSecretNamespace, "other", func(p *intent.RawPeer) { p.PasswordSecretNamespace = "other" },
			`invalid BGPPeer lab/first: spec.passwordSecret.namespace is "other": must be the BGPPeer's own namespace "lab", or left out`),
		onSecret(intent.RuleSecretMissing, "none", func(r *intent.Raw) { r.Secrets = nil },
			`unresolved BGPPeer lab/first: spec.passwordSecret.name is "first": there is no Secret lab/first; no session is opened without its password`),
		onSecret(intent.RuleSecretMissing, "other namespace", func(r *intent.Raw) { r.Secrets[0].Namespace = "other" },
			`unresolved BGPPeer lab/first: spec.passwordSecret.name is "first": there is no Secret lab/first; no session is opened without its password`),
		onSecret(intent.RuleSecretType, "opaque", func(r *intent.Raw) { r.Secrets[0].Type = "Opaque" },
			`unresolved BGPPeer lab/first: spec.passwordSecret.name is "first": Secret lab/first must be of type kubernetes.io/basic-auth, it is "Opaque"; no session is opened without its password`),
		onSecret(intent.RuleSecretKey, "no key", func(r *intent.Raw) { r.Secrets[0].HasPassword = false },
			`unresolved BGPPeer lab/first: spec.passwordSecret.name is "first": Secret lab/first must have the key password; no session is opened without its password`),
		onSecret(intent.RuleSecretPassword, "newline", func(r *intent.Raw) { r.Secrets[0].Password = intent.NewSecret("hunter2\n") },
			`unresolved BGPPeer lab/first: spec.passwordSecret.name is "first": the password in Secret lab/first is a text with a space or control character at byte 7: must consist of visible characters only: FRR has no way to write anything else; no session is opened without its password`),
		onPeer(intent.RuleBFDProfile, "unknown", func(p *intent.RawPeer) { p.BFDProfile = "fast" },
			`unresolved BGPPeer lab/first: spec.bfdProfile is "fast": there is no BFDProfile lab/fast; no session is opened without the BFD that was asked for`),
		onPeer(intent.RuleBFDProfile, "no name at all", func(p *intent.RawPeer) { p.BFDProfile = "fast\n" },
			`unresolved BGPPeer lab/first: spec.bfdProfile is "fast\n": that can't be the name of a BFDProfile; no session is opened without the BFD that was asked for`),
		onSecret(intent.RuleEchoIPv6, "IPv6 session", func(r *intent.Raw) {
			r.BFDProfiles[0].EchoMode, r.Peers[0].PeerAddress = true, "2001:db8::1"
		}, `conflict BGPPeer lab/first: spec.bfdProfile is "first": has spec.echoMode true, which FRR supports for IPv4 sessions only; the session is not opened`),
		warning(intent.RuleEchoIPv6, "IPv6 pool", func(r *intent.Raw) {
			r.BFDProfiles[0].EchoMode, r.Peers[0].DualStackAddressFamily = true, true
			r.Pools[0].Addresses = append(r.Pools[0].Addresses, "2001:db8::/120")
		}, `warning BGPPeer lab/first: spec.bfdProfile is "first": has spec.echoMode true, but BGPAdvertisement first announces IPv6 addresses of IPAddressPool first to this peer: echo packets watch the IPv4 path only`),
		{
			intent.RuleDuplicatePeer, "newer peer", func(r *intent.Raw) { r.Peers = append(r.Peers, peer("second", 20, "192.0.2.1")) },
			[]string{`conflict BGPPeer lab/second: spec.peerAddress is 192.0.2.1: the older BGPPeer lab/first already has a session with it on the nodes that both select; the whole BGPPeer is left out`},
			nil, nil,
		},
		{
			intent.RuleDuplicatePeer, "disjoint nodes are fine", func(r *intent.Raw) {
				r.Peers = append(r.Peers, peer("second", 20, "192.0.2.1"))
				r.Peers[0].NodeSelectors, r.Peers[1].NodeSelectors = where("rack", "a"), where("rack", "b")
			},
			nil, nil, []string{"BGPPeer second"},
		},
		{
			intent.RuleDuplicatePeer, "another VRF is fine", func(r *intent.Raw) {
				r.Peers = append(r.Peers, peer("second", 20, "192.0.2.1"))
				r.Peers[1].VRF, r.Peers[1].MyASN = "red", 7
			},
			nil, nil, []string{"BGPPeer second"},
		},
		{
			intent.RuleMyASNDiffers, "newer peer", func(r *intent.Raw) {
				r.Peers = append(r.Peers, peer("second", 20, "192.0.2.2"))
				r.Peers[1].MyASN = 64999
			},
			[]string{`conflict BGPPeer lab/second: spec.myASN is 64999: the older BGPPeer lab/first has 64512, and there is one BGP router per node and VRF on the nodes that both select; the whole BGPPeer is left out`},
			nil, nil,
		},
		{
			intent.RuleRouterIDDiffers, "newer peer", func(r *intent.Raw) {
				r.Peers = append(r.Peers, peer("second", 20, "192.0.2.2"))
				r.Peers[0].RouterID, r.Peers[1].RouterID = "10.0.0.1", "10.0.0.2"
			},
			[]string{`conflict BGPPeer lab/second: spec.routerID is 10.0.0.2: the older BGPPeer lab/first has 10.0.0.1 on the nodes that both select; the whole BGPPeer is left out`},
			nil, nil,
		},
	}
}

func bfdRows() []row {
	long := strings.Repeat("x", 64)
	return []row{
		{
			intent.RuleBFDName, "64 characters", func(r *intent.Raw) {
				r.BFDProfiles = append(r.BFDProfiles, intent.RawBFDProfile{Meta: object(long, 20)})
			},
			[]string{`invalid BFDProfile lab/` + long + `: metadata.name is "` + long + `": must be at most 63 characters, the longest profile name of FRR`},
			nil, nil,
		},
		onBFD(intent.RuleBFDInterval, "receive", func(p *intent.RawBFDProfile) { p.ReceiveInterval = new(uint32(9)) },
			`invalid BFDProfile lab/first: spec.receiveInterval is 9: must be 10 to 60000`),
		onBFD(intent.RuleBFDInterval, "transmit", func(p *intent.RawBFDProfile) { p.TransmitInterval = new(uint32(60001)) },
			`invalid BFDProfile lab/first: spec.transmitInterval is 60001: must be 10 to 60000`),
		onBFD(intent.RuleBFDInterval, "echo", func(p *intent.RawBFDProfile) { p.EchoInterval = new(uint32(0)) },
			`invalid BFDProfile lab/first: spec.echoInterval is 0: must be 10 to 60000`),
		onBFD(intent.RuleBFDMultiple, "one", func(p *intent.RawBFDProfile) { p.DetectMultiplier = new(uint32(1)) },
			`invalid BFDProfile lab/first: spec.detectMultiplier is 1: must be 2 to 255`),
		onBFD(intent.RuleBFDTTL, "too high", func(p *intent.RawBFDProfile) { p.MinimumTTL = new(uint32(255)) },
			`invalid BFDProfile lab/first: spec.minimumTtl is 255: must be 1 to 254`),
	}
}

func communityRows() []row {
	numbered := func(n int) (list []string) {
		for i := range n {
			list = append(list, fmt.Sprintf("64512:%d", i))
		}
		return list
	}
	return []row{
		onAlias(intent.RuleAliasName, "empty", func(c *intent.RawCommunity) { c.Aliases[0].Name = "" },
			`invalid Community lab/first: spec.communities[0].name is empty: must be the name that BGPAdvertisements use in place of the value`),
		onAlias(intent.RuleDuplicateEntry, "alias", func(c *intent.RawCommunity) { c.Aliases = append(c.Aliases, c.Aliases[0]) },
			`invalid Community lab/first: spec.communities[1] is "first": must not repeat spec.communities[0]`),
		{
			intent.RuleDuplicateAlias, "in a newer object", func(r *intent.Raw) {
				r.Communities = append(r.Communities, intent.RawCommunity{Meta: object("second", 20), Aliases: []intent.RawAlias{{"first", "1:1"}, {"second", "2:2"}}})
				r.BGPAdvertisements[0].Communities = []string{"second"}
			},
			[]string{`conflict Community lab/second: spec.communities[0].name is "first": the older Community lab/first defines it as 65535:65281; this definition is left out`},
			nil, nil,
		},
		onAlias(intent.RuleCommunity, "value too large", func(c *intent.RawCommunity) { c.Aliases[0].Value = "65536:1" },
			`invalid Community lab/first: spec.communities[0].value is "65536:1": must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export`),
		onBGP(intent.RuleCommunity, "signs and words", func(a *intent.RawBGPAdvertisement) { a.Communities = []string{"1:+1", "no-export:1", "large:1:2"} },
			`invalid BGPAdvertisement lab/first: spec.communities[0] is "1:+1": must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export`,
			`invalid BGPAdvertisement lab/first: spec.communities[1] is "no-export:1": must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export`,
			`invalid BGPAdvertisement lab/first: spec.communities[2] is "large:1:2": must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export`),
		onBGP(intent.RuleCommunityReserved, "internal mark", func(a *intent.RawBGPAdvertisement) { a.Communities = []string{"large:4294967295:1:1"} },
			`invalid BGPAdvertisement lab/first: spec.communities[0] is "large:4294967295:1:1": large communities of AS 4294967295 mark prefixes inside the node and are never sent; RFC 7300 reserves that AS`),
		onBGP(intent.RuleCommunityAlias, "unknown", func(a *intent.RawBGPAdvertisement) { a.Communities = []string{"second"} },
			`unresolved BGPAdvertisement lab/first: spec.communities[0] is "second": no Community object defines this alias; must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export, or an alias`),
		onBGP(intent.RuleCommunityCount, "64", func(a *intent.RawBGPAdvertisement) { a.Communities = numbered(64) },
			`invalid BGPAdvertisement lab/first: spec.communities is a list of 64 communities: must be at most 63`),
	}
}

func advertisementRows() []row {
	return []row{
		onBGP(intent.RuleAggregation, "IPv4", func(a *intent.RawBGPAdvertisement) { a.AggregationLength = new(int32(33)) },
			`invalid BGPAdvertisement lab/first: spec.aggregationLength is 33: must be 1 to 32`),
		onBGP(intent.RuleAggregation, "IPv6", func(a *intent.RawBGPAdvertisement) { a.AggregationLengthV6 = new(int32(0)) },
			`invalid BGPAdvertisement lab/first: spec.aggregationLengthV6 is 0: must be 1 to 128`),
		onBGP(intent.RuleAggregateTooLarge, "prefix", func(a *intent.RawBGPAdvertisement) { a.AggregationLength = new(int32(23)) },
			`conflict BGPAdvertisement lab/first: spec.aggregationLength is 23: must be at least 24 for IPAddressPool first, or routes would cover addresses outside of it; the pool is left out of this advertisement`),
		{
			intent.RuleAggregateTooLarge, "range", func(r *intent.Raw) {
				r.Pools = append(r.Pools, pool("second", 20, "203.0.113.10-203.0.113.20"))
				r.BGPAdvertisements[0].Pools = []string{"second", "first"}
				r.BGPAdvertisements[0].AggregationLength = new(int32(29))
			},
			[]string{`conflict BGPAdvertisement lab/first: spec.aggregationLength is 29: must be at least 30 for IPAddressPool second, or routes would cover addresses outside of it; the pool is left out of this advertisement`},
			nil,
			[]string{"IPAddressPool second"},
		},
		onBGP(intent.RuleServiceAggregation, "both", func(a *intent.RawBGPAdvertisement) {
			a.AggregationLength, a.ServiceSelectors = new(int32(24)), where("app", "dns")
		}, `invalid BGPAdvertisement lab/first: spec.serviceSelectors is given with aggregation lengths 24 and 128: an aggregate covers Services that are not selected; use 32 and 128, or no serviceSelectors`),
		warning(intent.RulePoolMissing, "one of two", func(r *intent.Raw) { r.BGPAdvertisements[0].Pools = []string{"second", "first"} },
			`unresolved BGPAdvertisement lab/first: spec.ipAddressPools[0] is "second": there is no IPAddressPool lab/second; the others are used`),
		onL2(intent.RulePoolMissing, "the only one", func(a *intent.RawL2Advertisement) { a.Pools = []string{"second"} },
			`unresolved L2Advertisement lab/first: spec.ipAddressPools[0] is "second": there is no IPAddressPool lab/second; the advertisement announces nothing`),
		warning(intent.RulePeerMissing, "one of two", func(r *intent.Raw) { r.BGPAdvertisements[0].Peers = []string{"second", "first"} },
			`unresolved BGPAdvertisement lab/first: spec.peers[0] is "second": there is no BGPPeer lab/second; the others are used`),
		onBGP(intent.RulePeerMissing, "the only one", func(a *intent.RawBGPAdvertisement) { a.Peers = []string{"second"} },
			`unresolved BGPAdvertisement lab/first: spec.peers[0] is "second": there is no BGPPeer lab/second; the advertisement announces nothing`),
		{
			intent.RuleLocalPref, "newer advertisement", func(r *intent.Raw) {
				r.Peers[0].PeerASN = 64512
				r.Pools = append(r.Pools, pool("second", 20, "203.0.113.0/24"))
				r.BGPAdvertisements[0].LocalPref = 100
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20))
				r.BGPAdvertisements[1].LocalPref = 200
			},
			[]string{`conflict BGPAdvertisement lab/second: spec.localPref is 200: the older BGPAdvertisement lab/first has 100 for the same routes of IPAddressPool first; the pool is left out of this advertisement`},
			nil,
			[]string{"IPAddressPool second", "BGPAdvertisement second [second] []"},
		},
		{
			intent.RuleLocalPref, "one without is fine", func(r *intent.Raw) {
				r.Peers[0].PeerASN = 64512
				r.BGPAdvertisements[0].LocalPref = 100
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20))
			},
			nil, nil,
			[]string{"BGPAdvertisement second [first] []"},
		},
		warning(intent.RuleLocalPrefExternal, "eBGP", func(r *intent.Raw) { r.BGPAdvertisements[0].LocalPref = 100 },
			`warning BGPAdvertisement lab/first: spec.localPref is 100: is sent over iBGP sessions only, and BGPPeer first, like all others that this advertisement is for, is eBGP`),
		onBGP(intent.RulePrepend, "eleven", func(a *intent.RawBGPAdvertisement) { a.ASPathPrepend = 11 },
			`invalid BGPAdvertisement lab/first: spec.asPathPrepend is 11: must be 0 to 10`),
		onBGP(intent.RulePrepend, "less than none", func(a *intent.RawBGPAdvertisement) { a.ASPathPrepend = -1 },
			`invalid BGPAdvertisement lab/first: spec.asPathPrepend is -1: must be 0 to 10`),
		{
			intent.RulePrependDiffers, "newer advertisement", func(r *intent.Raw) {
				r.BGPAdvertisements[0].ASPathPrepend = 1
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20, "first"))
				r.BGPAdvertisements[1].ASPathPrepend = 2
			},
			[]string{`conflict BGPAdvertisement lab/second: spec.asPathPrepend is 2: the older BGPAdvertisement lab/first has 1 for the same routes of IPAddressPool first; the pool is left out of this advertisement`},
			nil, nil,
		},
		{
			intent.RulePrependDiffers, "on iBGP sessions it does not matter", func(r *intent.Raw) {
				r.Peers[0].PeerASN = 64512
				r.BGPAdvertisements[0].ASPathPrepend = 1
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20, "first"))
				r.BGPAdvertisements[1].ASPathPrepend = 2
			},
			[]string{
				`warning BGPAdvertisement lab/first: spec.asPathPrepend is 1: is done on eBGP sessions only, and BGPPeer first, like all others that this advertisement is for, is iBGP`,
				`warning BGPAdvertisement lab/second: spec.asPathPrepend is 2: is done on eBGP sessions only, and BGPPeer first, like all others that this advertisement is for, is iBGP`,
			},
			nil,
			[]string{"BGPAdvertisement second [first] []"},
		},
		warning(intent.RulePrependInternal, "iBGP", func(r *intent.Raw) {
			r.Peers[0].PeerASN = 64512
			r.BGPAdvertisements[0].ASPathPrepend = 1
		}, `warning BGPAdvertisement lab/first: spec.asPathPrepend is 1: is done on eBGP sessions only, and BGPPeer first, like all others that this advertisement is for, is iBGP`),
		onBGP(intent.RuleMED, "beyond 32 bits", func(a *intent.RawBGPAdvertisement) { a.MED = new(int64(4294967296)) },
			`invalid BGPAdvertisement lab/first: spec.med is 4294967296: must be 0 to 4294967295`),
		{
			intent.RuleMEDDiffers, "0 is a value", func(r *intent.Raw) {
				r.BGPAdvertisements[0].MED = new(int64(0))
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20, "first"))
				r.BGPAdvertisements[1].MED = new(int64(5))
			},
			[]string{`conflict BGPAdvertisement lab/second: spec.med is 5: the older BGPAdvertisement lab/first has 0 for the same routes of IPAddressPool first; the pool is left out of this advertisement`},
			nil, nil,
		},
		{
			intent.RuleMEDDiffers, "unset is none", func(r *intent.Raw) {
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20, "first"))
				r.BGPAdvertisements[1].MED = new(int64(0))
			},
			nil, nil,
			[]string{"BGPAdvertisement second [first] []"},
		},
		onBGP(intent.RuleExtCommunity, "all that can be wrong", func(a *intent.RawBGPAdvertisement) {
			a.ExtCommunities = []string{"rt:64512:4294967295", "ro:1:2", "rt:70000:70000", "rt:1.2.3.4:65536", "soo:1", "soo:4294967296:1"}
		},
			`invalid BGPAdvertisement lab/first: spec.extCommunities[1] is "ro:1:2": must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535`,
			`invalid BGPAdvertisement lab/first: spec.extCommunities[2] is "rt:70000:70000": must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535`,
			`invalid BGPAdvertisement lab/first: spec.extCommunities[3] is "rt:1.2.3.4:65536": must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535`,
			`invalid BGPAdvertisement lab/first: spec.extCommunities[4] is "soo:1": must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535`,
			`invalid BGPAdvertisement lab/first: spec.extCommunities[5] is "soo:4294967296:1": must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535`),
		onBGP(intent.RuleLinkBandwidth, "none", func(a *intent.RawBGPAdvertisement) { a.LinkBandwidth = new(int32(0)) },
			`invalid BGPAdvertisement lab/first: spec.linkBandwidth.perEndpoint is 0: must be 1 to 25600 Mbit/s`),
		onBGP(intent.RuleLinkBandwidth, "of an aggregate", func(a *intent.RawBGPAdvertisement) {
			a.LinkBandwidth, a.AggregationLength = new(int32(1)), new(int32(24))
		}, `invalid BGPAdvertisement lab/first: spec.linkBandwidth is given with aggregation lengths 24 and 128: an aggregate is the route of many Services; use 32 and 128, or no spec.linkBandwidth`),
		{
			intent.RuleLinkBandwidthDiffers, "newer advertisement", func(r *intent.Raw) {
				r.BGPAdvertisements[0].LinkBandwidth = new(int32(1))
				r.BGPAdvertisements = append(r.BGPAdvertisements, bgp("second", 20, "first"))
				r.BGPAdvertisements[1].LinkBandwidth = new(int32(2))
			},
			[]string{`conflict BGPAdvertisement lab/second: spec.linkBandwidth.perEndpoint is 2: the older BGPAdvertisement lab/first has 1 for the same routes of IPAddressPool first; the pool is left out of this advertisement`},
			nil, nil,
		},
		onBGP(intent.RuleServiceOverrides, "ranges", func(a *intent.RawBGPAdvertisement) {
			a.Overrides = &intent.RawOverrides{MED: &intent.RawRange{Min: 0, Max: 256}, LocalPref: &intent.RawRange{Min: 0, Max: 7}}
		},
			`invalid BGPAdvertisement lab/first: spec.serviceOverrides.localPref is 0 to 7: must be two numbers of 1 to 4294967295, the first not above the second and at most 255 below it`,
			`invalid BGPAdvertisement lab/first: spec.serviceOverrides.med is 0 to 256: must be two numbers of 0 to 4294967295, the first not above the second and at most 255 below it`),
		onBGP(intent.RuleServiceOverrides, "of an aggregate", func(a *intent.RawBGPAdvertisement) {
			a.Overrides, a.AggregationLengthV6 = &intent.RawOverrides{MaxASPathPrepend: 11}, new(int32(64))
		},
			`invalid BGPAdvertisement lab/first: spec.serviceOverrides is given with aggregation lengths 32 and 64: an aggregate is the route of many Services; use 32 and 128, or no spec.serviceOverrides`,
			`invalid BGPAdvertisement lab/first: spec.serviceOverrides.maxASPathPrepend is 11: must be 0 to 10`),
		{
			intent.RuleCommunityAlias, "that Services may choose", func(r *intent.Raw) {
				r.BGPAdvertisements[0].Overrides = &intent.RawOverrides{Communities: []string{"no-export", "first", "green"}}
			},
			[]string{`unresolved BGPAdvertisement lab/first: spec.serviceOverrides.communities[2] is "green": no Community object defines this alias; must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export, or an alias`},
			[]string{bgpLine}, nil,
		},
		{
			intent.RuleEqual, "BGP", func(r *intent.Raw) {
				r.BGPAdvertisements = append(r.BGPAdvertisements, r.BGPAdvertisements[0])
				r.BGPAdvertisements[1].Meta = object("second", 20)
			},
			[]string{`conflict BGPAdvertisement lab/second: spec: says the same as the older BGPAdvertisement lab/first; this one is left out, remove one of them`},
			nil, nil,
		},
		{
			intent.RuleEqual, "layer 2", func(r *intent.Raw) { r.L2Advertisements = append(r.L2Advertisements, l2("second", 20)) },
			[]string{`conflict L2Advertisement lab/second: spec: says the same as the older L2Advertisement lab/first; this one is left out, remove one of them`},
			nil, nil,
		},
		onL2(intent.RuleWeight, "zero", func(a *intent.RawL2Advertisement) {
			a.Preferences = []intent.RawNodePreference{{Weight: 0, Selector: where("rack", "a")[0]}}
		}, `invalid L2Advertisement lab/first: spec.preferredNodeSelectors[0].weight is 0: must be 1 to 100`),
		onL2(intent.RulePlacement, "unknown word", func(a *intent.RawL2Advertisement) { a.Placement = "Even" },
			`invalid L2Advertisement lab/first: spec.placement is "Even": must be Hash or Balanced`),
	}
}

func allRows() []row {
	name := row{
		intent.RuleName, "not a name", func(r *intent.Raw) { r.Peers = append(r.Peers, peer("second\nline", 20, "192.0.2.2")) },
		[]string{"invalid BGPPeer lab/second\nline: metadata.name is \"second\\nline\": must be lower-case letters, digits, '-' and '.', at most 253, as everywhere in Kubernetes"},
		nil, nil,
	}
	twice := row{
		intent.RuleName, "twice", func(r *intent.Raw) {
			r.Pools = append(r.Pools, pool("first", 20, "203.0.113.0/24"))
		},
		[]string{`conflict IPAddressPool lab/first: metadata.name is "first": another, older object of the same name is in force`},
		nil, nil,
	}
	return slices.Concat([]row{name, twice}, commonRows(), poolRows(), peerRows(), sessionRows(), listenRows(), bfdRows(), communityRows(), advertisementRows(), fenceRows(), reservationRows(), quotaRows(), snippetRows())
}

func TestGivenABrokenRuleWhenBuiltThenItIsReportedAndOnlyThatObjectIsOut(t *testing.T) {
	for _, row := range allRows() {
		t.Run(string(row.rule)+"/"+row.name, func(t *testing.T) {
			raw := base()
			row.change(&raw)
			snapshot, problems := build(t, raw)
			got, want := lines(problems), slices.Clone(row.want)
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("problems are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			baseSnapshot, _ := build(t, base())
			inForce := slices.DeleteFunc(names(baseSnapshot), func(line string) bool { return slices.Contains(row.without, line) })
			inForce = append(inForce, row.with...)
			have := names(snapshot)
			slices.Sort(inForce)
			slices.Sort(have)
			if !slices.Equal(have, inForce) {
				t.Errorf("in force are\n%s\nwant\n%s", strings.Join(have, "\n"), strings.Join(inForce, "\n"))
			}
			for _, line := range got {
				if strings.Contains(line, "hunter2") {
					t.Errorf("a password is in %s", line)
				}
			}
		})
	}
}

func TestGivenTheRowsWhenCountedThenEveryRuleHasOne(t *testing.T) {
	for _, rule := range intent.Rules() {
		if !slices.ContainsFunc(allRows(), func(r row) bool { return r.rule == rule }) {
			t.Errorf("no row breaks rule %s", rule)
		}
	}
	for _, row := range allRows() {
		if !slices.Contains(intent.Rules(), row.rule) {
			t.Errorf("Rules does not list %s", row.rule)
		}
	}
}

func TestGivenTheTagsOfAnnounceWhenAUserWritesOneThenItIsRefused(t *testing.T) {
	raw := base()
	raw.BGPAdvertisements[0].Communities = []string{"large:" + announce.TagOf("any").String()}
	if _, problems := build(t, raw); len(problems) != 1 || problems[0].Rule != intent.RuleCommunityReserved {
		t.Errorf("problems are %q, want one of rule %s", lines(problems), intent.RuleCommunityReserved)
	}
}
