package l2_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/segment"
	"github.com/seed-551707bd/metallb-operator/test/uml"
)

// The kernel that runs the tests may know neither bonds nor VLANs nor VRFs; the tests here bring one that does.

// kernel has what a segment and a client need: the last two are what the netlink library opens beside routes.
func kernel(t *testing.T, more ...string) (done bool) {
	t.Helper()
	return uml.Boot(t, append([]string{"ipv6", "veth", "bridge", "xfrm_user", "nfnetlink"}, more...)...)
}

func TestGivenABondWhenAskedThenItsMACAnswersAlsoAfterItHasFailedOver(t *testing.T) {
	if kernel(t, "bonding") {
		return
	}
	node, c, join := bonding(t, netlink.BOND_FAIL_OVER_MAC_NONE)
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	observed(t, r, four, "answered on its two links", answeredOn("eth0", "eth1"))
	join()
	for _, a := range []netip.Addr{four, six} {
		observed(t, r, a, "answered by the bond alone", answeredOn("bond0"))
		c.announced(a, mac(node, "bond0"))
		c.answers(mac(node, "bond0"), a)
	}
	member(t, node, "bond0", six, true)
	node.Down("eth0")
	active(t, node, "bond0", "eth1")
	c.answers(mac(node, "bond0"), four, six)
	node.Down("eth1")
	observed(t, r, four, "unanswered", problem("bond0 has no carrier"))
	node.Up("eth0")
	observed(t, r, four, "answered", answeredOn("bond0"))
	c.announced(four, mac(node, "bond0"))
	c.answers(mac(node, "bond0"), four, six)
}

// bonding is a host with two links to the segment of a client, and a bond of the two from when join is called.
func bonding(t *testing.T, mac netlink.BondFailOverMac) (node *segment.Host, c *client, join func()) {
	t.Helper()
	s := segment.New(t)
	node = segment.NewHost(t)
	s.Connect(node, "eth0")
	s.Connect(node, "eth1")
	bond := netlink.NewLinkBond(netlink.LinkAttrs{Name: "bond0"})
	bond.Mode, bond.Miimon, bond.FailOverMac = netlink.BOND_MODE_ACTIVE_BACKUP, 10, mac
	node.Add(bond)
	return node, newClient(t, s.Host()), func() {
		t.Helper()
		for _, name := range []string{"eth0", "eth1"} {
			node.Down(name)
			if err := node.LinkSetMaster(node.Get(name), bond); err != nil {
				t.Fatal(err)
			}
			node.Up(name)
		}
	}
}

// active waits until a bond sends by one of its links: only that one hears anything.
func active(t *testing.T, h *segment.Host, bond, name string) {
	t.Helper()
	index := h.Get(name).Attrs().Index
	for limit := time.Now().Add(patience); h.Get(bond).(*netlink.Bond).ActiveSlave != index; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s does not send by %s after %v", bond, name, patience)
		}
	}
}

func TestGivenABondWhoseMACFollowsItsActiveLinkWhenThatFailsThenTheNewMACIsAnnounced(t *testing.T) {
	if kernel(t, "bonding") {
		return
	}
	node, c, join := bonding(t, netlink.BOND_FAIL_OVER_MAC_ACTIVE)
	first, second := mac(node, "eth0"), mac(node, "eth1")
	join()
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	for _, a := range []netip.Addr{four, six} {
		observed(t, r, a, "answered", answeredOn("bond0"))
		c.announced(a, first)
		c.answers(first, a)
	}
	node.Down("eth0")
	for _, a := range []netip.Addr{four, six} {
		c.announced(a, second)
		c.answers(second, a)
	}
}

func TestGivenAVLANWhenAskedInItThenItsOwnMACAnswersThereAndNowhereElse(t *testing.T) {
	if kernel(t, "8021q") {
		return
	}
	s := segment.New(t)
	node, peer := s.Host(), s.Host()
	for i, h := range []*segment.Host{node, peer} {
		h.Add(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{
			Name: "vlan10", ParentIndex: h.Get("eth0").Attrs().Index, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 10, byte(i)},
		}, VlanId: 10})
	}
	untagged, tagged := newClient(t, peer), newClientOn(t, peer, "vlan10")
	r := run(t, node, l2.Options{})
	r.Apply(append(entries(other4, other6), append(on(four, "vlan10"), on(six, "vlan10")...)...))
	by := mac(node, "vlan10")
	if by == mac(node, "eth0") {
		t.Fatalf("the VLAN has the MAC %s of the link below it, so that nothing can be told apart", by)
	}
	for _, a := range []netip.Addr{four, six} {
		observed(t, r, a, "answered", answeredOn("vlan10"))
		tagged.announced(a, by)
		tagged.answers(by, a)
	}
	for asked, last := range map[netip.Addr]netip.Addr{four: other4, six: other6} {
		observed(t, r, last, "answered on both", answeredOn("eth0", "vlan10"))
		if m, before := untagged.ask(asked, last); len(before) > 0 || m.Hardware != mac(node, "eth0") {
			t.Errorf("without the tag, %v is answered, and %s by %s, want the latter alone, by %s", before, last, m.Hardware, mac(node, "eth0"))
		}
		// An answer from below the VLAN would come first: it is sent in the same turn, and without the tag.
		tagged.answers(by, last)
	}
}

// A trunk may bring VLANs that the node has no link for. What is asked in those is not asked of it.
func TestGivenATagOfNoLinkWhenAskedThenNobodyAnswers(t *testing.T) {
	if kernel(t, "8021q") {
		return
	}
	s := segment.New(t)
	node, peer := s.Host(), s.Host()
	peer.Add(&netlink.Vlan{LinkAttrs: netlink.LinkAttrs{Name: "vlan20", ParentIndex: peer.Get("eth0").Attrs().Index}, VlanId: 20})
	untagged, tagged := newClient(t, peer), newClientOn(t, peer, "vlan20")
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, other4, six, other6))
	for asked, last := range map[netip.Addr]netip.Addr{four: other4, six: other6} {
		observed(t, r, asked, "answered", answeredOn("eth0"))
		frame, err := wire.Probe(tagged.host, asked)
		if err != nil {
			t.Fatal(err)
		}
		tagged.send(asked.Is4(), frame)
		if _, before := untagged.ask(last); len(before) > 0 {
			t.Errorf("%v is answered to one who asked in a VLAN that the node does not have", before)
		}
	}
}

func TestGivenALinkInAVRFWhenAskedThenItAnswersAndTheVRFDoesNot(t *testing.T) {
	if kernel(t, "vrf") {
		return
	}
	s := segment.New(t)
	node := segment.NewHost(t)
	s.Connect(node, "eth0")
	c := newClient(t, s.Host())
	node.Add(&netlink.Vrf{LinkAttrs: netlink.LinkAttrs{Name: "red"}, Table: 10})
	if err := node.LinkSetMaster(node.Get("eth0"), node.Get("red")); err != nil {
		t.Fatal(err)
	}
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	for _, a := range []netip.Addr{four, six} {
		observed(t, r, a, "answered", answeredOn("eth0"))
		c.announced(a, mac(node, "eth0"))
		c.answers(mac(node, "eth0"), a)
	}
	if node.Get("red").Attrs().RawFlags&unix.IFF_UP == 0 {
		t.Error("the VRF is not up, so that it could not have answered")
	}
}
