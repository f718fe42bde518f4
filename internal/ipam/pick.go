package ipam

import (
	"iter"
	"net/netip"
	"slices"
)

// preferred yields the addresses of a family of the pool that the Service gets before free ones: those reserved for it, of which it joins
// one before it takes one of its own, and those that it can share (rule A16).
func (a *asking) preferred(p *pool, f Family) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := range a.joinable(p, f) {
			if a.l.reserved[addr] != nil && !yield(addr) {
				return
			}
		}
		for addr := range a.reserved(f) {
			if owner, ok := a.l.owner(addr); ok && owner.pool == p && a.usable(p, addr) && !yield(addr) {
				return
			}
		}
		for addr := range a.joinable(p, f) {
			if a.l.reserved[addr] == nil && !yield(addr) {
				return
			}
		}
	}
}

// joinable yields the addresses of a family of the pool that the Service can share with others of its sharing key.
func (a *asking) joinable(p *pool, f Family) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for addr := range a.l.joinable(p, f, a.r.Service, a.r.Sharing) {
			if a.usable(p, addr) && !yield(addr) {
				return
			}
		}
	}
}

// usable tells whether the Service may have an address of the pool that it has not, and has not just given up.
func (a *asking) usable(p *pool, addr netip.Addr) bool {
	if slices.Contains(a.now.Addresses, addr) {
		return false
	}
	_, ok := a.mayHave(p, addr)
	return ok
}

// reserved yields the addresses of a family, of whatever pool, that are reserved for the Service and that nobody has.
func (a *asking) reserved(f Family) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		for res := range a.reservationsFor(f) {
			for _, addr := range res.Addresses {
				if FamilyOf(addr) == f && a.l.reserved[addr] == res && a.l.uses[addr] == nil && !yield(addr) {
					return
				}
			}
		}
	}
}

// choose returns up to n addresses of a family of the pool, which the Service may use, in the order in which they are given away. If they are
// fewer because of a quota it is in the way, with what it leaves after them; otherwise the pool has no more.
func (a *asking) choose(p *pool, f Family, n int) (addrs []netip.Addr, inTheWay limit) {
	room := a.room(p, f)
	// fits tells whether a quota allows one more address.
	fits := func(addr netip.Addr) bool {
		if room.quota == nil || !a.costs(addr) {
			return true
		}
		if room.left == 0 {
			inTheWay = room
			return false
		}
		room.left--
		room.used++
		return true
	}
	for addr := range a.preferred(p, f) {
		if len(addrs) == n {
			return addrs, limit{}
		}
		if fits(addr) {
			addrs = append(addrs, addr)
		}
	}
	for addr := range p.vacant(f) {
		if len(addrs) == n || !fits(addr) {
			break
		}
		addrs = append(addrs, addr)
	}
	if len(addrs) == n {
		return addrs, limit{}
	}
	return addrs, inTheWay
}

// offer is what a pool has for a Service.
type offer struct {
	pool  *pool
	addrs []netip.Addr
	// inTheWay are the quotas, by family, that make it less than the pool has.
	inTheWay [2]limit
	rank     rank
}

// rank orders offers.
type rank uint8

// The ranks, the worst first: nothing that would do, an address of the other family, one of the primary family, one of each family (rule
// A12), and all that is wanted.
const (
	useless rank = iota
	otherFamily
	primaryFamily
	everyFamily
	complete
)

// offer returns what the pool has for the Service. Of a Service that requires dual stack an offer of one family is useless.
func (a *asking) offer(p *pool) offer {
	o := offer{pool: p}
	first, all := 0, true
	full := true
	for i, f := range a.r.Families {
		addrs, inTheWay := a.choose(p, f, a.wanted())
		o.inTheWay[f.index()] = inTheWay
		o.addrs = append(o.addrs, addrs...)
		if i == 0 {
			first = len(addrs)
		}
		all = all && len(addrs) > 0
		full = full && len(addrs) == a.wanted()
	}
	switch {
	case full:
		o.rank = complete
	case all:
		o.rank = everyFamily
	case a.r.Policy == RequireDualStack || len(o.addrs) == 0:
		o.rank = useless
	case first > 0:
		o.rank = primaryFamily
	default:
		o.rank = otherFamily
	}
	return o
}

// holdsReserved tells whether the offer has an address that is reserved for the Service.
func (a *asking) holdsReserved(o offer) bool {
	return slices.ContainsFunc(o.addrs, func(addr netip.Addr) bool { return a.l.reserved[addr] != nil })
}

func anything(offer) bool { return true }

// give decides for what the best of the pools has, the first one that has all of it, or else the first one of those that have most. It tells
// whether any had something that will do.
func (a *asking) give(pools []*pool, willDo func(offer) bool) bool {
	var best offer
	for _, p := range pools {
		o := a.offer(p)
		if !willDo(o) {
			continue
		}
		if o.rank > best.rank || o.rank == best.rank && len(o.addrs) > len(best.addrs) {
			best = o
		}
		if best.rank == complete {
			break
		}
	}
	if best.rank == useless {
		return false
	}
	a.d.Addresses, a.d.Added, a.d.Pool = best.addrs, slices.Clone(best.addrs), best.pool.Name
	for _, f := range a.r.Families {
		a.reportShort(best.pool, f, best.inTheWay[f.index()])
	}
	return true
}

// allocateFrom gives addresses of the first pools that have what the Service wants: those with addresses that are reserved for it, then those
// with addresses that it can share, in whatever tier, then tier by tier. A pool that turns out to have nothing free is followed by the next
// one (rule A13).
func (a *asking) allocateFrom(reserved []*pool, tiers [][]*pool, tried *attempts) {
	all := slices.Concat(tiers...)
	if a.give(reserved, a.holdsReserved) || a.give(a.shared(all), anything) {
		return
	}
	for _, pools := range tiers {
		if a.give(pools, anything) {
			return
		}
	}
	for _, p := range all {
		for _, f := range a.r.Families {
			if addrs, inTheWay := a.choose(p, f, 1); len(addrs) == 0 {
				tried.list = append(tried.list, attempt{p.Name, f, p.account(f).Count, inTheWay})
			}
		}
	}
	a.d.Problems = append(a.d.Problems, tried.reason())
}

// shared returns those of the pools in which the Service can share an address of each of its families.
func (a *asking) shared(pools []*pool) []*pool {
	if a.l.groupOf(a.r.Sharing) == nil {
		return nil
	}
	var found []*pool
	for _, p := range pools {
		lacks := func(f Family) bool {
			room := a.room(p, f)
			for addr := range a.joinable(p, f) {
				if room.quota == nil || room.left > 0 || !a.costs(addr) {
					return false
				}
			}
			return true
		}
		if !slices.ContainsFunc(a.r.Families, lacks) {
			found = append(found, p)
		}
	}
	return found
}

// reservedPools returns the pools that the Service may use and that have an address that is reserved for it.
func (a *asking) reservedPools() []*pool {
	if len(a.l.reserved) == 0 {
		return nil
	}
	var found []*pool
	look := func(addr netip.Addr) {
		owner, ok := a.l.owner(addr)
		if !ok || slices.Contains(found, owner.pool) {
			return
		}
		if _, ok := a.mayUse(owner.pool); ok && a.usable(owner.pool, addr) {
			found = append(found, owner.pool)
		}
	}
	if g := a.l.groupOf(a.r.Sharing); g != nil {
		for _, addr := range g.addrs {
			if a.l.reserved[addr] != nil && slices.Contains(a.r.Families, FamilyOf(addr)) {
				look(addr)
			}
		}
	}
	for _, f := range a.r.Families {
		for addr := range a.reserved(f) {
			look(addr)
		}
	}
	return found
}
