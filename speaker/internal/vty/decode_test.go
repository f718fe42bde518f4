package vty

import (
	"encoding/binary"
	"testing"
)

// datagram is a message as FRR writes it, with a header that is longer than the part that is read.
func datagram(text string, prefix, lost uint32) []byte {
	const header = liveMinimum + 24
	b := make([]byte, header, header+len(text))
	for at, value := range map[int]uint32{liveHeaderLength: header, liveLost: lost, liveTextLength: uint32(len(text)), liveTextPrefix: prefix} {
		binary.NativeEndian.PutUint32(b[at:], value)
	}
	return append(b, text...)
}

func TestGivenADatagramOfALogWhenDecodedThenItsTextIsReadWithoutPrefixAndPassword(t *testing.T) {
	for _, c := range []struct {
		text   string
		prefix uint32
		want   string
	}{
		{"[ABCDE-FGHIJ] 192.0.2.2 went from Idle to Connect\n", 14, "192.0.2.2 went from Idle to Connect"},
		{"neighbor 192.0.2.2 password hunter2", 0, "neighbor 192.0.2.2 password ***"},
		{"", 0, ""},
	} {
		if got, ok := decode(datagram(c.text, c.prefix, 3)); !ok || got.Text != c.want || got.Lost != 3 {
			t.Errorf("%q is read as %+v, %v, want %q and 3 lost", c.text, got, ok, c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(datagram("[ABCDE-FGHIJ] text", 14, 0))
	f.Add(datagram("short", 200, 0))
	f.Add([]byte("too short"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, ok := decode(b); ok && len(got.Text) > len(b)+len("***") {
			t.Errorf("%d bytes are read as %d", len(b), len(got.Text))
		}
	})
}
