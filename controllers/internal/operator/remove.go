package operator

import (
	"context"
	"errors"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// remove takes an installation down in order: the workloads first, while their rights still hold; when their pods are gone,
// what lies outside the namespace; then it lets go of the object, and the API server's garbage collector takes the rest,
// which the object owns. Pods on unreachable nodes are not waited for: nobody can tell when they end.
func (r *Reconciler) remove(ctx context.Context, metallb *v1beta1.MetalLB) (reconcile.Result, error) {
	if !controllerutil.ContainsFinalizer(metallb, Finalizer) {
		return reconcile.Result{}, nil
	}
	// kubectl delete --cascade=orphan: the user keeps what runs.
	if !slices.Contains(metallb.Finalizers, metav1.FinalizerOrphanDependents) {
		gone, err := r.takeDown(ctx, metallb)
		if err != nil || !gone {
			return reconcile.Result{}, err // an event of the last pod comes back here
		}
	}
	return reconcile.Result{}, client.IgnoreNotFound(r.setFinalizer(ctx, metallb, false))
}

// takeDown deletes the workloads and, when their pods are gone, the objects outside the namespace. It says whether all that
// is done.
func (r *Reconciler) takeDown(ctx context.Context, metallb *v1beta1.MetalLB) (bool, error) {
	workloads := []schema.GroupVersionKind{
		appsv1.SchemeGroupVersion.WithKind("Deployment"), appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
	}
	if err := r.deleteAll(ctx, metallb, workloads, anywhere); err != nil {
		return false, err
	}
	seen, err := r.observe(ctx)
	if err != nil {
		return false, err
	}
	for _, pod := range seen.pods {
		if !seen.unreachable[pod.Spec.NodeName] {
			return false, nil
		}
	}
	env := r.env
	if env.OpenShift, err = r.onOpenShift(); err != nil {
		return false, err
	}
	rest := manifests.Kinds(env)
	slices.Reverse(rest) // bindings before what they bind
	return true, r.deleteAll(ctx, metallb, rest, func(o client.Object) bool { return o.GetNamespace() != metallb.Namespace })
}

func anywhere(client.Object) bool { return true }

// deleteAll deletes the objects of these kinds that the operator made for metallb where choose says so.
func (r *Reconciler) deleteAll(ctx context.Context, metallb *v1beta1.MetalLB, kinds []schema.GroupVersionKind, choose func(client.Object) bool) error {
	var errs []error
	for _, kind := range kinds {
		objects, err := r.made(ctx, kind, metallb)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		for _, object := range objects {
			if choose(object) && object.GetDeletionTimestamp().IsZero() {
				errs = append(errs, r.delete(ctx, kind, object))
			}
		}
	}
	return errors.Join(errs...)
}
