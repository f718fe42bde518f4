package service

import (
	"context"
	"maps"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// countQuotas finds the namespaces that have as many addresses as a quota allows.
func (r *Reconciler) countQuotas(ctx context.Context) {
	r.atLimit = nil
	if len(r.config.Quotas) == 0 {
		return
	}
	held := map[string]map[netip.Addr]string{} // by namespace, the addresses with their pools
	for _, claim := range r.ledger.Claims() {
		for _, addr := range claim.Addresses {
			ns := claim.Service.Namespace
			if held[ns] == nil {
				held[ns] = map[netip.Addr]string{}
			}
			held[ns][addr], _ = r.ledger.PoolOf(addr)
		}
	}
	r.atLimit = make(map[string][]string, len(r.config.Quotas))
	for i := range r.config.Quotas {
		q := &r.config.Quotas[i]
		var full []string
		for _, ns := range slices.Sorted(maps.Keys(held)) {
			if r.isFor(ctx, q, ns) && atLimit(q, held[ns]) {
				full = append(full, ns)
			}
		}
		r.atLimit[q.Name] = full
	}
}

// isFor tells whether a quota limits a namespace.
func (r *Reconciler) isFor(ctx context.Context, q *ipam.Quota, namespace string) bool {
	if len(q.Namespaces) == 0 && len(q.NamespaceSelectors) == 0 || slices.Contains(q.Namespaces, namespace) {
		return true
	}
	return len(q.NamespaceSelectors) > 0 && q.NamespaceSelectors.Matches(r.namespaceLabels(ctx, namespace))
}

// atLimit tells whether the addresses that a namespace has, given with their pools, are as many as a quota allows of one family.
func atLimit(q *ipam.Quota, held map[netip.Addr]string) bool {
	v4, v6 := 0, 0
	for addr, pool := range held {
		switch {
		case len(q.Pools) > 0 && !slices.Contains(q.Pools, pool):
		case ipam.FamilyOf(addr) == ipam.IPv4:
			v4++
		default:
			v6++
		}
	}
	return q.IPv4 != ipam.Unbounded && v4 >= q.IPv4 || q.IPv6 != ipam.Unbounded && v6 >= q.IPv6
}
