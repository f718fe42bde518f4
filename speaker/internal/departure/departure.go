// Package departure decides how the BGP sessions of a node end when its FRR is about to: which are closed in order, and which are left to
// graceful restart. It is pure.
package departure

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// Message is what routers are told with the NOTIFICATION Cease/Administrative Shutdown (RFC 9003) and show to their operators.
const Message = "the speaker of this node is stopped"

// bgpd is the daemon that all steps are for.
const bgpd = "bgpd"

// Orders are how the sessions of a node end.
type Orders struct {
	// Yield makes every route of the routers with sessions to close the last to be chosen. It is empty where the neighbors of those sessions
	// hold no route: then there is nothing to wait for.
	Yield []frrdelta.Step
	// Close ends sessions at once; their neighbors drop all routes. Steps do not rest on each other.
	Close []frrdelta.Step
	// Closed are the sessions that Close ends, and Kept those that are left alone: their neighbors keep the routes when the connection breaks
	// without a word, until FRR is back or the restart time is over (RFC 4724). Both are sorted.
	Closed, Kept []frrstate.Key
}

// Decide returns the orders for the sessions of a bgpd, given as it shows them, and its running configuration. With closeAll those on which
// graceful restart was negotiated are closed as well.
func Decide(running string, sessions []frrstate.Session, closeAll bool) Orders {
	var o Orders
	for _, id := range routers(running) {
		o.router(id, sessions, closeAll)
	}
	slices.SortFunc(o.Closed, frrstate.Key.Compare)
	slices.SortFunc(o.Kept, frrstate.Key.Compare)
	return o
}

// router gives the orders for one BGP instance.
func (o *Orders) router(id instance, sessions []frrstate.Session, closeAll bool) {
	var closed []frrstate.Key
	names := map[string]bool{}
	kept, holds := false, false
	ending := endingGroups(id, sessions)
	for i := range sessions {
		s := &sessions[i]
		switch {
		case s.VRF != id.vrf || !s.Established():
		case s.Restartable && !closeAll && !ending[s.Group]:
			kept = true
			o.Kept = append(o.Kept, s.Key)
		default:
			closed = append(closed, s.Key)
			// FRR lets nobody configure a neighbor that came by itself, but the group that it is of.
			names[cmp.Or(s.Group, s.Peer)] = true
			holds = holds || s.Sent() > 0
		}
	}
	if len(closed) == 0 {
		return
	}
	o.Closed = append(o.Closed, closed...)
	if holds {
		o.Yield = append(o.Yield, id.step("bgp graceful-shutdown"))
	}
	if !kept {
		o.Close = append(o.Close, id.step("bgp shutdown message "+Message))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		o.Close = append(o.Close, id.step(fmt.Sprintf("neighbor %s shutdown message %s", name, Message)))
	}
}

// endingGroups are the peer groups of dynamic neighbors of which one did not agree to graceful restart: FRR closes the sessions of all or of none.
func endingGroups(id instance, sessions []frrstate.Session) map[string]bool {
	groups := map[string]bool{}
	for i := range sessions {
		if s := &sessions[i]; s.VRF == id.vrf && s.Established() && s.Group != "" && !s.Restartable {
			groups[s.Group] = true
		}
	}
	return groups
}

// Yields tells whether a running configuration has what the steps of Yield bring about. Somebody else who configures FRR may take it back.
func (o *Orders) Yields(running string) bool {
	have := blocks(running)
	return !slices.ContainsFunc(o.Yield, func(s frrdelta.Step) bool { return !slices.Contains(have[s.Lines[0]], s.Lines[1]) })
}

// instance is a "router bgp" block.
type instance struct{ command, vrf string }

func (i instance) step(line string) frrdelta.Step {
	return frrdelta.Step{Daemon: bgpd, Lines: []string{i.command, line, "exit"}}
}

// routers lists the BGP instances of a running configuration, sorted by VRF.
func routers(running string) []instance {
	var found []instance
	for command := range blocks(running) {
		words := strings.Fields(command)
		one := instance{command: command}
		if i := slices.Index(words, "vrf"); i > 0 && i+1 < len(words) {
			one.vrf = words[i+1]
		}
		found = append(found, one)
	}
	slices.SortFunc(found, func(a, b instance) int { return cmp.Or(cmp.Compare(a.vrf, b.vrf), cmp.Compare(a.command, b.command)) })
	return found
}

// blocks maps each "router bgp" line to the lines of its block, without their indentation.
func blocks(running string) map[string][]string {
	found := map[string][]string{}
	inside := ""
	for line := range strings.Lines(running) {
		line = strings.TrimRight(line, " \r\n")
		switch {
		case strings.HasPrefix(line, "router bgp "):
			inside = line
			found[inside] = []string{}
		case !strings.HasPrefix(line, " "):
			if line != "!" {
				inside = ""
			}
		case inside != "":
			found[inside] = append(found[inside], strings.TrimSpace(line))
		}
	}
	return found
}
