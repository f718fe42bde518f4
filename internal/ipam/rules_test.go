package ipam_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// labelled selects objects by one label, written key=value.
type labelled string

func (l labelled) Matches(labels map[string]string) bool {
	key, value, _ := strings.Cut(string(l), "=")
	return labels[key] == value
}

func (l labelled) String() string { return string(l) }

func pool(t *testing.T, name string, addresses []string, edit ...func(*ipam.Pool)) ipam.Pool {
	t.Helper()
	p := ipam.Pool{Name: name, AutoAssign: true}
	for _, text := range addresses {
		r, err := ipam.ParseRange(text)
		if err != nil {
			t.Fatal(err)
		}
		p.Ranges = append(p.Ranges, r)
	}
	for _, e := range edit {
		e(&p)
	}
	return p
}

func manual(p *ipam.Pool) { p.AutoAssign = false }

func pinned(priority int, namespaces ...string) func(*ipam.Pool) {
	return func(p *ipam.Pool) { p.Allocation = &ipam.Allocation{Priority: priority, Namespaces: namespaces} }
}

// account is a ledger of which a test tells who asks for what.
type account struct {
	*testing.T
	ledger *ipam.Ledger
}

func open(t *testing.T, pools ...ipam.Pool) *account {
	t.Helper()
	return &account{t, ipam.NewLedger(pools)}
}

// ask decides on a request, assigns the outcome and compares it: wanted is the addresses, separated by spaces, "" for none.
func (a *account) ask(r ipam.Request, wanted string) ipam.Decision {
	a.Helper()
	d := ipam.Decide(a.ledger, r)
	var want []netip.Addr
	for text := range strings.FieldsSeq(wanted) {
		want = append(want, netip.MustParseAddr(text))
	}
	if diff := cmp.Diff(want, d.Addresses, cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		a.Fatalf("%s: %s\n%v", r.Service, diff, d.Problems)
	}
	if err := a.ledger.Assign(ipam.Claim{Service: r.Service, Addresses: d.Addresses, Pool: d.Pool, Sharing: r.Sharing}); err != nil {
		a.Fatal(err)
	}
	return d
}

// because expects the only problem of a decision to have a code, and to say something.
func (a *account) because(d ipam.Decision, code ipam.Code, says string) {
	a.Helper()
	if len(d.Problems) != 1 || d.Problems[0].Code != code || !strings.Contains(d.Problems[0].Detail, says) {
		a.Errorf("problems are %v: wanted one %s that says %q", d.Problems, code, says)
	}
}

func v4(name string, edit ...func(*ipam.Request)) ipam.Request {
	r := ipam.Request{
		Service:  ipam.ServiceKey{Namespace: "ns", Name: name},
		Families: []ipam.Family{ipam.IPv4},
		Sharing:  ipam.Sharing{Ports: []ipam.Port{{Protocol: "TCP", Number: 80}}},
	}
	for _, e := range edit {
		e(&r)
	}
	return r
}

func dual(policy ipam.FamilyPolicy, families ...ipam.Family) func(*ipam.Request) {
	return func(r *ipam.Request) { r.Policy, r.Families = policy, families }
}

func wants(addresses ...string) func(*ipam.Request) {
	return func(r *ipam.Request) {
		for _, text := range addresses {
			r.Addresses = append(r.Addresses, netip.MustParseAddr(text))
		}
	}
}

func from(pool string) func(*ipam.Request) { return func(r *ipam.Request) { r.Pool = pool } }
func in(namespace string) func(*ipam.Request) {
	return func(r *ipam.Request) { r.Service.Namespace = namespace }
}
func shares(key string) func(*ipam.Request) { return func(r *ipam.Request) { r.Sharing.Key = key } }
func backed(by string) func(*ipam.Request)  { return func(r *ipam.Request) { r.Sharing.Backend = by } }
func on(ports ...ipam.Port) func(*ipam.Request) {
	return func(r *ipam.Request) { r.Sharing.Ports = ports }
}

var https = ipam.Port{Protocol: "TCP", Number: 443}

func TestA2RequestedAddressThenNamedPoolThenPinnedPoolThenAnyPool(t *testing.T) {
	a := open(t,
		pool(t, "a", []string{"10.0.1.0/24"}),
		pool(t, "b", []string{"10.0.2.0/24"}, pinned(1, "ns")),
		pool(t, "c", []string{"10.0.3.0/24"}, manual),
		pool(t, "d", []string{"10.0.4.0/24"}, manual),
	)
	a.ask(v4("address", wants("10.0.4.9")), "10.0.4.9")
	a.ask(v4("pool", from("c")), "10.0.3.0")
	a.ask(v4("pinned"), "10.0.2.0")
	a.ask(v4("any", in("elsewhere")), "10.0.1.0")
}

func TestA3RequestedAddressMustFitFamilyPoolsAndOtherServices(t *testing.T) {
	pools := []ipam.Pool{
		pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}),
		pool(t, "b", []string{"10.0.1.0/24"}, pinned(1, "other")),
		pool(t, "c", []string{"10.0.2.0/24", "2001:db8:2::/120"}, func(p *ipam.Pool) { p.AvoidBuggyIPs = true }),
	}
	both := dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6)
	for _, c := range []struct {
		name    string
		request ipam.Request
		got     string
		code    ipam.Code
		says    string
	}{
		{"free", v4("s", wants("10.0.0.7")), "10.0.0.7", "", ""},
		{"family", v4("s", wants("2001:db8::1")), "", ipam.InvalidRequest, "does not match the ipFamily of the service"},
		{"one of two families", v4("s", both, wants("10.0.0.7")), "", ipam.InvalidRequest, "does not match the ipFamily of the service"},
		{"both families", v4("s", both, wants("2001:db8::1", "10.0.0.7")), "2001:db8::1 10.0.0.7", "", ""},
		{"two pools", v4("s", both, wants("10.0.0.7", "2001:db8:2::7")), "", ipam.AddressNotInPool, "must be of one pool"},
		{"no pool", v4("s", wants("10.9.9.9")), "", ipam.AddressNotInPool, `"10.9.9.9" is not allowed in config`},
		{"pool of others", v4("s", wants("10.0.1.7")), "", ipam.PoolNotAllowed, "pool b not compatible for ip assignment"},
		{"another pool than named", v4("s", wants("10.0.0.7"), from("c")), "", ipam.AddressNotInPool, "is not compatible with requested address pool c"},
		{"A9 left out", v4("s", wants("10.0.2.255")), "", ipam.AddressNotInPool, "avoidBuggyIPs of pool c leaves it out"},
		{"in use", v4("s", wants("10.0.0.9")), "", ipam.AddressInUse, "existing service does not allow sharing: it is in use by ns/holder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, pools...)
			a.ask(v4("holder", wants("10.0.0.9")), "10.0.0.9")
			d := a.ask(c.request, c.got)
			if c.code != "" {
				a.because(d, c.code, c.says)
			}
		})
	}
}

func TestA4NamedPoolIsNotReplacedByAnother(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}), pool(t, "b", []string{"10.0.1.0/32"}, manual), pool(t, "c", []string{"10.0.2.0/24"}, pinned(0, "other")))
	a.ask(v4("one", from("b")), "10.0.1.0")
	a.because(a.ask(v4("two", from("b")), ""), ipam.Exhausted, "pool b: 1 of 1 IPv4 addresses in use")
	a.because(a.ask(v4("three", from("c")), ""), ipam.PoolNotAllowed, "pool c not compatible")
	a.because(a.ask(v4("four", from("d")), ""), ipam.PoolNotFound, `unknown pool "d"`)
}

func TestA5PinnedPoolsGoByPriorityWithZeroLastAndByNamespaceOrLabelAndServiceLabel(t *testing.T) {
	a := open(t,
		pool(t, "zero", []string{"10.0.0.0/32"}, pinned(0, "ns")),
		pool(t, "twenty", []string{"10.0.1.0/32"}, pinned(20, "ns")),
		pool(t, "ten", []string{"10.0.2.0/32"}, pinned(10), func(p *ipam.Pool) {
			p.Allocation.Namespaces = []string{"other"}
			p.Allocation.NamespaceSelectors = selector.Set{labelled("team=red")}
			p.Allocation.ServiceSelectors = selector.Set{labelled("tier=gold"), labelled("tier=silver")}
		}),
		pool(t, "manual", []string{"10.0.3.0/32"}, pinned(1, "ns"), manual),
	)
	silver := func(r *ipam.Request) {
		r.NamespaceLabels = map[string]string{"team": "red"}
		r.Labels = map[string]string{"tier": "silver"}
	}
	a.ask(v4("s1", silver), "10.0.2.0")
	a.ask(v4("s2", silver), "10.0.1.0")
	a.ask(v4("s3", silver), "10.0.0.0")
	d := a.ask(v4("s4"), "")
	a.because(d, ipam.Exhausted, "1 pool serves other namespaces or Services only; 1 pool has autoAssign false")
}

func TestA5EmptyServiceAllocationMatchesEverything(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}), pool(t, "b", []string{"10.0.1.0/24"}, pinned(0)))
	a.ask(v4("s", in("anywhere")), "10.0.1.0")
}

func TestA6ExhaustedPinnedPoolsAreFollowedByTheOthers(t *testing.T) {
	a := open(t, pool(t, "open", []string{"10.0.0.0/24"}), pool(t, "tenant", []string{"10.0.1.0/32"}, pinned(1, "ns")))
	a.ask(v4("one"), "10.0.1.0")
	a.ask(v4("two"), "10.0.0.0")
}

func TestA7PoolsOfEqualRankGoByName(t *testing.T) {
	a := open(t, pool(t, "c", []string{"10.0.3.0/32"}), pool(t, "a", []string{"10.0.1.0/32"}), pool(t, "b", []string{"10.0.2.0/32"}))
	for i := range 3 {
		a.ask(v4(fmt.Sprint(i)), fmt.Sprintf("10.0.%d.0", i+1))
	}
}

func TestA8RangesGoInListedOrderEachFromItsLowestAddress(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.9.254-10.0.10.0", "10.0.0.0/31"}))
	for i, want := range []string{"10.0.9.254", "10.0.9.255", "10.0.10.0", "10.0.0.0", "10.0.0.1"} {
		a.ask(v4(fmt.Sprint(i)), want)
	}
	a.ledger.Release(v4("1").Service)
	a.ask(v4("next"), "10.0.9.255")
}

func TestA9AvoidBuggyIPsLeavesOutTheirEndings(t *testing.T) {
	avoids := func(p *ipam.Pool) { p.AvoidBuggyIPs = true }
	a := open(t, pool(t, "p", []string{"10.0.0.254-10.0.1.1"}, avoids))
	a.ask(v4("one"), "10.0.0.254")
	a.ask(v4("two"), "10.0.1.1")
	a.because(a.ask(v4("three"), ""), ipam.Exhausted, "pool p: 2 of 2 IPv4 addresses in use")
	a.because(a.ask(v4("asks", wants("10.0.0.255")), ""), ipam.AddressNotInPool, "avoidBuggyIPs of pool p leaves it out")
}

func TestA9AddressThatIsInUseIsKeptWhenItsPoolBeginsToLeaveItOut(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ask(v4("s"), "10.0.0.0")
	a.ledger.SetPools([]ipam.Pool{pool(t, "p", []string{"10.0.0.0/24"}, func(p *ipam.Pool) { p.AvoidBuggyIPs = true })})
	a.because(a.ask(v4("s"), "10.0.0.0"), ipam.PoolMismatch, "10.0.0.0 is kept, but avoidBuggyIPs of pool p leaves it out")
}

func TestA10NetworkAndBroadcastAddressesAreGivenAway(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/31", "10.0.0.254/31"}))
	for i, want := range []string{"10.0.0.0", "10.0.0.1", "10.0.0.254", "10.0.0.255"} {
		a.ask(v4(fmt.Sprint(i)), want)
	}
}

func TestA12DualStack(t *testing.T) {
	only4 := pool(t, "a4", []string{"10.0.0.0/24"})
	only6 := pool(t, "b6", []string{"2001:db8::/120"})
	both := pool(t, "c", []string{"10.0.1.0/24", "2001:db8:1::/120"})
	prefer := dual(ipam.PreferDualStack, ipam.IPv6, ipam.IPv4)
	require := dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6)
	t.Run("a pool with both is preferred", func(t *testing.T) {
		open(t, only4, only6, both).ask(v4("s", prefer), "2001:db8:1:: 10.0.1.0")
	})
	t.Run("else the primary family", func(t *testing.T) {
		a := open(t, only4, only6)
		a.because(a.ask(v4("s", prefer), "2001:db8::"), ipam.SecondFamilyMissing, "pool b6: no IPv4 addresses")
	})
	t.Run("else the other family", func(t *testing.T) {
		open(t, only4).ask(v4("s", prefer), "10.0.0.0")
	})
	t.Run("required means one pool with both or nothing", func(t *testing.T) {
		a := open(t, only4, only6)
		a.because(a.ask(v4("s", require), ""), ipam.Exhausted, "pool a4: no IPv6 addresses; pool b6: no IPv4 addresses")
		open(t, only4, only6, both).ask(v4("s", require), "10.0.1.0 2001:db8:1::")
	})
	t.Run("required needs cluster IPs of both families", func(t *testing.T) {
		a := open(t, both)
		a.because(a.ask(v4("s", dual(ipam.RequireDualStack, ipam.IPv4)), ""), ipam.NotEnoughClusterIPs, "IPv4 only")
	})
	t.Run("the second address comes later from the same pool", func(t *testing.T) {
		a := open(t, only4, only6, both)
		a.ask(v4("s", from("c")), "10.0.1.0")
		d := a.ask(v4("s", dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)), "10.0.1.0 2001:db8:1::")
		if len(d.Added) != 1 || len(d.GivenUp) != 0 {
			t.Errorf("%+v: wanted one address added and none given up", d)
		}
	})
	t.Run("the second address does not come from another pool", func(t *testing.T) {
		a := open(t, only4, only6)
		a.ask(v4("s"), "10.0.0.0")
		a.because(a.ask(v4("s", require), "10.0.0.0"), ipam.SecondFamilyMissing, "pool a4: no IPv6 addresses")
	})
	t.Run("one family less takes only that address", func(t *testing.T) {
		a := open(t, both)
		a.ask(v4("s", require), "10.0.1.0 2001:db8:1::")
		d := a.ask(v4("s"), "10.0.1.0")
		if len(d.GivenUp) != 1 || d.GivenUp[0].Reason.Code != ipam.FamilyChanged {
			t.Errorf("given up %v: wanted the IPv6 address, because of its family", d.GivenUp)
		}
	})
}

func TestA13FullPoolIsFollowedByTheNextOne(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/32"}, pinned(1, "ns")), pool(t, "b", []string{"10.0.1.0/24"}, pinned(2, "ns")))
	a.ask(v4("one"), "10.0.0.0")
	a.ask(v4("two"), "10.0.1.0")
}

func TestA14WhoMayShareAnAddress(t *testing.T) {
	holder := v4("holder", shares("k"))
	for _, c := range []struct {
		name    string
		request ipam.Request
		says    string
	}{
		{"same key, other port", v4("s", shares("k"), on(https)), ""},
		{"same port of another protocol", v4("s", shares("k"), on(ipam.Port{Protocol: "UDP", Number: 80})), ""},
		{"another namespace", v4("s", shares("k"), on(https), in("elsewhere")), ""},
		{"no key", v4("s", on(https)), "the service does not allow sharing"},
		{"another key", v4("s", shares("l"), on(https)), `sharing key "l" does not match existing sharing key "k"`},
		{"another backend", v4("s", shares("k"), on(https), backed("app=x")), `backend key "app=x" does not match existing backend key ""`},
		{"same port", v4("s", shares("k"), on(https, ipam.Port{Protocol: "TCP", Number: 80})), "port TCP/80 is already in use by ns/holder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
			a.ask(holder, "10.0.0.0")
			wants("10.0.0.0")(&c.request)
			if c.says == "" {
				a.ask(c.request, "10.0.0.0")
				return
			}
			a.because(a.ask(c.request, ""), ipam.AddressInUse, c.says)
		})
	}
}

func TestA14SoleUserChangesItsKeyInPlaceAndOneOfSeveralMoves(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
	a.ask(v4("one", shares("k")), "10.0.0.0")
	a.ask(v4("one", shares("l")), "10.0.0.0")
	a.ask(v4("two", shares("l"), on(https)), "10.0.0.0")
	d := a.ask(v4("one", shares("m")), "10.0.0.1")
	if len(d.GivenUp) != 1 || d.GivenUp[0].Reason.Code != ipam.SharingChanged {
		t.Errorf("given up %v: wanted the shared address", d.GivenUp)
	}
	a.ask(v4("two", shares("l"), on(https)), "10.0.0.0")
}

func TestA16WhoSharesJoinsBeforeTakingAnAddressOfItsOwn(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}), pool(t, "b", []string{"10.0.1.0/24"}))
	a.ask(v4("http", shares("k"), from("b")), "10.0.1.0")
	a.ask(v4("https", shares("k"), on(https)), "10.0.1.0")
	a.ask(v4("http-too", shares("k")), "10.0.0.0")
	a.ask(v4("https-too", shares("k"), on(https)), "10.0.0.0")
}

func TestA17WhatTheServiceSaysMovesItAndWhatItNoLongerSaysDoesNot(t *testing.T) {
	for _, c := range []struct {
		name          string
		before, after ipam.Request
		had, has      string
		code          ipam.Code
	}{
		{"other address", v4("s"), v4("s", wants("10.0.0.9")), "10.0.0.0", "10.0.0.9", ipam.DifferentIPRequested},
		{"address no longer requested", v4("s", wants("10.0.0.9")), v4("s"), "10.0.0.9", "10.0.0.9", ""},
		{"address in use requested", v4("s", wants("10.0.0.9")), v4("s", wants("10.0.0.77")), "10.0.0.9", "", ipam.DifferentIPRequested},
		{"other pool", v4("s"), v4("s", from("b")), "10.0.0.0", "10.0.1.0", ipam.DifferentPoolRequested},
		{"unknown pool", v4("s"), v4("s", from("c")), "10.0.0.0", "", ipam.DifferentPoolRequested},
		{"pool no longer requested", v4("s", from("b")), v4("s"), "10.0.1.0", "10.0.1.0", ""},
		{"no cluster IPs", v4("s"), v4("s", dual(ipam.SingleStack)), "10.0.0.0", "", ipam.NoClusterIPs},
		{"other family", v4("s"), v4("s", dual(ipam.SingleStack, ipam.IPv6)), "10.0.0.0", "2001:db8::", ipam.FamilyChanged},
		{"nonsense", v4("s"), v4("s", func(r *ipam.Request) { r.Invalid = "nonsense" }), "10.0.0.0", "10.0.0.0", ""},
		{"one more address", v4("s", wants("10.0.0.5")), v4("s", dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6), wants("2001:db8::5", "10.0.0.5")),
			"10.0.0.5", "2001:db8::5 10.0.0.5", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}), pool(t, "b", []string{"10.0.1.0/24"}, manual))
			a.ask(v4("other", wants("10.0.0.77")), "10.0.0.77")
			a.ask(c.before, c.had)
			d := a.ask(c.after, c.has)
			var code ipam.Code
			if len(d.GivenUp) > 0 {
				code = d.GivenUp[0].Reason.Code
			}
			if code != c.code {
				t.Errorf("given up %v: wanted the code %q", d.GivenUp, c.code)
			}
		})
	}
}

func TestNoPoolsIsAReasonOfItsOwn(t *testing.T) {
	a := open(t)
	a.because(a.ask(v4("s"), ""), ipam.NoPool, "there is no valid IPAddressPool")
}

func TestAddressThatIsLeavingGoesToNobodyWhoCouldNotHaveSharedIt(t *testing.T) {
	a := open(t, pool(t, "p", []string{"10.0.0.0/31"}))
	addr := netip.MustParseAddr("10.0.0.0")
	leaver := v4("leaver", shares("k"))
	a.ask(leaver, "10.0.0.0")
	if err := a.ledger.Assign(ipam.Claim{Service: leaver.Service, Leaving: []ipam.Leaving{{Address: addr, Sharing: leaver.Sharing}}}); err != nil {
		t.Fatal(err)
	}
	a.because(a.ask(v4("asks", wants("10.0.0.0")), ""), ipam.AddressInUse, "in use by ns/leaver")
	a.ask(v4("other"), "10.0.0.1")
	a.ask(v4("sharer", shares("k"), on(https)), "10.0.0.0")
	if freed := a.ledger.Release(leaver.Service); len(freed) != 0 {
		t.Errorf("freed %v: wanted nothing, since the sharer has it", freed)
	}
	if got := a.ledger.Usage()[0]; got.IPv4.Used != 2 || got.Services != 2 {
		t.Errorf("usage is %+v: wanted 2 addresses of 2 Services", got)
	}
}
