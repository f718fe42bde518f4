package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// allocateRequested gives the addresses that the Service names and does not have yet, all of them or none (rule A3).
func (a *asking) allocateRequested() {
	p, reason, ok := a.mayHaveRequested()
	if !ok {
		a.d.Problems = append(a.d.Problems, reason)
		return
	}
	if len(a.d.Addresses) == 0 {
		a.d.Pool = p.Name
	}
	a.d.Added = a.missing()
	a.d.Addresses = slices.Clone(a.r.Addresses)
}

// missing returns the addresses that the Service asks for and does not have.
func (a *asking) missing() []netip.Addr {
	return slices.DeleteFunc(slices.Clone(a.r.Addresses), func(addr netip.Addr) bool { return slices.Contains(a.d.Addresses, addr) })
}

// mayHaveRequested returns the pool of the requested addresses, or says why the Service can't have all of them. What it keeps of them it may
// have.
func (a *asking) mayHaveRequested() (*pool, Reason, bool) {
	no := func(code Code, format string, args ...any) (*pool, Reason, bool) {
		return nil, Reason{code, fmt.Sprintf(format, args...)}, false
	}
	wanted := quoted(a.r.Addresses)
	if !a.fitsFamilies() {
		return no(InvalidRequest, "requested loadBalancer IP(s) %s does not match the ipFamily of the service, %s", wanted, joined(a.r.Families))
	}
	var p *pool
	for _, addr := range a.r.Addresses {
		owner, ok := a.l.owner(addr)
		switch {
		case !ok:
			return no(AddressNotInPool, "%q is not allowed in config: no pool has it", addr)
		case p != nil && owner.pool != p:
			return no(AddressNotInPool, "%s is not allowed in config: the addresses must be of one pool", wanted)
		}
		p = owner.pool
	}
	if a.r.Pool != "" && p.Name != a.r.Pool {
		return no(AddressNotInPool, "requested loadBalancer IP(s) %s is not compatible with requested address pool %s", wanted, a.r.Pool)
	}
	if why, ok := a.mayUse(p); !ok {
		return nil, why, false
	}
	var costs [2]int
	for _, addr := range a.missing() {
		if why, ok := a.mayHave(p, addr); !ok {
			return nil, why, false
		}
		if a.costs(addr) {
			costs[FamilyOf(addr).index()]++
		}
	}
	for _, f := range a.r.Families {
		if room := a.room(p, f); room.quota != nil && costs[f.index()] > room.left {
			return no(QuotaExceeded, "requested address is not given: %s", room.describe(f))
		}
	}
	return p, Reason{}, true
}

// fitsFamilies tells whether the requested addresses are of the Service's families, at least one of each.
func (a *asking) fitsFamilies() bool {
	for _, addr := range a.r.Addresses {
		if !slices.Contains(a.r.Families, FamilyOf(addr)) {
			return false
		}
	}
	return !slices.ContainsFunc(a.r.Families, func(f Family) bool { return ofFamily(a.r.Addresses, f) == 0 })
}

func joined(families []Family) string {
	texts := make([]string, len(families))
	for i, f := range families {
		texts[i] = f.String()
	}
	return strings.Join(texts, " and ")
}
