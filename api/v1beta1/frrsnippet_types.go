package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FRRSnippetSpec is raw configuration of FRR, and the nodes that it is for.
type FRRSnippetSpec struct {
	// nodeSelectors select, by label, the nodes whose FRR gets the text; any one
	// of them is enough. Unset means every node.
	// +optional
	// +listType=atomic
	// +kubebuilder:validation:MaxItems=1024
	NodeSelectors []metav1.LabelSelector `json:"nodeSelectors,omitempty"`

	// priority is the place of the text in frr.conf: the texts stand behind
	// everything else, those of lower priority first, of equal priority by name.
	// Where two lines give one setting FRR takes the later one, so the higher
	// priority wins. The ConfigMap bgpextras stands before all of them.
	// +optional
	// +kubebuilder:validation:Minimum=-1000000
	// +kubebuilder:validation:Maximum=1000000
	Priority int32 `json:"priority,omitempty"`

	// rawConfig is the text: lines as in frr.conf, in the form in which FRR's
	// "show running-config" prints them. It is for what no other object can say,
	// and it can break what other objects ask for. Everybody who may read the
	// object reads it: it is no place for passwords.
	// +required
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=65536
	RawConfig string `json:"rawConfig"`
}

// FRRSnippetStatus is what became of an FRRSnippet.
type FRRSnippetStatus struct {
	// conditions say whether the object is usable as it is (Accepted) and whether
	// FRR runs the text on all nodes that it is for (Programmed): where FRR
	// refuses it the message has FRR's own words and the line.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`
}

// FRRSnippet is raw configuration that is appended to frr.conf. What FRR refuses
// is left out, as a whole, and everything else goes on.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Priority",type=integer,JSONPath=`.spec.priority`
// +kubebuilder:printcolumn:name="Accepted",type=string,JSONPath=`.status.conditions[?(@.type=="Accepted")].status`
// +kubebuilder:printcolumn:name="Programmed",type=string,JSONPath=`.status.conditions[?(@.type=="Programmed")].status`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type FRRSnippet struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is the text and the nodes that it is for.
	// +required
	Spec FRRSnippetSpec `json:"spec"`
	// status is written by the project's programs only.
	// +optional
	Status FRRSnippetStatus `json:"status,omitzero"`
}

// FRRSnippetList is a list of FRRSnippet.
//
// +kubebuilder:object:root=true
type FRRSnippetList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []FRRSnippet `json:"items"`
}

// The ConfigMap, in the namespace of the installation, whose text is appended to
// frr.conf on every node, and the key of the text.
const (
	ExtrasConfigMap    = "bgpextras"
	ExtrasConfigMapKey = "extras"
)
