package link

import (
	"net"
	"net/netip"
	"testing"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Kinds that not every kernel can make are given as the kernel describes them.
func TestGivenLinksAsTheKernelDescribesThemWhenJudgedThenOnlyThoseThatCanAreUsable(t *testing.T) {
	const up = unix.IFF_UP | unix.IFF_RUNNING
	attrs := func(flags uint32, encapsulation string, master int) netlink.LinkAttrs {
		return netlink.LinkAttrs{RawFlags: flags, EncapType: encapsulation, MasterIndex: master, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 1}}
	}
	infiniband := attrs(up, "infiniband", 0)
	infiniband.HardwareAddr = make(net.HardwareAddr, 20)
	unset := attrs(up, "ether", 0)
	unset.HardwareAddr = make(net.HardwareAddr, 6)
	rows := map[string]struct {
		link   netlink.Link
		master string
		want   State
	}{
		"VLAN":                       {&netlink.Vlan{LinkAttrs: attrs(up, "ether", 0)}, "", Usable},
		"bond":                       {&netlink.Bond{LinkAttrs: attrs(up, "ether", 0)}, "", Usable},
		"member of a bond":           {&netlink.Device{LinkAttrs: attrs(up, "ether", 7)}, "bond", Member},
		"member of a team":           {&netlink.Device{LinkAttrs: attrs(up, "ether", 7)}, "team", Member},
		"port of Open vSwitch":       {&netlink.Device{LinkAttrs: attrs(up, "ether", 7)}, "openvswitch", Member},
		"link in a VRF":              {&netlink.Device{LinkAttrs: attrs(up, "ether", 7)}, "vrf", Usable},
		"VRF":                        {&netlink.Vrf{LinkAttrs: attrs(up|unix.IFF_NOARP, "ether", 0)}, "", NoARP},
		"dummy":                      {&netlink.Dummy{LinkAttrs: attrs(up|unix.IFF_NOARP, "ether", 0)}, "", Dummy},
		"dummy that is down":         {&netlink.Dummy{LinkAttrs: attrs(unix.IFF_NOARP, "ether", 0)}, "", Dummy},
		"WireGuard":                  {&netlink.Wireguard{LinkAttrs: attrs(up, "none", 0)}, "", NoEthernet},
		"InfiniBand":                 {&netlink.IPoIB{LinkAttrs: infiniband}, "", NoEthernet},
		"Ethernet without address":   {&netlink.Device{LinkAttrs: unset}, "", NoEthernet},
		"Ethernet, off":              {&netlink.Device{LinkAttrs: attrs(0, "ether", 0)}, "", Down},
		"Ethernet without cable":     {&netlink.Device{LinkAttrs: attrs(unix.IFF_UP, "ether", 0)}, "", NoCarrier},
		"a kind nobody has heard of": {&netlink.GenericLink{LinkAttrs: attrs(up, "ether", 0), LinkType: "new"}, "", Usable},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := state(row.link, row.master); got != row.want {
				t.Errorf("the link %s, want that it %s", got, row.want)
			}
		})
	}
}

func TestGivenAddressesOfServicesOnADummyWhenLookedForThenTheyAreNotTheNodes(t *testing.T) {
	service, cidr := netip.MustParsePrefix("192.0.2.200/32"), netip.MustParsePrefix("203.0.113.1/24")
	n := Network{Links: []Link{
		{Index: 1, Name: "kube-ipvs0", State: Dummy, Addresses: []netip.Prefix{service, cidr}, Networks: []netip.Prefix{cidr.Masked()}},
		{Index: 2, Name: "eth0", State: Down, Addresses: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
	}}
	if l, ok := n.Owner(service.Addr()); ok {
		t.Errorf("%s is an address of %s, want of nobody", service, l.Name)
	}
	if l, ok := n.Owner(netip.MustParseAddr("192.0.2.1")); !ok || l.Name != "eth0" {
		t.Errorf("192.0.2.1 is an address of %q, want eth0 also while that is down", l.Name)
	}
	if links := n.Reaching(cidr.Addr().Next()); len(links) > 0 {
		t.Errorf("the dummy reaches somebody: %+v", links)
	}
	n.Gateways = []Gateway{{Address: service.Addr(), Link: 99}}
	if l, ok := n.Gateway(service.Addr()); !ok || l.Name != "" {
		t.Errorf("gateway on a link that is gone: %q, %t, want one on no link", l.Name, ok)
	}
}

func TestGivenFlagsOfIPv6AddressesWhenJudgedThenOnlyTestedOnesAreUsed(t *testing.T) {
	for flags, want := range map[int]bool{
		0: true, unix.IFA_F_PERMANENT: true, unix.IFA_F_TENTATIVE: false, unix.IFA_F_TENTATIVE | unix.IFA_F_OPTIMISTIC: true,
		unix.IFA_F_DADFAILED | unix.IFA_F_TENTATIVE: false, unix.IFA_F_DADFAILED: false,
	} {
		if got := tested(flags); got != want {
			t.Errorf("flags %#x: %t, want %t", flags, got, want)
		}
	}
}
