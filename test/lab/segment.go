package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// The two segments of a lab: bridges in the switch's namespace, and the interface that a machine has on each.
const (
	segmentBridge, outsideBridge       = "segment", "outside"
	segmentInterface, outsideInterface = "eth0", "eth1"
)

// forwarding is set in every namespace: nodes and routers forward, and duplicate address detection would keep
// addresses unusable for a second after each boot.
var forwarding = []netns.Sysctl{
	{Key: "net/ipv6/conf/all/accept_dad", Value: "0"},
	{Key: "net/ipv6/conf/default/accept_dad", Value: "0"},
	{Key: "net/ipv6/conf/all/disable_ipv6", Value: "0"},
	{Key: "net/ipv6/conf/default/disable_ipv6", Value: "0"},
	{Key: "net/ipv4/conf/all/rp_filter", Value: "0"},
	{Key: "net/ipv4/conf/default/rp_filter", Value: "0"},
	{Key: "net/ipv4/ip_forward", Value: "1"},
	{Key: "net/ipv6/conf/all/forwarding", Value: "1"},
	// A router spreads connections, not only addresses, over equal routes.
	{Key: "net/ipv4/fib_multipath_hash_policy", Value: "1"},
	{Key: "net/ipv6/fib_multipath_hash_policy", Value: "1"},
}

// createSwitch makes the namespace with the two bridges.
func createSwitch(name string) error {
	if err := netns.Create(name); err != nil {
		return err
	}
	h, err := netns.Handle(name)
	if err != nil {
		return err
	}
	defer h.Close()
	for _, bridge := range []string{segmentBridge, outsideBridge} {
		snooping := false
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridge
		link := &netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &snooping}
		if err := h.LinkAdd(link); err != nil {
			return fmt.Errorf("create bridge %s: %w", bridge, err)
		}
		if err := netns.Do(name, func() error { return forwardAtOnce(link.Attrs().Index) }); err != nil {
			return fmt.Errorf("set forward delay of bridge %s: %w", bridge, err)
		}
		if err := h.LinkSetUp(link); err != nil {
			return fmt.Errorf("set bridge %s up: %w", bridge, err)
		}
	}
	return nil
}

// forwardAtOnce lets a bridge forward from the moment a port comes up; the kernel's default is to learn for 15 seconds.
func forwardAtOnce(index int) error {
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	request.AddData(message)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_FORWARD_DELAY, nl.Uint32Attr(0))
	request.AddData(info)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// port is the switch's end of a machine's cable.
func port(m machine, iface string) string { return iface + "-" + m.Name }

// plug makes the machine's namespace with its interfaces, addresses and routes.
func plug(s *state, m machine) error {
	if err := netns.Create(m.Netns); err != nil {
		return err
	}
	if err := netns.Set(m.Netns, forwarding...); err != nil {
		return err
	}
	if m.Segment != (Addresses{}) {
		if err := cable(s, m, segmentInterface, segmentBridge, m.Segment); err != nil {
			return err
		}
	}
	if m.Outside != (Addresses{}) {
		if err := cable(s, m, outsideInterface, outsideBridge, m.Outside); err != nil {
			return err
		}
	}
	return addRoutes(s, m)
}

// cable connects a machine to a bridge.
func cable(s *state, m machine, iface, bridge string, a Addresses) error {
	ns, err := vnetns.GetFromName(m.Netns)
	if err != nil {
		return fmt.Errorf("open network namespace %s: %w", m.Netns, err)
	}
	defer ns.Close()
	sw, err := netns.Handle(s.switchNetns())
	if err != nil {
		return err
	}
	defer sw.Close()
	master, err := sw.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("find bridge %s: %w", bridge, err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MasterIndex = port(m, iface), master.Attrs().Index
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: iface, PeerNamespace: netlink.NsFd(ns)}
	if err := sw.LinkAdd(veth); err != nil {
		return fmt.Errorf("connect %s of %s to bridge %s: %w", iface, m.Name, bridge, err)
	}
	if err := sw.LinkSetUp(veth); err != nil {
		return fmt.Errorf("set port %s up: %w", attrs.Name, err)
	}
	h, err := netns.Handle(m.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	link, err := h.LinkByName(iface)
	if err != nil {
		return fmt.Errorf("find %s of %s: %w", iface, m.Name, err)
	}
	for _, p := range []netip.Prefix{netip.PrefixFrom(a.IPv4, segmentBits4), netip.PrefixFrom(a.IPv6, segmentBits6)} {
		address := &netlink.Addr{IPNet: ipNet(p)}
		if p.Addr().Is6() {
			address.Flags = unix.IFA_F_NODAD
		}
		if err := h.AddrAdd(link, address); err != nil {
			return fmt.Errorf("give %s of %s the address %s: %w", iface, m.Name, p, err)
		}
	}
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set %s of %s up: %w", iface, m.Name, err)
	}
	return nil
}

// addRoutes gives a machine what a real one would have been configured with: a default route at the router and, on
// nodes and the control plane, the way to every other node's pods.
func addRoutes(s *state, m machine) error {
	h, err := netns.Handle(m.Netns)
	if err != nil {
		return err
	}
	defer h.Close()
	any4, any6 := netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")
	type route struct {
		to  netip.Prefix
		via netip.Addr
	}
	var routes []route
	switch m.Kind {
	case kindClient:
		gateway := outsideAddresses(1)
		routes = append(routes, route{any4, gateway.IPv4}, route{any6, gateway.IPv6})
	case kindControlPlane, kindNode:
		router := RouterAddresses()
		routes = append(routes, route{any4, router.IPv4}, route{any6, router.IPv6})
		for i := 1; i <= s.Nodes; i++ {
			if i == m.Index {
				continue
			}
			pods, node := podPrefixes(i), NodeAddresses(i)
			routes = append(routes, route{pods[0], node.IPv4}, route{pods[1], node.IPv6})
		}
	case kindHost:
		router := RouterAddresses()
		routes = append(routes, route{any4, router.IPv4}, route{any6, router.IPv6})
	case kindRouter, kindGoBGP, kindBIRD: // they learn their routes
	}
	for _, r := range routes {
		if err := h.RouteReplace(&netlink.Route{Dst: ipNet(r.to), Gw: r.via.AsSlice()}); err != nil {
			return fmt.Errorf("route %s of %s via %s: %w", r.to, m.Name, r.via, err)
		}
	}
	return nil
}

// unplug removes a machine's cables and namespace; what is gone already is no error.
func unplug(s *state, m machine) error {
	exists, err := netns.Exists(s.switchNetns())
	if err != nil {
		return err
	}
	if exists {
		sw, err := netns.Handle(s.switchNetns())
		if err != nil {
			return err
		}
		defer sw.Close()
		for _, iface := range []string{segmentInterface, outsideInterface} {
			link, err := sw.LinkByName(port(m, iface))
			if errors.As(err, &netlink.LinkNotFoundError{}) {
				continue
			}
			if err != nil {
				return fmt.Errorf("find port of %s: %w", m.Name, err)
			}
			if err := sw.LinkDel(link); err != nil {
				return fmt.Errorf("remove port of %s: %w", m.Name, err)
			}
		}
	}
	return netns.Delete(m.Netns)
}

// setCarrier cuts (up false) or restores the machine's cables: the machine sees its interface lose and regain its
// carrier, the others only see that it is silent.
func setCarrier(s *state, m machine, up bool, ifaces ...string) error {
	sw, err := netns.Handle(s.switchNetns())
	if err != nil {
		return err
	}
	defer sw.Close()
	for _, iface := range ifaces {
		link, err := sw.LinkByName(port(m, iface))
		if err != nil {
			return fmt.Errorf("find port of %s's %s: %w", m.Name, iface, err)
		}
		set := sw.LinkSetDown
		if up {
			set = sw.LinkSetUp
		}
		if err := set(link); err != nil {
			return fmt.Errorf("switch port of %s's %s: %w", m.Name, iface, err)
		}
	}
	return nil
}

// carrier says whether the machine's cable on the nodes' segment is whole.
func carrier(s *state, m machine) (bool, error) {
	sw, err := netns.Handle(s.switchNetns())
	if err != nil {
		return false, err
	}
	defer sw.Close()
	ifaces := []string{segmentInterface}
	if m.Kind == kindClient {
		ifaces = []string{outsideInterface}
	}
	link, err := sw.LinkByName(port(m, ifaces[0]))
	if err != nil {
		return false, nil // a machine that is powered off has no port
	}
	return slices.Contains([]netlink.LinkOperState{netlink.OperUp, netlink.OperUnknown}, link.Attrs().OperState), nil
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
