package netns

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// eventBuffer is the size of the kernel's buffer for route events, in bytes: room for a burst of some ten thousand.
const eventBuffer = 32 << 20

// Route is one route of the main table.
type Route struct {
	Prefix   netip.Prefix
	NextHops []netip.Addr // sorted
	Protocol int          // RTPROT_*: 2 kernel, 3 boot, 4 static; FRR's zebra installs BGP routes with 186
}

// BGP is the protocol number of routes that came to the kernel from FRR's bgpd (RTPROT_BGP).
const BGP = unix.RTPROT_BGP

// RouteEvent is one change of the kernel's routing table.
type RouteEvent struct {
	Time    time.Time // when this process read the event, microseconds after the kernel sent it
	Deleted bool
	Route   Route
}

// Routes lists the unicast routes of the namespace's main table, both families, in order of prefix.
func Routes(name string) ([]Route, error) {
	h, err := Handle(name)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	found, err := h.RouteListFiltered(netlink.FAMILY_ALL, &netlink.Route{Table: unix.RT_TABLE_MAIN}, netlink.RT_FILTER_TABLE)
	if err != nil {
		return nil, fmt.Errorf("list routes of network namespace %s: %w", name, err)
	}
	routes := make([]Route, 0, len(found))
	for _, r := range found {
		if r.Type == unix.RTN_UNICAST {
			routes = append(routes, fromKernel(r))
		}
	}
	slices.SortFunc(routes, func(a, b Route) int { return comparePrefix(a.Prefix, b.Prefix) })
	return routes, nil
}

// WatchRoutes follows the routing table of the namespace until ctx ends. The subscription exists when it returns; the
// sequence ends with an error where events were lost, and without one when ctx ended.
func WatchRoutes(ctx context.Context, name string) (iter.Seq2[RouteEvent, error], error) {
	ns, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer ns.Close()
	updates := make(chan netlink.RouteUpdate, 4096)
	failed := make(chan error, 16)
	err = netlink.RouteSubscribeWithOptions(updates, ctx.Done(), netlink.RouteSubscribeOptions{
		Namespace: &ns, ReceiveBufferSize: eventBuffer, ReceiveBufferForceSize: true,
		ErrorCallback: func(err error) {
			select {
			case failed <- err:
			default: // one error is enough to end the sequence
			}
		},
	})
	if err != nil {
		return nil, fmt.Errorf("follow routes of network namespace %s: %w", name, err)
	}
	return func(yield func(RouteEvent, error) bool) {
		// The reader of the socket must be able to go on to its end after the caller has seen enough.
		defer func() { go drain(updates) }()
		for u := range updates {
			event := RouteEvent{Time: time.Now(), Deleted: u.Type == unix.RTM_DELROUTE, Route: fromKernel(u.Route)}
			if u.Table == unix.RT_TABLE_MAIN && u.Route.Type == unix.RTN_UNICAST && !yield(event, nil) {
				return
			}
		}
		select {
		case err := <-failed:
			if ctx.Err() == nil {
				yield(RouteEvent{}, fmt.Errorf("follow routes of network namespace %s: %w", name, err))
			}
		default:
		}
	}, nil
}

// drain takes what still comes until ctx of the subscription ends.
func drain(updates <-chan netlink.RouteUpdate) {
	for range updates {
	}
}

func fromKernel(r netlink.Route) Route {
	route := Route{Protocol: int(r.Protocol)}
	if r.Dst != nil {
		ip, _ := netip.AddrFromSlice(r.Dst.IP)
		bits, _ := r.Dst.Mask.Size()
		route.Prefix = netip.PrefixFrom(ip.Unmap(), bits)
		if r.Family == unix.AF_INET6 && ip.Is4In6() {
			route.Prefix = netip.PrefixFrom(ip, bits)
		}
	}
	add := func(ip []byte) {
		if a, ok := netip.AddrFromSlice(ip); ok {
			route.NextHops = append(route.NextHops, a.Unmap())
		}
	}
	add(r.Gw)
	if via, ok := r.Via.(*netlink.Via); ok {
		add(via.Addr)
	}
	for _, hop := range r.MultiPath {
		add(hop.Gw)
		if via, ok := hop.Via.(*netlink.Via); ok {
			add(via.Addr)
		}
	}
	slices.SortFunc(route.NextHops, netip.Addr.Compare)
	return route
}

func comparePrefix(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
