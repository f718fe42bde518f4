package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
)

const (
	// ethernetHeader and ipv6Header are the lengths of what comes before the message, in bytes.
	ethernetHeader = 14
	ipv6Header     = 40
	// icmpv6 is the protocol number of ICMPv6 (RFC 8200).
	icmpv6 = 58
	// hopLimit of every neighbor discovery message: one that passed a router has less, and is a forgery (RFC 4861 section 7.1).
	hopLimit = 255
)

// allNodes is the multicast address of every IPv6 node on a link.
var allNodes = netip.MustParseAddr("ff02::1")

// Probe returns the frame that asks whether anybody has an address. Whoever does answers with a message that Claims it.
//
// For IPv4 it is an ARP probe, which enters nothing into the caches of those who hear it (RFC 5227 section 1.1). For IPv6 it is a neighbor
// solicitation from the link-local address where there is one: it is answered by all who answer anybody, also by those that overlook
// duplicate address detection as other load balancers do, and it does not make a host give up the address that is just testing it. Without
// link-local address it is that of duplicate address detection.
func Probe(from Host, address netip.Addr) ([]byte, error) {
	if address.Is4() {
		return arpFrame(from.MAC, broadcast, arp.OperationRequest, netip.IPv4Unspecified(), MAC{}, address)
	}
	group, err := SolicitedNode(address)
	if err != nil {
		return nil, err
	}
	solicitation := &ndp.NeighborSolicitation{TargetAddress: address}
	source := netip.IPv6Unspecified()
	if from.LinkLocal.IsValid() {
		source = from.LinkLocal
		solicitation.Options = []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: from.MAC.hardware()}}
	}
	return ndpFrame(from.MAC, groupMAC(group), source, group, solicitation)
}

// Reply returns the answer to a question: that the sender has the address. The question is a message that Asks for or Probes the address.
func Reply(from Host, address netip.Addr, question Message) ([]byte, error) {
	if address.Is4() {
		return arpFrame(from.MAC, question.Hardware, arp.OperationReply, address, question.Hardware, question.Sender)
	}
	if question.Sender.IsUnspecified() { // to somebody without address the answer goes by multicast (RFC 4861 section 7.2.4)
		return advertisement(from, groupMAC(allNodes), allNodes, address, false)
	}
	return advertisement(from, question.Hardware, question.Sender, address, true)
}

// Announcements returns the frames that tell everybody on the link, without being asked, that the sender has the address now: an ARP
// announcement as request (RFC 5227 section 3) and as reply, because there are hosts that learn from one of them only; or an unsolicited
// advertisement with the override flag (RFC 4861 section 7.2.6).
func Announcements(from Host, address netip.Addr) ([][]byte, error) {
	if !address.Is4() {
		frame, err := advertisement(from, groupMAC(allNodes), allNodes, address, false)
		return [][]byte{frame}, err
	}
	request, err := arpFrame(from.MAC, broadcast, arp.OperationRequest, address, MAC{}, address)
	if err != nil {
		return nil, err
	}
	reply, err := arpFrame(from.MAC, broadcast, arp.OperationReply, address, broadcast, address)
	return [][]byte{request, reply}, err
}

// SolicitedNode returns the multicast group that whoever has an IPv6 address listens to (RFC 4291 section 2.7.1). A node has to be in it to
// hear the duplicate address detection of others (RFC 4862 section 5.4.2).
func SolicitedNode(address netip.Addr) (netip.Addr, error) {
	group, err := ndp.SolicitedNodeMulticast(address)
	if err != nil {
		return netip.Addr{}, fmt.Errorf("find the solicited-node group of %s: %w", address, err)
	}
	return group, nil
}

// groupMAC is the Ethernet address that a multicast group's packets go to (RFC 2464 section 7).
func groupMAC(group netip.Addr) MAC {
	b := group.As16()
	return MAC{0x33, 0x33, b[12], b[13], b[14], b[15]}
}

// advertisement comes from the address it is for, as the kernel sends those for its own: ndisc6, with which people look who answers, overlooks
// what comes from a link-local address when it asked for another one.
func advertisement(from Host, to MAC, destination, address netip.Addr, solicited bool) ([]byte, error) {
	return ndpFrame(from.MAC, to, address, destination, &ndp.NeighborAdvertisement{
		Solicited: solicited, Override: true, TargetAddress: address,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: from.MAC.hardware()}},
	})
}

func arpFrame(from, to MAC, operation arp.Operation, sender netip.Addr, targetMAC MAC, target netip.Addr) ([]byte, error) {
	packet, err := arp.NewPacket(operation, from.hardware(), sender, targetMAC.hardware(), target)
	if err != nil {
		return nil, fmt.Errorf("make an ARP packet about %s: %w", target, err)
	}
	payload, err := packet.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("make an ARP packet about %s: %w", target, err)
	}
	return frame(from, to, ethernet.EtherTypeARP, payload)
}

func ndpFrame(from, to MAC, source, destination netip.Addr, message ndp.Message) ([]byte, error) {
	body, err := ndp.MarshalMessageChecksum(message, source, destination)
	if err != nil {
		return nil, fmt.Errorf("make a neighbor discovery message to %s: %w", destination, err)
	}
	packet := make([]byte, ipv6Header, ipv6Header+len(body))
	packet[0] = 6 << 4 // version
	binary.BigEndian.PutUint16(packet[4:6], uint16(len(body)))
	packet[6], packet[7] = icmpv6, hopLimit
	from16, to16 := source.As16(), destination.As16()
	copy(packet[8:24], from16[:])
	copy(packet[24:40], to16[:])
	return frame(from, to, ethernet.EtherTypeIPv6, append(packet, body...))
}

func frame(from, to MAC, kind ethernet.EtherType, payload []byte) ([]byte, error) {
	f := ethernet.Frame{Destination: to.hardware(), Source: from.hardware(), EtherType: kind, Payload: payload}
	b, err := f.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("make an Ethernet frame: %w", err)
	}
	return b, nil
}
