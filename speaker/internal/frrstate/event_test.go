package frrstate_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

func TestGivenWhatBgpdLogsWhenParsedThenEventsOfSessionsAreRead(t *testing.T) {
	const peer = "192.0.2.2"
	state := func(from, to string) frrstate.Event {
		return frrstate.Event{Kind: frrstate.EventState, Peer: peer, From: from, To: to}
	}
	for message, want := range map[string]frrstate.Event{
		"192.0.2.2 went from Idle to Connect":                          state("Idle", "Connect"),
		"192.0.2.2 fd 25 went from OpenConfirm to Established":         state("OpenConfirm", "Established"),
		"192.0.2.2(tor) fd -1 went from Active to Idle":                state("Active", "Idle"),
		"192.0.2.2 [Event] Connect start to 192.0.2.2 fd 25":           {Kind: frrstate.EventConnect, Peer: peer},
		"192.0.2.2 [Event] Connect failed 113(No route to host)":       {Kind: frrstate.EventConnectFailed, Peer: peer, Errno: 113, Text: "No route to host"},
		"192.0.2.2 [FSM] Timer (connect timer expire)":                 {Kind: frrstate.EventConnectTimer, Peer: peer},
		"192.0.2.2 [FSM] Timer (connect timer (10s) expire)":           {Kind: frrstate.EventConnectTimer, Peer: peer},
		"192.0.2.2 [FSM] Waiting for NHT, no path to neighbor present": {Kind: frrstate.EventNoPath, Peer: peer},
		"2001:db8::2 rcv OPEN, version 4, remote-as (in open) 4200000000, holdtime 9, id 192.0.2.2": {
			Kind: frrstate.EventOpen, Peer: "2001:db8::2", AS: 4200000000, HoldTime: 9 * time.Second, RouterID: "192.0.2.2",
		},
		"%NOTIFICATION: received from neighbor 192.0.2.2 2/2 (OPEN Message Error/Bad Peer AS) 2 bytes fc 00": {
			Kind: frrstate.EventNotification, Peer: peer, Code: 2, Subcode: 2, Text: "OPEN Message Error/Bad Peer AS",
		},
		"%NOTIFICATION(Hard Reset): sent to neighbor link0 6/10 (Cease/BFD Down) 0 bytes ": {
			Kind: frrstate.EventNotification, Peer: "link0", Sent: true, Code: 6, Subcode: 10, Text: "Cease/BFD Down",
		},
		"bfd_session_status_update: neighbor 192.0.2.2 vrf default(0) bfd state Down -> Up": {
			Kind: frrstate.EventBFD, Peer: peer, From: "Down", To: "Up",
		},
	} {
		got, ok := frrstate.ParseEvent(message)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Errorf("%q: read %v (-want +got):\n%s", message, ok, diff)
		}
	}
}

func TestGivenOtherMessagesOfBgpdWhenParsedThenTheyAreNoEvents(t *testing.T) {
	for _, message := range []string{
		"", "bgpd", "192.0.2.2 [FSM] Timer (keepalive timer expire)", "192.0.2.2 rcv OPEN w/ OPTION parameter len: 66", "%NOTIFICATION: lost",
		"bgp_fsm_change_status : vrf default(0), Status: Connect established_peers 0", "%NOTIFICATION: sent to neighbor 192.0.2.2 999/1 (x)",
		"192.0.2.2 went from Idle to somewhere else", "bfd_session_status_update: neighbor 192.0.2.2", "192.0.2.2 rcv OPEN, version 4",
	} {
		if got, ok := frrstate.ParseEvent(message); ok {
			t.Errorf("%q is read as %+v, want no event", message, got)
		}
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add("%NOTIFICATION(Hard Reset): sent to neighbor link0 6/10 (Cease/BFD Down) 0 bytes ")
	f.Add("192.0.2.2 rcv OPEN, version 4, remote-as (in open) 1, holdtime 9, id 192.0.2.2")
	f.Fuzz(func(t *testing.T, message string) {
		if e, ok := frrstate.ParseEvent(message); ok && e.Kind == "" {
			t.Errorf("%q is an event of no kind", message)
		}
	})
}

// trace folds messages of one neighbor.
func trace(t *testing.T, messages ...string) frrstate.Trace {
	t.Helper()
	var trace frrstate.Trace
	for _, message := range messages {
		if e, ok := frrstate.ParseEvent("192.0.2.2 " + message); ok {
			trace = trace.After(e)
		} else if e, ok := frrstate.ParseEvent(message); ok {
			trace = trace.After(e)
		} else {
			t.Fatalf("%q is no event", message)
		}
	}
	return trace
}

func TestGivenAttemptsWhenTheirEventsAreFoldedThenTheCauseOfTheLastOneStays(t *testing.T) {
	const (
		start   = "[Event] Connect start to 192.0.2.2 fd 25"
		timer   = "[FSM] Timer (connect timer expire)"
		badAS   = "%NOTIFICATION: received from neighbor 192.0.2.2 2/2 (OPEN Message Error/Bad Peer AS) 2 bytes fc 00"
		strange = "%NOTIFICATION: sent to neighbor 192.0.2.2 5/1 (Neighbor Events Error/Receive Unexpected Message in OpenSent State) 0 bytes "
	)
	refused := frrstate.Cause{Notification: &frrstate.Notification{Code: 2, Subcode: 2, Text: "OPEN Message Error/Bad Peer AS"}}
	for name, c := range map[string]struct {
		messages []string
		want     frrstate.Cause
	}{
		"nothing":                         {nil, frrstate.Cause{}},
		"an attempt that goes on":         {[]string{start, "went from Idle to Connect"}, frrstate.Cause{}},
		"refused, and what follows":       {[]string{start, "went from Connect to OpenSent", badAS, strange, "went from OpenSent to Idle"}, refused},
		"the next attempt has not ended":  {[]string{start, badAS, "went from OpenSent to Idle", start, "went from Idle to Connect", "went from Connect to OpenSent"}, refused},
		"no answer":                       {[]string{start, "went from Idle to Connect", timer}, frrstate.Cause{NoAnswer: true}},
		"waiting for the next attempt":    {[]string{start, "[Event] Connect failed 111(Connection refused)", "went from Connect to Active", timer}, frrstate.Cause{Errno: 111, Text: "Connection refused"}},
		"no answer, and events were lost": {[]string{"[FSM] Waiting for NHT, no path to neighbor present", "went from Connect to Active", start, timer}, frrstate.Cause{NoAnswer: true}},
		"failed, and events were lost":    {[]string{start, "[Event] Connect failed 111(Connection refused)", timer}, frrstate.Cause{Errno: 111, Text: "Connection refused"}},
		"closed":                          {[]string{start, "went from Connect to OpenSent", "went from OpenSent to Active"}, frrstate.Cause{Closed: true}},
		"up":                              {[]string{start, badAS, start, "went from OpenConfirm to Established"}, frrstate.Cause{}},
		"down after it was up":            {[]string{"went from OpenConfirm to Established", badAS, "went from Established to Clearing"}, refused},
	} {
		got := trace(t, c.messages...)
		if diff := cmp.Diff(c.want, got.Cause, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
