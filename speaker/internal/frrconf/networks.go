package frrconf

import (
	"net/netip"
	"slices"
	"sort"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// networks are the lines of the prefixes of one router.
type networks struct {
	// prefixes are sorted, IPv4 first, and lines hold their lines in that order; the line of prefixes[i] ends at ends[i].
	prefixes []announce.Prefix
	lines    []byte
	ends     []int
}

// update makes the lines those of these prefixes, and has m know the sets of tags that they have. It writes anew only what lies between the
// first and the last line that differ.
func (n *networks) update(prefixes []announce.Prefix, m *marks) {
	head := 0
	for head < min(len(prefixes), len(n.prefixes)) && same(&prefixes[head], &n.prefixes[head]) {
		head++
	}
	tail := 0
	for tail < min(len(prefixes), len(n.prefixes))-head && same(&prefixes[len(prefixes)-1-tail], &n.prefixes[len(n.prefixes)-1-tail]) {
		tail++
	}
	// What is the same as before is in order; so is all if what is new is, with its neighbors.
	if !slices.IsSortedFunc(prefixes[max(0, head-1):min(len(prefixes), len(prefixes)-tail+1)], byPrefix) {
		n.update(slices.SortedFunc(slices.Values(prefixes), byPrefix), m)
		return
	}
	fresh, ends := n.write(prefixes[head:len(prefixes)-tail], m)
	begin, end := n.end(head), n.end(len(n.prefixes)-tail)
	n.lines = slices.Replace(n.lines, begin, end, fresh...)
	n.ends = slices.Replace(n.ends, head, len(n.ends)-tail, ends...)
	for i := range n.ends[head:] {
		if at := head + i; at < len(n.ends)-tail {
			n.ends[at] += begin
		} else {
			n.ends[at] += begin + len(fresh) - end
		}
	}
	n.prefixes = prefixes
	m.know(prefixes)
}

// write returns the lines of prefixes, and where each ends.
func (n *networks) write(prefixes []announce.Prefix, m *marks) (lines []byte, ends []int) {
	ends = make([]int, 0, len(prefixes))
	for i := range prefixes {
		lines = append(lines, "\n  network "...)
		lines = prefixes[i].Prefix.AppendTo(lines)
		lines = append(lines, " route-map "...)
		lines = append(lines, m.set(prefixes[i].Tags)...)
		ends = append(ends, len(lines))
	}
	return lines, ends
}

// end is where the line before number i ends.
func (n *networks) end(i int) int {
	if i == 0 {
		return 0
	}
	return n.ends[i-1]
}

// families returns the lines of either family. They are valid until the next update.
func (n *networks) families() (v4, v6 []byte) {
	first6 := sort.Search(len(n.prefixes), func(i int) bool { return n.prefixes[i].Prefix.Addr().Is6() })
	at := n.end(first6)
	return n.lines[:at], n.lines[at:]
}

func same(a, b *announce.Prefix) bool { return a.Prefix == b.Prefix && sameTags(a.Tags, b.Tags) }

// sameTags takes a look at the values only where the lists are not one: most prefixes share one.
func sameTags(a, b []announce.Tag) bool {
	if len(a) != len(b) {
		return false
	}
	return len(a) == 0 || &a[0] == &b[0] || slices.Equal(a, b)
}

// byPrefix orders prefixes without host bits by address, IPv4 first, then length.
func byPrefix(a, b announce.Prefix) int { return comparePrefixes(a.Prefix, b.Prefix) }

func comparePrefixes(a, b netip.Prefix) int {
	if c := a.Addr().Compare(b.Addr()); c != 0 {
		return c
	}
	return a.Bits() - b.Bits()
}
