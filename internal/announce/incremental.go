package announce

import (
	"net/netip"
	"slices"
)

// Incremental computes for one node under one configuration, again and again as Services come, change and go. It remembers what it found for
// each Service, so that a call costs little more than what changed since the one before.
type Incremental struct {
	scope *scope
	// bgp has no prefixes.
	bgp BGP
	// services are those of the last call, outcomes what was decided on each.
	services []*Service
	outcomes [][]decided
	// spare is memory for the next outcomes.
	spare [][]decided
	// routes are what each router originates.
	routes []routes
	// needed are the variants for which neighbors have policies at present, besides the usual ones.
	needed []*variant
	layer2 *layer2
}

// NewIncremental returns one for what in says of the node, the cluster's nodes and the configuration. in.Services is not looked at.
func NewIncremental(in Input) *Incremental {
	in.Services = nil
	s := newScope(&in)
	n := &Incremental{scope: s, bgp: s.bgp(), layer2: newLayer2(s, &in)}
	n.routes = make([]routes, len(n.bgp.Routers))
	for i := range n.routes {
		n.routes[i] = routes{scope: s, claims: map[netip.Prefix]claims{}, prefixes: []Prefix{}}
	}
	return n
}

// Compute returns what Compute does for these Services, which are sorted by key. A Service at the address where there was one in the
// last call is taken for unchanged.
func (n *Incremental) Compute(services []*Service) Node {
	now := n.spare[:0]
	count, old := 0, n.services
	for i, j := 0, 0; i < len(old) || j < len(services); {
		order := 0
		switch {
		case i == len(old):
			order = 1
		case j == len(services):
			order = -1
		case old[i] != services[j]:
			order = byKey(old[i], services[j])
		default:
			now = append(now, n.outcomes[i])
			count += len(n.outcomes[i])
			i, j = i+1, j+1
			continue
		}
		if order <= 0 {
			n.carry(n.outcomes[i], (*routes).release)
			i++
		}
		if order >= 0 {
			outcome := n.scope.decide(services[j])
			n.carry(outcome, (*routes).claim)
			now = append(now, outcome)
			count += len(outcome)
			j++
		}
	}
	clear(n.outcomes)
	n.services, n.outcomes, n.spare = services, now, n.outcomes
	node := n.node(count)
	n.layer2.compute(services, &node)
	return node
}

// See replaces what is known of the surroundings on layer 2: in.Members, in.Quorate, and of in.Nodes what their speakers gossip and whether
// they are impaired. The rest of in is as it was for NewIncremental.
func (n *Incremental) See(in Input) {
	before := n.layer2
	n.layer2 = newLayer2(n.scope, &in)
	n.layer2.said = before.said
	if e := n.layer2.e; e != nil && before.e != nil {
		e.bids, e.seats = before.e.bids, before.e.seats // as memory only
	}
}

// carry claims or releases the prefixes of an outcome.
func (n *Incremental) carry(outcome []decided, act func(*routes, netip.Prefix, *route)) {
	for i := range outcome {
		d := &outcome[i]
		if d.plan == nil {
			continue
		}
		for k := range d.plan.routes {
			r := &d.plan.routes[k]
			prefix, _ := d.Address.Prefix(r.bits) // r.bits fits the family
			act(&n.routes[r.router], prefix, r)
		}
	}
}

// node puts together what was decided.
func (n *Incremental) node(verdicts int) Node {
	node := Node{BGP: n.bgp, Verdicts: make([]*Verdict, 0, verdicts)}
	node.BGP.Routers = slices.Clone(n.bgp.Routers)
	for i := range n.routes {
		node.BGP.Routers[i].Prefixes = n.routes[i].settle()
	}
	n.equip(&node.BGP)
	for _, outcome := range n.outcomes {
		for i := range outcome {
			node.Verdicts = append(node.Verdicts, &outcome[i].Verdict)
		}
	}
	return node
}

// equip gives the neighbors the policies for the variants that prefixes carry. While those are the same the neighbors stay what they were.
func (n *Incremental) equip(bgp *BGP) {
	needed := n.scope.needed(bgp.Routers)
	if slices.Equal(needed, n.needed) {
		return
	}
	n.needed = needed
	for i := range bgp.Routers {
		neighbors := slices.Clone(bgp.Routers[i].Neighbors)
		for k := range neighbors {
			neighbors[k].Policies = n.scope.policies(neighbors[k].Name, needed)
		}
		bgp.Routers[i].Neighbors, n.bgp.Routers[i].Neighbors = neighbors, neighbors
	}
}

// routes are the prefixes that one router originates, with how many addresses ask for each.
type routes struct {
	scope  *scope
	claims map[netip.Prefix]claims
	// touched are the prefixes whose claims changed since prefixes was made.
	touched  []netip.Prefix
	prefixes []Prefix
}

// claims are the routes of plans that produce one prefix. As a rule it is one: an aggregate of many addresses, or one address alone.
type claims struct {
	first claim
	more  []claim
}

// claim is a route and for how many addresses it produces the prefix.
type claim struct {
	route *route
	count int
}

func (r *routes) claim(prefix netip.Prefix, by *route)   { r.change(prefix, by, 1) }
func (r *routes) release(prefix netip.Prefix, by *route) { r.change(prefix, by, -1) }

func (r *routes) change(prefix netip.Prefix, by *route, count int) {
	all := r.claims[prefix]
	was := all.first.count
	switch {
	case all.first.count == 0 || all.first.route == by:
		all.first.route, all.first.count = by, was+count
	default:
		all.more = change(all.more, by, count)
	}
	if all.first.count == 0 && len(all.more) > 0 {
		all.first, all.more = all.more[0], all.more[1:]
	}
	if all.first.count == 0 {
		delete(r.claims, prefix)
	} else {
		r.claims[prefix] = all
	}
	// While others produce the prefix by the same route nothing changes for it.
	if was == 0 || all.first.route != by || all.first.count == 0 || len(all.more) > 0 {
		r.touched = append(r.touched, prefix)
	}
}

// change counts in a list of its own.
func change(list []claim, by *route, count int) []claim {
	list = slices.Clone(list)
	i := slices.IndexFunc(list, func(c claim) bool { return c.route == by })
	if i < 0 {
		return append(list, claim{by, count})
	}
	if list[i].count += count; list[i].count == 0 {
		list = slices.Delete(list, i, i+1)
	}
	return list
}

// tags returns the tags of every route that produces the prefix (rule B2). It never writes to a list of tags, which many prefixes share.
func (c *claims) tags(s *scope) []Tag {
	tags := c.first.route.tags
	if len(c.more) == 0 {
		return tags
	}
	for _, other := range c.more {
		if !slices.Equal(tags, other.route.tags) {
			tags = unite(tags, other.route.tags)
		}
	}
	return s.reconcile(tags)
}

// settle returns the sorted prefixes with their tags. Earlier results stay as they are.
func (r *routes) settle() []Prefix {
	if len(r.touched) == 0 {
		return r.prefixes
	}
	slices.SortFunc(r.touched, compare)
	touched, old := slices.Compact(r.touched), r.prefixes
	now := make([]Prefix, 0, len(old)+len(touched))
	for _, prefix := range touched {
		at, known := slices.BinarySearchFunc(old, prefix, func(p Prefix, prefix netip.Prefix) int { return compare(p.Prefix, prefix) })
		now = append(now, old[:at]...)
		if known {
			at++
		}
		old = old[at:]
		if all, wanted := r.claims[prefix]; wanted {
			now = append(now, Prefix{Prefix: prefix, Tags: all.tags(r.scope)})
		}
	}
	r.prefixes, r.touched = append(now, old...), r.touched[:0]
	return r.prefixes
}
