package link

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// attempts is how often a list is asked for that changes while the kernel writes it, before that is an error.
const attempts = 10

// Read returns the node's links, their addresses, the networks they reach, and the gateways of all routing tables. It asks the kernel for
// every route; who needs neither networks of routes nor gateways calls ReadLinks.
func Read() (Network, error) {
	n, err := ReadLinks()
	if err != nil {
		return Network{}, err
	}
	routes, err := listRoutes()
	if err != nil {
		return Network{}, err
	}
	at := make(map[int]*Link, len(n.Links))
	for i := range n.Links {
		at[n.Links[i].Index] = &n.Links[i]
	}
	gateways := map[Gateway]struct{}{}
	for _, r := range routes {
		hops := nextHops(r)
		for _, hop := range hops {
			gateways[hop] = struct{}{}
		}
		if l := at[r.LinkIndex]; l != nil && len(hops) == 0 {
			l.Networks = appendNetwork(l.Networks, prefixOf(r.Dst))
		}
	}
	for i := range n.Links {
		sortPrefixes(&n.Links[i].Networks)
	}
	for g := range gateways {
		n.Gateways = append(n.Gateways, g)
	}
	slices.SortFunc(n.Gateways, func(a, b Gateway) int {
		return cmp.Or(a.Address.Compare(b.Address), cmp.Compare(a.Link, b.Link))
	})
	return n, nil
}

// ReadLinks returns the node's links with their addresses and the networks of these, without Gateways.
func ReadLinks() (Network, error) {
	links, err := whole(netlink.LinkList)
	if err != nil {
		return Network{}, fmt.Errorf("list the links of this node: %w", err)
	}
	addresses, err := whole(func() ([]netlink.Addr, error) { return netlink.AddrList(nil, netlink.FAMILY_ALL) })
	if err != nil {
		return Network{}, fmt.Errorf("list the addresses of this node: %w", err)
	}
	kinds := make(map[int]string, len(links))
	for _, l := range links {
		kinds[l.Attrs().Index] = l.Type()
	}
	n := Network{Links: make([]Link, 0, len(links))}
	for _, l := range links {
		n.Links = append(n.Links, newLink(l, kinds[l.Attrs().MasterIndex], addresses))
	}
	slices.SortFunc(n.Links, func(a, b Link) int { return cmp.Compare(a.Index, b.Index) })
	return n, nil
}

// whole repeats a list that was interrupted by a change, in which entries may be missing.
func whole[T any](list func() ([]T, error)) ([]T, error) {
	for left := attempts; ; left-- {
		found, err := list()
		if left == 0 || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return found, err
		}
	}
}

func newLink(from netlink.Link, master string, addresses []netlink.Addr) Link {
	attrs := from.Attrs()
	l := Link{Index: attrs.Index, Name: attrs.Name, State: state(from, master)}
	l.MAC, _ = wire.ParseMAC(attrs.HardwareAddr)
	for i := range addresses {
		a := &addresses[i]
		if a.LinkIndex != l.Index {
			continue
		}
		p := prefixOf(a.IPNet)
		l.Addresses = append(l.Addresses, p)
		l.Networks = appendNetwork(l.Networks, p)
		if a.Peer != nil { // the other end of a point-to-point address
			l.Networks = appendNetwork(l.Networks, prefixOf(a.Peer))
		}
		if !l.LinkLocal.IsValid() && p.Addr().Is6() && p.Addr().IsLinkLocalUnicast() && tested(a.Flags) {
			l.LinkLocal = p.Addr()
		}
	}
	sortPrefixes(&l.Addresses)
	sortPrefixes(&l.Networks)
	return l
}

// tested tells whether duplicate address detection has passed or may be presumed to.
func tested(flags int) bool {
	if flags&unix.IFA_F_DADFAILED != 0 {
		return false
	}
	return flags&unix.IFA_F_TENTATIVE == 0 || flags&unix.IFA_F_OPTIMISTIC != 0
}

// state finds out what can be done with a link; master is the kind of link it is subordinate to, "" for none. A VRF is a routing table and
// takes nothing away from its links.
func state(l netlink.Link, master string) State {
	attrs := l.Attrs()
	_, ethernet := wire.ParseMAC(attrs.HardwareAddr)
	switch {
	case attrs.RawFlags&unix.IFF_LOOPBACK != 0:
		return Loopback
	case l.Type() == "dummy":
		return Dummy
	case attrs.EncapType != "ether" || !ethernet:
		return NoEthernet
	case attrs.RawFlags&unix.IFF_NOARP != 0:
		return NoARP
	case attrs.MasterIndex != 0 && master != "vrf":
		return Member
	case attrs.RawFlags&unix.IFF_UP == 0:
		return Down
	case attrs.RawFlags&unix.IFF_RUNNING == 0:
		return NoCarrier
	}
	return Usable
}

// listRoutes returns the unicast routes of all tables.
func listRoutes() ([]netlink.Route, error) {
	routes, err := whole(func() ([]netlink.Route, error) {
		wanted := &netlink.Route{Table: unix.RT_TABLE_UNSPEC, Type: unix.RTN_UNICAST}
		return netlink.RouteListFiltered(netlink.FAMILY_ALL, wanted, netlink.RT_FILTER_TABLE|netlink.RT_FILTER_TYPE)
	})
	if err != nil {
		return nil, fmt.Errorf("list the routes of this node: %w", err)
	}
	return routes, nil
}

// nextHops returns the gateways of a route, none when its destinations are reached directly.
func nextHops(r netlink.Route) []Gateway {
	var hops []Gateway
	add := func(index int, gateway net.IP, via netlink.Destination) {
		if v, ok := via.(*netlink.Via); ok {
			gateway = v.Addr
		}
		if a, ok := netip.AddrFromSlice(gateway); ok && !a.IsUnspecified() {
			hops = append(hops, Gateway{Address: a.Unmap(), Link: index})
		}
	}
	add(r.LinkIndex, r.Gw, r.Via)
	for _, hop := range r.MultiPath {
		add(hop.LinkIndex, hop.Gw, hop.Via)
	}
	return hops
}

// prefixOf returns the zero value for none.
func prefixOf(n *net.IPNet) netip.Prefix {
	if n == nil {
		return netip.Prefix{}
	}
	a, ok := netip.AddrFromSlice(n.IP)
	bits, size := n.Mask.Size()
	if !ok {
		return netip.Prefix{}
	}
	if size == 32 { // the kernel's four bytes may have become sixteen
		a = a.Unmap()
	}
	return netip.PrefixFrom(a, bits)
}

// appendNetwork adds the network of p unless it has neighbors of no use: a single address, everything, link-local or groups.
func appendNetwork(list []netip.Prefix, p netip.Prefix) []netip.Prefix {
	a := p.Addr()
	if !p.IsValid() || p.IsSingleIP() || p.Bits() == 0 || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsLoopback() {
		return list
	}
	return append(list, p.Masked())
}

// sortPrefixes sorts a list and takes out what is in it twice.
func sortPrefixes(list *[]netip.Prefix) {
	slices.SortFunc(*list, func(a, b netip.Prefix) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
	})
	*list = slices.Compact(*list)
}
