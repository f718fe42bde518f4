package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ServiceL2StatusSpec is empty: the object only reports.
type ServiceL2StatusSpec struct{}

// InterfaceInfo names a network interface of a node.
type InterfaceInfo struct {
	// name is the name of the interface, for example eth0.
	// +optional
	Name string `json:"name,omitempty"`
}

// ServiceL2StatusStatus says which node answers for a Service, and where.
type ServiceL2StatusStatus struct {
	// node is the name of the node that answers for the Service's addresses.
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
	// interfaces are the network interfaces through which the node answers.
	// Empty means all of them.
	// +optional
	// +listType=atomic
	Interfaces []InterfaceInfo `json:"interfaces,omitempty"`
}

// ServiceL2Status reports that a node answers for a Service on its local
// network. The speaker of that node writes it, in its own namespace, and
// removes it when the node stops.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Allocated Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Service Name",type=string,JSONPath=`.status.serviceName`
// +kubebuilder:printcolumn:name="Service Namespace",type=string,JSONPath=`.status.serviceNamespace`
type ServiceL2Status struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is empty: the object only reports.
	// +optional
	Spec ServiceL2StatusSpec `json:"spec,omitzero"`
	// status is the node, the Service and the interfaces.
	// +optional
	Status ServiceL2StatusStatus `json:"status,omitzero"`
}

// ServiceL2StatusList is a list of ServiceL2Status.
//
// +kubebuilder:object:root=true
type ServiceL2StatusList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []ServiceL2Status `json:"items"`
}
