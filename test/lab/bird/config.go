// Package bird writes the configuration of BIRD 2 and reads what it says of itself. Running it is up to package test/bird, in namespaces, and to package
// lab, as a machine of a lab; both get it from Root.
package bird

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
)

// Config is a router that takes every route it is sent and sends none.
type Config struct {
	RouterID  netip.Addr // an IPv4 address
	Neighbors []Neighbor
	// BFDInterval is the shortest time between two BFD packets in milliseconds, in both directions, that BIRD agrees to, and BFDMultiplier how many of
	// them lost are down. 0 is 100 and 3.
	BFDInterval, BFDMultiplier int
	// Kernel puts the routes into the kernel's table, equal ones together.
	Kernel bool
}

// Neighbor is one session.
type Neighbor struct {
	// Name is the protocol's in BIRD; Session and Route carry it.
	Name           string
	Local, Address netip.Addr
	LocalASN, ASN  uint32
	Password       string // "" for none (RFC 2385)
	BFD            bool
	// Multihop says that the neighbor need not be on the same link. BIRD takes that for granted of an internal one that does not say direct.
	Multihop bool
	// Active says that BIRD connects, too. Else it waits for the neighbor to.
	Active bool
}

// String is the bird.conf. Times are written to the microsecond, so that a session's tell whether it is the same as before.
func (c Config) String() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("timeformat protocol iso long us;\nlog stderr all;\nrouter id %s;\nprotocol device { scan time 1; }\nprotocol direct { ipv4; ipv6; }", c.RouterID)
	timers := fmt.Sprintf("interval %d ms; idle tx interval %[1]d ms; multiplier %d;", cmp.Or(c.BFDInterval, 100), cmp.Or(c.BFDMultiplier, 3))
	p("protocol bfd { interface \"*\" { %s }; multihop { %[1]s }; }", timers)
	if c.Kernel {
		for _, family := range []string{"ipv4", "ipv6"} {
			p("protocol kernel { merge paths on limit 16; %s { export where source = RTS_BGP; }; }", family)
		}
	}
	for _, n := range c.Neighbors {
		p("protocol bgp %s {", n.Name)
		p("\tlocal %s as %d;\n\tneighbor %s as %d;", n.Local, n.LocalASN, n.Address, n.ASN)
		if n.Active {
			p("\tconnect delay time 1;\n\tconnect retry time 1;")
		} else {
			p("\tpassive;")
		}
		p("\terror wait time 1, 1;") // BIRD's own is 60 to 300 s, and a lost BFD session is an error
		if n.Multihop {
			p("\tmultihop;")
		} else {
			p("\tdirect;")
		}
		if n.Password != "" {
			p("\tpassword \"%s\";", n.Password)
		}
		if n.BFD {
			p("\tbfd on;")
		}
		family := "ipv6"
		if n.Address.Is4() {
			family = "ipv4"
		}
		p("\t%s { import all; export none; };\n}", family)
	}
	return b.String()
}
