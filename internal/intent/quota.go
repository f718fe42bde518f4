package intent

import (
	"fmt"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// parseQuota checks an AddressQuota by itself. Pools of the result are all that it names.
func parseQuota(a *about, raw *RawQuota) ipam.Quota {
	a.distinct("spec.namespaces", raw.Namespaces)
	for i, name := range raw.Namespaces {
		if !isLabel(name) {
			a.invalid(RuleLimitFor, item("spec.namespaces", i), quote(name), "must be the name of a namespace: "+wantedLabel)
		}
	}
	a.distinct("spec.pools", raw.Pools)
	if raw.IPv4 == nil && raw.IPv6 == nil {
		a.invalid(RuleLimit, "spec.ipv4", "", "give at least one of spec.ipv4 and spec.ipv6: both are empty")
	}
	return ipam.Quota{
		Name:               raw.Name,
		Namespaces:         raw.Namespaces,
		NamespaceSelectors: a.selectors("spec.namespaceSelectors", raw.NamespaceSelectors),
		Pools:              raw.Pools,
		IPv4:               a.limit("spec.ipv4", raw.IPv4),
		IPv6:               a.limit("spec.ipv6", raw.IPv6),
	}
}

// limit reads a number of addresses.
func (a *about) limit(field string, n *int32) int {
	if n == nil {
		return ipam.Unbounded
	}
	if *n < 0 {
		a.invalid(RuleLimit, field, fmt.Sprint(*n), "must be 0 or more")
	}
	return int(*n)
}

// useQuota puts a quota with those of its pools that are in force into the Snapshot. One that names pools of which none is in force is not
// there: without pools it would limit all of them.
func (b *builder) useQuota(a *about, q ipam.Quota, _ bool) (ipam.Quota, bool) {
	now := q
	now.Pools = nil
	for i, name := range q.Pools {
		if b.pool(name) == nil {
			end := "; the addresses of the others count"
			if len(q.Pools) == 1 {
				end = "; nothing is limited"
			}
			a.unresolved(RulePoolMissing, item("spec.pools", i), quote(name), b.missing(KindPool, a.ref.Namespace, name)+end)
			continue
		}
		now.Pools = append(now.Pools, name)
	}
	if len(q.Pools) == 0 || len(now.Pools) > 0 {
		b.Quotas = append(b.Quotas, now)
	}
	return q, true
}
