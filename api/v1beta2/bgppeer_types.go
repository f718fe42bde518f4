package v1beta2

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DynamicASNMode says which autonomous systems a peer may have when its number
// is not fixed by peerASN.
//
// +kubebuilder:validation:Enum=internal;external
type DynamicASNMode string

const (
	// InternalASN accepts a peer of the same AS as myASN (iBGP).
	InternalASN DynamicASNMode = "internal"
	// ExternalASN accepts a peer of any AS other than myASN (eBGP).
	ExternalASN DynamicASNMode = "external"
)

// DefaultPeerPort is the TCP port of BGP. A peerPort of 0, which v1beta1 lets
// through, stands for it.
const DefaultPeerPort = 179

// NodeSource is the address from which some nodes open a session.
//
// +kubebuilder:validation:XValidation:rule="(has(self.nodeName) && size(self.nodeName) > 0) != has(self.nodeSelector)",message="give exactly one of nodeName and nodeSelector"
type NodeSource struct {
	// nodeName is the name of the one node that the address is for. Give
	// either nodeName or nodeSelector.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	NodeName string `json:"nodeName,omitempty"`

	// nodeSelector chooses the nodes that the address is for by their labels:
	// addresses that several nodes share, as anycast addresses do. Give either
	// nodeName or nodeSelector.
	// +optional
	NodeSelector *metav1.LabelSelector `json:"nodeSelector,omitempty"`

	// address is the IPv4 or IPv6 address from which the node opens the
	// session, one of its own.
	// +required
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="isIP(self)",message="must be an IPv4 or IPv6 address",messageExpression="self + ' must be an IPv4 or IPv6 address such as 192.0.2.10'"
	Address string `json:"address"`
}

// Receive says which routes are accepted from a router.
type Receive struct {
	// allowed are the routes that are accepted.
	// +optional
	Allowed ReceiveAllowed `json:"allowed,omitzero"`
}

// ReceiveMode says how the routes that are accepted are chosen.
//
// +kubebuilder:validation:Enum=all;filtered
type ReceiveMode string

const (
	// ReceiveAll accepts every route.
	ReceiveAll ReceiveMode = "all"
	// ReceiveFiltered accepts the routes that prefixes name.
	ReceiveFiltered ReceiveMode = "filtered"
)

// ReceiveAllowed are the routes that are accepted from a router.
//
// +kubebuilder:validation:XValidation:rule="!has(self.mode) || self.mode != 'all' || !has(self.prefixes) || size(self.prefixes) == 0",message="mode is all: remove prefixes, or make mode filtered"
type ReceiveAllowed struct {
	// mode "filtered" accepts the routes that prefixes name, none if there are
	// no prefixes; "all" accepts every route.
	// +optional
	// +kubebuilder:default=filtered
	Mode ReceiveMode `json:"mode,omitempty"`

	// prefixes name the routes that are accepted. Not with mode "all".
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	Prefixes []ReceivePrefix `json:"prefixes,omitempty"`
}

// ReceivePrefix names routes by their prefix. Without ge and le it names the one
// route of exactly that prefix.
//
// +kubebuilder:validation:XValidation:rule="!has(self.ge) || !isCIDR(self.prefix) || (self.ge >= cidr(self.prefix).prefixLength() && self.ge <= (cidr(self.prefix).ip().family() == 4 ? 32 : 128))",message="ge must not be less than the length of prefix, nor more than 32 for IPv4 or 128 for IPv6"
// +kubebuilder:validation:XValidation:rule="!has(self.le) || !isCIDR(self.prefix) || (self.le >= cidr(self.prefix).prefixLength() && self.le <= (cidr(self.prefix).ip().family() == 4 ? 32 : 128))",message="le must not be less than the length of prefix, nor more than 32 for IPv4 or 128 for IPv6"
// +kubebuilder:validation:XValidation:rule="!has(self.ge) || !has(self.le) || self.ge <= self.le",message="ge must not be greater than le"
type ReceivePrefix struct {
	// prefix is the network that the routes lie in, without host bits, for
	// example 10.0.0.0/8 or 2001:db8::/32. 0.0.0.0/0 alone is the default route.
	// +required
	// +kubebuilder:validation:MaxLength=49
	// +kubebuilder:validation:XValidation:rule="isCIDR(self) && cidr(self) == cidr(self).masked()",message="must be a prefix without host bits",messageExpression="self + ' must be a prefix without host bits such as 10.0.0.0/8'"
	Prefix string `json:"prefix"`

	// ge is the shortest prefix length that is accepted, from the length of
	// prefix up. Unset means the length of prefix.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	GE *uint32 `json:"ge,omitempty"`

	// le is the longest prefix length that is accepted, up to 32 for IPv4 and
	// 128 for IPv6. Unset means the greatest where ge is given, and otherwise
	// the length of prefix.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=128
	LE *uint32 `json:"le,omitempty"`
}

// The rule on the password stands at the spec and not at its field, because the
// API server quotes the value of a refused field.

// BGPPeerSpec is one BGP session that the selected nodes keep with a router.
//
// +kubebuilder:validation:XValidation:rule="self.myASN != 0",message="spec.myASN is 0: it must be the AS number of the nodes, 1 to 4294967295"
// +kubebuilder:validation:XValidation:rule="(has(self.peerAddress) && size(self.peerAddress) > 0) || (has(self.interface) && size(self.interface) > 0) || (has(self.listenRange) && size(self.listenRange) > 0)",message="spec.peerAddress and spec.interface are both empty, and so is spec.listenRange: give exactly one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.peerAddress) || size(self.peerAddress) == 0 || !has(self.interface) || size(self.interface) == 0",message="spec.peerAddress and spec.interface are both set: give exactly one of them",messageExpression="'spec.peerAddress is ' + self.peerAddress + ' and spec.interface is ' + self.interface + ': give exactly one of them'"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || ((!has(self.peerAddress) || size(self.peerAddress) == 0) && (!has(self.interface) || size(self.interface) == 0))",message="spec.listenRange must not be given together with spec.peerAddress or spec.interface: give exactly one of them"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || ((!has(self.sourceAddress) || size(self.sourceAddress) == 0) && (!has(self.sourceAddresses) || size(self.sourceAddresses) == 0) && (!has(self.sourceInterface) || size(self.sourceInterface) == 0))",message="spec.listenRange must not be given together with spec.sourceAddress, spec.sourceAddresses or spec.sourceInterface: the router chooses the address of the node that it connects to"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || !has(self.connectTime)",message="spec.listenRange must not be given together with spec.connectTime: the router connects, not the node"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || !has(self.enableGracefulRestart) || !self.enableGracefulRestart",message="spec.listenRange must not be given together with spec.enableGracefulRestart: FRR does not offer it to routers that connect by themselves"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || !has(self.vrf) || size(self.vrf) == 0 || ((!has(self.password) || size(self.password) == 0) && (!has(self.passwordSecret) || !has(self.passwordSecret.name) || size(self.passwordSecret.name) == 0))",message="spec.listenRange and spec.vrf must not be given together with a password: FRR listens in a VRF without it when bgpd starts"
// +kubebuilder:validation:XValidation:rule="(!has(self.listenRange) || size(self.listenRange) == 0) || !has(self.peerPort) || self.peerPort == 179 || self.peerPort == 0",message="spec.listenRange must not be given together with spec.peerPort: the router connects, not the node"
// +kubebuilder:validation:XValidation:rule="!has(self.listenLimit) || has(self.listenRange) && size(self.listenRange) > 0",message="spec.listenLimit is for spec.listenRange: remove it"
// +kubebuilder:validation:XValidation:rule="(has(self.peerASN) && self.peerASN != 0) || has(self.dynamicASN)",message="spec.peerASN and spec.dynamicASN are both empty: give exactly one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.peerASN) || self.peerASN == 0 || !has(self.dynamicASN)",message="spec.peerASN and spec.dynamicASN are both set: give exactly one of them",messageExpression="'spec.peerASN is %d and spec.dynamicASN is %s: give exactly one of them'.format([self.peerASN, self.dynamicASN])"
// +kubebuilder:validation:XValidation:rule="!has(self.password) || size(self.password) == 0 || !has(self.passwordSecret) || !has(self.passwordSecret.name) || size(self.passwordSecret.name) == 0",message="spec.password and spec.passwordSecret are both set: give at most one of them"
// +kubebuilder:validation:XValidation:rule="!has(self.password) || self.password.matches(r'^[^\\p{Cc}]*$')",message="spec.password must not contain a line break or any other control character",fieldPath=".password"
// +kubebuilder:validation:XValidation:rule="!has(self.ebgpMultiHop) || !self.ebgpMultiHop || !has(self.peerASN) || self.peerASN != self.myASN",message="spec.ebgpMultiHop is true but spec.peerASN equals spec.myASN: iBGP sessions have no hop limit; remove it",messageExpression="'spec.ebgpMultiHop is true but spec.peerASN equals spec.myASN %d: iBGP sessions have no hop limit; remove it'.format([self.myASN])"
// +kubebuilder:validation:XValidation:rule="!has(self.ebgpMultiHop) || !self.ebgpMultiHop || !has(self.dynamicASN) || self.dynamicASN != 'internal'",message="spec.ebgpMultiHop is true but spec.dynamicASN is internal: iBGP sessions have no hop limit; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.holdTime) || !has(self.keepaliveTime) || !self.holdTime.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') || !self.keepaliveTime.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') || duration(self.keepaliveTime) <= duration(self.holdTime)",message="spec.keepaliveTime must not be longer than spec.holdTime",messageExpression="'spec.keepaliveTime is ' + self.keepaliveTime + ' but spec.holdTime is ' + self.holdTime + ': the keepalive time must not be longer than the hold time'"
// +kubebuilder:validation:XValidation:rule="!has(self.ebgpMultiHopTTL) || !has(self.peerASN) || self.peerASN != self.myASN",message="spec.ebgpMultiHopTTL is set but spec.peerASN equals spec.myASN: iBGP sessions have no hop limit; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.ebgpMultiHopTTL) || !has(self.dynamicASN) || self.dynamicASN != 'internal'",message="spec.ebgpMultiHopTTL is set but spec.dynamicASN is internal: iBGP sessions have no hop limit; remove it"
// +kubebuilder:validation:XValidation:rule="!has(self.ebgpMultiHopTTL) || !has(self.interface) || size(self.interface) == 0",message="spec.ebgpMultiHopTTL and spec.interface are both set: what is found by its link-local address is one hop away; remove spec.ebgpMultiHopTTL"
// +kubebuilder:validation:XValidation:rule="!has(self.ttlSecurityHops) || ((!has(self.ebgpMultiHop) || !self.ebgpMultiHop) && !has(self.ebgpMultiHopTTL))",message="spec.ttlSecurityHops must not be given together with spec.ebgpMultiHop or spec.ebgpMultiHopTTL: it allows the hops that it names by itself"
// +kubebuilder:validation:XValidation:rule="!has(self.ttlSecurityHops) || self.ttlSecurityHops == 1 || !has(self.interface) || size(self.interface) == 0",message="spec.ttlSecurityHops must be 1 where spec.interface is given: the router is one hop away"
// +kubebuilder:validation:XValidation:rule="!has(self.sourceInterface) || size(self.sourceInterface) == 0 || ((!has(self.sourceAddress) || size(self.sourceAddress) == 0) && (!has(self.sourceAddresses) || size(self.sourceAddresses) == 0))",message="spec.sourceInterface must not be given together with spec.sourceAddress or spec.sourceAddresses: give one kind of source"
// +kubebuilder:validation:XValidation:rule="!has(self.interface) || size(self.interface) == 0 || ((!has(self.sourceInterface) || size(self.sourceInterface) == 0) && (!has(self.sourceAddresses) || size(self.sourceAddresses) == 0))",message="spec.sourceInterface and spec.sourceAddresses are for sessions by spec.peerAddress: one by spec.interface comes from that interface"
type BGPPeerSpec struct {
	// myASN is the AS number of the nodes' end of the session, 1 to
	// 4294967295. Peers that select the same node and VRF must agree on it.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:Format=int64
	MyASN uint32 `json:"myASN"`

	// peerASN is the AS number the router must have. Equal to myASN makes the
	// session iBGP, anything else eBGP. Give either peerASN or dynamicASN.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:Format=int64
	PeerASN uint32 `json:"peerASN,omitempty"`

	// dynamicASN accepts the AS number the router offers instead of fixing it:
	// "internal" wants the same AS as myASN (iBGP), "external" wants any other
	// (eBGP). Give either peerASN or dynamicASN.
	// +optional
	DynamicASN DynamicASNMode `json:"dynamicASN,omitempty"`

	// localASN is an AS number shown to this router in place of myASN, 1 to
	// 4294967295. The router sees localASN in the OPEN message and as the only
	// number of ours in the AS path (FRR: local-as no-prepend replace-as).
	// Use it while moving to another AS number.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=4294967295
	// +kubebuilder:validation:Format=int64
	LocalASN *uint32 `json:"localASN,omitempty"`

	// peerAddress is the IPv4 or IPv6 address of the router, for example
	// 192.0.2.1. Give either peerAddress or interface.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self)",message="spec.peerAddress must be an IPv4 or IPv6 address",messageExpression="'spec.peerAddress is ' + self + ': it must be an IPv4 or IPv6 address such as 192.0.2.1'"
	PeerAddress string `json:"peerAddress,omitempty"`

	// interface is the name of the node's network interface behind which the
	// router is found by its IPv6 link-local address (unnumbered BGP), for
	// example eth1. At most 15 characters, without white space, control
	// characters or "/". Give either peerAddress or interface.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{Z}\\p{C}/]*$')",message="spec.interface must be the name of a network interface: no white space, control characters or /"
	Interface string `json:"interface,omitempty"`

	// listenRange are the addresses of routers that open the session themselves,
	// as a prefix without host bits such as 192.0.2.0/24: the nodes accept a
	// session from every address in it (FRR: bgp listen range). It takes
	// spec.bgpListenPort of the MetalLB object, without which the nodes accept
	// nothing. A router that another BGPPeer names by peerAddress is that one's.
	// Give exactly one of peerAddress, interface and listenRange; with this one
	// none of connectTime, peerPort, sourceAddress, sourceAddresses,
	// sourceInterface and enableGracefulRestart, nor vrf and a password at once.
	// +optional
	// +kubebuilder:validation:MaxLength=49
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || (isCIDR(self) && cidr(self) == cidr(self).masked())",message="spec.listenRange must be a prefix without host bits",messageExpression="'spec.listenRange is ' + self + ': it must be a prefix without host bits such as 192.0.2.0/24'"
	ListenRange string `json:"listenRange,omitempty"`

	// listenLimit is how many routers a node accepts at one time, 1 to 65535, of
	// all BGPPeers with listenRange in the same VRF together: those that give it
	// and select the same node must agree. Unset means 100. A smaller number ends
	// no session that is up.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	ListenLimit *uint32 `json:"listenLimit,omitempty"`

	// sourceAddress is the address of the node from which the session is
	// opened. Unset leaves the choice to the node's routing table.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || isIP(self)",message="spec.sourceAddress must be an IPv4 or IPv6 address",messageExpression="'spec.sourceAddress is ' + self + ': it must be an IPv4 or IPv6 address such as 192.0.2.10'"
	SourceAddress string `json:"sourceAddress,omitempty"`

	// sourceAddresses are the addresses from which single nodes open the
	// session: the first entry that is for a node gives its address, and
	// sourceAddress is that of all other nodes. Every address must be of the
	// family of peerAddress. Not with sourceInterface.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=512
	SourceAddresses []NodeSource `json:"sourceAddresses,omitempty"`

	// sourceInterface is the name of the node's network interface whose
	// address, of the family of peerAddress, the session is opened from, for
	// example lo or eth1 (FRR: update-source IFNAME). Not with sourceAddress
	// or sourceAddresses.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{Z}\\p{C}/]*$')",message="spec.sourceInterface must be the name of a network interface: no white space, control characters or /"
	SourceInterface string `json:"sourceInterface,omitempty"`

	// peerPort is the TCP port the router listens on, 1 to 16384.
	// +optional
	// +kubebuilder:default=179
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16384
	PeerPort uint16 `json:"peerPort,omitempty"`

	// holdTime is how long the session survives without a message from the
	// router, as a duration such as 90s: 0 turns the check off, otherwise 3s
	// to 65535s. The smaller of both ends' values is used (RFC 4271). Unset
	// is not the same as 0: it means three times keepaliveTime if that is
	// given, else 180s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && (duration(self) == duration('0s') || duration(self) >= duration('3s')) && duration(self) <= duration('65535s')",message="spec.holdTime must be a duration of 0s or from 3s to 65535s",messageExpression="'spec.holdTime is ' + self + ': it must be a duration of 0s or from 3s to 65535s, for example 90s'"
	HoldTime *metav1.Duration `json:"holdTime,omitempty"`

	// keepaliveTime is the interval between keepalive messages, as a duration
	// such as 30s. It must not be longer than holdTime. Unset means a third of
	// holdTime if that is given, else 60s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) <= duration('65535s')",message="spec.keepaliveTime must be a duration from 0s to 65535s",messageExpression="'spec.keepaliveTime is ' + self + ': it must be a duration from 0s to 65535s, for example 30s'"
	KeepaliveTime *metav1.Duration `json:"keepaliveTime,omitempty"`

	// connectTime is how long to wait between attempts to connect to the
	// router, in whole seconds from 1s to 65535s, for example 10s. Unset
	// means 10s: only the node connects, so it must not wait long.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) >= duration('1s') && duration(self) <= duration('65535s') && duration(self).getMilliseconds() % 1000 == 0",message="spec.connectTime must be a whole number of seconds from 1s to 65535s",messageExpression="'spec.connectTime is ' + self + ': it must be a whole number of seconds from 1s to 65535s, for example 10s'"
	ConnectTime *metav1.Duration `json:"connectTime,omitempty"`

	// routerID is the BGP identifier of the nodes, written as an IPv4 address.
	// All peers that select the same node must agree on it. Unset lets FRR
	// choose one from the node's addresses.
	// +optional
	// +kubebuilder:validation:MaxLength=45
	// +kubebuilder:validation:XValidation:rule="size(self) == 0 || (isIP(self) && ip(self).family() == 4)",message="spec.routerID must be written as an IPv4 address",messageExpression="'spec.routerID is ' + self + ': it must be written as an IPv4 address such as 10.0.0.1'"
	RouterID string `json:"routerID,omitempty"`

	// nodeSelectors choose the nodes that open this session; a node is chosen
	// when any of the selectors matches its labels. Empty means every node.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// password authenticates the session by TCP MD5 (RFC 2385); the router
	// must have the same. At most 80 characters, no control characters.
	// Whoever may read this object reads the password: prefer passwordSecret.
	// +optional
	// +kubebuilder:validation:MaxLength=80
	Password string `json:"password,omitempty"`

	// passwordSecret names a Secret of type kubernetes.io/basic-auth, in the
	// namespace of this object, whose key "password" holds the TCP MD5
	// password. Give at most one of password and passwordSecret.
	// +optional
	PasswordSecret corev1.SecretReference `json:"passwordSecret,omitzero"`

	// bfdProfile is the name of a BFDProfile in the same namespace. When set,
	// a BFD session watches the path and takes the BGP session down with it.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	BFDProfile string `json:"bfdProfile,omitempty"`

	// enableGracefulRestart lets the router keep forwarding over our routes
	// while the node's BGP daemon restarts (RFC 4724). Negotiated when the
	// session opens, so it cannot be changed once set: delete and create the
	// peer again instead.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.enableGracefulRestart cannot be changed: it is negotiated when the session opens; delete the BGPPeer and create it again",reason=FieldValueForbidden
	EnableGracefulRestart bool `json:"enableGracefulRestart,omitempty"`

	// ebgpMultiHop allows an eBGP router that is not on a directly connected
	// network, with a TTL of 255 unless ebgpMultiHopTTL says otherwise. Not for
	// iBGP, which has no such limit.
	// +optional
	EBGPMultiHop bool `json:"ebgpMultiHop,omitempty"`

	// ebgpMultiHopTTL is the TTL of what is sent to an eBGP router that is not
	// on a directly connected network, 1 to 255: 2 lets one router be in
	// between. It implies ebgpMultiHop, which alone means 255; 1 means a router
	// on a connected network. A change opens the session anew.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=255
	EBGPMultiHopTTL *uint32 `json:"ebgpMultiHopTTL,omitempty"`

	// ttlSecurityHops is how many hops away the router may be at most, 1 to
	// 254: what arrives with a TTL below 256 less this number is dropped, and
	// what is sent has TTL 255 (GTSM, RFC 5082; FRR: ttl-security hops). The
	// router must do the same. Not with ebgpMultiHop or ebgpMultiHopTTL. A
	// change opens an eBGP session anew; an iBGP session takes it up the next
	// time that it opens.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=254
	TTLSecurityHops *uint32 `json:"ttlSecurityHops,omitempty"`

	// vrf is the name of the Linux VRF device of the node in which the session
	// runs. Unset means the default routing table.
	// +optional
	// +kubebuilder:validation:MaxLength=15
	// +kubebuilder:validation:XValidation:rule="self.matches(r'^[^\\p{Z}\\p{C}/]*$')",message="spec.vrf must be the name of a VRF device: no white space, control characters or /"
	VRF string `json:"vrf,omitempty"`

	// disableMP has no effect and is kept so that existing objects stay valid.
	// Which address families a session carries follows from peerAddress and
	// dualStackAddressFamily.
	//
	// Deprecated: remove it.
	// +optional
	// +kubebuilder:default=false
	DisableMP bool `json:"disableMP,omitempty"`

	// dualStackAddressFamily carries both IPv4 and IPv6 routes over the one
	// session. Unset carries only the family of peerAddress. Sessions by
	// interface always carry both.
	// +optional
	// +kubebuilder:default=false
	DualStackAddressFamily bool `json:"dualStackAddressFamily,omitempty"`

	// toReceive says which routes are accepted of what the router sends; the
	// node's kernel then uses them. Unset accepts none. Nothing that is
	// accepted is passed on to other routers. A change opens no session anew.
	// +optional
	ToReceive *Receive `json:"toReceive,omitempty"`
}

// BGPPeerStatus is what became of a BGPPeer.
type BGPPeerStatus struct {
	// conditions say whether the peer is understood (Accepted), whether what
	// it names exists (ResolvedRefs) and whether the selected nodes have
	// configured it (Programmed).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BGPPeer is a router with which the nodes keep a BGP session, over which they
// announce the addresses of Services.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Address",type=string,JSONPath=`.spec.peerAddress`
// +kubebuilder:printcolumn:name="ASN",type=string,JSONPath=`.spec.peerASN`
// +kubebuilder:printcolumn:name="BFD Profile",type=string,JSONPath=`.spec.bfdProfile`
// +kubebuilder:printcolumn:name="Multi Hops",type=string,JSONPath=`.spec.ebgpMultiHop`
type BGPPeer struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the session that is wanted.
	// +required
	Spec BGPPeerSpec `json:"spec"`
	// status is written by the project's programs only.
	// +optional
	Status BGPPeerStatus `json:"status,omitzero"`
}

// BGPPeerList is a list of BGPPeer.
//
// +kubebuilder:object:root=true
type BGPPeerList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the peers.
	Items []BGPPeer `json:"items"`
}
