package ipam_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// history is a cluster in small and how it came to be: what users asked for, what the ledger says, and what the API would say.
type history struct {
	world
	ledger *ipam.Ledger
}

// settle decides on one Service, as the controller does.
func (h *history) settle(t *rapid.T, key ipam.ServiceKey) {
	r := h.requests[key]
	before := h.status[key]
	d := ipam.Decide(h.ledger, r)
	h.check(t, r, before, d)
	claim := ipam.Claim{Service: key, Addresses: d.Addresses, Pool: d.Pool, Sharing: r.Sharing, Leaving: before.Leaving}
	for _, g := range d.GivenUp {
		if rapid.Bool().Draw(t, "API shows the address for some time yet") {
			claim.Leaving = append(claim.Leaving, ipam.Leaving{Address: g.Address, Sharing: before.Sharing})
		}
	}
	if err := h.ledger.Assign(claim); err != nil {
		t.Fatalf("the ledger refuses the decision %+v on %+v: %v", d, r, err)
	}
	h.status[key] = claim
	again := ipam.Decide(h.ledger, r)
	if len(again.Added)+len(again.GivenUp) > 0 || !slices.Equal(again.Addresses, d.Addresses) || again.Pool != d.Pool {
		t.Fatalf("deciding again on %+v changes %+v to %+v", r, d, again)
	}
	if len(d.GivenUp) == 0 && d.Allocated() && !slices.Equal(again.Problems, d.Problems) {
		t.Fatalf("deciding again on %+v tells %v, before it was %v", r, again.Problems, d.Problems)
	}
}

// check is what holds of every single decision.
func (h *history) check(t *rapid.T, r ipam.Request, before ipam.Claim, d ipam.Decision) {
	if !d.Allocated() && len(d.Problems) == 0 {
		t.Fatalf("%+v gets nothing and no reason: %+v", r, d)
	}
	want := slices.Clone(d.Added)
	for _, addr := range before.Addresses {
		if !slices.ContainsFunc(d.GivenUp, func(g ipam.GivenUp) bool { return g.Address == addr }) {
			want = append(want, addr)
		}
	}
	if diff := cmp.Diff(want, d.Addresses, cmpopts.SortSlices(netip.Addr.Less), cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("added and given up do not account for the change: %s\n%+v", diff, d)
	}
	for _, addr := range d.Added {
		if why := h.denies(r, addr, d.Addresses); why != "" {
			t.Fatalf("%+v gets %s: %s", r, addr, why)
		}
	}
	if len(d.Added) > 0 && r.Policy == ipam.RequireDualStack && len(before.Addresses) == 0 && (!hasFamily(d, ipam.IPv4) || !hasFamily(d, ipam.IPv6)) {
		t.Fatalf("%+v requires both families and gets %v", r, d.Addresses)
	}
	kept := len(d.Addresses) > len(d.Added)
	for _, addr := range d.Added {
		if pool, _ := h.poolOf(addr); !kept && pool.Name != d.Pool {
			t.Fatalf("%+v gets %s of pool %s beside those of pool %s", r, addr, pool.Name, d.Pool)
		}
	}
	if pool, ok := h.named(d.Pool); ok && len(d.Added) > 0 && !kept && !pool.AutoAssign && r.Pool == "" && len(r.Addresses) == 0 &&
		!slices.ContainsFunc(d.Added, func(addr netip.Addr) bool { return h.reservedBy(addr) != nil }) {
		t.Fatalf("%+v gets %v of pool %s, which must be asked for", r, d.Added, pool.Name)
	}
	h.checkEnough(t, r, d)
}

func hasFamily(d ipam.Decision, f ipam.Family) bool {
	return slices.ContainsFunc(d.Addresses, func(addr netip.Addr) bool { return ipam.FamilyOf(addr) == f })
}

// checkEnough expects that a Service that does not get all it wants could not have had more.
func (h *history) checkEnough(t *rapid.T, r ipam.Request, d ipam.Decision) {
	if r.Invalid != "" || len(r.Addresses) > 0 || r.Policy == ipam.RequireDualStack && (!d.Allocated() || len(r.Families) < 2) {
		return
	}
	before := addressesOf(h.status[r.Service])
	for _, f := range r.Families {
		have := 0
		for _, addr := range d.Addresses {
			if ipam.FamilyOf(addr) == f {
				have++
			}
		}
		switch lacks := have < max(1, r.Count); {
		case have > max(1, r.Count):
			t.Fatalf("%+v gets %v, which is too much", r, d.Addresses)
		case !lacks:
			continue
		case d.Allocated() && len(d.Problems) == 0:
			t.Fatalf("%+v gets only %v and no reason", r, d.Addresses)
		}
		for _, addr := range h.candidates() {
			pool, _ := h.poolOf(addr)
			if ipam.FamilyOf(addr) != f || slices.Contains(before, addr) || slices.Contains(d.Addresses, addr) || d.Allocated() && pool.Name != d.Pool {
				continue
			}
			if !d.Allocated() && r.Pool == "" && !pool.AutoAssign && h.reservedBy(addr) == nil {
				continue
			}
			if why := h.denies(r, addr, d.Addresses); why == "" {
				t.Fatalf("%+v gets only %v (%v), though nothing speaks against %s", r, d.Addresses, d.Problems, addr)
			}
		}
	}
}

// checkAll is what holds of the whole at any time.
func (h *history) checkAll(t *rapid.T) {
	holders := map[netip.Addr][]ipam.Claim{}
	services := map[string]map[ipam.ServiceKey]bool{}
	used := map[string][2]int64{}
	for _, c := range h.ledger.Claims() {
		for _, addr := range addressesOf(c) {
			for _, o := range holders[addr] {
				if !legal(c.Service, sharingOf(c, addr), o.Service, sharingOf(o, addr)) {
					t.Fatalf("%s and %s both have %s", c.Service, o.Service, addr)
				}
			}
			pool, ok := h.poolOf(addr)
			if ok && holders[addr] == nil {
				n := used[pool.Name]
				n[(ipam.FamilyOf(addr)-ipam.IPv4)/2]++
				used[pool.Name] = n
			}
			if ok && slices.Contains(c.Addresses, addr) {
				if services[pool.Name] == nil {
					services[pool.Name] = map[ipam.ServiceKey]bool{}
				}
				services[pool.Name][c.Service] = true
			}
			holders[addr] = append(holders[addr], c)
		}
	}
	for _, u := range h.ledger.Usage() {
		if n := used[u.Pool]; u.IPv4.Used != n[0] || u.IPv6.Used != n[1] || u.Services != len(services[u.Pool]) {
			t.Fatalf("usage of pool %s is %+v: wanted %v of %d Services", u.Pool, u, n, len(services[u.Pool]))
		}
	}
	h.checkRebuilt(t)
}

// checkRebuilt expects of a ledger that is built from what the API shows, in any order, that it cannot be told from the one that got there step
// by step.
func (h *history) checkRebuilt(t *rapid.T) {
	keys := slices.SortedFunc(maps.Keys(h.status), compareKeys)
	rebuilt := h.rebuild(t, rapid.Permutation(keys).Draw(t, "order of reading"))
	opts := cmp.Options{cmpopts.EquateComparable(netip.Addr{}), cmpopts.EquateEmpty()}
	if diff := cmp.Diff(h.ledger.Claims(), rebuilt.Claims(), opts); diff != "" {
		t.Fatalf("the ledger rebuilt from the API differs: %s", diff)
	}
	if diff := cmp.Diff(h.ledger.Usage(), rebuilt.Usage()); diff != "" {
		t.Fatalf("the usage of the ledger rebuilt from the API differs: %s", diff)
	}
	next := slices.Collect(maps.Values(h.requests))
	next = append(next, drawRequest(t, rapid.SampledFrom(serviceKeys).Draw(t, "next")))
	for _, r := range next {
		if diff := cmp.Diff(ipam.Decide(h.ledger, r), ipam.Decide(rebuilt, r), opts); diff != "" {
			t.Fatalf("the ledger rebuilt from the API decides otherwise on %+v: %s", r, diff)
		}
	}
	for _, name := range poolNames {
		for _, f := range []ipam.Family{ipam.IPv4, ipam.IPv6} {
			addr, ok := h.ledger.PickReserved(name, f)
			if other, also := rebuilt.PickReserved(name, f); other != addr || also != ok {
				t.Fatalf("the ledger rebuilt from the API reserves %s of pool %s, the other one %s", other, name, addr)
			}
			if ok && (h.reservedBy(addr) != nil || len(h.ledger.Holders(addr)) > 0) {
				t.Fatalf("%s is to be reserved, but is not free", addr)
			}
		}
	}
}

// rebuild returns the ledger of what the API shows.
func (h *history) rebuild(t *rapid.T, order []ipam.ServiceKey) *ipam.Ledger {
	l := ipam.NewLedger(nil)
	set := []func(){
		func() { l.SetPools(h.pools, h.abandoned...) },
		func() { l.SetReservations(h.reservations) },
		func() { l.SetQuotas(h.quotas) },
		func() { l.SetForeign(h.foreign) },
		func() {
			for _, key := range order {
				if err := l.Assign(h.status[key]); err != nil {
					t.Fatalf("rebuilding from the API: %v", err)
				}
			}
		},
	}
	for _, i := range rapid.Permutation([]int{0, 1, 2, 3, 4}).Draw(t, "order of building") {
		set[i]()
	}
	return l
}

func compareKeys(a, b ipam.ServiceKey) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) }

func TestHistoriesOfServicesAndTheirSurroundingsKeepEveryPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := &history{world: world{requests: map[ipam.ServiceKey]ipam.Request{}, status: map[ipam.ServiceKey]ipam.Claim{}}}
		h.pools = drawPools(t)
		h.ledger = ipam.NewLedger(h.pools)
		t.Repeat(map[string]func(*rapid.T){
			"write a Service": func(t *rapid.T) {
				key := rapid.SampledFrom(serviceKeys).Draw(t, "service")
				h.requests[key] = drawRequest(t, key)
				h.settle(t, key)
			},
			"delete a Service": func(t *rapid.T) {
				key := rapid.SampledFrom(serviceKeys).Draw(t, "service")
				delete(h.requests, key)
				delete(h.status, key)
				h.ledger.Release(key)
			},
			"show what a Service has given up no more": func(t *rapid.T) {
				key := rapid.SampledFrom(serviceKeys).Draw(t, "service")
				claim, ok := h.status[key]
				if !ok {
					return
				}
				claim.Leaving = nil
				h.status[key] = claim
				if err := h.ledger.Assign(claim); err != nil {
					t.Fatal(err)
				}
			},
			"edit the pools": func(t *rapid.T) {
				h.pools = drawPools(t)
				h.abandoned = rapid.SliceOfNDistinct(rapid.SampledFrom(poolNames), 0, 1, rapid.ID).Draw(t, "abandoned")
				h.ledger.SetPools(h.pools, h.abandoned...)
				h.nobodyLoses(t)
			},
			"edit the reservations": func(t *rapid.T) {
				h.reservations = drawReservations(t)
				h.ledger.SetReservations(h.reservations)
				h.nobodyLoses(t)
			},
			"edit the quotas": func(t *rapid.T) {
				h.quotas = drawQuotas(t)
				h.ledger.SetQuotas(h.quotas)
				h.nobodyLoses(t)
			},
			"learn of others": func(t *rapid.T) {
				h.foreign = drawForeign(t)
				h.ledger.SetForeign(h.foreign)
				h.nobodyLoses(t)
			},
			"restart": func(t *rapid.T) {
				h.ledger = h.rebuild(t, slices.Collect(maps.Keys(h.status)))
				h.nobodyLoses(t)
			},
			"": h.checkAll,
		})
	})
}

// nobodyLoses decides on every Service again, with nothing changed in any of them, and expects all addresses to stay but for those that users
// allowed to be lost.
func (h *history) nobodyLoses(t *rapid.T) {
	for _, key := range slices.SortedFunc(maps.Keys(h.requests), compareKeys) {
		before := h.status[key]
		h.settle(t, key)
		for _, addr := range before.Addresses {
			if !slices.Contains(h.status[key].Addresses, addr) && !h.mayLose(h.requests[key], before, addr) {
				t.Fatalf("%s loses %s though nobody changed it: %+v", key, addr, h.requests[key])
			}
		}
	}
}

func TestLowestFreeAddressesAreThoseALinearScanFinds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r, err := ipam.ParseRange(rapid.SampledFrom([]string{
			"10.0.0.0/24", "10.0.0.250-10.0.2.3", "10.0.0.255-10.0.1.0", "10.255.255.254-11.0.0.1", "0.0.0.0/0", "255.255.255.254-255.255.255.255",
			"2001:db8::/120", "2001:db8::fe-2001:db8::1:2", "::/0", "2001:db8:0:ffff:ffff:ffff:ffff:fff0-2001:db8:1::4",
		}).Draw(t, "range"))
		if err != nil {
			t.Fatal(err)
		}
		avoid := rapid.Bool().Draw(t, "avoid")
		l := ipam.NewLedger([]ipam.Pool{{Name: "p", Ranges: []ipam.Range{r}, AutoAssign: true, AvoidBuggyIPs: avoid}})
		taken := map[netip.Addr]ipam.ServiceKey{}
		families := []ipam.Family{r.Family()}
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"allocate": func(t *rapid.T) {
				for range rapid.IntRange(1, 300).Draw(t, "Services") {
					n++
					key := ipam.ServiceKey{Namespace: "n", Name: fmt.Sprint(n)}
					count := rapid.IntRange(1, 3).Draw(t, "count")
					d := ipam.Decide(l, ipam.Request{Service: key, Families: families, Count: count})
					var want []netip.Addr
					for range count {
						if addr, ok := scan(r, avoid, taken); ok {
							want, taken[addr] = append(want, addr), key
						}
					}
					if !slices.Equal(want, d.Addresses) {
						t.Fatalf("got %v: wanted %v", d, want)
					}
					if len(want) == 0 {
						return
					}
					if err := l.Assign(ipam.Claim{Service: key, Addresses: d.Addresses}); err != nil {
						t.Fatal(err)
					}
				}
			},
			"free": func(t *rapid.T) {
				for _, addr := range slices.SortedFunc(maps.Keys(taken), netip.Addr.Compare) {
					if key, ok := taken[addr]; ok && rapid.IntRange(0, 3).Draw(t, "keep") == 0 {
						l.Release(key)
						maps.DeleteFunc(taken, func(_ netip.Addr, k ipam.ServiceKey) bool { return k == key })
					}
				}
			},
			"": func(t *rapid.T) {
				if u := l.Usage()[0]; u.IPv4.Used+u.IPv6.Used != int64(len(taken)) {
					t.Fatalf("usage is %+v: wanted %d", u, len(taken))
				}
			},
		})
	})
}

func scan(r ipam.Range, avoid bool, taken map[netip.Addr]ipam.ServiceKey) (netip.Addr, bool) {
	for addr := r.First; addr.IsValid() && r.Contains(addr); addr = addr.Next() {
		if _, ok := taken[addr]; ok {
			continue
		}
		if last := addr.AsSlice()[len(addr.AsSlice())-1]; avoid && addr.Is4() && (last == 0 || last == 255) {
			continue
		}
		return addr, true
	}
	return netip.Addr{}, false
}
