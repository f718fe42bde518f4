// Package link tells which links this node has, what can be done with them, and which addresses and gateways it has by them. It looks at the
// network namespace of the calling thread, each time anew; nothing is remembered.
package link

import (
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// State is whether neighbors can be talked to on a link, by ARP and neighbor discovery, and if not, why.
type State uint8

// The states of a link. The zero value is none of them.
const (
	// Usable links carry ARP and neighbor discovery now.
	Usable State = iota + 1
	// Loopback is the node itself.
	Loopback
	// Dummy links lead nowhere. kube-proxy in IPVS mode keeps the addresses of all Services on one.
	Dummy
	// NoEthernet: the link has no Ethernet address, as tunnels.
	NoEthernet
	// NoARP: the link does not resolve addresses.
	NoARP
	// Member links belong to a bond or bridge, which has the addresses and is to be used instead.
	Member
	// Down: the link is switched off.
	Down
	// NoCarrier: the link is on, and not connected.
	NoCarrier
)

// String completes the sentence "the link ...".
func (s State) String() string {
	switch s {
	case Usable:
		return "is usable"
	case Loopback:
		return "is the loopback"
	case Dummy:
		return "is a dummy"
	case NoEthernet:
		return "has no Ethernet address"
	case NoARP:
		return "does not resolve addresses"
	case Member:
		return "is part of a bond or bridge"
	case Down:
		return "is down"
	case NoCarrier:
		return "has no carrier"
	}
	return "is unknown"
}

// Link is one network interface as it was at one moment.
type Link struct {
	// Index is the kernel's number of the link, which it keeps over a change of name; a link that is made anew has another.
	Index int
	Name  string
	State State
	// Host is who this node is on the link: its hardware address, and the IPv6 link-local address if there is one that is tested and usable.
	wire.Host
	// Addresses are those of the link with the length of their network's prefix, sorted.
	Addresses []netip.Prefix
	// Networks are the prefixes whose addresses are reached on the link directly, sorted: those of its addresses, and with Read those of
	// routes without gateway. Networks of a single address and link-local ones are not among them.
	Networks []netip.Prefix
}

// Has tells whether the address is one of the link's own.
func (l Link) Has(address netip.Addr) bool {
	return slices.ContainsFunc(l.Addresses, func(p netip.Prefix) bool { return p.Addr() == address })
}

// Reaches tells whether the address is in one of the link's networks.
func (l Link) Reaches(address netip.Addr) bool {
	return slices.ContainsFunc(l.Networks, func(p netip.Prefix) bool { return p.Contains(address) })
}

// Gateway is the next hop of a route.
type Gateway struct {
	Address netip.Addr
	// Link is the index of the link it is reached on.
	Link int
}

// Network is the whole network of a node as it was at one moment.
type Network struct {
	// Links are sorted by index.
	Links []Link
	// Gateways are the next hops of all routes, sorted by address and link.
	Gateways []Gateway
}

// Owner returns the link that has the address. An address on a dummy link is not the node's own: there every node has all those of Services.
func (n Network) Owner(address netip.Addr) (Link, bool) {
	return first(n.Links, func(l Link) bool { return l.State != Dummy && l.Has(address) })
}

// Gateway returns the link on which the address is the next hop of a route; where the link is not known, one without a name.
func (n Network) Gateway(address netip.Addr) (Link, bool) {
	g, ok := first(n.Gateways, func(g Gateway) bool { return g.Address == address })
	if !ok {
		return Link{}, false
	}
	l, _ := n.ByIndex(g.Link)
	return l, true
}

// ByIndex returns the link of that index.
func (n Network) ByIndex(index int) (Link, bool) {
	return first(n.Links, func(l Link) bool { return l.Index == index })
}

// Reaching returns the links with a network that has the address, whether they are usable or not. The node's own loopback and dummies reach
// nobody.
func (n Network) Reaching(address netip.Addr) []Link {
	var found []Link
	for _, l := range n.Links {
		if l.State != Loopback && l.State != Dummy && l.Reaches(address) {
			found = append(found, l)
		}
	}
	return found
}

// MACs are the hardware addresses of all links: frames from them are this node's own.
func (n Network) MACs() map[wire.MAC]struct{} {
	macs := make(map[wire.MAC]struct{}, len(n.Links))
	for _, l := range n.Links {
		if l.MAC != (wire.MAC{}) {
			macs[l.MAC] = struct{}{}
		}
	}
	return macs
}

func first[T any](list []T, is func(T) bool) (T, bool) {
	if i := slices.IndexFunc(list, is); i >= 0 {
		return list[i], true
	}
	var none T
	return none, false
}
