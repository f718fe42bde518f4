package ipam

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// Unbounded is the limit of a Quota that does not limit a family.
const Unbounded = -1

// Quota limits how many addresses the Services of one namespace may have. It takes nothing from anybody: it decides on what is given anew.
type Quota struct {
	// Name is that of the AddressQuota.
	Name string
	// Namespaces and NamespaceSelectors are OR-ed; both empty means every namespace, each by itself.
	Namespaces         []string
	NamespaceSelectors selector.Set
	// Pools are those whose addresses count, all together. Empty means all addresses, also those that are kept and in no pool any more.
	Pools []string
	// IPv4 and IPv6 are the numbers of addresses, or Unbounded. An address that several Services of the namespace share counts once.
	IPv4, IPv6 int
}

// quotas are all quotas, so kept that those of a namespace are found without looking at those of others.
type quotas struct {
	named map[string][]*Quota // by namespace
	// selecting are those with selectors or for every namespace.
	selecting []*Quota
}

// SetQuotas replaces the quotas.
func (l *Ledger) SetQuotas(all []Quota) {
	l.quotas = quotas{named: map[string][]*Quota{}}
	for i := range all {
		q := all[i]
		for _, name := range q.Namespaces {
			l.quotas.named[name] = append(l.quotas.named[name], &q)
		}
		if len(q.NamespaceSelectors) > 0 || len(q.Namespaces) == 0 {
			l.quotas.selecting = append(l.quotas.selecting, &q)
		}
	}
}

// of returns the quotas of a namespace, by name.
func (q *quotas) of(namespace string, labels map[string]string) []*Quota {
	found := slices.Clone(q.named[namespace])
	for _, one := range q.selecting {
		if one.NamespaceSelectors.MatchesOrEmpty(labels) && !slices.Contains(found, one) {
			found = append(found, one)
		}
	}
	slices.SortStableFunc(found, func(a, b *Quota) int { return cmp.Compare(a.Name, b.Name) })
	return found
}

func (q *Quota) limit(f Family) int {
	if f == IPv4 {
		return q.IPv4
	}
	return q.IPv6
}

// counts tells whether addresses of the pool count; nil stands for no pool.
func (q *Quota) counts(p *pool) bool {
	return len(q.Pools) == 0 || p != nil && slices.Contains(q.Pools, p.Name)
}

// spending counts the addresses that the Services of one namespace have, by family: all of them, and those of each pool.
type spending struct {
	all  [2]int
	from map[*pool]*[2]int
}

// spend adds n to what the Services of a namespace have, for an address that the first of them gets, or the last one loses.
func (l *Ledger) spend(namespace string, addr netip.Addr, n int) {
	s := l.spent[namespace]
	if s == nil {
		s = &spending{from: map[*pool]*[2]int{}}
		l.spent[namespace] = s
	}
	i := FamilyOf(addr).index()
	s.all[i] += n
	if owner, ok := l.owner(addr); ok {
		if s.from[owner.pool] == nil {
			s.from[owner.pool] = &[2]int{}
		}
		s.from[owner.pool][i] += n
	}
	if s.all == [2]int{} {
		delete(l.spent, namespace)
	}
}

// spentOn returns how many addresses of a family count for a quota in a namespace.
func (l *Ledger) spentOn(q *Quota, namespace string, f Family) int {
	s := l.spent[namespace]
	switch {
	case s == nil:
		return 0
	case len(q.Pools) == 0:
		return s.all[f.index()]
	}
	sum := 0
	for _, name := range q.Pools {
		if n := s.from[l.byName[name]]; n != nil {
			sum += n[f.index()]
		}
	}
	return sum
}

// limit is what a quota leaves of a family.
type limit struct {
	quota *Quota
	// used of the quota's addresses of the family the Services of the namespace have, and what is left.
	used, left int
}

// describe says it with the numbers.
func (m limit) describe(f Family) string {
	return fmt.Sprintf("quota %s: %d of %d %s addresses", m.quota.Name, m.used, m.quota.limit(f), f)
}

// room returns the tightest limit of the namespace on addresses of a family of the pool; quota is nil if there is none. What this decision
// gives up does not count any more.
func (a *asking) room(p *pool, f Family) limit {
	var tightest limit
	for _, q := range a.quotas() {
		if q.limit(f) < 0 || !q.counts(p) {
			continue
		}
		m := limit{quota: q, used: a.l.spentOn(q, a.r.Service.Namespace, f)}
		for _, g := range a.d.GivenUp {
			owner, _ := a.l.owner(g.Address)
			if FamilyOf(g.Address) == f && q.counts(owner.pool) && a.costs(g.Address) {
				m.used--
			}
		}
		m.left = max(0, q.limit(f)-m.used)
		if tightest.quota == nil || m.left < tightest.left {
			tightest = m
		}
	}
	return tightest
}

// costs tells whether addr counts for the Service in the quotas of its namespace: whether no other Service of the namespace has it.
func (a *asking) costs(addr netip.Addr) bool {
	return !a.l.uses[addr].in(a.r.Service.Namespace, a.r.Service)
}

// quotas returns those of the Service's namespace.
func (a *asking) quotas() []*Quota {
	if !a.knowsQuotas {
		a.knowsQuotas = true
		a.ofNamespace = a.l.quotas.of(a.r.Service.Namespace, a.r.NamespaceLabels)
	}
	return a.ofNamespace
}
