package ipam_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// More than one address of each family.

func count(n int) func(*ipam.Request) { return func(r *ipam.Request) { r.Count = n } }

func TestA12SeveralAddressesOfAFamilyComeFromOnePoolPrimaryFamilyFirst(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/31", "2001:db8::/126"}), pool(t, "b", []string{"10.0.1.0/29", "2001:db8:1::/126"}))
	six := dual(ipam.RequireDualStack, ipam.IPv6, ipam.IPv4)
	if d := a.ask(v4("s", six, count(3)), "2001:db8:1:: 2001:db8:1::1 2001:db8:1::2 10.0.1.0 10.0.1.1 10.0.1.2"); d.Pool != "b" || len(d.Problems) > 0 {
		t.Errorf("%+v: wanted pool b, which has all, and no problem", d)
	}
	a.ask(v4("t", count(2)), "10.0.0.0 10.0.0.1")
}

func TestA12FewerAddressesThanWantedAreGivenAndCompletedFromTheirPoolLater(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/32"}), pool(t, "b", []string{"10.0.1.0/30"}), pool(t, "c", []string{"10.0.2.0/30"}))
	a.ask(v4("in-the-way", wants("10.0.1.1")), "10.0.1.1")
	for i, addr := range []string{"10.0.2.0", "10.0.2.1", "10.0.2.2"} {
		a.ask(v4(fmt.Sprint(i), wants(addr)), addr)
	}
	s := v4("s", count(4))
	a.because(a.ask(s, "10.0.1.0 10.0.1.2 10.0.1.3"), ipam.AddressesMissing, "3 of 4 IPv4 addresses: pool b: 4 of 4 IPv4 addresses in use")
	a.because(a.ask(s, "10.0.1.0 10.0.1.2 10.0.1.3"), ipam.AddressesMissing, "3 of 4 IPv4 addresses: pool b: 4 of 4 IPv4 addresses in use")
	a.ledger.Release(v4("in-the-way").Service)
	if d := a.ask(s, "10.0.1.0 10.0.1.2 10.0.1.3 10.0.1.1"); len(d.Problems) > 0 || len(d.Added) != 1 {
		t.Errorf("%+v: wanted one address added, and no problem", d)
	}
}

func TestA12LowerCountGivesUpTheLastAddressesOfEachFamily(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}))
	both := dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6)
	a.ask(v4("s", both, count(3)), "10.0.0.0 10.0.0.1 10.0.0.2 2001:db8:: 2001:db8::1 2001:db8::2")
	d := a.ask(v4("s", both, count(2)), "10.0.0.0 10.0.0.1 2001:db8:: 2001:db8::1")
	if len(d.GivenUp) != 2 || d.GivenUp[0].Reason.Code != ipam.CountReduced || len(d.Problems) > 0 {
		t.Errorf("%+v: wanted two addresses given up because of the count", d)
	}
	a.ask(v4("s", both, func(r *ipam.Request) { r.Invalid = "nonsense" }), "10.0.0.0 10.0.0.1 2001:db8:: 2001:db8::1")
	a.ask(v4("s", both), "10.0.0.0 2001:db8::")
}

func TestA12AddressesThatAreMissingOfTheOtherFamilyComeAfterThePrimaryOnes(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}))
	a.ask(v4("s", dual(ipam.SingleStack, ipam.IPv6)), "2001:db8::")
	a.ask(v4("s", dual(ipam.PreferDualStack, ipam.IPv4, ipam.IPv6), count(2)), "10.0.0.0 10.0.0.1 2001:db8:: 2001:db8::1")
}

func TestA12PreferredDualStackOfSeveralAddressesIsContentWithOneFamily(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/31"}))
	d := a.ask(v4("s", dual(ipam.PreferDualStack, ipam.IPv6, ipam.IPv4), count(3)), "10.0.0.0 10.0.0.1")
	codes := []ipam.Code{}
	for _, p := range d.Problems {
		codes = append(codes, p.Code)
	}
	if want := []ipam.Code{ipam.SecondFamilyMissing, ipam.AddressesMissing}; !slices.Equal(codes, want) {
		t.Errorf("problems are %v: wanted %v", d.Problems, want)
	}
}

func TestA3RequestedAddressesAreAllThatTheServiceGetsWhateverItsCount(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24", "2001:db8::/120"}))
	s := v4("s", dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6), count(3), wants("10.0.0.9", "10.0.0.5", "2001:db8::5"))
	if d := a.ask(s, "10.0.0.9 10.0.0.5 2001:db8::5"); len(d.Problems) > 0 {
		t.Errorf("problems are %v: wanted none", d.Problems)
	}
	a.ask(v4("s", dual(ipam.RequireDualStack, ipam.IPv4, ipam.IPv6), count(3)), "10.0.0.9 10.0.0.5 10.0.0.0 2001:db8::5 2001:db8:: 2001:db8::1")
	a.ask(s, "10.0.0.9 10.0.0.5 2001:db8::5")
}

func TestA16WhoSharesJoinsAsManyAsItCanBeforeItTakesMore(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}), pool(t, "b", []string{"10.0.1.0/24"}))
	a.ask(v4("http", shares("k"), from("b")), "10.0.1.0")
	a.ask(v4("https", shares("k"), on(https), count(2)), "10.0.1.0 10.0.1.1")
	a.ask(v4("http", shares("k"), from("b"), count(2)), "10.0.1.0 10.0.1.1")
	a.ask(v4("http", shares("k"), from("b"), count(3)), "10.0.1.0 10.0.1.1 10.0.1.2")
}

func TestA12QuotaThatLeavesLessThanWantedIsNamed(t *testing.T) {
	a := open(t, pool(t, "a", []string{"10.0.0.0/24"}))
	a.ledger.SetQuotas([]ipam.Quota{{Name: "team-a", IPv4: 2, IPv6: ipam.Unbounded}})
	a.because(a.ask(v4("s", count(3)), "10.0.0.0 10.0.0.1"), ipam.AddressesMissing, "2 of 3 IPv4 addresses: quota team-a: 2 of 2 IPv4 addresses")
	a.because(a.ask(v4("s", count(3)), "10.0.0.0 10.0.0.1"), ipam.AddressesMissing, "2 of 3 IPv4 addresses: quota team-a: 2 of 2 IPv4 addresses")
}
