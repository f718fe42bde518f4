package intent

import (
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// parsePool checks a pool by itself.
func parsePool(a *about, raw *RawPool) Pool {
	pool := Pool{
		Pool: ipam.Pool{
			Name: raw.Name, Ranges: a.ranges(raw.Addresses), AutoAssign: raw.AutoAssign, AvoidBuggyIPs: raw.AvoidBuggyIPs,
			Disabled: raw.Disabled, Check: a.conflictCheck(raw.ConflictCheck), Disruptive: a.disruptive(raw),
		},
		Labels: raw.Labels,
	}
	if raw.Allocation != nil {
		const field = "spec.serviceAllocation."
		a.distinct(field+"namespaces", raw.Allocation.Namespaces)
		pool.Allocation = &ipam.Allocation{
			Priority:           raw.Allocation.Priority,
			Namespaces:         raw.Allocation.Namespaces,
			NamespaceSelectors: a.selectors(field+"namespaceSelectors", raw.Allocation.NamespaceSelectors),
			ServiceSelectors:   a.selectors(field+"serviceSelectors", raw.Allocation.ServiceSelectors),
			Strict:             raw.Allocation.Strict,
		}
		a.fence(raw)
	}
	return pool
}

// fence warns of a strict pool that keeps more Services from other pools, or from addresses, than its author can mean.
func (a *about) fence(raw *RawPool) {
	const field = "spec.serviceAllocation.strict"
	to := raw.Allocation
	switch {
	case !to.Strict:
	case len(to.Namespaces)+len(to.NamespaceSelectors)+len(to.ServiceSelectors) == 0:
		a.warn(RuleFence, field, "true", "the pool admits every Service, so that none can use a pool without serviceAllocation; say which Services it is for")
	case !raw.AutoAssign:
		a.warn(RuleFence, field, "true", "spec.autoAssign is false: of the pool's addresses the Services that it admits get only those they ask for, and of pools without serviceAllocation none")
	}
}

// conflictCheck reads spec.conflictCheck.
func (a *about) conflictCheck(text string) ipam.ConflictCheck {
	switch text {
	case "", "None":
		return ipam.CheckNone
	case "Known":
		return ipam.CheckKnown
	case "Probe":
		return ipam.CheckProbe
	}
	a.invalid(RuleConflictCheck, "spec.conflictCheck", quote(text), "must be None, Known or Probe")
	return ipam.CheckNone
}

// ranges parses spec.addresses, in order.
func (a *about) ranges(addresses []string) []ipam.Range {
	const field = "spec.addresses"
	if len(addresses) == 0 {
		a.invalid(RuleAddresses, field, "empty", "give at least one prefix such as 192.0.2.0/24 or range such as 192.0.2.10-192.0.2.20")
		return nil
	}
	ranges := make([]ipam.Range, 0, len(addresses))
	var spans []span
	for i, text := range addresses {
		r, err := ipam.ParseRange(text)
		if err != nil {
			a.invalid(RuleAddresses, item(field, i), quote(text), err.Error())
			continue
		}
		at, overlaps := place(spans, r)
		if overlaps {
			a.invalid(RuleEntryOverlap, item(field, i), quote(text), fmt.Sprintf("must not overlap %s %s", item(field, spans[at].pool), quote(addresses[spans[at].pool])))
			continue
		}
		spans = slices.Insert(spans, at, span{Range: r, pool: i})
		ranges = append(ranges, r)
		if prefix, err := netip.ParsePrefix(strings.TrimSpace(text)); err == nil && prefix != prefix.Masked() {
			a.warn(RuleHostBits, item(field, i), quote(text), fmt.Sprintf("the whole prefix %s is used", prefix.Masked()))
		}
		if what := unusual(r); what != "" {
			a.warn(RuleUnusualAddress, item(field, i), quote(text), "routers and hosts do not accept "+what+" addresses from the network")
		}
	}
	return ranges
}

// unusual names the kind of addresses in r that can't be announced with any use, "" for all others.
func unusual(r ipam.Range) string {
	for _, addr := range [...]netip.Addr{r.First, r.Last} {
		switch {
		case addr.IsLoopback():
			return "loopback"
		case addr.IsMulticast():
			return "multicast"
		case addr.IsLinkLocalUnicast() && addr.Is6():
			return "IPv6 link-local"
		case addr.IsUnspecified():
			return "unspecified"
		}
	}
	return ""
}

// usePool puts a pool into the Snapshot unless it overlaps one that is already there. The leave to lose live addresses is for what the pool
// says now, and so ends when something older has to stay in force.
func (b *builder) usePool(a *about, pool Pool, old bool) (Pool, bool) {
	pool.Disruptive = pool.Disruptive && !old
	for _, r := range pool.Ranges {
		at, overlaps := place(b.index, r)
		if overlaps {
			other := &b.Pools[b.index[at].pool]
			a.conflict(RulePoolOverlap, "spec.addresses", r.String(), fmt.Sprintf("overlaps %s of the older IPAddressPool %s/%s; the whole pool is left out",
				b.index[at].Range, a.ref.Namespace, other.Name))
			return pool, false
		}
	}
	for _, r := range pool.Ranges {
		at, _ := place(b.index, r)
		b.index = slices.Insert(b.index, at, span{Range: r, pool: len(b.Pools)})
	}
	b.Pools = append(b.Pools, pool)
	return pool, true
}

// span is a range of one pool, given by its place in a list.
type span struct {
	ipam.Range
	pool int
}

// indexOf sorts pools by name and returns their spans in the order of addresses.
func indexOf(pools []Pool) []span {
	slices.SortFunc(pools, func(a, o Pool) int { return strings.Compare(a.Name, o.Name) })
	var index []span
	for i := range pools {
		for _, r := range pools[i].Ranges {
			index = append(index, span{Range: r, pool: i})
		}
	}
	slices.SortFunc(index, func(a, o span) int { return a.First.Compare(o.First) })
	return index
}

// place finds where r belongs among spans, which are in the order of addresses and do not overlap. If r overlaps one it returns that one's
// place and true.
func place(spans []span, r ipam.Range) (int, bool) {
	at, _ := slices.BinarySearchFunc(spans, r.First, func(s span, first netip.Addr) int { return s.First.Compare(first) })
	if at > 0 && spans[at-1].Overlaps(r) {
		return at - 1, true
	}
	return at, at < len(spans) && spans[at].Overlaps(r)
}

// PoolOf returns the pool that addr belongs to, whatever the pool's avoidBuggyIPs says of it.
func (s *Snapshot) PoolOf(addr netip.Addr) (*Pool, bool) {
	addr = addr.Unmap()
	if s.index == nil {
		for i := range s.Pools {
			if s.Pools[i].Contains(addr) {
				return &s.Pools[i], true
			}
		}
		return nil, false
	}
	at, overlaps := place(s.index, ipam.Range{First: addr, Last: addr})
	if !overlaps {
		return nil, false
	}
	return &s.Pools[s.index[at].pool], true
}

// largestPrefix returns the length of the shortest prefix that lies wholly inside r: the largest network that may be announced for an
// address in r without covering strangers.
func largestPrefix(r ipam.Range) int {
	// No block with fewer bits than both ends have in common lies inside.
	first, last := r.First.As16(), r.Last.As16()
	for length := commonBits(first, last) - (128 - r.First.BitLen()); length < r.First.BitLen(); length++ {
		prefix := netip.PrefixFrom(r.First, length).Masked()
		block := ipam.RangeOf(prefix)
		if block.First != r.First {
			// The first block of this size that may fit is the next one.
			next := block.Last.Next()
			if !next.IsValid() {
				continue
			}
			block = ipam.RangeOf(netip.PrefixFrom(next, length))
		}
		if block.Last.Compare(r.Last) <= 0 {
			return length
		}
	}
	return r.First.BitLen()
}

// commonBits counts the leading bits that a and o share.
func commonBits(a, o [16]byte) int {
	for i := range a {
		if x := a[i] ^ o[i]; x != 0 {
			return i*8 + bits.LeadingZeros8(x)
		}
	}
	return 128
}

// aggregates is, per family as familyIndex numbers them, the shortest prefix length that every range of a pool has room for, and whether
// the pool has addresses of the family at all.
type aggregates struct {
	lengths [2]int
	has     [2]bool
}

// shortestAggregates returns the aggregates of each pool by name.
func shortestAggregates(pools []Pool) map[string]aggregates {
	out := make(map[string]aggregates, len(pools))
	for i := range pools {
		var a aggregates
		for _, r := range pools[i].Ranges {
			f := familyIndex(r.First)
			a.lengths[f], a.has[f] = max(a.lengths[f], largestPrefix(r)), true
		}
		out[pools[i].Name] = a
	}
	return out
}

// familyIndex is 0 for IPv4 and 1 for IPv6.
func familyIndex(addr netip.Addr) int {
	if addr.Is4() {
		return 0
	}
	return 1
}
