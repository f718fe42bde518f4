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

// wellKnown are the standard communities with a name: RFC 1997, 3765, 7611, 7999, 8326, 9494, as FRR spells them.
var wellKnown = map[string]Community{
	"graceful-shutdown": {A: 65535, B: 0}, "accept-own": {A: 65535, B: 1}, "llgr-stale": {A: 65535, B: 6}, "no-llgr": {A: 65535, B: 7},
	"blackhole": {A: 65535, B: 666}, "no-export": {A: 65535, B: 65281}, "no-advertise": {A: 65535, B: 65282},
	"local-AS": {A: 65535, B: 65283}, "no-peer": {A: 65535, B: 65284},
}
