package v1beta1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// BGPSessionStateSpec is empty: the object only reports.
type BGPSessionStateSpec struct{}

// BGPTimers are timers that both ends of a session agreed on.
type BGPTimers struct {
	// holdTimeSeconds is how long the session survives without a message from
	// the router, in seconds. 0 means for ever.
	// +required
	HoldTimeSeconds int32 `json:"holdTimeSeconds"`
	// keepaliveSeconds is the interval between keepalive messages, in seconds.
	// +required
	KeepaliveSeconds int32 `json:"keepaliveSeconds"`
}

// BGPPrefixCounts counts the prefixes of one address family on a session.
type BGPPrefixCounts struct {
	// addressFamily is the family that is counted: ipv4Unicast or ipv6Unicast.
	// +required
	// +kubebuilder:validation:MaxLength=32
	AddressFamily string `json:"addressFamily"`
	// sent is the number of prefixes the router was sent and that stand.
	// +required
	Sent int64 `json:"sent"`
	// received is the number of prefixes the router sent and that stand. It is
	// unset once FRR refused some, by what toReceive allows or for another
	// reason: FRR does not keep those, so how many of them stand is not known.
	// +optional
	Received *int64 `json:"received,omitempty"`
	// accepted is the number of received prefixes that were let in.
	// +required
	Accepted int64 `json:"accepted"`
}

// BGPNotification is a NOTIFICATION message, the last word of a session that
// ends in error (RFC 4271 section 4.5).
type BGPNotification struct {
	// direction is Sent when the node refused, Received when the router did.
	// +required
	// +kubebuilder:validation:Enum=Sent;Received
	Direction BGPNotificationDirection `json:"direction"`
	// code is the error code, for example 2 for an error in the OPEN message.
	// +required
	Code int32 `json:"code"`
	// subcode is the error subcode, for example 2 for a wrong peer AS when
	// code is 2.
	// +required
	Subcode int32 `json:"subcode"`
	// text says code and subcode in plain words and in FRR's, for example "the
	// router expects another AS (OPEN Message Error/Bad Peer AS)".
	// +optional
	Text string `json:"text,omitempty"`
}

// BGPNotificationDirection says who sent a NOTIFICATION.
type BGPNotificationDirection string

const (
	// NotificationSent means that the node sent it.
	NotificationSent BGPNotificationDirection = "Sent"
	// NotificationReceived means that the router sent it.
	NotificationReceived BGPNotificationDirection = "Received"
)

// BFDIntervals are the intervals of a BFD session as both ends agreed on them.
type BFDIntervals struct {
	// transmitMilliseconds is the interval between control packets sent: the
	// longer one of what the node wants to send and what the router can take.
	// +required
	TransmitMilliseconds int64 `json:"transmitMilliseconds"`
	// receiveMilliseconds is the interval between control packets expected:
	// the longer one of what the node can take and what the router wants to send.
	// +required
	ReceiveMilliseconds int64 `json:"receiveMilliseconds"`
	// echoTransmitMilliseconds is the interval between echo packets sent; 0
	// when echo is off.
	// +optional
	EchoTransmitMilliseconds int64 `json:"echoTransmitMilliseconds,omitempty"`
	// detectMultiplier is how many intervals without a packet end the session,
	// as the router asked.
	// +optional
	DetectMultiplier int32 `json:"detectMultiplier,omitempty"`
}

// BGPSessionReason says in one word what is wrong with a session.
// +kubebuilder:validation:Enum=Connecting;NoRoute;HostUnreachable;NoAnswer;PasswordSuspected;ConnectionRefused;ConnectionClosed;PeerASMismatch;LocalASMismatch;RouterIDCollision;HoldTimeUnacceptable;MissingAddressFamily;OpenRefused;HoldTimerExpired;PeerShutDown;PeerDeconfigured;Ceased;BFDDown;WaitingForNeighbor;NotConfigured;FRRUnavailable
type BGPSessionReason string

// The reasons for which a session is not up, or not as it should be.
const (
	// SessionConnecting: the session is being opened, and nothing is known to be wrong.
	SessionConnecting BGPSessionReason = "Connecting"
	// SessionNoRoute: the node has no route to the router.
	SessionNoRoute BGPSessionReason = "NoRoute"
	// SessionHostUnreachable: there is a route, and no host with that address at its end.
	SessionHostUnreachable BGPSessionReason = "HostUnreachable"
	// SessionNoAnswer: nothing comes back from the router's address and port.
	SessionNoAnswer BGPSessionReason = "NoAnswer"
	// SessionPasswordSuspected: the same, on a session with a password. A router
	// drops what is signed with another password without a word, so this cannot
	// be told from other causes of silence.
	SessionPasswordSuspected BGPSessionReason = "PasswordSuspected"
	// SessionConnectionRefused: no program of the router takes connections on the port.
	SessionConnectionRefused BGPSessionReason = "ConnectionRefused"
	// SessionConnectionClosed: the router took the connection and ended it without a word.
	SessionConnectionClosed BGPSessionReason = "ConnectionClosed"
	// SessionPeerASMismatch: the router has another AS than the BGPPeer says.
	SessionPeerASMismatch BGPSessionReason = "PeerASMismatch"
	// SessionLocalASMismatch: the router expects this node to have another AS.
	SessionLocalASMismatch BGPSessionReason = "LocalASMismatch"
	// SessionRouterIDCollision: both ends have the same router ID, or one is invalid.
	SessionRouterIDCollision BGPSessionReason = "RouterIDCollision"
	// SessionHoldTimeUnacceptable: one end does not accept the other's hold time.
	SessionHoldTimeUnacceptable BGPSessionReason = "HoldTimeUnacceptable"
	// SessionMissingAddressFamily: the router does not exchange routes of a family that the session is for.
	SessionMissingAddressFamily BGPSessionReason = "MissingAddressFamily"
	// SessionOpenRefused: one end refused the other's OPEN message for another reason.
	SessionOpenRefused BGPSessionReason = "OpenRefused"
	// SessionHoldTimerExpired: nothing was heard for the hold time.
	SessionHoldTimerExpired BGPSessionReason = "HoldTimerExpired"
	// SessionPeerShutDown: the session is shut down on the router.
	SessionPeerShutDown BGPSessionReason = "PeerShutDown"
	// SessionPeerDeconfigured: the router has no such neighbor any more, or refuses it.
	SessionPeerDeconfigured BGPSessionReason = "PeerDeconfigured"
	// SessionCeased: a NOTIFICATION message with another reason ended the session.
	SessionCeased BGPSessionReason = "Ceased"
	// SessionBFDDown: BFD does not see the router, or the router does not run BFD.
	SessionBFDDown BGPSessionReason = "BFDDown"
	// SessionWaitingForNeighbor: nobody has announced itself on the link of an unnumbered session.
	SessionWaitingForNeighbor BGPSessionReason = "WaitingForNeighbor"
	// SessionNotConfigured: FRR does not have the session yet.
	SessionNotConfigured BGPSessionReason = "NotConfigured"
	// SessionFRRUnavailable: FRR does not answer on the node.
	SessionFRRUnavailable BGPSessionReason = "FRRUnavailable"
)

// BGPSessionDiagnosis says what is wrong with a session.
type BGPSessionDiagnosis struct {
	// reason is one word for it.
	// +required
	Reason BGPSessionReason `json:"reason"`
	// message says what was seen, and what to compare or to look at.
	// +optional
	Message string `json:"message,omitempty"`
}

// BGPSessionStateStatus is the state of one session as seen from one node.
type BGPSessionStateStatus struct {
	// bgpStatus is the state of the session: Idle, Connect, Active, OpenSent,
	// OpenConfirm or Established; Unknown while FRR does not answer. While a
	// session cannot be opened, its state goes round; it is then written every
	// now and then only.
	// +optional
	BGPStatus string `json:"bgpStatus,omitempty"`

	// bfdStatus is the state of the BFD session that watches the path: up,
	// down, init, shutdown, or N/A when none is configured.
	// +optional
	BFDStatus string `json:"bfdStatus,omitempty"`

	// node is the name of the node.
	// +optional
	Node string `json:"node,omitempty"`

	// peer is the address of the router, or the interface of an unnumbered
	// session.
	// +optional
	Peer string `json:"peer,omitempty"`

	// vrf is the VRF of the session. Empty means the default one.
	// +optional
	VRF string `json:"vrf,omitempty"`

	// bgpPeer is the name of the BGPPeer that asks for the session.
	// +optional
	BGPPeer string `json:"bgpPeer,omitempty"`

	// diagnosis says what is wrong; unset while nothing is.
	// +optional
	Diagnosis *BGPSessionDiagnosis `json:"diagnosis,omitempty"`

	// establishedAt is when the session came up; unset while it is not
	// Established. The uptime is counted from here.
	// +optional
	EstablishedAt *metav1.Time `json:"establishedAt,omitempty"`

	// timers are those the session runs with; unset while it is not
	// Established.
	// +optional
	Timers *BGPTimers `json:"timers,omitempty"`

	// prefixes counts the prefixes of each address family that the session
	// carries.
	// +optional
	// +listType=map
	// +listMapKey=addressFamily
	Prefixes []BGPPrefixCounts `json:"prefixes,omitempty"`

	// lastResetReason says in words why the session last went down.
	// +optional
	LastResetReason string `json:"lastResetReason,omitempty"`

	// lastResetAt is when the session last went down.
	// +optional
	LastResetAt *metav1.Time `json:"lastResetAt,omitempty"`

	// lastNotification is the NOTIFICATION message with which the session last
	// ended, if one was sent or received.
	// +optional
	LastNotification *BGPNotification `json:"lastNotification,omitempty"`

	// bfdIntervals are those the BFD session runs with; unset while there is
	// none or it is not up.
	// +optional
	BFDIntervals *BFDIntervals `json:"bfdIntervals,omitempty"`
}

// BGPSessionState reports one BGP session as seen from one node. The speaker of
// that node writes it, in its own namespace, whenever the state changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:storageversion
// +kubebuilder:resource:scope=Namespaced
// +kubebuilder:printcolumn:name="Node",type=string,JSONPath=`.status.node`
// +kubebuilder:printcolumn:name="Peer",type=string,JSONPath=`.status.peer`
// +kubebuilder:printcolumn:name="VRF",type=string,JSONPath=`.status.vrf`
// +kubebuilder:printcolumn:name="BGP",type=string,JSONPath=`.status.bgpStatus`
// +kubebuilder:printcolumn:name="BFD",type=string,JSONPath=`.status.bfdStatus`
// +kubebuilder:printcolumn:name="Diagnosis",type=string,JSONPath=`.status.diagnosis.reason`
// +kubebuilder:printcolumn:name="Up Since",type=date,JSONPath=`.status.establishedAt`
type BGPSessionState struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard object metadata.
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is empty: the object only reports.
	// +optional
	Spec BGPSessionStateSpec `json:"spec,omitzero"`
	// status is the state of the session.
	// +optional
	Status BGPSessionStateStatus `json:"status,omitzero"`
}

// BGPSessionStateList is a list of BGPSessionState.
//
// +kubebuilder:object:root=true
type BGPSessionStateList struct {
	metav1.TypeMeta `json:",inline"`
	// metadata is the standard list metadata.
	// +optional
	metav1.ListMeta `json:"metadata,omitzero"`
	// items are the objects of the list.
	Items []BGPSessionState `json:"items"`
}
