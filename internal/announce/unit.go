package announce

import (
	"net/netip"
	"slices"
)

// unit is what one node answers for together: one address, or the addresses with the same place in their families' lists.
type unit struct {
	// party is nil for an address that has nothing to do with another.
	party *party
	// index is the place in the lists.
	index int
	// key is the address that is hashed where the unit is placed by itself.
	key   netip.Addr
	seats []int
	// field is of the first seat.
	field *field
	// home is where the unit belongs if all nodes are alive, -1 if nowhere.
	home int
	// at is where an address of it was placed last, -1 before.
	at int
}

// units returns the party's, sorted by index. Addresses that nobody wants announced are left out.
func (e *election) units(p *party) []*unit {
	seats := slices.DeleteFunc(slices.Clone(p.seats), func(i int) bool { return e.seats[i].field == nil })
	slices.SortStableFunc(seats, func(a, b int) int { return e.seats[a].index - e.seats[b].index })
	var units []*unit
	for _, i := range seats {
		s := &e.seats[i]
		if last := len(units) - 1; last >= 0 && units[last].index == s.index {
			units[last].seats = append(units[last].seats, i)
			continue
		}
		u := &unit{party: p, index: s.index, key: s.addr, seats: []int{i}, field: s.field, at: -1}
		if s.index == 0 {
			u.key = p.key()
		}
		units = append(units, u)
	}
	return units
}

// key is the address that is hashed for the whole party: the first one of the leading Service, as MetalLB does.
func (p *party) key() netip.Addr { return p.lead.svc.Addresses[0].Unmap() }

// follow places units of one party each at its turn in the order of the party's nodes: the first addresses at the first node, the second
// ones at the second, and so on, starting again where there are more addresses than nodes.
//
// Turns are counted over all nodes that are meant to announce, alive or not, so that a node that leaves takes only its own turn with it.
// What was there goes to the first candidate of those with fewest of the party.
func (e *election) follow(units []*unit) {
	for _, u := range units {
		for _, i := range u.seats {
			s := &e.seats[i]
			if order := e.placed(s.field, u.party.key()); len(order) > 0 {
				e.take(u, s, order[u.index%len(order)])
			}
		}
	}
	for _, u := range units {
		for _, i := range u.seats {
			if s := &e.seats[i]; s.owner < 0 {
				e.take(u, s, e.fewest(s, u.party, e.placed(s.field, u.party.key())))
			}
		}
	}
}

// take makes the node of the rest of the unit the owner of a seat, or else that node, if it can be.
func (e *election) take(u *unit, s *seat, node int) {
	switch {
	case u.at >= 0 && e.can(s, u.at):
		s.owner = u.at
	case node >= 0 && e.can(s, node):
		s.owner, u.at = node, node
		u.party.taken[node]++
	}
}

// placed returns the nodes that are meant to announce: highest score first, then in the order of the hash.
func (e *election) placed(f *field, key netip.Addr) []int {
	order := make([]int, 0, len(e.nodes))
	for _, n := range e.ranks.order(key) {
		if f.standings[n].placed {
			order = append(order, int(n))
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return f.standings[b].score - f.standings[a].score })
	return order
}

// fewest returns the first candidate of those with fewest units of the party, -1 when there is no candidate.
func (e *election) fewest(s *seat, p *party, order []int) int {
	best := -1
	for _, node := range order {
		if e.can(s, node) && (best < 0 || p.taken[node] < p.taken[best]) {
			best = node
		}
	}
	return best
}
