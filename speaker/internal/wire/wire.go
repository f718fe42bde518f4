// Package wire knows the frames by which neighbors on a link find out who has an address: ARP (RFC 826, RFC 5227) for IPv4 and
// neighbor discovery (RFC 4861, RFC 4862) for IPv6. It makes the frames that this node sends, and says what a received one means
// for an address. Callers need not tell the two families apart.
package wire

import (
	"net"
	"net/netip"
)

// MAC is an Ethernet address. Unlike net.HardwareAddr it can be compared and be the key of a map.
type MAC [6]byte

// broadcast is the Ethernet address of everybody.
var broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// ParseMAC returns the Ethernet address in b; false when b is none, or one that no single host can have.
func ParseMAC(b net.HardwareAddr) (MAC, bool) {
	if len(b) != len(MAC{}) {
		return MAC{}, false
	}
	m := MAC(b)
	return m, m.individual()
}

// individual tells whether the address can be that of one host: not zero, and without the bit that marks groups.
func (m MAC) individual() bool { return m != MAC{} && m[0]&1 == 0 }

// String returns the address as in 02:00:5e:10:00:01.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// hardware is the address as the libraries take it.
func (m MAC) hardware() net.HardwareAddr { return m[:] }

// Host is who sends from a link of this node.
type Host struct {
	// MAC is the link's hardware address.
	MAC MAC
	// LinkLocal is the IPv6 address that neighbor discovery is sent from, the zero value when the link has none that may be used yet.
	LinkLocal netip.Addr
}

// Kind is what sort of message a frame carries.
type Kind uint8

// The kinds of messages. The zero value is none of them.
const (
	ARPRequest Kind = iota + 1
	ARPReply
	Solicitation
	Advertisement
)

// String names the kind as people do.
func (k Kind) String() string {
	switch k {
	case ARPRequest:
		return "ARP request"
	case ARPReply:
		return "ARP reply"
	case Solicitation:
		return "neighbor solicitation"
	case Advertisement:
		return "neighbor advertisement"
	}
	return "no message"
}

// Message is what a well-formed frame says. It can be compared.
type Message struct {
	Kind Kind
	// Destination and Source are those of the Ethernet frame.
	Destination, Source MAC
	// Hardware is the link-layer address that the message itself gives for its sender, or for the target of an advertisement; Source where
	// it gives none. It differs from Source where somebody answers for another.
	Hardware MAC
	// Sender is the IP address of who sent the message, the unspecified address when he has none yet.
	Sender netip.Addr
	// Target is the address that is asked for, or that is advertised.
	Target netip.Addr
}

// Relation is what a message means for one address.
type Relation uint8

// The relations of a message to an address.
const (
	// Unrelated messages are about other addresses.
	Unrelated Relation = iota
	// Asks: the sender wants to reach whoever has the address.
	Asks
	// Probes: the sender wants the address for himself and looks whether anybody has it: an ARP probe (RFC 5227 section 2.1.1), or a
	// solicitation of duplicate address detection (RFC 4862 section 5.4.3).
	Probes
	// Claims: the sender says that he has the address, or uses it.
	Claims
)

// String names the relation by what its sender does.
func (r Relation) String() string {
	switch r {
	case Asks:
		return "asks"
	case Probes:
		return "probes"
	case Claims:
		return "claims"
	case Unrelated:
	}
	return "unrelated"
}

// About says what the message means for an address. The unspecified address is nobody's, whatever is said of it.
func (m Message) About(address netip.Addr) Relation {
	switch {
	case address.IsUnspecified():
		return Unrelated
	case m.Sender == address:
		return Claims
	case m.Target != address:
		return Unrelated
	case m.Kind == Advertisement:
		return Claims
	case m.Kind != ARPRequest && m.Kind != Solicitation:
		return Unrelated
	case m.Sender.IsUnspecified():
		return Probes
	default:
		return Asks
	}
}
