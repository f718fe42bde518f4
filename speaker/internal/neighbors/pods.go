package neighbors

import (
	"net/netip"
	"slices"
	"strings"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// container is the name of the speaker's container in its pod.
const container = "speaker"

// pod is what matters of a speaker's pod.
type pod struct {
	node      string
	addresses []netip.Addr
	// ready says that its speaker is: it has met the others. One that crashes again and again, or cannot open its port, is not.
	ready bool
	// leaving says that it is being deleted.
	leaving bool
}

// pods are those of all speakers, as far as the API has told.
type pods struct {
	// ipv4 is the family that the speakers gossip in.
	ipv4    bool
	changed chan struct{}

	mu sync.Mutex
	// known is nil before everything has been seen.
	known map[types.NamespacedName]pod
	seen  map[types.NamespacedName]pod
}

func newPods(ipv4 bool) *pods {
	return &pods{ipv4: ipv4, changed: make(chan struct{}, 1), seen: map[types.NamespacedName]pod{}}
}

// Put implements mirror.Keeper.
func (p *pods) Put(o client.Object) {
	from, ok := o.(*corev1.Pod)
	if !ok {
		return
	}
	one, key := podOf(from), client.ObjectKeyFromObject(o)
	p.change(func() {
		if one.node == "" || len(one.addresses) == 0 {
			delete(p.seen, key)
			return
		}
		p.seen[key] = one
	})
}

// Drop implements mirror.Keeper.
func (p *pods) Drop(key types.NamespacedName) { p.change(func() { delete(p.seen, key) }) }

// Retain implements mirror.Keeper.
func (p *pods) Retain(exist map[types.NamespacedName]bool, _ string) {
	p.change(func() {
		for key := range p.seen {
			if !exist[key] {
				delete(p.seen, key)
			}
		}
		p.known = p.seen
	})
}

func (p *pods) change(what func()) {
	p.mu.Lock()
	what()
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// peers returns who should be there, sorted by node, and whether that is known: it is not before everything has been seen.
func (p *pods) peers() (list []members.Peer, known bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.known == nil {
		return nil, false
	}
	at := map[string]pod{}
	for _, one := range p.known {
		// While a pod ends, its successor may be there already, with another address if it has a network of its own.
		if before, ok := at[one.node]; !ok || before.leaving {
			at[one.node] = one
		}
	}
	for node, one := range at {
		if i := slices.IndexFunc(one.addresses, func(a netip.Addr) bool { return a.Is4() == p.ipv4 }); i >= 0 {
			list = append(list, members.Peer{Name: node, Addr: one.addresses[i]})
		}
	}
	slices.SortFunc(list, func(a, b members.Peer) int { return strings.Compare(a.Name, b.Name) })
	return list, true
}

// ready returns which of the nodes have a speaker that is ready.
func (p *pods) ready(nodes []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var those []string
	for _, one := range p.known {
		if one.ready && slices.Contains(nodes, one.node) && !slices.Contains(those, one.node) {
			those = append(those, one.node)
		}
	}
	return those
}

// podOf returns what matters of a pod; without node or address when it is not a speaker's that runs, or will.
func podOf(from *corev1.Pod) pod {
	if from.Status.Phase == corev1.PodSucceeded || from.Status.Phase == corev1.PodFailed {
		return pod{}
	}
	one := pod{node: from.Spec.NodeName, leaving: from.DeletionTimestamp != nil}
	for _, ip := range append(slices.Clone(from.Status.PodIPs), corev1.PodIP{IP: from.Status.PodIP}) {
		if a, err := netip.ParseAddr(ip.IP); err == nil && !slices.Contains(one.addresses, a.Unmap()) {
			one.addresses = append(one.addresses, a.Unmap())
		}
	}
	one.ready = slices.ContainsFunc(from.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool { return c.Name == container && c.Ready })
	return one
}

// slim keeps of a pod what podOf looks at.
func slim(in any) (any, error) {
	from, ok := in.(*corev1.Pod)
	if !ok {
		return in, nil
	}
	out := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: from.Namespace, Name: from.Name, ResourceVersion: from.ResourceVersion, DeletionTimestamp: from.DeletionTimestamp},
		Spec:       corev1.PodSpec{NodeName: from.Spec.NodeName},
		Status:     corev1.PodStatus{Phase: from.Status.Phase, PodIP: from.Status.PodIP, PodIPs: from.Status.PodIPs},
	}
	for _, c := range from.Status.ContainerStatuses {
		if c.Name == container {
			out.Status.ContainerStatuses = append(out.Status.ContainerStatuses, corev1.ContainerStatus{Name: c.Name, Ready: c.Ready})
		}
	}
	return out, nil
}
