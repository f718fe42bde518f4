package wire

import (
	"encoding/binary"
	"fmt"
	"net/netip"

	"golang.org/x/net/bpf"
)

// The Ethernet types to bind a packet socket to, together with the filter of the same family.
const (
	EtherTypeARP  = 0x0806
	EtherTypeIPv6 = 0x86dd
)

// longestFilter is the number of addresses up to which a filter compares them: a jump of the program spans 255 instructions, and there are
// two comparisons for each address.
const longestFilter = 100

// Offsets into a frame, in bytes. Of IPv6 addresses, only the last four bytes are compared.
const (
	arpSender   = ethernetHeader + 14
	arpTarget   = ethernetHeader + 24
	ndpNext     = ethernetHeader + 6
	ndpType     = ethernetHeader + ipv6Header
	ndpSender   = ethernetHeader + 8 + 12
	ndpTarget   = ethernetHeader + ipv6Header + 8 + 12
	wholeFrame  = 1 << 16
	addressWord = 4
)

// ARPFilter returns a program for the kernel that lets ARP packets pass whose sender or target is one of the addresses, so that all others
// wake nobody. With no address, or more than a hundred, every ARP packet passes. What passes still has to be parsed.
func ARPFilter(addresses ...netip.Addr) ([]bpf.RawInstruction, error) {
	return assemble(nil, arpSender, arpTarget, addresses)
}

// NDPFilter is like ARPFilter for neighbor solicitations and advertisements, on a socket that gets all IPv6. It may let pass a message about
// another address.
func NDPFilter(addresses ...netip.Addr) ([]bpf.RawInstruction, error) {
	return assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: ndpNext, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: icmpv6, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
		bpf.LoadAbsolute{Off: ndpType, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeSolicitation, SkipTrue: 2},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeAdvertisement, SkipTrue: 1},
		bpf.RetConstant{Val: 0},
	}, ndpSender, ndpTarget, addresses)
}

func assemble(program []bpf.Instruction, sender, target uint32, addresses []netip.Addr) ([]bpf.RawInstruction, error) {
	if n := len(addresses); n > 0 && n <= longestFilter {
		// After the comparisons comes the instruction that refuses, then the one that lets pass.
		left := 2 * (n + 1)
		for _, offset := range []uint32{sender, target} {
			program = append(program, bpf.LoadAbsolute{Off: offset, Size: addressWord})
			left--
			for _, address := range addresses {
				b := address.AsSlice()
				left--
				program = append(program, bpf.JumpIf{
					Cond: bpf.JumpEqual, Val: binary.BigEndian.Uint32(b[len(b)-addressWord:]), SkipTrue: uint8(left + 1),
				})
			}
		}
		program = append(program, bpf.RetConstant{Val: 0})
	}
	raw, err := bpf.Assemble(append(program, bpf.RetConstant{Val: wholeFrame}))
	if err != nil {
		return nil, fmt.Errorf("assemble a filter for %d addresses: %w", len(addresses), err)
	}
	return raw, nil
}
