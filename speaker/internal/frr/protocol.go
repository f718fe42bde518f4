// Package frr is the client of the reloader, the program that gives FRR its
// configuration, and the home of what the two say to each other: JSON over HTTP
// on a unix socket that both containers of the pod see.
package frr

import (
	"fmt"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// How says in which way a configuration came to run.
type How string

const (
	// Unchanged: it ran already; FRR was not touched.
	Unchanged How = "unchanged"
	// Delta: the commands that lead to it were given to the running daemons.
	Delta How = "delta"
	// FullReload: FRR's own frr-reload.py loaded the whole file.
	FullReload How = "full"
)

// Ack says that a configuration runs.
type Ack struct {
	// Hash is the SHA-256, in hex, of the configuration that runs. It differs
	// from that of the configuration sent where a later one took its place, and
	// is empty where Difference is not.
	Hash string `json:"hash"`
	// Difference is what reading back shows to differ from the configuration
	// although FRR took all of it, without secrets; empty as a rule.
	Difference string `json:"difference,omitempty"`
	// How it came to run.
	How How `json:"how"`
	// Reason says why the whole file was loaded, where How is FullReload.
	Reason string `json:"reason,omitempty"`
	// Commands counts the commands that FRR was given.
	Commands int `json:"commands"`
	// Output is what FRR had to say about them, without secrets.
	Output string `json:"output,omitempty"`
	// LeftOut is the raw configuration of users that FRR refuses and that does
	// not run, in the order of the file. Hash is that of the file with it.
	LeftOut []LeftOut `json:"leftOut,omitempty"`
	// DurationMicros is the time, in microseconds, from taking up the
	// configuration until it was read back and found to run.
	DurationMicros int64 `json:"durationMicros"`
}

// LeftOut is a section of raw configuration (see package frrsnippet) that does
// not run although all the rest does.
type LeftOut struct {
	// Section is its name.
	Section string `json:"section"`
	// Words say why: FRR's own, without secrets.
	Words string `json:"words"`
	// Line is the refused line of its text, without secrets, where it could be
	// told.
	Line string `json:"line,omitempty"`
	// LineNumber counts from 1 in its text; 0 where it could not be told.
	LineNumber int `json:"lineNumber,omitempty"`
}

// String gives FRR's own words and the line they are about.
func (l LeftOut) String() string {
	switch {
	case l.LineNumber > 0:
		return fmt.Sprintf("FRR refuses line %d %q: %s", l.LineNumber, l.Line, l.Words)
	case l.Line != "":
		return fmt.Sprintf("FRR refuses %q: %s", l.Line, l.Words)
	}
	return "FRR refuses it: " + l.Words
}

// Refusal is the body of an answer to a configuration that FRR refused.
type Refusal struct {
	// Words are FRR's own, without secrets.
	Words string `json:"words"`
	// Line is the refused line of the configuration as sent, without secrets,
	// where it could be told.
	Line string `json:"line,omitempty"`
	// LineNumber counts from 1; 0 where it could not be told.
	LineNumber int `json:"lineNumber,omitempty"`
	// Hash is that of the configuration that goes on running, empty before the first.
	Hash string `json:"hash,omitempty"`
}

// Status is what the reloader knows of FRR.
type Status struct {
	// Hash of the configuration that runs, empty before the first.
	Hash string `json:"hash,omitempty"`
	// Waiting says what an apply waits for, empty when nothing is in its way.
	Waiting string `json:"waiting,omitempty"`
	// Daemons says which daemons answer.
	Daemons map[string]bool `json:"daemons"`
	// Version is FRR's, "8.4.4".
	Version string `json:"version,omitempty"`
	// LastAck is the last acknowledgement given.
	LastAck *Ack `json:"lastAck,omitempty"`
	// Drift describes a difference between what runs and what is wanted that
	// could not be repaired, without secrets.
	Drift string `json:"drift,omitempty"`
}

// EventKind is what happened to FRR.
type EventKind string

const (
	// DaemonDown: a daemon ended or stopped answering.
	DaemonDown EventKind = "daemonDown"
	// DaemonUp: a daemon is up and, where something was wanted before, runs it.
	DaemonUp EventKind = "daemonUp"
	// DriftRepaired: FRR ran something else than wanted and was put right.
	DriftRepaired EventKind = "driftRepaired"
	// DriftRemains: FRR runs something else than wanted and could not be put right.
	DriftRemains EventKind = "driftRemains"
)

// Event is something that happened to FRR without being asked for.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   EventKind `json:"kind"`
	Daemon string    `json:"daemon,omitempty"`
	// Detail is for a person, without secrets.
	Detail string `json:"detail,omitempty"`
}

// SessionEventKind is what happened to the BGP sessions, or to the following of them.
type SessionEventKind string

const (
	// SessionsFollowed: bgpd can be followed from now on; what happened before is not known.
	SessionsFollowed SessionEventKind = "followed"
	// SessionsLost: bgpd ended, and its sessions with it.
	SessionsLost SessionEventKind = "lost"
	// SessionsMissed: more happened than could be followed.
	SessionsMissed SessionEventKind = "missed"
	// SessionChanged: something happened to one session.
	SessionChanged SessionEventKind = "changed"
)

// SessionEvent is something that happened to the BGP sessions.
type SessionEvent struct {
	Time time.Time        `json:"time"`
	Kind SessionEventKind `json:"kind"`
	// Event says what happened, where Kind is SessionChanged.
	Event *frrstate.Event `json:"event,omitempty"`
}
