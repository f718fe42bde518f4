package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"unique"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// object is what matters of a ServiceBGPStatus that exists.
type object struct {
	name, resourceVersion string
	service               ipam.ServiceKey
	owner                 types.UID
	status                v1beta1.ServiceBGPStatusStatus
}

// objectOf keeps one copy of what many objects have in common.
func objectOf(o *v1beta1.ServiceBGPStatus) object {
	intern := func(s string) string { return unique.Make(s).Value() }
	key := ipam.ServiceKey{Namespace: intern(o.Labels[v1beta1.LabelServiceNamespace]), Name: o.Labels[v1beta1.LabelServiceName]}
	out := object{name: o.Name, resourceVersion: o.ResourceVersion, status: o.Status, service: key}
	out.status.Node, out.status.ServiceNamespace = intern(o.Status.Node), intern(o.Status.ServiceNamespace)
	if out.status.ServiceName == key.Name {
		out.status.ServiceName = key.Name
	}
	for i, peer := range out.status.Peers {
		out.status.Peers[i] = intern(peer)
	}
	if len(o.OwnerReferences) == 1 {
		out.owner = types.UID(intern(string(o.OwnerReferences[0].UID)))
	}
	return out
}

// inventory is the ServiceBGPStatus objects of this node as the API has them: as its watch tells, or as the answer to a write told
// earlier.
type inventory struct {
	mu     sync.Mutex
	byName map[string]object
}

func newInventory() *inventory { return &inventory{byName: map[string]object{}} }

// store takes in a state of an object unless a newer one is known.
func (i *inventory) store(o *v1beta1.ServiceBGPStatus) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if have, ok := i.byName[o.Name]; ok {
		if order, err := resourceversion.CompareResourceVersion(have.resourceVersion, o.ResourceVersion); err == nil && order >= 0 {
			return
		}
	}
	i.byName[o.Name] = objectOf(o)
}

func (i *inventory) remove(name string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.byName, name)
}

// retain removes what is not among the names that exist as of a resource version, but for what was written since.
func (i *inventory) retain(exist map[types.NamespacedName]bool, resourceVersion string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	names := make(map[string]bool, len(exist))
	for key := range exist {
		names[key.Name] = true
	}
	maps.DeleteFunc(i.byName, func(name string, o object) bool {
		order, err := resourceversion.CompareResourceVersion(o.resourceVersion, resourceVersion)
		return !names[name] && (err != nil || order <= 0)
	})
}

// all returns the objects sorted by name.
func (i *inventory) all() []object {
	i.mu.Lock()
	defer i.mu.Unlock()
	list := make([]object, 0, len(i.byName))
	for _, o := range i.byName {
		list = append(list, o)
	}
	slices.SortFunc(list, func(a, b object) int { return cmp.Compare(a.name, b.name) })
	return list
}

// step is one write that brings the objects closer to what is wanted. At most one of its parts is set.
type step struct {
	// remove is the name of an object that says something untrue, or the same as another one.
	remove string
	// adopt is the name of an object that belongs to an earlier pod of this node's speaker.
	adopt string
	// report is an object whose status is not what it should be, peers what it should say.
	report *object
	// create is the Service of an object that is missing.
	create *ipam.ServiceKey
	peers  []string
}

// steps compares what is wanted with the objects that exist and returns what to write: what is untrue goes first.
func steps(want map[ipam.ServiceKey][]string, have []object, node string, owner []metav1.OwnerReference) []step {
	var removals, adoptions, reports, creations []step
	seen := map[ipam.ServiceKey]bool{}
	for _, o := range have {
		peers, wanted := want[o.service]
		if !wanted || seen[o.service] {
			removals = append(removals, step{remove: o.name})
			continue
		}
		seen[o.service] = true
		if len(owner) > 0 && o.owner != owner[0].UID {
			adoptions = append(adoptions, step{adopt: o.name})
		}
		s := o.status
		if s.Node != node || s.ServiceName != o.service.Name || s.ServiceNamespace != o.service.Namespace || !slices.Equal(s.Peers, peers) {
			reports = append(reports, step{report: &o, peers: peers})
		}
	}
	for key, peers := range want {
		if !seen[key] {
			creations = append(creations, step{create: &key, peers: peers})
		}
	}
	slices.SortFunc(creations, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.create.Namespace, b.create.Namespace), cmp.Compare(a.create.Name, b.create.Name))
	})
	return slices.Concat(removals, reports, creations, adoptions)
}

// take carries out a step.
func (p *Publisher) take(ctx context.Context, s step, owner []metav1.OwnerReference) error {
	switch {
	case s.remove != "":
		o := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: s.remove}}
		if err := p.Client.Delete(ctx, o); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ServiceBGPStatus %s: %w", s.remove, err)
		}
		p.objects.remove(s.remove)
		return nil
	case s.adopt != "":
		return p.patch(ctx, s.adopt, map[string]any{"metadata": map[string]any{"ownerReferences": owner}}, false)
	case s.report != nil:
		return p.report(ctx, s.report.name, s.report.service, s.peers)
	default:
		return p.create(ctx, *s.create, s.peers, owner)
	}
}

func (p *Publisher) create(ctx context.Context, service ipam.ServiceKey, peers []string, owner []metav1.OwnerReference) error {
	o := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{
		Namespace: p.Namespace, GenerateName: "bgp-", OwnerReferences: owner,
		Labels: map[string]string{
			v1beta1.LabelNode:             LabelValue(p.Node),
			v1beta1.LabelServiceName:      service.Name,
			v1beta1.LabelServiceNamespace: service.Namespace,
		},
	}}
	if err := p.Client.Create(ctx, o); err != nil {
		return fmt.Errorf("create the ServiceBGPStatus of Service %s: %w", service, err)
	}
	p.objects.store(o)
	return p.report(ctx, o.Name, service, peers)
}

func (p *Publisher) report(ctx context.Context, name string, service ipam.ServiceKey, peers []string) error {
	status := v1beta1.ServiceBGPStatusStatus{Node: p.Node, ServiceName: service.Name, ServiceNamespace: service.Namespace, Peers: peers}
	return p.patch(ctx, name, map[string]any{"status": status}, true)
}

// patch merges content into an object, or its status. An object that is gone is forgotten, and the next comparison sees it missing.
func (p *Publisher) patch(ctx context.Context, name string, content map[string]any, status bool) error {
	data, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode a change of ServiceBGPStatus %s: %w", name, err)
	}
	o := &v1beta1.ServiceBGPStatus{ObjectMeta: metav1.ObjectMeta{Namespace: p.Namespace, Name: name}}
	if status {
		err = p.Client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, data))
	} else {
		err = p.Client.Patch(ctx, o, client.RawPatch(types.MergePatchType, data))
	}
	switch {
	case apierrors.IsNotFound(err):
		p.objects.remove(name)
		p.services.wake()
		return nil
	case apierrors.IsInvalid(err):
		// The keys of a status cannot be changed once set; somebody else must have set them. The object is of no use then.
		return p.take(ctx, step{remove: name}, nil)
	case err != nil:
		return fmt.Errorf("write ServiceBGPStatus %s: %w", name, err)
	}
	p.objects.store(o)
	return nil
}
