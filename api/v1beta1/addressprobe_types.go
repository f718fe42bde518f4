package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// AddressProbeSpec is a question of the controller to the speaker of one node.
type AddressProbeSpec struct {
	// node is the name of the node whose speaker is to look.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.node cannot be changed"
	Node string `json:"node"`

	// addresses are those to look for, such as 192.0.2.7 or 2001:db8::7.
	// +required
	// +listType=atomic
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=45
	// +kubebuilder:validation:items:XValidation:rule="isIP(self)",message="must be an IP address",messageExpression="'found ' + self + ': it must be an IP address such as 192.0.2.7 or 2001:db8::7'"
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="spec.addresses cannot be changed"
	Addresses []string `json:"addresses"`
}

// AddressProbeState says what a speaker found out about an address.
//
// +kubebuilder:validation:Enum=Free;InUse;NotOnLink;Failed
type AddressProbeState string

// The outcomes of a probe.
const (
	// AddressProbeFree: the node is on the address's network, and nobody
	// answered.
	AddressProbeFree AddressProbeState = "Free"
	// AddressProbeInUse: somebody answered, or the address is the node's own or
	// that of a gateway of the node.
	AddressProbeInUse AddressProbeState = "InUse"
	// AddressProbeNotOnLink: no network of the node has the address, so that the
	// node can't ask.
	AddressProbeNotOnLink AddressProbeState = "NotOnLink"
	// AddressProbeFailed: the node could not ask; the message says why.
	AddressProbeFailed AddressProbeState = "Failed"
)

// AddressProbeResult is what a speaker found out about one address.
type AddressProbeResult struct {
	// address is the one that was looked for.
	// +required
	// +kubebuilder:validation:MaxLength=45
	Address string `json:"address"`
	// state is the outcome: Free, InUse, NotOnLink or Failed.
	// +required
	State AddressProbeState `json:"state"`
	// interface is the link the node asked on, or was answered on.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Interface string `json:"interface,omitempty"`
	// hardwareAddress is the link-layer address of whoever has the address,
	// where known.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	HardwareAddress string `json:"hardwareAddress,omitempty"`
	// message explains the state in words.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// AddressProbeStatus is the speaker's answer.
type AddressProbeStatus struct {
	// completedAt is when the speaker had all results; unset until then.
	// +optional
	CompletedAt *metav1.Time `json:"completedAt,omitempty"`

	// results has one entry for each of spec.addresses.
	// +optional
	// +listType=map
	// +listMapKey=address
	// +kubebuilder:validation:MaxItems=64
	Results []AddressProbeResult `json:"results,omitempty"`
}

// AddressProbe asks the speaker of a node whether anybody on the node's networks
// has certain addresses, by ARP probes (RFC 5227) and, for IPv6, neighbor
// solicitations as in duplicate address detection (RFC 4862). The controller
// makes one before it gives away an address of a pool with conflictCheck Probe,
// and deletes it when it is answered. It is not for users to write.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:selectablefield:JSONPath=`.spec.node`
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.spec.node`
// +kubebuilder:printcolumn:name="Addresses",type=string,JSONPath=`.spec.addresses`
// +kubebuilder:printcolumn:name="Completed",type=date,JSONPath=`.status.completedAt`
// +kubebuilder:printcolumn:name="Results",type=string,JSONPath=`.status.results`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type AddressProbe struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the question.
	// +required
	Spec AddressProbeSpec `json:"spec"`
	// status is the answer.
	// +optional
	Status AddressProbeStatus `json:"status,omitzero"`
}

// AddressProbeList is a list of AddressProbe.
//
// +kubebuilder:object:root=true
type AddressProbeList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []AddressProbe `json:"items"`
}
