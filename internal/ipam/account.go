package ipam

import (
	"iter"
	"net/netip"
)

// account counts the addresses of one family in one pool. An address is counted once: in use, or else known to be foreign, or else reserved.
type account struct {
	Count
	// lowest is the index of the first space that may have something free: all spaces of the family before it are full.
	lowest int
}

// Count counts addresses of one family. Used counts an address that several Services share once.
type Count struct {
	Total, Used int64
	// Foreign are not in use by a Service, but known to belong to somebody else. Reserved are free, but only for the Services that they are
	// reserved for.
	Foreign, Reserved int64
}

// Available is how many addresses are free, also those that are reserved, or Unlimited for a pool that never runs out.
func (c Count) Available() int64 {
	if c.Total == Unlimited {
		return Unlimited
	}
	return max(0, c.Total-c.Used-c.Foreign)
}

// Usage is the account of one pool.
type Usage struct {
	Pool string
	IPv4 Count
	IPv6 Count
	// Services have at least one address of the pool.
	Services int
}

// Usage returns the accounts of all pools, sorted by name.
func (l *Ledger) Usage() []Usage {
	all := make([]Usage, 0, len(l.pools))
	for _, p := range l.pools {
		all = append(all, Usage{Pool: p.Name, IPv4: p.v4.Count, IPv6: p.v6.Count, Services: p.services})
	}
	return all
}

func (p *pool) account(f Family) *account {
	if f == IPv4 {
		return &p.v4
	}
	return &p.v6
}

// leavesOut tells whether avoidBuggyIPs of the pool leaves addr out.
func (p *pool) leavesOut(addr netip.Addr) bool { return p.AvoidBuggyIPs && buggy(addr) }

// vacant yields the free addresses of a family in the order in which they are given away: by range as listed, each from its lowest (rule A8).
func (p *pool) vacant(f Family) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		a := p.account(f)
		for i := a.lowest; i < len(p.spaces); i++ {
			s := p.spaces[i]
			if s.Family() != f {
				continue
			}
			addr, ok := s.lowest(s.First)
			if !ok && i == a.lowest {
				a.lowest++
			}
			for ok {
				if !yield(addr) {
					return
				}
				if addr = addr.Next(); !s.Contains(addr) {
					break
				}
				addr, ok = s.lowest(addr)
			}
		}
	}
}

// tally takes an address into the accounts of its pool, as it stands now, or out of them: n is 1 or -1.
func (l *Ledger) tally(addr netip.Addr, n int64) {
	owner, ok := l.owner(addr)
	if !ok {
		return
	}
	a := owner.pool.account(FamilyOf(addr))
	switch {
	case l.uses[addr] != nil:
		a.Used += n
	case owner.pool.leavesOut(addr):
		return // nobody gets it in any case, and it is not in Total
	case l.foreignTo(owner.pool, addr) != "":
		a.Foreign += n
	case l.reserved[addr] != nil:
		a.Reserved += n
	default:
		return
	}
	if n > 0 {
		owner.space.take(addr)
		return
	}
	owner.space.free(addr)
	a.lowest = min(a.lowest, owner.index)
}

// recount keeps the accounts right while change alters what is known of addrs.
func (l *Ledger) recount(addrs map[netip.Addr]struct{}, change func()) {
	for addr := range addrs {
		l.tally(addr, -1)
	}
	change()
	for addr := range addrs {
		l.tally(addr, +1)
	}
}

// countService adds n to the number of Services of every pool that the claim has an address of.
func (l *Ledger) countService(c *Claim, n int) {
	for i, addr := range c.Addresses {
		owner, ok := l.owner(addr)
		if !ok || l.anyOf(owner.pool, c.Addresses[:i]) {
			continue
		}
		owner.pool.services += n
	}
}

func (l *Ledger) anyOf(p *pool, addrs []netip.Addr) bool {
	for _, addr := range addrs {
		if owner, ok := l.owner(addr); ok && owner.pool == p {
			return true
		}
	}
	return false
}
