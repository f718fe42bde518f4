package intent_test

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

func fenceRows() []row {
	fence := func(change func(*intent.RawPool)) func(*intent.Raw) {
		return func(r *intent.Raw) {
			r.Pools[0].Allocation = &intent.RawAllocation{Namespaces: []string{"shop"}, Strict: true}
			change(&r.Pools[0])
		}
	}
	return []row{
		onPool(intent.RuleConflictCheck, "unknown word", func(p *intent.RawPool) { p.ConflictCheck = "ARP" },
			`invalid IPAddressPool lab/first: spec.conflictCheck is "ARP": must be None, Known or Probe`),
		warning(intent.RuleFence, "for some Services is fine", fence(func(*intent.RawPool) {})),
		warning(intent.RuleFence, "for every Service", fence(func(p *intent.RawPool) { p.Allocation.Namespaces = nil }),
			`warning IPAddressPool lab/first: spec.serviceAllocation.strict is true: the pool admits every Service, so that none can use a pool without serviceAllocation; say which Services it is for`),
		warning(intent.RuleFence, "on request", fence(func(p *intent.RawPool) { p.AutoAssign = false }),
			`warning IPAddressPool lab/first: spec.serviceAllocation.strict is true: spec.autoAssign is false: of the pool's addresses the Services that it admits get only those they ask for, and of pools without serviceAllocation none`),
		warning(intent.RuleAllowDisruption, "no number", func(r *intent.Raw) { r.Pools[0].AllowDisruption = "true" },
			`warning IPAddressPool lab/first: metadata.annotations[metallb.io/allow-disruption] is "true": has no effect: must be the metadata.generation of the object that is edited or deleted, at present 1`),
		warning(intent.RuleAllowDisruption, "a generation to come", func(r *intent.Raw) { r.Pools[0].AllowDisruption = "2" },
			`warning IPAddressPool lab/first: metadata.annotations[metallb.io/allow-disruption] is "2": has no effect: must be the metadata.generation of the object that is edited or deleted, at present 1`),
	}
}

func reservationRows() []row {
	other := func(more intent.RawReservation, change func(*intent.Raw)) func(*intent.Raw) {
		return func(r *intent.Raw) {
			r.Reservations = append(r.Reservations, more)
			change(r)
		}
	}
	nothing := func(*intent.Raw) {}
	onShort := func(text string) row {
		return onReservation(intent.RuleRetention, text, func(r *intent.RawReservation) { r.RetainAfterDelete = text },
			`invalid IPReservation lab/first: spec.retainAfterDelete is "`+text+`": must be Forever or a duration of at least 1s such as 24h or 1h30m`)
	}
	const address = `must be an IP address such as 192.0.2.7 or 2001:db8::7`
	return []row{
		onReservation(intent.RuleReservedFor, "no namespace", func(r *intent.RawReservation) { r.TargetNamespace = "" },
			`invalid IPReservation lab/first: spec.namespace is "": must be the name of the namespace of the Services: at most 63 lower-case letters, digits and '-'`),
		onReservation(intent.RuleReservedFor, "namespace in the name", func(r *intent.RawReservation) { r.ServiceName = "shop/web" },
			`invalid IPReservation lab/first: spec.serviceName is "shop/web": must be the name of a Service: at most 63 lower-case letters, digits and '-'`),
		onReservation(intent.RuleReservedFor, "name and selector", func(r *intent.RawReservation) { r.ServiceName, r.ServiceSelector = "web", &where("app", "web")[0] },
			`invalid IPReservation lab/first: spec.serviceName is "web": give at most one of spec.serviceName and spec.serviceSelector`),
		onReservation(intent.RuleSelector, "of Services", func(r *intent.RawReservation) { r.ServiceSelector = &broken()[0] },
			`invalid IPReservation lab/first: spec.serviceSelector: must be a valid label selector: "Near" is not a valid label selector operator`),
		onReservation(intent.RuleReservedAddress, "neither", func(r *intent.RawReservation) { r.Pool, r.IPFamilies = "", nil },
			`invalid IPReservation lab/first: spec.addresses: give either spec.addresses or spec.pool: both are empty`),
		onReservation(intent.RuleReservedAddress, "both", func(r *intent.RawReservation) { r.Addresses = []string{"198.51.100.7"} },
			`invalid IPReservation lab/first: spec.addresses: give either spec.addresses or spec.pool, which is "first"`),
		onReservation(intent.RuleReservedAddress, "no name of a pool", func(r *intent.RawReservation) { r.Pool = "a b" },
			`invalid IPReservation lab/first: spec.pool is "a b": must be the name of an IPAddressPool`),
		onReservation(intent.RuleReservedAddress, "prefix, zone and IPv4 in IPv6", func(r *intent.RawReservation) {
			r.Pool, r.IPFamilies, r.Addresses = "", nil, []string{"198.51.100.0/31", "fe80::1%eth0", "::ffff:198.51.100.7"}
		},
			`invalid IPReservation lab/first: spec.addresses[0] is "198.51.100.0/31": `+address,
			`invalid IPReservation lab/first: spec.addresses[1] is "fe80::1%eth0": `+address,
			`invalid IPReservation lab/first: spec.addresses[2] is "::ffff:198.51.100.7": `+address),
		onReservation(intent.RuleDuplicateEntry, "address in another spelling", func(r *intent.RawReservation) {
			r.Pool, r.IPFamilies, r.Addresses = "", nil, []string{"2001:db8::7", "2001:DB8:0::7"}
		}, `invalid IPReservation lab/first: spec.addresses[1] is "2001:DB8:0::7": must not repeat spec.addresses[0]`),
		onReservation(intent.RuleReservedFamily, "of addresses", func(r *intent.RawReservation) { r.Pool, r.Addresses = "", []string{"198.51.100.7"} },
			`invalid IPReservation lab/first: spec.ipFamilies: goes with spec.pool only: addresses that are named have their own families`),
		onReservation(intent.RuleReservedFamily, "unknown", func(r *intent.RawReservation) { r.IPFamilies = []string{"IPv5"} },
			`invalid IPReservation lab/first: spec.ipFamilies[0] is "IPv5": must be IPv4 or IPv6`),
		onReservation(intent.RuleDuplicateEntry, "family", func(r *intent.RawReservation) { r.IPFamilies = []string{"IPv4", "IPv4"} },
			`invalid IPReservation lab/first: spec.ipFamilies[1] is "IPv4": must not repeat spec.ipFamilies[0]`),
		warning(intent.RuleReservedFamily, "not in the pool", func(r *intent.Raw) { r.Reservations[0].IPFamilies = []string{"IPv6", "IPv4"} },
			`unresolved IPReservation lab/first: spec.ipFamilies[0] is "IPv6": IPAddressPool lab/first has no IPv6 addresses; none is reserved`),
		onShort("0s"), onShort("999ms"), onShort("-1h"), onShort("7d"), onShort("forever"),
		{
			intent.RulePoolMissing, "of a reservation", func(r *intent.Raw) { r.Reservations[0].Pool = "second" },
			[]string{`unresolved IPReservation lab/first: spec.pool is "second": there is no IPAddressPool lab/second; nothing is chosen from it`},
			[]string{resLine}, []string{resWaits},
		},
		{
			intent.RuleAddressInNoPool, "one of two", other(reservation("second", 20, "198.51.100.7", "203.0.113.7"), nothing),
			[]string{`unresolved IPReservation lab/second: spec.addresses[1] is 203.0.113.7: no IPAddressPool that is in force has it; it is reserved once one has`},
			nil, []string{"IPReservation second [198.51.100.7 203.0.113.7] []"},
		},
		{
			intent.RuleReservedTwice, "newer one, in part", other(reservation("second", 20, "198.51.100.7", "198.51.100.8"), func(r *intent.Raw) {
				r.Reservations = append(r.Reservations, reservation("third", 30, "198.51.100.8", "198.51.100.9"))
			}),
			[]string{`conflict IPReservation lab/third: spec.addresses[0] is 198.51.100.8: the older IPReservation lab/second reserves it; it is left out here`},
			nil, []string{"IPReservation second [198.51.100.7 198.51.100.8] []", "IPReservation third [198.51.100.9] []"},
		},
		{
			intent.RuleReservedTwice, "older one, in full", other(reservation("second", 20, "198.51.100.7"), func(r *intent.Raw) {
				r.Reservations = append(r.Reservations, reservation("third", 15, "198.51.100.7"))
			}),
			[]string{`conflict IPReservation lab/second: spec.addresses[0] is 198.51.100.7: the older IPReservation lab/third reserves it; it is left out here`},
			nil, []string{"IPReservation third [198.51.100.7] []"},
		},
		{
			intent.RuleReservedUseless, "avoided address", other(reservation("second", 20, "198.51.100.255"), func(r *intent.Raw) { r.Pools[0].AvoidBuggyIPs = true }),
			[]string{`warning IPReservation lab/second: spec.addresses[0] is 198.51.100.255: IPAddressPool lab/first has avoidBuggyIPs: nobody gets an address that ends in .0 or .255`},
			nil, []string{"IPReservation second [198.51.100.255] []"},
		},
		{
			intent.RuleReservedUseless, "another tenant's pool", other(reservation("second", 20, "198.51.100.7"), func(r *intent.Raw) {
				r.Pools[0].Allocation = &intent.RawAllocation{Namespaces: []string{"lab"}}
			}),
			[]string{
				`warning IPReservation lab/first: spec.pool is "first": spec.serviceAllocation of IPAddressPool lab/first does not admit the Services of namespace shop`,
				`warning IPReservation lab/second: spec.addresses[0] is 198.51.100.7: spec.serviceAllocation of IPAddressPool lab/first does not admit the Services of namespace shop`,
			},
			nil, []string{"IPReservation second [198.51.100.7] []"},
		},
		warning(intent.RuleReservedUseless, "a pool that may admit them is fine", func(r *intent.Raw) {
			r.Pools[0].Allocation = &intent.RawAllocation{Namespaces: []string{"lab"}, NamespaceSelectors: where("team", "a")}
		}),
	}
}

func quotaRows() []row {
	return []row{
		onQuota(intent.RuleLimitFor, "star", func(q *intent.RawQuota) { q.Namespaces = []string{"*"} },
			`invalid AddressQuota lab/first: spec.namespaces[0] is "*": must be the name of a namespace: at most 63 lower-case letters, digits and '-'`),
		onQuota(intent.RuleSelector, "of namespaces", func(q *intent.RawQuota) { q.NamespaceSelectors = broken() },
			`invalid AddressQuota lab/first: spec.namespaceSelectors[0]: must be a valid label selector: "Near" is not a valid label selector operator`),
		onQuota(intent.RuleDuplicateEntry, "namespaces and pools", func(q *intent.RawQuota) {
			q.Namespaces, q.Pools = []string{"shop", "shop"}, []string{"first", "first"}
		},
			`invalid AddressQuota lab/first: spec.namespaces[1] is "shop": must not repeat spec.namespaces[0]`,
			`invalid AddressQuota lab/first: spec.pools[1] is "first": must not repeat spec.pools[0]`),
		onQuota(intent.RuleLimit, "none", func(q *intent.RawQuota) { q.IPv4 = nil },
			`invalid AddressQuota lab/first: spec.ipv4: give at least one of spec.ipv4 and spec.ipv6: both are empty`),
		onQuota(intent.RuleLimit, "negative", func(q *intent.RawQuota) { q.IPv4, q.IPv6 = new(int32(-1)), new(int32(-2)) },
			`invalid AddressQuota lab/first: spec.ipv4 is -1: must be 0 or more`,
			`invalid AddressQuota lab/first: spec.ipv6 is -2: must be 0 or more`),
		warning(intent.RulePoolMissing, "one of two of a quota", func(r *intent.Raw) { r.Quotas[0].Pools = []string{"second", "first"} },
			`unresolved AddressQuota lab/first: spec.pools[0] is "second": there is no IPAddressPool lab/second; the addresses of the others count`),
		onQuota(intent.RulePoolMissing, "the only one of a quota", func(q *intent.RawQuota) { q.Pools = []string{"second"} },
			`unresolved AddressQuota lab/first: spec.pools[0] is "second": there is no IPAddressPool lab/second; nothing is limited`),
	}
}

func TestGivenAReservationWhenBuiltThenItSaysAllThatWasWritten(t *testing.T) {
	addr := netip.MustParseAddr
	named := reservation("a", 10, "2001:DB8::7", "198.51.100.7")
	named.ServiceName, named.RetainAfterDelete = "web", "1h30m"
	selected := chosen("b", 10, "first")
	selected.ServiceSelector, selected.RetainAfterDelete = &where("app", "dns")[0], "Forever"
	both := chosen("c", 10, "first", "IPv6", "IPv4")
	raw := base()
	raw.Pools[0].Addresses = append(raw.Pools[0].Addresses, "2001:db8::/120")
	raw.Reservations = []intent.RawReservation{both, named, selected}
	snapshot, problems := build(t, raw)
	want := []intent.Reservation{
		{Reservation: ipam.Reservation{Name: "a", Namespace: "shop", Service: "web", Addresses: []netip.Addr{addr("2001:db8::7"), addr("198.51.100.7")}}, Retain: 90 * time.Minute},
		{Reservation: ipam.Reservation{Name: "b", Namespace: "shop", Services: selector.Set{labels{"app": "dns"}}}, Pool: "first", Families: []ipam.Family{ipam.IPv4, ipam.IPv6}},
		{Reservation: ipam.Reservation{Name: "c", Namespace: "shop"}, Pool: "first", Families: []ipam.Family{ipam.IPv4, ipam.IPv6}},
	}
	if !reflect.DeepEqual(snapshot.Reservations, want) || len(problems) != 0 {
		t.Errorf("reservations are\n%+v\nwant\n%+v\nproblems %q", snapshot.Reservations, want, lines(problems))
	}
}

func TestGivenAQuotaWhenBuiltThenItSaysAllThatWasWritten(t *testing.T) {
	raw := base()
	q := quota("a", 10)
	q.Namespaces, q.NamespaceSelectors, q.IPv4, q.IPv6 = []string{"shop", "lab"}, where("team", "a"), nil, new(int32(0))
	raw.Quotas = append(raw.Quotas, q)
	snapshot, problems := build(t, raw)
	want := []ipam.Quota{
		{Name: "a", Namespaces: []string{"shop", "lab"}, NamespaceSelectors: set("team", "a"), IPv4: ipam.Unbounded},
		{Name: "first", Pools: []string{"first"}, IPv4: 2, IPv6: ipam.Unbounded},
	}
	if !reflect.DeepEqual(snapshot.Quotas, want) || len(problems) != 0 {
		t.Errorf("quotas are\n%+v\nwant\n%+v\nproblems %q", snapshot.Quotas, want, lines(problems))
	}
}

func TestGivenAPoolGoneWhenItComesBackThenWhatNamesItIsAsBefore(t *testing.T) {
	raw := base()
	raw.Reservations = append(raw.Reservations, reservation("second", 20, "198.51.100.7"))
	before, _ := build(t, raw)
	gone := raw
	gone.Pools = nil
	without, problems := intent.Build(gone, before)
	if len(without.Reservations) != 2 || without.Reservations[0].Pool != "first" || len(without.Reservations[1].Addresses) != 1 || len(without.Quotas) != 0 {
		t.Errorf("without the pool reservations are %+v and quotas %+v, want both reservations and no quota; problems %q", without.Reservations, without.Quotas, lines(problems))
	}
	if after, problems := intent.Build(raw, without); !reflect.DeepEqual(exported(after), exported(before)) || len(problems) != 0 {
		t.Errorf("with the pool again there is\n%+v\nwant\n%+v\nproblems %q", exported(after), exported(before), lines(problems))
	}
}

func TestGivenAReservationThatBreaksWhenAnotherClaimsItsAddressThenTheOlderKeepsIt(t *testing.T) {
	raw := base()
	raw.Reservations = []intent.RawReservation{reservation("older", 10, "198.51.100.7")}
	before, _ := build(t, raw)
	raw.Reservations = []intent.RawReservation{reservation("older", 10, "nonsense"), reservation("newer", 20, "198.51.100.7")}
	after, problems := intent.Build(raw, before)
	if !reflect.DeepEqual(after.Reservations, before.Reservations) || len(problems) != 2 || problems[0].Rule != intent.RuleReservedTwice || !problems[1].Kept {
		t.Errorf("reservations are %+v and problems %q, want what the older said before and a conflict of the newer", after.Reservations, lines(problems))
	}
}

func TestGivenTheAnnotationWhenItNamesThisGenerationOrTheOneBeforeThenThePoolIsDisruptive(t *testing.T) {
	for text, want := range map[string]bool{"": false, "1": false, "2": true, "3": true, "4": false, "x": false, "0": false, "-1": false, " 3": false} {
		raw := base()
		raw.Pools[0].Generation, raw.Pools[0].AllowDisruption = 3, text
		if snapshot, _ := build(t, raw); snapshot.Pools[0].Disruptive != want {
			t.Errorf("generation 3 with allow-disruption %q: disruptive is %v, want %v", text, !want, want)
		}
	}
}

func TestGivenADisruptivePoolWhenItsNextVersionIsInvalidThenWhatStaysInForceIsNotDisruptive(t *testing.T) {
	raw := base()
	raw.Pools[0].AllowDisruption = "1"
	before, _ := build(t, raw)
	raw.Pools[0].Generation, raw.Pools[0].Addresses = 2, []string{"nonsense"}
	after, _ := intent.Build(raw, before)
	if !before.Pools[0].Disruptive || len(after.Pools) != 1 || after.Pools[0].Disruptive {
		t.Errorf("pools were %+v and are %+v, want the same but no longer disruptive", before.Pools, after.Pools)
	}
}

func TestGivenAPoolWhenItIsDeletedThenItIsAbandonedOnlyIfItsAnnotationNamedItsGeneration(t *testing.T) {
	for text, want := range map[string][]string{"": nil, "2": nil, "3": {"first"}, "x": nil} {
		raw := base()
		raw.Pools[0].Generation, raw.Pools[0].AllowDisruption = 3, text
		before, _ := build(t, raw)
		if len(before.Abandoned) != 0 {
			t.Errorf("allow-disruption %q: abandoned are %q while the pool is there", text, before.Abandoned)
		}
		pools := raw.Pools
		raw.Pools = nil
		after, _ := intent.Build(raw, before)
		later, _ := intent.Build(raw, after)
		raw.Pools = pools
		again, _ := intent.Build(raw, later)
		if !slices.Equal(after.Abandoned, want) || !slices.Equal(later.Abandoned, want) || len(again.Abandoned) != 0 {
			t.Errorf("allow-disruption %q: abandoned are %q, then %q, and %q once the pool is back; want %q twice and none", text, after.Abandoned, later.Abandoned, again.Abandoned, want)
		}
	}
}
