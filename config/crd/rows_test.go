package crd

import (
	"slices"
	"strings"
)

// row is one object and what the API says to it. A wanted message of "" means
// that the object is accepted; otherwise it is refused and the message contains
// the wanted text.
type row struct {
	name string
	kind string // kind and version, as in "BGPPeer v1beta2"
	spec string
	want string
}

// rows are objects on both sides of every rule that one object can break.
func rows() []row {
	var out []row
	add := func(kind, name, spec, want string) {
		out = append(out, row{name: name, kind: kind, spec: spec, want: want})
	}
	for _, version := range []string{"v1beta1", "v1beta2"} {
		for _, r := range slices.Concat(peerRows(), reachRows(), listenRows()) {
			r.kind = "BGPPeer " + version
			out = append(out, r)
		}
	}
	add("BGPPeer v1beta2", "port 0", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, peerPort: 0}`, "greater than or equal to 1")
	add("BGPPeer v1beta1", "port 0 stands for the default", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, peerPort: 0}`, "")
	out = append(out, advertisementRows()...)
	out = append(out, poolRows()...)
	out = append(out, installationRows()...)
	out = append(out, reservationRows()...)
	out = append(out, quotaRows()...)
	out = append(out, probeRows()...)

	add("BFDProfile v1beta1", "interval below 10", `{receiveInterval: 9}`, "greater than or equal to 10")
	add("BFDProfile v1beta1", "interval above 60000", `{transmitInterval: 60001}`, "less than or equal to 60000")
	add("BFDProfile v1beta1", "echo interval below 10", `{echoInterval: 0}`, "greater than or equal to 10")
	add("BFDProfile v1beta1", "multiplier of 1", `{detectMultiplier: 1}`, "greater than or equal to 2")
	add("BFDProfile v1beta1", "multiplier above 255", `{detectMultiplier: 256}`, "less than or equal to 255")
	add("BFDProfile v1beta1", "TTL of 255", `{minimumTtl: 255}`, "less than or equal to 254")
	add("BFDProfile v1beta1", "TTL of 0", `{minimumTtl: 0}`, "greater than or equal to 1")
	add("BFDProfile v1beta1", "TTL key in capitals", `{minimumTTL: 3}`, "minimumTTL")

	add("FRRSnippet v1beta1", "a line", `{rawConfig: "debug bgp updates"}`, "")
	add("FRRSnippet v1beta1", "no text", `{priority: 1}`, "spec.rawConfig")
	add("FRRSnippet v1beta1", "an empty text", `{rawConfig: ""}`, "spec.rawConfig")
	add("FRRSnippet v1beta1", "a text that is too long", `{rawConfig: "`+strings.Repeat("x", 65537)+`"}`, "spec.rawConfig")
	add("FRRSnippet v1beta1", "a priority that is too high", `{rawConfig: a, priority: 1000001}`, "spec.priority")
	add("Community v1beta1", "no aliases", `{}`, "")
	add("Community v1beta1", "value above 16 bits", `{communities: [{name: a, value: "65536:1"}]}`, "found 65536:1")
	add("Community v1beta1", "large value above 32 bits", `{communities: [{name: a, value: "large:4294967296:1:1"}]}`, "found large:4294967296:1:1")
	add("Community v1beta1", "large value of two parts", `{communities: [{name: a, value: "large:1:1"}]}`, "large:a:b:c")
	add("Community v1beta1", "words as value", `{communities: [{name: a, value: not-for-export}]}`, "found not-for-export")
	add("Community v1beta1", "well-known name as value", `{communities: [{name: a, value: no-export}]}`, "")
	add("Community v1beta1", "no value", `{communities: [{name: a}]}`, "spec.communities[0].value")
	add("Community v1beta1", "alias twice", `{communities: [{name: a, value: "1:1"}, {name: a, value: "1:2"}]}`, "defines an alias more than once")
	add("Community v1beta1", "one value under two names", `{communities: [{name: a, value: "1:1"}, {name: b, value: "1:1"}]}`, "")
	return out
}

func peerRows() []row {
	return []row{
		{name: "least", spec: `{myASN: 64512, peerASN: 64513, peerAddress: 192.0.2.1}`},
		{name: "unnumbered", spec: `{myASN: 64512, dynamicASN: internal, interface: eth0}`},
		{name: "empty strings count as unset", spec: `{myASN: 64512, peerASN: 0, dynamicASN: external, interface: eth0, peerAddress: "", sourceAddress: "", routerID: "", password: "", vrf: "", passwordSecret: {}}`},
		{name: "no spec", spec: ``, want: "spec: Required"},
		{name: "no local ASN", spec: `{peerASN: 1, peerAddress: 192.0.2.1}`, want: "spec.myASN: Required"},
		{name: "local ASN 0", spec: `{myASN: 0, peerASN: 1, peerAddress: 192.0.2.1}`, want: "spec.myASN is 0"},
		{name: "local ASN above 32 bits", spec: `{myASN: 4294967296, peerASN: 1, peerAddress: 192.0.2.1}`, want: "less than or equal to 4294967295"},
		{name: "negative ASN", spec: `{myASN: -1, peerASN: 1, peerAddress: 192.0.2.1}`, want: "greater than or equal to 0"},
		{name: "neither ASN", spec: `{myASN: 1, peerAddress: 192.0.2.1}`, want: "spec.peerASN and spec.dynamicASN are both empty"},
		{name: "both ASNs", spec: `{myASN: 1, peerASN: 7, dynamicASN: internal, peerAddress: 192.0.2.1}`, want: "spec.peerASN is 7 and spec.dynamicASN is internal"},
		{name: "unknown dynamic ASN", spec: `{myASN: 1, dynamicASN: auto, peerAddress: 192.0.2.1}`, want: `supported values: "internal", "external"`},
		{name: "shown ASN 0", spec: `{myASN: 1, peerASN: 2, localASN: 0, peerAddress: 192.0.2.1}`, want: "greater than or equal to 1"},
		{name: "neither address nor interface", spec: `{myASN: 1, peerASN: 2}`, want: "spec.peerAddress and spec.interface are both empty"},
		{name: "address and interface", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, interface: eth0}`, want: "spec.peerAddress is 192.0.2.1 and spec.interface is eth0"},
		{name: "address that is none", spec: `{myASN: 1, peerASN: 2, peerAddress: router-1}`, want: "spec.peerAddress is router-1"},
		{name: "prefix as address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1/24}`, want: "spec.peerAddress is 192.0.2.1/24"},
		{name: "source that is none", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddress: eth0}`, want: "spec.sourceAddress is eth0"},
		{name: "IPv6 router ID", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, routerID: "2001:db8::1"}`, want: "spec.routerID is 2001:db8::1"},
		{name: "interface with line break", spec: `{myASN: 1, peerASN: 2, interface: "eth0\n neighbor"}`, want: "spec.interface must be the name"},
		{name: "interface with space", spec: `{myASN: 1, peerASN: 2, interface: "eth0 x"}`, want: "spec.interface must be the name"},
		{name: "interface with non-breaking space", spec: `{myASN: 1, peerASN: 2, interface: "eth0\u0085"}`, want: "spec.interface must be the name"},
		{name: "interface of 16 characters", spec: `{myASN: 1, peerASN: 2, interface: "abcdefghijklmnop"}`, want: "spec.interface: Too long"},
		{name: "VRF with line break", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, vrf: "red\nx"}`, want: "spec.vrf must be the name"},
		{name: "port above 16384", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, peerPort: 16385}`, want: "less than or equal to 16384"},
		{name: "hold time 0", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 0s}`},
		{name: "hold time 3s", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 3s}`},
		{name: "hold time with a fraction", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 1.5m}`},
		{name: "hold time 2s", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 2s}`, want: "spec.holdTime is 2s: it must be"},
		{name: "negative hold time", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: -5s}`, want: "spec.holdTime is -5s"},
		{name: "hold time without a unit", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: "90"}`, want: "spec.holdTime is 90:"},
		{name: "hold time as number", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 90}`, want: "must be of type string"},
		{name: "hold time beyond 16 bits", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 65536s}`, want: "spec.holdTime is 65536s"},
		{name: "hold time beyond any clock", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 99999999999h}`, want: "spec.holdTime"},
		{name: "keepalive equal to hold time", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 9s, keepaliveTime: 9s}`},
		{name: "keepalive alone", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, keepaliveTime: 9s}`},
		{name: "keepalive longer than hold time", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, holdTime: 90s, keepaliveTime: 2m}`, want: "spec.keepaliveTime is 2m but spec.holdTime is 90s"},
		{name: "keepalive that is none", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, keepaliveTime: often}`, want: "spec.keepaliveTime is often"},
		{name: "connect time 1s", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, connectTime: 1000ms}`},
		{name: "connect time 65535s", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, connectTime: 65535s}`},
		{name: "connect time 0", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, connectTime: 0s}`, want: "spec.connectTime is 0s"},
		{name: "connect time 65536s", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, connectTime: 65536s}`, want: "spec.connectTime is 65536s"},
		{name: "connect time with a fraction", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, connectTime: 1.5s}`, want: "spec.connectTime is 1.5s"},
		{name: "both passwords", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, password: hunter2, passwordSecret: {name: x}}`, want: "spec.password and spec.passwordSecret are both set"},
		{name: "password with line break", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, password: "hunter2\n neighbor"}`, want: "spec.password must not contain a line break"},
		{name: "password of 81 characters", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, password: "hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunter2hunt"}`, want: "spec.password: Too long"},
		{name: "multi-hop iBGP", spec: `{myASN: 64512, peerASN: 64512, peerAddress: 192.0.2.1, ebgpMultiHop: true}`, want: "spec.ebgpMultiHop is true but spec.peerASN equals spec.myASN 64512"},
		{name: "multi-hop internal", spec: `{myASN: 64512, dynamicASN: internal, peerAddress: 192.0.2.1, ebgpMultiHop: true}`, want: "spec.ebgpMultiHop is true but spec.dynamicASN is internal"},
		{name: "multi-hop off with iBGP", spec: `{myASN: 64512, peerASN: 64512, peerAddress: 192.0.2.1, ebgpMultiHop: false}`},
		{name: "multi-hop external", spec: `{myASN: 64512, dynamicASN: external, peerAddress: 192.0.2.1, ebgpMultiHop: true}`},
		{name: "disableMP hides nothing", spec: `{myASN: 0, peerASN: 2, peerAddress: 192.0.2.1, disableMP: true}`, want: "spec.myASN is 0"},
	}
}

// reachRows are about how a session gets to its router and what is accepted over it.
func reachRows() []row {
	return []row{
		{name: "TTL implies multi-hop", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ebgpMultiHopTTL: 2}`},
		{name: "TTL with multi-hop", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ebgpMultiHop: true, ebgpMultiHopTTL: 255}`},
		{name: "TTL 0", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ebgpMultiHopTTL: 0}`, want: "greater than or equal to 1"},
		{name: "TTL 256", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ebgpMultiHopTTL: 256}`, want: "less than or equal to 255"},
		{name: "TTL with iBGP", spec: `{myASN: 1, peerASN: 1, peerAddress: 192.0.2.1, ebgpMultiHopTTL: 2}`, want: "spec.ebgpMultiHopTTL is set but spec.peerASN equals spec.myASN"},
		{name: "TTL with internal", spec: `{myASN: 1, dynamicASN: internal, peerAddress: 192.0.2.1, ebgpMultiHopTTL: 2}`, want: "spec.ebgpMultiHopTTL is set but spec.dynamicASN is internal"},
		{name: "TTL with interface", spec: `{myASN: 1, peerASN: 2, interface: eth0, ebgpMultiHopTTL: 2}`, want: "one hop away"},
		{name: "security hops", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ttlSecurityHops: 254}`},
		{name: "security hops on iBGP", spec: `{myASN: 1, peerASN: 1, peerAddress: 192.0.2.1, ttlSecurityHops: 1}`},
		{name: "security hops 0", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ttlSecurityHops: 0}`, want: "greater than or equal to 1"},
		{name: "security hops 255", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ttlSecurityHops: 255}`, want: "less than or equal to 254"},
		{name: "security hops with multi-hop", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ttlSecurityHops: 1, ebgpMultiHop: true}`, want: "must not be given together"},
		{name: "security hops with TTL", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, ttlSecurityHops: 1, ebgpMultiHopTTL: 3}`, want: "must not be given together"},
		{name: "one security hop on an interface", spec: `{myASN: 1, peerASN: 2, interface: eth0, ttlSecurityHops: 1}`},
		{name: "security hops on an interface", spec: `{myASN: 1, peerASN: 2, interface: eth0, ttlSecurityHops: 2}`, want: "must be 1 where spec.interface is given"},
		{name: "sources of nodes", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddress: 192.0.2.9, sourceAddresses: [{nodeName: n1, address: 192.0.2.10}, {nodeSelector: {matchLabels: {rack: a}}, address: 192.0.2.11}]}`},
		{name: "source for nobody", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddresses: [{address: 192.0.2.10}]}`, want: "give exactly one of nodeName and nodeSelector"},
		{name: "source for both", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddresses: [{nodeName: n1, nodeSelector: {}, address: 192.0.2.10}]}`, want: "give exactly one of nodeName and nodeSelector"},
		{name: "source without address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddresses: [{nodeName: n1}]}`, want: "address: Required"},
		{name: "source that is no address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceAddresses: [{nodeName: n1, address: eth0}]}`, want: "eth0 must be an IPv4 or IPv6 address"},
		{name: "source interface", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceInterface: lo}`},
		{name: "source interface with space", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceInterface: "l o"}`, want: "spec.sourceInterface must be the name"},
		{name: "source interface and address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceInterface: lo, sourceAddress: 192.0.2.9}`, want: "give one kind of source"},
		{name: "source interface and addresses", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, sourceInterface: lo, sourceAddresses: [{nodeName: n1, address: 192.0.2.10}]}`, want: "give one kind of source"},
		{name: "source interface on an interface", spec: `{myASN: 1, peerASN: 2, interface: eth0, sourceInterface: lo}`, want: "one by spec.interface comes from that interface"},
		{name: "receives by default nothing", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {}}`},
		{name: "receives all", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {mode: all}}}`},
		{name: "receives some", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, dualStackAddressFamily: true, toReceive: {allowed: {mode: filtered, prefixes: [{prefix: 0.0.0.0/0}, {prefix: 10.0.0.0/8, ge: 8, le: 32}, {prefix: "2001:db8::/32", le: 64}]}}}`},
		{name: "receives all and some", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {mode: all, prefixes: [{prefix: 0.0.0.0/0}]}}}`, want: "mode is all"},
		{name: "receives in an unknown mode", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {mode: some}}}`, want: "supported values"},
		{name: "receives host bits", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {prefixes: [{prefix: 10.0.0.1/8}]}}}`, want: "10.0.0.1/8 must be a prefix without host bits"},
		{name: "receives an address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {prefixes: [{prefix: 10.0.0.1}]}}}`, want: "must be a prefix without host bits"},
		{name: "receives shorter than the prefix", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {prefixes: [{prefix: 10.0.0.0/8, ge: 7}]}}}`, want: "ge must not be less than the length of prefix"},
		{name: "receives longer than an address", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {prefixes: [{prefix: 10.0.0.0/8, le: 33}]}}}`, want: "le must not be less than the length of prefix, nor more"},
		{name: "receives from long to short", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, toReceive: {allowed: {prefixes: [{prefix: 10.0.0.0/8, ge: 24, le: 16}]}}}`, want: "ge must not be greater than le"},
	}
}

// listenRows are about routers that open the session themselves.
func listenRows() []row {
	return []row{
		{name: "range", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24}`},
		{name: "range with all that goes with it", spec: `{myASN: 1, dynamicASN: external, listenRange: "2001:db8::/64", listenLimit: 65535, peerPort: 179, holdTime: 9s, password: x, ttlSecurityHops: 1, dualStackAddressFamily: true}`},
		{name: "range with empty strings", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, peerAddress: "", interface: "", sourceAddress: "", sourceInterface: ""}`},
		{name: "no range", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, listenRange: ""}`},
		{name: "range with host bits", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.1/24}`, want: "spec.listenRange is 192.0.2.1/24"},
		{name: "range that is an address", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.1}`, want: "spec.listenRange is 192.0.2.1"},
		{name: "range and address", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, peerAddress: 192.0.2.1}`, want: "must not be given together with spec.peerAddress"},
		{name: "range and interface", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, interface: eth0}`, want: "must not be given together with spec.peerAddress or spec.interface"},
		{name: "range and source", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, sourceAddress: 192.0.2.1}`, want: "must not be given together with spec.sourceAddress"},
		{name: "range and sources", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, sourceAddresses: [{nodeName: n1, address: 192.0.2.1}]}`, want: "must not be given together with spec.sourceAddress"},
		{name: "range and source interface", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, sourceInterface: lo}`, want: "must not be given together with spec.sourceAddress"},
		{name: "range and connect time", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, connectTime: 5s}`, want: "must not be given together with spec.connectTime"},
		{name: "range and port", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, peerPort: 1179}`, want: "must not be given together with spec.peerPort"},
		{name: "range and graceful restart", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, enableGracefulRestart: true}`, want: "must not be given together with spec.enableGracefulRestart"},
		{name: "range with a password in a VRF", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, vrf: red, password: x}`, want: "must not be given together with a password"},
		{name: "range with a Secret in a VRF", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, vrf: red, passwordSecret: {name: x}}`, want: "must not be given together with a password"},
		{name: "range in a VRF", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, vrf: red}`},
		{name: "limit 0", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, listenLimit: 0}`, want: "greater than or equal to 1"},
		{name: "limit above 16 bits", spec: `{myASN: 1, peerASN: 2, listenRange: 192.0.2.0/24, listenLimit: 65536}`, want: "less than or equal to 65535"},
		{name: "limit without range", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, listenLimit: 5}`, want: "spec.listenLimit is for spec.listenRange"},
	}
}

func advertisementRows() []row {
	const bgp, l2 = "BGPAdvertisement v1beta1", "L2Advertisement v1beta1"
	return []row{
		{kind: bgp, name: "no spec", spec: ``},
		{kind: bgp, name: "length 1", spec: `{aggregationLength: 1, aggregationLengthV6: 1}`},
		{kind: bgp, name: "length 0", spec: `{aggregationLength: 0}`, want: "spec.aggregationLength in body should be greater than or equal to 1"},
		{kind: bgp, name: "length 33", spec: `{aggregationLength: 33}`, want: "spec.aggregationLength in body should be less than or equal to 32"},
		{kind: bgp, name: "IPv6 length 129", spec: `{aggregationLengthV6: 129}`, want: "spec.aggregationLengthV6 in body should be less than or equal to 128"},
		{kind: bgp, name: "selected Services with full lengths", spec: `{aggregationLength: 32, aggregationLengthV6: 128, serviceSelectors: [{matchLabels: {a: b}}]}`},
		{kind: bgp, name: "empty selectors with aggregation", spec: `{aggregationLength: 24, serviceSelectors: []}`},
		{kind: bgp, name: "selected Services with aggregation", spec: `{aggregationLength: 24, serviceSelectors: [{matchLabels: {a: b}}]}`, want: "spec.serviceSelectors cannot be combined with spec.aggregationLength"},
		{kind: bgp, name: "selected Services with IPv6 aggregation", spec: `{aggregationLengthV6: 64, serviceSelectors: [{}]}`, want: "spec.serviceSelectors cannot be combined with spec.aggregationLength"},
		{kind: bgp, name: "negative preference", spec: `{localPref: -1}`, want: "greater than or equal to 0"},
		{kind: bgp, name: "preference above the format", spec: `{localPref: 2147483648}`, want: "int32"},
		{kind: bgp, name: "community above 16 bits", spec: `{communities: ["1:65536"]}`, want: "found 1:65536"},
		{kind: bgp, name: "large community of two parts", spec: `{communities: ["large:1:2"]}`, want: "found large:1:2"},
		{kind: bgp, name: "large community above 32 bits", spec: `{communities: ["large:1:2:4294967296"]}`, want: "found large:1:2:4294967296"},
		{kind: bgp, name: "alias", spec: `{communities: [no-export]}`},
		{kind: bgp, name: "peer twice", spec: `{peers: [a, b, a]}`, want: "spec.peers names a BGPPeer more than once"},
		{kind: bgp, name: "link bandwidth", spec: `{linkBandwidth: {perEndpoint: 25600}}`},
		{kind: bgp, name: "link bandwidth of nothing", spec: `{linkBandwidth: {perEndpoint: 0}}`, want: "spec.linkBandwidth.perEndpoint in body should be greater than or equal to 1"},
		{kind: bgp, name: "link bandwidth of an aggregate", spec: `{linkBandwidth: {perEndpoint: 1}, aggregationLength: 24}`, want: "spec.linkBandwidth and spec.serviceOverrides cannot be combined"},
		{kind: bgp, name: "overrides", spec: `{serviceOverrides: {communities: [no-export, "1:1"], maxASPathPrepend: 10, med: {min: 0, max: 255}, localPref: {min: 1, max: 1}}}`},
		{kind: bgp, name: "overrides of an aggregate", spec: `{serviceOverrides: {}, aggregationLengthV6: 64}`, want: "spec.linkBandwidth and spec.serviceOverrides cannot be combined"},
		{kind: bgp, name: "overrides with a wide range", spec: `{serviceOverrides: {med: {min: 0, max: 256}}}`, want: "min must not be above max, and max at most 255 above min"},
		{kind: bgp, name: "overrides with a range backwards", spec: `{serviceOverrides: {med: {min: 7, max: 6}}}`, want: "min must not be above max"},
		{kind: bgp, name: "overrides of the preference from 0", spec: `{serviceOverrides: {localPref: {min: 0, max: 6}}}`, want: "localPref.min must be at least 1"},
		{kind: bgp, name: "overrides with a community twice", spec: `{serviceOverrides: {communities: ["1:1", "1:1"]}}`, want: "spec.serviceOverrides.communities[1]: Duplicate value"},
		{kind: bgp, name: "unknown field", spec: `{weight: 3}`, want: "spec.weight"},
		{kind: bgp, name: "prepended ten times", spec: `{asPathPrepend: 10}`},
		{kind: bgp, name: "prepended eleven times", spec: `{asPathPrepend: 11}`, want: "spec.asPathPrepend in body should be less than or equal to 10"},
		{kind: bgp, name: "prepended less than never", spec: `{asPathPrepend: -1}`, want: "spec.asPathPrepend in body should be greater than or equal to 0"},
		{kind: bgp, name: "MED of 32 bits", spec: `{med: 4294967295}`},
		{kind: bgp, name: "MED above 32 bits", spec: `{med: 4294967296}`, want: "spec.med in body should be less than or equal to 4294967295"},
		{kind: bgp, name: "extended communities", spec: `{extCommunities: ["rt:64512:4294967295", "rt:4294967295:65535", "soo:192.0.2.1:65535"]}`},
		{kind: bgp, name: "extended community of another kind", spec: `{extCommunities: ["ro:1:2"]}`, want: "found ro:1:2"},
		{kind: bgp, name: "extended community with two large numbers", spec: `{extCommunities: ["rt:70000:70000"]}`, want: "found rt:70000:70000"},
		{kind: bgp, name: "extended community with an address and a large number", spec: `{extCommunities: ["rt:192.0.2.1:65536x"]}`, want: "found rt:192.0.2.1:65536x"},

		{kind: l2, name: "no spec", spec: ``},
		{kind: l2, name: "interface twice", spec: `{interfaces: [eth0, eth0]}`, want: "spec.interfaces names an interface more than once"},
		{kind: l2, name: "weight 0", spec: `{preferredNodeSelectors: [{weight: 0, preference: {}}]}`, want: "greater than or equal to 1"},
		{kind: l2, name: "weight 101", spec: `{preferredNodeSelectors: [{weight: 101, preference: {}}]}`, want: "less than or equal to 100"},
		{kind: l2, name: "no weight", spec: `{preferredNodeSelectors: [{preference: {}}]}`, want: "weight: Required"},
		{kind: l2, name: "no preference", spec: `{preferredNodeSelectors: [{weight: 5}]}`, want: "preference: Required"},
		{kind: l2, name: "balanced", spec: `{placement: Balanced}`},
		{kind: l2, name: "placement by hash", spec: `{placement: Hash}`},
		{kind: l2, name: "unknown placement", spec: `{placement: Even}`, want: "spec.placement: Unsupported value"},
	}
}

func poolRows() []row {
	const pool = "IPAddressPool v1beta1"
	return []row{
		{kind: pool, name: "prefix", spec: `{addresses: [192.0.2.0/24]}`},
		{kind: pool, name: "range of one", spec: `{addresses: [192.0.2.1-192.0.2.1]}`},
		{kind: pool, name: "range with spaces", spec: `{addresses: ["192.0.2.1 - 192.0.2.9"]}`},
		{kind: pool, name: "range over an octet", spec: `{addresses: [9.255.255.255-10.0.0.1]}`},
		{kind: pool, name: "IPv6 range", spec: `{addresses: ["2001:db8::1-2001:db8::ffff"]}`},
		{kind: pool, name: "no spec", spec: ``, want: "spec: Required"},
		{kind: pool, name: "no addresses", spec: `{autoAssign: true}`, want: "spec.addresses: Required"},
		{kind: pool, name: "empty addresses", spec: `{addresses: []}`, want: "should have at least 1 items"},
		{kind: pool, name: "bare address", spec: `{addresses: [192.0.2.1]}`, want: "found 192.0.2.1: it must be a prefix"},
		{kind: pool, name: "prefix too long", spec: `{addresses: [192.0.2.0/33]}`, want: "found 192.0.2.0/33: it must be a prefix"},
		{kind: pool, name: "range of words", spec: `{addresses: [first-last]}`, want: "found first-last: it must be a prefix"},
		{kind: pool, name: "range of three", spec: `{addresses: [192.0.2.1-192.0.2.2-192.0.2.3]}`, want: "it must be a prefix"},
		{kind: pool, name: "range over both families", spec: `{addresses: ["192.0.2.1-2001:db8::1"]}`, want: "range of one address family"},
		{kind: pool, name: "range backwards", spec: `{addresses: [192.0.2.9-192.0.2.1]}`, want: "found 192.0.2.9-192.0.2.1: the first address of a range must not be above the last"},
		{kind: pool, name: "range backwards over an octet", spec: `{addresses: [192.0.3.1-192.0.2.255]}`, want: "must not be above the last"},
		{kind: pool, name: "namespace twice", spec: `{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [a, a]}}`, want: "names a namespace more than once"},
		{kind: pool, name: "fence", spec: `{addresses: [192.0.2.0/24], serviceAllocation: {namespaces: [a], strict: true}}`},
		{kind: pool, name: "fence that is no truth value", spec: `{addresses: [192.0.2.0/24], serviceAllocation: {strict: "yes"}}`, want: "must be of type boolean"},
		{kind: pool, name: "disabled", spec: `{addresses: [192.0.2.0/24], disabled: true}`},
		{kind: pool, name: "known addresses", spec: `{addresses: [192.0.2.0/24], conflictCheck: Known}`},
		{kind: pool, name: "unknown check", spec: `{addresses: [192.0.2.0/24], conflictCheck: ARP}`, want: `supported values: "None", "Known", "Probe"`},
		{kind: pool, name: "allocation for everybody", spec: `{addresses: [192.0.2.0/24], serviceAllocation: {}}`},
		{kind: pool, name: "unknown field", spec: `{addresses: [192.0.2.0/24], protocol: layer2}`, want: "spec.protocol"},
	}
}

func installationRows() []row {
	const metallb = "MetalLB v1beta1"
	return []row{
		{kind: metallb, name: "no spec", spec: ``},
		{kind: metallb, name: "unknown level", spec: `{logLevel: verbose}`, want: `supported values: "all", "debug", "info", "warn", "error", "none"`},
		{kind: metallb, name: "class", spec: `{loadBalancerClass: example.com/bare-metal_1.2}`},
		{kind: metallb, name: "class of two slashes", spec: `{loadBalancerClass: a/b/c}`, want: "spec.loadBalancerClass"},
		{kind: metallb, name: "several classes", spec: `{loadBalancerClasses: [internal-vip, example.com/bare-metal_1.2], loadBalancerAlsoUnclassed: true}`},
		{kind: metallb, name: "classes in one word", spec: `{loadBalancerClasses: ["a,b"]}`, want: "spec.loadBalancerClasses[0]"},
		{kind: metallb, name: "empty class among others", spec: `{loadBalancerClasses: [a, ""]}`, want: "spec.loadBalancerClasses[1]"},
		{kind: metallb, name: "class twice in the list", spec: `{loadBalancerClasses: [a, a]}`, want: `spec.loadBalancerClasses[1]: Duplicate value: "a"`},
		{kind: metallb, name: "class in the list as well", spec: `{loadBalancerClass: a, loadBalancerClasses: [a, b]}`},
		{kind: metallb, name: "also unclassed without a class", spec: `{loadBalancerAlsoUnclassed: true}`},
		{kind: metallb, name: "unknown backend", spec: `{bgpBackend: bird}`, want: "spec.bgpBackend: Unsupported value"},
		{kind: metallb, name: "native backend", spec: `{bgpBackend: native}`},
		{kind: metallb, name: "empty backend", spec: `{bgpBackend: ""}`},
		{kind: metallb, name: "external backend without namespace", spec: `{bgpBackend: frr-k8s-external}`, want: "spec.frrk8sConfig.namespace is empty"},
		{kind: metallb, name: "external backend with empty namespace", spec: `{bgpBackend: frr-k8s-external, frrk8sConfig: {namespace: ""}}`, want: "spec.frrk8sConfig.namespace is empty"},
		{kind: metallb, name: "external backend with namespace", spec: `{bgpBackend: frr-k8s-external, frrk8sConfig: {namespace: x}}`},
		{kind: metallb, name: "blocked address", spec: `{frrk8sConfig: {alwaysBlock: [10.0.0.1]}}`, want: "found 10.0.0.1"},
		{kind: metallb, name: "seconds without NoExecute", spec: `{speakerTolerations: [{effect: NoSchedule, tolerationSeconds: 5}]}`, want: "spec.speakerTolerations: tolerationSeconds"},
		{kind: metallb, name: "seconds without effect", spec: `{controllerTolerations: [{tolerationSeconds: 5}]}`, want: "spec.controllerTolerations: tolerationSeconds"},
		{kind: metallb, name: "node weight 101", spec: `{speakerConfig: {affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 101, preference: {}}]}}}}`, want: "weights of nodeAffinity must be 1 to 100"},
		{kind: metallb, name: "pod weight 0", spec: `{controllerConfig: {affinity: {podAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, podAffinityTerm: {topologyKey: a}}]}}}}`, want: "weights of podAffinity must be 1 to 100"},
		{kind: metallb, name: "pod anti-weight 0", spec: `{controllerConfig: {affinity: {podAntiAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 0, podAffinityTerm: {topologyKey: a}}]}}}}`, want: "weights of podAntiAffinity must be 1 to 100"},
		{kind: metallb, name: "repeat for ever", spec: `{speakerGratuitousARPInterval: 1m}`},
		{kind: metallb, name: "repeat as a word", spec: `{speakerGratuitousARPInterval: hourly}`, want: "spec.speakerGratuitousARPInterval is hourly"},
		{kind: metallb, name: "negative repeat", spec: `{speakerGratuitousARPInterval: -1s}`, want: "spec.speakerGratuitousARPInterval is -1s"},
		{kind: metallb, name: "a duration of no unit", spec: `{memberlist: {probeInterval: "5"}}`, want: "spec.memberlist.probeInterval must be a duration above zero"},
		{kind: metallb, name: "probes without a pause", spec: `{memberlist: {probeInterval: 0s}}`, want: "spec.memberlist.probeInterval must be a duration above zero"},
		{kind: metallb, name: "answers after the next question", spec: `{memberlist: {probeInterval: 1s, probeTimeout: 1000ms}}`, want: "spec.memberlist.probeTimeout must be shorter"},
		{kind: metallb, name: "settings of the gossip", spec: `{memberlist: {wan: true, probeInterval: 1s, probeTimeout: 500ms, suspicionMult: 4, gossipInterval: 200ms}}`},
		{kind: metallb, name: "a controller too many", spec: `{controllerReplicas: 6}`, want: "spec.controllerReplicas"},
		{kind: metallb, name: "no controller", spec: `{controllerReplicas: 0}`, want: "spec.controllerReplicas"},
		{kind: metallb, name: "a label of the operator", spec: `{speakerConfig: {labels: {app: x}}}`, want: "labels must not hold app or component"},
		{kind: metallb, name: "another label", spec: `{speakerConfig: {labels: {example.com/app: x}}}`},
		{kind: metallb, name: "unknown time for FRR", spec: `{frr: Never}`, want: `spec.frr: Unsupported value: "Never": supported values: "WhenNeeded", "Always"`},
		{kind: metallb, name: "one port for two", spec: `{ports: {metrics: 80, health: 80}}`, want: "spec.ports.metrics must differ from the other ports"},
		{kind: metallb, name: "another port for two", spec: `{ports: {memberlist: 80, health: 80}}`, want: "spec.ports.health must differ from spec.ports.memberlist"},
		{kind: metallb, name: "ports", spec: `{ports: {metrics: 7472, health: 7473, memberlist: 9122}}`},
		{kind: metallb, name: "a port above 16 bits", spec: `{ports: {metrics: 65536}}`, want: "less than or equal to 65535"},
		{kind: metallb, name: "pull secrets", spec: `{imagePullSecrets: [{name: a}, {name: b}]}`},
		{kind: metallb, name: "a pull secret twice", spec: `{imagePullSecrets: [{name: a}, {name: a}]}`, want: "Duplicate value"},
		{kind: metallb, name: "no links in the list", spec: `{layer2ExcludeInterfaces: []}`, want: "should have at least 1 items"},
		{kind: metallb, name: "every link", spec: `{layer2ExcludeInterfaces: [""]}`, want: "spec.layer2ExcludeInterfaces[0]"},
		{kind: metallb, name: "debounce", spec: `{bgpDebounceTimeout: 500ms}`},
		{kind: metallb, name: "debounce as a number of words", spec: `{bgpDebounceTimeout: soon}`, want: "spec.bgpDebounceTimeout must be a duration"},
		{kind: metallb, name: "excluded nodes", spec: `{layer2ExcludeNodes: [NotReady, OutOfService, Unschedulable, ShuttingDown, DrainRequested]}`},
		{kind: metallb, name: "unknown reason to exclude nodes", spec: `{layer2ExcludeNodes: [Cordoned]}`, want: `spec.layer2ExcludeNodes[0]: Unsupported value: "Cordoned": supported values: "NotReady", "OutOfService", "Unschedulable", "ShuttingDown", "DrainRequested"`},
		{kind: metallb, name: "reason to exclude nodes twice", spec: `{layer2ExcludeNodes: [NotReady, NotReady]}`, want: `spec.layer2ExcludeNodes[1]: Duplicate value: "NotReady"`},
		{kind: metallb, name: "drain", spec: `{bgpDrain: {nodes: [Unschedulable, DrainRequested], taints: [example.com/maintenance], waitSeconds: 3600, keepLastAnnouncer: false}}`},
		{kind: metallb, name: "a port to listen on", spec: `{bgpListenPort: 179}`},
		{kind: metallb, name: "port 0 to listen on", spec: `{bgpListenPort: 0}`, want: "greater than or equal to 1"},
		{kind: metallb, name: "a port to listen on above 16 bits", spec: `{bgpListenPort: 65536}`, want: "less than or equal to 65535"},
		{kind: metallb, name: "drain with nothing set", spec: `{bgpDrain: {}}`},
		{kind: metallb, name: "unknown reason to drain", spec: `{bgpDrain: {nodes: [Cordoned]}}`, want: `spec.bgpDrain.nodes[0]: Unsupported value: "Cordoned"`},
		{kind: metallb, name: "drain without a wait", spec: `{bgpDrain: {waitSeconds: 0}}`, want: `spec.bgpDrain.waitSeconds`},
		{kind: metallb, name: "drain with a taint twice", spec: `{bgpDrain: {taints: [a, a]}}`, want: `spec.bgpDrain.taints[1]: Duplicate value: "a"`},
		{kind: metallb, name: "shutdown", spec: `{bgpShutdown: {mode: Withdraw, waitSeconds: 600}}`},
		{kind: metallb, name: "shutdown at once", spec: `{bgpShutdown: {mode: PerPeer, waitSeconds: 0}}`},
		{kind: metallb, name: "shutdown with nothing set", spec: `{bgpShutdown: {}}`},
		{kind: metallb, name: "unknown mode of shutdown", spec: `{bgpShutdown: {mode: Slowly}}`, want: `spec.bgpShutdown.mode: Unsupported value: "Slowly": supported values: "PerPeer", "Withdraw"`},
		{kind: metallb, name: "shutdown with too long a wait", spec: `{bgpShutdown: {waitSeconds: 601}}`, want: `spec.bgpShutdown.waitSeconds`},
		{kind: metallb, name: "update with nothing set", spec: `{speakerUpdate: {}}`},
		{kind: metallb, name: "update", spec: `{speakerUpdate: {strategy: RollingUpdate, maxUnavailable: 2, sessionWaitSeconds: 0}}`},
		{kind: metallb, name: "update of a share of the nodes", spec: `{speakerUpdate: {strategy: Ordered, maxUnavailable: 100%}}`},
		{kind: metallb, name: "unknown strategy of updates", spec: `{speakerUpdate: {strategy: Recreate}}`, want: `spec.speakerUpdate.strategy: Unsupported value: "Recreate": supported values: "Ordered", "RollingUpdate", "OnDelete"`},
		{kind: metallb, name: "update of no node", spec: `{speakerUpdate: {maxUnavailable: 0}}`, want: "spec.speakerUpdate.maxUnavailable must be a number of at least 1, or from 1% to 100%"},
		{kind: metallb, name: "update of more than all nodes", spec: `{speakerUpdate: {maxUnavailable: 101%}}`, want: "spec.speakerUpdate.maxUnavailable must be a number of at least 1, or from 1% to 100%"},
		{kind: metallb, name: "update with too long a wait", spec: `{speakerUpdate: {sessionWaitSeconds: 86401}}`, want: `spec.speakerUpdate.sessionWaitSeconds`},
		{kind: metallb, name: "no gossip", spec: `{memberlist: {disabled: true}}`},
		{kind: metallb, name: "no gossip and no fencing", spec: `{memberlist: {disabled: true, fencing: Never}}`},
		{kind: metallb, name: "gossip with strict fencing", spec: `{memberlist: {disabled: false, fencing: Strict}}`},
		{kind: metallb, name: "fencing in the flag's letters", spec: `{memberlist: {fencing: strict}}`, want: `spec.memberlist.fencing: Unsupported value: "strict": supported values: "Proven", "Strict", "Never"`},
		{kind: metallb, name: "fencing without gossip", spec: `{memberlist: {disabled: true, fencing: Strict}}`, want: "spec.memberlist.fencing must be Never or unset where spec.memberlist.disabled is true"},
	}
}

func reservationRows() []row {
	const reservation = "IPReservation v1beta1"
	return []row{
		{kind: reservation, name: "address for a namespace", spec: `{namespace: shop, addresses: [192.0.2.7]}`},
		{kind: reservation, name: "both families for a Service", spec: `{namespace: shop, serviceName: web, addresses: [192.0.2.7, "2001:db8::7"]}`},
		{kind: reservation, name: "any of a pool for selected Services", spec: `{namespace: shop, serviceSelector: {matchLabels: {app: web}}, pool: public, ipFamilies: [IPv6]}`},
		{kind: reservation, name: "Service that begins with a digit", spec: `{namespace: 1st, serviceName: 2nd, pool: public}`},
		{kind: reservation, name: "empty lists count as unset", spec: `{namespace: shop, addresses: [], pool: public, ipFamilies: []}`},
		{kind: reservation, name: "empty list of families with addresses", spec: `{namespace: shop, addresses: [192.0.2.7], ipFamilies: []}`},
		{kind: reservation, name: "no spec", spec: ``, want: "spec: Required"},
		{kind: reservation, name: "no namespace", spec: `{addresses: [192.0.2.7]}`, want: "spec.namespace: Required"},
		{kind: reservation, name: "empty namespace", spec: `{namespace: "", addresses: [192.0.2.7]}`, want: "spec.namespace"},
		{kind: reservation, name: "all namespaces", spec: `{namespace: "*", addresses: [192.0.2.7]}`, want: "spec.namespace"},
		{kind: reservation, name: "Service with its namespace", spec: `{namespace: shop, serviceName: shop/web, pool: public}`, want: "spec.serviceName"},
		{kind: reservation, name: "Service and selector", spec: `{namespace: shop, serviceName: web, serviceSelector: {}, pool: public}`, want: "at most one of spec.serviceName and spec.serviceSelector"},
		{kind: reservation, name: "neither addresses nor pool", spec: `{namespace: shop}`, want: "exactly one of spec.addresses and spec.pool"},
		{kind: reservation, name: "empty addresses and no pool", spec: `{namespace: shop, addresses: []}`, want: "exactly one of spec.addresses and spec.pool"},
		{kind: reservation, name: "addresses and pool", spec: `{namespace: shop, addresses: [192.0.2.7], pool: public}`, want: "exactly one of spec.addresses and spec.pool"},
		{kind: reservation, name: "empty pool", spec: `{namespace: shop, pool: ""}`, want: "spec.pool"},
		{kind: reservation, name: "prefix", spec: `{namespace: shop, addresses: [192.0.2.0/30]}`, want: "found 192.0.2.0/30: it must be an IP address"},
		{kind: reservation, name: "range", spec: `{namespace: shop, addresses: [192.0.2.1-192.0.2.2]}`, want: "found 192.0.2.1-192.0.2.2: it must be an IP address"},
		{kind: reservation, name: "IPv4 in IPv6", spec: `{namespace: shop, addresses: ["::ffff:192.0.2.1"]}`, want: "found ::ffff:192.0.2.1: it must be an IP address"},
		{kind: reservation, name: "address with a zone", spec: `{namespace: shop, addresses: ["fe80::1%eth0"]}`, want: "found fe80::1%eth0: it must be an IP address"},
		{kind: reservation, name: "address twice", spec: `{namespace: shop, addresses: [192.0.2.7, 192.0.2.7]}`, want: `spec.addresses[1]: Duplicate value: "192.0.2.7"`},
		{kind: reservation, name: "families of addresses", spec: `{namespace: shop, addresses: [192.0.2.7], ipFamilies: [IPv4]}`, want: "spec.ipFamilies goes with spec.pool only"},
		{kind: reservation, name: "family twice", spec: `{namespace: shop, pool: public, ipFamilies: [IPv4, IPv4]}`, want: `spec.ipFamilies[1]: Duplicate value: "IPv4"`},
		{kind: reservation, name: "unknown family", spec: `{namespace: shop, pool: public, ipFamilies: [ipv4]}`, want: `supported values: "IPv4", "IPv6"`},
		{kind: reservation, name: "kept forever", spec: `{namespace: shop, pool: public, retainAfterDelete: Forever}`},
		{kind: reservation, name: "kept a day", spec: `{namespace: shop, pool: public, retainAfterDelete: 24h}`},
		{kind: reservation, name: "kept an hour and a half", spec: `{namespace: shop, pool: public, retainAfterDelete: 1h30m}`},
		{kind: reservation, name: "kept with a fraction", spec: `{namespace: shop, pool: public, retainAfterDelete: 1.5h}`},
		{kind: reservation, name: "kept a second", spec: `{namespace: shop, pool: public, retainAfterDelete: 1s}`},
		{kind: reservation, name: "kept less than a second", spec: `{namespace: shop, pool: public, retainAfterDelete: 0.5s}`, want: "found 0.5s: it must be Forever or a duration of at least 1s"},
		{kind: reservation, name: "not kept", spec: `{namespace: shop, pool: public, retainAfterDelete: 0s}`, want: "found 0s: it must be Forever or a duration"},
		{kind: reservation, name: "kept days", spec: `{namespace: shop, pool: public, retainAfterDelete: 7d}`, want: "found 7d: it must be Forever or a duration"},
		{kind: reservation, name: "kept a negative time", spec: `{namespace: shop, pool: public, retainAfterDelete: -1h}`, want: "found -1h: it must be Forever or a duration"},
		{kind: reservation, name: "kept beyond any clock", spec: `{namespace: shop, pool: public, retainAfterDelete: 99999999999h}`, want: "spec.retainAfterDelete"},
		{kind: reservation, name: "kept a word", spec: `{namespace: shop, pool: public, retainAfterDelete: forever}`, want: "found forever: it must be Forever or a duration"},
		{kind: reservation, name: "unknown field", spec: `{namespace: shop, pool: public, count: 2}`, want: "spec.count"},
	}
}

func quotaRows() []row {
	const quota = "AddressQuota v1beta1"
	return []row{
		{kind: quota, name: "for every namespace", spec: `{ipv4: 2}`},
		{kind: quota, name: "nothing at all", spec: `{ipv4: 0, ipv6: 0}`},
		{kind: quota, name: "for some", spec: `{namespaces: [a, b], namespaceSelectors: [{matchLabels: {tenant: x}}], pools: [public, lab.internal], ipv6: 16}`},
		{kind: quota, name: "no spec", spec: ``, want: "spec: Required"},
		{kind: quota, name: "no limit", spec: `{namespaces: [a]}`, want: "at least one of spec.ipv4 and spec.ipv6"},
		{kind: quota, name: "negative limit", spec: `{ipv4: -1}`, want: "greater than or equal to 0"},
		{kind: quota, name: "negative IPv6 limit", spec: `{ipv6: -1}`, want: "greater than or equal to 0"},
		{kind: quota, name: "limit above the format", spec: `{ipv4: 2147483648}`, want: "int32"},
		{kind: quota, name: "all namespaces by a star", spec: `{namespaces: ["*"], ipv4: 1}`, want: "spec.namespaces[0]"},
		{kind: quota, name: "namespace twice", spec: `{namespaces: [a, a], ipv4: 1}`, want: `spec.namespaces[1]: Duplicate value: "a"`},
		{kind: quota, name: "pool twice", spec: `{pools: [a, a], ipv4: 1}`, want: `spec.pools[1]: Duplicate value: "a"`},
		{kind: quota, name: "unknown field", spec: `{ipv4: 1, services: 3}`, want: "spec.services"},
	}
}

func probeRows() []row {
	const probe = "AddressProbe v1beta1"
	return []row{
		{kind: probe, name: "both families", spec: `{node: worker-1, addresses: [192.0.2.7, "2001:db8::7"]}`},
		{kind: probe, name: "no spec", spec: ``, want: "spec: Required"},
		{kind: probe, name: "no node", spec: `{addresses: [192.0.2.7]}`, want: "spec.node: Required"},
		{kind: probe, name: "empty node", spec: `{node: "", addresses: [192.0.2.7]}`, want: "spec.node"},
		{kind: probe, name: "no addresses", spec: `{node: a}`, want: "spec.addresses: Required"},
		{kind: probe, name: "empty addresses", spec: `{node: a, addresses: []}`, want: "should have at least 1 items"},
		{kind: probe, name: "prefix", spec: `{node: a, addresses: [192.0.2.0/24]}`, want: "found 192.0.2.0/24: it must be an IP address"},
	}
}
