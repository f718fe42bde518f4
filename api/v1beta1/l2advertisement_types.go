package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// PreferredNode adds to a node's rank when the node is selected.
type PreferredNode struct {
	// weight is what a matching node gains, 1 to 100. The gains of all
	// matching entries are added up; the node with the highest sum announces.
	// +required
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	Weight int32 `json:"weight"`

	// preference selects, by label, the nodes that gain.
	// +required
	Preference metav1.LabelSelector `json:"preference"`
}

// Placement says how addresses are shared out among the nodes that may
// announce them.
//
// +kubebuilder:validation:Enum=Hash;Balanced
type Placement string

// The placements.
const (
	// PlacementHash takes, for each address by itself, the node that a hash of
	// node name and address puts first, as MetalLB does.
	PlacementHash Placement = "Hash"
	// PlacementBalanced gives all nodes equally many addresses.
	PlacementBalanced Placement = "Balanced"
)

// L2AdvertisementSpec says which addresses are announced on the local network,
// by which nodes and through which interfaces.
type L2AdvertisementSpec struct {
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

	// interfaces are the exact names of the network interfaces through which
	// the nodes announce, for example eth0. Empty means every interface.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.size() > 128 || self.all(x, self.exists_one(y, y == x))",message="spec.interfaces names an interface more than once"
	Interfaces []string `json:"interfaces,omitempty"`

	// serviceSelectors select, by label, the Services that are announced; any
	// one of them is enough. Empty means all. Services that share an address
	// (annotation metallb.io/allow-shared-ip) are not announced by an
	// advertisement that has serviceSelectors.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	ServiceSelectors []metav1.LabelSelector `json:"serviceSelectors,omitempty"`

	// preferredNodeSelectors rank the nodes that may announce. Nodes of equal
	// rank are chosen by a hash of node name and address.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	PreferredNodeSelectors []PreferredNode `json:"preferredNodeSelectors,omitempty"`

	// placement is how addresses are shared out among the nodes of equal rank.
	// Hash: each by itself, as MetalLB does; which node it is depends on nothing
	// but the nodes. Balanced: all nodes get equally many; a new or deleted
	// Service may then move a few other addresses. Choose Balanced only once no
	// speaker of MetalLB runs any more: it would elect by hash. An address is
	// placed so if any of the advertisements for it says Balanced.
	// +optional
	// +kubebuilder:default=Hash
	Placement Placement `json:"placement,omitempty"`
}

// L2AdvertisementStatus is what became of an L2Advertisement.
type L2AdvertisementStatus struct {
	// conditions say whether the advertisement is understood (Accepted),
	// whether the pools it names exist (ResolvedRefs) and whether the selected
	// nodes act on it (Programmed).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// L2Advertisement has the addresses of pools announced on the local network by
// ARP (IPv4) and NDP (IPv6): one node at a time answers for each address.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="IPAddressPools",type=string,JSONPath=`.spec.ipAddressPools`
// +kubebuilder:printcolumn:name="IPAddressPool Selectors",type=string,JSONPath=`.spec.ipAddressPoolSelectors`
// +kubebuilder:printcolumn:name="Interfaces",type=string,JSONPath=`.spec.interfaces`
// +kubebuilder:printcolumn:name="Node Selectors",type=string,JSONPath=`.spec.nodeSelectors`
type L2Advertisement struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is announced and where. An empty one announces every pool
	// from every node.
	// +optional
	Spec L2AdvertisementSpec `json:"spec,omitzero"`
	// status is written by the project's programs only.
	// +optional
	Status L2AdvertisementStatus `json:"status,omitzero"`
}

// L2AdvertisementList is a list of L2Advertisement.
//
// +kubebuilder:object:root=true
type L2AdvertisementList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []L2Advertisement `json:"items"`
}
