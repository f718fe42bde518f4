package ipam

import (
	"maps"
	"net/netip"
)

// SetForeign replaces what is known of addresses that belong to somebody who is no Service, each with the words that say to whom, such as
// "node n1". Pools that do not check for conflicts give them away all the same. A Service that has one keeps it.
func (l *Ledger) SetForeign(known map[netip.Addr]string) {
	changed := map[netip.Addr]struct{}{}
	for addr := range l.foreign {
		if _, still := known[addr]; !still {
			changed[addr] = struct{}{}
		}
	}
	for addr := range known {
		if _, before := l.foreign[addr]; !before {
			changed[addr] = struct{}{}
		}
	}
	l.recount(changed, func() { l.foreign = maps.Clone(known) })
}

// foreignTo says to whom an address of the pool belongs who is no Service; "" if that is not known, or does not matter to the pool.
func (l *Ledger) foreignTo(p *pool, addr netip.Addr) string {
	if p.Check == CheckNone {
		return ""
	}
	whose, known := l.foreign[addr]
	if known && whose == "" {
		return "somebody else"
	}
	return whose
}

// NeedsProbe tells whether nobody may get addr before it was asked for on its network: whether its pool has CheckProbe.
func (l *Ledger) NeedsProbe(addr netip.Addr) bool {
	owner, ok := l.owner(addr)
	return ok && owner.pool.Check == CheckProbe
}
