package ipam_test

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// assign decides on a request and takes the decision into the ledger.
func assign(b *testing.B, l *ipam.Ledger, r ipam.Request) {
	b.Helper()
	d := ipam.Decide(l, r)
	if !d.Allocated() {
		b.Fatalf("%s gets no address: %v", r.Service, d.Problems)
	}
	if err := l.Assign(ipam.Claim{Service: r.Service, Addresses: d.Addresses, Pool: d.Pool, Sharing: r.Sharing}); err != nil {
		b.Fatal(err)
	}
}

// fill gives an address of the pool to each of n Services.
func fill(b *testing.B, l *ipam.Ledger, f ipam.Family, n int) {
	b.Helper()
	for i := range n {
		assign(b, l, request(fmt.Sprint("s", i), f))
	}
}

func request(name string, families ...ipam.Family) ipam.Request {
	return ipam.Request{
		Service:  ipam.ServiceKey{Namespace: "n", Name: name},
		Families: families,
		Sharing:  ipam.Sharing{Ports: []ipam.Port{{Protocol: "TCP", Number: 80}}},
	}
}

func block(b *testing.B, text string) ipam.Range {
	b.Helper()
	r, err := ipam.ParseRange(text)
	if err != nil {
		b.Fatal(err)
	}
	return r
}

// oneMore measures giving one more Service addresses and taking them back.
func oneMore(b *testing.B, l *ipam.Ledger, r ipam.Request) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		assign(b, l, r)
		l.Release(r.Service)
	}
}

// BenchmarkAllocate measures giving one more address and taking it back, with so many Services in the pool already, and so many of its first
// addresses reserved, each by a reservation of its own for another namespace.
func BenchmarkAllocate(b *testing.B) {
	for _, text := range []string{"10.0.0.0/24", "10.0.0.0/16", "2001:db8::/64"} {
		for _, services := range []int{10, 1_000, 100_000} {
			if services > 1_000 && block(b, text).Size(false) < 1_000 {
				continue // the same as 1,000
			}
			for _, reservations := range []int{0, 1_000} {
				r := block(b, text)
				// A pool that holds fewer is as full as it can be with one address left.
				reserved := int(min(int64(reservations), r.Size(false)/2))
				taken := int(min(int64(services), r.Size(false)-int64(reserved)-1))
				b.Run(fmt.Sprintf("pool=%s/services=%d/reserved=%d", text, taken, reserved), func(b *testing.B) {
					l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{r}, AutoAssign: true}})
					l.SetReservations(reserveFrom(r.First, reserved, func(i int, one *ipam.Reservation) { one.Namespace = fmt.Sprint("n", i) }))
					fill(b, l, r.Family(), taken)
					oneMore(b, l, request("one more", r.Family()))
				})
			}
		}
	}
}

// reserveFrom reserves n addresses from first on, each by a reservation of its own.
func reserveFrom(first netip.Addr, n int, edit func(int, *ipam.Reservation)) []ipam.Reservation {
	var all []ipam.Reservation
	for i, addr := 0, first; i < n; i, addr = i+1, addr.Next() {
		one := ipam.Reservation{Name: fmt.Sprint("r", i), Namespace: "n", Addresses: []netip.Addr{addr}}
		edit(i, &one)
		all = append(all, one)
	}
	return all
}

// BenchmarkSurroundings measures the same in a /16 of 10,000 Services among other things that have a say.
func BenchmarkSurroundings(b *testing.B) {
	r := block(b, "10.0.0.0/16")
	one := request("one more", ipam.IPv4)
	for _, c := range []struct {
		name string
		set  func(*ipam.Ledger)
		edit func(*ipam.Request)
	}{
		{"nothing", func(*ipam.Ledger) {}, func(*ipam.Request) {}},
		{"four addresses", func(*ipam.Ledger) {}, func(r *ipam.Request) { r.Count = 4 }},
		{"1000 reservations by name in the namespace", func(l *ipam.Ledger) {
			l.SetReservations(reserveFrom(r.First, 1000, func(i int, one *ipam.Reservation) { one.Service = fmt.Sprint("other", i) }))
		}, func(*ipam.Request) {}},
		{"1000 used up reservations of the namespace", func(l *ipam.Ledger) {
			l.SetReservations(reserveFrom(r.First, 1000, func(int, *ipam.Reservation) {}))
		}, func(*ipam.Request) {}},
		{"a reservation for the Service", func(l *ipam.Ledger) {
			l.SetReservations(reserveFrom(r.First, 1, func(_ int, r *ipam.Reservation) { r.Service = one.Service.Name }))
		}, func(*ipam.Request) {}},
		{"1000 nodes", func(l *ipam.Ledger) {
			known := map[netip.Addr]string{}
			for _, n := range reserveFrom(r.First, 1000, func(int, *ipam.Reservation) {}) {
				known[n.Addresses[0]] = "node " + n.Name
			}
			l.SetForeign(known)
		}, func(*ipam.Request) {}},
		{"1000 quotas of namespaces", func(l *ipam.Ledger) {
			var quotas []ipam.Quota
			for i := range 1000 {
				quotas = append(quotas, ipam.Quota{Name: fmt.Sprint("q", i), Namespaces: []string{fmt.Sprint("n", i)}, IPv4: 100, IPv6: 100})
			}
			l.SetQuotas(append(quotas, ipam.Quota{Name: "n", Namespaces: []string{"n"}, Pools: []string{"p"}, IPv4: 20_000, IPv6: 0}))
		}, func(*ipam.Request) {}},
	} {
		b.Run(c.name, func(b *testing.B) {
			l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{r}, AutoAssign: true, Check: ipam.CheckKnown}})
			c.set(l)
			fill(b, l, ipam.IPv4, 10_000)
			r := one
			c.edit(&r)
			oneMore(b, l, r)
		})
	}
}

// BenchmarkRefuse measures a Service that waits for an address of a full pool.
func BenchmarkRefuse(b *testing.B) {
	l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{block(b, "10.0.0.0/16")}, AutoAssign: true}})
	fill(b, l, ipam.IPv4, 1<<16)
	one := request("one more", ipam.IPv4)
	b.ReportAllocs()
	for b.Loop() {
		if d := ipam.Decide(l, one); d.Allocated() {
			b.Fatal("a full pool gives an address")
		}
	}
}

// BenchmarkKeep measures looking again at a Service that has what it wants.
func BenchmarkKeep(b *testing.B) {
	l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{block(b, "10.0.0.0/8")}, AutoAssign: true}})
	fill(b, l, ipam.IPv4, 100_000)
	one := request("s5000", ipam.IPv4)
	b.ReportAllocs()
	for b.Loop() {
		if d := ipam.Decide(l, one); len(d.Added)+len(d.GivenUp) > 0 {
			b.Fatal("the address changed")
		}
	}
}

// BenchmarkSetPools measures an edit of the pools under 100,000 Services.
func BenchmarkSetPools(b *testing.B) {
	pool := ipam.Pool{Name: "p", Ranges: []ipam.Range{block(b, "10.0.0.0/8")}, AutoAssign: true}
	l := ipam.NewLedger([]ipam.Pool{pool})
	fill(b, l, ipam.IPv4, 100_000)
	for b.Loop() {
		l.SetPools([]ipam.Pool{pool})
	}
}

// BenchmarkShareWithMany measures Services that all have one sharing key and one port, so that none can join another.
func BenchmarkShareWithMany(b *testing.B) {
	l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{block(b, "10.0.0.0/8")}, AutoAssign: true}})
	for i := range 10_000 {
		one := request(fmt.Sprint("s", i), ipam.IPv4)
		one.Sharing.Key = "k"
		assign(b, l, one)
	}
	one := request("one more", ipam.IPv4)
	one.Sharing.Key = "k"
	for b.Loop() {
		ipam.Decide(l, one)
	}
}

// BenchmarkBuild measures building the ledger of 100,000 Services, as at the start of a controller.
func BenchmarkBuild(b *testing.B) {
	pool := ipam.Pool{Name: "p", Ranges: []ipam.Range{block(b, "10.0.0.0/8")}, AutoAssign: true}
	l := ipam.NewLedger([]ipam.Pool{pool})
	fill(b, l, ipam.IPv4, 100_000)
	claims := l.Claims()
	for b.Loop() {
		l := ipam.NewLedger([]ipam.Pool{pool})
		for _, c := range claims {
			if err := l.Assign(c); err != nil {
				b.Fatal(err)
			}
		}
	}
}
