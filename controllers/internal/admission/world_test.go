package admission

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

const lab = "metallb-system"

// world is a cluster in memory, as far as a Handler looks at it.
type world struct {
	kubeview.Objects
	services []corev1.Service
	scheme   *runtime.Scheme
	handler  *Handler
	// now counts objects that were made; two of them are made in the same second.
	now int
}

func newWorld() (*world, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	w := &world{scheme: scheme, Objects: kubeview.Objects{Namespace: lab}}
	w.handler = New(Options{Namespace: lab, Scheme: scheme, Live: w, Nodes: w, Limit: time.Minute})
	return w, nil
}

// Get implements client.Reader for Secrets and namespaces.
func (w *world) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	switch into := into.(type) {
	case *corev1.Secret:
		for i := range w.Secrets {
			if w.Secrets[i].Name == key.Name && w.Secrets[i].Namespace == key.Namespace {
				w.Secrets[i].DeepCopyInto(into)
				return nil
			}
		}
		return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, key.Name)
	case *metav1.PartialObjectMetadata:
		into.Name = key.Name
		return nil
	default:
		return fmt.Errorf("nobody should get %T", into)
	}
}

// List implements client.Reader for everything else. As from an API server, only objects of the namespace are listed.
func (w *world) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	switch list := into.(type) {
	case *v1beta1.IPAddressPoolList:
		list.Items = here(w.Pools)
	case *v1beta2.BGPPeerList:
		list.Items = here(w.Peers)
	case *v1beta1.BGPAdvertisementList:
		list.Items = here(w.BGPAdvertisements)
	case *v1beta1.L2AdvertisementList:
		list.Items = here(w.L2Advertisements)
	case *v1beta1.BFDProfileList:
		list.Items = here(w.BFDProfiles)
	case *v1beta1.CommunityList:
		list.Items = here(w.Communities)
	case *v1beta1.FRRSnippetList:
		list.Items = here(w.Snippets)
	case *v1beta1.IPReservationList:
		list.Items = here(w.Reservations)
	case *v1beta1.AddressQuotaList:
		list.Items = here(w.Quotas)
	case *corev1.NodeList:
		list.Items = w.Nodes
	case *corev1.ServiceList:
		list.Items = w.services
	case *metav1.PartialObjectMetadataList:
		list.Items = []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "a", Labels: map[string]string{"name": "a"}}}, {ObjectMeta: metav1.ObjectMeta{Name: "b"}}}
	default:
		return fmt.Errorf("nobody should list %T", into)
	}
	return nil
}

func here[T any, P object[T]](list []T) []T {
	var out []T
	for i := range list {
		if P(&list[i]).GetNamespace() == lab {
			out = append(out, list[i])
		}
	}
	return out
}

// all returns every object that users write, but for Nodes.
func (w *world) all() []client.Object {
	var out []client.Object
	out = pointers(out, w.Pools)
	out = pointers(out, w.Peers)
	out = pointers(out, w.BGPAdvertisements)
	out = pointers(out, w.L2Advertisements)
	out = pointers(out, w.BFDProfiles)
	out = pointers(out, w.Communities)
	out = pointers(out, w.Snippets)
	out = pointers(out, w.Reservations)
	out = pointers(out, w.Quotas)
	return pointers(out, w.Secrets)
}

func pointers[T any, P object[T]](out []client.Object, list []T) []client.Object {
	for i := range list {
		out = append(out, P(&list[i]))
	}
	return out
}

// find returns the object of the kind and name of o, nil when there is none.
func (w *world) find(o client.Object) client.Object {
	for _, have := range w.all() {
		if fmt.Sprintf("%T", have) == fmt.Sprintf("%T", o) && have.GetName() == o.GetName() && have.GetNamespace() == o.GetNamespace() {
			return have
		}
	}
	return nil
}

// write makes the change that gives o its content: it creates or updates it, with the metadata that the API server would give it.
func (w *world) write(o client.Object) *change {
	old := w.find(o)
	if old == nil {
		w.now++
		o.SetUID(types.UID(fmt.Sprint(w.now)))
		o.SetGeneration(1)
		o.SetCreationTimestamp(metav1.NewTime(time.Unix(int64(w.now/2), 0)))
		return &change{now: o}
	}
	o.SetUID(old.GetUID())
	o.SetCreationTimestamp(old.GetCreationTimestamp())
	o.SetGeneration(old.GetGeneration())
	c := &change{old: old.DeepCopyObject().(client.Object), now: o}
	if c.matters() {
		o.SetGeneration(old.GetGeneration() + 1)
	}
	return c
}

// carryOut stores what a change wants.
func (w *world) carryOut(c *change) { _, w.Objects = c.in(w.Objects) }

// problems returns what is wrong with the configuration before and after a change.
func (w *world) problems(c *change) (was, will intent.Snapshot, before, after []intent.Problem) {
	a, b := c.in(w.Objects)
	was, before = intent.Build(kubeview.Raw(a), intent.Snapshot{})
	will, after = intent.Build(kubeview.Raw(b), intent.Snapshot{})
	return was, will, before, after
}

// ask puts a change to the Handler as the API server would.
func (w *world) ask(c *change) (admission.Response, error) {
	gvk, err := apiutil.GVKForObject(c.object(), w.scheme)
	if err != nil {
		return admission.Response{}, err
	}
	c.kind = gvk.Kind
	req := admission.Request{AdmissionRequest: admissionv1.AdmissionRequest{
		UID: "1", Kind: metav1.GroupVersionKind{Group: gvk.Group, Version: gvk.Version, Kind: gvk.Kind}, Operation: admissionv1.Update,
		Resource: metav1.GroupVersionResource{Group: gvk.Group, Version: gvk.Version, Resource: "things"},
	}}
	switch {
	case c.old == nil:
		req.Operation = admissionv1.Create
	case c.now == nil:
		req.Operation = admissionv1.Delete
	}
	if c.old != nil {
		if req.OldObject.Raw, err = json.Marshal(c.old); err != nil {
			return admission.Response{}, err
		}
	}
	if c.now != nil {
		if req.Object.Raw, err = json.Marshal(c.now); err != nil {
			return admission.Response{}, err
		}
	}
	return w.handler.Handle(context.Background(), req), nil
}
