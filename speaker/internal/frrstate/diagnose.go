package frrstate

import (
	"cmp"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// Reason says in one word what is wrong with a session.
type Reason string

// The reasons. What each of them means, and what to do, is in docs/bgp-troubleshooting.md.
const (
	ReasonNone               Reason = ""
	ReasonConnecting         Reason = "Connecting"
	ReasonNoRoute            Reason = "NoRoute"
	ReasonHostUnreachable    Reason = "HostUnreachable"
	ReasonNoAnswer           Reason = "NoAnswer"
	ReasonPassword           Reason = "PasswordSuspected"
	ReasonRefused            Reason = "ConnectionRefused"
	ReasonClosed             Reason = "ConnectionClosed"
	ReasonPeerAS             Reason = "PeerASMismatch"
	ReasonLocalAS            Reason = "LocalASMismatch"
	ReasonRouterID           Reason = "RouterIDCollision"
	ReasonHoldTime           Reason = "HoldTimeUnacceptable"
	ReasonFamily             Reason = "MissingAddressFamily"
	ReasonOpenRefused        Reason = "OpenRefused"
	ReasonHoldTimer          Reason = "HoldTimerExpired"
	ReasonShutDown           Reason = "PeerShutDown"
	ReasonDeconfigured       Reason = "PeerDeconfigured"
	ReasonCeased             Reason = "Ceased"
	ReasonBFD                Reason = "BFDDown"
	ReasonWaitingForNeighbor Reason = "WaitingForNeighbor"
	ReasonNotConfigured      Reason = "NotConfigured"
	ReasonFRR                Reason = "FRRUnavailable"
)

// Reasons lists all reasons but ReasonNone.
func Reasons() []Reason {
	return []Reason{
		ReasonConnecting, ReasonNoRoute, ReasonHostUnreachable, ReasonNoAnswer, ReasonPassword, ReasonRefused, ReasonClosed, ReasonPeerAS,
		ReasonLocalAS, ReasonRouterID, ReasonHoldTime, ReasonFamily, ReasonOpenRefused, ReasonHoldTimer, ReasonShutDown, ReasonDeconfigured,
		ReasonCeased, ReasonBFD, ReasonWaitingForNeighbor, ReasonNotConfigured, ReasonFRR,
	}
}

// Diagnosis says what is wrong with a session. The zero value says that nothing is.
type Diagnosis struct {
	Reason Reason
	// Message says what was seen, and what to compare or to look at.
	Message string
}

// Case is what a session is judged by.
type Case struct {
	// Wanted is what the configuration asks for.
	Wanted *announce.Neighbor
	// Router is the address of the router in question where Wanted is a range of them, "" otherwise.
	Router string
	// Failure says why FRR does not answer, "" when it does.
	Failure string
	// Session is what FRR shows, nil where it has no such session: of a router in a range there is none unless it is connected. BFD is the session of bfdd, nil where there is none.
	Session *Session
	BFD     *BFDSession
	// Trace is what happened to the session before.
	Trace Trace
}

// Diagnose says what is wrong with a session.
func Diagnose(c Case) Diagnosis {
	j := judge{Case: c, peer: "BGPPeer " + c.Wanted.Name, router: "the router at " + cmp.Or(c.Router, c.Wanted.Address.String())}
	if c.Wanted.Interface != "" {
		j.router = "the router on link " + c.Wanted.Interface
	}
	switch {
	case c.Failure != "":
		return j.say(ReasonFRR, "FRR does not answer on this node, so its sessions are down or not known: %s", c.Failure)
	case c.Session == nil && c.Router != "":
		return j.disconnected()
	case c.Session == nil:
		return j.say(ReasonNotConfigured, "FRR does not have the session of %s yet; the ConfigurationState of this node's speaker says whether it took the configuration", j.peer)
	case c.Session.Established():
		return j.up()
	}
	if j.waitsForBFD() {
		return j.bfdDown("FRR does not open the session before BFD is up")
	}
	if d := j.ended(); d.Reason != ReasonNone {
		return d
	}
	return j.waiting()
}

// judge finds words for a Case.
type judge struct {
	Case
	peer, router string
}

func (j *judge) say(reason Reason, format string, args ...any) Diagnosis {
	return Diagnosis{Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// up judges a session that is up.
func (j *judge) up() Diagnosis {
	var missing []string
	for _, f := range []struct {
		wanted     bool
		name, text string
	}{{j.Wanted.IPv4(), "ipv4Unicast", "IPv4 unicast"}, {j.Wanted.IPv6(), "ipv6Unicast", "IPv6 unicast"}} {
		if f.wanted && !j.negotiated(f.name) {
			missing = append(missing, f.text)
		}
	}
	if len(missing) > 0 {
		return j.say(ReasonFamily, "the session is up, but %s does not exchange %s with this node, so it gets no such prefixes: activate the family for this neighbor on the router%s",
			j.router, strings.Join(missing, " and "), j.dualStack())
	}
	if j.Wanted.BFDProfile != "" && (j.BFD == nil || !j.BFD.Up()) {
		return j.bfdDown("BGP is up and BFD is not, so a broken path is noticed by the hold time only")
	}
	return Diagnosis{}
}

func (j *judge) dualStack() string {
	if j.Wanted.DualStack {
		return fmt.Sprintf(", or set spec.dualStackAddressFamily of %s to false", j.peer)
	}
	return ""
}

// negotiated tells whether routes of a family are exchanged.
func (j *judge) negotiated(name string) bool {
	for i := range j.Session.Families {
		if f := &j.Session.Families[i]; f.Name == name {
			return f.Negotiated()
		}
	}
	return false
}

func (j *judge) bfdDown(begin string) Diagnosis {
	state := "there is no BFD session"
	if j.BFD != nil {
		state = "its BFD session is " + j.BFD.Status
		if d := j.BFD.Diagnostic; d != "" && d != "ok" {
			state += " (" + d + ")"
		}
	}
	return j.say(ReasonBFD, "%s: %s; %s must run BFD for this neighbor, of the same kind (single hop or multihop), and UDP port 3784 (multihop: 4784) must pass both ways; or remove spec.bfdProfile of %s",
		begin, state, j.router, j.peer)
}

// disconnected judges a router that is to connect by itself and is not connected.
func (j *judge) disconnected() Diagnosis {
	if n := j.Trace.Cause.Notification; n != nil {
		return j.notification(n)
	}
	return j.say(ReasonClosed, "%s is not connected: it opens the session of %s by itself, and has ended it or is away", j.router, j.peer)
}

// shown is what FRR shows of the session, nothing where it does not have it.
func (j *judge) shown() Session {
	if j.Session == nil {
		return Session{}
	}
	return *j.Session
}

// ended judges by how the last attempt or session ended.
func (j *judge) ended() Diagnosis {
	cause := j.Trace.Cause
	if n := cmp.Or(cause.Notification, j.shownNotification()); n != nil {
		return j.notification(n)
	}
	switch {
	case cause.NoPath:
		return j.noRoute()
	case cause.NoAnswer || cause.Errno == int(syscall.ETIMEDOUT):
		return j.noAnswer()
	case cause.Closed:
		return j.say(ReasonClosed, "%s takes the TCP connection and ends it without a word: it may have no neighbor with this node's address, or have it shut down; compare the neighbor's address there with spec.sourceAddress of %s or the address this node reaches the router from",
			j.router, j.peer)
	case cause.Errno != 0:
		return j.connectFailed(cause)
	}
	return Diagnosis{}
}

// shownNotification is the one that FRR shows, where nothing was seen to happen since.
func (j *judge) shownNotification() *Notification {
	if !j.Trace.Cause.IsZero() {
		return nil
	}
	return j.Session.Notification
}

func (j *judge) connectFailed(cause Cause) Diagnosis {
	switch syscall.Errno(cause.Errno) {
	case syscall.ECONNREFUSED, syscall.ECONNRESET:
		return j.say(ReasonRefused, "%s refuses TCP connections on port %d: BGP does not run there, listens on another port or address (compare spec.peerAddress and spec.peerPort of %s), or a packet filter rejects them",
			j.router, cmp.Or(j.Wanted.Port, bgpPort), j.peer)
	case syscall.ENETUNREACH, syscall.EADDRNOTAVAIL:
		return j.noRoute()
	case syscall.EHOSTUNREACH:
		return j.say(ReasonHostUnreachable, "no host answers for the address of %s: it is down, has another address than spec.peerAddress of %s, or is on another link or VLAN",
			j.router, j.peer)
	default:
		return j.say(ReasonNoAnswer, "the TCP connection to %s cannot be opened: %s", j.router, cause.Text)
	}
}

func (j *judge) noRoute() Diagnosis {
	more := ""
	if !j.Wanted.EBGPMultiHop && !j.Wanted.Internal() {
		more = "; a router that is not in a network of this node needs spec.ebgpMultiHop"
	}
	return j.say(ReasonNoRoute, "this node has no usable route to %s: look at `ip route get` on the node, at spec.peerAddress, spec.sourceAddress and spec.vrf of %s%s", j.router, j.peer, more)
}

func (j *judge) noAnswer() Diagnosis {
	port := cmp.Or(j.Wanted.Port, bgpPort)
	alive := ""
	if j.BFD != nil && j.BFD.Up() {
		alive = " although BFD sees it"
	}
	if !j.Wanted.Password.IsZero() {
		return j.say(ReasonPassword, "%s does not answer TCP connections to port %d%s: most often the passwords differ (or the router has none for this neighbor), since what is signed with another password is dropped without a word; compare spec.password or the Secret in spec.passwordSecret of %s with the router's. A packet filter looks the same from here, and the router's log tells",
			j.router, port, alive, j.peer)
	}
	return j.say(ReasonNoAnswer, "%s does not answer TCP connections to port %d%s: a packet filter drops them, the way back is missing, or the router wants a password (%s has none)",
		j.router, port, alive, j.peer)
}

// waiting judges a session of which nothing is known to have gone wrong.
func (j *judge) waiting() Diagnosis {
	switch reset := j.Session.LastReset; {
	case strings.Contains(reset, "IPv6 LLA"):
		return j.say(ReasonWaitingForNeighbor, "no router has announced itself on link %s: the link must be up and the router must send router advertisements there (IPv6 link-local addresses)", j.Wanted.Interface)
	case strings.Contains(reset, "NHT") || strings.Contains(reset, "No path to"):
		return j.noRoute()
	case strings.Contains(reset, "BFD down") && j.BFD != nil && !j.BFD.Up():
		return j.bfdDown("the session was ended because BFD lost sight of the router")
	}
	return j.say(ReasonConnecting, "the session with %s is being opened", j.router)
}

// waitsForBFD tells whether the session is not opened because BFD is not up. FRR 10 waits for it from the beginning, FRR 8 once the session was
// closed. What ended it before is of interest all the same where it says what is wrong.
func (j *judge) waitsForBFD() bool {
	cause := j.Trace.Cause
	told := cause.NoPath || cause.NoAnswer || cause.Errno != 0 || cause.Notification != nil && cause.Notification.Code != codeFSM
	return !told && j.Wanted.BFDProfile != "" && j.Session.State == "Idle" && (j.BFD == nil || !j.BFD.Up()) && j.Session.SinceReset >= bfdPatience
}

// bfdPatience is how long BFD may take to come up: it needs a few of its slow packets, one a second (RFC 5880 section 6.8.3).
const bfdPatience = 5 * time.Second

// notification judges by a NOTIFICATION message.
func (j *judge) notification(n *Notification) Diagnosis {
	switch n.Code {
	case codeOpen:
		return j.open(n)
	case codeHold:
		who := "this node heard nothing from " + j.router
		if !n.Sent {
			who = j.router + " heard nothing from this node"
		}
		return j.say(ReasonHoldTimer, "%s for the hold time: the path is broken or loses packets, or one end is overloaded", who)
	case codeCease:
		return j.cease(n)
	}
	return j.say(ReasonCeased, "the session with %s ended: %s", j.router, n.Words())
}

// myAS is the AS that the router is told.
func (j *judge) myAS() uint32 { return cmp.Or(j.Wanted.LocalASN, j.Wanted.MyASN) }

func (j *judge) open(n *Notification) Diagnosis {
	field := "spec.myASN"
	if j.Wanted.LocalASN != 0 {
		field = "spec.localASN"
	}
	switch n.Subcode {
	case openBadAS:
		if !n.Sent {
			return j.say(ReasonLocalAS, "%s expects another AS of this node than %d: compare %s of %s with the AS that the router has for this neighbor", j.router, j.myAS(), field, j.peer)
		}
		return j.say(ReasonPeerAS, "%s says its AS is %s; %s", j.router, j.theirAS(), j.expectedAS())
	case openBadID:
		return j.say(ReasonRouterID, "%s and this node do not accept each other's router ID (here %s, there %s): they must differ; set another spec.routerID of %s, or another one on the router",
			j.router, cmp.Or(j.shown().RouterID, "the node's own"), j.theirID(), j.peer)
	case openBadHoldTime:
		if n.Sent {
			return j.say(ReasonHoldTime, "this node does not accept the hold time of %s%s: set one of 0 or at least 3 s there, or compare with spec.holdTime of %s", j.router, j.theirHoldTime(), j.peer)
		}
		return j.say(ReasonHoldTime, "%s does not accept this node's hold time of %s: raise spec.holdTime of %s, or lower the least one that the router accepts", j.router, j.holdTime(), j.peer)
	case openCapability:
		return j.say(ReasonFamily, "%s and this node have no address family in common: activate %s for this neighbor on the router%s", j.router, j.families(), j.dualStack())
	}
	return j.say(ReasonOpenRefused, "the session with %s is refused: %s", j.router, n.Words())
}

// theirAS is the AS in the router's OPEN message.
func (j *judge) theirAS() string {
	if j.Trace.Open == nil {
		return "another one"
	}
	return fmt.Sprint(j.Trace.Open.AS)
}

func (j *judge) expectedAS() string {
	switch j.Wanted.DynamicASN {
	case intent.DynamicASNInternal:
		return fmt.Sprintf("spec.dynamicASN of %s is internal, which means %d, the AS of this node", j.peer, j.myAS())
	case intent.DynamicASNExternal:
		return fmt.Sprintf("spec.dynamicASN of %s is external, which means any but %d, the AS of this node", j.peer, j.myAS())
	default:
		return fmt.Sprintf("spec.peerASN of %s is %d", j.peer, j.Wanted.PeerASN)
	}
}

func (j *judge) theirID() string {
	if j.Trace.Open == nil {
		return "the same or none"
	}
	return j.Trace.Open.RouterID
}

func (j *judge) theirHoldTime() string {
	if j.Trace.Open == nil {
		return ""
	}
	return fmt.Sprintf(", %d s", int(j.Trace.Open.HoldTime/time.Second))
}

// holdTime is the one that this node asks for.
func (j *judge) holdTime() string {
	return fmt.Sprintf("%d s", int(cmp.Or(j.shown().HoldTime, j.Wanted.Timers.Hold, defaultHold)/time.Second))
}

// defaultHold is FRR's hold time where none is configured.
const defaultHold = 180 * time.Second

func (j *judge) families() string {
	switch {
	case j.Wanted.IPv4() && j.Wanted.IPv6():
		return "IPv4 unicast or IPv6 unicast"
	case j.Wanted.IPv6():
		return "IPv6 unicast"
	}
	return "IPv4 unicast"
}

func (j *judge) cease(n *Notification) Diagnosis {
	switch {
	case n.Subcode == ceaseBFD:
		return j.bfdDown("the session was ended because BFD lost sight of the other end")
	case n.Sent:
	case n.Subcode == ceaseShutdown:
		return j.say(ReasonShutDown, "the session is shut down on %s by its administrator", j.router)
	case n.Subcode == ceaseRemoved:
		return j.say(ReasonDeconfigured, "%s has removed this neighbor from its configuration", j.router)
	case n.Subcode == ceaseRejected:
		return j.say(ReasonDeconfigured, "%s does not want this connection: it has no such neighbor, has it shut down, or may only open the session itself; compare the neighbor's address there with the address this node connects from", j.router)
	}
	return j.say(ReasonCeased, "the session with %s ended: %s", j.router, n.Words())
}
