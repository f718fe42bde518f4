package v1beta1

import "k8s.io/apimachinery/pkg/util/intstr"

// BGPDrain is how a node leaves without losing a packet. In one of the
// conditions named here it first announces all its routes again as the last to
// be chosen, with the community GRACEFUL_SHUTDOWN (RFC 8326) and, over iBGP, a
// LOCAL_PREF of 0. Then it waits, and then it withdraws what another node can
// announce. Sessions stay up, and all is undone at once when the condition ends.
type BGPDrain struct {
	// nodes are conditions in which a node drains, in the words of
	// layer2ExcludeNodes. Unset means none.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=5
	Nodes []NodeImpairment `json:"nodes,omitempty"`

	// taints are keys of taints with which a node drains, whatever their value
	// and effect, for example example.com/maintenance.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	Taints []string `json:"taints,omitempty"`

	// waitSeconds is how long the routes stay announced as the last to be chosen
	// before they are withdrawn: the time that routers take to move the traffic.
	// Unset means 30.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	WaitSeconds *int32 `json:"waitSeconds,omitempty"`

	// keepLastAnnouncer says whether a draining node goes on announcing an
	// address that no other node can announce. Unset means true; false withdraws
	// it, and the address is then announced nowhere.
	// +optional
	KeepLastAnnouncer *bool `json:"keepLastAnnouncer,omitempty"`
}

// BGPShutdownMode is how BGP sessions end when the pod of a speaker is deleted.
//
// +kubebuilder:validation:Enum=PerPeer;Withdraw
type BGPShutdownMode string

const (
	// BGPShutdownPerPeer leaves the sessions on which graceful restart was
	// negotiated to it, and closes all others in order. The default.
	BGPShutdownPerPeer BGPShutdownMode = "PerPeer"
	// BGPShutdownWithdraw closes all sessions in order.
	BGPShutdownWithdraw BGPShutdownMode = "Withdraw"
)

// BGPShutdown is how the BGP sessions of a node end before its FRR does. Those
// that are closed in order first have all routes announced again as the last to
// be chosen, with the community GRACEFUL_SHUTDOWN (RFC 8326) and, over iBGP, a
// LOCAL_PREF of 0. After a wait the router gets the NOTIFICATION Cease,
// Administrative Shutdown. The node forwards traffic all the while.
type BGPShutdown struct {
	// mode is which sessions are closed in order. PerPeer: those on which graceful
	// restart was not negotiated; routers keep the routes of the others until the
	// new pod is there or their restart time is over. Withdraw: all of them.
	// Unset means PerPeer.
	// +optional
	Mode BGPShutdownMode `json:"mode,omitempty"`

	// waitSeconds is how long routes are announced as the last to be chosen before
	// their sessions are closed: the time that routers take to move the traffic.
	// The pod ends so much later, unless it announces nothing. 0 closes sessions
	// at once. Unset means 5.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=600
	WaitSeconds *int32 `json:"waitSeconds,omitempty"`
}

// SpeakerUpdateStrategy is who brings speakers to another version, and how.
//
// +kubebuilder:validation:Enum=Ordered;RollingUpdate;OnDelete
type SpeakerUpdateStrategy string

const (
	// SpeakerUpdateOrdered has the operator do it: in the running pod where
	// that suffices, so that FRR runs on, and node by node. The default.
	SpeakerUpdateOrdered SpeakerUpdateStrategy = "Ordered"
	// SpeakerUpdateRollingUpdate has Kubernetes do it: it replaces pods, and
	// with them FRR, and waits until the next pod is ready, not for sessions.
	SpeakerUpdateRollingUpdate SpeakerUpdateStrategy = "RollingUpdate"
	// SpeakerUpdateOnDelete leaves it to whoever deletes the pods.
	SpeakerUpdateOnDelete SpeakerUpdateStrategy = "OnDelete"
)

// SpeakerUpdate is how speakers are brought to another version, or to other
// settings. With Ordered, an update that changes nothing but the image of
// speaker and reloader is made in the running pods: FRR and its sessions notice
// nothing. Any other one replaces the pods; sessions with
// enableGracefulRestart keep their routes then, and all others end as
// bgpShutdown says.
type SpeakerUpdate struct {
	// strategy is who does it, and how: Ordered, RollingUpdate or OnDelete.
	// Unset means Ordered.
	// +optional
	Strategy SpeakerUpdateStrategy `json:"strategy,omitempty"`

	// maxUnavailable is how many speakers may be missing at a time, as a number
	// or as a percentage of all, rounded up. Unset means 1.
	// +optional
	// +kubebuilder:validation:XValidation:rule="type(self) == int ? self >= 1 : self.matches('^([1-9][0-9]?|100)%$')",message="spec.speakerUpdate.maxUnavailable must be a number of at least 1, or from 1% to 100%"
	MaxUnavailable *intstr.IntOrString `json:"maxUnavailable,omitempty"`

	// sessionWaitSeconds is how long, after the next pod of a node is ready, the
	// update waits until those BGP sessions of the node are up that were up
	// before. Then it goes on if at least one of them is, and tells of the others
	// in an event. If none is, it does not go on, and says so. For Ordered only.
	// Unset means 300.
	// +optional
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=86400
	SessionWaitSeconds *int32 `json:"sessionWaitSeconds,omitempty"`
}
