package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// IPReservationSpec says which addresses are kept, and for which Services.
//
// +kubebuilder:validation:XValidation:rule="(has(self.addresses) && self.addresses.size() > 0) != has(self.pool)",message="exactly one of spec.addresses and spec.pool must be given"
// +kubebuilder:validation:XValidation:rule="!has(self.serviceName) || !has(self.serviceSelector)",message="at most one of spec.serviceName and spec.serviceSelector may be given"
// +kubebuilder:validation:XValidation:rule="!has(self.ipFamilies) || self.ipFamilies.size() == 0 || has(self.pool)",message="spec.ipFamilies goes with spec.pool only: addresses that are named have their own families"
type IPReservationSpec struct {
	// namespace is that of the Services that the addresses are kept for; the
	// IPReservation itself lies in the namespace of the installation. The
	// namespace need not exist yet.
	// +required
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Namespace string `json:"namespace"`

	// serviceName is the only Service that may have the addresses. It need not
	// exist yet, and it has the addresses again when it is deleted and created
	// anew. Without serviceName and serviceSelector every Service of the
	// namespace may have them.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	ServiceName string `json:"serviceName,omitempty"`

	// serviceSelector selects, by label, the Services of the namespace that may
	// have the addresses. At most one of serviceName and serviceSelector may be
	// given.
	// +optional
	ServiceSelector *metav1.LabelSelector `json:"serviceSelector,omitempty"`

	// addresses are kept for the Services, each an address of some
	// IPAddressPool, such as 192.0.2.7 or 2001:db8::7. A Service that has one
	// already and that they are not for keeps it: it is kept for the others as
	// soon as it is free. Of two IPReservations with one address the older one
	// has it. Exactly one of addresses and pool must be given.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="must be an IP address",messageExpression="'found ' + self + ': it must be an IP address such as 192.0.2.7 or 2001:db8::7'"
	Addresses []string `json:"addresses,omitempty"`

	// pool is the IPAddressPool of which a free address is chosen and kept, one
	// of each of ipFamilies. status.addresses tells which; they stay the same.
	// +optional
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Pool string `json:"pool,omitempty"`

	// ipFamilies are the families, IPv4 and IPv6, of which the pool is to give
	// one address each. Unset means each that the pool has. It goes with pool
	// only.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=2
	// +kubebuilder:validation:items:Enum=IPv4;IPv6
	IPFamilies []IPFamily `json:"ipFamilies,omitempty"`

	// retainAfterDelete is how long the addresses are kept once no Service has
	// any of them, after one had: Forever, or a duration of at least 1s such as
	// 24h or 1h30m. Then they are for everybody again, until the spec is
	// changed. Until a Service first has one they are kept in any case.
	// +optional
	// +kubebuilder:default=Forever
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="self == 'Forever' || self.matches('^([0-9]+([.][0-9]+)?(h|m|s))+$') && duration(self) >= duration('1s')",message="must be Forever or a duration of at least 1s such as 24h or 1h30m",messageExpression="'found ' + self + ': it must be Forever or a duration of at least 1s such as 24h or 1h30m'"
	RetainAfterDelete string `json:"retainAfterDelete,omitempty"`
}

// RetainForever is the value of retainAfterDelete that keeps addresses until
// the IPReservation is deleted.
const RetainForever = "Forever"

// IPFamily is a family of addresses: IPv4 or IPv6.
type IPFamily string

// The families of addresses.
const (
	IPFamilyIPv4 IPFamily = "IPv4"
	IPFamilyIPv6 IPFamily = "IPv6"
)

// IPReservationStatus tells what is kept, and who has it.
type IPReservationStatus struct {
	// addresses are kept at present: those of spec.addresses that are kept, or
	// those that were chosen of spec.pool. Empty once retainAfterDelete has
	// passed.
	// +optional
	// +listType=atomic
	Addresses []string `json:"addresses,omitempty"`

	// services are the names of the Services of spec.namespace that have one of
	// the addresses, sorted.
	// +optional
	// +listType=atomic
	Services []string `json:"services,omitempty"`

	// unusedSince is when the last Service that had one of the addresses lost
	// it; retainAfterDelete counts from then. Unset while a Service has one,
	// and as long as none ever had.
	// +optional
	UnusedSince *metav1.Time `json:"unusedSince,omitempty"`

	// conditions say whether the object is valid and in force (Accepted),
	// whether there are pools that have its addresses (ResolvedRefs) and whether
	// all of the addresses are kept at present (Reserved).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// IPReservation keeps addresses for the Services of one namespace, for those
// that a selector selects, or for a single one: nobody else gets them, neither
// by chance nor by asking, and those Services get them before any other
// address. They are kept before such a Service exists, and after it has been
// deleted for as long as retainAfterDelete says.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced,shortName=ipres
// +kubebuilder:printcolumn:name="For Namespace",type=string,JSONPath=`.spec.namespace`
// +kubebuilder:printcolumn:name="For Service",type=string,JSONPath=`.spec.serviceName`
// +kubebuilder:printcolumn:name="Reserved",type=string,JSONPath=`.status.conditions[?(@.type=="Reserved")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Reserved")].reason`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.status.addresses`
// +kubebuilder:printcolumn:name="In Use By",type=string,JSONPath=`.status.services`
// +kubebuilder:printcolumn:name="Pool",type=string,JSONPath=`.spec.pool`,priority=1
// +kubebuilder:printcolumn:name="Retain",type=string,JSONPath=`.spec.retainAfterDelete`,priority=1
// +kubebuilder:printcolumn:name="Unused Since",type=date,JSONPath=`.status.unusedSince`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type IPReservation struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is what is kept, and for whom.
	// +required
	Spec IPReservationSpec `json:"spec"`
	// status is written by the project's programs only.
	// +optional
	Status IPReservationStatus `json:"status,omitzero"`
}

// IPReservationList is a list of IPReservation.
//
// +kubebuilder:object:root=true
type IPReservationList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []IPReservation `json:"items"`
}
