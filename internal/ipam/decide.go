package ipam

import (
	"fmt"
	"net/netip"
	"slices"
)

// Decision is what a Service is to have, and why.
type Decision struct {
	Service ServiceKey
	// Addresses are what the Service is to have, in order; empty if it gets none.
	Addresses []netip.Addr
	// Added are those of them that it did not have before.
	Added []netip.Addr
	// GivenUp are those it had before and loses, each with the reason.
	GivenUp []GivenUp
	// Pool is the pool to name in ip-allocated-from-pool; "" without an address, or where it was never known.
	Pool string
	// Problems are why it does not have all it wants, or has what it would not get today. Empty when all is well.
	Problems []Reason
}

// GivenUp is an address that a Service loses.
type GivenUp struct {
	Address netip.Addr
	Reason  Reason
}

// Allocated tells whether the Service has an address.
func (d *Decision) Allocated() bool { return len(d.Addresses) > 0 }

// Decide says what a Service is to have: what it has as long as nothing in the Service itself speaks against it, whatever became of the
// pools, unless the user allowed that to be lost; otherwise what it asks for; otherwise the best that the pools have (rules A2 to A9, A12 to
// A18). It changes nothing; the caller assigns the decision's addresses.
func Decide(l *Ledger, r Request) Decision {
	a := &asking{l: l, r: &r, now: l.claims[r.Service], d: Decision{Service: r.Service}}
	if a.now == nil {
		a.now = &Claim{Service: r.Service}
	}
	kept := a.keep()
	if len(kept) == 0 {
		a.allocate()
		return a.d
	}
	a.d.Addresses = kept
	a.d.Pool = a.poolToName(kept)
	a.reportKept()
	switch {
	case r.Invalid != "":
		a.refuse(InvalidRequest, "%s", r.Invalid)
	case len(r.Addresses) == 0:
		a.complete()
	case !sameSet(r.Addresses, kept):
		a.allocateRequested()
	}
	return a.d
}

// refuse adds a Problem.
func (a *asking) refuse(code Code, format string, args ...any) {
	a.d.Problems = append(a.d.Problems, Reason{code, fmt.Sprintf(format, args...)})
}

// keep returns the addresses that the Service keeps and records those it gives up.
func (a *asking) keep() (kept []netip.Addr) {
	for _, addr := range a.now.Addresses {
		why, ok := a.mayKeep(addr)
		if f := FamilyOf(addr); ok && a.r.Invalid == "" && len(a.r.Addresses) == 0 && ofFamily(kept, f) >= a.wanted() {
			why, ok = Reason{CountReduced, fmt.Sprintf("only %s wanted", counted(a.wanted(), f.String()+" address is", f.String()+" addresses are"))}, false
		}
		if ok {
			kept = append(kept, addr)
		} else {
			a.d.GivenUp = append(a.d.GivenUp, GivenUp{addr, why})
		}
	}
	return kept
}

// mayKeep says why the Service can't keep an address. Only what the Service itself says counts, and what the user allowed to be lost.
func (a *asking) mayKeep(addr netip.Addr) (why Reason, ok bool) {
	no := func(code Code, format string, args ...any) (Reason, bool) {
		return Reason{code, fmt.Sprintf(format, args...)}, false
	}
	r := a.r
	if len(r.Families) == 0 {
		return no(NoClusterIPs, "the Service has no cluster IPs")
	}
	if !slices.Contains(r.Families, FamilyOf(addr)) {
		return no(FamilyChanged, "the Service is no longer %s", FamilyOf(addr))
	}
	if err := a.l.conflict(addr, r.Service, r.Sharing); err != nil {
		return no(SharingChanged, "%s", err)
	}
	if r.Invalid != "" {
		return Reason{}, true
	}
	if r.Pool != "" && a.now.Pool != r.Pool {
		if pool, ok := a.l.PoolOf(addr); !ok || pool != r.Pool {
			return no(DifferentPoolRequested, "pool %s is requested", r.Pool)
		}
	}
	if len(r.Addresses) > 0 && !slices.Contains(r.Addresses, addr) {
		return no(DifferentIPRequested, "%s is requested", quoted(r.Addresses))
	}
	if mismatch, leave := a.mismatch(addr, a.now.Pool); mismatch != "" && leave {
		return no(PoolMismatch, "%s, and its user allowed addresses to be lost", mismatch)
	}
	return Reason{}, true
}

// mismatch says why the Service would not get an address of a pool today because of what became of the pool, "" if that is not so. leave tells
// that the user allowed it to be lost. from is the pool that the address was given from.
func (a *asking) mismatch(addr netip.Addr, from string) (why string, leave bool) {
	owner, ok := a.l.owner(addr)
	switch p := owner.pool; {
	case !ok && from == "":
		return "is in no pool", false
	case !ok:
		was := a.l.byName[from]
		return fmt.Sprintf("is in no pool any more; it was given from pool %s", from), was != nil && was.Disruptive || was == nil && a.l.abandoned[from]
	case !p.accepts(a.r):
		return fmt.Sprintf("pool %s no longer serves this Service", p.Name), p.Disruptive
	case p.leavesOut(addr):
		return fmt.Sprintf("avoidBuggyIPs of pool %s leaves it out", p.Name), p.Disruptive
	}
	return "", false
}

func sameSet(a, b []netip.Addr) bool {
	return len(a) == len(b) && !slices.ContainsFunc(a, func(addr netip.Addr) bool { return !slices.Contains(b, addr) })
}

// poolToName returns the pool to record with kept addresses: the one they lie in now, which follows an address that moves from pool to
// pool by an edit (rule A20). But it stays what is recorded as long as one of them lies in that pool, or in none, because it is not lost to
// any other pool; or as long as the Service asks for it, so that the edit does not look like a change of mind later on.
func (a *asking) poolToName(kept []netip.Addr) string {
	was := a.now.Pool
	if was != "" && (was == a.r.Pool || slices.ContainsFunc(kept, func(addr netip.Addr) bool {
		pool, ok := a.l.PoolOf(addr)
		return !ok || pool == was
	})) {
		return was
	}
	pool, _ := a.l.PoolOf(kept[0])
	return pool
}

// reportKept adds a Problem for every kept address that the Service would not get today because of its pool, or that somebody else has. That
// it would not get it for another reason, such as a quota, is how it is meant. The Problems are in the order of the addresses' numbers, so that
// they stay the same when the Service has its addresses in another order.
func (a *asking) reportKept() {
	kept := slices.Clone(a.d.Addresses)
	slices.SortFunc(kept, netip.Addr.Compare)
	for _, addr := range kept {
		if why, _ := a.mismatch(addr, a.d.Pool); why != "" {
			a.refuse(PoolMismatch, "%s is kept, but %s", addr, why)
		}
		if owner, ok := a.l.owner(addr); ok {
			if whose := a.l.foreignTo(owner.pool, addr); whose != "" {
				a.refuse(AddressForeign, "%s is kept, but it belongs to %s", addr, whose)
			}
		}
	}
}

// complete adds the addresses that a Service still lacks, from the pool that it has some of (rule A12).
func (a *asking) complete() {
	for _, f := range a.r.Families {
		lacks := a.wanted() - ofFamily(a.d.Addresses, f)
		if lacks <= 0 {
			continue
		}
		p := a.l.byName[a.d.Pool]
		if p == nil {
			a.reportMissing(f, fmt.Sprintf("there is no pool %q, which the other addresses are from", a.d.Pool))
			continue
		}
		if why, ok := a.mayUse(p); !ok {
			a.reportMissing(f, why.Detail)
			continue
		}
		added, inTheWay := a.choose(p, f, lacks)
		a.d.Added = append(a.d.Added, added...)
		a.d.Addresses = append(a.d.Addresses, added...)
		a.reportShort(p, f, inTheWay)
	}
	if len(a.d.Added) > 0 {
		slices.SortStableFunc(a.d.Addresses, func(x, y netip.Addr) int {
			return slices.Index(a.r.Families, FamilyOf(x)) - slices.Index(a.r.Families, FamilyOf(y))
		})
	}
}

// reportShort adds a Problem if the Service has fewer addresses of a family than it wants, because the pool, or the quota in the way, gives it
// no more. The numbers are those after the decision, which are the ones that people find when they look.
func (a *asking) reportShort(p *pool, f Family, inTheWay limit) {
	if ofFamily(a.d.Addresses, f) >= a.wanted() {
		return
	}
	count := p.account(f).Count
	for _, addr := range a.d.Added {
		if FamilyOf(addr) == f && a.l.uses[addr] == nil {
			count.Used++
			if a.l.reserved[addr] != nil {
				count.Reserved--
			}
		}
	}
	a.reportMissing(f, attempt{p.Name, f, count, inTheWay}.String())
}

// reportMissing adds a Problem that says why the Service has fewer addresses of a family than it wants.
func (a *asking) reportMissing(f Family, why string) {
	if have := ofFamily(a.d.Addresses, f); have > 0 {
		a.refuse(AddressesMissing, "%d of %d %s addresses: %s", have, a.wanted(), f, why)
	} else {
		a.refuse(SecondFamilyMissing, "no %s address: %s", f, why)
	}
}

// allocate decides for a Service that has nothing, or keeps nothing.
func (a *asking) allocate() {
	r := a.r
	switch {
	case r.Invalid != "":
		a.refuse(InvalidRequest, "%s", r.Invalid)
	case len(r.Families) == 0:
		a.refuse(NotEnoughClusterIPs, "the Service has no cluster IPs")
	case r.Policy == RequireDualStack && len(r.Families) < 2:
		a.refuse(NotEnoughClusterIPs, "the Service requires dual stack but has cluster IPs of %s only", r.Families[0])
	case len(a.l.pools) == 0:
		a.refuse(NoPool, "no available IPs: there is no valid IPAddressPool")
	case len(r.Addresses) > 0:
		a.allocateRequested()
	case r.Pool != "":
		a.allocateNamed()
	default:
		a.allocateAny()
	}
}

// allocateNamed gives addresses of the pool that the Service names (rule A4).
func (a *asking) allocateNamed() {
	p := a.l.byName[a.r.Pool]
	if p == nil {
		a.refuse(PoolNotFound, "unknown pool %q", a.r.Pool)
		return
	}
	if why, ok := a.mayUse(p); !ok {
		a.d.Problems = append(a.d.Problems, why)
		return
	}
	only := []*pool{p}
	reserved := slices.DeleteFunc(a.reservedPools(), func(o *pool) bool { return o != p })
	a.allocateFrom(reserved, [][]*pool{only}, &attempts{})
}

// allocateAny tries the pools with addresses that are reserved for the Service, the pinned pools that admit it, and those that are for
// everybody (rules A5 to A7).
func (a *asking) allocateAny() {
	var tried attempts
	var pinned, open []*pool
	for _, p := range a.l.pinned {
		switch {
		case !p.AutoAssign:
			tried.unasked++
		case !p.accepts(a.r):
			tried.others++
		case p.Disabled:
			tried.disabled++
		default:
			pinned = append(pinned, p)
		}
	}
	for _, p := range a.l.pools {
		switch {
		case p.Allocation != nil:
		case !p.AutoAssign:
			tried.unasked++
		case a.fence() != nil:
			tried.fence = a.fence().Name
			tried.fenced++
		case p.Disabled:
			tried.disabled++
		default:
			open = append(open, p)
		}
	}
	a.allocateFrom(a.reservedPools(), [][]*pool{pinned, open}, &tried)
}
