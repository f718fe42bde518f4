package l2

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// groupsPerSocket keeps a socket's memberships well under the memory that the kernel allows for its options (net.core.optmem_max, 20 KiB on
// older kernels, 56 bytes each).
const groupsPerSocket = 100

// groups are the solicited-node groups that a link is a member of. The station's packet socket would hear solicitations without, but not behind
// a switch that looks where groups have members, nor on a network card that filters.
type groups struct {
	index   int
	sockets []socket
	// members has the place in sockets of each group's.
	members map[netip.Addr]int
}

// socket is one that is a member of some groups, which it leaves when it is closed.
type socket struct{ fd, groups int }

// keep makes the link a member of the groups of these addresses and no others. What fails does not stop the rest, and is tried again by the next
// call. It works in the network namespace of the calling thread.
func (g *groups) keep(addresses []netip.Addr) error {
	wanted := make(map[netip.Addr]struct{}, len(addresses)) // two addresses may have the same
	var errs []error
	for _, a := range addresses {
		group, err := wire.SolicitedNode(a)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		wanted[group] = struct{}{}
	}
	for group, at := range g.members {
		if _, ok := wanted[group]; !ok {
			errs = append(errs, g.leave(group, at))
		}
	}
	for group := range wanted {
		if _, ok := g.members[group]; !ok {
			errs = append(errs, g.join(group))
		}
	}
	return errors.Join(errs...)
}

func (g *groups) join(group netip.Addr) error {
	at := 0
	for at < len(g.sockets) && g.sockets[at].groups >= groupsPerSocket {
		at++
	}
	if at == len(g.sockets) {
		fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return fmt.Errorf("open a socket for multicast groups: %w", err)
		}
		g.sockets = append(g.sockets, socket{fd: fd})
	}
	if err := unix.SetsockoptIPv6Mreq(g.sockets[at].fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP, g.request(group)); err != nil {
		return fmt.Errorf("enter multicast group %s: %w", group, err)
	}
	g.sockets[at].groups++
	g.members[group] = at
	return nil
}

func (g *groups) leave(group netip.Addr, at int) error {
	delete(g.members, group)
	g.sockets[at].groups--
	if err := unix.SetsockoptIPv6Mreq(g.sockets[at].fd, unix.IPPROTO_IPV6, unix.IPV6_LEAVE_GROUP, g.request(group)); err != nil {
		return fmt.Errorf("leave multicast group %s: %w", group, err)
	}
	return nil
}

func (g *groups) request(group netip.Addr) *unix.IPv6Mreq {
	return &unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(g.index)}
}

// close leaves all groups.
func (g *groups) close() {
	for _, s := range g.sockets {
		_ = unix.Close(s.fd) // nothing is lost with it
	}
	g.sockets, g.members = nil, nil
}
