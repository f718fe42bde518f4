package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FRRMode is on which condition FRR runs beside the speakers.
//
// +kubebuilder:validation:Enum=WhenNeeded;Always
type FRRMode string

const (
	// FRRWhenNeeded runs FRR once there is a BGPPeer, an FRRSnippet or the
	// ConfigMap bgpextras in the namespace, or bgpListenPort is set, and until
	// none of these has been there for ten minutes. Both replace the speakers' pods
	// one node after the other. The default.
	FRRWhenNeeded FRRMode = "WhenNeeded"
	// FRRAlways runs it in any case, so that the first BGPPeer replaces no pod.
	FRRAlways FRRMode = "Always"
)

// Ports are those that the pods listen on, each from 1 to 65535. What is unset is
// as the operator's environment says. Of the speakers they are ports of the
// nodes. A change starts the pods anew, one node after the other.
//
// +kubebuilder:validation:XValidation:rule="!has(self.metrics) || ((!has(self.health) || self.metrics != self.health) && (!has(self.memberlist) || self.metrics != self.memberlist))",message="spec.ports.metrics must differ from the other ports"
// +kubebuilder:validation:XValidation:rule="!has(self.health) || !has(self.memberlist) || self.health != self.memberlist",message="spec.ports.health must differ from spec.ports.memberlist"
type Ports struct {
	// metrics is where controller and speakers serve metrics over HTTPS. Usually
	// 9120.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Metrics *int32 `json:"metrics,omitempty"`

	// health is where controller and speakers answer to probes. Usually 17472; a
	// speaker's is open on 127.0.0.1 only.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Health *int32 `json:"health,omitempty"`

	// memberlist is where speakers tell each other who is alive, TCP and UDP.
	// Usually 7946. While it changes, speakers of before and after do not hear each
	// other, and an address may have two owners for as long.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=65535
	Memberlist *int32 `json:"memberlist,omitempty"`
}

// MemberlistConfig adjusts the gossip by which speakers know who of them is
// alive. Where any of wan, probeInterval, probeTimeout, suspicionMult and
// gossipInterval is set, the ConfigMap metallb-memberlist is not read; a change
// of them starts the speakers anew.
//
// +kubebuilder:validation:XValidation:rule="!has(self.probeInterval) || !has(self.probeTimeout) || duration(self.probeTimeout) < duration(self.probeInterval)",message="spec.memberlist.probeTimeout must be shorter than spec.memberlist.probeInterval"
// +kubebuilder:validation:XValidation:rule="!has(self.disabled) || !self.disabled || !has(self.fencing) || self.fencing == 'Never'",message="spec.memberlist.fencing must be Never or unset where spec.memberlist.disabled is true: a speaker that does not gossip cannot lose sight of others"
type MemberlistConfig struct {
	// disabled switches the gossip off. Then every node counts as alive, and
	// the layer 2 addresses of a node that dies are answered for by nobody
	// until it returns or its Node object is deleted. BGP needs no gossip.
	// +optional
	Disabled bool `json:"disabled,omitempty"`

	// fencing is when a speaker that has lost sight of others stops to answer
	// for layer 2 addresses. Proven: where the API server shows that the
	// others live and are more than it can see. Strict: at once, unless it
	// sees more than half of all speakers; of two nodes, the death of one can
	// be an outage. Never: it goes on. Unset means Proven.
	// +optional
	Fencing Fencing `json:"fencing,omitempty"`

	// wan begins with the patience that memberlist has for far networks in
	// place of that for one network: a node that dies is noticed after half a
	// minute or more in place of about a second. The fields below change that
	// further.
	// +optional
	WAN bool `json:"wan,omitempty"`

	// probeInterval is the time between two questions of a speaker whether
	// another one is alive. Unset means 200ms, with wan 5s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) > duration('0s')",message="spec.memberlist.probeInterval must be a duration above zero such as 1s"
	ProbeInterval *metav1.Duration `json:"probeInterval,omitempty"`

	// probeTimeout is how long the answer may take before others are asked to
	// try. It must be shorter than probeInterval. Unset means 60ms, with wan 3s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) > duration('0s')",message="spec.memberlist.probeTimeout must be a duration above zero such as 500ms"
	ProbeTimeout *metav1.Duration `json:"probeTimeout,omitempty"`

	// suspicionMult is how patient speakers are with one that does not answer:
	// it has about so many times probeInterval to contradict before it counts as
	// dead. Unset means 2, with wan 6.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=100
	SuspicionMult *int32 `json:"suspicionMult,omitempty"`

	// gossipInterval is the time between two messages by which speakers pass on
	// what they heard. Unset means 100ms, with wan 500ms.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(0|(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|ms|s|m|h))+)$') && duration(self) > duration('0s')",message="spec.memberlist.gossipInterval must be a duration above zero such as 200ms"
	GossipInterval *metav1.Duration `json:"gossipInterval,omitempty"`
}
