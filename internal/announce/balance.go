package announce

import (
	"cmp"
	"math"
	"slices"
)

// balance places units so that the nodes have equally many (docs/decisions/l2-placement.md says why so).
//
// Every unit first gets a home among the nodes that are meant to announce, alive or not; then those whose home cannot announce now are
// spread over the nodes that can. Homes do not depend on who is alive, so a node that leaves moves only what it had, and gets the same back.
func (e *election) balance(units []*unit) {
	if len(units) == 0 {
		return
	}
	slices.SortFunc(units, func(a, b *unit) int { return a.seats[0] - b.seats[0] })
	groups := group(units)
	load := make([]int, len(e.nodes))
	for _, g := range groups {
		f := g[0].field
		l := e.levelOf(f, load, len(g), func(node int) bool { return f.standings[node].placed })
		for _, u := range g {
			u.home = e.choose(u, load, &l, u.homes(), func(node int) bool { return f.standings[node].placed })
			if u.party != nil && u.home >= 0 {
				u.party.homes[u.home]++
			}
		}
	}
	clear(load)
	for i, g := range groups {
		groups[i] = slices.DeleteFunc(g, func(u *unit) bool {
			if u.home < 0 || !e.unitCan(u, u.home) || !e.admits(u.home, u) {
				return false
			}
			load[u.home]++
			e.settle(u, u.home)
			return true
		})
	}
	for _, g := range groups {
		e.spread(g, load)
	}
}

// group returns the units by field: those with fewest nodes first, because they have least choice.
func group(units []*unit) [][]*unit {
	byField := map[*field][]*unit{}
	for _, u := range units {
		byField[u.field] = append(byField[u.field], u)
	}
	groups := make([][]*unit, 0, len(byField))
	for _, g := range byField {
		groups = append(groups, g)
	}
	slices.SortFunc(groups, func(a, b []*unit) int {
		return cmp.Or(a[0].field.size()-b[0].field.size(), a[0].seats[0]-b[0].seats[0])
	})
	return groups
}

// size is the number of nodes that are meant to announce.
func (f *field) size() int {
	n := 0
	for i := range f.standings {
		if f.standings[i].placed {
			n++
		}
	}
	return n
}

// spread places units of one field, whose homes cannot announce, at nodes that can. Nodes that are coming back, and those that are impaired, take
// part only if there is nobody else.
func (e *election) spread(units []*unit, load []int) {
	if len(units) == 0 {
		return
	}
	f := units[0].field
	open := func(node int) bool {
		n := e.nodes[node]
		return f.standings[node].obstacle.Code == ReasonNone && n.Withheld == 0 && !(f.mixed && n.Impaired != "")
	}
	l := e.levelOf(f, load, len(units), open)
	for _, u := range units {
		node := e.choose(u, load, &l, u.taken(), func(node int) bool { return open(node) && e.unitCan(u, node) })
		if node < 0 {
			node = e.choose(u, load, &level{top: math.MaxInt}, u.taken(), func(node int) bool { return e.unitCan(u, node) })
		}
		e.settle(u, node)
	}
}

// unitCan tells whether a node may answer for all addresses of a unit.
func (e *election) unitCan(u *unit, node int) bool {
	for _, i := range u.seats {
		if !e.can(&e.seats[i], node) {
			return false
		}
	}
	return true
}

// admits tells whether a node takes the unit that belongs to it, or leaves it to the others as yet.
func (e *election) admits(node int, u *unit) bool {
	n := e.nodes[node]
	return n.Withheld <= 0 || shareOf(n.Name, u.key) >= n.Withheld
}

// settle makes a node the owner of a unit, -1 if no node can have all of it. Addresses for which the node is no candidate go each to a
// candidate of their own.
func (e *election) settle(u *unit, node int) {
	if u.party == nil {
		e.seats[u.seats[0]].owner = node
		return
	}
	for _, i := range u.seats {
		s := &e.seats[i]
		if e.take(u, s, node); s.owner < 0 {
			e.take(u, s, e.fewest(s, u.party, e.placed(s.field, u.key)))
		}
	}
}

// homes counts the homes of the unit's party by node; taken the places.
func (u *unit) homes() map[int]int {
	if u.party == nil {
		return nil
	}
	return u.party.homes
}

func (u *unit) taken() map[int]int {
	if u.party == nil {
		return nil
	}
	return u.party.taken
}

// choose returns the node for a unit and adds the unit to the node's load: of the nodes that may have it those with fewest of the unit's
// party, of these those with the highest score, of these one below the level, or else one with the least load; in the order of the hash.
func (e *election) choose(u *unit, load []int, l *level, party map[int]int, may func(node int) bool) int {
	best := -1
	for _, n := range e.ranks.order(u.key) {
		node := int(n)
		if !may(node) {
			continue
		}
		if best < 0 || u.prefers(node, best, load, l, party) {
			best = node
		}
		if party[best] == 0 && u.field.standings[best].score >= l.top && l.room(load[best]) {
			break // none is better
		}
	}
	if best < 0 {
		return -1
	}
	if load[best] == l.full {
		l.extra--
	}
	load[best]++
	return best
}

// prefers tells whether a is a better place than b, which comes first in the order of the hash.
func (u *unit) prefers(a, b int, load []int, l *level, party map[int]int) bool {
	if party[a] != party[b] {
		return party[a] < party[b]
	}
	if x, y := u.field.standings[a].score, u.field.standings[b].score; x != y {
		return x > y
	}
	if l.room(load[b]) {
		return false
	}
	return l.room(load[a]) || load[a] < load[b]
}

// level is how high the loads of the nodes with the score top rise when more is spread evenly over them: all to full, extra of them one higher.
type level struct{ full, extra, top int }

func (l *level) room(load int) bool { return load < l.full || load == l.full && l.extra > 0 }

// levelOf returns the level for that many more units of a field on those of its nodes that have the highest score.
func (e *election) levelOf(f *field, load []int, more int, may func(node int) bool) level {
	var loads []int
	top := 0
	for node := range e.nodes {
		if !may(node) {
			continue
		}
		switch score := f.standings[node].score; {
		case len(loads) == 0 || score > top:
			top, loads = score, append(loads[:0], load[node])
		case score == top:
			loads = append(loads, load[node])
		}
	}
	if len(loads) == 0 {
		return level{}
	}
	slices.Sort(loads)
	// sum is what the lowest nodes have; they rise together until they meet the next.
	sum := more
	for i, l := range loads {
		sum += l
		if i+1 == len(loads) || sum <= loads[i+1]*(i+1) {
			return level{full: sum / (i + 1), extra: sum % (i + 1), top: top}
		}
	}
	return level{}
}
