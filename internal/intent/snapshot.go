// Package intent turns what users wrote into what the system will do: Build validates every object by itself and against the others and
// returns a usable Snapshot together with a Problem for everything wrong. One bad object never stops another. It is pure.
package intent

import (
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// Snapshot is a complete, valid configuration. All lists are sorted by name, all references in it resolve (but for those of Reservation,
// which says why), and it is never changed after Build returned it.
type Snapshot struct {
	Pools             []Pool
	Peers             []Peer
	BGPAdvertisements []BGPAdvertisement
	L2Advertisements  []L2Advertisement
	BFDProfiles       []BFDProfile
	Reservations      []Reservation
	Quotas            []ipam.Quota
	// Snippets are in the order in which they stand in frr.conf.
	Snippets []Snippet
	// Abandoned are the names of pools that were deleted while their annotation metallb.io/allow-disruption allowed it, so that their addresses
	// are to be given up; sorted. A name stays here until there is a pool of that name again. What was deleted while no Build looked on is not
	// here: its addresses are kept.
	Abandoned []string

	// index finds the pool of an address; nil in a Snapshot that Build did not make.
	index []span
	// memory is what objects last validly said, for the next Build.
	memory *memory
}

// Pool is an address pool with the labels that advertisements select it by.
type Pool struct {
	ipam.Pool
	Labels map[string]string
}

// Reservation is an IPReservation.
type Reservation struct {
	// Addresses are those of spec.addresses only, and also those that no pool in force has at present: they are reserved as soon as one has them.
	ipam.Reservation
	// Pool is the pool to choose the addresses from, "" when they are named. It may be a pool that is not in force: what was chosen from it before
	// stays reserved, and nothing more is chosen.
	Pool string
	// Families are those that Pool is to give one address of, IPv4 first; those that it has no address of are left out. Nil when Pool is "" or
	// not in force.
	Families []ipam.Family
	// Retain is how long the addresses are kept after the last Service that had one of them lost it; 0 means forever.
	Retain time.Duration
}

// Secret is text that prints as *** wherever it is formatted; Reveal is the only way to the text.
type Secret struct{ text string }

// NewSecret wraps text.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the text. Only the renderer of frr.conf may call it.
func (s Secret) Reveal() string { return s.text }

// IsZero tells whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// String returns "***", or "" when there is no secret.
func (s Secret) String() string {
	if s.text == "" {
		return ""
	}
	return "***"
}

// GoString keeps %#v from printing the text.
func (s Secret) GoString() string { return s.String() }

// MarshalText keeps encoders from writing the text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// DynamicASN is how a peer's AS number is found when it is not configured.
type DynamicASN string

// The values of BGPPeer.spec.dynamicASN; the empty value means that PeerASN is configured.
const (
	DynamicASNNone     DynamicASN = ""
	DynamicASNInternal DynamicASN = "internal"
	DynamicASNExternal DynamicASN = "external"
)

// Timers is a pair of BGP timers (RFC 4271 section 4.2). Zero values are meaningful (a hold time of 0 means that no keepalives are
// exchanged), so Set tells whether the user configured them at all; unset leaves FRR's defaults of 60 s and 180 s in force.
type Timers struct {
	Set             bool
	Keepalive, Hold time.Duration
}

// Peer is one BGP session that selected nodes open.
type Peer struct {
	Name string
	// MyASN is the local AS, PeerASN the remote one (0 when DynamicASN is set), LocalASN replaces MyASN towards this peer (0: not).
	MyASN, PeerASN, LocalASN uint32
	DynamicASN               DynamicASN
	// Exactly one of Address, Interface (an unnumbered session) and ListenRange (routers that open the session themselves) is set.
	Address     netip.Addr
	Interface   string
	ListenRange netip.Prefix
	// ListenLimit is how many routers of ranges the node accepts in the VRF at one time, 0 for the daemon's default.
	ListenLimit uint16
	// SourceAddress is invalid (the zero Addr) when the kernel shall choose. Of a node that an entry of Sources is for it is that entry's: see
	// SourceOn.
	SourceAddress netip.Addr
	// Sources are the addresses of single nodes, in the order in which they are tried.
	Sources []NodeSource
	// SourceInterface is the interface whose address the session comes from, "" for none; then there is no SourceAddress.
	SourceInterface string
	// Port is the peer's TCP port, 179 by default.
	Port   uint16
	Timers Timers
	// ConnectTime is the connect-retry timer, 0 for the renderer's default.
	ConnectTime time.Duration
	// RouterID is the zero Addr when FRR shall choose.
	RouterID netip.Addr
	// Nodes selects the nodes that open the session; empty means all.
	Nodes selector.Set
	// Password is the TCP-MD5 key (RFC 2385), from spec.password or the Secret it names.
	Password Secret
	// BFDProfile names an entry of Snapshot.BFDProfiles; "" means no BFD.
	BFDProfile      string
	GracefulRestart bool
	EBGPMultiHop    bool
	// TTL is that of packets to a multi-hop eBGP peer, 0 for the daemon's greatest; only with EBGPMultiHop.
	TTL uint8
	// SecurityHops is how many hops away the peer may be (GTSM, RFC 5082), 0 for no such check; never with EBGPMultiHop.
	SecurityHops uint8
	// Receive is what is accepted of what the peer sends; the zero value accepts nothing.
	Receive Receive
	// VRF is "" for the default VRF.
	VRF string
	// DualStack activates both address families whatever the family of Address.
	DualStack bool
}

// NodeSource is the address from which some nodes open a session.
type NodeSource struct {
	// Node is a node's name, "" when Nodes selects by labels.
	Node    string
	Nodes   selector.Selector
	Address netip.Addr
}

// SourceOn returns the address from which a node opens the session, the zero Addr when the kernel shall choose.
func (p *Peer) SourceOn(node string, labels map[string]string) netip.Addr {
	for _, s := range p.Sources {
		if s.Node == node && node != "" || s.Nodes != nil && s.Nodes.Matches(labels) {
			return s.Address
		}
	}
	return p.SourceAddress
}

// Receive is which routes are accepted from a peer.
type Receive struct {
	// All accepts every route; Prefixes is empty then.
	All bool
	// Prefixes are sorted and free of duplicates.
	Prefixes []ReceivePrefix
}

// ReceivePrefix accepts the routes within Prefix of a length from Shortest to Longest. Prefix has no host bits, and
// its length <= Shortest <= Longest <= 32 or 128.
type ReceivePrefix struct {
	Prefix            netip.Prefix
	Shortest, Longest int
}

// Listens tells whether routers open the session: there may be any number of sessions then.
func (p *Peer) Listens() bool { return p.ListenRange.IsValid() }

// Remote is the peer's address or, of a range, the first one in it: it is of the family of the session. It is invalid for an interface.
func (p *Peer) Remote() netip.Addr {
	if p.Listens() {
		return p.ListenRange.Addr()
	}
	return p.Address
}

// Internal tells whether the session is iBGP as far as the configuration says.
func (p *Peer) Internal() bool {
	local := p.MyASN
	if p.LocalASN != 0 {
		local = p.LocalASN
	}
	return p.DynamicASN == DynamicASNInternal || (p.DynamicASN == DynamicASNNone && p.PeerASN == local)
}

// BGPAdvertisement says how addresses of some pools are announced over BGP.
type BGPAdvertisement struct {
	Name string
	// AggregationLength and AggregationLengthV6 are prefix lengths, 32 and 128 by default.
	AggregationLength, AggregationLengthV6 int
	// LocalPref is LOCAL_PREF on iBGP sessions; 0 leaves the attribute at its default.
	LocalPref uint32
	// ASPathPrepend is how often the local AS is added to the path on eBGP sessions, 0 to 10.
	ASPathPrepend int
	// MED is the MULTI_EXIT_DISC attribute.
	MED MED
	// Communities are sorted and free of duplicates, aliases already resolved; so are ExtCommunities.
	Communities    []Community
	ExtCommunities []ExtCommunity
	// LinkBandwidth is how much each local endpoint adds to the link-bandwidth community of a Local Service, in Mbit/s; 0 for no such community.
	LinkBandwidth uint32
	// Overrides are what Services may choose for themselves.
	Overrides Overrides
	// Pools are the names of the pools it applies to, already resolved from names and selectors, sorted.
	Pools []string
	FormerPools
	// Peers are names of BGPPeers; empty means all.
	Peers []string
	// Nodes and Services empty mean all.
	Nodes    selector.Set
	Services selector.Set
}

// MED is a MULTI_EXIT_DISC attribute (RFC 4271 section 5.1.4). 0 is a value like any other, so Set tells whether there is one.
type MED struct {
	Set   bool
	Value uint32
}

// Overrides are what Services may choose by annotations. The zero value allows nothing.
type Overrides struct {
	// Communities are those that they may add, sorted.
	Communities []AllowedCommunity
	// MaxASPathPrepend is the largest number that they may choose; 0 allows none.
	MaxASPathPrepend int
	MED, LocalPref   Span
}

// AllowedCommunity is a community with the text that the advertisement has for it: an alias, a name or numbers.
type AllowedCommunity struct {
	Text  string
	Value Community
}

// Allows returns the community that a Service means by text: the text of the advertisement, or another one for the same value.
func (o *Overrides) Allows(text string) (Community, bool) {
	for _, c := range o.Communities {
		if c.Text == text {
			return c.Value, true
		}
	}
	c, ok := parseCommunity(text)
	return c, ok && slices.ContainsFunc(o.Communities, func(a AllowedCommunity) bool { return a.Value == c })
}

// Span is a range of numbers, both ends included.
type Span struct {
	Set      bool
	Min, Max uint32
}

// FormerPools says to which pools that are not in force an advertisement applies: live addresses may still be from such pools. Of pools that
// were chosen by label this can't be told any more.
type FormerPools struct {
	// Missing are the names that the user lists and no pool in force has, sorted.
	Missing []string
	// All tells that the user chose no pools, which means every one.
	All bool
}

// Has tells whether the advertisement applies to the pool of that name, which is not in force.
func (f *FormerPools) Has(name string) bool { return f.All || slices.Contains(f.Missing, name) }

// none tells that there are no such pools.
func (f *FormerPools) none() bool { return !f.All && len(f.Missing) == 0 }

// L2Advertisement says how addresses of some pools are announced by ARP and NDP.
type L2Advertisement struct {
	Name string
	// Pools and FormerPools as in BGPAdvertisement.
	Pools []string
	FormerPools
	// Interfaces are exact names; empty means all.
	Interfaces []string
	// Nodes and Services empty mean all.
	Nodes    selector.Set
	Services selector.Set
	// Preferences add Weight to a candidate node's score for each that matches it.
	Preferences []NodePreference
	// Balanced spreads the addresses evenly over the nodes instead of by MetalLB's hash alone (spec.placement Balanced).
	Balanced bool
}

// NodePreference is one preferredNodeSelectors entry; Weight is 1 to 100.
type NodePreference struct {
	Weight   int
	Selector selector.Selector
}

// Snippet is raw configuration of FRR. Whether FRR takes it only FRR tells.
type Snippet struct {
	// Ref is the object that it is from: an FRRSnippet or the ConfigMap bgpextras.
	Ref ObjectRef
	// Priority orders the FRRSnippets, the lowest first.
	Priority int32
	// Nodes selects the nodes whose FRR gets it; empty means all.
	Nodes selector.Set
	// Text is whole lines without control characters but tabs, each with its end.
	Text string
}

// BFDProfile holds the parameters of BFD sessions (RFC 5880). Intervals are in milliseconds; 0 leaves FRR's default.
type BFDProfile struct {
	Name                                            string
	ReceiveInterval, TransmitInterval, EchoInterval uint32
	DetectMultiplier, MinimumTTL                    uint32
	EchoMode, PassiveMode                           bool
}
