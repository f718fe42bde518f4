package ipam

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
)

// Ledger is the account of which Service has which addresses, and of what is free in the pools. The API is the memory: a Ledger is built
// from the Services' status and then kept up to date. It is not safe for concurrent use.
//
// The addresses of a Service are its own whatever becomes of the pools: a pool that shrinks or goes away takes nothing from anybody.
type Ledger struct {
	pools  []*pool // by name
	byName map[string]*pool
	pinned []*pool // those with an Allocation, by priority, then name (rules A5, A7)
	ranges []rangeOwner

	strict []*pool // those of pinned that are strict
	// abandoned are the pools that were deleted with the user's leave to lose their addresses.
	abandoned map[string]bool

	claims map[ServiceKey]*Claim
	uses   map[netip.Addr]*use
	groups map[groupKey]*group

	// reserved has the reservation of each address, reservations those for each Service, and for each namespace under a key without a name.
	reserved     map[netip.Addr]*reservation
	reservations map[ServiceKey]*reservations
	// foreign says to whom addresses belong that are nobody's of the Services.
	foreign map[netip.Addr]string
	quotas  quotas
	// spent is how many addresses the Services of each namespace have.
	spent map[string]*spending
}

// pool is a Pool with its accounts.
type pool struct {
	Pool
	spaces []*space // in the order of Ranges
	v4, v6 account
	// services counts the Services that have an address of the pool.
	services int
}

// rangeOwner finds the pool and the space of an address.
type rangeOwner struct {
	space *space
	index int
	pool  *pool
}

// use is who has an address.
type use struct {
	holders []holder // by service
}

// in tells whether a Service of the namespace other than but has the address.
func (u *use) in(namespace string, but ServiceKey) bool {
	return u != nil && slices.ContainsFunc(u.holders, func(h holder) bool {
		return !h.leaving && h.service.Namespace == namespace && h.service != but
	})
}

type holder struct {
	service ServiceKey
	sharing Sharing
	// leaving tells that the Service has given the address up, but still may have it in the API.
	leaving bool
}

// NewLedger returns the ledger of pools of which nothing is in use.
func NewLedger(pools []Pool) *Ledger {
	l := &Ledger{
		claims: map[ServiceKey]*Claim{},
		uses:   map[netip.Addr]*use{},
		groups: map[groupKey]*group{},
		spent:  map[string]*spending{},
	}
	l.SetPools(pools)
	return l
}

// SetPools replaces the pools. Every Service keeps what it has, but for what is lost to a pool that is Disruptive, or to one of the
// abandoned: pools that were deleted and whose addresses the user allowed to be lost.
func (l *Ledger) SetPools(pools []Pool, abandoned ...string) {
	l.pools, l.pinned, l.strict, l.ranges = nil, nil, nil, nil
	l.abandoned = make(map[string]bool, len(abandoned))
	for _, name := range abandoned {
		l.abandoned[name] = true
	}
	l.byName = make(map[string]*pool, len(pools))
	for _, p := range pools {
		added := &pool{Pool: p}
		for i, r := range p.Ranges {
			s := newSpace(r, p.AvoidBuggyIPs)
			added.spaces = append(added.spaces, s)
			a := added.account(r.Family())
			a.Total = addSize(a.Total, r.Size(p.AvoidBuggyIPs))
			l.ranges = append(l.ranges, rangeOwner{s, i, added})
		}
		l.pools = append(l.pools, added)
		l.byName[p.Name] = added
		if p.Allocation != nil {
			l.pinned = append(l.pinned, added)
		}
	}
	slices.SortFunc(l.pools, func(a, b *pool) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(l.pinned, func(a, b *pool) int {
		return cmp.Or(comparePriority(a.Allocation.Priority, b.Allocation.Priority), cmp.Compare(a.Name, b.Name))
	})
	for _, p := range l.pinned {
		if p.Allocation.Strict {
			l.strict = append(l.strict, p)
		}
	}
	slices.SortFunc(l.ranges, func(a, b rangeOwner) int { return a.space.First.Compare(b.space.First) })
	l.countAll()
}

// countAll counts everything in new pools.
func (l *Ledger) countAll() {
	for addr := range l.uses {
		l.tally(addr, +1)
	}
	for addr := range l.reserved {
		if l.uses[addr] == nil {
			l.tally(addr, +1)
		}
	}
	for addr := range l.foreign {
		if l.uses[addr] == nil && l.reserved[addr] == nil {
			l.tally(addr, +1)
		}
	}
	clear(l.spent)
	for _, c := range l.claims {
		l.countService(c, +1)
	}
	for addr, u := range l.uses {
		for i, h := range u.holders {
			if !h.leaving && !(&use{u.holders[:i]}).in(h.service.Namespace, h.service) {
				l.spend(h.service.Namespace, addr, +1)
			}
		}
	}
}

// comparePriority orders priorities: lower first, 0 last.
func comparePriority(a, b int) int {
	switch {
	case a == b:
		return 0
	case a == 0:
		return 1
	case b == 0:
		return -1
	default:
		return cmp.Compare(a, b)
	}
}

// Claim returns what a Service has.
func (l *Ledger) Claim(service ServiceKey) (Claim, bool) {
	c, ok := l.claims[service]
	if !ok {
		return Claim{}, false
	}
	return *c, true
}

// Claims returns what every Service has, sorted by Service.
func (l *Ledger) Claims() []Claim {
	claims := make([]Claim, 0, len(l.claims))
	for _, key := range slices.SortedFunc(maps.Keys(l.claims), compareServices) {
		claims = append(claims, *l.claims[key])
	}
	return claims
}

func compareServices(a, b ServiceKey) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// Assign records that a Service has what the claim says, and nothing else any more. If another Service has one of the claim's Addresses
// and the two may not share it, the ledger stays as it was and the error is a *ConflictError.
func (l *Ledger) Assign(c Claim) error {
	for _, addr := range c.Addresses {
		if err := l.conflict(addr, c.Service, c.Sharing); err != nil {
			return err
		}
	}
	l.Release(c.Service)
	if len(c.Addresses)+len(c.Leaving) == 0 {
		return nil
	}
	kept := c
	kept.Addresses, kept.Leaving = slices.Clone(c.Addresses), slices.Clone(c.Leaving)
	l.claims[c.Service] = &kept
	for _, h := range kept.holds() {
		l.hold(c.Service, h)
	}
	l.countService(&kept, +1)
	return nil
}

// Release takes everything from a Service and returns the addresses that nobody has any more.
func (l *Ledger) Release(service ServiceKey) (freed []netip.Addr) {
	c, ok := l.claims[service]
	if !ok {
		return nil
	}
	delete(l.claims, service)
	for _, h := range c.holds() {
		if l.letGo(service, h) {
			freed = append(freed, h.Address)
		}
	}
	l.countService(c, -1)
	return freed
}

// hold records that a Service has an address, which it did not have.
func (l *Ledger) hold(service ServiceKey, h hold) {
	u := l.uses[h.Address]
	if u == nil {
		u = &use{}
		l.tally(h.Address, -1)
		l.uses[h.Address] = u
		l.tally(h.Address, +1)
		l.useReserved(h.Address, -1)
	}
	if !h.leaving && !u.in(service.Namespace, service) {
		l.spend(service.Namespace, h.Address, +1)
	}
	// In the order of their names, so that a refusal names the same Service whoever came first.
	i, _ := slices.BinarySearchFunc(u.holders, service, func(h holder, s ServiceKey) int { return compareServices(h.service, s) })
	u.holders = slices.Insert(u.holders, i, holder{service, h.Sharing, h.leaving})
	l.join(h.Address, h.Sharing)
}

// letGo undoes hold, and tells whether nobody has the address any more.
func (l *Ledger) letGo(service ServiceKey, h hold) (free bool) {
	u := l.uses[h.Address]
	u.holders = slices.DeleteFunc(u.holders, func(o holder) bool { return o.service == service })
	if !h.leaving && !u.in(service.Namespace, service) {
		l.spend(service.Namespace, h.Address, -1)
	}
	free = len(u.holders) == 0
	l.leave(h.Address, h.Sharing, free)
	if free {
		l.tally(h.Address, -1)
		delete(l.uses, h.Address)
		l.tally(h.Address, +1)
		l.useReserved(h.Address, +1)
	}
	return free
}

// conflict returns a *ConflictError if a Service with the given Sharing can't have addr because of another one that has it.
func (l *Ledger) conflict(addr netip.Addr, service ServiceKey, sharing Sharing) error {
	u := l.uses[addr]
	if u == nil {
		return nil
	}
	for _, h := range u.holders {
		if h.service == service {
			continue
		}
		if why, ok := sharing.conflict(service, h.sharing, h.service); !ok {
			return &ConflictError{Address: addr, Holder: h.service, Why: why}
		}
	}
	return nil
}

// PoolOf returns the name of the pool that addr belongs to, whatever avoidBuggyIPs says of it.
func (l *Ledger) PoolOf(addr netip.Addr) (name string, ok bool) {
	owner, ok := l.owner(addr)
	if !ok {
		return "", false
	}
	return owner.pool.Name, true
}

// owner finds where addr belongs by bisection: the ranges of valid pools do not overlap.
func (l *Ledger) owner(addr netip.Addr) (rangeOwner, bool) {
	i, exact := slices.BinarySearchFunc(l.ranges, addr, func(o rangeOwner, a netip.Addr) int { return o.space.First.Compare(a) })
	if !exact {
		i--
	}
	if i < 0 || !l.ranges[i].space.Contains(addr) {
		return rangeOwner{}, false
	}
	return l.ranges[i], true
}
