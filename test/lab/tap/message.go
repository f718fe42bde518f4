package tap

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// Kind is what a message is.
type Kind string

// The kinds of messages: ARP (RFC 826) and neighbor discovery (RFC 4861).
const (
	Request       Kind = "ARP request"
	Reply         Kind = "ARP reply"
	Solicitation  Kind = "neighbor solicitation"
	Advertisement Kind = "neighbor advertisement"
)

// MAC is a hardware address that can be compared.
type MAC [6]byte

// String is the usual notation, in lower case.
func (m MAC) String() string { return net.HardwareAddr(m[:]).String() }

// Message is one ARP or neighbor discovery message as it entered the switch.
type Message struct {
	// Time is when the kernel took the frame from the cable.
	Time time.Time
	// Machine is at the other end of that cable: whoever the frame says it is from, this machine sent it.
	Machine string
	Kind    Kind
	// From and To are the frame's Ethernet addresses.
	From, To MAC
	// Hardware is the address the message itself gives: the sender's of ARP, the link-layer address option of neighbor discovery, or From.
	Hardware MAC
	// Sender is the sender's protocol address of ARP, or the IPv6 source; Target what is asked for or advertised.
	Sender, Target netip.Addr
	// Solicited and Override are the flags of an advertisement.
	Solicited, Override bool
}

// Claim is the address that the message says is at Hardware. Only a claim makes a host send packets elsewhere than before: an ARP reply, an
// advertisement, and an ARP request for its sender's own address. A plain question claims nothing here, though it tells where the asker is.
func (m Message) Claim() (netip.Addr, bool) {
	switch m.Kind {
	case Reply:
		return m.Sender, true
	case Advertisement:
		return m.Target, true
	case Request:
		return m.Sender, m.Sender == m.Target
	case Solicitation:
	}
	return netip.Addr{}, false
}

// Gratuitous says whether the message is a claim that nobody asked for.
func (m Message) Gratuitous() bool {
	if _, claim := m.Claim(); !claim {
		return false
	}
	if m.Kind == Advertisement {
		return !m.Solicited
	}
	return m.Sender == m.Target
}

// Claims says whether the message claims the address.
func (m Message) Claims(address netip.Addr) bool {
	claimed, ok := m.Claim()
	return ok && claimed == address
}

// String is one line, with the time.
func (m Message) String() string {
	text := fmt.Sprintf("%s %s: %s", m.Time.Format("15:04:05.000000"), m.Machine, m.Kind)
	if claimed, ok := m.Claim(); ok {
		how := ""
		if m.Gratuitous() {
			how = ", gratuitous"
		}
		return fmt.Sprintf("%s: %s is at %s%s", text, claimed, m.Hardware, how)
	}
	return fmt.Sprintf("%s: who has %s? tell %s at %s", text, m.Target, m.Sender, m.Hardware)
}

// Sizes and offsets in bytes.
const (
	ethernetHeader = 14
	arpLength      = 28
	ipv6Header     = 40
	// neighborLength is a solicitation or advertisement without options.
	neighborLength = 24

	etherTypeARP  = 0x0806
	etherTypeIPv6 = 0x86dd
	icmpv6        = 58

	typeSolicitation  = 135
	typeAdvertisement = 136
)

// parse reads a frame. It is a reader of its own, not the product's, so that one does not share the other's mistakes.
func parse(frame []byte) (Message, bool) {
	if len(frame) < ethernetHeader {
		return Message{}, false
	}
	m := Message{To: MAC(frame[:6]), From: MAC(frame[6:12]), Hardware: MAC(frame[6:12])}
	body := frame[ethernetHeader:]
	switch binary.BigEndian.Uint16(frame[12:]) {
	case etherTypeARP:
		return m.arp(body)
	case etherTypeIPv6:
		return m.neighbor(body)
	}
	return Message{}, false
}

func (m Message) arp(b []byte) (Message, bool) {
	if len(b) < arpLength || binary.BigEndian.Uint16(b[2:]) != 0x0800 || b[4] != 6 || b[5] != 4 {
		return Message{}, false
	}
	switch binary.BigEndian.Uint16(b[6:]) {
	case 1:
		m.Kind = Request
	case 2:
		m.Kind = Reply
	default:
		return Message{}, false
	}
	m.Hardware = MAC(b[8:14])
	m.Sender, m.Target = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	return m, true
}

func (m Message) neighbor(b []byte) (Message, bool) {
	if len(b) < ipv6Header+neighborLength || b[6] != icmpv6 {
		return Message{}, false
	}
	m.Sender = netip.AddrFrom16([16]byte(b[8:24]))
	b = b[ipv6Header:]
	switch b[0] {
	case typeSolicitation:
		m.Kind = Solicitation
	case typeAdvertisement:
		m.Kind = Advertisement
		m.Solicited, m.Override = b[4]&0x40 != 0, b[4]&0x20 != 0
	default:
		return Message{}, false
	}
	m.Target = netip.AddrFrom16([16]byte(b[8:24]))
	// Options: source (1) or target (2) link-layer address, 8 bytes with an Ethernet address in them.
	for o := b[neighborLength:]; len(o) >= 8 && o[1] > 0 && len(o) >= 8*int(o[1]); o = o[8*int(o[1]):] {
		if (o[0] == 1 || o[0] == 2) && o[1] == 1 {
			m.Hardware = MAC(o[2:8])
		}
	}
	return m, true
}
