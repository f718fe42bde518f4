package intent

import (
	"cmp"
	"fmt"
)

// Community is a standard (RFC 1997, A:B of 16 bits each) or large (RFC 8092, A:B:C of 32 bits each) BGP community.
type Community struct {
	Large   bool
	A, B, C uint32
}

// String returns FRR's notation: "A:B", or "A:B:C" for a large community.
func (c Community) String() string {
	if c.Large {
		return fmt.Sprintf("%d:%d:%d", c.A, c.B, c.C)
	}
	return fmt.Sprintf("%d:%d", c.A, c.B)
}

// Compare orders standard communities before large ones, then by value.
func (c Community) Compare(o Community) int {
	if c.Large != o.Large {
		if o.Large {
			return -1
		}
		return 1
	}
	return cmp.Or(cmp.Compare(c.A, o.A), cmp.Compare(c.B, o.B), cmp.Compare(c.C, o.C))
}
