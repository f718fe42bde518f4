package intent

import (
	"net/netip"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// Raw is what users wrote, object by object, not yet judged: kubeview fills it from the API, Build turns it into a Snapshot.
// The lists may be in any order; names are unique within a list, as the API guarantees.
type Raw struct {
	// Namespace is the one that configuration belongs in; an object anywhere else is a Problem and is not used.
	Namespace string
	// Listens tells that the nodes accept sessions which routers open, as the installation is set up.
	Listens           bool
	Pools             []RawPool
	Peers             []RawPeer
	BGPAdvertisements []RawBGPAdvertisement
	L2Advertisements  []RawL2Advertisement
	BFDProfiles       []RawBFDProfile
	Communities       []RawCommunity
	Reservations      []RawReservation
	Quotas            []RawQuota
	Snippets          []RawSnippet
	// Extras is the ConfigMap with raw configuration for every node: at most one, none where nobody reads it.
	Extras  []RawExtras
	Secrets []RawSecret
	Nodes   []RawNode
}

// Meta is what every object carries, enough to report on it and to tell which of two is older.
type Meta struct {
	Namespace, Name string
	// UID tells an object from an earlier one of the same name.
	UID string
	// Generation of the spec that was read.
	Generation int64
	// Created is the API server's creation time, of a resolution of one second.
	Created time.Time
	Labels  map[string]string
}

// RawSelector is a label selector: parsed, or with the reason why it can't be.
type RawSelector struct {
	// Selector is nil exactly if Err is set.
	Selector selector.Selector
	Err      string
}

// RawPool is an IPAddressPool.
type RawPool struct {
	Meta
	Addresses     []string
	AutoAssign    bool
	AvoidBuggyIPs bool
	Allocation    *RawAllocation
	Disabled      bool
	// ConflictCheck is "" where the user wrote nothing.
	ConflictCheck string
	// AllowDisruption is the value of the annotation metallb.io/allow-disruption, "" when there is none.
	AllowDisruption string
}

// RawAllocation is an IPAddressPool's spec.serviceAllocation.
type RawAllocation struct {
	Priority           int
	Namespaces         []string
	NamespaceSelectors []RawSelector
	ServiceSelectors   []RawSelector
	Strict             bool
}

// RawPeer is a BGPPeer of v1beta2. Pointers are nil where the user wrote nothing.
type RawPeer struct {
	Meta
	MyASN, PeerASN uint32
	LocalASN       *uint32
	DynamicASN     string
	PeerAddress    string
	Interface      string
	// ListenRange is "" and ListenLimit nil where the user wrote nothing.
	ListenRange   string
	ListenLimit   *uint32
	SourceAddress string
	// SourceAddresses are in the order of the user, which counts.
	SourceAddresses []RawNodeSource
	SourceInterface string
	// PeerPort is 0 where the user wrote nothing.
	PeerPort      uint16
	HoldTime      *time.Duration
	KeepaliveTime *time.Duration
	ConnectTime   *time.Duration
	RouterID      string
	NodeSelectors []RawSelector
	Password      Secret
	// PasswordSecret is the name of a Secret, "" when there is none, and PasswordSecretNamespace its namespace, "" for the peer's.
	PasswordSecret          string
	PasswordSecretNamespace string
	BFDProfile              string
	EnableGracefulRestart   bool
	EBGPMultiHop            bool
	EBGPMultiHopTTL         *uint32
	TTLSecurityHops         *uint32
	// ToReceive is nil where the user wrote nothing.
	ToReceive              *RawReceive
	VRF                    string
	DualStackAddressFamily bool
	// DisableMP has no effect any more; it is read only to say so.
	DisableMP bool
}

// RawNodeSource is one entry of a BGPPeer's spec.sourceAddresses.
type RawNodeSource struct {
	// NodeName is "" and NodeSelector nil where the user wrote nothing.
	NodeName     string
	NodeSelector *RawSelector
	Address      string
}

// RawReceive is a BGPPeer's spec.toReceive.
type RawReceive struct {
	// Mode is "" where the user wrote nothing, which means filtered.
	Mode     string
	Prefixes []RawReceivePrefix
}

// RawReceivePrefix is one entry of spec.toReceive.allowed.prefixes. GE and LE are nil where the user wrote nothing.
type RawReceivePrefix struct {
	Prefix string
	GE, LE *uint32
}

// RawBGPAdvertisement is a BGPAdvertisement. Aggregation lengths are nil where the user wrote nothing.
type RawBGPAdvertisement struct {
	Meta
	AggregationLength   *int32
	AggregationLengthV6 *int32
	LocalPref           uint32
	ASPathPrepend       int32
	// MED is nil where the user wrote nothing.
	MED            *int64
	Communities    []string
	ExtCommunities []string
	// LinkBandwidth is spec.linkBandwidth.perEndpoint, Overrides spec.serviceOverrides; nil where the user wrote nothing.
	LinkBandwidth    *int32
	Overrides        *RawOverrides
	Pools            []string
	PoolSelectors    []RawSelector
	NodeSelectors    []RawSelector
	ServiceSelectors []RawSelector
	Peers            []string
}

// RawOverrides is a BGPAdvertisement's spec.serviceOverrides. Ranges are nil where the user wrote nothing.
type RawOverrides struct {
	Communities      []string
	MaxASPathPrepend int32
	MED, LocalPref   *RawRange
}

// RawRange is a range of numbers.
type RawRange struct{ Min, Max int64 }

// RawL2Advertisement is an L2Advertisement.
type RawL2Advertisement struct {
	Meta
	Pools            []string
	PoolSelectors    []RawSelector
	NodeSelectors    []RawSelector
	ServiceSelectors []RawSelector
	Interfaces       []string
	Preferences      []RawNodePreference
	// Placement is "" where the user wrote nothing.
	Placement string
}

// RawNodePreference is one entry of spec.preferredNodeSelectors.
type RawNodePreference struct {
	Weight   int32
	Selector RawSelector
}

// RawBFDProfile is a BFDProfile. Intervals are in milliseconds, pointers nil where the user wrote nothing.
type RawBFDProfile struct {
	Meta
	ReceiveInterval, TransmitInterval, EchoInterval *uint32
	DetectMultiplier, MinimumTTL                    *uint32
	EchoMode, PassiveMode                           bool
}

// RawCommunity is a Community object: a list of aliases.
type RawCommunity struct {
	Meta
	Aliases []RawAlias
}

// RawAlias gives the community in Value the name Name.
type RawAlias struct{ Name, Value string }

// RawReservation is an IPReservation.
type RawReservation struct {
	Meta
	// TargetNamespace is spec.namespace, that of the Services; Meta.Namespace is the object's own.
	TargetNamespace string
	// ServiceName is "" and ServiceSelector nil where the user wrote nothing.
	ServiceName     string
	ServiceSelector *RawSelector
	Addresses       []string
	Pool            string
	IPFamilies      []string
	// RetainAfterDelete is "" where the user wrote nothing, which means Forever.
	RetainAfterDelete string
}

// RawQuota is an AddressQuota. Limits are nil where the user wrote nothing.
type RawQuota struct {
	Meta
	Namespaces         []string
	NamespaceSelectors []RawSelector
	Pools              []string
	IPv4, IPv6         *int32
}

// RawSnippet is an FRRSnippet.
type RawSnippet struct {
	Meta
	NodeSelectors []RawSelector
	Priority      int32
	RawConfig     string
}

// RawExtras is the ConfigMap bgpextras.
type RawExtras struct {
	Meta
	// Extras is the value of its key, "" when there is none.
	Extras string
}

// RawSecret is a Secret that a peer may name. Only what Build needs of it is carried along.
type RawSecret struct {
	Meta
	Type string
	// Password is the value of the key "password"; HasPassword tells whether the key exists.
	Password    Secret
	HasPassword bool
}

// RawNode is a node with the labels that nodeSelectors look at.
type RawNode struct {
	Name   string
	Labels map[string]string
	// Addresses are the node's own, internal and external, in the order in which its status lists them. They are not part of the configuration: they
	// are here for those who must not give them to a Service.
	Addresses []netip.Addr
}
