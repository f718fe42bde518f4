package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceBGPStatusSpec is empty: the object only reports.
type ServiceBGPStatusSpec struct{}

// BGPSentReason says why a router was not sent all addresses of a Service.
//
// +kubebuilder:validation:Enum=SessionDown;NotSent
type BGPSentReason string

const (
	// BGPSentSessionDown means that the session is not Established.
	BGPSentSessionDown BGPSentReason = "SessionDown"
	// BGPSentNotSent means that the session is Established and FRR does not send
	// a route for an address: the session does not carry its address family, or
	// something in FRR filters it.
	BGPSentNotSent BGPSentReason = "NotSent"
)

// BGPSent says what one router was sent of a Service's addresses.
type BGPSent struct {
	// peer is the name of the BGPPeer.
	// +required
	// +kubebuilder:validation:MaxLength=253
	Peer string `json:"peer"`
	// addresses are those of the Service that the router was sent a route for:
	// FRR has it in what it sent over this session (adj-RIB-out). The route may
	// be an aggregate.
	// +optional
	// +listType=set
	Addresses []string `json:"addresses,omitempty"`
	// routers are the addresses of the routers that were sent it, where the
	// BGPPeer has a listenRange: those that are connected now. Unset while one of
	// them lacks something.
	// +optional
	// +listType=set
	Routers []string `json:"routers,omitempty"`
	// since is when all of addresses were first seen to have been sent over
	// the session that is up now; unset while there are none.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// reason says why addresses are missing that the router is to be sent:
	// SessionDown or NotSent. Empty when none are.
	// +optional
	Reason BGPSentReason `json:"reason,omitempty"`
	// message explains the reason.
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	Message string `json:"message,omitempty"`
}

// ServiceBGPStatusStatus says to which routers a node is to announce a Service.
type ServiceBGPStatusStatus struct {
	// node is the name of the node that announces the Service's addresses.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="status.node cannot be changed: the object speaks of one Service on one node",reason=FieldValueForbidden
	Node string `json:"node,omitempty"`
	// serviceName is the name of the Service.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="status.serviceName cannot be changed: the object speaks of one Service on one node",reason=FieldValueForbidden
	ServiceName string `json:"serviceName,omitempty"`
	// serviceNamespace is the namespace of the Service.
	// +optional
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="status.serviceNamespace cannot be changed: the object speaks of one Service on one node",reason=FieldValueForbidden
	ServiceNamespace string `json:"serviceNamespace,omitempty"`
	// peers are the names of the BGPPeers to which the node is configured to
	// announce the Service. What they were really sent is in sent.
	// +optional
	// +listType=atomic
	Peers []string `json:"peers,omitempty"`
	// sent says what each of peers was really sent. A peer is missing here while
	// that is not known. It may be some seconds behind, many more when a session
	// on which very many Services depend comes or goes; BGPSessionState is not.
	// +optional
	// +listType=map
	// +listMapKey=peer
	Sent []BGPSent `json:"sent,omitempty"`
}

// ServiceBGPStatus reports that a node announces a Service to routers by BGP. The
// speaker of that node writes it, in its own namespace, and removes it when the
// node stops.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
type ServiceBGPStatus struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is empty: the object only reports.
	// +optional
	Spec ServiceBGPStatusSpec `json:"spec,omitzero"`
	// status is the node, the Service and the peers.
	// +optional
	Status ServiceBGPStatusStatus `json:"status,omitzero"`
}

// ServiceBGPStatusList is a list of ServiceBGPStatus.
//
// +kubebuilder:object:root=true
type ServiceBGPStatusList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []ServiceBGPStatus `json:"items"`
}
