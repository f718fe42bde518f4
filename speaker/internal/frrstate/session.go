// Package frrstate reads FRR's state out of the JSON of its show commands. It is pure. It understands FRR 8.4 to 10.x, which differ in
// fields that are not read here.
package frrstate

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// CommandSessions is the command, for bgpd, whose output ParseSessions reads.
const CommandSessions = "show bgp vrf all neighbors json"

// Key names a session on one node: its VRF, "" for the default one, and the neighbor as FRR's configuration names it, an address or, for an
// unnumbered session, an interface. What the configuration says of a range of routers has the name of a peer group; each session of a router in it
// has the router's address.
type Key struct{ VRF, Peer string }

// Compare orders keys by VRF, then peer.
func (k Key) Compare(o Key) int {
	return cmp.Or(cmp.Compare(k.VRF, o.VRF), cmp.Compare(k.Peer, o.Peer))
}

// KeyOf returns the name that FRR has for a neighbor.
func KeyOf(vrf string, n *announce.Neighbor) Key {
	switch {
	case n.Listens():
		return Key{VRF: vrf, Peer: groupPrefix + n.Name}
	case n.Interface != "":
		return Key{VRF: vrf, Peer: n.Interface}
	default:
		return Key{VRF: vrf, Peer: n.Address.Unmap().String()}
	}
}

// groupPrefix begins the names of peer groups. The colon keeps them apart from interfaces, the rest from addresses.
const groupPrefix = "listen:"

// bgpPort is the port of a session of which the configuration does not know.
const bgpPort = 179

// Label is how metrics, logs and events name the peer: address:port, [address]:port for IPv6, interface:port for an unnumbered session. A port of
// 0 stands for that of BGP.
func (k Key) Label(port uint16) string {
	return net.JoinHostPort(k.Peer, strconv.Itoa(int(cmp.Or(port, bgpPort))))
}

// VRFLabel is how metrics, logs and labels name the VRF: as FRR does, "default" for the default one.
func (k Key) VRFLabel() string { return cmp.Or(k.VRF, defaultVRF) }

// defaultVRF is FRR's name of the default VRF.
const defaultVRF = "default"

// Session is the state of one BGP session.
type Session struct {
	Key
	// State is the state of RFC 4271 section 8.2.2, as FRR spells it: Idle, Connect, Active, OpenSent, OpenConfirm, Established; FRR adds
	// Clearing and Deleted.
	State string
	// UpSince is when the session came up, of a resolution of one second; zero while it is not Established.
	UpSince time.Time
	// HoldTime and Keepalive are in force; while the session is not Established they are those that are configured.
	HoldTime, Keepalive time.Duration
	// Ups counts how often the session came up since bgpd started.
	Ups int64
	// Group is the peer group of a dynamic neighbor, one that connected by itself and of which the configuration knows a range; "" for all others.
	// It is the Peer of the Key that KeyOf gives for that range.
	Group string
	// Address is the neighbor's, "" while that of an unnumbered session is not known.
	Address string
	// RemoteAS is the AS that the neighbor is taken for, 0 where any would do and none is known yet. LocalAS is the one of this node.
	RemoteAS, LocalAS uint32
	// RouterID is the BGP identifier of this node in the session's VRF, RemoteID that of the neighbor, "0.0.0.0" before it is known.
	RouterID, RemoteID string
	// Families are sorted by name.
	Families []Family
	// Filtered counts the routes that the neighbor sent and that were not let in, as often as it sent them.
	Filtered int64
	Messages Messages
	// LastReset is the reason of the last reset in FRR's words, "" when there was none, and SinceReset how long ago that was.
	LastReset  string
	SinceReset time.Duration
	// Notification is the NOTIFICATION message of the last reset, nil when there was none.
	Notification *Notification
	// Restartable tells that graceful restart was negotiated for this node (RFC 4724): when the connection breaks without a NOTIFICATION, the
	// neighbor keeps the routes until the session is back or the restart time is over.
	Restartable bool
}

// ClockSlack is how far apart two readings of the same moment may be, as of UpSince and SinceReset: FRR tells it in whole seconds, and as a
// difference of clocks that begin theirs at other times.
const ClockSlack = 2 * time.Second

// Since tells whether the session is the one that came up as the ups-th at a time that was read before: it has not been down since then.
func (s *Session) Since(ups int64, at time.Time) bool {
	return s.Established() && s.Ups == ups && s.UpSince.Sub(at).Abs() <= ClockSlack
}

// Established tells whether routes can be exchanged.
func (s *Session) Established() bool { return s.State == "Established" }

// Sent is the number of prefixes of all families that the peer was sent and that stand.
func (s *Session) Sent() int64 {
	var sum int64
	for _, f := range s.Families {
		sum += f.Sent
	}
	return sum
}

// Accepted is the number of prefixes of all families that the peer sent and that were let in.
func (s *Session) Accepted() int64 {
	var sum int64
	for _, f := range s.Families {
		sum += f.Accepted
	}
	return sum
}

// Family counts the prefixes of one address family; Name is FRR's, such as ipv4Unicast.
type Family struct {
	Name           string
	Sent, Accepted int64
	// Offered and Asked tell whether this node and the neighbor announced the family when the session opened. Without both, none of its
	// routes are exchanged.
	Offered, Asked bool
}

// Negotiated tells whether routes of the family can be exchanged.
func (f *Family) Negotiated() bool { return f.Offered && f.Asked }

// Messages counts BGP messages since the neighbor was configured.
type Messages struct {
	OpensSent          int64 `json:"opensSent"`
	OpensReceived      int64 `json:"opensRecv"`
	NotificationsSent  int64 `json:"notificationsSent"`
	UpdatesSent        int64 `json:"updatesSent"`
	UpdatesReceived    int64 `json:"updatesRecv"`
	KeepalivesSent     int64 `json:"keepalivesSent"`
	KeepalivesReceived int64 `json:"keepalivesRecv"`
	RouteRefreshSent   int64 `json:"routeRefreshSent"`
	TotalSent          int64 `json:"totalSent"`
	TotalReceived      int64 `json:"totalRecv"`
}

// Notification is a NOTIFICATION message (RFC 4271 section 4.5).
type Notification struct {
	// Sent is true when this node sent it.
	Sent          bool
	Code, Subcode uint8
	// Text is FRR's rendering of code and subcode, such as "Cease/BFD Down".
	Text string
}

// neighbor is the part read of what FRR prints for a neighbor.
type neighbor struct {
	State           string   `json:"bgpState"`
	UpEpoch         int64    `json:"bgpTimerUpEstablishedEpoch"`
	Ups             int64    `json:"connectionsEstablished"`
	Address         string   `json:"bgpNeighborAddr"`
	Group           string   `json:"peerGroup"`
	Range           string   `json:"peerSubnetRangeGroup"`
	RemoteAS        uint32   `json:"remoteAs"`
	LocalAS         uint32   `json:"localAs"`
	RouterID        string   `json:"localRouterId"`
	RemoteID        string   `json:"remoteRouterId"`
	HoldMS          int64    `json:"bgpTimerHoldTimeMsecs"`
	KeepaliveMS     int64    `json:"bgpTimerKeepAliveIntervalMsecs"`
	Messages        Messages `json:"messageStats"`
	LastReset       string   `json:"lastResetDueTo"`
	LastResetMS     int64    `json:"lastResetTimerMsecs"`
	LastError       string   `json:"lastErrorCodeSubcode"`
	LastErrorText   string   `json:"lastNotificationReason"`
	AddressFamilies map[string]struct {
		Sent     int64 `json:"sentPrefixCounter"`
		Accepted int64 `json:"acceptedPrefixCounter"`
	} `json:"addressFamilyInfo"`
	Prefixes struct {
		Filtered int64 `json:"inboundFiltered"`
	} `json:"prefixStats"`
	Capabilities struct {
		Families map[string]struct {
			Both     bool `json:"advertisedAndReceived"`
			Sent     bool `json:"advertised"`
			Received bool `json:"received"`
		} `json:"multiprotocolExtensions"`
		GracefulRestart string `json:"gracefulRestart"`
	} `json:"neighborCapabilities"`
	// GracefulRestart.Local is this node's part: Restart, Helper or Disable, with an asterisk where the neighbor's configuration says nothing.
	GracefulRestart struct {
		Local string `json:"localGrMode"`
	} `json:"gracefulRestartInfo"`
}

// ParseSessions reads the output of CommandSessions into sessions sorted by key. A daemon without BGP instance has none.
func ParseSessions(output []byte) ([]Session, error) {
	if none(output) {
		return nil, nil
	}
	var vrfs map[string]map[string]json.RawMessage
	if err := json.Unmarshal(output, &vrfs); err != nil {
		return nil, fmt.Errorf("parse the output of %q: %w", CommandSessions, err)
	}
	var sessions []Session
	for vrf, entries := range vrfs {
		for name, entry := range entries {
			if name == "vrfId" || name == "vrfName" || !bytes.HasPrefix(entry, []byte("{")) {
				continue
			}
			var n neighbor
			if err := json.Unmarshal(entry, &n); err != nil {
				return nil, fmt.Errorf("parse the output of %q: neighbor %s of VRF %s: %w", CommandSessions, name, vrf, err)
			}
			if n.State == "" {
				continue // no neighbor: some releases add other objects here
			}
			sessions = append(sessions, n.session(Key{VRF: vrfName(vrf), Peer: name}))
		}
	}
	slices.SortFunc(sessions, func(a, b Session) int { return a.Compare(b.Key) })
	return sessions, nil
}

func (n *neighbor) session(key Key) Session {
	s := Session{
		Key: key, State: n.State, Messages: n.Messages,
		HoldTime:  time.Duration(n.HoldMS) * time.Millisecond,
		Keepalive: time.Duration(n.KeepaliveMS) * time.Millisecond,
		LastReset: n.LastReset,
		Ups:       n.Ups, Address: n.Address, RemoteAS: n.RemoteAS, LocalAS: n.LocalAS, RouterID: n.RouterID, RemoteID: n.RemoteID,
		Filtered:    n.Prefixes.Filtered,
		Restartable: n.Capabilities.GracefulRestart == "advertisedAndReceived" && strings.HasPrefix(n.GracefulRestart.Local, "Restart"),
	}
	if n.Range != "" {
		s.Group = n.Group
	}
	switch s.Address {
	case "none":
		s.Address = ""
	case "":
		s.Address = key.Peer // FRR repeats it for unnumbered sessions only
	}
	if n.LastReset != "" {
		s.SinceReset = time.Duration(n.LastResetMS) * time.Millisecond
	}
	if s.Established() && n.UpEpoch > 0 {
		s.UpSince = time.Unix(n.UpEpoch, 0)
	}
	for name, f := range n.AddressFamilies {
		c := n.Capabilities.Families[name]
		s.Families = append(s.Families, Family{
			Name: name, Sent: f.Sent, Accepted: f.Accepted, Offered: c.Both || c.Sent, Asked: c.Both || c.Received,
		})
	}
	slices.SortFunc(s.Families, func(a, b Family) int { return cmp.Compare(a.Name, b.Name) })
	// FRR prints code and subcode as four hexadecimal digits.
	if code, err := strconv.ParseUint(n.LastError, 16, 16); err == nil && code > 0 && strings.Contains(n.LastReset, "Notification") {
		s.Notification = &Notification{
			Sent: strings.HasSuffix(n.LastReset, "send"), Code: uint8(code >> 8), Subcode: uint8(code), Text: n.LastErrorText,
		}
	}
	return s
}

// none tells whether a daemon had nothing to show: it then prints nothing or, whatever the format asked for, a line that begins with "%".
func none(output []byte) bool {
	text := bytes.TrimSpace(output)
	return len(text) == 0 || text[0] == '%'
}

// vrfName returns this project's name of a VRF: FRR calls the default one "default".
func vrfName(frr string) string {
	if frr == defaultVRF {
		return ""
	}
	return frr
}
