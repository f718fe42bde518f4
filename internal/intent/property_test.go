package intent_test

import (
	"fmt"
	"math/rand"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// drawRaw draws a configuration with few names and values, so that objects refer to and contradict each other, and many are wrong.
func drawRaw(t *rapid.T) intent.Raw {
	nodes := make([]intent.RawNode, rapid.IntRange(0, 3).Draw(t, "nodes"))
	for i := range nodes {
		nodes[i] = node(fmt.Sprintf("n%d", i), rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rack"))
	}
	return intent.Raw{
		Namespace:         lab,
		Nodes:             nodes,
		Pools:             draw(t, "pools", drawPool),
		Listens:           rapid.Bool().Draw(t, "listens"),
		Peers:             draw(t, "peers", drawPeer),
		BGPAdvertisements: draw(t, "bgp", drawBGP),
		L2Advertisements:  draw(t, "l2", drawL2),
		BFDProfiles:       draw(t, "profiles", drawProfile),
		Communities:       draw(t, "communities", drawCommunity),
		Reservations:      draw(t, "reservations", drawReservation),
		Quotas:            draw(t, "quotas", drawQuota),
		Secrets:           draw(t, "secrets", drawSecret),
	}
}

// draw draws up to four objects of different names.
func draw[T any](t *rapid.T, label string, one func(*rapid.T, intent.Meta) T) []T {
	var out []T
	for _, name := range []string{"a", "b", "c", "d"} {
		if rapid.Bool().Draw(t, label) {
			m := object(name, rapid.IntRange(0, 2).Draw(t, "age"))
			m.Namespace = rapid.SampledFrom([]string{lab, lab, lab, lab, lab, "other"}).Draw(t, "namespace")
			m.Labels = map[string]string{"name": name}
			out = append(out, one(t, m))
		}
	}
	return out
}

func pick[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func some(t *rapid.T, label string, values ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(t, label)
}

func drawSelectors(t *rapid.T, key string, values ...string) []intent.RawSelector {
	return pick(t, key, nil, nil, where(key, values[0]), where(key, values[1]), broken())
}

func drawPool(t *rapid.T, m intent.Meta) intent.RawPool {
	p := intent.RawPool{Meta: m, Addresses: some(t, "addresses", "10.0.0.0/24", "10.0.0.128-10.0.1.3", "10.0.2.0/28", "2001:db8::/120", "10.0.3.1/32", "10.0.3.9-10.0.3.1")}
	if rapid.Bool().Draw(t, "allocation") {
		p.Allocation = &intent.RawAllocation{Namespaces: some(t, "namespaces", "x", "y"), ServiceSelectors: drawSelectors(t, "app", "dns", "web"), Strict: rapid.Bool().Draw(t, "strict")}
	}
	p.AvoidBuggyIPs, p.ConflictCheck = rapid.Bool().Draw(t, "buggy"), pick(t, "check", "", "", "Known", "Probe", "x")
	p.Generation, p.AllowDisruption = int64(rapid.IntRange(1, 3).Draw(t, "generation")), pick(t, "disruption", "", "", "1", "2", "3", "x")
	return p
}

func drawReservation(t *rapid.T, m intent.Meta) intent.RawReservation {
	r := intent.RawReservation{
		Meta: m, TargetNamespace: pick(t, "for", "x", "x", "y", "X"), ServiceName: pick(t, "service", "", "", "web"), RetainAfterDelete: pick(t, "retain", "", "", "Forever", "1h", "x"),
		Addresses: some(t, "addresses", "10.0.0.0", "10.0.0.1", "10.0.1.3", "10.0.9.9", "2001:db8::1"), Pool: pick(t, "pool", "", "a", "b", "c"),
		IPFamilies: some(t, "families", "IPv4", "IPv6"),
	}
	if rapid.Bool().Draw(t, "named") {
		r.Pool, r.IPFamilies = "", nil
	} else {
		r.Addresses = nil
	}
	if rapid.Bool().Draw(t, "selected") {
		r.ServiceSelector = &where("app", "dns")[0]
	}
	return r
}

func drawQuota(t *rapid.T, m intent.Meta) intent.RawQuota {
	return intent.RawQuota{
		Meta: m, Namespaces: some(t, "namespaces", "x", "y", "X"), NamespaceSelectors: drawSelectors(t, "team", "a", "b"), Pools: some(t, "pools", "a", "b", "c"),
		IPv4: pick(t, "IPv4", nil, new(int32(0)), new(int32(3)), new(int32(-1))), IPv6: pick(t, "IPv6", nil, new(int32(5))),
	}
}

func drawPeer(t *rapid.T, m intent.Meta) intent.RawPeer {
	duration := func(label string) *time.Duration { return pick(t, label, nil, new(time.Second), new(9*time.Second)) }
	return intent.RawPeer{
		Meta: m, MyASN: pick(t, "my", uint32(0), 1, 1, 1, 2), PeerASN: pick(t, "peer", uint32(0), 1, 2, 2), DynamicASN: pick(t, "dynamic", "", "", "", "external", "x"),
		LocalASN: pick(t, "local", nil, nil, nil, new(uint32(3))), PeerAddress: pick(t, "address", "10.9.0.1", "10.9.0.2", "2001:db8::1", "", ""),
		ListenRange: pick(t, "range", "", "", "10.9.0.0/24", "10.9.0.128/25", "10.9.0.1/24"), ListenLimit: pick(t, "limit", nil, nil, new(uint32(3)), new(uint32(4))),
		Interface: pick(t, "interface", "", "", "", "eth0", "a b"), SourceAddress: pick(t, "source", "", "", "10.9.0.9"), HoldTime: duration("hold"),
		KeepaliveTime: duration("keepalive"), RouterID: pick(t, "id", "", "", "1.1.1.1", "2.2.2.2"), NodeSelectors: drawSelectors(t, "rack", "a", "b"),
		Password: intent.NewSecret(pick(t, "password", "", "", "hunter2", "a\nb")), PasswordSecret: pick(t, "secret", "", "", "a", "b"),
		BFDProfile: pick(t, "profile", "", "", "a", "b"), VRF: pick(t, "vrf", "", "", "red"), DualStackAddressFamily: rapid.Bool().Draw(t, "dual"),
	}
}

func drawBGP(t *rapid.T, m intent.Meta) intent.RawBGPAdvertisement {
	return intent.RawBGPAdvertisement{
		Meta: m, AggregationLength: pick(t, "length", nil, nil, new(int32(32)), new(int32(24)), new(int32(40))), LocalPref: pick(t, "pref", uint32(0), 0, 100, 200),
		ASPathPrepend: pick(t, "prepend", int32(0), 0, 1, 2, 11), MED: pick(t, "med", nil, nil, new(int64(0)), new(int64(7)), new(int64(-1))),
		LinkBandwidth:  pick(t, "link bandwidth", nil, nil, new(int32(0)), new(int32(100))),
		Overrides:      pick(t, "overrides", nil, nil, &intent.RawOverrides{MaxASPathPrepend: 3, Communities: []string{"x", "1:1"}}, &intent.RawOverrides{MED: &intent.RawRange{Min: 7, Max: 5}}),
		ExtCommunities: some(t, "extended communities", "rt:1:1", "soo:1.2.3.4:5", "rt:1"),
		Communities:    some(t, "communities", "1:1", "x", "y", "1:99999", "no-export"), Pools: some(t, "pools", "a", "b", "c"), PoolSelectors: drawSelectors(t, "name", "a", "b"),
		NodeSelectors: drawSelectors(t, "rack", "a", "b"), ServiceSelectors: drawSelectors(t, "app", "dns", "web"), Peers: some(t, "peers", "a", "b", "c"),
	}
}

func drawL2(t *rapid.T, m intent.Meta) intent.RawL2Advertisement {
	return intent.RawL2Advertisement{
		Placement: pick(t, "placement", "", "Hash", "Balanced", "x"),
		Meta:      m, Pools: some(t, "pools", "a", "b", "c"), PoolSelectors: drawSelectors(t, "name", "a", "b"), NodeSelectors: drawSelectors(t, "rack", "a", "b"),
		Interfaces: some(t, "interfaces", "eth0", "eth1", "a b"),
	}
}

func drawProfile(t *rapid.T, m intent.Meta) intent.RawBFDProfile {
	return intent.RawBFDProfile{Meta: m, DetectMultiplier: pick(t, "multiplier", nil, nil, new(uint32(3)), new(uint32(1))), EchoMode: rapid.Bool().Draw(t, "echo")}
}

func drawCommunity(t *rapid.T, m intent.Meta) intent.RawCommunity {
	c := intent.RawCommunity{Meta: m}
	for _, name := range some(t, "aliases", "x", "y", "z") {
		c.Aliases = append(c.Aliases, intent.RawAlias{Name: name, Value: pick(t, "value", "2:2", "large:3:3:3", "large:4294967295:1:1")})
	}
	return c
}

func drawSecret(t *rapid.T, m intent.Meta) intent.RawSecret {
	return intent.RawSecret{Meta: m, Type: pick(t, "type", "kubernetes.io/basic-auth", "kubernetes.io/basic-auth", "Opaque"), HasPassword: true, Password: intent.NewSecret("hunter2")}
}

// shuffled returns raw with every list of objects in another order.
func shuffled(raw intent.Raw, seed int64) intent.Raw {
	random := rand.New(rand.NewSource(seed))
	raw.Pools, raw.Peers = shuffle(random, raw.Pools), shuffle(random, raw.Peers)
	raw.BGPAdvertisements, raw.L2Advertisements = shuffle(random, raw.BGPAdvertisements), shuffle(random, raw.L2Advertisements)
	raw.BFDProfiles, raw.Communities = shuffle(random, raw.BFDProfiles), shuffle(random, raw.Communities)
	raw.Reservations, raw.Quotas = shuffle(random, raw.Reservations), shuffle(random, raw.Quotas)
	raw.Secrets, raw.Nodes = shuffle(random, raw.Secrets), shuffle(random, raw.Nodes)
	return raw
}

func shuffle[T any](random *rand.Rand, list []T) []T {
	out := slices.Clone(list)
	random.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

func TestGivenAnyConfigurationWhenItsListsAreInAnotherOrderThenTheResultIsTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := drawLast(t)
		raw := drawRaw(t)
		snapshot, problems := intent.Build(raw, last)
		other, otherProblems := intent.Build(shuffled(raw, rapid.Int64().Draw(t, "seed")), last)
		if !reflect.DeepEqual(snapshot, other) {
			t.Fatalf("another order gives\n%+v\nin place of\n%+v", other, snapshot)
		}
		if !slices.Equal(problems, otherProblems) {
			t.Fatalf("another order gives problems\n%q\nin place of\n%q", lines(otherProblems), lines(problems))
		}
	})
}

// drawLast draws what was in force before: nothing, or what another configuration gave.
func drawLast(t *rapid.T) intent.Snapshot {
	if !rapid.Bool().Draw(t, "last") {
		return intent.Snapshot{}
	}
	last, _ := intent.Build(drawRaw(t), intent.Snapshot{})
	return last
}

func TestGivenAnyConfigurationWhenBuiltAgainThenNothingChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := drawLast(t)
		raw := drawRaw(t)
		first, problems := intent.Build(raw, last)
		second, again := intent.Build(raw, first)
		if !reflect.DeepEqual(first, second) || !slices.Equal(problems, again) {
			t.Fatalf("a second build gives\n%+v\n%q\nin place of\n%+v\n%q", second, lines(again), first, lines(problems))
		}
	})
}

func TestGivenAnyConfigurationWhenABadObjectGoesThenOnlyWhatNamesItChanges(t *testing.T) {
	// Under these rules the whole of the newer object is left out.
	losing := []intent.Rule{intent.RulePoolOverlap, intent.RuleDuplicatePeer, intent.RuleMyASNDiffers, intent.RuleRouterIDDiffers, intent.RuleListenLimitDiffers, intent.RuleEqual}
	rapid.Check(t, func(t *rapid.T) {
		raw := drawRaw(t)
		before, problems := intent.Build(raw, intent.Snapshot{})
		var bad []intent.ObjectRef
		for _, p := range problems {
			if p.Kind == intent.Invalid || slices.Contains(losing, p.Rule) {
				bad = append(bad, p.Object)
			}
		}
		if len(bad) == 0 {
			return
		}
		gone := rapid.SampledFrom(bad).Draw(t, "gone")
		after, _ := intent.Build(without(raw, gone), intent.Snapshot{})
		if !reflect.DeepEqual(exported(before), exported(after)) {
			t.Fatalf("without %s there is in force\n%+v\nin place of\n%+v", gone, after, before)
		}
	})
}

// without returns raw without one object.
func without(raw intent.Raw, gone intent.ObjectRef) intent.Raw {
	is := func(kind string, m intent.Meta) bool {
		return gone == intent.ObjectRef{Kind: kind, Namespace: m.Namespace, Name: m.Name}
	}
	raw.Pools = remove(raw.Pools, func(o intent.RawPool) bool { return is(intent.KindPool, o.Meta) })
	raw.Peers = remove(raw.Peers, func(o intent.RawPeer) bool { return is(intent.KindPeer, o.Meta) })
	raw.BGPAdvertisements = remove(raw.BGPAdvertisements, func(o intent.RawBGPAdvertisement) bool { return is(intent.KindBGPAdvertisement, o.Meta) })
	raw.L2Advertisements = remove(raw.L2Advertisements, func(o intent.RawL2Advertisement) bool { return is(intent.KindL2Advertisement, o.Meta) })
	raw.BFDProfiles = remove(raw.BFDProfiles, func(o intent.RawBFDProfile) bool { return is(intent.KindBFDProfile, o.Meta) })
	raw.Communities = remove(raw.Communities, func(o intent.RawCommunity) bool { return is(intent.KindCommunity, o.Meta) })
	raw.Reservations = remove(raw.Reservations, func(o intent.RawReservation) bool { return is(intent.KindReservation, o.Meta) })
	raw.Quotas = remove(raw.Quotas, func(o intent.RawQuota) bool { return is(intent.KindQuota, o.Meta) })
	return raw
}

func remove[T any](list []T, is func(T) bool) []T { return slices.DeleteFunc(slices.Clone(list), is) }

func TestGivenAnyConfigurationWhenBuiltThenWhatIsInForceIsSound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		last := drawLast(t)
		raw := drawRaw(t)
		snapshot, problems := intent.Build(raw, last)
		checkSound(t, snapshot)
		for _, p := range problems {
			if p.Kind == intent.Invalid && !p.Kept && inForce(snapshot, p.Object) && last.Pools == nil && last.Peers == nil {
				t.Fatalf("%s is in force in spite of %v", p.Object, p.Error())
			}
		}
	})
}

// inForce tells whether an object of the namespace of the configuration is in the Snapshot.
func inForce(s intent.Snapshot, ref intent.ObjectRef) bool {
	if ref.Namespace != lab {
		return false
	}
	return map[string]bool{
		intent.KindPool:             slices.ContainsFunc(s.Pools, func(o intent.Pool) bool { return o.Name == ref.Name }),
		intent.KindPeer:             slices.ContainsFunc(s.Peers, func(o intent.Peer) bool { return o.Name == ref.Name }),
		intent.KindBGPAdvertisement: slices.ContainsFunc(s.BGPAdvertisements, func(o intent.BGPAdvertisement) bool { return o.Name == ref.Name }),
		intent.KindReservation:      slices.ContainsFunc(s.Reservations, func(o intent.Reservation) bool { return o.Name == ref.Name }),
		intent.KindQuota:            slices.ContainsFunc(s.Quotas, func(o ipam.Quota) bool { return o.Name == ref.Name }),
		intent.KindL2Advertisement:  slices.ContainsFunc(s.L2Advertisements, func(o intent.L2Advertisement) bool { return o.Name == ref.Name }),
	}[ref.Kind]
}

// targets counts the ways in which a peer says whom its sessions are with.
func targets(p intent.Peer) int {
	n := 0
	for _, is := range []bool{p.Address.IsValid(), p.Interface != "", p.Listens()} {
		if is {
			n++
		}
	}
	return n
}

// checkSound fails where a reference does not resolve, a list is not sorted, pools overlap or PoolOf disagrees with the pools.
func checkSound(t rapid.TB, s intent.Snapshot) {
	pools, peers, profiles := map[string]bool{}, map[string]bool{"": true}, map[string]bool{"": true}
	for i, p := range s.Pools {
		pools[p.Name] = true
		for _, r := range p.Ranges {
			for _, addr := range []netip.Addr{r.First, r.Last} {
				if got, ok := s.PoolOf(addr); !ok || got.Name != p.Name {
					t.Fatalf("PoolOf(%s) is %v, want %s", addr, got, p.Name)
				}
			}
			for j, o := range s.Pools {
				if i != j && (o.Contains(r.First) || o.Contains(r.Last)) {
					t.Fatalf("pools %s and %s overlap", p.Name, o.Name)
				}
			}
		}
	}
	for _, p := range s.BFDProfiles {
		profiles[p.Name] = true
	}
	for _, p := range s.Peers {
		peers[p.Name] = true
		if !profiles[p.BFDProfile] || p.MyASN == 0 || targets(p) != 1 {
			t.Fatalf("peer %+v is not sound", p)
		}
	}
	for _, a := range s.BGPAdvertisements {
		if len(a.Pools)+len(a.Missing) == 0 && !a.All || !slices.IsSorted(a.Pools) || !slices.IsSorted(a.Missing) || !slices.IsSorted(a.Peers) || !slices.IsSortedFunc(a.Communities, intent.Community.Compare) {
			t.Fatalf("advertisement %+v is not sound", a)
		}
		for _, name := range a.Pools {
			if !pools[name] {
				t.Fatalf("advertisement %s names pool %s, which is not in force", a.Name, name)
			}
		}
		for _, name := range a.Missing {
			if pools[name] {
				t.Fatalf("advertisement %s misses pool %s, which is in force", a.Name, name)
			}
		}
		for _, name := range a.Peers {
			if !peers[name] {
				t.Fatalf("advertisement %s names peer %s, which is not in force", a.Name, name)
			}
		}
	}
	checkReserved(t, s)
	names := func(n int, name func(int) string) {
		for i := 1; i < n; i++ {
			if name(i-1) >= name(i) {
				t.Fatalf("%s is listed before %s", name(i-1), name(i))
			}
		}
	}
	names(len(s.Pools), func(i int) string { return s.Pools[i].Name })
	names(len(s.Peers), func(i int) string { return s.Peers[i].Name })
	names(len(s.BGPAdvertisements), func(i int) string { return s.BGPAdvertisements[i].Name })
	names(len(s.L2Advertisements), func(i int) string { return s.L2Advertisements[i].Name })
	names(len(s.BFDProfiles), func(i int) string { return s.BFDProfiles[i].Name })
	names(len(s.Reservations), func(i int) string { return s.Reservations[i].Name })
	names(len(s.Quotas), func(i int) string { return s.Quotas[i].Name })
	names(len(s.Abandoned), func(i int) string { return s.Abandoned[i] })
}

// checkReserved fails where two reservations have one address, one has neither addresses nor a pool, its families are not its pool's, a quota
// names a pool that is not in force or limits nothing, or a pool in force is also abandoned.
func checkReserved(t rapid.TB, s intent.Snapshot) {
	pools := map[string]intent.Pool{}
	for _, p := range s.Pools {
		pools[p.Name] = p
	}
	reserved := map[netip.Addr]string{}
	for _, r := range s.Reservations {
		if (len(r.Addresses) > 0) == (r.Pool != "") || r.Retain < 0 || r.Namespace == "" || (r.Service != "" && len(r.Services) > 0) {
			t.Fatalf("reservation %+v is not sound", r)
		}
		for _, addr := range r.Addresses {
			if other, taken := reserved[addr]; taken {
				t.Fatalf("%s is reserved by %s and by %s", addr, other, r.Name)
			}
			reserved[addr] = r.Name
		}
		for _, f := range r.Families {
			if !slices.ContainsFunc(pools[r.Pool].Ranges, func(one ipam.Range) bool { return one.Family() == f }) {
				t.Fatalf("reservation %s wants %s of pool %s, which has none", r.Name, f, r.Pool)
			}
		}
	}
	for _, q := range s.Quotas {
		if q.IPv4 == ipam.Unbounded && q.IPv6 == ipam.Unbounded {
			t.Fatalf("quota %+v limits nothing", q)
		}
		for _, name := range q.Pools {
			if _, ok := pools[name]; !ok {
				t.Fatalf("quota %s names pool %s, which is not in force", q.Name, name)
			}
		}
	}
	for _, name := range s.Abandoned {
		if _, ok := pools[name]; ok {
			t.Fatalf("pool %s is in force and abandoned", name)
		}
	}
}
