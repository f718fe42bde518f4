package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// LinkBandwidth has routes carry the link-bandwidth extended community
// (draft-ietf-idr-link-bandwidth), by which routers weigh equal-cost paths.
type LinkBandwidth struct {
	// perEndpoint is how much each endpoint of the Service on the announcing
	// node counts, 1 to 25600 Mbit/s; only the ratio between nodes matters to
	// routers. The sum is capped at 25600 Mbit/s.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=25600
	PerEndpoint int32 `json:"perEndpoint"`
}

// AttributeRange is a range of numbers, both ends included.
//
// +kubebuilder:validation:XValidation:rule="self.min <= self.max && self.max - self.min <= 255",message="min must not be above max, and max at most 255 above min: every value in use is an entry of each router's policy"
type AttributeRange struct {
	// min is the lowest number.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	Min int64 `json:"min"`
	// max is the highest number, at most 255 above min.
	// +required
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	Max int64 `json:"max"`
}

// ServiceOverrides are the attributes that Services may choose by annotations.
// What is not here they may not; a Service that asks for it is announced
// without it, and gets an event that says so.
//
// +kubebuilder:validation:XValidation:rule="!has(self.localPref) || self.localPref.min >= 1",message="localPref.min must be at least 1: 0 stands for unset"
type ServiceOverrides struct {
	// communities are those that a Service may add with the annotation
	// metallb.io/bgp-communities, a list separated by commas: in the form of
	// spec.communities, where a Service may write the same text or the value.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=253
	Communities []string `json:"communities,omitempty"`
	// maxASPathPrepend is the largest number that a Service may choose in place
	// of spec.asPathPrepend with metallb.io/bgp-as-path-prepend, 1 to 10.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	MaxASPathPrepend int32 `json:"maxASPathPrepend,omitempty"`
	// med is the range from which a Service may choose in place of spec.med
	// with metallb.io/bgp-med.
	// +optional
	MED *AttributeRange `json:"med,omitempty"`
	// localPref is the range from which a Service may choose in place of
	// spec.localPref with metallb.io/bgp-local-pref.
	// +optional
	LocalPref *AttributeRange `json:"localPref,omitempty"`
}

// BGPAdvertisementSpec says which addresses are announced as routes, to which
// routers, by which nodes and with which attributes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.serviceSelectors) || self.serviceSelectors.size() == 0 || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",message="spec.serviceSelectors cannot be combined with spec.aggregationLength other than 32 or spec.aggregationLengthV6 other than 128: an aggregate covers addresses of Services that are not selected"
// +kubebuilder:validation:XValidation:rule="!(has(self.linkBandwidth) || has(self.serviceOverrides)) || ((!has(self.aggregationLength) || self.aggregationLength == 32) && (!has(self.aggregationLengthV6) || self.aggregationLengthV6 == 128))",message="spec.linkBandwidth and spec.serviceOverrides cannot be combined with spec.aggregationLength other than 32 or spec.aggregationLengthV6 other than 128: an aggregate is the route of many Services"
type BGPAdvertisementSpec struct {
	// aggregationLength is the prefix length of the IPv4 routes, 1 to 32. 32
	// announces each address by itself; less announces the network of that
	// length around it, which must not be larger than the pool's block.
	// +optional
	// +kubebuilder:default=32
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=32
	AggregationLength *int32 `json:"aggregationLength,omitempty"`

	// aggregationLengthV6 is the prefix length of the IPv6 routes, 1 to 128,
	// like aggregationLength.
	// +optional
	// +kubebuilder:default=128
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=128
	AggregationLengthV6 *int32 `json:"aggregationLengthV6,omitempty"`

	// localPref is the LOCAL_PREF attribute of the routes, up to 2147483647;
	// the highest wins among the routes of one AS. Sent to iBGP routers only. 0
	// or unset leaves FRR's default (100).
	// +optional
	// +kubebuilder:validation:Minimum=0
	LocalPref uint32 `json:"localPref,omitempty"`

	// asPathPrepend is how often the AS number that the router knows us by is
	// put in front of the AS path once more, 1 to 10: routers take the shorter
	// path. Done towards eBGP routers only; within one AS a path with its own
	// number would be a loop. 0 or unset adds nothing.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	ASPathPrepend int32 `json:"asPathPrepend,omitempty"`

	// med is the MULTI_EXIT_DISC attribute of the routes (RFC 4271 section
	// 5.1.4), 0 to 4294967295; the lowest wins among the routes from one AS.
	// Unset is not the same as 0: 0 contradicts another advertisement's 5,
	// unset contradicts nothing. FRR sends 0 for a route nobody gave a value.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=4294967295
	MED *int64 `json:"med,omitempty"`

	// communities are attached to the routes. Each is a standard community
	// such as 65535:65281, a large one such as large:64512:1:2, an alias that
	// a Community object defines, or one of the well-known names no-export,
	// no-advertise, local-AS, no-peer, graceful-shutdown, blackhole,
	// accept-own, llgr-stale and no-llgr. An alias of such a name goes before
	// it.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=255
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:items:XValidation:rule="!self.matches('^[0-9]+:[0-9]+$') || self.split(':').all(n, n.size() <= 10 && int(n) <= 65535)",message="both parts of a community must be 0 to 65535",messageExpression="'found ' + self + ': both parts of a community must be 0 to 65535'"
	// +kubebuilder:validation:items:XValidation:rule="!self.startsWith('large:') || (self.matches('^large:[0-9]+:[0-9]+:[0-9]+$') && self.substring(6).split(':').all(n, n.size() <= 10 && int(n) <= 4294967295))",message="a large community is written large:a:b:c with numbers of 0 to 4294967295",messageExpression="'found ' + self + ': a large community is written large:a:b:c with numbers of 0 to 4294967295'"
	Communities []string `json:"communities,omitempty"`

	// extCommunities are extended communities (RFC 4360) to attach to the
	// routes: route targets such as rt:64512:100 and sites of origin such as
	// soo:64512:1. The first number is an AS number, or an IPv4 address as in
	// rt:192.0.2.1:100; one of the two numbers may exceed 65535, and with an
	// address the second may not.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=40
	// +kubebuilder:validation:items:XValidation:rule="self.matches('^(rt|soo):[0-9]{1,10}:[0-9]{1,10}$') ? (int(self.split(':')[1]) <= 65535 ? int(self.split(':')[2]) <= 4294967295 : int(self.split(':')[1]) <= 4294967295 && int(self.split(':')[2]) <= 65535) : self.matches('^(rt|soo):[0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}[.][0-9]{1,3}:[0-9]{1,5}$')",message="an extended community is written rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535",messageExpression="'found ' + self + ': an extended community is written rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535'"
	ExtCommunities []string `json:"extCommunities,omitempty"`

	// linkBandwidth has the routes of Services with externalTrafficPolicy Local
	// carry the link-bandwidth extended community in proportion to the
	// endpoints that they have on the announcing node, so that routers send a
	// node with nine of ten endpoints nine times as much as the other. Other
	// Services' routes carry none: every node serves them alike.
	// +optional
	LinkBandwidth *LinkBandwidth `json:"linkBandwidth,omitempty"`

	// serviceOverrides are attributes that a Service may choose for its own
	// routes. Unset allows nothing.
	// +optional
	ServiceOverrides *ServiceOverrides `json:"serviceOverrides,omitempty"`

	// ipAddressPools are the names of the IPAddressPools whose addresses are
	// announced. With ipAddressPoolSelectors also empty, all pools are.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	IPAddressPools []string `json:"ipAddressPools,omitempty"`

	// ipAddressPoolSelectors select, by label, IPAddressPools in addition to
	// those in ipAddressPools.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	IPAddressPoolSelectors []metav1.LabelSelector `json:"ipAddressPoolSelectors,omitempty"`

	// nodeSelectors select, by label, the nodes that announce; any one of them
	// is enough. Empty means every node.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// peers are the names of the BGPPeers to which the routes are sent. Empty
	// means all.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() > 128 || self.all(x, self.exists_one(y, y == x))",message="spec.peers names a BGPPeer more than once"
	Peers []string `json:"peers,omitempty"`

	// serviceSelectors select, by label, the Services that are announced; any
	// one of them is enough. Empty means all. Not together with aggregation.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`
}

// BGPAdvertisementStatus is what became of a BGPAdvertisement.
type BGPAdvertisementStatus struct {
	// conditions say whether the advertisement is understood (Accepted),
	// whether the pools, peers and communities it names exist (ResolvedRefs)
	// and whether the selected nodes have configured it (Programmed).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BGPAdvertisement has the addresses of pools announced as routes to the routers
// that BGPPeer objects describe.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Peers",type=string,JSONPath=`.spec.peers`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`
type BGPAdvertisement struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is announced, to whom and how. An empty one announces every
	// pool from every node to every peer.
	// +optional
	Spec BGPAdvertisementSpec `json:"spec,omitzero"`
	// status is written by the project's programs only.
	// +optional
	Status BGPAdvertisementStatus `json:"status,omitzero"`
}

// BGPAdvertisementList is a list of BGPAdvertisement.
//
// +kubebuilder:object:root=true
type BGPAdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []BGPAdvertisement `json:"items"`
}
