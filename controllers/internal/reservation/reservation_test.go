package reservation_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// ledger is a real one with a pool p of 192.0.2.0-3 and 2001:db8::-3, and a pool q of 198.51.100.0-3.
func ledger(t *testing.T, claims ...ipam.Claim) *ipam.Ledger {
	t.Helper()
	l := ipam.NewLedger([]ipam.Pool{
		{Name: "p", AutoAssign: true, Ranges: []ipam.Range{block(t, "192.0.2.0/30"), block(t, "2001:db8::/126")}},
		{Name: "q", AutoAssign: true, Ranges: []ipam.Range{block(t, "198.51.100.0/30")}},
	})
	for _, c := range claims {
		if err := l.Assign(c); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

func block(t *testing.T, text string) ipam.Range {
	t.Helper()
	r, err := ipam.ParseRange(text)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, text := range texts {
		list = append(list, netip.MustParseAddr(text))
	}
	return list
}

func has(namespace, name string, addresses ...string) ipam.Claim {
	return ipam.Claim{Service: ipam.ServiceKey{Namespace: namespace, Name: name}, Addresses: addrs(addresses...)}
}

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// ofNamespace is a Reservation for all Services of namespace shop.
func ofNamespace(edit func(*reservation.Reservation)) reservation.Reservation {
	r := reservation.Reservation{Generation: 1, Other: func(netip.Addr) string { return "" }, Entitled: func(s ipam.ServiceKey) bool { return s.Namespace == "shop" }}
	r.Name, r.Namespace = "r", "shop"
	edit(&r)
	return r
}

func named(addresses ...string) reservation.Reservation {
	return ofNamespace(func(r *reservation.Reservation) { r.Addresses = addrs(addresses...) })
}

func chosen(families ...ipam.Family) reservation.Reservation {
	return ofNamespace(func(r *reservation.Reservation) {
		r.Reservation = intent.Reservation{Reservation: r.Reservation.Reservation, Pool: "p", Families: families}
	})
}

// expect compares addresses and condition.
func expect(t *testing.T, o reservation.Outcome, addresses []netip.Addr, status metav1.ConditionStatus, reason, message string) {
	t.Helper()
	if !slices.Equal(o.Addresses, addresses) || o.Verdict.Status != status || o.Verdict.Reason != reason || !strings.Contains(o.Verdict.Message, message) {
		t.Errorf("outcome %+v: want addresses %v, %s %s: …%s…", o, addresses, status, reason, message)
	}
}

func TestGivenNamedAddressesWhenNobodyHasThemThenAllAreKeptAtOnce(t *testing.T) {
	o := reservation.Decide(named("192.0.2.1", "198.51.100.0"), ledger(t), start)
	expect(t, o, addrs("192.0.2.1", "198.51.100.0"), "True", v1beta1.ReasonReserved, "all addresses are kept")
	if o.First || !slices.Equal(o.Reserve, o.Addresses) || o.Services != nil || !o.UnusedSince.IsZero() {
		t.Errorf("outcome %+v: nothing has to be written first, and nobody has had anything", o)
	}
}

func TestGivenAStrangerWithANamedAddressWhenDecidedThenItIsReservedForLaterAndTheConditionNamesHim(t *testing.T) {
	o := reservation.Decide(named("192.0.2.1", "192.0.2.2"), ledger(t, has("other", "web", "192.0.2.1"), has("shop", "cart", "192.0.2.2")), start)
	expect(t, o, addrs("192.0.2.2"), "False", v1beta1.ReasonAddressInUse, "192.0.2.1 by other/web")
	if !slices.Equal(o.Reserve, addrs("192.0.2.1", "192.0.2.2")) || !slices.Equal(o.Services, []string{"cart"}) {
		t.Errorf("outcome %+v: want both reserved, used by cart", o)
	}
}

func TestGivenAnAddressThatAnotherReservationHasChosenWhenItIsNamedThenTheOtherHasIt(t *testing.T) {
	r := named("192.0.2.1", "192.0.2.2")
	r.Other = func(addr netip.Addr) string {
		if addr == netip.MustParseAddr("192.0.2.1") {
			return "gold"
		}
		return ""
	}
	o := reservation.Decide(r, ledger(t), start)
	expect(t, o, addrs("192.0.2.2"), "False", v1beta1.ReasonAddressInUse, "192.0.2.1 by IPReservation gold")
}

func TestGivenAPoolWhenDecidedForTheFirstTimeThenAnAddressOfEachFamilyIsChosenAndHasToBeRecordedFirst(t *testing.T) {
	o := reservation.Decide(chosen(ipam.IPv4, ipam.IPv6), ledger(t, has("other", "web", "192.0.2.0")), start)
	expect(t, o, addrs("192.0.2.1", "2001:db8::"), "True", v1beta1.ReasonReserved, "")
	if !o.First {
		t.Error("an address that is chosen must be recorded before it counts")
	}
}

func TestGivenAChosenAddressWhenDecidedAgainThenItStaysWhateverBecameOfThePool(t *testing.T) {
	r := chosen(ipam.IPv4)
	r.Status = reservation.Status{Addresses: addrs("203.0.113.7"), Verdict: metav1.Condition{Type: v1beta1.ConditionReserved, ObservedGeneration: 1}}
	o := reservation.Decide(r, ledger(t), start)
	expect(t, o, addrs("203.0.113.7"), "True", v1beta1.ReasonReserved, "203.0.113.7 is kept, but is in no pool")
	r.Families = nil // the pool is gone
	o = reservation.Decide(r, ledger(t), start)
	expect(t, o, addrs("203.0.113.7"), "True", v1beta1.ReasonReserved, "is in no pool")
	r.Families, r.Generation = []ipam.Family{ipam.IPv4}, 2
	o = reservation.Decide(r, ledger(t), start)
	expect(t, o, addrs("192.0.2.0"), "True", v1beta1.ReasonReserved, "")
	if !o.First {
		t.Error("the user edited the IPReservation: another address is chosen, and must be recorded first")
	}
}

func TestGivenAnExhaustedPoolWhenDecidedThenTheConditionSaysWhichFamilyIsMissing(t *testing.T) {
	full := ledger(t, has("other", "web", "192.0.2.0", "192.0.2.1", "192.0.2.2", "192.0.2.3"))
	o := reservation.Decide(chosen(ipam.IPv4, ipam.IPv6), full, start)
	expect(t, o, addrs("2001:db8::"), "False", v1beta1.ReasonPoolExhausted, "pool p has no free IPv4 address")
	o = reservation.Decide(chosen(), full, start)
	expect(t, o, nil, "False", v1beta1.ReasonPoolExhausted, "pool p is not in force")
}

func TestGivenRetentionWhenTheLastServiceLosesTheAddressThenItIsKeptForThatLongAndThenForEverybody(t *testing.T) {
	r := named("192.0.2.1")
	r.Retain = time.Hour
	decide := func(l *ipam.Ledger, now time.Time) reservation.Outcome {
		o := reservation.Decide(r, l, now)
		r.Status = o.Status
		return o
	}
	if o := decide(ledger(t), start); !o.UnusedSince.IsZero() || !o.Recheck.IsZero() {
		t.Errorf("outcome %+v: until a Service has had it, it is kept in any case", o)
	}
	decide(ledger(t, has("shop", "cart", "192.0.2.1")), start)
	gone := start.Add(time.Minute)
	if o := decide(ledger(t), gone); !o.UnusedSince.Equal(gone) || !o.Recheck.Equal(gone.Add(time.Hour)) {
		t.Errorf("outcome %+v: want it unused since %s and looked at in an hour", o, gone)
	}
	o := decide(ledger(t), gone.Add(time.Hour-time.Second))
	expect(t, o, addrs("192.0.2.1"), "True", v1beta1.ReasonReserved, "")
	o = decide(ledger(t), gone.Add(time.Hour))
	expect(t, o, nil, "False", v1beta1.ReasonExpired, "for 1h0m0s")
	if !o.First || o.Reserve != nil {
		t.Errorf("outcome %+v: want that recorded before the address is given to anybody", o)
	}
	if o := decide(ledger(t), gone.Add(24*time.Hour)); o.First || o.Verdict.Reason != v1beta1.ReasonExpired {
		t.Errorf("outcome %+v: want nothing new", o)
	}
	r.Generation++
	o = decide(ledger(t), gone.Add(25*time.Hour))
	expect(t, o, addrs("192.0.2.1"), "True", v1beta1.ReasonReserved, "")
}

func TestGivenAnExpiredReservationWhenAServiceThatItIsForHappensToGetTheAddressThenItIsKeptOnceMore(t *testing.T) {
	r := named("192.0.2.1")
	r.Retain = time.Hour
	r.Status = reservation.Status{UnusedSince: start.Add(-2 * time.Hour), Verdict: metav1.Condition{Type: v1beta1.ConditionReserved, Reason: v1beta1.ReasonExpired, ObservedGeneration: 1}}
	o := reservation.Decide(r, ledger(t, has("shop", "cart", "192.0.2.1")), start)
	expect(t, o, addrs("192.0.2.1"), "True", v1beta1.ReasonReserved, "")
	if !o.UnusedSince.IsZero() {
		t.Errorf("outcome %+v: it is in use", o)
	}
}

func TestGivenAnOutcomeWhenDecidedAgainThenTheStatusIsEqualAndOtherwiseNot(t *testing.T) {
	l := ledger(t, has("shop", "cart", "192.0.2.1"))
	r := named("192.0.2.1")
	first := reservation.Decide(r, l, start).Status
	r.Status = first
	again := reservation.Decide(r, l, start.Add(time.Hour)).Status
	if !first.Equal(&again) {
		t.Errorf("%+v and %+v differ: the status would be written without a reason", first, again)
	}
	again.Services = nil
	if first.Equal(&again) {
		t.Error("a change of the Services goes unnoticed")
	}
}

func TestGivenAStatusInTheAPIWhenReadThenItIsWhatWasWritten(t *testing.T) {
	since := metav1.NewTime(start)
	got := reservation.Read(&v1beta1.IPReservation{Status: v1beta1.IPReservationStatus{
		Addresses: []string{"192.0.2.1", "nonsense", "2001:db8::1"}, Services: []string{"cart"}, UnusedSince: &since,
		Conditions: []metav1.Condition{{Type: v1beta1.ConditionAccepted}, {Type: v1beta1.ConditionReserved, Reason: "R"}},
	}})
	want := reservation.Status{Addresses: addrs("192.0.2.1", "2001:db8::1"), Services: []string{"cart"}, UnusedSince: start,
		Verdict: metav1.Condition{Type: v1beta1.ConditionReserved, Reason: "R"}}
	if !got.Equal(&want) {
		t.Errorf("status %+v, want %+v", got, want)
	}
}
