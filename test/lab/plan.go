package lab

import (
	"fmt"
	"net/netip"
	"regexp"
)

// The addresses of a lab. Every lab has the same: each lies in network namespaces of its own, behind a switch of its own.
//
//	segment  192.168.126.0/24  fd00:126::/64     nodes, routers, control plane
//	outside  172.30.126.0/24   fd00:30:126::/64  routers and clients
const (
	segmentBits4, segmentBits6 = 24, 64

	// PodRange4 and PodRange6 hold the pods; node i has the /24 and the /64 with its number in them.
	PodRange4 = "10.244.0.0/16"
	PodRange6 = "fd00:10:244::/48"
	// ServiceRange4 and ServiceRange6 hold the cluster addresses of Services.
	ServiceRange4 = "10.96.0.0/16"
	ServiceRange6 = "fd00:10:96::/112"

	// MaxNodes is the largest number of nodes a lab can have: their addresses end before those of further peers.
	MaxNodes = 89

	// RouterName and ClientName are the machines every lab with nodes has besides them; the client is behind the router.
	RouterName = "router"
	ClientName = "client"

	// ControlPlaneName is the machine that runs the API server.
	ControlPlaneName = "cp"

	controlPlaneHost = 10
	clientHost       = 100
	routerHost       = 3
)

// Addresses are the two addresses that a machine has on one segment.
type Addresses struct {
	IPv4 netip.Addr
	IPv6 netip.Addr
}

// segmentAddresses are those that end in the given decimal number, written the same in both families: 192.168.126.11 and
// fd00:126::11.
func segmentAddresses(host int) Addresses {
	return Addresses{
		IPv4: netip.AddrFrom4([4]byte{192, 168, 126, byte(host)}),
		IPv6: netip.MustParseAddr(fmt.Sprintf("fd00:126::%d", host)),
	}
}

// outsideAddresses are the addresses behind the routers that end in the given number.
func outsideAddresses(host int) Addresses {
	return Addresses{
		IPv4: netip.AddrFrom4([4]byte{172, 30, 126, byte(host)}),
		IPv6: netip.MustParseAddr(fmt.Sprintf("fd00:30:126::%d", host)),
	}
}

// NodeName is the name of node i, counted from 1.
func NodeName(i int) string { return fmt.Sprintf("n%d", i) }

// NodeAddresses are the addresses of node i, counted from 1.
func NodeAddresses(i int) Addresses { return segmentAddresses(10 + i) }

// RouterAddresses are those of the router that every lab with nodes has, on the nodes' segment.
func RouterAddresses() Addresses { return segmentAddresses(routerHost) }

// ClientAddresses are those of the client behind the router.
func ClientAddresses() Addresses { return outsideAddresses(clientHost) }

// podPrefixes are the pod addresses of node i.
func podPrefixes(i int) [2]netip.Prefix {
	return [2]netip.Prefix{
		netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 244, byte(i), 0}), 24),
		netip.MustParsePrefix(fmt.Sprintf("fd00:10:244:%d::/64", i)),
	}
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9]{0,7}$`)

// checkName refuses a prefix or machine name from which an interface name would become too long (15 bytes) or a
// namespace name ambiguous.
func checkName(what, name string) error {
	if !validName.MatchString(name) {
		return fmt.Errorf("%s %q: want a lower-case letter and up to seven more letters or digits", what, name)
	}
	return nil
}
