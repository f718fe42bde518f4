package sent

import (
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// group is a range of routers that open the session themselves, and what the routes of its VRF are.
type group struct {
	neighbor *announce.Neighbor
	prefixes []announce.Prefix
}

// vacancy is that no router of a group is connected: since when, and whether that was told.
type vacancy struct {
	since   time.Time
	mourned bool
}

// takeDynamic makes what their group says what the routers that are connected are to be sent, and returns whether something is missing. Sessions of
// groups that are gone go.
func (t *Tracker) takeDynamic(doubt bool) (missing bool) {
	for key, s := range t.sessions {
		if s.group == "" {
			continue
		}
		g, ok := t.groups[frrstate.Key{VRF: key.VRF, Peer: s.group}]
		if !ok {
			delete(t.sessions, key)
			continue
		}
		if doubt {
			s.forget()
		}
		s.want(g.neighbor, g.prefixes)
		missing = missing || s.missing > 0
	}
	return missing
}

// seeDynamic takes in which routers of ranges are connected, and returns whether one has gone, or is found to be missing for the first time.
func (t *Tracker) seeDynamic(found []frrstate.Session, now time.Time) (changed bool) {
	present, occupied := map[frrstate.Key]bool{}, map[frrstate.Key]bool{}
	for i := range found {
		f := &found[i]
		of := frrstate.Key{VRF: f.VRF, Peer: f.Group}
		g, ok := t.groups[of]
		if !ok || !f.Established() {
			continue
		}
		present[f.Key], occupied[of] = true, true
		if t.sessions[f.Key] == nil {
			s := newSession(f.Key, g.neighbor)
			s.group = f.Group
			s.want(g.neighbor, g.prefixes)
			t.sessions[f.Key] = s
		}
	}
	maps.DeleteFunc(t.vacant, func(key frrstate.Key, _ *vacancy) bool { _, ok := t.groups[key]; return !ok || occupied[key] })
	for key := range t.groups {
		if t.vacant[key] == nil && !occupied[key] {
			t.vacant[key], changed = &vacancy{since: now}, true
		}
	}
	before := len(t.sessions)
	maps.DeleteFunc(t.sessions, func(key frrstate.Key, s *session) bool { return s.group != "" && !present[key] })
	return changed || len(t.sessions) < before
}

// ofRange says whether all routers of a range that are connected were sent a route for an address: what is missing at one of them counts.
func (t *Tracker) ofRange(of frrstate.Key, sessions []*session, address netip.Addr, now time.Time) Answer {
	if len(sessions) == 0 {
		a := Answer{Router: "any router of " + t.groups[of].neighbor.ListenRange.String(), Range: true}
		if v := t.vacant[of]; v != nil && now.Sub(v.since) >= grace {
			a.State = Down
		}
		return a
	}
	slices.SortFunc(sessions, func(a, b *session) int { return a.key.Compare(b.key) })
	routers := map[State][]string{}
	last := time.Time{}
	for _, s := range sessions {
		a := t.of(s, address, now)
		routers[a.State] = append(routers[a.State], a.Router)
		if a.Since.After(last) {
			last = a.Since
		}
	}
	for _, state := range []State{Unknown, NotSent, Down} {
		if len(routers[state]) > 0 {
			return Answer{State: state, Router: strings.Join(routers[state], ","), Range: true, Since: last}
		}
	}
	return Answer{State: Sent, Router: strings.Join(routers[Sent], ","), Range: true, Since: last}
}
