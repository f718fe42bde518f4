package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceBGPStatusSpec is empty: the object only reports.
type ServiceBGPStatusSpec struct{}

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
	// announce the Service. Whether a router has the route depends on its
	// session, see BGPSessionState.
	// +optional
	// +listType=atomic
	Peers []string `json:"peers,omitempty"`
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
