package frrdelta

import (
	"maps"
	"slices"
	"strings"
)

// routers removes, changes and makes `router bgp` blocks and their neighbors.
// A new neighbor becomes active as the very last, with its policy in place. That
// of a new router finds all prefixes: a neighbor that kept those of a run before
// drops what the first updates lack (RFC 4724, End-of-RIB).
func (d *differ) routers() {
	d.removedRouters()
	for _, id := range d.routerIDs() {
		r, old := d.want.routers[id], d.have.routers[id]
		fresh := old == nil
		if fresh {
			old = newRouter()
		}
		unset, set := changes(old.settings, r.settings)
		closed, opened := rangeChanges(old, r)
		if lines := slices.Concat(closed, unset, set); fresh || len(lines) > 0 {
			d.inRouter(id, lines)
		}
		if fresh {
			d.networksOf(id, old, r, nil)
		}
		kept, begins := d.sessions(id, old, r)
		starts := map[string][]string{}
		for _, name := range familyNames(old, r) {
			d.family(id, name, old, r, kept, starts)
		}
		for peer, line := range begins {
			starts[peer] = slices.Concat([]string{line}, starts[peer])
		}
		for _, peer := range sorted(starts) {
			d.inRouter(id, starts[peer])
		}
		if len(opened) > 0 {
			d.inRouter(id, opened)
		}
	}
}

// rangeChanges lists what stops and what starts that sessions are accepted from
// ranges. Those of a group that is made anew are closed while that is done, and
// none is open before the policy of its group is in place. Another
// password closes none: FRR gives it to the routers that are connected, which it
// would forget otherwise, and keep the password that they had.
func rangeChanges(old, r *router) (closed, opened []string) {
	stays := func(l listenRange) bool {
		was, now := old.neighbors[l.group], r.neighbors[l.group]
		return old.ranges[l.prefix] == l && r.ranges[l.prefix] == l && was != nil && now != nil && was.sameAs(now, l.group)
	}
	for _, l := range old.ranges {
		if !stays(l) {
			closed = append(closed, l.unset())
		}
	}
	for _, l := range r.ranges {
		if !stays(l) {
			opened = append(opened, l.set())
		}
	}
	slices.Sort(closed)
	slices.Sort(opened)
	return closed, opened
}

func (d *differ) inRouter(id routerID, lines []string) {
	d.step("bgpd", slices.Concat([]string{id.command()}, lines, []string{"exit"})...)
}

// removedRouters takes away blocks, those of VRFs first: bgpd keeps the default
// instance while others depend on it.
func (d *differ) removedRouters() {
	var lines []string
	for id := range d.have.routers {
		if d.want.routers[id] == nil {
			lines = append(lines, "no "+id.command())
		}
	}
	slices.SortFunc(lines, func(a, b string) int {
		if va, vb := strings.Contains(a, " vrf "), strings.Contains(b, " vrf "); va != vb {
			if va {
				return -1
			}
			return 1
		}
		return strings.Compare(a, b)
	})
	d.step("bgpd", lines...)
}

// sessions removes, changes and makes neighbors without making them active. It
// returns the names of those that stay as they are or change in place, and the line
// by which the session of each other begins, which belongs to those that make it
// active.
func (d *differ) sessions(id routerID, old, r *router) (kept map[string]bool, begins map[string]string) {
	kept, begins = map[string]bool{}, map[string]string{}
	for _, name := range sorted(old.neighbors) {
		was, now := old.neighbors[name], r.neighbors[name]
		if now != nil && was.sameAs(now, name) {
			kept[name] = true
			continue
		}
		d.inRouter(id, []string{was.remove(name)})
	}
	for _, name := range sorted(r.neighbors) {
		n := r.neighbors[name]
		if !kept[name] {
			settings := maps.Clone(n.session)
			if timer, ok := settings[connectTimer]; ok {
				delete(settings, connectTimer)
				begins[name] = timer.set
			}
			_, set := changes(nil, settings)
			d.inRouter(id, slices.Concat(n.create(name), set))
			continue
		}
		unset, set := changes(old.neighbors[name].session, n.session)
		if len(unset)+len(set) > 0 {
			d.inRouter(id, slices.Concat(unset, set))
		}
	}
	return kept, begins
}

// connectTimer is the setting that opens a session, as soon as bgpd has carried out
// what it was sent in one go, also where no address family is active by then (FRR,
// bgpd/bgpd.c, peer_timers_connect_set): the router would be told of none, and the
// session would have to be opened anew. After activate it would stop what that began,
// and the session would be opened a second later.
const connectTimer = "timers connect"

// family changes what a neighbor does in an address family: it stops being
// active first, its policy changes next. The lines by which it becomes active are
// added to starts: it must in all families at once, as a session that opens
// without one of them is reset for it.
func (d *differ) family(id routerID, name string, old, r *router, kept map[string]bool, starts map[string][]string) {
	have, want := old.families[name].peers(), r.families[name].peers()
	peers := map[string]bool{}
	for peer := range want {
		peers[peer] = true
	}
	for peer := range have {
		if kept[peer] {
			peers[peer] = true
		}
	}
	var do stages
	for _, peer := range sorted(peers) {
		before := have[peer]
		if r.neighbors[peer] != nil && !kept[peer] {
			before = nil // it was made anew
		}
		unset, set := changes(before, want[peer])
		if start := do.add(slices.Concat(unset, set)); len(start) > 0 {
			starts[peer] = slices.Concat(starts[peer], []string{"address-family " + name}, start, []string{"exit-address-family"})
		}
	}
	lines := slices.Concat(do.stop, do.policy)
	if len(lines) == 0 {
		return
	}
	d.step("bgpd", slices.Concat([]string{id.command(), "address-family " + name}, lines, []string{"exit-address-family", "exit"})...)
}

// stages are the lines of an address family in the order in which they are sent.
type stages struct{ stop, policy []string }

// add takes the lines of one neighbor and returns those that come when all else is
// there.
func (s *stages) add(lines []string) (start []string) {
	var late []string
	for _, line := range lines {
		switch {
		case strings.HasSuffix(line, " activate") && strings.HasPrefix(line, "no "):
			s.stop = append(s.stop, line)
		case strings.HasSuffix(line, " activate"):
			start = append(start, line)
		case strings.HasPrefix(line, "no ") && (strings.Contains(line, " route-map ") || strings.Contains(line, " prefix-list ")):
			late = append(late, line) // a filter goes when the new one is there
		default:
			s.policy = append(s.policy, line)
		}
	}
	s.policy = append(s.policy, late...)
	return start
}
