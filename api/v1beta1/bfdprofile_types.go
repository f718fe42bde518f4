package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BFDProfileSpec is the timing and behaviour of BFD sessions.
type BFDProfileSpec struct {
	// receiveInterval is the shortest interval, in milliseconds from 10 to
	// 60000, at which the node is willing to receive control packets. Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	ReceiveInterval *uint32 `json:"receiveInterval,omitempty"`

	// transmitInterval is the shortest interval, in milliseconds from 10 to
	// 60000, at which the node wants to send control packets. The slower of
	// both ends decides. Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	TransmitInterval *uint32 `json:"transmitInterval,omitempty"`

	// detectMultiplier is how many packets in a row may be lost before the
	// session is down, 2 to 255: detection takes about this many times the
	// interval. Unset means 3.
	// +optional
	// +kubebuilder:validation:Minimum=2
	// +kubebuilder:validation:Maximum=255
	DetectMultiplier *uint32 `json:"detectMultiplier,omitempty"`

	// echoInterval is the interval, in milliseconds from 10 to 60000, of echo
	// packets in both directions. Used with echoMode. Unset means 50.
	// +optional
	// +kubebuilder:validation:Minimum=10
	// +kubebuilder:validation:Maximum=60000
	EchoInterval *uint32 `json:"echoInterval,omitempty"`

	// echoMode sends echo packets that the router's forwarding plane returns.
	// Not with peers that carry IPv6 routes. Unset means false.
	// +optional
	EchoMode *bool `json:"echoMode,omitempty"`

	// passiveMode waits for the router to start the BFD session instead of
	// starting it. Unset means false.
	// +optional
	PassiveMode *bool `json:"passiveMode,omitempty"`

	// minimumTtl is the lowest TTL that a control packet of a multi-hop
	// session may arrive with, 1 to 254: 254 allows one router in between.
	// Unset means 254.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=254
	MinimumTTL *uint32 `json:"minimumTtl,omitempty"`
}

// BFDProfileStatus is what became of a BFDProfile.
type BFDProfileStatus struct {
	// conditions say whether the profile is understood (Accepted) and whether
	// the nodes whose peers use it have configured it (Programmed).
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// BFDProfile is a set of BFD timers that BGPPeers refer to by name, to find out
// within fractions of a second that the path to a router is gone (RFC 5880).
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Passive Mode",type=boolean,JSONPath=`.spec.passiveMode`
// +kubebuilder:printcolumn:name="Transmit Interval",type=integer,JSONPath=`.spec.transmitInterval`
// +kubebuilder:printcolumn:name="Receive Interval",type=integer,JSONPath=`.spec.receiveInterval`
// +kubebuilder:printcolumn:name="Multiplier",type=integer,JSONPath=`.spec.detectMultiplier`
type BFDProfile struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the timers. An empty one uses the default of each.
	// +optional
	Spec BFDProfileSpec `json:"spec,omitzero"`
	// status is written by the project's programs only.
	// +optional
	Status BFDProfileStatus `json:"status,omitzero"`
}

// BFDProfileList is a list of BFDProfile.
//
// +kubebuilder:object:root=true
type BFDProfileList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []BFDProfile `json:"items"`
}
