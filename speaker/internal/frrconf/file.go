package frrconf

import (
	"cmp"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// file is what the templates see: plain values in the order in which they are written. A zero value means that its line is left out.
type file struct {
	Hostname, LogLevel string
	// Send is the mark for "send this", set by the entries of a neighbor's route-map; AnyMark is a regular expression that matches every
	// mark and nothing else.
	Send, AnyMark  string
	Advertisements []advertisement
	// Prepends are the marks for "add our AS to the path", of which only those in use are written.
	Prepends    []prepend
	Sets        []*set
	Routers     []router
	BFDProfiles []intent.BFDProfile
}

// advertisement is a BGPAdvertisement, or a variant of one, that some neighbor has a policy of.
type advertisement struct {
	Name string
	// Variant says what is different, "" for the advertisement itself.
	Variant string
	Tag     announce.Tag
	// List is the name of the large-community-list that matches its mark.
	List string
	// Seq is the place of its entry in the route-maps of neighbors.
	Seq int
}

type router struct {
	ASN           uint32
	VRF, RouterID string
	// GracefulShutdown makes every route of the router the last to be chosen (RFC 8326).
	GracefulShutdown bool
	// ListenLimit is how many dynamic neighbors there may be.
	ListenLimit uint16
	Neighbors   []*neighbor
	Families    []family
}

// family is one address family of a router; only those that a neighbor carries are written.
type family struct {
	Name string
	// Networks stands for the lines of prefixes, which are put in its place later: each value that a template writes has its price.
	Networks  string
	Neighbors []*neighbor
	networks  []byte
}

// networksMark is what Networks holds. No value in the file contains a NUL byte, see check.
const networksMark = "\x00"

type neighbor struct {
	Name string
	// ID is how FRR calls the neighbor: its address or, when Unnumbered, its interface; for the routers of a Range, the peer group.
	ID         string
	Unnumbered bool
	// Range are the addresses of routers that connect to the node, "" where the node connects.
	Range         string
	MapIn, MapOut string
	Receive       *receive
	Entries       []entry
	// Sends are the last entries but one: those that add to the AS path what an entry of an advertisement has marked.
	Sends      []send
	RemoteAS   string
	LocalASN   uint32
	BFDProfile string
	Password   string
	Port       uint16
	// TTL is that of a multi-hop session, SecurityHops that of ttl-security.
	TTL, SecurityHops uint8
	// Source is an address or the name of an interface.
	Source string
	Timers string
	// ConnectTime is 0 where the node does not connect.
	ConnectTime     int
	GracefulRestart bool
	// DisableConnectedCheck lets a single-hop IPv6 session come up with a peer whose address is in no connected subnet (rule B11).
	DisableConnectedCheck bool
}

// entry is what one advertisement does in the route-map towards a neighbor.
type entry struct {
	Advertisement    string
	Variant          string
	List             string
	Seq              int
	Communities      string
	LargeCommunities []string
	// RouteTargets and Sites are extended communities.
	RouteTargets, Sites string
	// Bandwidth is FRR's words for the link-bandwidth community.
	Bandwidth string
	Send      string
	LocalPref uint32
	// MED is "" where it is left alone: 0 is a value.
	MED string
}

// send is the entry that sends what is to have the AS path lengthened.
type send struct {
	Seq  int
	List string
	// Path are the AS numbers to put in front.
	Path string
}

// bgpPort is the one FRR does not mention.
const bgpPort = 179

func (r *Renderer) newFile(bgp announce.BGP) *file {
	m := newMarks(bgp)
	f := &file{Hostname: r.o.Hostname, LogLevel: r.o.LogLevel, Send: sendMark.String(), AnyMark: anyMark, Advertisements: m.advertisements, Prepends: m.prepends}
	routers := slices.SortedFunc(slices.Values(bgp.Routers), func(a, b announce.Router) int { return cmp.Compare(a.VRF, b.VRF) })
	kept := r.networks
	r.networks = make(map[string]*networks, len(routers))
	for i := range routers {
		lines := kept[routers[i].VRF]
		if lines == nil {
			lines = &networks{}
		}
		lines.update(routers[i].Prefixes, m)
		r.networks[routers[i].VRF] = lines
		f.Routers = append(f.Routers, newRouter(&routers[i], m, lines))
		f.Routers[i].GracefulShutdown = bgp.GracefulShutdown
	}
	f.Sets = m.sorted()
	for _, p := range bgp.BFDProfiles {
		f.BFDProfiles = append(f.BFDProfiles, withoutDefaults(p))
	}
	slices.SortFunc(f.BFDProfiles, func(a, b intent.BFDProfile) int { return cmp.Compare(a.Name, b.Name) })
	return f
}

func newRouter(r *announce.Router, m *marks, lines *networks) router {
	out := router{ASN: r.ASN, VRF: r.VRF, RouterID: text(r.RouterID)}
	if r.ListenLimit != defaultListenLimit {
		out.ListenLimit = r.ListenLimit
	}
	v4, v6 := family{Name: "ipv4", Networks: networksMark}, family{Name: "ipv6", Networks: networksMark}
	neighbors := slices.SortedFunc(slices.Values(r.Neighbors), byID)
	for i := range neighbors {
		n := &neighbors[i]
		line := newNeighbor(n, m)
		out.Neighbors = append(out.Neighbors, line)
		if n.IPv4() {
			v4.Neighbors = append(v4.Neighbors, line)
		}
		if n.IPv6() {
			v6.Neighbors = append(v6.Neighbors, line)
		}
	}
	v4.networks, v6.networks = lines.families()
	for _, f := range []family{v4, v6} {
		if len(f.Neighbors) > 0 {
			out.Families = append(out.Families, f)
		}
	}
	return out
}

// defaultListenLimit is the number of dynamic neighbors that FRR allows unless told otherwise, and does not mention.
const defaultListenLimit = 100

// byID is the order of FRR: peer groups first, then unnumbered neighbors, then by address.
func byID(a, b announce.Neighbor) int {
	return cmp.Or(cmp.Compare(kindOf(&a), kindOf(&b)), cmp.Compare(a.Interface, b.Interface), a.Address.Compare(b.Address), cmp.Compare(a.Name, b.Name))
}

// kindOf numbers the kinds of neighbors in FRR's order.
func kindOf(n *announce.Neighbor) int {
	switch {
	case n.Listens():
		return 0
	case n.Interface != "":
		return 1
	default:
		return 2
	}
}

// connectRetry is the time between attempts to connect, in seconds, where the peer says none: the default of FRR's datacenter profile. The
// traditional default of 120 s would leave a node without a session for two minutes after its router was away, because only the node
// connects: its bgpd does not listen (rule B15).
const connectRetry = 10

// maxTTL is what ebgp-multihop means where no TTL is given.
const maxTTL uint8 = 255

// idOf returns FRR's name of the neighbor.
func idOf(n *announce.Neighbor) string { return frrstate.KeyOf(n.VRF, n).Peer }

func newNeighbor(n *announce.Neighbor, m *marks) *neighbor {
	id := idOf(n)
	// A slash occurs in no interface name, so no two neighbors share a name.
	label := id
	if n.VRF != "" {
		label += "/" + n.VRF
	}
	out := &neighbor{
		Name: n.Name, ID: id, Unnumbered: n.Interface != "", MapIn: "ml-in-" + label, MapOut: "ml-out-" + label,
		RemoteAS: string(n.DynamicASN), LocalASN: n.LocalASN, BFDProfile: n.BFDProfile, Password: n.Password.Reveal(),
		Source: cmp.Or(n.SourceInterface, text(n.SourceAddress)), GracefulRestart: n.GracefulRestart,
		SecurityHops: n.SecurityHops, Receive: newReceive(n),
		DisableConnectedCheck: n.Remote().Unmap().Is6() && !n.EBGPMultiHop && n.SecurityHops <= 1 && !n.Internal(),
	}
	if n.Listens() {
		out.Range = n.ListenRange.String()
	} else {
		out.ConnectTime = cmp.Or(seconds(n.ConnectTime), connectRetry)
	}
	// FRR refuses ebgp-multihop where the neighbor is an interface: there is only one hop.
	if n.EBGPMultiHop && n.Interface == "" {
		out.TTL = cmp.Or(n.TTL, maxTTL)
	}
	if n.DynamicASN == intent.DynamicASNNone {
		out.RemoteAS = strconv.FormatUint(uint64(n.PeerASN), 10)
	}
	if n.Port != bgpPort {
		out.Port = n.Port
	}
	if n.Timers.Set {
		out.Timers = strconv.Itoa(seconds(n.Timers.Keepalive)) + " " + strconv.Itoa(seconds(n.Timers.Hold))
	}
	used := map[int]bool{}
	for _, p := range n.Policies {
		out.Entries = append(out.Entries, newEntry(n, &p, m))
		used[prepends(n, &p)] = true
	}
	slices.SortFunc(out.Entries, func(a, b entry) int { return cmp.Compare(a.Seq, b.Seq) })
	for _, p := range m.prepends {
		if used[p.Times] {
			asn := strconv.FormatUint(uint64(cmp.Or(n.LocalASN, n.MyASN)), 10)
			out.Sends = append(out.Sends, send{Seq: lastSeq - p.Times, List: p.List, Path: asn + strings.Repeat(" "+asn, p.Times-1)})
		}
	}
	slices.SortFunc(out.Sends, func(a, b send) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}

// prepends returns how often a policy adds to the AS path towards a neighbor. Within one AS it does not: a path with the receiver's own number
// is a loop to it (RFC 4271 section 9.1.2).
func prepends(n *announce.Neighbor, p *announce.Policy) int {
	if n.Internal() {
		return 0
	}
	return p.ASPathPrepend
}

// nonTransitive makes the link-bandwidth community the one of the draft (draft-ietf-idr-link-bandwidth), which every router knows. It does not
// leave the AS, and so would not reach an eBGP router.
const nonTransitive = " non-transitive"

func newEntry(n *announce.Neighbor, p *announce.Policy, m *marks) entry {
	ad := m.byTag[p.Tag]
	out := entry{Advertisement: ad.Name, Variant: ad.Variant, List: ad.List, Seq: ad.Seq, LocalPref: p.LocalPref, Send: sendMark.String()}
	if p.MED.Set {
		out.MED = strconv.FormatUint(uint64(p.MED.Value), 10)
	}
	if times := prepends(n, p); times > 0 {
		out.Send += " " + prependMark(times).String()
	}
	if p.LinkBandwidth > 0 {
		out.Bandwidth = strconv.FormatUint(uint64(p.LinkBandwidth), 10)
		if n.Internal() {
			out.Bandwidth += nonTransitive
		}
	}
	out.RouteTargets, out.Sites = extended(p.ExtCommunities, "rt"), extended(p.ExtCommunities, "soo")
	var standard []string
	for _, c := range slices.Compact(slices.SortedFunc(slices.Values(p.Communities), intent.Community.Compare)) {
		if c.Large {
			out.LargeCommunities = append(out.LargeCommunities, c.String())
		} else {
			standard = append(standard, spelled(c))
		}
	}
	out.Communities = strings.Join(standard, " ")
	return out
}

// extended returns the extended communities of one kind as FRR's command takes them, sorted.
func extended(list []intent.ExtCommunity, kind string) string {
	var values []string
	for _, c := range slices.Compact(slices.SortedFunc(slices.Values(list), intent.ExtCommunity.Compare)) {
		if c.Kind == kind {
			values = append(values, c.Value())
		}
	}
	return strings.Join(values, " ")
}

// spelled returns a standard community as FRR prints it in a configuration: the well-known ones by name (RFC 1997, 3765, 4384 and the
// registry at IANA). 0:0 has no name since FRR 10 and is left a number.
func spelled(c intent.Community) string {
	low := [...]string{"graceful-shutdown", "accept-own", "route-filter-translated-v4", "route-filter-v4", "route-filter-translated-v6",
		"route-filter-v6", "llgr-stale", "no-llgr", "accept-own-nexthop"}
	switch {
	case c.A != 65535:
	case c.B < uint32(len(low)):
		return low[c.B]
	case c.B == 666:
		return "blackhole"
	case c.B == 65281:
		return "no-export"
	case c.B == 65282:
		return "no-advertise"
	case c.B == 65283:
		return "local-AS"
	case c.B == 65284:
		return "no-peer"
	}
	return c.String()
}

// withoutDefaults clears what FRR does not print because it is so by default (RFC 5880 terms, FRR's bfdd values; times in milliseconds).
func withoutDefaults(p intent.BFDProfile) intent.BFDProfile {
	for _, d := range []struct {
		value    *uint32
		normally uint32
	}{
		{&p.DetectMultiplier, 3}, {&p.TransmitInterval, 300}, {&p.ReceiveInterval, 300}, {&p.EchoInterval, 50}, {&p.MinimumTTL, 254},
	} {
		if *d.value == d.normally {
			*d.value = 0
		}
	}
	return p
}

// seconds rounds up: FRR knows whole seconds only, and a zero would mean something else.
func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }

func text(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.Unmap().String()
}
