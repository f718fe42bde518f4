package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AddressQuotaSpec is a limit, and the namespaces and pools it is for.
//
// +kubebuilder:validation:XValidation:rule="has(self.ipv4) || has(self.ipv6)",message="at least one of spec.ipv4 and spec.ipv6 must be given"
type AddressQuotaSpec struct {
	// namespaces are the names of namespaces that the limit is for, each by
	// itself. Without namespaces and namespaceSelectors it is for every
	// namespace.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespaces []string `json:"namespaces,omitempty"`

	// namespaceSelectors select, by label, more namespaces that the limit is
	// for; any one of them is enough.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	NamespaceSelectors []metav1.LabelSelector `json:"namespaceSelectors,omitempty"`

	// pools are the names of the IPAddressPools whose addresses count, all of
	// them together; unset means every pool.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=512
	// +kubebuilder:validation:items:MaxLength=253
	Pools []string `json:"pools,omitempty"`

	// ipv4 is how many IPv4 addresses the Services of one namespace may have
	// together. An address that several of them share counts once; one that is
	// shared across namespaces counts in each. 0 means none, unset any number.
	// +optional
	// +kubebuilder:validation:Minimum=0
	IPv4 *int32 `json:"ipv4,omitempty"`

	// ipv6 is the same for IPv6 addresses.
	// +optional
	// +kubebuilder:validation:Minimum=0
	IPv6 *int32 `json:"ipv6,omitempty"`
}

// AddressQuotaStatus tells where the limit is reached.
type AddressQuotaStatus struct {
	// atLimit are the namespaces that have as many addresses as they may have,
	// or more, sorted: what a namespace had before the limit was set it keeps.
	// +optional
	// +listType=atomic
	AtLimit []string `json:"atLimit,omitempty"`

	// conditions say whether the object is valid and in force (Accepted) and
	// whether the pools that it names are (ResolvedRefs).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// AddressQuota limits how many addresses the Services of one namespace may
// have. Where several are for a namespace each of them is kept to. No Service
// loses an address to a limit: it decides only on what is given away anew.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Namespaces",type=string,JSONPath=`.spec.namespaces`
// +kubebuilder:printcolumn:name="IPv4",type=integer,JSONPath=`.spec.ipv4`
// +kubebuilder:printcolumn:name="IPv6",type=integer,JSONPath=`.spec.ipv6`
// +kubebuilder:printcolumn:name="Pools",type=string,JSONPath=`.spec.pools`
// +kubebuilder:printcolumn:name="At Limit",type=string,JSONPath=`.status.atLimit`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AddressQuota struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the limit.
	// +required
	Spec AddressQuotaSpec `json:"spec"`
	// status is written by the project's programs only.
	// +optional
	Status AddressQuotaStatus `json:"status,omitzero"`
}

// AddressQuotaList is a list of AddressQuota.
//
// +kubebuilder:object:root=true
type AddressQuotaList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []AddressQuota `json:"items"`
}
