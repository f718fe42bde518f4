package announce

import (
	"fmt"
	"net/netip"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Node is everything one node announces. All lists are sorted, so that equal intents are equal values.
type Node struct {
	BGP BGP
	// L2 is what the node answers for by ARP and NDP, sorted by address.
	L2 []L2Entry
	// Verdicts has one entry per Service address and protocol, announced or not, sorted by Service, address, protocol. A Verdict is never
	// changed once it is here, so one that two Nodes share is the same in both.
	Verdicts []*Verdict
}

// WithLayer2 returns the node with what another one has of layer 2.
func (n Node) WithLayer2(other Node) Node {
	all := make([]*Verdict, 0, max(len(n.Verdicts), len(other.Verdicts)))
	rest := skipToLayer2(other.Verdicts)
	for _, v := range n.Verdicts {
		if v.Protocol == ProtocolLayer2 {
			continue
		}
		for len(rest) > 0 && rest[0].Compare(v) < 0 {
			all, rest = append(all, rest[0]), skipToLayer2(rest[1:])
		}
		all = append(all, v)
	}
	for len(rest) > 0 {
		all, rest = append(all, rest[0]), skipToLayer2(rest[1:])
	}
	n.L2, n.Verdicts = other.L2, all
	return n
}

func skipToLayer2(verdicts []*Verdict) []*Verdict {
	for len(verdicts) > 0 && verdicts[0].Protocol != ProtocolLayer2 {
		verdicts = verdicts[1:]
	}
	return verdicts
}

// BGP is the node's whole BGP configuration, independent of the routing daemon that carries it out.
type BGP struct {
	// Routers, one per VRF, the default VRF ("") first.
	Routers []Router
	// BFDProfiles are those that neighbors use.
	BFDProfiles []intent.BFDProfile
	// GracefulShutdown makes every route the last to be chosen: it is sent with the community GRACEFUL_SHUTDOWN (RFC 8326) and, over iBGP, a
	// LOCAL_PREF of 0, whatever the policies say.
	GracefulShutdown bool
	// Snippets are users' own lines for the daemon, in the order in which they apply, after all the rest.
	Snippets []Snippet
}

// Snippet is what one object gives of the daemon's own configuration language.
type Snippet struct {
	// Name names the object: "FRRSnippet metallb-system/x".
	Name string
	Text string
}

// Router is one BGP instance.
type Router struct {
	VRF string
	ASN uint32
	// RouterID is the zero Addr when the daemon shall choose.
	RouterID netip.Addr
	// ListenLimit is how many sessions are accepted at one time of routers that open them, 0 for the daemon's default.
	ListenLimit uint16
	Neighbors   []Neighbor
	// Prefixes are what at least one neighbor is to get, sorted by address, then length.
	Prefixes []Prefix
}

// Neighbor is one session, or those of all routers in a range, together with the policies that decide what is sent over it. A prefix is sent exactly if it carries the Tag of
// at least one of the policies. Its SourceAddress is this node's, and there are no Sources any more.
type Neighbor struct {
	intent.Peer
	// Policies are sorted by advertisement name; the one without Variant is the first of its advertisement.
	Policies []Policy
}

// IPv4 tells whether the session carries IPv4 unicast (rule B13).
func (n *Neighbor) IPv4() bool {
	return n.DualStack || n.Interface != "" || n.Remote().Unmap().Is4()
}

// IPv6 tells whether the session carries IPv6 unicast (rule B13).
func (n *Neighbor) IPv6() bool {
	return n.DualStack || n.Interface != "" || n.Remote().Is6()
}

// Policy is what one BGPAdvertisement does to the prefixes it announces to one neighbor.
type Policy struct {
	// Advertisement is the BGPAdvertisement's name, and Tag the mark that its prefixes carry inside the node's own RIB.
	Advertisement string
	// Variant says how it differs from what the advertisement does for most Services, "" where it does not. Each has a Tag of its own.
	Variant     string
	Tag         Tag
	Communities []intent.Community
	// ExtCommunities are route targets and sites of origin.
	ExtCommunities []intent.ExtCommunity
	// LocalPref is 0 when the attribute is left alone.
	LocalPref uint32
	// ASPathPrepend is how often the AS that the neighbor knows the node by is added to the path; it counts on eBGP sessions only. Where a
	// prefix has several policies, the largest counts.
	ASPathPrepend int
	// MED is the MULTI_EXIT_DISC attribute.
	MED intent.MED
	// LinkBandwidth is what the link-bandwidth community says, in Mbit/s; 0 for none.
	LinkBandwidth uint32
}

// Tag marks the prefixes of one BGPAdvertisement inside the node's RIB. It is derived from the advertisement's name alone, so that it is
// the same after a restart and does not change with the advertisement's content. It is rendered as the large community TagASN:High:Low
// and removed before a prefix leaves the node.
// The mark of a variant is derived from the name and from what the variant is.
type Tag struct{ High, Low uint32 }

// TagASN is the first part of the large communities that carry tags. RFC 7300 reserves AS 4294967295, so no real network uses it.
const TagASN = 4294967295

// String returns FRR's notation of the large community.
func (t Tag) String() string { return fmt.Sprintf("%d:%d:%d", uint32(TagASN), t.High, t.Low) }

// Prefix is a route that the node originates, with the tags of every advertisement that asks for it, sorted, at least one.
type Prefix struct {
	Prefix netip.Prefix
	Tags   []Tag
}

// L2Entry is an address that the node answers for.
type L2Entry struct {
	Address netip.Addr
	// Interfaces are the exact names of the links to answer on, sorted, whether or not they exist now; nil means all usable ones.
	Interfaces []string
}

// Protocol is how an address is announced.
type Protocol string

// The protocols, as metrics, logs and events name them.
const (
	ProtocolBGP    Protocol = "bgp"
	ProtocolLayer2 Protocol = "layer2"
)

// Verdict says whether this node announces one address of one Service over one protocol, and why not.
type Verdict struct {
	Service  ipam.ServiceKey
	Address  netip.Addr
	Pool     string
	Protocol Protocol
	// Announce is the decision; Reason explains a no and is the zero Reason for a yes.
	Announce bool
	Reason   Reason
	// Despite explains a yes that is not the ordinary: ReasonLastAnnouncer, when the node drains and announces the address all the same.
	Despite Reason
	// Everywhere says of a no by BGP that the reason holds on every node, so that no node announces the address by BGP.
	Everywhere bool
	// Peers are the BGPPeers that get the address, sorted; empty for a no and for layer 2.
	Peers []string
	// Remarks are what the user should know of an address that is announced.
	Remarks []Remark
	// Owner is the node that announces the address by layer 2; "" when nobody does, when this node cannot know, and for BGP.
	Owner string
}

// ReasonCode is a machine-readable reason. Where MetalLB logs a reason for the same thing the code is that word.
type ReasonCode string

// The reasons for not announcing.
const (
	ReasonNone               ReasonCode = ""
	ReasonNoAddress          ReasonCode = "noIPAllocated"
	ReasonNotAllowed         ReasonCode = "ipNotAllowed"
	ReasonNoAdvertisement    ReasonCode = "noMatchingAdvertisement"
	ReasonConflictingAds     ReasonCode = "conflictingAdvertisements"
	ReasonNetworkUnavailable ReasonCode = "nodeNetworkUnavailable"
	ReasonNodeExcluded       ReasonCode = "nodeLabeledExcludeBalancers"
	ReasonNoLocalEndpoints   ReasonCode = "noLocalEndpoints"
	ReasonNoEndpoints        ReasonCode = "noEndpoints"
	ReasonNoPeer             ReasonCode = "noMatchingPeer"
	ReasonUnknownNode        ReasonCode = "nodeUnknown"
	ReasonDraining           ReasonCode = "nodeDraining"

	// Only of layer 2.
	ReasonNotOwner         ReasonCode = "notOwner"
	ReasonSharedSelector   ReasonCode = "sharedIPWithServiceSelector"
	ReasonNotQuorate       ReasonCode = "notQuorate"
	ReasonNotMember        ReasonCode = "speakerNotAlive"
	ReasonInterfaceMissing ReasonCode = "interfaceMissing"
	ReasonImpaired         ReasonCode = "nodeImpaired"
)

// Remark is something wrong with an address that is announced all the same; its code is one of the Remark... ones.
type Remark struct {
	Reason
	// Here tells that this is the node that tells the user, the first by name of those that would: others say the same.
	Here bool
}

// The codes of remarks.
const (
	// RemarkNotAllowed: annotations of the Service ask for what the advertisement does not allow; that part is ignored.
	RemarkNotAllowed ReasonCode = "attributeNotAllowed"
	// RemarkLocalAggregate is rule B3: with externalTrafficPolicy Local an aggregate draws traffic that the node can't serve.
	RemarkLocalAggregate ReasonCode = "localAggregate"
)

// ReasonLastAnnouncer is why a draining node goes on announcing an address.
const ReasonLastAnnouncer ReasonCode = "lastAnnouncer"

// Reason explains a no: its code and a sentence with the data behind it, for people.
type Reason struct {
	Code   ReasonCode
	Detail string
}
