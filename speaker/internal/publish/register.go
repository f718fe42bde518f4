package publish

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
)

// register keeps the status objects of one kind as they should be: one for each Service that this node announces in that kind's way.
type register struct {
	kind
	node, namespace string
	client          client.Client
	owner           *owner
	// objects are those that exist, as mirror sees them.
	objects *inventory
	mirror  *mirror.Mirror
	// wishes work out what is to be told of each Service.
	wishes *mailbox[func() wishes]
	// created is called when a Service has got its object.
	created func(ipam.ServiceKey)
	// busy is true while there is something to write.
	busy atomic.Bool
}

// wishes are what the objects of a kind are to tell, by Service; there is to be no object for any other.
type wishes map[ipam.ServiceKey]wish

// wish is what one object is to tell.
type wish struct {
	// names are to be listed, sorted.
	names []string
	// sent is what routers were sent, by peer; only of bgpStatus.
	sent []delivery
	// leave says that it is not certain yet: what is there stays.
	leave bool
}

func (w wish) equal(o wish) bool {
	return w.leave == o.leave && slices.Equal(w.names, o.names) && slices.Equal(w.sent, o.sent)
}

// newRegister returns a register of this node that follows nothing yet.
func newRegister(o Options, owner *owner, k kind, created func(ipam.ServiceKey)) (*register, error) {
	r := &register{
		kind: k, node: o.Node, namespace: o.Namespace, client: o.Client, owner: owner,
		objects: newInventory(), wishes: newMailbox[func() wishes](), created: created,
	}
	var err error
	r.mirror, err = mirror.New(o.API, mirror.Kind{
		Object: k.empty(), Resource: k.resource, Namespace: o.Namespace,
		Labels: labels.Set{v1beta1.LabelNode: LabelValue(o.Node)}.String(), Slim: slim,
	}, r)
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", k.name, err)
	}
	return r, nil
}

// slim drops what an inventory does not take in: there is an object for every Service.
func slim(in any) (any, error) {
	if o, ok := in.(client.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
		o.SetFinalizers(nil)
	}
	return in, nil
}

// Put implements mirror.Keeper.
func (r *register) Put(o client.Object) {
	r.objects.store(objectOf(o, r.read(o)))
	r.wishes.wake()
}

// Drop implements mirror.Keeper.
func (r *register) Drop(key types.NamespacedName) {
	r.objects.remove(key.Name)
	r.wishes.wake()
}

// Retain implements mirror.Keeper.
func (r *register) Retain(exist map[types.NamespacedName]bool, resourceVersion string) {
	r.objects.retain(exist, resourceVersion)
	r.wishes.wake()
}

// write writes the objects that do not say what is wanted.
func (r *register) write(ctx context.Context) error {
	latest, version := r.wishes.get()
	if version == 0 {
		return nil
	}
	r.busy.Store(true)
	defer r.busy.Store(false)
	owner, err := r.owner.references(ctx, r.client)
	if err != nil {
		return err
	}
	want := latest()
	for _, s := range steps(want, r.objects.all(), r.node, owner) {
		if err := r.take(ctx, s, owner); err != nil {
			return err
		}
		latest, now := r.wishes.get()
		if now == version {
			continue
		}
		if version = now; !maps.EqualFunc(latest(), want, wish.equal) {
			r.wishes.wake() // some of the rest may not be wanted any more
			return nil
		}
	}
	return nil
}

// step is one write that brings the objects closer to what is wanted. At most one of its parts is set.
type step struct {
	// remove is the name of an object that says something untrue, or the same as another one.
	remove string
	// adopt is the name of an object that belongs to an earlier pod of this node's speaker.
	adopt string
	// report is an object whose status is not what it should be, names what it should list.
	report *object
	// create is the Service of an object that is missing.
	create *ipam.ServiceKey
	names  []string
	sent   []delivery
}

// steps compares what is wanted with the objects that exist and returns what to write: what is untrue goes first, what routers were sent, of which
// a session that comes or goes may change very much, last.
func steps(want wishes, have []object, node string, owner []metav1.OwnerReference) []step {
	var removals, adoptions, reports, creations, deliveries []step
	seen := map[ipam.ServiceKey]bool{}
	for _, o := range have {
		w, wanted := want[o.service]
		if !wanted || seen[o.service] {
			removals = append(removals, step{remove: o.name})
			continue
		}
		seen[o.service] = true
		if len(owner) > 0 && o.owner != owner[0].UID {
			adoptions = append(adoptions, step{adopt: o.name})
		}
		untrue := o.says.node != node || o.says.service != o.service
		if untrue || !w.leave && !slices.Equal(o.says.names, w.names) {
			reports = append(reports, step{report: &o, names: w.names, sent: w.sent})
		} else if !w.leave && !delivered(o.says.sent, w.sent) {
			deliveries = append(deliveries, step{report: &o, names: w.names, sent: w.sent})
		}
	}
	for key, w := range want {
		if !seen[key] && !w.leave {
			creations = append(creations, step{create: &key, names: w.names, sent: w.sent})
		}
	}
	slices.SortFunc(creations, func(a, b step) int {
		return cmp.Or(cmp.Compare(a.create.Namespace, b.create.Namespace), cmp.Compare(a.create.Name, b.create.Name))
	})
	return slices.Concat(removals, reports, creations, adoptions, deliveries)
}

// take carries out a step.
func (r *register) take(ctx context.Context, s step, owner []metav1.OwnerReference) error {
	switch {
	case s.remove != "":
		if err := r.client.Delete(ctx, r.named(s.remove)); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete %s %s: %w", r.name, s.remove, err)
		}
		r.objects.deleted(s.remove)
		return nil
	case s.adopt != "":
		return r.patch(ctx, s.adopt, map[string]any{"metadata": map[string]any{"ownerReferences": owner}}, false)
	case s.report != nil:
		return r.report(ctx, s.report.name, statement{r.node, s.report.service, s.names, settleDeliveries(s.report.says.sent, s.sent, time.Now())})
	default:
		return r.create(ctx, statement{r.node, *s.create, s.names, settleDeliveries(nil, s.sent, time.Now())}, owner)
	}
}

// named returns an object of the kind that has nothing but a name.
func (r *register) named(name string) client.Object {
	o := r.empty()
	o.SetNamespace(r.namespace)
	o.SetName(name)
	return o
}

func (r *register) create(ctx context.Context, says statement, owner []metav1.OwnerReference) error {
	service := says.service
	o := r.named("")
	o.SetGenerateName(r.prefix)
	o.SetOwnerReferences(owner)
	o.SetLabels(map[string]string{
		v1beta1.LabelNode:             LabelValue(r.node),
		v1beta1.LabelServiceName:      service.Name,
		v1beta1.LabelServiceNamespace: service.Namespace,
	})
	if err := r.client.Create(ctx, o); err != nil {
		return fmt.Errorf("create the %s of Service %s: %w", r.name, service, err)
	}
	r.objects.store(objectOf(o, r.read(o)))
	r.created(service)
	return r.report(ctx, o.GetName(), says)
}

func (r *register) report(ctx context.Context, name string, says statement) error {
	return r.patch(ctx, name, map[string]any{"status": r.status(says)}, true)
}

// patch merges content into an object, or its status. An object that is gone is forgotten, and the next comparison sees it missing.
func (r *register) patch(ctx context.Context, name string, content map[string]any, status bool) error {
	data, err := json.Marshal(content)
	if err != nil {
		return fmt.Errorf("encode a change of %s %s: %w", r.name, name, err)
	}
	o := r.named(name)
	if status {
		err = r.client.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, data))
	} else {
		err = r.client.Patch(ctx, o, client.RawPatch(types.MergePatchType, data))
	}
	switch {
	case apierrors.IsNotFound(err):
		r.objects.deleted(name)
		r.wishes.wake()
		return nil
	case apierrors.IsInvalid(err):
		// The keys of a status cannot be changed once set; somebody else must have set them. The object is of no use then.
		return r.take(ctx, step{remove: name}, nil)
	case err != nil:
		return fmt.Errorf("write %s %s: %w", r.name, name, err)
	}
	r.objects.store(objectOf(o, r.read(o)))
	return nil
}
