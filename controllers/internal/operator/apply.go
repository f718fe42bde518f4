package operator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// AnnotationApplied is, on every object that the operator applies, a hash of what it applied. It tells a field that is no
// longer wanted, which the object still has, from one that somebody else added.
const AnnotationApplied = "metallb.io/applied"

// apply makes every object as wanted and tries all of them, whatever happens to one. Objects that are as wanted already are
// not written.
func (r *Reconciler) apply(ctx context.Context, owner *v1beta1.MetalLB, desired []client.Object) error {
	var errs []error
	for _, object := range desired {
		if err := r.applyOne(ctx, owner, object); err != nil {
			errs = append(errs, fmt.Errorf("apply %s: %w", describe(object), err))
		}
	}
	return errors.Join(errs...)
}

func (r *Reconciler) applyOne(ctx context.Context, owner *v1beta1.MetalLB, object client.Object) error {
	want, err := applicable(owner, object)
	if err != nil {
		return err
	}
	live, err := r.emptyLike(object)
	if err != nil {
		return err
	}
	switch err := r.client.Get(ctx, client.ObjectKeyFromObject(object), live); {
	case apierrors.IsNotFound(err):
		if _, ok := live.(*corev1.Secret); ok { // fails where somebody was faster
			return r.client.Create(ctx, want, client.FieldOwner(FieldManager))
		}
	case err != nil:
		return err
	default:
		if secret, ok := live.(*corev1.Secret); ok {
			if err := keepContent(want, secret); err != nil {
				return err
			}
		}
		have, err := runtime.DefaultUnstructuredConverter.ToUnstructured(live)
		if err != nil {
			return fmt.Errorf("compare: %w", err)
		}
		// Typed objects from a cache carry no kind.
		have["apiVersion"], have["kind"] = want.GetAPIVersion(), want.GetKind()
		if contains(have, want.Object) {
			return nil
		}
	}
	return r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), client.FieldOwner(FieldManager), client.ForceOwnership)
}

// keepContent leaves what a Secret holds as it is: it was random once, and is the users' to change. As the cache may be behind them, what is
// applied names the version it was made for, and fails with a conflict where that is not the latest.
func keepContent(want *unstructured.Unstructured, live *corev1.Secret) error {
	wanted, _, err := unstructured.NestedMap(want.Object, "data")
	if err != nil {
		return fmt.Errorf("keep its content: %w", err)
	}
	for key := range wanted {
		value := live.Data[key]
		if len(value) == 0 {
			continue
		}
		if err := unstructured.SetNestedField(want.Object, base64.StdEncoding.EncodeToString(value), "data", key); err != nil {
			return fmt.Errorf("keep its content: %w", err)
		}
	}
	want.SetResourceVersion(live.ResourceVersion)
	return nil
}

// emptyLike returns an object of the same kind, untyped where the kind has no Go type here.
func (r *Reconciler) emptyLike(object client.Object) (client.Object, error) {
	kind := object.GetObjectKind().GroupVersionKind()
	empty, err := r.client.Scheme().New(kind)
	switch {
	case runtime.IsNotRegisteredError(err):
		untyped := &unstructured.Unstructured{}
		untyped.SetGroupVersionKind(kind)
		return untyped, nil
	case err != nil:
		return nil, err
	}
	return empty.(client.Object), nil
}

// applicable returns object as a server-side apply takes it: only what is wanted, with its owner, which
// must be in the same namespace, and the hash of it all.
func applicable(owner *v1beta1.MetalLB, object client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("convert: %w", err)
	}
	// A typed object has these even when they are not wanted; applying them would claim them.
	delete(content, "status")
	unset(content)
	want := &unstructured.Unstructured{Object: content}
	if object.GetNamespace() == owner.Namespace {
		want.SetOwnerReferences([]metav1.OwnerReference{ownedBy(owner)})
	}
	text, err := json.Marshal(want.Object) // keys are sorted
	if err != nil {
		return nil, fmt.Errorf("hash: %w", err)
	}
	hash := sha256.Sum256(text)
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationApplied] = hex.EncodeToString(hash[:8])
	want.SetAnnotations(annotations)
	return want, nil
}

func ownedBy(owner *v1beta1.MetalLB) metav1.OwnerReference {
	return *metav1.NewControllerRef(owner, v1beta1.GroupVersion.WithKind("MetalLB"))
}

// unset removes null values, which typed objects have for times that are not set, and what becomes empty by that.
func unset(content map[string]any) {
	for key, value := range content {
		switch value := value.(type) {
		case nil:
			delete(content, key)
		case map[string]any:
			if len(value) == 0 {
				continue // meant: an emptyDir volume is an empty object
			}
			if unset(value); len(value) == 0 {
				delete(content, key)
			}
		case []any:
			for _, item := range value {
				if item, ok := item.(map[string]any); ok {
					unset(item)
				}
			}
		}
	}
}

// contains says whether have has all of want: every key of an object, every item of a list in its place. What else have
// holds is the API server's defaults or somebody else's.
func contains(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := have.(map[string]any)
		if !ok {
			return len(want) == 0 && have == nil
		}
		for key, value := range want {
			if got, there := have[key]; !there || !contains(got, value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := have.([]any)
		if !ok || len(have) != len(want) {
			return false
		}
		for i, value := range want {
			if !contains(have[i], value) {
				return false
			}
		}
		return true
	default:
		return have == want
	}
}

// describe names an object in messages: DaemonSet metallb-system/speaker.
func describe(object client.Object) string {
	return object.GetObjectKind().GroupVersionKind().Kind + " " + client.ObjectKeyFromObject(object).String()
}
