package operator

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// identity tells objects of different kinds apart.
type identity struct {
	kind schema.GroupVersionKind
	key  client.ObjectKey
}

// prune deletes what of these kinds the operator made for this MetalLB object, perhaps in an earlier version, and what is not desired.
func (r *Reconciler) prune(ctx context.Context, owner *v1beta1.MetalLB, desired []client.Object, kinds []schema.GroupVersionKind) error {
	wanted := make(map[identity]bool, len(desired))
	for _, object := range desired {
		wanted[identity{object.GetObjectKind().GroupVersionKind(), client.ObjectKeyFromObject(object)}] = true
	}
	var errs []error
	for _, kind := range kinds {
		objects, err := r.made(ctx, kind, owner)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, object := range objects {
			if !wanted[identity{kind, client.ObjectKeyFromObject(object)}] {
				errs = append(errs, r.delete(ctx, kind, object))
			}
		}
	}
	return errors.Join(errs...)
}

// made returns the objects of a kind that carry the operator's label and belong to owner: by owner reference inside its
// namespace, by label outside of it.
func (r *Reconciler) made(ctx context.Context, kind schema.GroupVersionKind, owner *v1beta1.MetalLB) ([]client.Object, error) {
	list, err := r.emptyList(kind)
	if err != nil {
		return nil, err
	}
	options := []client.ListOption{client.MatchingLabels{manifests.LabelManagedBy: manifests.ManagedBy}}
	if _, uncached := list.(*unstructured.UnstructuredList); uncached {
		// The API server is asked, not a cache that has only what there may be.
		options = append(options, client.InNamespace(owner.Namespace))
	}
	if err := r.client.List(ctx, list, options...); err != nil {
		return nil, fmt.Errorf("list every %s that the operator made: %w", kind.Kind, err)
	}
	items, err := meta.ExtractList(list)
	if err != nil {
		return nil, fmt.Errorf("list every %s that the operator made: %w", kind.Kind, err)
	}
	var out []client.Object
	for _, item := range items {
		object := item.(client.Object)
		ours := object.GetLabels()[manifests.LabelOwner] == owner.Namespace
		if object.GetNamespace() == owner.Namespace {
			ours = metav1.IsControlledBy(object, owner)
		}
		if ours {
			out = append(out, object)
		}
	}
	return out, nil
}

// emptyList returns a list for objects of a kind, untyped where the kind has no Go type here.
func (r *Reconciler) emptyList(kind schema.GroupVersionKind) (client.ObjectList, error) {
	of := kind.GroupVersion().WithKind(kind.Kind + "List")
	empty, err := r.client.Scheme().New(of)
	switch {
	case runtime.IsNotRegisteredError(err):
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(of)
		return list, nil
	case err != nil:
		return nil, err
	}
	return empty.(client.ObjectList), nil
}

// delete deletes the object that was seen, not one of the same name that came after it.
func (r *Reconciler) delete(ctx context.Context, kind schema.GroupVersionKind, object client.Object) error {
	uid := object.GetUID()
	err := r.client.Delete(ctx, object, client.PropagationPolicy(metav1.DeletePropagationBackground),
		client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("delete %s %s: %w", kind.Kind, client.ObjectKeyFromObject(object), err)
	}
	return nil
}
