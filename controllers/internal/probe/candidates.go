package probe

import (
	"cmp"
	"math/bits"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// maxNodes is how many nodes are asked about one address, one after the other, until one is on the address's network.
const maxNodes = 3

// candidates returns the names of the nodes to ask about addr, the most promising first: those that are ready, by how many leading bits an
// address of theirs has in common with addr, then by name. A node of which the API shows no address of the family may be on the network all
// the same, and comes last.
func candidates(addr netip.Addr, nodes []corev1.Node) []string {
	type candidate struct {
		name   string
		common int
	}
	var list []candidate
	for i := range nodes {
		if !ready(&nodes[i]) {
			continue
		}
		c := candidate{name: nodes[i].Name}
		for _, own := range kubeview.NodeAddresses(&nodes[i]) {
			if own.BitLen() == addr.BitLen() {
				c.common = max(c.common, commonBits(own, addr))
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.common, a.common), cmp.Compare(a.name, b.name))
	})
	names := make([]string, 0, maxNodes)
	for _, c := range list[:min(maxNodes, len(list))] {
		names = append(names, c.name)
	}
	return names
}

func ready(n *corev1.Node) bool {
	return slices.ContainsFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
		return c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
	})
}

// commonBits counts the leading bits that two addresses of one family share.
func commonBits(a, b netip.Addr) int {
	x, y := a.AsSlice(), b.AsSlice()
	for i := range x {
		if d := x[i] ^ y[i]; d != 0 {
			return i*8 + bits.LeadingZeros8(d)
		}
	}
	return len(x) * 8
}
