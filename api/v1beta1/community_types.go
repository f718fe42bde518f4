package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// CommunityAlias is a name for a BGP community.
type CommunityAlias struct {
	// name is what BGPAdvertisements write in place of the value, for example
	// no-advertise. It must be unique among all Community objects.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name,omitempty"`

	// value is the community: two numbers of 0 to 65535 such as 65535:65282,
	// a large community (RFC 8092) such as large:64512:1:2, or a well-known
	// name as in spec.communities of a BGPAdvertisement.
	// +required
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="(self.matches('^[0-9]+:[0-9]+$') && self.split(':').all(n, n.size() <= 10 && int(n) <= 65535)) || (self.matches('^large:[0-9]+:[0-9]+:[0-9]+$') && self.substring(6).split(':').all(n, n.size() <= 10 && int(n) <= 4294967295)) || self in ['no-export','no-advertise','local-AS','no-peer','graceful-shutdown','blackhole','accept-own','llgr-stale','no-llgr']",message="must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295 or a well-known name such as no-export",messageExpression="'found ' + self + ': it must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295 or a well-known name such as no-export'"
	Value string `json:"value"`
}

// CommunitySpec is a list of aliases.
type CommunitySpec struct {
	// communities are the aliases.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:XValidation:rule="self.size() > 128 || self.all(x, !has(x.name) || self.exists_one(y, has(y.name) && y.name == x.name))",message="spec.communities defines an alias more than once"
	Communities []CommunityAlias `json:"communities,omitempty"`
}

// CommunityStatus is what became of a Community.
type CommunityStatus struct {
	// conditions say whether the aliases are understood and unique
	// (Accepted).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// Community defines aliases for BGP communities, which BGPAdvertisements may use
// in place of the numbers.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
type Community struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the aliases.
	// +optional
	Spec CommunitySpec `json:"spec,omitzero"`
	// status is written by the project's programs only.
	// +optional
	Status CommunityStatus `json:"status,omitzero"`
}

// CommunityList is a list of Community.
//
// +kubebuilder:object:root=true
type CommunityList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []Community `json:"items"`
}
