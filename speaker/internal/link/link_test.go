package link_test

import (
	"context"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

func read(t *testing.T, h *segment.Host) link.Network {
	t.Helper()
	var n link.Network
	h.Do(func() (err error) { n, err = link.Read(); return err })
	return n
}

func named(t *testing.T, n link.Network, name string) link.Link {
	t.Helper()
	i := slices.IndexFunc(n.Links, func(l link.Link) bool { return l.Name == name })
	if i < 0 {
		t.Fatalf("no link %s among %+v", name, n.Links)
	}
	return n.Links[i]
}

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}

func names(links []link.Link) []string {
	var list []string
	for _, l := range links {
		list = append(list, l.Name)
	}
	return list
}

func attrs(name string) netlink.LinkAttrs { return netlink.LinkAttrs{Name: name} }

func TestGivenLinksOfManyKindsWhenReadThenOnlyThoseThatCanAreUsable(t *testing.T) {
	s := segment.New(t)
	h := s.Host("192.0.2.1/24")
	for _, name := range []string{"eth1", "eth2"} {
		s.Connect(h, name)
	}
	h.Add(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "macvlan", ParentIndex: h.Get("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
	h.Add(&netlink.Vxlan{LinkAttrs: attrs("vxlan"), VxlanId: 1, Port: 4789})
	h.Add(&netlink.Ifb{LinkAttrs: attrs("ifb")})
	h.Add(&netlink.Bridge{LinkAttrs: attrs("bridge")})
	for name, mode := range map[string]netlink.TuntapMode{"tun": netlink.TUNTAP_MODE_TUN, "tap": netlink.TUNTAP_MODE_TAP} {
		h.Do(func() error { return netlink.LinkAdd(&netlink.Tuntap{LinkAttrs: attrs(name), Mode: mode}) }) // made by a file, not by netlink
		h.Up(name)
	}
	if err := h.LinkSetMaster(h.Get("eth1"), h.Get("bridge")); err != nil {
		t.Fatal(err)
	}
	h.Down("eth2")
	want := map[string]link.State{
		"lo": link.Loopback, "eth0": link.Usable, "eth1": link.Member, "eth2": link.Down, "macvlan": link.Usable, "vxlan": link.Usable,
		"ifb": link.NoARP, "bridge": link.Usable, "tun": link.NoEthernet, "tap": link.NoCarrier,
	}
	eventually(t, func() error {
		got := map[string]link.State{}
		for _, l := range read(t, h).Links {
			got[l.Name] = l.State
		}
		if !reflect.DeepEqual(got, want) {
			return fmt.Errorf("states are %v, want %v", got, want)
		}
		return nil
	})
	n := read(t, h)
	if l := named(t, n, "eth0"); l.MAC.String() != h.Get("eth0").Attrs().HardwareAddr.String() {
		t.Errorf("eth0 has MAC %s, want %s", l.MAC, h.Get("eth0").Attrs().HardwareAddr)
	}
	if _, ok := n.MACs()[wire.MAC{}]; ok || len(n.MACs()) < 5 {
		t.Errorf("the node's MACs are %v", n.MACs())
	}
}

func TestGivenAddressesAndRoutesWhenReadThenNetworksGatewaysAndOwnersAreRight(t *testing.T) {
	s := segment.New(t)
	h := s.Host("192.0.2.1/24", "192.0.2.9/32", "2001:db8::1/64", "2001:db8:1::5/128")
	h.Give("lo", "198.51.100.1/32")
	h.Route("0.0.0.0/0", "192.0.2.254")
	h.Route("10.0.0.0/8", "192.0.2.253")
	h.Route("::/0", "2001:db8::fe")
	direct := func(to string, table int) {
		destination, err := netlink.ParseIPNet(to)
		if err != nil {
			t.Fatal(err)
		}
		if err := h.RouteAdd(&netlink.Route{Dst: destination, LinkIndex: h.Get("eth0").Attrs().Index, Scope: unix.RT_SCOPE_LINK, Table: table}); err != nil {
			t.Fatal(err)
		}
	}
	// As a router advertisement makes them for a node that has its address from DHCPv6, and as policy routing does.
	direct("2001:db8:1::/64", unix.RT_TABLE_MAIN)
	direct("172.16.0.0/16", 100)
	several, err := netlink.ParseIPNet("10.9.0.0/16")
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RouteAdd(&netlink.Route{Dst: several, Table: 100, MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: h.Get("eth0").Attrs().Index, Gw: netip.MustParseAddr("192.0.2.251").AsSlice()},
		{LinkIndex: h.Get("eth0").Attrs().Index, Gw: netip.MustParseAddr("192.0.2.252").AsSlice()},
	}}); err != nil {
		t.Fatal(err)
	}
	n := read(t, h)
	eth0 := named(t, n, "eth0")
	if want := prefixes("172.16.0.0/16", "192.0.2.0/24", "2001:db8::/64", "2001:db8:1::/64"); !slices.Equal(eth0.Networks, want) {
		t.Errorf("networks of eth0 are %v, want %v", eth0.Networks, want)
	}
	if !eth0.LinkLocal.IsLinkLocalUnicast() || !eth0.Has(netip.MustParseAddr("2001:db8:1::5")) {
		t.Errorf("eth0 is %+v", eth0)
	}
	for _, row := range []struct {
		address, owner, gateway, reaching string
	}{
		{"192.0.2.1", "eth0", "", "[eth0]"}, {"192.0.2.9", "eth0", "", "[eth0]"}, {"2001:db8:1::5", "eth0", "", "[eth0]"},
		{"198.51.100.1", "lo", "", "[]"}, {"127.0.0.1", "lo", "", "[]"}, {"127.0.0.2", "", "", "[]"},
		{"192.0.2.254", "", "eth0", "[eth0]"}, {"192.0.2.251", "", "eth0", "[eth0]"}, {"192.0.2.252", "", "eth0", "[eth0]"},
		{"2001:db8::fe", "", "eth0", "[eth0]"}, {"192.0.3.1", "", "", "[]"}, {"fe80::77", "", "", "[]"}, {"2001:db8:1::77", "", "", "[eth0]"},
	} {
		a := netip.MustParseAddr(row.address)
		owner, _ := n.Owner(a)
		gateway, _ := n.Gateway(a)
		if reaching := fmt.Sprint(names(n.Reaching(a))); owner.Name != row.owner || gateway.Name != row.gateway || reaching != row.reaching {
			t.Errorf("%s: owner %q, gateway on %q, reached on %s, want %q, %q, %s", a, owner.Name, gateway.Name, reaching, row.owner, row.gateway, row.reaching)
		}
	}
}

func TestGivenAnIPv6AddressUnderTestWhenReadThenItIsNotTheOneToSendFrom(t *testing.T) {
	h := segment.NewHost(t)
	h.Sysctl("net/ipv6/conf/all/accept_dad", "1")
	h.Sysctl("net/ipv6/conf/default/dad_transmits", "1000") // it takes longer than the test
	segment.New(t).Connect(h, "eth0")
	eventually(t, func() error {
		l := named(t, read(t, h), "eth0")
		if len(l.Addresses) == 0 {
			return fmt.Errorf("no address yet: %+v", l)
		}
		if l.LinkLocal.IsValid() {
			t.Fatalf("%s is to be sent from before its test ended", l.LinkLocal)
		}
		return nil
	})
}

func TestGivenASubscriptionWhenLinksChangeThenEveryChangeIsHeardAndSeen(t *testing.T) {
	s := segment.New(t)
	h := s.Host()
	var subscription *link.Subscription
	h.Do(func() (err error) { subscription, err = link.Subscribe(); return err })
	changes := make(chan struct{}, 1)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- subscription.Run(ctx, func() {
			select {
			case changes <- struct{}{}:
			default:
			}
		})
	}()
	// await reads after every change until the network is as wanted.
	await := func(what string, is func(link.Network) bool) {
		t.Helper()
		limit := time.After(patience)
		for !is(read(t, h)) {
			select {
			case <-changes:
			case <-limit:
				t.Fatalf("%s is not heard of; the links are %+v", what, read(t, h).Links)
			}
		}
	}
	has := func(name string, state link.State) func(link.Network) bool {
		return func(n link.Network) bool {
			return slices.ContainsFunc(n.Links, func(l link.Link) bool { return l.Name == name && l.State == state })
		}
	}
	await("eth0", has("eth0", link.Usable))
	s.Connect(h, "eth1")
	await("a new link", has("eth1", link.Usable))
	before := named(t, read(t, h), "eth1")
	h.Give("eth1", "192.0.2.7/24")
	await("a late address", func(n link.Network) bool { return named(t, n, "eth1").Reaches(netip.MustParseAddr("192.0.2.8")) })
	h.Give("eth1", "2001:db8::7/64")
	await("a late IPv6 address", func(n link.Network) bool { return named(t, n, "eth1").Reaches(netip.MustParseAddr("2001:db8::8")) })
	h.Down("eth1")
	await("a link going down", has("eth1", link.Down))
	if err := h.LinkSetName(h.Get("eth1"), "uplink"); err != nil {
		t.Fatal(err)
	}
	await("a new name", has("uplink", link.Down))
	h.Up("uplink")
	await("a link coming up", has("uplink", link.Usable))
	if after := named(t, read(t, h), "uplink"); after.Index != before.Index || after.MAC != before.MAC {
		t.Errorf("link %+v became %+v, want it to be the same", before, after)
	}
	if err := h.LinkDel(h.Get("uplink")); err != nil {
		t.Fatal(err)
	}
	await("a link that is gone", func(n link.Network) bool { return !slices.Contains(names(n.Links), "uplink") })
	cancel()
	if err := <-ended; err != nil {
		t.Errorf("the subscription ended with %v, want nothing wrong", err)
	}
}

func TestGivenASubscriptionWhenItIsNotRunThenItCanBeClosed(t *testing.T) {
	subscription, err := link.Subscribe()
	if err != nil {
		t.Fatal(err)
	}
	subscription.Close()
	if err := subscription.Run(t.Context(), func() { t.Error("a change was heard") }); err == nil {
		t.Error("a closed subscription runs")
	}
}

// eventually fails the test unless check passes in time.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(limit) {
			t.Fatal(err)
		}
	}
}
