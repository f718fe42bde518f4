package intent

import (
	"cmp"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// ExtCommunity is an extended community of two parts (RFC 4360, RFC 5668): a route target or a site of origin.
type ExtCommunity struct {
	// Kind is "rt" or "soo".
	Kind string
	// Address is the first part where that is an IPv4 address, the zero Addr otherwise; then it is ASN.
	Address netip.Addr
	ASN     uint32
	// Number is the second part. It exceeds 65535 only where ASN does not and there is no Address.
	Number uint32
}

// Value returns the two parts in FRR's notation, "64512:7" or "192.0.2.1:7".
func (c ExtCommunity) Value() string {
	if c.Address.IsValid() {
		return fmt.Sprintf("%s:%d", c.Address, c.Number)
	}
	return fmt.Sprintf("%d:%d", c.ASN, c.Number)
}

// String returns it as users write it, "rt:64512:7".
func (c ExtCommunity) String() string { return c.Kind + ":" + c.Value() }

// Compare orders by kind, then value.
func (c ExtCommunity) Compare(o ExtCommunity) int {
	return cmp.Or(cmp.Compare(c.Kind, o.Kind), cmp.Compare(c.ASN, o.ASN), c.Address.Compare(o.Address), cmp.Compare(c.Number, o.Number))
}

const wantedExtCommunity = "must be rt:a:b or soo:a:b, where a is an AS number or an IPv4 address and at most one of a and b exceeds 65535"

// parseExtCommunity reads "rt:a:b" or "soo:a:b".
func parseExtCommunity(text string) (c ExtCommunity, ok bool) {
	parts := strings.Split(text, ":")
	if len(parts) != 3 || parts[0] != "rt" && parts[0] != "soo" {
		return c, false
	}
	c.Kind = parts[0]
	size := 32
	if addr, err := netip.ParseAddr(parts[1]); err == nil && addr.Is4() {
		c.Address, size = addr, 16
	} else {
		asn, err := strconv.ParseUint(parts[1], 10, 32)
		if err != nil {
			return c, false
		}
		if c.ASN = uint32(asn); asn > 65535 {
			size = 16
		}
	}
	number, err := strconv.ParseUint(parts[2], 10, size)
	c.Number = uint32(number)
	return c, err == nil
}
