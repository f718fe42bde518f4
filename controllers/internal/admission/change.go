package admission

import (
	"fmt"
	"maps"
	"slices"
	"strconv"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// change is what a request would do to one object.
type change struct {
	kind string
	// resource is what kubectl calls objects of the kind.
	resource string
	// old is nil when the object is created, now when it is deleted.
	old, now client.Object
}

// decode reads the objects of a request. Its error is one of the program, not of the user: the API server has judged the form.
func decode(decoder admission.Decoder, scheme *runtime.Scheme, req *admission.Request) (*change, error) {
	gvk := schema.GroupVersionKind{Group: req.Kind.Group, Version: req.Kind.Version, Kind: req.Kind.Kind}
	c := &change{kind: gvk.Kind, resource: schema.GroupResource{Group: req.Resource.Group, Resource: req.Resource.Resource}.String()}
	read := func(raw runtime.RawExtension, into *client.Object) error {
		if len(raw.Raw) == 0 {
			return nil
		}
		empty, err := scheme.New(gvk)
		if err != nil {
			return fmt.Errorf("decode the object: %w", err)
		}
		object, ok := empty.(client.Object)
		if !ok {
			return fmt.Errorf("decode the object: %s is no kind of object", gvk)
		}
		if err := decoder.DecodeRaw(raw, object); err != nil {
			return fmt.Errorf("decode the object: %w", err)
		}
		*into = object
		return nil
	}
	if err := read(req.OldObject, &c.old); err != nil {
		return nil, err
	}
	if req.Operation != admissionv1.Delete {
		if err := read(req.Object, &c.now); err != nil {
			return nil, err
		}
	}
	if c.old == nil && c.now == nil {
		return nil, fmt.Errorf("decode the object: the request to %s %s has none", req.Operation, gvk.Kind)
	}
	return c, nil
}

// object is the object as it will be, or as it was when it is deleted.
func (c *change) object() client.Object {
	if c.now == nil {
		return c.old
	}
	return c.now
}

// ref names the object as problems do.
func (c *change) ref() intent.ObjectRef {
	return intent.ObjectRef{Kind: c.kind, Namespace: c.object().GetNamespace(), Name: c.object().GetName()}
}

// matters tells whether the change is one of what the user wants: of the spec, of the labels that advertisements select pools by, of a
// Secret's content.
func (c *change) matters() bool {
	if c.old == nil || c.now == nil {
		return true
	}
	if !maps.Equal(c.old.GetLabels(), c.now.GetLabels()) && c.kind == intent.KindPool {
		return true
	}
	return !equality.Semantic.DeepEqual(wanted(c.old), wanted(c.now))
}

// wanted returns the part of an object that its user writes.
func wanted(o client.Object) any {
	switch o := o.(type) {
	case *v1beta1.IPAddressPool:
		return o.Spec
	case *v1beta2.BGPPeer:
		return o.Spec
	case *v1beta1.BGPAdvertisement:
		return o.Spec
	case *v1beta1.L2Advertisement:
		return o.Spec
	case *v1beta1.BFDProfile:
		return o.Spec
	case *v1beta1.Community:
		return o.Spec
	case *v1beta1.FRRSnippet:
		return o.Spec
	case *v1beta1.IPReservation:
		return o.Spec
	case *v1beta1.AddressQuota:
		return o.Spec
	case *v1beta1.MetalLB:
		return o.Spec
	case *corev1.Secret:
		return corev1.Secret{Type: o.Type, Data: o.Data}
	default:
		return o
	}
}

// in returns configuration with the object as it was before the change, and with it as it would be after. It changes no list of
// configuration's.
func (c *change) in(configuration kubeview.Objects) (before, after kubeview.Objects) {
	place(&configuration, c.object(), false)
	before, after = configuration, configuration
	if c.old != nil {
		place(&before, c.old, true)
	}
	if c.now != nil {
		place(&after, c.now, true)
	}
	return before, after
}

// place puts an object into o, or takes the one of its name out.
func place(o *kubeview.Objects, object client.Object, present bool) {
	switch x := object.(type) {
	case *v1beta1.IPAddressPool:
		o.Pools = with(o.Pools, x, present)
	case *v1beta2.BGPPeer:
		o.Peers = with(o.Peers, x, present)
	case *v1beta1.BGPAdvertisement:
		o.BGPAdvertisements = with(o.BGPAdvertisements, x, present)
	case *v1beta1.L2Advertisement:
		o.L2Advertisements = with(o.L2Advertisements, x, present)
	case *v1beta1.BFDProfile:
		o.BFDProfiles = with(o.BFDProfiles, x, present)
	case *v1beta1.Community:
		o.Communities = with(o.Communities, x, present)
	case *v1beta1.FRRSnippet:
		o.Snippets = with(o.Snippets, x, present)
	case *v1beta1.IPReservation:
		o.Reservations = with(o.Reservations, x, present)
	case *v1beta1.AddressQuota:
		o.Quotas = with(o.Quotas, x, present)
	case *corev1.Secret:
		o.Secrets = with(o.Secrets, x, present)
	}
}

// object is a pointer to a T that is an API object.
type object[T any] interface {
	*T
	client.Object
}

// with returns a copy of list without the object of x's name, and with x if present.
func with[T any, P object[T]](list []T, x P, present bool) []T {
	out := slices.DeleteFunc(slices.Clone(list), func(one T) bool {
		p := P(&one)
		return p.GetName() == x.GetName() && p.GetNamespace() == x.GetNamespace()
	})
	if present {
		out = append(out, *x)
	}
	return out
}

// leave is the value of the annotation metallb.io/allow-disruption that lets this change, and no later one, pass.
func (c *change) leave() string {
	switch {
	case c.kind == secretKind: // Secrets have no generation
		return "true"
	case c.old == nil:
		return strconv.FormatInt(c.now.GetGeneration(), 10)
	default:
		return strconv.FormatInt(c.old.GetGeneration(), 10)
	}
}

// permitted tells whether the object carries that leave.
func (c *change) permitted() bool {
	return c.object().GetAnnotations()[v1beta1.AnnotationAllowDisruption] == c.leave()
}

// secretKind is the only kind of object here that is not ours.
const secretKind = "Secret"
