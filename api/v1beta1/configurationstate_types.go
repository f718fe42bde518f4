package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ConfigurationStateSpec is empty: the object only reports.
type ConfigurationStateSpec struct{}

// ConfigurationResult is a verdict on the configuration.
//
// +kubebuilder:validation:Enum=Valid;Invalid;Unknown
type ConfigurationResult string

const (
	// ConfigurationValid means that everything is valid and in force.
	ConfigurationValid ConfigurationResult = "Valid"
	// ConfigurationInvalid means that at least one object is not in force.
	ConfigurationInvalid ConfigurationResult = "Invalid"
	// ConfigurationUnknown means that there is no verdict yet.
	ConfigurationUnknown ConfigurationResult = "Unknown"
)

// AppliedObject is an object that a program has in force.
type AppliedObject struct {
	// kind is the object's kind, such as BGPPeer.
	// +required
	// +kubebuilder:validation:MaxLength=63
	Kind string `json:"kind"`
	// name is the object's name.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Name string `json:"name"`
	// generation is the metadata.generation of the object that is in force. It
	// is not the latest one where that is not valid, or not applied yet.
	// +required
	Generation int64 `json:"generation"`
	// failure says why FRR does not run what the object asks for although it runs
	// all else: FRR's own words on an FRRSnippet that it refuses.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Failure string `json:"failure,omitempty"`
}

// ConfigurationStateStatus is the verdict of one program on the whole
// configuration.
type ConfigurationStateStatus struct {
	// result is Valid when every object is in force, Invalid when some are
	// not, Unknown before the first verdict.
	// +optional
	Result ConfigurationResult `json:"result,omitempty"`

	// errorSummary says what is wrong, object by object. Empty when result is
	// Valid.
	// +optional
	ErrorSummary string `json:"errorSummary,omitempty"`

	// objects are those of BGP that the speaker has in force: what FRR runs on
	// its node was made of them. The controller makes the condition Programmed
	// of the objects of what all speakers say here. Empty on the controller.
	// +optional
	// +listType=map
	// +listMapKey=kind
	// +listMapKey=name
	Objects []AppliedObject `json:"objects,omitempty"`

	// links are the node's links on which its speaker can answer by ARP and
	// neighbor discovery, by name. Empty when speakers do not gossip, and on the
	// controller, which tells by them why no node answers for an address.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=63
	Links []string `json:"links,omitempty"`

	// conditions are the verdicts that make up the result: on a speaker
	// configReconcilerValid, and Programmed, which says whether FRR runs what
	// the valid objects ask for; on the controller poolReconcilerValid. Their
	// lastTransitionTime is when the verdict last changed.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// ConfigurationState reports whether one program understood all objects that users
// wrote. It is named "controller" or "speaker-" and the node, and is written by
// that program in its own namespace.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Result",type=string,JSONPath=`.status.result`
// +kubebuilder:printcolumn:name="ErrorSummary",type=string,JSONPath=`.status.errorSummary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type ConfigurationState struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is empty: the object only reports.
	// +optional
	Spec ConfigurationStateSpec `json:"spec,omitzero"`
	// status is the verdict.
	// +optional
	Status ConfigurationStateStatus `json:"status,omitzero"`
}

// ConfigurationStateList is a list of ConfigurationState.
//
// +kubebuilder:object:root=true
type ConfigurationStateList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []ConfigurationState `json:"items"`
}
