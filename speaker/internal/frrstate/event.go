package frrstate

import (
	"strconv"
	"strings"
	"time"
)

// CommandsEvents are the commands, for bgpd in enable mode, that make it log what ParseEvent reads. Entered there and not in configuration
// mode they are no part of the configuration (FRR bgpd/bgp_debug.c), and end with the daemon.
func CommandsEvents() []string {
	return []string{"debug bgp neighbor-events", "debug bgp bfd"}
}

// EventKind is what happened to a session.
type EventKind string

// The kinds of events.
const (
	// EventState: the session went from the state From to To.
	EventState EventKind = "state"
	// EventBFD: the BFD session of the neighbor went from From to To, in bgpd's words: Up, Down and others.
	EventBFD EventKind = "bfd"
	// EventConnect: a TCP connection is being opened.
	EventConnect EventKind = "connect"
	// EventConnectFailed: it could not be; Errno and Text say why.
	EventConnectFailed EventKind = "connectFailed"
	// EventConnectTimer: the time between two attempts to connect is over.
	EventConnectTimer EventKind = "connectTimer"
	// EventNoPath: there is no route to the neighbor, so nothing is tried.
	EventNoPath EventKind = "noPath"
	// EventOpen: the neighbor sent its OPEN message; AS, HoldTime and RouterID are what it says.
	EventOpen EventKind = "open"
	// EventNotification: a NOTIFICATION message was sent or received; Code, Subcode and Text are what it says.
	EventNotification EventKind = "notification"
)

// Event is something that happened to a session, as bgpd logged it.
type Event struct {
	Kind EventKind `json:"kind"`
	// Peer is the neighbor as FRR's configuration names it. The log does not tell the VRF.
	Peer string `json:"peer"`
	// From and To are states.
	From string `json:"from,omitempty"`
	To   string `json:"to,omitempty"`
	// Errno is the error number of Linux.
	Errno int `json:"errno,omitempty"`
	// Text is FRR's own.
	Text string `json:"text,omitempty"`
	// AS is the one of the OPEN message, that of the capability of RFC 6793 where it has one.
	AS uint32 `json:"as,omitempty"`
	// HoldTime is what the OPEN message asks for, RouterID its BGP identifier.
	HoldTime time.Duration `json:"holdTime,omitempty"`
	RouterID string        `json:"routerID,omitempty"`
	// Sent is true for a NOTIFICATION that this node sent.
	Sent    bool  `json:"sent,omitempty"`
	Code    uint8 `json:"code,omitempty"`
	Subcode uint8 `json:"subcode,omitempty"`
}

// ParseEvent reads a message of bgpd's log. Most messages tell of no event. What the releases 8.4 to 10.3 of FRR write differs in details:
//
//	192.0.2.2 went from Idle to Connect
//	192.0.2.2 fd 25 went from Idle to Connect
//	192.0.2.2 [Event] Connect failed 111(Connection refused)
//	192.0.2.2 [FSM] Timer (connect timer (10s) expire)
//	192.0.2.2 rcv OPEN, version 4, remote-as (in open) 64513, holdtime 9, id 192.0.2.2
//	%NOTIFICATION(Hard Reset): sent to neighbor 192.0.2.2 6/10 (Cease/BFD Down) 0 bytes
//	bfd_session_status_update: neighbor 192.0.2.2 vrf default(0) bfd state Down -> Up
func ParseEvent(message string) (Event, bool) {
	if strings.HasPrefix(message, "%NOTIFICATION") {
		return parseNotification(message)
	}
	if rest, ok := strings.CutPrefix(message, "bfd_session_status_update: neighbor "); ok {
		peer, rest, _ := strings.Cut(rest, " ")
		_, states, _ := strings.Cut(rest, " bfd state ")
		from, to, ok := strings.Cut(states, " -> ")
		return Event{Kind: EventBFD, Peer: peer, From: from, To: to}, ok
	}
	peer, rest, ok := strings.Cut(message, " ")
	if !ok {
		return Event{}, false
	}
	peer, _, _ = strings.Cut(peer, "(") // some releases add the neighbor's host name
	if _, states, ok := strings.Cut(rest, "went from "); ok {
		from, to, ok := strings.Cut(states, " to ")
		return Event{Kind: EventState, Peer: peer, From: from, To: to}, ok && !strings.Contains(to, " ")
	}
	if opened, ok := strings.CutPrefix(rest, "rcv OPEN, "); ok {
		return parseOpen(peer, opened)
	}
	if failed, ok := strings.CutPrefix(rest, "[Event] Connect failed "); ok {
		number, text, _ := strings.Cut(failed, "(")
		errno, err := strconv.Atoi(number)
		text, _, _ = strings.Cut(text, ")")
		return Event{Kind: EventConnectFailed, Peer: peer, Errno: errno, Text: text}, err == nil
	}
	for _, known := range []struct {
		begin string
		kind  EventKind
	}{
		{"[Event] Connect start to ", EventConnect},
		{"[FSM] Timer (connect timer", EventConnectTimer},
		{"[FSM] Waiting for NHT", EventNoPath},
	} {
		if strings.HasPrefix(rest, known.begin) {
			return Event{Kind: known.kind, Peer: peer}, true
		}
	}
	return Event{}, false
}

// parseNotification reads a message like "%NOTIFICATION: received from neighbor 192.0.2.2 2/2 (OPEN Message Error/Bad Peer AS) 2 bytes fc 00".
func parseNotification(message string) (Event, bool) {
	_, rest, _ := strings.Cut(message, ": ")
	e := Event{Kind: EventNotification}
	if sent, ok := strings.CutPrefix(rest, "sent to neighbor "); ok {
		e.Sent, rest = true, sent
	} else if rest, ok = strings.CutPrefix(rest, "received from neighbor "); !ok {
		return Event{}, false
	}
	peer, rest, _ := strings.Cut(rest, " ")
	e.Peer, _, _ = strings.Cut(peer, "(")
	codes, rest, _ := strings.Cut(rest, " ")
	first, second, _ := strings.Cut(codes, "/")
	code, err := strconv.ParseUint(first, 10, 8)
	if err != nil {
		return Event{}, false
	}
	subcode, err := strconv.ParseUint(second, 10, 8)
	if err != nil {
		return Event{}, false
	}
	e.Code, e.Subcode = uint8(code), uint8(subcode)
	if _, words, ok := strings.Cut(rest, "("); ok {
		e.Text, _, _ = strings.Cut(words, ")")
	}
	return e, true
}

// parseOpen reads what follows "rcv OPEN, ".
func parseOpen(peer, message string) (Event, bool) {
	e := Event{Kind: EventOpen, Peer: peer}
	for part := range strings.SplitSeq(message, ", ") {
		name, value, _ := cutLast(part, " ")
		n, err := strconv.ParseUint(value, 10, 32)
		switch {
		case name == "id":
			e.RouterID = value
		case err != nil:
		case strings.HasPrefix(name, "remote-as"):
			e.AS = uint32(n)
		case name == "holdtime":
			e.HoldTime = time.Duration(n) * time.Second
		}
	}
	return e, e.AS != 0
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
