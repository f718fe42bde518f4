package ipam_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// world is everything that a decision depends on, with the rules said once more, slowly and plainly: one address at a time, looking at all.
type world struct {
	pools        []ipam.Pool
	abandoned    []string
	reservations []ipam.Reservation
	quotas       []ipam.Quota
	foreign      map[netip.Addr]string
	requests     map[ipam.ServiceKey]ipam.Request
	// status is what the API knows of each Service: its addresses and the pool annotation.
	status map[ipam.ServiceKey]ipam.Claim
}

func (w *world) poolOf(addr netip.Addr) (ipam.Pool, bool) {
	i := slices.IndexFunc(w.pools, func(p ipam.Pool) bool { return p.Contains(addr) })
	if i < 0 {
		return ipam.Pool{}, false
	}
	return w.pools[i], true
}

func (w *world) named(name string) (ipam.Pool, bool) {
	i := slices.IndexFunc(w.pools, func(p ipam.Pool) bool { return p.Name == name })
	if i < 0 {
		return ipam.Pool{}, false
	}
	return w.pools[i], true
}

func (w *world) reservedBy(addr netip.Addr) *ipam.Reservation {
	for i := range w.reservations {
		if slices.Contains(w.reservations[i].Addresses, addr) {
			return &w.reservations[i]
		}
	}
	return nil
}

func accepts(p ipam.Pool, r ipam.Request) bool {
	return p.Accepts(r.Service.Namespace, r.NamespaceLabels, r.Labels)
}

func endsBuggy(addr netip.Addr) bool {
	last := addr.AsSlice()[len(addr.AsSlice())-1]
	return addr.Is4() && (last == 0 || last == 255)
}

// denies says why a Service must not get an address that it does not have, "" if it may. all is what it gets together.
func (w *world) denies(r ipam.Request, addr netip.Addr, all []netip.Addr) string {
	p, ok := w.poolOf(addr)
	if !ok {
		return "it is in no pool"
	}
	fenced := slices.ContainsFunc(w.pools, func(o ipam.Pool) bool { return o.Allocation != nil && o.Allocation.Strict && accepts(o, r) })
	reserved := w.reservedBy(addr)
	_, foreign := w.foreign[addr]
	switch {
	case !slices.Contains(r.Families, ipam.FamilyOf(addr)):
		return "the Service has not its family"
	case len(r.Addresses) > 0 && !slices.Contains(r.Addresses, addr):
		return "the Service did not ask for it"
	case !accepts(p, r):
		return "its pool does not admit the Service"
	case r.Pool != "" && r.Pool != p.Name:
		return "the Service asks for another pool"
	case p.AvoidBuggyIPs && endsBuggy(addr):
		return "avoidBuggyIPs leaves it out"
	case p.Disabled:
		return "its pool is disabled"
	case p.Allocation == nil && fenced:
		return "there is a strict pool for the Service"
	case foreign && p.Check != ipam.CheckNone:
		return "it belongs to somebody else"
	case reserved != nil && (reserved.Namespace != r.Service.Namespace || reserved.Service != "" && reserved.Service != r.Service.Name ||
		!reserved.Services.MatchesOrEmpty(r.Labels)):
		return "it is reserved for others"
	}
	for key, c := range w.status {
		if key != r.Service && slices.Contains(addressesOf(c), addr) && !legal(r.Service, r.Sharing, key, sharingOf(c, addr)) {
			return key.String() + " has it"
		}
	}
	return w.overQuota(r, addr, all)
}

func (w *world) overQuota(r ipam.Request, addr netip.Addr, all []netip.Addr) string {
	for _, q := range w.quotas {
		limit := q.IPv4
		if addr.Is6() {
			limit = q.IPv6
		}
		everywhere := len(q.Namespaces)+len(q.NamespaceSelectors) == 0
		if limit < 0 || !everywhere && !slices.Contains(q.Namespaces, r.Service.Namespace) && !q.NamespaceSelectors.Matches(r.NamespaceLabels) {
			continue
		}
		counts := func(one netip.Addr) bool {
			p, _ := w.poolOf(one)
			return one.Is4() == addr.Is4() && (len(q.Pools) == 0 || slices.Contains(q.Pools, p.Name))
		}
		have := map[netip.Addr]bool{}
		for key, c := range w.status {
			for _, one := range c.Addresses {
				if key != r.Service && key.Namespace == r.Service.Namespace && counts(one) {
					have[one] = true
				}
			}
		}
		if have[addr] || !counts(addr) {
			continue
		}
		for _, one := range append(slices.Clone(all), addr) {
			if counts(one) {
				have[one] = true
			}
		}
		if len(have) > limit {
			return fmt.Sprintf("quota %s allows %d", q.Name, limit)
		}
	}
	return ""
}

// mayLose tells whether the user allowed a Service to lose an address to a pool.
func (w *world) mayLose(r ipam.Request, had ipam.Claim, addr netip.Addr) bool {
	if p, ok := w.poolOf(addr); ok {
		return p.Disruptive && (!accepts(p, r) || p.AvoidBuggyIPs && endsBuggy(addr))
	}
	was, ok := w.named(had.Pool)
	return ok && was.Disruptive || !ok && slices.Contains(w.abandoned, had.Pool)
}

// candidates returns the addresses of the pools, of big ones those at the beginning.
func (w *world) candidates() (all []netip.Addr) {
	for _, p := range w.pools {
		for _, r := range p.Ranges {
			for addr, i := r.First, 0; r.Contains(addr) && i < 40; addr, i = addr.Next(), i+1 {
				all = append(all, addr)
			}
		}
	}
	return all
}

func addressesOf(c ipam.Claim) []netip.Addr {
	all := slices.Clone(c.Addresses)
	for _, l := range c.Leaving {
		if !slices.Contains(all, l.Address) {
			all = append(all, l.Address)
		}
	}
	return all
}

// sharingOf returns the way in which a Service has one of its addresses, or gave it up.
func sharingOf(c ipam.Claim, addr netip.Addr) ipam.Sharing {
	if slices.Contains(c.Addresses, addr) {
		return c.Sharing
	}
	return c.Leaving[slices.IndexFunc(c.Leaving, func(l ipam.Leaving) bool { return l.Address == addr })].Sharing
}

func legal(a ipam.ServiceKey, s ipam.Sharing, b ipam.ServiceKey, o ipam.Sharing) bool {
	admits := func(s ipam.Sharing, from, to string) bool {
		return s.With == nil || from == to || slices.Contains(s.With, to)
	}
	return s.Key != "" && s.Key == o.Key && s.Backend == o.Backend && admits(s, a.Namespace, b.Namespace) && admits(o, b.Namespace, a.Namespace) &&
		!slices.ContainsFunc(s.Ports, func(p ipam.Port) bool { return slices.Contains(o.Ports, p) })
}

// blocks are disjoint, so that any choice of them makes valid pools.
var blocks = []string{
	"10.0.0.0/30", "10.0.0.254-10.0.1.1", "10.9.0.0/31", "192.168.7.9-192.168.7.12",
	"2001:db8::/126", "2001:db8:1::fffe-2001:db8:1::1:1", "2001:db8:2::/64",
}

var poolNames = []string{"a", "b", "c"}

func drawPools(t *rapid.T) []ipam.Pool {
	pools := map[string]*ipam.Pool{}
	for _, block := range blocks {
		name := rapid.SampledFrom(append([]string{""}, poolNames...)).Draw(t, "pool of "+block)
		if name == "" {
			continue
		}
		r, err := ipam.ParseRange(block)
		if err != nil {
			t.Fatal(err)
		}
		p := pools[name]
		if p == nil {
			p = drawPool(t, name)
			pools[name] = p
		}
		p.Ranges = append(p.Ranges, r)
	}
	var list []ipam.Pool
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		list = append(list, *pools[name])
	}
	return list
}

func drawPool(t *rapid.T, name string) *ipam.Pool {
	seldom := func(what string) bool { return rapid.IntRange(0, 4).Draw(t, what) == 0 }
	p := &ipam.Pool{Name: name, AutoAssign: !seldom("manual"), AvoidBuggyIPs: rapid.Bool().Draw(t, "avoid"), Disabled: seldom("disabled"),
		Disruptive: seldom("disruptive"), Check: rapid.SampledFrom([]ipam.ConflictCheck{ipam.CheckNone, ipam.CheckKnown, ipam.CheckProbe}).Draw(t, "check")}
	if rapid.Bool().Draw(t, "pinned") {
		p.Allocation = &ipam.Allocation{Priority: rapid.IntRange(0, 2).Draw(t, "priority"), Strict: seldom("strict"),
			Namespaces: rapid.SampledFrom([][]string{nil, {"red"}, {"blue"}}).Draw(t, "namespaces")}
	}
	return p
}

var serviceKeys = func() (keys []ipam.ServiceKey) {
	for i := range 8 {
		keys = append(keys, ipam.ServiceKey{Namespace: []string{"red", "blue"}[i%2], Name: fmt.Sprint("s", i)})
	}
	return keys
}()

var someAddresses = []string{"10.0.0.0", "10.0.0.1", "10.0.0.2", "10.0.0.255", "10.0.1.0", "10.9.0.1", "192.168.7.10", "2001:db8::1", "2001:db8:2::", "172.16.0.1"}

func drawAddresses(t *rapid.T, counts ...int) (addrs []netip.Addr) {
	n := rapid.SampledFrom(counts).Draw(t, "addresses")
	for _, text := range rapid.SliceOfNDistinct(rapid.SampledFrom(someAddresses), n, n, rapid.ID).Draw(t, "which") {
		addrs = append(addrs, netip.MustParseAddr(text))
	}
	return addrs
}

func drawRequest(t *rapid.T, key ipam.ServiceKey) ipam.Request {
	r := ipam.Request{Service: key, NamespaceLabels: map[string]string{"team": key.Namespace}}
	r.Labels = rapid.SampledFrom([]map[string]string{nil, {"tier": "gold"}}).Draw(t, "labels")
	both := [][]ipam.Family{{ipam.IPv4}, {ipam.IPv6}, {ipam.IPv4, ipam.IPv6}, {ipam.IPv6, ipam.IPv4}, {}}
	r.Families = rapid.SampledFrom(both).Draw(t, "families")
	if len(r.Families) == 2 {
		r.Policy = rapid.SampledFrom([]ipam.FamilyPolicy{ipam.PreferDualStack, ipam.RequireDualStack}).Draw(t, "policy")
	}
	r.Pool = rapid.SampledFrom([]string{"", "", "", "a", "b", "missing"}).Draw(t, "pool")
	r.Addresses = drawAddresses(t, 0, 0, 0, 1, 2)
	r.Count = rapid.SampledFrom([]int{0, 0, 1, 2, 4}).Draw(t, "count")
	r.Sharing.Key = rapid.SampledFrom([]string{"", "", "k", "k", "l"}).Draw(t, "key")
	r.Sharing.Backend = rapid.SampledFrom([]string{"", "", "app=x"}).Draw(t, "backend")
	r.Sharing.With = rapid.SampledFrom([][]string{nil, nil, {}, {"blue", "red"}}).Draw(t, "with")
	r.Sharing.Ports = rapid.SampledFrom([][]ipam.Port{{{Protocol: "TCP", Number: 80}}, {{Protocol: "UDP", Number: 80}}, {{Protocol: "TCP", Number: 80}, {Protocol: "TCP", Number: 443}}}).Draw(t, "ports")
	if rapid.IntRange(0, 9).Draw(t, "invalid") == 0 {
		r.Invalid = "nonsense"
	}
	return r
}

func drawReservations(t *rapid.T) (all []ipam.Reservation) {
	for i := range rapid.IntRange(0, 3).Draw(t, "reservations") {
		r := ipam.Reservation{Name: fmt.Sprint("r", i), Addresses: drawAddresses(t, 1, 2, 3)}
		key := rapid.SampledFrom(serviceKeys).Draw(t, "for")
		r.Namespace = key.Namespace
		switch rapid.IntRange(0, 2).Draw(t, "narrow") {
		case 1:
			r.Service = key.Name
		case 2:
			r.Services = selector.Set{labelled("tier=gold")}
		}
		all = append(all, r)
	}
	return all
}

func drawQuotas(t *rapid.T) (all []ipam.Quota) {
	for i := range rapid.IntRange(0, 2).Draw(t, "quotas") {
		q := ipam.Quota{Name: fmt.Sprint("q", i), IPv4: rapid.IntRange(-1, 3).Draw(t, "IPv4"), IPv6: rapid.IntRange(-1, 3).Draw(t, "IPv6")}
		q.Namespaces = rapid.SampledFrom([][]string{nil, {"red"}}).Draw(t, "namespaces")
		q.NamespaceSelectors = rapid.SampledFrom([]selector.Set{nil, {labelled("team=blue")}}).Draw(t, "selectors")
		q.Pools = rapid.SampledFrom([][]string{nil, {"a"}, {"a", "b"}}).Draw(t, "pools")
		all = append(all, q)
	}
	return all
}

func drawForeign(t *rapid.T) map[netip.Addr]string {
	known := map[netip.Addr]string{}
	for _, addr := range drawAddresses(t, 0, 1, 2, 3) {
		known[addr] = rapid.SampledFrom([]string{"node n1", "BGPPeer tor", ""}).Draw(t, "whose")
	}
	return known
}
