package announce

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// election decides, for every address that an L2Advertisement may be for, which node answers. Nothing in it depends on the node that
// computes, so all nodes with the same view of the cluster find the same owners.
type election struct {
	s *scope
	// nodes are sorted by name; self is this node's index, -1 when the cluster does not know it.
	nodes []*NodeInfo
	names []string
	self  int
	// live are the members; nil when every node counts.
	live map[string]bool
	// ads are sorted by name; pools are those looked at so far, nil for one without an advertisement.
	ads   []*intent.L2Advertisement
	pools map[string]*l2Pool
	ranks *Ranks
	// bids are sorted by Service and address, seats by address.
	bids  []bid
	seats []seat
	// key is scratch space for l2Pool.fields.
	key []byte
}

// bid is one Service's interest in one address.
type bid struct {
	svc  *Service
	addr netip.Addr
	pool *l2Pool
	// service is the place of the Service in the list of all; index is the place of the address among those of its family that layer 2 may
	// announce for the Service.
	service, index int
	seat           int
	// field is of the advertisements that match the Service; nil when the Service is refused whatever the node.
	field   *field
	refused Reason
}

// seat is one address, for which one node is to answer.
type seat struct {
	addr netip.Addr
	// bids are the places of those for this address, in order.
	bids []int
	// field is of the advertisements of all bids that are not refused; nil when all are.
	field *field
	// local are the Services with externalTrafficPolicy Local among those that are not refused.
	local []*Service
	// fitOnly tells that a node which is not impaired can answer, so that those which are do not.
	fitOnly bool
	// party is nil when neither the address nor its Service has anything to do with another.
	party *party
	index int
	// owner is the node that answers, -1 when none can.
	owner int
}

// party is a set of addresses that are connected by Services: the addresses of one Service, and of those it shares one with.
type party struct {
	// lead is the Service whose first address gives the order of the nodes.
	lead  *bid
	seats []int
	// spread tells that a Service of the party has several addresses of one family.
	spread bool
	// homes and taken count, by node, the units that are placed there: as if all nodes were alive, and as it is.
	homes, taken map[int]int
}

// newElection prepares for elections under the configuration of the scope, among the nodes and members of in.
func newElection(s *scope, in *Input) *election {
	e := &election{s: s, ads: sortedAds(in.Config.L2Advertisements), pools: map[string]*l2Pool{}, ranks: in.Ranks}
	for i := range in.Nodes {
		e.nodes = append(e.nodes, &in.Nodes[i])
	}
	slices.SortStableFunc(e.nodes, func(a, b *NodeInfo) int { return cmp.Compare(a.Name, b.Name) })
	e.nodes = slices.CompactFunc(e.nodes, func(a, b *NodeInfo) bool { return a.Name == b.Name })
	e.names = make([]string, len(e.nodes))
	for i, n := range e.nodes {
		e.names[i] = n.Name
	}
	e.self = slices.Index(e.names, in.Node)
	if in.Members != nil {
		e.live = make(map[string]bool, len(in.Members))
		for _, name := range in.Members {
			e.live[name] = true
		}
	}
	if e.ranks == nil {
		e.ranks = &Ranks{}
	}
	return e
}

func (e *election) bidsOf(at []int) func(func(*bid) bool) {
	return func(yield func(*bid) bool) {
		for _, i := range at {
			if !yield(&e.bids[i]) {
				return
			}
		}
	}
}

// elect finds the owner of every seat.
func (e *election) elect() {
	e.ranks.about(e.names, len(e.bids))
	parties := e.sit()
	var balanced []*unit
	for i := range e.seats {
		s := &e.seats[i]
		if s.party != nil || s.field == nil {
			continue
		}
		if key := e.bids[s.bids[0]].svc.Addresses[0].Unmap(); s.field.balanced {
			balanced = append(balanced, &unit{key: key, seats: []int{i}, field: s.field})
		} else {
			s.owner = e.first(s, key)
		}
	}
	for _, p := range parties {
		var hashed []*unit
		for _, u := range e.units(p) {
			if u.field.balanced {
				balanced = append(balanced, u)
			} else {
				hashed = append(hashed, u)
			}
		}
		e.follow(hashed)
	}
	e.balance(balanced)
}

// sit makes the seats out of the bids and returns the parties among them.
func (e *election) sit() []*party {
	byAddress := make([]int, len(e.bids))
	for i := range byAddress {
		byAddress[i] = i
	}
	slices.SortFunc(byAddress, func(a, b int) int {
		if c := e.bids[a].addr.Compare(e.bids[b].addr); c != 0 {
			return c
		}
		return a - b
	})
	e.seats = slices.Grow(e.seats[:0], len(e.bids))
	for from := 0; from < len(byAddress); {
		to, addr := from+1, e.bids[byAddress[from]].addr
		for to < len(byAddress) && e.bids[byAddress[to]].addr == addr {
			to++
		}
		s := seat{addr: addr, bids: byAddress[from:to:to], owner: -1}
		for c := range e.bidsOf(s.bids) {
			c.seat = len(e.seats)
			if c.field == nil {
				continue
			}
			s.field = e.union(s.field, c.field)
			if c.svc.Local {
				s.local = append(s.local, c.svc)
			}
		}
		s.fitOnly = e.hasFit(&s)
		e.seats = append(e.seats, s)
		from = to
	}
	return e.parties()
}

// parties connects the seats that Services have in common.
func (e *election) parties() []*party {
	connected := forest{}
	alone := func(i int) bool { return len(e.seats[e.bids[i].seat].bids) == 1 && !e.several(i) }
	for i := range e.seats {
		if len(e.seats[i].bids) == 1 {
			continue
		}
		for c := range e.bidsOf(e.seats[i].bids) {
			connected.join(e.bids[e.seats[i].bids[0]].service, c.service)
		}
	}
	byRoot := map[int]*party{}
	var parties []*party
	for i := range e.seats {
		s := &e.seats[i]
		if alone(s.bids[0]) {
			continue
		}
		root := connected.root(e.bids[s.bids[0]].service)
		p := byRoot[root]
		if p == nil {
			p = &party{homes: map[int]int{}, taken: map[int]int{}}
			byRoot[root] = p
			parties = append(parties, p)
		}
		s.party, p.seats = p, append(p.seats, i)
		var holder *bid
		for c := range e.bidsOf(s.bids) {
			if holder == nil || c.leads(holder) {
				holder = c
			}
		}
		s.index = holder.index
		p.spread = p.spread || s.index > 0
		if p.lead == nil || holder.leads(p.lead) {
			p.lead = holder
		}
	}
	return parties
}

// several tells whether the Service of that bid has another one.
func (e *election) several(i int) bool {
	return i > 0 && e.bids[i-1].service == e.bids[i].service || i+1 < len(e.bids) && e.bids[i+1].service == e.bids[i].service
}

// leads tells whether, of two Services that are connected, the first one's order of addresses counts: that of the Service with more of
// them, because it is the one to be spread. Equals nearly always list the same addresses; the rest is to make the choice definite.
func (c *bid) leads(o *bid) bool {
	a, b := c.svc, o.svc
	return cmp.Or(len(b.Addresses)-len(a.Addresses), a.Addresses[0].Unmap().Compare(b.Addresses[0].Unmap()),
		cmp.Compare(a.Key.Namespace, b.Key.Namespace), cmp.Compare(a.Key.Name, b.Key.Name)) < 0
}

// can tells whether a node may answer for a seat that somebody wants announced. All Services with externalTrafficPolicy Local that share the
// address must have an endpoint there, or traffic for one of them would be lost.
func (e *election) can(s *seat, node int) bool {
	if s.field.standings[node].obstacle.Code != ReasonNone || s.fitOnly && e.nodes[node].Impaired != "" {
		return false
	}
	for _, svc := range s.local {
		if svc.Endpoints.OnNode[e.nodes[node].Name] == 0 {
			return false
		}
	}
	return true
}

// hasFit tells whether impaired nodes that may answer for a seat need not, because one that is not impaired can. Where nobody else can, they do:
// an outage of the control plane that makes every node look dead must not take every address away.
func (e *election) hasFit(s *seat) bool {
	if s.field == nil || !s.field.mixed {
		return false
	}
	for node, n := range e.nodes {
		if n.Impaired == "" && e.can(s, node) {
			return true
		}
	}
	return false
}

// first is the order of MetalLB: of the candidates with the highest score the one with the lowest hash (rule L3).
func (e *election) first(s *seat, key netip.Addr) int {
	best, top := -1, s.field.best
	if s.fitOnly {
		top = s.field.bestFit
	}
	for _, n := range e.ranks.order(key) {
		node := int(n)
		if !e.can(s, node) {
			continue
		}
		if score := s.field.standings[node].score; best < 0 || score > s.field.standings[best].score {
			best = node
			if score == top {
				break
			}
		}
	}
	return best
}

// forest is a union-find over Services, by their place in the list.
type forest map[int]int

func (f forest) root(i int) int {
	for {
		up, ok := f[i]
		if !ok {
			return i
		}
		i = up
	}
}

func (f forest) join(a, b int) {
	// The lower one is the root, so that chains stay short: seats come in the order of addresses, most of which are in the order of Services.
	if a, b = f.root(a), f.root(b); a != b {
		f[max(a, b)] = min(a, b)
	}
}
