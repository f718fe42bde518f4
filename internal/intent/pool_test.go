package intent_test

import (
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

func TestGivenPoolsWhenAnyAddressIsLookedUpThenTheIndexAgreesWithTheRanges(t *testing.T) {
	raw := base()
	raw.Pools = []intent.RawPool{
		pool("z", 1, "10.0.0.0/30", "10.0.0.8-10.0.0.9", "2001:db8::4/126"),
		pool("a", 2, "10.0.0.10-10.0.0.12", "10.0.0.4/32", "2001:db8::/127"),
	}
	snapshot, _ := build(t, raw)
	plain := intent.Snapshot{Pools: snapshot.Pools}
	rapid.Check(t, func(t *rapid.T) {
		addr := netip.AddrFrom4([4]byte{10, 0, 0, rapid.Byte().Draw(t, "byte") % 16})
		if rapid.Bool().Draw(t, "IPv6") {
			addr = netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", rapid.IntRange(0, 9).Draw(t, "last")))
		}
		indexed, found := snapshot.PoolOf(addr)
		scanned, want := plain.PoolOf(addr)
		if found != want || (found && indexed.Name != scanned.Name) {
			t.Fatalf("PoolOf(%s) is %v, %v with an index and %v, %v without", addr, indexed, found, scanned, want)
		}
	})
}

func TestGivenAnIPv4AddressMappedIntoIPv6WhenLookedUpThenItIsTheIPv4Address(t *testing.T) {
	snapshot, _ := build(t, base())
	if p, ok := snapshot.PoolOf(netip.MustParseAddr("::ffff:198.51.100.7")); !ok || p.Name != "first" {
		t.Errorf("PoolOf is %v, %v, want pool first", p, ok)
	}
}

func TestGivenAPoolWhenBuiltThenItSaysAllThatWasWritten(t *testing.T) {
	raw := base()
	raw.Pools[0].Addresses = []string{"198.51.100.9 - 198.51.100.10", " 192.0.2.0/31 "}
	raw.Pools[0].AutoAssign, raw.Pools[0].AvoidBuggyIPs = false, true
	raw.Pools[0].Allocation = &intent.RawAllocation{Priority: 3, Namespaces: []string{"x"}, NamespaceSelectors: where("team", "a"), ServiceSelectors: where("app", "dns")}
	snapshot, problems := build(t, raw)
	addr := netip.MustParseAddr
	want := intent.Pool{Pool: ipam.Pool{
		Name:          "first",
		Ranges:        []ipam.Range{{First: addr("198.51.100.9"), Last: addr("198.51.100.10")}, {First: addr("192.0.2.0"), Last: addr("192.0.2.1")}},
		AvoidBuggyIPs: true,
		Allocation:    &ipam.Allocation{Priority: 3, Namespaces: []string{"x"}, NamespaceSelectors: set("team", "a"), ServiceSelectors: set("app", "dns")},
	}, Labels: map[string]string{"name": "first"}}
	if !reflect.DeepEqual(snapshot.Pools, []intent.Pool{want}) || len(problems) != 0 {
		t.Errorf("pools are\n%+v\nwant\n%+v\nproblems %q", snapshot.Pools, want, lines(problems))
	}
}

func TestGivenAPeerWhenBuiltThenItSaysAllThatWasWritten(t *testing.T) {
	raw := base()
	p := &raw.Peers[0]
	p.LocalASN, p.SourceAddress, p.PeerPort, p.RouterID, p.VRF = new(uint32(7)), "192.0.2.9", 1179, "10.0.0.1", "red"
	p.HoldTime, p.ConnectTime, p.NodeSelectors = new(10*time.Second), new(4*time.Second), where("rack", "a")
	p.EnableGracefulRestart, p.EBGPMultiHop, p.DualStackAddressFamily = true, true, true
	snapshot, problems := build(t, raw)
	want := intent.Peer{
		Name: "first", MyASN: 64512, PeerASN: 64513, LocalASN: 7, Address: netip.MustParseAddr("192.0.2.1"), SourceAddress: netip.MustParseAddr("192.0.2.9"),
		Port: 1179, Timers: intent.Timers{Set: true, Hold: 10 * time.Second, Keepalive: 3 * time.Second}, ConnectTime: 4 * time.Second,
		RouterID: netip.MustParseAddr("10.0.0.1"), Nodes: set("rack", "a"), Password: intent.NewSecret("hunter2"), BFDProfile: "first",
		GracefulRestart: true, EBGPMultiHop: true, VRF: "red", DualStack: true,
	}
	if !reflect.DeepEqual(snapshot.Peers, []intent.Peer{want}) || len(problems) != 0 {
		t.Errorf("peers are\n%+v\nwant\n%+v\nproblems %q", snapshot.Peers, want, lines(problems))
	}
}

func TestGivenTimersWhenOneIsLeftOutThenItFollowsFromTheOther(t *testing.T) {
	for _, row := range []struct {
		hold, keepalive *time.Duration
		want            intent.Timers
	}{
		{nil, nil, intent.Timers{}},
		{new(time.Duration(0)), nil, intent.Timers{Set: true}},
		{new(90 * time.Second), nil, intent.Timers{Set: true, Hold: 90 * time.Second, Keepalive: 30 * time.Second}},
		{new(3 * time.Second), nil, intent.Timers{Set: true, Hold: 3 * time.Second, Keepalive: time.Second}},
		{nil, new(20 * time.Second), intent.Timers{Set: true, Hold: 60 * time.Second, Keepalive: 20 * time.Second}},
		{nil, new(time.Duration(0)), intent.Timers{Set: true}},
		{new(10 * time.Second), new(10 * time.Second), intent.Timers{Set: true, Hold: 10 * time.Second, Keepalive: 10 * time.Second}},
	} {
		raw := base()
		raw.Peers[0].HoldTime, raw.Peers[0].KeepaliveTime = row.hold, row.keepalive
		snapshot, problems := build(t, raw)
		if len(problems) != 0 || snapshot.Peers[0].Timers != row.want {
			t.Errorf("hold %v and keepalive %v give %+v and problems %q, want %+v", row.hold, row.keepalive, snapshot.Peers, lines(problems), row.want)
		}
	}
}

func TestGivenAnAdvertisementForAllPoolsWhenAPoolIsAddedThenItCoversIt(t *testing.T) {
	raw := base()
	raw.BGPAdvertisements = []intent.RawBGPAdvertisement{bgp("all", 1)}
	raw.Pools = append(raw.Pools, pool("second", 20, "203.0.113.0/24"))
	labelled := bgp("labelled", 2, "first")
	labelled.PoolSelectors, labelled.LocalPref = where("name", "second"), 0
	labelled.Communities = []string{"first", "large:64512:1:2", "0:7", "65535:65281"}
	raw.BGPAdvertisements = append(raw.BGPAdvertisements, labelled)
	snapshot, problems := build(t, raw)
	both := []string{"first", "second"}
	if len(problems) != 0 || !slices.Equal(snapshot.BGPAdvertisements[0].Pools, both) || !slices.Equal(snapshot.BGPAdvertisements[1].Pools, both) {
		t.Errorf("advertisements are %+v, want both for %v; problems %q", snapshot.BGPAdvertisements, both, lines(problems))
	}
	want := []intent.Community{{A: 0, B: 7}, {A: 65535, B: 65281}, {Large: true, A: 64512, B: 1, C: 2}}
	if got := snapshot.BGPAdvertisements[1].Communities; !slices.Equal(got, want) {
		t.Errorf("communities are %v, want %v", got, want)
	}
}

func TestGivenASecretWhenPrintedThenItsTextIsNotThere(t *testing.T) {
	snapshot, _ := build(t, base())
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if got := fmt.Sprintf(format, snapshot.Peers[0].Password); slices.Contains([]string{"hunter2", `"hunter2"`}, got) {
			t.Errorf("%s prints %s", format, got)
		}
	}
}

func TestGivenARangeWhenAggregatedThenRoutesMayBeAsLargeAsTheLargestNetworkInIt(t *testing.T) {
	for addresses, length := range map[string]int32{
		"10.0.0.0/8": 8, "10.0.0.0-10.0.0.255": 24, "10.0.0.1-10.0.0.254": 26, "10.0.0.10-10.0.0.20": 30, "10.0.0.255-10.0.1.0": 32,
		"10.0.0.7/32": 32, "0.0.0.0-255.255.255.254": 1, "255.255.255.254-255.255.255.255": 31,
	} {
		for _, shorter := range []int32{0, 1} {
			raw := base()
			raw.Pools[0].Addresses = []string{addresses}
			if length == shorter {
				continue
			}
			raw.BGPAdvertisements[0].AggregationLength = new(length - shorter)
			snapshot, problems := build(t, raw)
			problems = slices.DeleteFunc(problems, func(p intent.Problem) bool { return p.Kind == intent.Warning })
			if got := len(snapshot.BGPAdvertisements) == 1; got != (shorter == 0) || got != (len(problems) == 0) {
				t.Errorf("%s announced as /%d: used is %v and problems are %q", addresses, length-shorter, got, lines(problems))
			}
		}
	}
}
