package frrdelta

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// policyChange is what route-maps and community lists need: before routers use
// them, and after nothing uses them any more.
type policyChange struct {
	first, last []Step
	// changed names the route-maps whose own entries change, relisted the others of
	// which a community list changes.
	changed, relisted map[string]bool
}

// policy orders the changes of lists and route-maps so that at no time between
// two of them an entry is missing that what is announced depends on: lists that
// an entry needs come before it; a list that decides what is permitted widens
// only after the entries for it are there and narrows before they go; what takes
// tags off knows a tag for as long as a prefix may carry it.
func (d *differ) policy() policyChange {
	c := policyChange{changed: map[string]bool{}, relisted: map[string]bool{}}
	lists := d.listChanges()
	c.first = append(c.first, lists.additions...)
	prefixLists, unused := prefixListChanges("bgpd", d.have.prefixLists, d.want.prefixLists, lists.changed)
	c.first = append(c.first, prefixLists...)
	for _, name := range sorted(d.want.maps) {
		c.first = append(c.first, d.mapEntries(name, c.changed)...)
	}
	c.first = append(c.first, lists.narrowings...)
	for _, name := range sorted(d.have.maps) {
		c.last = append(c.last, d.mapRemovals(name, c.changed)...)
	}
	c.last = append(append(c.last, lists.removals...), unused...)
	for _, config := range []*Config{d.have, d.want} {
		for name, entries := range config.maps {
			for _, e := range entries {
				for _, s := range e.lines {
					if lists.changed[s.listName()] && !c.changed[name] {
						c.relisted[name] = true
					}
				}
			}
		}
	}
	return c
}

// listName is the community list or prefix-list that a route-map line refers to.
func (s stmt) listName() string {
	w := strings.Fields(s.canon)
	switch {
	case len(w) < 3:
		return ""
	case w[0] == "match" && strings.HasSuffix(w[1], "community"), w[0] == "set" && strings.HasSuffix(w[1], "comm-list"):
		return w[2]
	case len(w) == 5 && w[0] == "match" && w[3] == "prefix-list":
		return w[4]
	}
	return ""
}

type listChange struct {
	additions, narrowings, removals []Step
	changed                         map[string]bool // by list name
}

func (d *differ) listChanges() listChange {
	c := listChange{changed: map[string]bool{}}
	deleting := d.deletingLists()
	ids := map[listID]bool{}
	for _, config := range []*Config{d.have, d.want} {
		for id := range config.lists {
			ids[id] = true
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), func(a, b listID) int { return strings.Compare(a.prefix(), b.prefix()) }) {
		have, want := d.have.lists[id], d.want.lists[id]
		var set, unset []string
		for _, seq := range slices.Sorted(maps.Keys(want)) {
			if have[seq].canon != want[seq].canon {
				if have[seq].canon != "" {
					// The number alone does not free the place in every version.
					set = append(set, have[seq].unset)
				}
				set = append(set, want[seq].set)
			}
		}
		for _, seq := range slices.Sorted(maps.Keys(have)) {
			if _, ok := want[seq]; !ok {
				unset = append(unset, have[seq].unset)
			}
		}
		if len(set)+len(unset) == 0 {
			continue
		}
		c.changed[id.name] = true
		add := func(to *[]Step, lines []string) {
			if len(lines) > 0 {
				*to = append(*to, Step{Daemon: "bgpd", Lines: lines})
			}
		}
		switch {
		case len(have) == 0 || deleting[id.name]:
			add(&c.additions, set)
			add(&c.removals, unset)
		case len(want) == 0:
			add(&c.removals, []string{"no " + id.prefix()})
		default:
			add(&c.narrowings, slices.Concat(set, unset))
		}
	}
	return c
}

// deletingLists names the lists whose communities some route-map takes off.
func (d *differ) deletingLists() map[string]bool {
	names := map[string]bool{}
	for _, config := range []*Config{d.have, d.want} {
		for _, entries := range config.maps {
			for _, e := range entries {
				for key, s := range e.lines {
					if key == "set comm-list" || key == "set large-comm-list" {
						names[s.listName()] = true
					}
				}
			}
		}
	}
	return names
}

// mapEntries makes new entries of a route-map and changes those that differ.
// Where entries move to other numbers, each is written to its new place before
// its old place is overwritten.
func (d *differ) mapEntries(name string, changed map[string]bool) []Step {
	have, want := d.have.maps[name], d.want.maps[name]
	pending := map[int]Step{}
	for seq, e := range want {
		old := have[seq]
		if old == nil {
			old = &mapEntry{}
		}
		unset, set := changes(old.lines, e.lines)
		if old.action == e.action && len(unset)+len(set) == 0 {
			continue
		}
		changed[name] = true
		place := " " + strconv.Itoa(seq)
		opener := []string{"route-map " + name + " " + e.action + place}
		if have[seq] != nil && old.action != e.action {
			// Some lines are not allowed under the other action.
			opener = []string{"no route-map " + name + " " + old.action + place, opener[0]}
			unset, set = changes(nil, e.lines)
		}
		pending[seq] = Step{Daemon: "bgpd", Lines: slices.Concat(opener, set, unset, []string{"exit"})}
	}
	var steps []Step
	for len(pending) > 0 {
		seq := nextEntry(pending, have, want)
		steps = append(steps, pending[seq])
		delete(pending, seq)
	}
	return steps
}

// nextEntry picks an entry whose old content no other pending entry is going to
// take over; the highest such. In a cycle the highest goes first.
func nextEntry(pending map[int]Step, have, want map[int]*mapEntry) int {
	seqs := slices.Sorted(maps.Keys(pending))
	slices.Reverse(seqs)
	for _, seq := range seqs {
		needed := false
		for _, other := range seqs {
			if other != seq && have[seq] != nil && have[seq].equal(want[other]) {
				needed = true
			}
		}
		if !needed {
			return seq
		}
	}
	return seqs[0]
}

func (e *mapEntry) equal(o *mapEntry) bool {
	return o != nil && e.action == o.action && maps.EqualFunc(e.lines, o.lines, func(a, b stmt) bool { return a.canon == b.canon })
}

// mapRemovals removes entries that are not wanted, or the whole route-map.
func (d *differ) mapRemovals(name string, changed map[string]bool) []Step {
	have, want := d.have.maps[name], d.want.maps[name]
	if want == nil {
		return []Step{{Daemon: "bgpd", Lines: []string{"no route-map " + name}}}
	}
	var lines []string
	for _, seq := range slices.Sorted(maps.Keys(have)) {
		if want[seq] == nil {
			lines = append(lines, "no route-map "+name+" "+have[seq].action+" "+strconv.Itoa(seq))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	changed[name] = true
	return []Step{{Daemon: "bgpd", Lines: lines}}
}

// mirror keeps the shells of the route-maps that vtysh puts into the daemon
// which manages them for zebra in step, and the prefix-lists there and in bfdd,
// because `show running-config` in vtysh shows them all.
func (d *differ) mirror() {
	daemon := "zebra"
	if m := d.running["mgmtd"]; m != nil && m.version.major >= 10 {
		daemon = "mgmtd"
	}
	shells := &differ{have: d.running[daemon].shells(), want: d.want.shells()}
	c := shells.policy()
	for _, s := range slices.Concat(c.first, c.last) {
		s.Daemon, s.Cosmetic = daemon, true
		d.out = append(d.out, s)
	}
	first, last := prefixListChanges("bfdd", d.running["bfdd"].prefixLists, d.want.prefixLists, map[string]bool{})
	for _, s := range slices.Concat(first, last) {
		s.Cosmetic = true
		d.out = append(d.out, s)
	}
}

// shells are a configuration's route-maps with only what every daemon keeps of them.
func (c *Config) shells() *Config {
	out := newConfig()
	out.prefixLists = c.prefixLists
	for name, entries := range c.maps {
		kept := map[int]*mapEntry{}
		for seq, e := range entries {
			lines := block{}
			for key, s := range e.lines {
				if key == "on-match" || key == "call" || key == "description" || strings.HasSuffix(key, " address prefix-list") {
					lines[key] = s
				}
			}
			kept[seq] = &mapEntry{action: e.action, lines: lines}
		}
		out.maps[name] = kept
	}
	return out
}
