package ipam_test

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// What becomes of the addresses that Services have.

func TestA18EditOfAPoolTakesNothingAway(t *testing.T) {
	keepsThrough(t, []string{"edited", "given to others"}, [][]ipam.Pool{
		{pool(t, "a", []string{"10.0.1.0/24"})},
		{pool(t, "a", []string{"10.0.0.0/24"}, pinned(1, "other"))},
	}, []string{"is in no pool any more; it was given from pool a", "pool a no longer serves this Service"})
}

func TestA19DeletionOfAPoolTakesNothingAwayNorDoesAMomentWithoutPools(t *testing.T) {
	keepsThrough(t, []string{"deleted", "without pools"}, [][]ipam.Pool{
		{pool(t, "b", []string{"10.0.1.0/24"})},
		nil,
	}, []string{"is in no pool any more; it was given from pool a", "is in no pool any more; it was given from pool a"})
}

// keepsThrough expects Services of pool a to keep their addresses through a change of the pools, to be told why that is odd, and to have no
// problem once the pool is as it was.
func keepsThrough(t *testing.T, names []string, changes [][]ipam.Pool, says []string) {
	t.Helper()
	before := pool(t, "a", []string{"10.0.0.0/24"})
	for i, name := range names {
		t.Run(name, func(t *testing.T) {
			a := open(t, before)
			a.ask(v4("s"), "10.0.0.0")
			a.ask(v4("asks", from("a")), "10.0.0.1")
			a.ledger.SetPools(changes[i])
			a.because(a.ask(v4("s"), "10.0.0.0"), ipam.PoolMismatch, says[i])
			a.because(a.ask(v4("asks", from("a")), "10.0.0.1"), ipam.PoolMismatch, says[i])
			a.ledger.SetPools([]ipam.Pool{before})
			if d := a.ask(v4("s"), "10.0.0.0"); len(d.Problems) > 0 {
				t.Errorf("problems remain: %v", d.Problems)
			}
			a.ask(v4("next"), "10.0.0.2")
		})
	}
}

func disruptive(p *ipam.Pool) { p.Disruptive = true }

func TestA18AddressIsGivenUpWhenTheUserAllowedIt(t *testing.T) {
	for _, c := range []struct {
		name      string
		pools     []ipam.Pool
		abandoned []string
		request   ipam.Request
		has       string
	}{
		{"edited", []ipam.Pool{pool(t, "a", []string{"10.0.1.0/24"}, disruptive)}, nil, v4("s"), "10.0.1.0"},
		{"edited and asked for", []ipam.Pool{pool(t, "a", []string{"10.0.1.0/24"}, disruptive)}, nil, v4("s", from("a")), "10.0.1.0"},
		{"given to others", []ipam.Pool{pool(t, "a", []string{"10.0.0.0/24"}, disruptive, pinned(1, "other"))}, nil, v4("s"), ""},
		{"left out", []ipam.Pool{pool(t, "a", []string{"10.0.0.0/24"}, disruptive, func(p *ipam.Pool) { p.AvoidBuggyIPs = true })}, nil, v4("s"), "10.0.0.1"},
		{"deleted", []ipam.Pool{pool(t, "b", []string{"10.0.2.0/24"})}, []string{"a"}, v4("s"), "10.0.2.0"},
		{"the last one deleted", nil, []string{"a"}, v4("s"), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, pool(t, "a", []string{"10.0.0.0/24"}))
			a.ask(c.request, "10.0.0.0")
			a.ledger.SetPools(c.pools, c.abandoned...)
			d := a.ask(c.request, c.has)
			if len(d.GivenUp) != 1 || d.GivenUp[0].Reason.Code != ipam.PoolMismatch {
				t.Errorf("given up %v: wanted the address, because of its pool", d.GivenUp)
			}
		})
	}
}

func TestA18AddressIsKeptWhenTheUserAllowedSomethingElseToBeLost(t *testing.T) {
	for _, c := range []struct {
		name      string
		pools     []ipam.Pool
		abandoned []string
		request   ipam.Request
		problems  int
	}{
		{"another pool edited", []ipam.Pool{pool(t, "b", []string{"10.0.1.0/24"}, disruptive)}, nil, v4("s"), 1},
		{"another pool deleted", nil, []string{"b"}, v4("s"), 1},
		{"deleted and there again", []ipam.Pool{pool(t, "a", []string{"10.0.1.0/24"})}, []string{"a"}, v4("s"), 1},
		{"moved to another pool", []ipam.Pool{pool(t, "a", []string{"10.0.1.0/24"}, disruptive), pool(t, "b", []string{"10.0.0.0/24"})}, nil, v4("s"), 0},
		{"still in its pool", []ipam.Pool{pool(t, "a", []string{"10.0.0.0/25"}, disruptive)}, nil, v4("s"), 0},
		{"the Service asks nonsense", nil, []string{"a"}, v4("s", func(r *ipam.Request) { r.Invalid = "nonsense" }), 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := open(t, pool(t, "a", []string{"10.0.0.0/24"}))
			a.ask(v4("s"), "10.0.0.0")
			a.ledger.SetPools(c.pools, c.abandoned...)
			if d := a.ask(c.request, "10.0.0.0"); len(d.Problems) != c.problems {
				t.Errorf("problems are %v: wanted %d", d.Problems, c.problems)
			}
		})
	}
}

func TestA20AddressThatMovesToAnotherPoolIsNamedByThatOneUnlessTheServiceAsksForTheFirst(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}))
	a.ask(v4("s"), "10.0.0.0")
	a.ask(v4("asks", from("a")), "10.0.0.1")
	a.ledger.SetPools([]ipam.Pool{pool(t, "a", []string{"10.0.1.0/24"}), pool(t, "b", []string{"10.0.0.0/24"})})
	if d := a.ask(v4("s"), "10.0.0.0"); d.Pool != "b" || len(d.Problems) > 0 {
		t.Errorf("%+v: wanted pool b and no problem", d)
	}
	if d := a.ask(v4("asks", from("a")), "10.0.0.1"); d.Pool != "a" {
		t.Errorf("pool is %q: wanted a, which the Service asks for", d.Pool)
	}
}

func TestA20RecordedPoolStaysWhileAnAddressMayHaveBeenLostToIt(t *testing.T) {
	a := open(t, pool(t, "b", []string{"10.0.0.0/24", "2001:db8::/120"}))
	s := v4("s", dual(ipam.PreferDualStack, ipam.IPv6, ipam.IPv4))
	a.ask(s, "2001:db8:: 10.0.0.0")
	a.ledger.SetPools([]ipam.Pool{pool(t, "a", []string{"2001:db8::/120", "10.0.1.0/24"}, disruptive), pool(t, "b", []string{"10.0.2.0/24"})})
	for range 2 {
		if d := a.ask(s, "2001:db8:: 10.0.0.0"); d.Pool != "b" {
			t.Errorf("pool is %q: wanted b, which the IPv4 address was given from", d.Pool)
		}
	}
}

func TestA21LedgerThatIsBuiltAnewChangesNothingAndGivesNothingAwayTwice(t *testing.T) {
	pools := []ipam.Pool{pool(t, "a", []string{"10.0.0.0/30"})}
	a := open(t, pools...)
	a.ask(v4("one"), "10.0.0.0")
	a.ask(v4("two"), "10.0.0.1")
	a.ask(v4("three"), "10.0.0.2")
	a.ledger.Release(v4("one").Service)
	claims := a.ledger.Claims()
	slices.Reverse(claims)
	b := open(t, pools...)
	for _, c := range claims {
		if err := b.ledger.Assign(c); err != nil {
			t.Fatal(err)
		}
	}
	for name, addr := range map[string]string{"two": "10.0.0.1", "three": "10.0.0.2"} {
		if d := b.ask(v4(name), addr); len(d.Added)+len(d.GivenUp) > 0 {
			t.Errorf("%s: %+v: wanted no change", name, d)
		}
	}
	b.ask(v4("next"), "10.0.0.0")
}

func TestA21OfTwoServicesThatHaveOneAddressTheOneThatIsReadFirstKeepsIt(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}))
	addr := netip.MustParseAddr("10.0.0.7")
	older, newer := v4("older"), v4("newer")
	if err := a.ledger.Assign(ipam.Claim{Service: older.Service, Addresses: []netip.Addr{addr}}); err != nil {
		t.Fatal(err)
	}
	var conflict *ipam.ConflictError
	if err := a.ledger.Assign(ipam.Claim{Service: newer.Service, Addresses: []netip.Addr{addr}}); !errors.As(err, &conflict) || conflict.Holder != older.Service {
		t.Errorf("the second claim is answered by %v: wanted a conflict with %s", err, older.Service)
	}
	a.ask(older, "10.0.0.7")
	a.ask(newer, "10.0.0.0")
}

func TestA21RefusalNamesTheSameServiceInWhateverOrderServicesWereRead(t *testing.T) {
	addr := netip.MustParseAddr("10.0.0.0")
	for _, order := range [][]string{{"a", "b"}, {"b", "a"}} {
		l := open(t, pool(t, "p", []string{"10.0.0.0/24"}))
		for _, name := range order {
			claim := ipam.Claim{Service: ipam.ServiceKey{Namespace: "ns", Name: name}, Addresses: []netip.Addr{addr}, Sharing: ipam.Sharing{Key: "k"}}
			if err := l.ledger.Assign(claim); err != nil {
				t.Fatal(err)
			}
		}
		l.because(l.ask(v4("s", wants("10.0.0.0")), ""), ipam.AddressInUse, "it is in use by ns/a")
	}
}

func TestProblemsOfKeptAddressesStayTheSameWhenOthersAreAddedBetweenThem(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}))
	a.ask(v4("s", from("a"), dual(ipam.PreferDualStack, ipam.IPv6, ipam.IPv4)), "2001:db8:: 10.0.0.0")
	a.ledger.SetPools([]ipam.Pool{pool(t, "a", []string{"10.0.1.0/24", "2001:db8:1::/120"})})
	more := v4("s", from("a"), dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6), count(2))
	const all = "10.0.0.0 10.0.1.0 2001:db8:: 2001:db8:1::"
	first, second := a.ask(more, all), a.ask(more, all)
	if len(first.Problems) != 2 || !slices.Equal(first.Problems, second.Problems) {
		t.Errorf("problems are %v, then %v: wanted the same two", first.Problems, second.Problems)
	}
}

func TestA22AddressOfADeletedServiceGoesToTheOneThatWaits(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/32"}))
	a.ask(v4("one"), "10.0.0.0")
	a.because(a.ask(v4("two"), ""), ipam.Exhausted, "pool a: 1 of 1 IPv4 addresses in use")
	freed := a.ledger.Release(v4("one").Service)
	if diff := cmp.Diff([]netip.Addr{netip.MustParseAddr("10.0.0.0")}, freed, cmpopts.EquateComparable(netip.Addr{})); diff != "" {
		t.Errorf("freed: %s", diff)
	}
	a.ask(v4("two"), "10.0.0.0")
}
