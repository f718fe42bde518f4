package probe

import (
	"net/netip"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func nodeAt(name string, ready corev1.ConditionStatus, addresses ...string) corev1.Node {
	n := corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}
	for _, a := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

func TestGivenNodesWhenAnAddressIsToBeLookedForThenThoseThatAreReadyAndNearestAreAskedFirst(t *testing.T) {
	nodes := []corev1.Node{
		nodeAt("far", corev1.ConditionTrue, "203.0.113.1"),
		nodeAt("down", corev1.ConditionFalse, "192.0.2.1"),
		nodeAt("near-2", corev1.ConditionTrue, "198.51.100.9", "192.0.2.9", "2001:db8:1::1"),
		nodeAt("near-1", corev1.ConditionTrue, "192.0.2.8"),
		nodeAt("v6", corev1.ConditionTrue, "2001:db8:2::1"),
	}
	for _, row := range []struct {
		address string
		want    []string
	}{
		{"192.0.2.200", []string{"near-1", "near-2", "far"}},
		{"203.0.113.200", []string{"far", "near-1", "near-2"}},
		{"2001:db8:2::2", []string{"v6", "near-2", "far"}},
	} {
		if got := candidates(netip.MustParseAddr(row.address), nodes); !slices.Equal(got, row.want) {
			t.Errorf("about %s %v are asked, want %v", row.address, got, row.want)
		}
	}
	if got := candidates(netip.MustParseAddr("192.0.2.1"), nodes[1:2]); len(got) != 0 {
		t.Errorf("%v are asked though none is ready", got)
	}
}
