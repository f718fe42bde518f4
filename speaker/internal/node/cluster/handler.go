package cluster

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// handler returns the event handler for one kind: it notes what has to be looked at again, if anything, and pulls the trigger.
func (c *Cluster) handler(kind client.Object) toolscache.ResourceEventHandler {
	var note func(old, now client.Object) func(*pending)
	switch kind.(type) {
	case *corev1.Node:
		note = c.noteNode
	case *corev1.Secret:
		note = noteSecret
	case *corev1.ConfigMap:
		note = noteExtras
	default:
		note = noteConfig
	}
	return handler(func(old, now client.Object) {
		c.updates.Add(1)
		what := note(old, now)
		if what == nil {
			return
		}
		c.mark(what)
		c.Trigger.Pull()
	})
}

// noteNode ignores the heartbeats, and changes of readiness, taints and unschedulable that nobody asked for.
func (c *Cluster) noteNode(old, now client.Object) func(*pending) {
	before, was := old.(*corev1.Node)
	after, is := now.(*corev1.Node)
	if was && is {
		old, now := c.nodeInfo(before), c.nodeInfo(after)
		// Kubernetes notes when a cordon began after the fact. Who saw it begin knows, and who starts later reads all of it.
		old.DrainingSince, now.DrainingSince = time.Time{}, time.Time{}
		if reflect.DeepEqual(old, now) {
			return nil
		}
	}
	return func(p *pending) { p.nodes = true }
}

// noteSecret ignores what is no password and was none, and rewrites of the same.
func noteSecret(old, now client.Object) func(*pending) {
	before, was := old.(*corev1.Secret)
	after, is := now.(*corev1.Secret)
	if was && is && before.UID == after.UID && before.Type == after.Type && reflect.DeepEqual(before.Data, after.Data) {
		return nil
	}
	return markConfig
}

// noteExtras ignores rewrites of the same: a ConfigMap has no generation.
func noteExtras(old, now client.Object) func(*pending) {
	before, was := old.(*corev1.ConfigMap)
	after, is := now.(*corev1.ConfigMap)
	if was && is && before.UID == after.UID && maps.Equal(before.Data, after.Data) {
		return nil
	}
	return markConfig
}

// noteConfig ignores changes of status: the API server counts up the generation whenever a spec changes.
func noteConfig(old, now client.Object) func(*pending) {
	if old != nil && now != nil && old.GetUID() == now.GetUID() && old.GetGeneration() == now.GetGeneration() &&
		maps.Equal(old.GetLabels(), now.GetLabels()) {
		return nil
	}
	return markConfig
}

func markConfig(p *pending) { p.config = true }

// handler is called with the object before and after each event: old is nil when it is new, now is nil when it is gone.
type handler func(old, now client.Object)

// OnAdd implements toolscache.ResourceEventHandler.
func (h handler) OnAdd(obj any, _ bool) {
	if o, ok := obj.(client.Object); ok {
		h(nil, o)
	}
}

// OnUpdate implements toolscache.ResourceEventHandler.
func (h handler) OnUpdate(before, after any) {
	old, was := before.(client.Object)
	now, is := after.(client.Object)
	if was && is {
		h(old, now)
	}
}

// OnDelete implements toolscache.ResourceEventHandler. A deletion that was missed while the watch was broken comes as a tombstone.
func (h handler) OnDelete(obj any) {
	if tombstone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	if o, ok := obj.(client.Object); ok {
		h(o, nil)
	}
}

func (c *Cluster) nodeInfo(n *corev1.Node) announce.NodeInfo {
	info := kubeview.NodeInfo(n)
	info.Impaired = kubeview.Impaired(n, c.Layer2Exclude)
	info.Draining, info.DrainingSince = kubeview.Draining(n, c.Drain)
	return info
}

func (c *Cluster) nodes(list []corev1.Node) []announce.NodeInfo {
	infos := make([]announce.NodeInfo, len(list))
	for i := range list {
		infos[i] = c.nodeInfo(&list[i])
	}
	slices.SortFunc(infos, func(a, b announce.NodeInfo) int { return strings.Compare(a.Name, b.Name) })
	return infos
}
