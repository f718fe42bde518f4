package kubeview

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// NodeInfo returns what announcing needs to know of a node (rules N3 and N4). Readiness, taints and unschedulable do not matter (rule N5),
// unless the user wants that: see Impaired.
func NodeInfo(n *corev1.Node) announce.NodeInfo {
	_, excluded := n.Labels[v1beta1.NodeLabelExcludeBalancers]
	info := announce.NodeInfo{Name: n.Name, Labels: n.Labels, Excluded: excluded}
	for i := range n.Status.Conditions {
		c := &n.Status.Conditions[i]
		if c.Type == corev1.NodeNetworkUnavailable {
			info.NetworkUnavailable = c.Status == corev1.ConditionTrue
		}
	}
	return info
}

// Lost tells whether Kubernetes has not heard from the node for a while: its kubelet reports nothing any more. What else runs there may, or may not.
func Lost(n *corev1.Node) bool {
	c := ready(n)
	return c != nil && c.Status == corev1.ConditionUnknown
}

func rawNode(n *corev1.Node) intent.RawNode {
	return intent.RawNode{Name: n.Name, Labels: n.Labels, Addresses: NodeAddresses(n)}
}

// NodeAddresses returns the node's own addresses, internal and external. What does not parse, and host names, are left out: a kubelet or a
// cloud provider wrote them, and nobody here can mend that.
func NodeAddresses(n *corev1.Node) []netip.Addr {
	var out []netip.Addr
	for i := range n.Status.Addresses {
		a := &n.Status.Addresses[i]
		if a.Type != corev1.NodeInternalIP && a.Type != corev1.NodeExternalIP {
			continue
		}
		if addr, err := netip.ParseAddr(a.Address); err == nil {
			out = append(out, addr.Unmap().WithZone(""))
		}
	}
	return out
}
