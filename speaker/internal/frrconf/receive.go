package frrconf

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strconv"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// receive is what a neighbor's route-map for what comes in accepts, before its last entry refuses the rest.
type receive struct {
	// All accepts everything; Lists is empty then.
	All   bool
	Lists []prefixList
}

// prefixList is a prefix-list of one family, and the place of the route-map's entry that matches it.
type prefixList struct {
	// Family is "ip" or "ipv6".
	Family  string
	Seq     int
	Entries []prefixEntry
}

// prefixEntry is one line of a prefix-list.
type prefixEntry struct {
	Seq  int
	Text string
}

// newReceive returns what is accepted of a neighbor, nil for nothing.
func newReceive(n *announce.Neighbor) *receive {
	if n.Receive.All {
		return &receive{All: true}
	}
	out := &receive{}
	for _, family := range []struct {
		list    prefixList
		carried bool
		is4     bool
	}{{prefixList{Family: "ip", Seq: 4}, n.IPv4(), true}, {prefixList{Family: "ipv6", Seq: 6}, n.IPv6(), false}} {
		var lines []string
		for _, p := range n.Receive.Prefixes {
			if family.carried && p.Prefix.Addr().Is4() == family.is4 {
				lines = append(lines, spelledPrefix(p))
			}
		}
		if len(lines) > 0 {
			family.list.Entries = numbered(lines)
			out.Lists = append(out.Lists, family.list)
		}
	}
	if len(out.Lists) == 0 {
		return nil
	}
	return out
}

// spelledPrefix writes lengths as few as say the same.
func spelledPrefix(p intent.ReceivePrefix) string {
	text := p.Prefix.String()
	bits, longest := p.Prefix.Bits(), p.Prefix.Addr().BitLen()
	if p.Shortest > bits {
		text += " ge " + strconv.Itoa(p.Shortest)
	}
	if p.Longest > bits && !(p.Shortest > bits && p.Longest == longest) {
		text += " le " + strconv.Itoa(p.Longest)
	}
	return text
}

// numbered gives each line a number derived from its text, so that one that comes or goes moves no other: FRR refuses a line that is in the
// list already, be it about to leave its place.
func numbered(lines []string) []prefixEntry {
	slices.Sort(lines)
	taken := map[int]bool{}
	var out []prefixEntry
	for _, text := range slices.Compact(lines) {
		sum := sha256.Sum256([]byte(text))
		seq := 1 + int(binary.BigEndian.Uint32(sum[:])%lastSeq)
		for taken[seq] {
			seq = 1 + seq%lastSeq
		}
		taken[seq] = true
		out = append(out, prefixEntry{Seq: seq, Text: text})
	}
	slices.SortFunc(out, func(a, b prefixEntry) int { return cmp.Compare(a.Seq, b.Seq) })
	return out
}
