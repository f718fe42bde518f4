package ipam

import (
	"fmt"
	"math"
	"math/bits"
	"net/netip"
	"strings"
)

// Family is an IP address family.
type Family uint8

// The address families.
const (
	IPv4 Family = 4
	IPv6 Family = 6
)

// FamilyOf returns the family of a valid address.
func FamilyOf(addr netip.Addr) Family {
	if addr.Unmap().Is4() {
		return IPv4
	}
	return IPv6
}

// index is the place of the family where something is counted by family.
func (f Family) index() int {
	if f == IPv4 {
		return 0
	}
	return 1
}

// String returns "IPv4" or "IPv6".
func (f Family) String() string {
	if f == IPv4 {
		return "IPv4"
	}
	return "IPv6"
}

// ParseRange parses one entry of an IPAddressPool's spec.addresses: a prefix such as 192.0.2.0/24, of which bits beyond the prefix length
// are ignored, or a first and a last address of one family separated by "-", with or without spaces around it. A single address is not
// a range; it is written as 192.0.2.7/32. The error says what is wrong without repeating text.
func ParseRange(text string) (Range, error) {
	text = strings.TrimSpace(text)
	first, last, isPair := strings.Cut(text, "-")
	if isPair {
		return parsePair(strings.TrimSpace(first), strings.TrimSpace(last))
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		return Range{}, fmt.Errorf("wanted a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20")
	}
	if prefix.Addr().Is4In6() {
		return Range{}, fmt.Errorf("wanted an IPv4 prefix in plain notation, not mapped into IPv6")
	}
	return RangeOf(prefix), nil
}

// RangeOf returns the range of all addresses of a valid prefix.
func RangeOf(prefix netip.Prefix) Range {
	first := prefix.Masked().Addr()
	last := first.AsSlice()
	for i := prefix.Bits(); i < first.BitLen(); i++ {
		last[i/8] |= 0x80 >> (i % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return Range{First: first, Last: end}
}

func parsePair(first, last string) (Range, error) {
	var r Range
	for _, end := range []struct {
		text string
		into *netip.Addr
	}{{first, &r.First}, {last, &r.Last}} {
		addr, err := netip.ParseAddr(end.text)
		if err != nil || addr.Zone() != "" || addr.Is4In6() {
			return Range{}, fmt.Errorf("%q is not an IP address", end.text)
		}
		*end.into = addr
	}
	if r.First.BitLen() != r.Last.BitLen() {
		return Range{}, fmt.Errorf("wanted two addresses of one family")
	}
	if r.Last.Less(r.First) {
		return Range{}, fmt.Errorf("wanted the lower address first")
	}
	return r, nil
}

// String returns the range as first-last.
func (r Range) String() string { return r.First.String() + "-" + r.Last.String() }

// Family returns the family of the range's addresses.
func (r Range) Family() Family { return FamilyOf(r.First) }

// Overlaps tells whether the two ranges have an address in common.
func (r Range) Overlaps(o Range) bool {
	return r.First.BitLen() == o.First.BitLen() && r.First.Compare(o.Last) <= 0 && o.First.Compare(r.Last) <= 0
}

// Unlimited is the size reported for ranges of 2^62 addresses and more, and for sums that come to as much: they never run out, and
// MetalLB reports the same number.
const Unlimited = math.MaxInt64

// Size returns how many addresses the range has, without those that avoidBuggyIPs leaves out if avoidBuggy is set, or Unlimited.
func (r Range) Size(avoidBuggy bool) int64 {
	first, last := r.First.As16(), r.Last.As16()
	high := be64(last[:8]) - be64(first[:8])
	low, borrow := bits.Sub64(be64(last[8:]), be64(first[8:]), 0)
	high -= borrow
	if high > 0 || low >= 1<<62-1 {
		return Unlimited
	}
	size := int64(low) + 1
	if avoidBuggy && r.Family() == IPv4 {
		size -= buggyBelow(be64(last[8:])&math.MaxUint32+1) - buggyBelow(be64(first[8:])&math.MaxUint32)
	}
	return size
}

// buggyBelow counts the IPv4 addresses, as numbers, under limit that end in .0 or .255.
func buggyBelow(limit uint64) int64 {
	count := int64(limit>>8) * 2
	if limit&0xff > 0 {
		count++
	}
	return count
}

// buggy tells whether avoidBuggyIPs leaves addr out: the IPv4 addresses that end in .0 or .255 (rule A9).
func buggy(addr netip.Addr) bool {
	if !addr.Is4() {
		return false
	}
	last := addr.As4()[3]
	return last == 0 || last == 255
}

func be64(b []byte) uint64 {
	var v uint64
	for _, x := range b[:8] {
		v = v<<8 | uint64(x)
	}
	return v
}

// addSize adds counts of addresses, staying at Unlimited.
func addSize(a, b int64) int64 {
	if a > Unlimited-b {
		return Unlimited
	}
	return a + b
}
