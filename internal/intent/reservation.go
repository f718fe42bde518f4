package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// parseReservation checks an IPReservation by itself. Families of the result are those that were asked for, nil when none were.
func parseReservation(a *about, raw *RawReservation) Reservation {
	r := Reservation{
		Reservation: ipam.Reservation{Name: raw.Name, Namespace: raw.TargetNamespace, Service: raw.ServiceName, Addresses: a.reserved(raw)},
		Pool:        raw.Pool,
		Families:    a.families(raw),
		Retain:      a.retention(raw.RetainAfterDelete),
	}
	if !isLabel(raw.TargetNamespace) {
		a.invalid(RuleReservedFor, "spec.namespace", quote(raw.TargetNamespace), "must be the name of the namespace of the Services: "+wantedLabel)
	}
	if raw.ServiceName != "" && !isLabel(raw.ServiceName) {
		a.invalid(RuleReservedFor, "spec.serviceName", quote(raw.ServiceName), "must be the name of a Service: "+wantedLabel)
	}
	if raw.ServiceSelector != nil {
		if raw.ServiceName != "" {
			a.invalid(RuleReservedFor, "spec.serviceName", quote(raw.ServiceName), "give at most one of spec.serviceName and spec.serviceSelector")
		}
		if one := a.selector("spec.serviceSelector", *raw.ServiceSelector); one != nil {
			r.Services = selector.Set{one}
		}
	}
	return r
}

// wantedLabel is what isLabel accepts.
const wantedLabel = "at most 63 lower-case letters, digits and '-'"

// isLabel tells whether name can name a namespace or a Service (RFC 1123 label).
func isLabel(name string) bool {
	return len(name) <= 63 && !strings.Contains(name, ".") && isObjectName(name)
}

// reserved reads spec.addresses.
func (a *about) reserved(raw *RawReservation) []netip.Addr {
	const field = "spec.addresses"
	switch {
	case len(raw.Addresses) == 0 && raw.Pool == "":
		a.invalid(RuleReservedAddress, field, "", "give either spec.addresses or spec.pool: both are empty")
	case len(raw.Addresses) > 0 && raw.Pool != "":
		a.invalid(RuleReservedAddress, field, "", "give either spec.addresses or spec.pool, which is "+quote(raw.Pool))
	case raw.Pool != "" && !isObjectName(raw.Pool):
		a.invalid(RuleReservedAddress, "spec.pool", quote(raw.Pool), "must be the name of an IPAddressPool")
	}
	var out []netip.Addr
	at := make(map[netip.Addr]int, len(raw.Addresses))
	for i, text := range raw.Addresses {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			a.invalid(RuleReservedAddress, item(field, i), quote(text), "must be an IP address such as 192.0.2.7 or 2001:db8::7")
			continue
		}
		if first, ok := at[addr]; ok {
			a.invalid(RuleDuplicateEntry, item(field, i), quote(text), "must not repeat "+item(field, first))
			continue
		}
		at[addr] = i
		out = append(out, addr)
	}
	return out
}

// families reads spec.ipFamilies.
func (a *about) families(raw *RawReservation) []ipam.Family {
	const field = "spec.ipFamilies"
	if len(raw.IPFamilies) > 0 && raw.Pool == "" {
		a.invalid(RuleReservedFamily, field, "", "goes with spec.pool only: addresses that are named have their own families")
	}
	a.distinct(field, raw.IPFamilies)
	var out []ipam.Family
	for i, text := range raw.IPFamilies {
		at := slices.IndexFunc(allFamilies(), func(f ipam.Family) bool { return f.String() == text })
		if at < 0 {
			a.invalid(RuleReservedFamily, item(field, i), quote(text), "must be IPv4 or IPv6")
			continue
		}
		out = append(out, allFamilies()[at])
	}
	return out
}

func allFamilies() []ipam.Family { return []ipam.Family{ipam.IPv4, ipam.IPv6} }

// retainForever is the value of spec.retainAfterDelete that knows no end, and its default.
const retainForever = "Forever"

// retention reads spec.retainAfterDelete. A retention of nothing is refused: a Service that is deleted to be created again, which is what
// retention is for, would lose its address.
func (a *about) retention(text string) time.Duration {
	if text == "" || text == retainForever {
		return 0
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < time.Second {
		a.invalid(RuleRetention, "spec.retainAfterDelete", quote(text), "must be "+retainForever+" or a duration of at least 1s such as 24h or 1h30m")
	}
	return d
}

// useReservation puts a reservation into the Snapshot, without the addresses that an older one has. One that is left without any is not in
// the Snapshot. What to remember is the reservation as it was parsed: pools and other reservations come and go.
func (b *builder) useReservation(a *about, r Reservation, _ bool) (Reservation, bool) {
	now := r
	if r.Pool != "" {
		now.Families = b.familiesOf(a, r)
	} else if now.Addresses = b.unreserved(a, r); len(now.Addresses) == 0 {
		return r, true
	}
	b.Reservations = append(b.Reservations, now)
	return r, true
}

// familiesOf returns the families that the reservation's pool is to give an address of.
func (b *builder) familiesOf(a *about, r Reservation) []ipam.Family {
	pool := b.pool(r.Pool)
	if pool == nil {
		a.unresolved(RulePoolMissing, "spec.pool", quote(r.Pool), b.missing(KindPool, a.ref.Namespace, r.Pool)+"; nothing is chosen from it")
		return nil
	}
	a.admits("spec.pool", quote(r.Pool), r, pool)
	var has, out []ipam.Family
	for _, f := range allFamilies() {
		if slices.ContainsFunc(pool.Ranges, func(one ipam.Range) bool { return one.Family() == f }) {
			has = append(has, f)
		}
	}
	if r.Families == nil {
		return has
	}
	for _, f := range allFamilies() {
		i := slices.Index(r.Families, f)
		switch {
		case i < 0:
		case slices.Contains(has, f):
			out = append(out, f)
		default:
			a.unresolved(RuleReservedFamily, item("spec.ipFamilies", i), quote(f.String()), fmt.Sprintf("IPAddressPool %s/%s has no %s addresses; none is reserved", a.ref.Namespace, r.Pool, f))
		}
	}
	return out
}

// unreserved returns the addresses of r that no older reservation has, and takes them.
func (b *builder) unreserved(a *about, r Reservation) []netip.Addr {
	var out []netip.Addr
	for i, addr := range r.Addresses {
		field := item("spec.addresses", i)
		if older, ok := b.reserved[addr]; ok {
			a.conflict(RuleReservedTwice, field, addr.String(), fmt.Sprintf("the older IPReservation %s/%s reserves it; it is left out here", a.ref.Namespace, older))
			continue
		}
		b.reserved[addr] = r.Name
		out = append(out, addr)
		pool, ok := b.PoolOf(addr)
		if !ok {
			a.unresolved(RuleAddressInNoPool, field, addr.String(), "no IPAddressPool that is in force has it; it is reserved once one has")
			continue
		}
		a.admits(field, addr.String(), r, pool)
		if pool.AvoidBuggyIPs && (ipam.Range{First: addr, Last: addr}).Size(true) == 0 {
			a.warn(RuleReservedUseless, field, addr.String(), fmt.Sprintf("IPAddressPool %s/%s has avoidBuggyIPs: nobody gets an address that ends in .0 or .255", a.ref.Namespace, pool.Name))
		}
	}
	return out
}

// admits warns of a pool that admits no Service of the namespace that the reservation is for. Where namespaces are selected by label this
// is not known here.
func (a *about) admits(field, found string, r Reservation, pool *Pool) {
	to := pool.Allocation
	if to == nil || len(to.NamespaceSelectors) > 0 || len(to.Namespaces) == 0 || slices.Contains(to.Namespaces, r.Namespace) {
		return
	}
	a.warn(RuleReservedUseless, field, found, fmt.Sprintf("spec.serviceAllocation of IPAddressPool %s/%s does not admit the Services of namespace %s", a.ref.Namespace, pool.Name, r.Namespace))
}
