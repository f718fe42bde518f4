package announce

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"slices"
)

// Ranks keeps, from one pass to the next, in which order MetalLB's hash puts the nodes for an address: a pass over thousands of addresses
// would otherwise hash each with every node again. The zero value is ready for use. It holds orders of one list of nodes, and of no more
// than a few times the addresses that the last pass asked for.
type Ranks struct {
	nodes  []string
	orders map[netip.Addr][]uint32
}

// about prepares for a pass over those nodes and as many addresses.
func (r *Ranks) about(nodes []string, addresses int) {
	if !slices.Equal(r.nodes, nodes) || r.orders == nil || len(r.orders) > 2*addresses+1024 {
		r.nodes, r.orders = nodes, make(map[netip.Addr][]uint32, addresses)
	}
}

// order returns the indexes of all nodes, first the one that MetalLB's election puts first.
func (r *Ranks) order(key netip.Addr) []uint32 {
	order, ok := r.orders[key]
	if !ok {
		order = hashOrder(r.nodes, key)
		r.orders[key] = order
	}
	return order
}

// hashOrder sorts nodes by hash, lowest first (rule L3). Equal hashes are equal names.
func hashOrder(nodes []string, key netip.Addr) []uint32 {
	sums := make([][sha256.Size]byte, len(nodes))
	order := make([]uint32, len(nodes))
	text := key.AppendTo([]byte{'#'})
	var buffer []byte
	for i, node := range nodes {
		buffer = append(append(buffer[:0], node...), text...)
		sums[i], order[i] = sha256.Sum256(buffer), uint32(i)
	}
	slices.SortFunc(order, func(a, b uint32) int { return bytes.Compare(sums[a][:], sums[b][:]) })
	return order
}

// shareOf is a number from 0 to 99, evenly spread over the keys and unrelated to the node's place in the order: a node that withholds 75 %
// of its placement keeps to the keys whose number is 75 or more.
func shareOf(node string, key netip.Addr) int {
	sum := sha256.Sum256(key.AppendTo(append([]byte(node), '#')))
	return (int(sum[len(sum)-2])<<8 | int(sum[len(sum)-1])) * 100 >> 16
}
