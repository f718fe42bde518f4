package ipam_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// What keeps addresses from Services: fences, drains, guards, reservations, quotas, and what is known of others.

func strict(p *ipam.Pool)   { p.Allocation.Strict = true }
func disabled(p *ipam.Pool) { p.Disabled = true }

func TestA6StrictPoolKeepsTheServicesThatItAdmitsFromPoolsForEverybody(t *testing.T) {
	a := open(t,
		pool(t, "open", []string{"10.0.0.0/24"}),
		pool(t, "tenant", []string{"10.0.1.0/32"}, pinned(1, "ns"), strict),
		pool(t, "spare", []string{"10.0.2.0/32"}, pinned(2, "ns"), manual),
	)
	a.ask(v4("one"), "10.0.1.0")
	a.because(a.ask(v4("two"), ""), ipam.Exhausted, "1 pool without serviceAllocation may not be used, since pool tenant is strict")
	a.because(a.ask(v4("by-pool", from("open")), ""), ipam.PoolFenced, "pool tenant is strict and admits ns/by-pool")
	a.because(a.ask(v4("by-address", wants("10.0.0.7")), ""), ipam.PoolFenced, "pool tenant is strict and admits ns/by-address")
	a.ask(v4("pinned-too", from("spare")), "10.0.2.0")
	a.ask(v4("stranger", in("elsewhere")), "10.0.0.0")
}

func TestA6PoolThatBecomesStrictTakesNothingAway(t *testing.T) {
	shared := pool(t, "open", []string{"10.0.0.0/24"})
	a := open(t, shared)
	a.ask(v4("s"), "10.0.0.0")
	a.ledger.SetPools([]ipam.Pool{shared, pool(t, "tenant", []string{"10.0.1.0/32"}, pinned(1, "ns"), strict)})
	if d := a.ask(v4("s"), "10.0.0.0"); len(d.Problems) > 0 {
		t.Errorf("problems are %v: wanted none", d.Problems)
	}
	a.because(a.ask(v4("s", func(r *ipam.Request) { r.Count = 2 }), "10.0.0.0"), ipam.AddressesMissing, "1 of 2 IPv4 addresses: pool open not compatible")
}

func TestDisabledPoolKeepsWhatIsInUseAndGivesNothing(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24", "2001:db8::/120"}))
	a.ask(v4("s"), "10.0.0.0")
	a.ask(v4("shares", wants("10.0.0.9"), shares("k")), "10.0.0.9")
	a.ledger.SetPools([]ipam.Pool{pool(t, "p", []string{"10.0.0.0/24", "2001:db8::/120"}, disabled)})
	if d := a.ask(v4("s"), "10.0.0.0"); len(d.Problems) > 0 {
		t.Errorf("problems are %v: wanted none", d.Problems)
	}
	a.because(a.ask(v4("s", dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)), "10.0.0.0"), ipam.SecondFamilyMissing, "pool p not compatible for ip assignment: it is disabled")
	a.because(a.ask(v4("any"), ""), ipam.Exhausted, "no available IPs: 1 pool is disabled")
	a.because(a.ask(v4("pool", from("p")), ""), ipam.PoolDisabled, "pool p not compatible for ip assignment: it is disabled")
	a.because(a.ask(v4("address", wants("10.0.0.7")), ""), ipam.PoolDisabled, "it is disabled and gives away nothing more")
	a.because(a.ask(v4("joins", shares("k"), on(https)), ""), ipam.Exhausted, "1 pool is disabled")
	if addr, ok := a.ledger.PickReserved("p", ipam.IPv4); ok {
		t.Errorf("reserves %s: wanted nothing", addr)
	}
}

func TestDisabledPinnedPoolIsFollowedByTheOthersUnlessItIsStrict(t *testing.T) {
	shared := pool(t, "open", []string{"10.0.0.0/24"})
	a := open(t, shared, pool(t, "tenant", []string{"10.0.1.0/24"}, pinned(1, "ns"), disabled))
	a.ask(v4("s"), "10.0.0.0")
	a.ledger.SetPools([]ipam.Pool{shared, pool(t, "tenant", []string{"10.0.1.0/24"}, pinned(1, "ns"), disabled, strict)})
	a.because(a.ask(v4("t"), ""), ipam.Exhausted, "1 pool is disabled; 1 pool without serviceAllocation may not be used, since pool tenant is strict")
}

func with(namespaces ...string) func(*ipam.Request) {
	return func(r *ipam.Request) { r.Sharing.With = append([]string{}, namespaces...) }
}

func TestA15ServicesOfTwoNamespacesShareWhenEachAdmitsTheOther(t *testing.T) {
	for _, c := range []struct {
		name          string
		holder, joins ipam.Request
		says          string
	}{
		{"no guard", v4("s", in("a")), v4("s", in("b")), ""},
		{"both admit", v4("s", in("a"), with("b", "c")), v4("s", in("b"), with("a")), ""},
		{"one says nothing", v4("s", in("a"), with("b")), v4("s", in("b")), ""},
		{"one namespace", v4("one", in("a"), with()), v4("two", in("a"), with()), ""},
		{"holder does not admit", v4("s", in("a"), with("c")), v4("s", in("b"), with("a")), "annotation metallb.io/share-with of a/s does not admit namespace b of b/s"},
		{"joiner does not admit", v4("s", in("a"), with("b")), v4("s", in("b"), with()), "annotation metallb.io/share-with of b/s does not admit namespace a of a/s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.holder.Sharing.Key, c.joins.Sharing.Key = "k", "k"
			on(https)(&c.joins)
			a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
			a.ask(c.holder, "10.0.0.0")
			want := "10.0.0.0"
			if c.says != "" {
				want = "10.0.0.1"
			}
			a.ask(c.joins, want)
			a.ledger.Release(c.joins.Service)
			wants("10.0.0.0")(&c.joins)
			if c.says == "" {
				a.ask(c.joins, "10.0.0.0")
				return
			}
			a.because(a.ask(c.joins, ""), ipam.AddressInUse, c.says)
		})
	}
}

// reserve makes a reservation of addresses, separated by spaces.
func reserve(name, namespace, service string, addresses ...string) ipam.Reservation {
	r := ipam.Reservation{Name: name, Namespace: namespace, Service: service}
	for _, text := range addresses {
		r.Addresses = append(r.Addresses, netip.MustParseAddr(text))
	}
	return r
}

func TestReservedAddressGoesToItsServiceFirstAndToNobodyElse(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/30"}), pool(t, "b", []string{"10.0.1.0/30"}, manual))
	gold := reserve("gold", "ns", "", "10.0.0.1")
	gold.Services = selector.Set{labelled("tier=gold")}
	a.ledger.SetReservations([]ipam.Reservation{reserve("db", "ns", "db", "10.0.0.0", "10.0.1.3"), gold})
	a.ask(v4("web"), "10.0.0.2")
	a.because(a.ask(v4("thief", wants("10.0.0.1")), ""), ipam.AddressReserved, "IPReservation gold keeps 10.0.0.1 for other Services")
	a.because(a.ask(v4("db", in("elsewhere"), wants("10.0.0.0")), ""), ipam.AddressReserved, "IPReservation db keeps 10.0.0.0")
	a.ask(v4("db"), "10.0.0.0")
	a.ask(v4("shiny", func(r *ipam.Request) { r.Labels = map[string]string{"tier": "gold"} }), "10.0.0.1")
	a.ask(v4("three"), "10.0.0.3")
	a.ledger.Release(v4("db").Service)
	a.because(a.ask(v4("four"), ""), ipam.Exhausted, "pool a: 3 of 4 IPv4 addresses in use, 1 reserved")
	a.ask(v4("db", from("b")), "10.0.1.3")
	want := ipam.Count{Total: 4, Used: 3, Reserved: 1}
	if got := a.ledger.Usage()[0].IPv4; got != want || got.Available() != 1 {
		t.Errorf("usage is %+v: wanted %+v", got, want)
	}
}

func TestReservedAddressComesBeforeOneToShareAndIsNotSharedWithStrangers(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ledger.SetReservations([]ipam.Reservation{reserve("mine", "ns", "", "10.0.0.8", "10.0.0.9")})
	a.ask(v4("other", in("elsewhere"), shares("k")), "10.0.0.0")
	a.ask(v4("one", shares("k"), on(https)), "10.0.0.8")
	a.ask(v4("two", shares("k")), "10.0.0.8")
	a.ask(v4("three"), "10.0.0.9")
	ssh := on(ipam.Port{Protocol: "TCP", Number: 22})
	a.ask(v4("stranger", in("elsewhere"), shares("k"), ssh), "10.0.0.0")
	a.because(a.ask(v4("thief", in("elsewhere"), shares("k"), ssh, wants("10.0.0.8")), ""), ipam.AddressReserved, "IPReservation mine")
}

func TestReservedAddressOfOneFamilyIsCompletedFromItsPool(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}), pool(t, "b", []string{"10.0.1.0/24", "2001:db8:1::/120"}), pool(t, "c", []string{"10.0.2.0/24"}))
	a.ledger.SetReservations([]ipam.Reservation{reserve("six", "ns", "six", "2001:db8:1::8"), reserve("four", "ns", "four", "10.0.2.8")})
	prefer := dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)
	a.ask(v4("six", prefer), "10.0.1.0 2001:db8:1::8")
	a.because(a.ask(v4("four", prefer), "10.0.2.8"), ipam.SecondFamilyMissing, "pool c: no IPv6 addresses")
	a.ledger.Release(v4("four").Service)
	a.ask(v4("four", dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6)), "10.0.0.0 2001:db8::")
}

func TestReservedAddressThatAQuotaForbidsOpensItsPoolToNothingElse(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}), pool(t, "m", []string{"10.0.1.0/24", "2001:db8::/120"}, manual))
	a.ledger.SetReservations([]ipam.Reservation{reserve("r", "ns", "", "10.0.1.8")})
	a.ledger.SetQuotas([]ipam.Quota{{Name: "none", IPv4: 0, IPv6: ipam.Unbounded}})
	a.because(a.ask(v4("s", dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)), ""), ipam.QuotaExceeded, "quota none: 0 of 0 IPv4 addresses")
}

func TestReservationTakesNothingAwayAndHoldsOnceTheAddressIsFree(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ask(v4("s"), "10.0.0.0")
	a.ledger.SetReservations([]ipam.Reservation{reserve("r", "elsewhere", "", "10.0.0.0")})
	if d := a.ask(v4("s"), "10.0.0.0"); len(d.Problems) > 0 {
		t.Errorf("problems are %v: wanted none", d.Problems)
	}
	if diff := cmp.Diff([]ipam.ServiceKey{{Namespace: "ns", Name: "s"}}, a.ledger.Holders(netip.MustParseAddr("10.0.0.0"))); diff != "" {
		t.Errorf("holders: %s", diff)
	}
	a.ask(v4("other", in("elsewhere")), "10.0.0.1")
	a.ledger.Release(v4("s").Service)
	a.ask(v4("s"), "10.0.0.2")
	a.ask(v4("third", in("elsewhere")), "10.0.0.0")
	a.ledger.SetReservations(nil)
	a.ledger.Release(v4("third", in("elsewhere")).Service)
	a.ask(v4("anybody"), "10.0.0.0")
}

func TestReservationOfAnyAddressGetsOneThatNobodyHas(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/30"}, func(p *ipam.Pool) { p.Check = ipam.CheckKnown }))
	a.ask(v4("s"), "10.0.0.0")
	a.ledger.SetReservations([]ipam.Reservation{reserve("r", "ns", "", "10.0.0.1")})
	a.ledger.SetForeign(map[netip.Addr]string{netip.MustParseAddr("10.0.0.2"): "node n1"})
	if addr, ok := a.ledger.PickReserved("p", ipam.IPv4); !ok || addr.String() != "10.0.0.3" {
		t.Errorf("got %s, %v: wanted 10.0.0.3", addr, ok)
	}
	for name, f := range map[string]ipam.Family{"p": ipam.IPv6, "q": ipam.IPv4} {
		if addr, ok := a.ledger.PickReserved(name, f); ok {
			t.Errorf("got %s of pool %s: wanted nothing", addr, name)
		}
	}
}

func TestQuotaLimitsWhatANamespaceGets(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}), pool(t, "b", []string{"10.0.1.0/24"}, manual))
	labels := func(r *ipam.Request) { r.NamespaceLabels = map[string]string{"team": "red"} }
	a.ledger.SetQuotas([]ipam.Quota{
		{Name: "team-a", NamespaceSelectors: selector.Set{labelled("team=red")}, IPv4: 2, IPv6: ipam.Unbounded},
		{Name: "all", Pools: []string{"b"}, IPv4: 1, IPv6: 0},
	})
	a.ask(v4("one", labels), "10.0.0.0")
	a.ask(v4("two", labels, from("b")), "10.0.1.0")
	a.because(a.ask(v4("three", labels), ""), ipam.QuotaExceeded, "no available IPs: quota team-a: 2 of 2 IPv4 addresses")
	a.because(a.ask(v4("asks", labels, wants("10.0.0.7")), ""), ipam.QuotaExceeded, "quota team-a: 2 of 2 IPv4 addresses")
	a.ask(v4("six", labels, dual(ipam.SingleStack, ipam.IPv6)), "2001:db8::")
	a.because(a.ask(v4("both", labels, dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)), "2001:db8::1"),
		ipam.SecondFamilyMissing, "no IPv4 address: quota team-a: 2 of 2 IPv4 addresses")
	a.ask(v4("elsewhere", in("elsewhere")), "10.0.0.1")
	a.ask(v4("moves", in("third"), from("b")), "10.0.1.1")
	a.because(a.ask(v4("second", in("third"), from("b")), ""), ipam.QuotaExceeded, "quota all: 1 of 1 IPv4 addresses")
	a.ask(v4("moves", in("third"), wants("10.0.1.9")), "10.0.1.9")
	a.ledger.Release(v4("moves", in("third")).Service)
	a.ask(v4("second", in("third"), from("b")), "10.0.1.1")
	a.ledger.Release(v4("one").Service)
	a.ask(v4("three", labels), "10.0.0.0")
}

func TestQuotaCountsASharedAddressOnceInEachNamespace(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ledger.SetQuotas([]ipam.Quota{{Name: "one", IPv4: 1, IPv6: 1}})
	a.ask(v4("http", shares("k")), "10.0.0.0")
	a.ask(v4("https", shares("k"), on(https)), "10.0.0.0")
	a.because(a.ask(v4("http-too", shares("k")), ""), ipam.QuotaExceeded, "quota one: 1 of 1 IPv4 addresses")
	a.ask(v4("own", in("elsewhere")), "10.0.0.1")
	a.because(a.ask(v4("joins", in("elsewhere"), shares("k"), on(ipam.Port{Protocol: "TCP", Number: 22})), ""), ipam.QuotaExceeded, "quota one: 1 of 1")
	a.ledger.Release(v4("http").Service)
	a.because(a.ask(v4("alone"), ""), ipam.QuotaExceeded, "quota one: 1 of 1 IPv4 addresses")
	a.ledger.Release(v4("https").Service)
	a.ask(v4("alone"), "10.0.0.0")
}

func TestQuotaThatForbidsToJoinInOneFamilySendsTheServiceWhereItGetsBoth(t *testing.T) {
	both := dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}), pool(t, "b", []string{"10.0.1.0/24", "2001:db8:1::/120"}))
	a.ledger.SetQuotas([]ipam.Quota{{Name: "none", Namespaces: []string{"elsewhere"}, Pools: []string{"b"}, IPv4: 0, IPv6: ipam.Unbounded}})
	a.ask(v4("http", both, shares("k"), from("b")), "10.0.1.0 2001:db8:1::")
	a.ask(v4("https", in("elsewhere"), both, shares("k"), on(https)), "10.0.0.0 2001:db8::")
}

func TestQuotaTakesNothingAway(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ask(v4("one"), "10.0.0.0")
	a.ask(v4("two"), "10.0.0.1")
	a.ledger.SetQuotas([]ipam.Quota{{Name: "none", Namespaces: []string{"ns"}, IPv4: 0, IPv6: 0}})
	for name, addr := range map[string]string{"one": "10.0.0.0", "two": "10.0.0.1"} {
		if d := a.ask(v4(name), addr); len(d.Problems) > 0 {
			t.Errorf("problems are %v: wanted none", d.Problems)
		}
	}
	a.because(a.ask(v4("three"), ""), ipam.QuotaExceeded, "quota none: 2 of 0 IPv4 addresses")
	a.ledger.SetPools(nil)
	a.ledger.SetPools([]ipam.Pool{pool(t, "q", []string{"10.0.0.0/24"})})
	a.because(a.ask(v4("three"), ""), ipam.QuotaExceeded, "quota none: 2 of 0 IPv4 addresses")
}

func TestQuotaOfWhatIsReservedCountsToo(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ledger.SetReservations([]ipam.Reservation{reserve("r", "ns", "", "10.0.0.5", "10.0.0.6")})
	a.ledger.SetQuotas([]ipam.Quota{{Name: "one", IPv4: 1, IPv6: 1}})
	a.ask(v4("one"), "10.0.0.5")
	a.because(a.ask(v4("two"), ""), ipam.QuotaExceeded, "quota one: 1 of 1 IPv4 addresses")
}

func checked(p *ipam.Pool) { p.Check = ipam.CheckKnown }

func TestA11AddressesOfNodesAndRoutersAreLeftOutWherePoolsCheckForThem(t *testing.T) {
	addr := netip.MustParseAddr
	a := open(t, pool(t, "a", []string{"10.0.0.0/30"}, checked), pool(t, "b", []string{"10.0.1.0/30"}, manual), pool(t, "c", []string{"10.0.2.0/24"}, manual, func(p *ipam.Pool) { p.Check = ipam.CheckProbe }))
	a.ledger.SetForeign(map[netip.Addr]string{addr("10.0.0.0"): "node n1", addr("10.0.0.2"): "BGPPeer tor", addr("10.0.1.0"): "node n2", addr("172.16.0.1"): "node n3"})
	a.ask(v4("one"), "10.0.0.1")
	a.ask(v4("two"), "10.0.0.3")
	a.because(a.ask(v4("three"), ""), ipam.Exhausted, "pool a: 2 of 4 IPv4 addresses in use, 2 known to belong to others")
	a.because(a.ask(v4("asks", wants("10.0.0.2")), ""), ipam.AddressForeign, "10.0.0.2 belongs to BGPPeer tor")
	a.ask(v4("unchecked", from("b")), "10.0.1.0")
	if want, got := (ipam.Count{Total: 4, Used: 2, Foreign: 2}), a.ledger.Usage()[0].IPv4; got != want || got.Available() != 0 {
		t.Errorf("usage is %+v, of which %d available: wanted %+v and none", got, got.Available(), want)
	}
	a.ledger.SetForeign(map[netip.Addr]string{addr("10.0.0.0"): "node n1"})
	a.ask(v4("three"), "10.0.0.2")
	for text, want := range map[string]bool{"10.0.0.1": false, "10.0.1.1": false, "10.0.2.1": true, "10.9.9.9": false} {
		if got := a.ledger.NeedsProbe(addr(text)); got != want {
			t.Errorf("%s needs a probe: %v, wanted %v", text, got, want)
		}
	}
}

func TestA11AddressThatTurnsOutToBeForeignIsKeptAndReportedAndNotSharedAnyMore(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}, checked))
	a.ask(v4("s", shares("k")), "10.0.0.0")
	a.ledger.SetForeign(map[netip.Addr]string{netip.MustParseAddr("10.0.0.0"): "02:42:00:00:00:01 seen by node n2 on eth0"})
	a.because(a.ask(v4("s", shares("k")), "10.0.0.0"), ipam.AddressForeign, "10.0.0.0 is kept, but it belongs to 02:42:00:00:00:01 seen by node n2 on eth0")
	a.ask(v4("joins", shares("k"), on(https)), "10.0.0.1")
	a.ledger.Release(v4("s").Service)
	a.ask(v4("t"), "10.0.0.2")
}
