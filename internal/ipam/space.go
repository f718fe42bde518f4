package ipam

import (
	"math/bits"
	"net/netip"
)

// space is the set of the addresses of one range that are taken, that is not to be given away as they come, kept as a trie over the bytes of the address: of each subtree it is
// known whether anything in it is free, so that the lowest free address is found in at most 32 steps, whatever the size of the range and
// however many addresses are taken. Only subtrees with something taken in them exist, so that a /64 costs no more than a /24.
type space struct {
	Range
	// avoidBuggy leaves out the addresses that end in .0 and .255.
	avoidBuggy bool
	// top is the index of the first byte, of the 16 of the IPv6 form, in which the range's ends differ; 15 if there is none.
	top  int
	root *node
}

// node stands for all addresses with one prefix of whole bytes. A child that does not exist and is not full has nothing taken.
type node struct {
	// full has a bit for each child without a free address; of a last byte's node the children are the addresses themselves.
	full bitmap
	kids map[byte]*node
	// taken counts the addresses taken below. A node that holds an end of the range is fixed: it is needed even when nothing is taken.
	taken int
	fixed bool
}

type bitmap [4]uint64

func (b *bitmap) set(i byte)     { b[i>>6] |= 1 << (i & 63) }
func (b *bitmap) clear(i byte)   { b[i>>6] &^= 1 << (i & 63) }
func (b *bitmap) complete() bool { return b[0]&b[1]&b[2]&b[3] == ^uint64(0) }

// clearFrom returns the lowest clear bit that is not below low, 256 if there is none.
func (b *bitmap) clearFrom(low int) int {
	for i := low >> 6; i < len(b); i++ {
		word := ^b[i]
		if i == low>>6 {
			word &= ^uint64(0) << (low & 63)
		}
		if word != 0 {
			return i<<6 + bits.TrailingZeros64(word)
		}
	}
	return 256
}

func newSpace(r Range, avoidBuggy bool) *space {
	s := &space{Range: r, avoidBuggy: avoidBuggy && r.Family() == IPv4, top: 15}
	first, last := r.First.As16(), r.Last.As16()
	for i := range first {
		if first[i] != last[i] {
			s.top = i
			break
		}
	}
	s.root = s.edge(s.top, first, last, true, true)
	return s
}

// edge builds the node at a byte index that holds the first address of the range, the last one, or both.
func (s *space) edge(at int, first, last [16]byte, holdsFirst, holdsLast bool) *node {
	n := &node{fixed: true}
	low, high := 0, 255
	if holdsFirst {
		low = int(first[at])
	}
	if holdsLast {
		high = int(last[at])
	}
	for i := range 256 {
		if i < low || i > high {
			n.full.set(byte(i))
		}
	}
	if at == 15 {
		s.leaveOut(n)
		return n
	}
	n.kids = map[byte]*node{}
	if holdsFirst {
		n.adopt(byte(low), s.edge(at+1, first, last, true, holdsLast && low == high))
	}
	if holdsLast && (!holdsFirst || low != high) {
		n.adopt(byte(high), s.edge(at+1, first, last, false, true))
	}
	return n
}

func (n *node) adopt(i byte, kid *node) {
	n.kids[i] = kid
	if kid.full.complete() {
		n.full.set(i)
	}
}

// leaveOut marks what avoidBuggyIPs leaves out in a last byte's node.
func (s *space) leaveOut(n *node) {
	if s.avoidBuggy {
		n.full.set(0)
		n.full.set(255)
	}
}

// lowest returns the lowest free address that is not below from, which lies in the range.
func (s *space) lowest(from netip.Addr) (netip.Addr, bool) {
	addr := from.As16()
	if !s.search(s.root, s.top, &addr, true) {
		return netip.Addr{}, false
	}
	return s.addr(addr), true
}

// search sets the bytes of addr, from the one at index at on, to those of the lowest free address below n; if bound is set it must not be
// below addr. It goes back at most once at each byte, when what is free below is too low: below a child that is not full is always something.
func (s *space) search(n *node, at int, addr *[16]byte, bound bool) bool {
	var full bitmap
	switch {
	case n != nil:
		full = n.full
	case at == 15 && s.avoidBuggy:
		full.set(0)
		full.set(255)
	}
	low := 0
	if bound {
		low = int(addr[at])
	}
	for i := full.clearFrom(low); i < 256; i = full.clearFrom(i + 1) {
		if at < 15 {
			var kid *node
			if n != nil {
				kid = n.kids[byte(i)]
			}
			if !s.search(kid, at+1, addr, bound && i == low) {
				continue
			}
		}
		addr[at] = byte(i)
		return true
	}
	return false
}

func (s *space) addr(bytes [16]byte) netip.Addr {
	addr := netip.AddrFrom16(bytes)
	if s.First.Is4() {
		return addr.Unmap()
	}
	return addr
}

// take marks an address of the range, which was free, as taken.
func (s *space) take(addr netip.Addr) {
	bytes := addr.As16()
	path, leaf := s.walk(bytes)
	leaf.full.set(bytes[15])
	leaf.taken++
	for at := 14; at >= s.top; at-- {
		path[at].taken++
		if path[at+1].full.complete() {
			path[at].full.set(bytes[at])
		}
	}
}

// free undoes take.
func (s *space) free(addr netip.Addr) {
	bytes := addr.As16()
	path, leaf := s.walk(bytes)
	if !s.avoidBuggy || !buggy(addr) {
		leaf.full.clear(bytes[15])
	}
	leaf.taken--
	for at := 14; at >= s.top; at-- {
		n, kid := path[at], path[at+1]
		n.taken--
		if !kid.full.complete() {
			n.full.clear(bytes[at])
		}
		if kid.taken == 0 && !kid.fixed {
			delete(n.kids, bytes[at])
		}
	}
}

// walk returns the nodes on the way to an address by byte index, creating those that do not exist, and the last of them.
func (s *space) walk(bytes [16]byte) (path [16]*node, leaf *node) {
	n := s.root
	for at := s.top; at < 15; at++ {
		path[at] = n
		kid := n.kids[bytes[at]]
		if kid == nil {
			kid = &node{}
			if at+1 == 15 {
				s.leaveOut(kid)
			} else {
				kid.kids = map[byte]*node{}
			}
			n.kids[bytes[at]] = kid
		}
		n = kid
	}
	path[15] = n
	return path, n
}
