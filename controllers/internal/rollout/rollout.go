// Package rollout decides in which order the speakers of a cluster are brought to a wanted version, so that routes and traffic outlast it. It is
// pure: from the same values follow the same decisions, and what was begun is among the values.
package rollout

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Way is what it takes to bring a node's speaker to the wanted version.
type Way uint8

const (
	// Nothing: it is of that version.
	Nothing Way = iota
	// InPlace: images are changed in the running pod, of containers that can end while FRR runs on.
	InPlace
	// Replace: the pod is deleted, and with it FRR; the next one is of the wanted version.
	Replace
)

// Health is how a node's speaker fares.
type Health uint8

const (
	// Ready: all of its containers are.
	Ready Health = iota
	// Unready: it starts, ends, fails or is not there.
	Unready
	// Away: its node cannot be reached, so that nothing is known of it and nothing can be done.
	Away
)

// Speaker is what there is on one node.
type Speaker struct {
	Node   string
	Way    Way
	Health Health
	// Ending says that the pod is being deleted.
	Ending bool
	// Why says in words why it is not ready.
	Why string
	// ReadySince is when it last became ready.
	ReadySince time.Time
	// Begun is what was noted when its update began, nil where none did or its end was seen.
	Begun *Begun
	// Sessions are the BGP sessions that the node reports.
	Sessions []Session
}

// Session is a BGP session of a node.
type Session struct {
	// Name tells it apart from the others of the node; people read it.
	Name string
	// Up says that it is established.
	Up bool
}

// Begun is what is noted of a node before its update begins.
type Begun struct {
	// Broken says that its speaker was not ready then: it is not the update's fault when it is not ready after.
	Broken bool
	// Sessions are the names of those that were up.
	Sessions []string
}

// Limits are the user's.
type Limits struct {
	// Unavailable is how many speakers may be missing at a time; less than 1 counts as 1.
	Unavailable int
	// SessionWait is how long after a speaker became ready its sessions are waited for.
	SessionWait time.Duration
}

// Input is all that counts.
type Input struct {
	// Speakers are those of all nodes, at most one each, in any order: also of nodes whose update has begun and that have no pod just now.
	Speakers []Speaker
	// Absent is how many more speakers are wanted and are not there.
	Absent int
	Limits Limits
	Now    time.Time
}

// Plan is what is to be done and to be said. All lists are sorted by node.
type Plan struct {
	// Begin are the updates to begin now.
	Begin []Step
	// Done are nodes of which what was noted can be forgotten.
	Done []string
	// Waits are nodes that hold up others, and why.
	Waits []Note
	// Overdue are nodes whose sessions are not all back in time, and that are not waited for any longer.
	Overdue []Note
	// Held are nodes that hold up others until somebody acts: no session has come back.
	Held []Note
	// LookAgain is when the same values may lead to another decision, as a time to wait; 0 is never.
	LookAgain time.Duration
}

// Step is an update to begin.
type Step struct {
	Node string
	Way  Way
	// Note is what to note of the node before.
	Note Begun
}

// Note is something about a node.
type Note struct{ Node, Why string }

// Decide says what to do next.
//
// A speaker that is not of the wanted version and not ready is updated at once: it cannot get worse, and after a version that does not start
// it is the way back. Of the others no more are begun than may be missing beside those that are missing already. A node is missing until its
// pod is ready and those sessions are up that were up before. Nodes that cannot be reached neither count nor hold up others.
func Decide(in Input) Plan {
	speakers := slices.Clone(in.Speakers)
	slices.SortFunc(speakers, func(a, b Speaker) int { return cmp.Compare(a.Node, b.Node) })
	var p Plan
	missing := max(0, in.Absent)
	var ready []Speaker
	for _, s := range speakers {
		switch {
		case s.Health == Away:
			if s.Begun != nil {
				p.Done = append(p.Done, s.Node)
			}
		case s.Way != Nothing && s.Health == Unready && !s.Ending:
			missing++
			p.begin(s)
		case s.Way != Nothing && s.Health == Ready:
			ready = append(ready, s)
		case p.holds(s, in):
			missing++
		}
	}
	// What was noted and not begun comes first: whoever noted it may have ended before it could begin.
	slices.SortStableFunc(ready, func(a, b Speaker) int { return cmp.Compare(notBegun(a), notBegun(b)) })
	for _, s := range ready {
		if missing >= max(1, in.Limits.Unavailable) {
			break
		}
		missing++
		p.begin(s)
	}
	slices.SortFunc(p.Begin, func(a, b Step) int { return cmp.Compare(a.Node, b.Node) })
	return p
}

func notBegun(s Speaker) int {
	if s.Begun != nil {
		return 0
	}
	return 1
}

// begin has the update of a node begin. What was noted before stays: it is from when the node was last well.
func (p *Plan) begin(s Speaker) {
	note := Begun{Broken: s.Health != Ready}
	if s.Begun != nil {
		note = *s.Begun
	} else {
		for _, session := range s.Sessions {
			if session.Up {
				note.Sessions = append(note.Sessions, session.Name)
			}
		}
		slices.Sort(note.Sessions)
	}
	p.Begin = append(p.Begin, Step{Node: s.Node, Way: s.Way, Note: note})
}

// holds says whether a speaker with which there is nothing to do holds up the others, and plans what follows from how far it is.
func (p *Plan) holds(s Speaker, in Input) bool {
	switch {
	case s.Health != Ready && s.Begun != nil && s.Begun.Broken:
		return false // it was so before
	case s.Health != Ready:
		p.Waits = append(p.Waits, Note{s.Node, s.Why})
		return true
	case s.Begun == nil:
		return false
	}
	back, down, unknown := s.compare()
	if len(down)+len(unknown) == 0 {
		p.Done = append(p.Done, s.Node)
		return false
	}
	missing := strings.Join(slices.Concat(down, unknown), ", ")
	if left := s.ReadySince.Add(in.Limits.SessionWait).Sub(in.Now); left > 0 {
		p.Waits = append(p.Waits, Note{s.Node, "BGP sessions that were up before the update are not yet: " + missing})
		if p.LookAgain == 0 || left < p.LookAgain {
			p.LookAgain = left
		}
		return true
	}
	limit := in.Limits.SessionWait
	if back == 0 && len(down) > 0 {
		// This is how a version looks that does not get on with the routers, and not one session of many that fails meanwhile.
		note := Note{s.Node, fmt.Sprintf("none of the BGP sessions that were up before the update is %s after it: %s", limit, missing)}
		p.Waits, p.Held = append(p.Waits, note), append(p.Held, note)
		return true
	}
	p.Overdue = append(p.Overdue, Note{s.Node, fmt.Sprintf("BGP sessions that were up before the update are not %s after it: %s", limit, missing)})
	p.Done = append(p.Done, s.Node)
	return false
}

// compare looks for the sessions that were up before the update: how many are, which are not, and which the node does not report, as when the
// BGPPeer was deleted meanwhile.
func (s Speaker) compare() (back int, down, unknown []string) {
	now := make(map[string]bool, len(s.Sessions))
	for _, session := range s.Sessions {
		now[session.Name] = session.Up
	}
	for _, name := range s.Begun.Sessions {
		switch up, known := now[name]; {
		case up:
			back++
		case known:
			down = append(down, name)
		default:
			unknown = append(unknown, name)
		}
	}
	slices.Sort(down)
	slices.Sort(unknown)
	return back, down, unknown
}
