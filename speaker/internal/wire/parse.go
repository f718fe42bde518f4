package wire

import (
	"encoding/binary"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

// Drop is why a frame is dropped. It is an error.
type Drop uint8

// The reasons to drop a frame.
const (
	// DropOther: the frame carries neither ARP nor a neighbor solicitation or advertisement. Nothing is wrong with it.
	DropOther Drop = iota + 1
	// DropShort: the frame ends before what it says it carries.
	DropShort
	// DropSource: the frame comes from no address that a host can have.
	DropSource
	// DropARP: not ARP for IPv4 over Ethernet, or neither request nor reply.
	DropARP
	// DropHopLimit: a neighbor discovery message that came through a router.
	DropHopLimit
	// DropChecksum: the checksum of a neighbor discovery message is wrong.
	DropChecksum
	// DropMessage: a neighbor discovery message that breaks a rule of RFC 4861 section 7.1.1 or 7.1.2.
	DropMessage
)

// Drops returns every reason, for counters by reason.
func Drops() []Drop {
	return []Drop{DropOther, DropShort, DropSource, DropARP, DropHopLimit, DropChecksum, DropMessage}
}

// String returns the reason as a word, for a label of a metric.
func (d Drop) String() string {
	switch d {
	case DropOther:
		return "other"
	case DropShort:
		return "short"
	case DropSource:
		return "source"
	case DropARP:
		return "arp"
	case DropHopLimit:
		return "hopLimit"
	case DropChecksum:
		return "checksum"
	case DropMessage:
		return "message"
	}
	return "unknown"
}

// Error implements error.
func (d Drop) Error() string { return "frame dropped: " + d.String() }

// Parse returns what a frame says. The error is a Drop; the frame is of no use then.
func Parse(frame []byte) (Message, error) {
	if len(frame) < ethernetHeader {
		return Message{}, DropShort
	}
	m := Message{Destination: MAC(frame[0:6]), Source: MAC(frame[6:12])}
	payload := frame[ethernetHeader:]
	switch ethernet.EtherType(binary.BigEndian.Uint16(frame[12:14])) {
	case ethernet.EtherTypeARP:
		return parseARP(m, payload)
	case ethernet.EtherTypeIPv6:
		return parseIPv6(m, payload)
	default:
		return Message{}, DropOther
	}
}

// arpLength is that of an ARP packet for IPv4 over Ethernet, in bytes. Frames are padded beyond.
const arpLength = 28

func parseARP(m Message, b []byte) (Message, error) {
	if len(b) < arpLength {
		return Message{}, DropShort
	}
	var p arp.Packet
	if err := p.UnmarshalBinary(b); err != nil {
		return Message{}, DropShort
	}
	const overEthernet = 1
	if p.HardwareType != overEthernet || p.ProtocolType != uint16(ethernet.EtherTypeIPv4) || p.HardwareAddrLength != 6 || p.IPLength != 4 {
		return Message{}, DropARP
	}
	switch p.Operation {
	case arp.OperationRequest:
		m.Kind = ARPRequest
	case arp.OperationReply:
		m.Kind = ARPReply
	default:
		return Message{}, DropARP
	}
	var ok bool
	if m.Hardware, ok = ParseMAC(p.SenderHardwareAddr); !ok || !m.Source.individual() {
		return Message{}, DropSource
	}
	m.Sender, m.Target = p.SenderIP, p.TargetIP
	return m, nil
}

func parseIPv6(m Message, b []byte) (Message, error) {
	if len(b) < ipv6Header {
		return Message{}, DropShort
	}
	// Extension headers are not looked into: neighbor discovery has none (RFC 6980).
	if b[0]>>4 != 6 || b[6] != icmpv6 {
		return Message{}, DropOther
	}
	length := int(binary.BigEndian.Uint16(b[4:6]))
	body := b[ipv6Header:]
	if len(body) < length || length == 0 {
		return Message{}, DropShort
	}
	body = body[:length]
	switch body[0] {
	case typeSolicitation:
		m.Kind = Solicitation
	case typeAdvertisement:
		m.Kind = Advertisement
	default:
		return Message{}, DropOther
	}
	source, destination := netip.AddrFrom16([16]byte(b[8:24])), netip.AddrFrom16([16]byte(b[24:40]))
	switch {
	case b[7] != hopLimit:
		return Message{}, DropHopLimit
	case !checksumRight(source, destination, body):
		return Message{}, DropChecksum
	case !m.Source.individual() || source.IsMulticast():
		return Message{}, DropSource
	}
	m.Sender = source
	return parseNDP(m, destination, body)
}

// The ICMPv6 types of neighbor discovery that matter here (RFC 4861 section 4).
const (
	typeSolicitation  = 135
	typeAdvertisement = 136
)

func parseNDP(m Message, destination netip.Addr, body []byte) (Message, error) {
	parsed, err := ndp.ParseMessage(body)
	if err != nil || body[1] != 0 { // the code is always 0
		return Message{}, DropMessage
	}
	var options []ndp.Option
	var direction ndp.Direction
	switch p := parsed.(type) {
	case *ndp.NeighborSolicitation:
		m.Target, options, direction = p.TargetAddress, p.Options, ndp.Source
	case *ndp.NeighborAdvertisement:
		m.Target, options, direction = p.TargetAddress, p.Options, ndp.Target
		if p.Solicited && destination.IsMulticast() {
			return Message{}, DropMessage
		}
	}
	if m.Target.IsMulticast() || m.Target.IsUnspecified() {
		return Message{}, DropMessage
	}
	hardware, given := linkLayer(options, direction)
	if m.Sender.IsUnspecified() && (given || !isTest(m, destination)) {
		return Message{}, DropMessage
	}
	m.Hardware = m.Source
	if given {
		m.Hardware = hardware
	}
	if !m.Hardware.individual() {
		return Message{}, DropMessage
	}
	return m, nil
}

// isTest tells whether a message from nobody is what nobody may send: a solicitation to the group of its target.
func isTest(m Message, destination netip.Addr) bool {
	group, err := SolicitedNode(m.Target)
	return err == nil && m.Kind == Solicitation && destination == group
}

// linkLayer returns the link-layer address that the options give in a direction.
func linkLayer(options []ndp.Option, direction ndp.Direction) (MAC, bool) {
	for _, o := range options {
		if l, ok := o.(*ndp.LinkLayerAddress); ok && l.Direction == direction && len(l.Addr) == len(MAC{}) {
			return MAC(l.Addr), true
		}
	}
	return MAC{}, false
}

// checksumRight verifies the checksum of an ICMPv6 message (RFC 4443 section 2.3): with the pseudo-header, all 16-bit words add up to ones.
func checksumRight(source, destination netip.Addr, body []byte) bool {
	from, to := source.As16(), destination.As16()
	sum := addWords(addWords(addWords(0, from[:]), to[:]), body) + uint64(len(body)) + icmpv6
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum == 0xffff
}

func addWords(sum uint64, b []byte) uint64 {
	for ; len(b) > 1; b = b[2:] {
		sum += uint64(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}
