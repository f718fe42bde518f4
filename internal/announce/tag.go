package announce

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
)

// TagOf returns the mark of the BGPAdvertisement of that name: the first 64 bits of the name's SHA-256. Two names of one cluster share a
// mark with a probability of about n²/2⁶⁵.
func TagOf(advertisement string) Tag {
	sum := sha256.Sum256([]byte(advertisement))
	return Tag{High: binary.BigEndian.Uint32(sum[:4]), Low: binary.BigEndian.Uint32(sum[4:8])}
}

// Compare orders tags.
func (t Tag) Compare(o Tag) int {
	return cmp.Or(cmp.Compare(t.High, o.High), cmp.Compare(t.Low, o.Low))
}
