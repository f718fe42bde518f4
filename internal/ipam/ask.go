package ipam

import (
	"fmt"
	"net/netip"
	"slices"
)

// asking is one decision under way: who asks for what, what is decided so far, and what of the ledger concerns this Service. The latter is
// looked up when it is needed first: a Service that keeps what it has needs none of it.
type asking struct {
	l   *Ledger
	r   *Request
	now *Claim
	d   Decision

	knowsFence, knowsQuotas bool
	strict                  *pool
	ofNamespace             []*Quota
}

// wanted is how many addresses of each family the Service wants.
func (a *asking) wanted() int { return max(1, a.r.Count) }

func ofFamily(addrs []netip.Addr, f Family) (n int) {
	for _, addr := range addrs {
		if FamilyOf(addr) == f {
			n++
		}
	}
	return n
}

// fence returns a strict pool that admits the Service, which so may use only pools that are pinned to it; nil if there is none.
func (a *asking) fence() *pool {
	if !a.knowsFence {
		a.knowsFence = true
		if i := slices.IndexFunc(a.l.strict, func(p *pool) bool { return p.accepts(a.r) }); i >= 0 {
			a.strict = a.l.strict[i]
		}
	}
	return a.strict
}

// mayUse says why the Service gets nothing of the pool, whatever is free in it; ok means that it may.
func (a *asking) mayUse(p *pool) (why Reason, ok bool) {
	const not = "pool %s not compatible for ip assignment: "
	switch {
	case !p.accepts(a.r):
		return Reason{PoolNotAllowed, fmt.Sprintf(not+"its serviceAllocation does not admit %s", p.Name, a.r.Service)}, false
	case p.Allocation == nil && a.fence() != nil:
		return Reason{PoolFenced, fmt.Sprintf(not+"pool %s is strict and admits %s, and this one has no serviceAllocation",
			p.Name, a.fence().Name, a.r.Service)}, false
	case p.Disabled:
		return Reason{PoolDisabled, fmt.Sprintf(not+"it is disabled and gives away nothing more", p.Name)}, false
	}
	return Reason{}, true
}

// mayHave says why the Service does not get an address of the pool, which it may use; ok means that it does, as far as quotas allow.
func (a *asking) mayHave(p *pool, addr netip.Addr) (why Reason, ok bool) {
	if p.leavesOut(addr) {
		return Reason{AddressNotInPool, fmt.Sprintf("%q is not allowed in config: avoidBuggyIPs of pool %s leaves it out", addr, p.Name)}, false
	}
	if reserved := a.l.reserved[addr]; reserved != nil && !reserved.admits(a.r) {
		return Reason{AddressReserved, fmt.Sprintf("requested address is reserved: IPReservation %s keeps %s for other Services",
			reserved.Name, addr)}, false
	}
	if whose := a.l.foreignTo(p, addr); whose != "" {
		return Reason{AddressForeign, fmt.Sprintf("requested address is in use outside the Services: %s belongs to %s", addr, whose)}, false
	}
	if err := a.l.conflict(addr, a.r.Service, a.r.Sharing); err != nil {
		return Reason{AddressInUse, fmt.Sprintf("requested address is in use: %s", err)}, false
	}
	return Reason{}, true
}
