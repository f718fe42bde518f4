package admission

import (
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// loss is a Service with those of its addresses that a change takes out of the pools that serve it.
type loss struct {
	service   ipam.ServiceKey
	addresses []netip.Addr
}

// accounts finds losses: it asks ipam about every Service once with the pools as they are and once with them as they would be.
type accounts struct {
	before, after *ipam.Ledger
}

func newAccounts(before, after *intent.Snapshot) accounts {
	return accounts{before: ipam.NewLedger(poolsOf(before)), after: ipam.NewLedger(poolsOf(after))}
}

func poolsOf(s *intent.Snapshot) []ipam.Pool {
	pools := make([]ipam.Pool, 0, len(s.Pools))
	for i := range s.Pools {
		pools = append(pools, s.Pools[i].Pool)
	}
	return pools
}

// losses returns those of the addresses that a Service has, given from pool, which it would have in accordance with the pools before the
// change only.
func (a accounts) losses(r ipam.Request, held []netip.Addr, pool string) []netip.Addr {
	var lost []netip.Addr
	for _, addr := range held {
		if !mismatched(a.before, r, addr, pool) && mismatched(a.after, r, addr, pool) {
			lost = append(lost, addr)
		}
	}
	return lost
}

// mismatched tells whether ipam finds that the pools no longer give addr to the Service. The Service is asked about alone: whom it shares
// the address with does not matter here.
func mismatched(l *ipam.Ledger, r ipam.Request, addr netip.Addr, pool string) bool {
	if err := l.Assign(ipam.Claim{Service: r.Service, Addresses: []netip.Addr{addr}, Sharing: r.Sharing, Pool: pool}); err != nil {
		return false // not possible in a ledger without others
	}
	defer l.Release(r.Service)
	d := ipam.Decide(l, r)
	return slices.ContainsFunc(d.Problems, func(p ipam.Reason) bool { return p.Code == ipam.PoolMismatch }) ||
		slices.ContainsFunc(d.GivenUp, func(g ipam.GivenUp) bool { return g.Reason.Code == ipam.PoolMismatch })
}

// mayLose tells whether any address can be lost with the pools of after in place of those of before: one is not in force any more, its ranges
// shrink, avoidBuggyIPs leaves out more, or it serves others. It spares reading all Services for the common edits.
func mayLose(before, after *intent.Snapshot) bool {
	return slices.ContainsFunc(before.Pools, func(was intent.Pool) bool {
		i := slices.IndexFunc(after.Pools, func(p intent.Pool) bool { return p.Name == was.Name })
		if i < 0 || !sameAllocation(was.Allocation, after.Pools[i].Allocation) {
			return true
		}
		if after.Pools[i].AvoidBuggyIPs && !was.AvoidBuggyIPs {
			return true
		}
		return slices.ContainsFunc(was.Ranges, func(r ipam.Range) bool { return !covered(r, after.Pools[i].Ranges) })
	})
}

// covered tells whether every address of r is in one of ranges, which do not overlap.
func covered(r ipam.Range, ranges []ipam.Range) bool {
	for _, one := range ranges {
		if !one.Contains(r.First) {
			continue
		}
		if one.Contains(r.Last) {
			return true
		}
		return covered(ipam.Range{First: one.Last.Next(), Last: r.Last}, ranges)
	}
	return false
}

// sameAllocation tells whether two pools serve the same Services.
func sameAllocation(a, b *ipam.Allocation) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Strict == b.Strict && slices.Equal(a.Namespaces, b.Namespaces) && slices.Equal(texts(a.NamespaceSelectors), texts(b.NamespaceSelectors)) &&
		slices.Equal(texts(a.ServiceSelectors), texts(b.ServiceSelectors))
}

func texts(set selector.Set) []string {
	out := make([]string, len(set))
	for i, one := range set {
		out[i] = one.String()
	}
	return out
}

// selectsNamespaces tells whether it matters which labels the namespaces of Services have.
func selectsNamespaces(s *intent.Snapshot) bool {
	return slices.ContainsFunc(s.Pools, func(p intent.Pool) bool { return p.Allocation != nil && len(p.Allocation.NamespaceSelectors) > 0 })
}
