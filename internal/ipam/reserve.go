package ipam

import (
	"iter"
	"net/netip"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// Reservation keeps addresses for some Services: nobody else gets them. A Service that has one already keeps it.
type Reservation struct {
	// Name is that of the IPReservation.
	Name string
	// Namespace is that of the Services, and Service the name of the only one; "" means any of the namespace that Services selects by label,
	// and an empty Services any at all.
	Namespace, Service string
	Services           selector.Set
	// Addresses are used in this order.
	Addresses []netip.Addr
}

// reservation is a Reservation with what is left of it.
type reservation struct {
	Reservation
	// unused counts its addresses, of each family, that no Service has, so that one that is used up costs nothing to pass over.
	unused [2]int
	among  *reservations
}

// reservations are those for one Service, or those for a namespace that are not for a certain one, in their order.
type reservations struct {
	list []*reservation
	// unused is the sum of what is left of them.
	unused [2]int
}

// admits tells whether the addresses are kept for the Service.
func (r *reservation) admits(q *Request) bool {
	return r.Namespace == q.Service.Namespace && (r.Service == "" || r.Service == q.Service.Name) && r.Services.MatchesOrEmpty(q.Labels)
}

// SetReservations replaces the reservations. Of two with the same address the first has it. A Service takes the addresses that are reserved for
// it by name before those for its namespace, and those of the first reservation before those of the second. An address that a Service has whom it is not for is reserved as soon as nobody has it
// any more.
func (l *Ledger) SetReservations(all []Reservation) {
	next := map[netip.Addr]*reservation{}
	byService := map[ServiceKey]*reservations{}
	for _, r := range all {
		key := ServiceKey{r.Namespace, r.Service}
		if byService[key] == nil {
			byService[key] = &reservations{}
		}
		added := &reservation{Reservation: r, among: byService[key]}
		added.among.list = append(added.among.list, added)
		for _, addr := range r.Addresses {
			if next[addr] != nil {
				continue
			}
			next[addr] = added
			if l.uses[addr] == nil {
				added.count(addr, +1)
			}
		}
	}
	changed := make(map[netip.Addr]struct{}, len(next)+len(l.reserved))
	for addr := range l.reserved {
		changed[addr] = struct{}{}
	}
	for addr := range next {
		changed[addr] = struct{}{}
	}
	l.recount(changed, func() { l.reserved, l.reservations = next, byService })
}

// useReserved adds n to what is left of the reservation of an address that a Service gets or loses.
func (l *Ledger) useReserved(addr netip.Addr, n int) {
	if r := l.reserved[addr]; r != nil {
		r.count(addr, n)
	}
}

func (r *reservation) count(addr netip.Addr, n int) {
	i := FamilyOf(addr).index()
	r.unused[i] += n
	r.among.unused[i] += n
}

// reservationsFor yields the reservations for the Service of which a family is left.
func (a *asking) reservationsFor(f Family) iter.Seq[*reservation] {
	return func(yield func(*reservation) bool) {
		for _, key := range [...]ServiceKey{a.r.Service, {Namespace: a.r.Service.Namespace}} {
			among := a.l.reservations[key]
			if among == nil || among.unused[f.index()] == 0 {
				continue
			}
			for _, one := range among.list {
				if one.unused[f.index()] > 0 && one.admits(a.r) && !yield(one) {
					return
				}
			}
		}
	}
}

// PickReserved returns an address of the pool that is free and not reserved yet, for a reservation of any address of the pool. A disabled
// pool has none.
func (l *Ledger) PickReserved(pool string, f Family) (netip.Addr, bool) {
	p := l.byName[pool]
	if p == nil || p.Disabled {
		return netip.Addr{}, false
	}
	for addr := range p.vacant(f) {
		return addr, true
	}
	return netip.Addr{}, false
}

// Holders returns the Services that have addr, sorted. Those that have given it up do not count, whatever the API still shows.
func (l *Ledger) Holders(addr netip.Addr) []ServiceKey {
	u := l.uses[addr]
	if u == nil {
		return nil
	}
	var keys []ServiceKey
	for _, h := range u.holders {
		if !h.leaving {
			keys = append(keys, h.service)
		}
	}
	return keys
}
