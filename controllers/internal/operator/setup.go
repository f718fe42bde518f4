package operator

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// The delays between attempts that fail: short at first, because most failures are conflicts; never more than a minute,
// because a user may have mended the cause.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Minute
)

// CacheOptions limit what a manager for the Reconciler keeps in memory, and needs the right to list, to what it looks at:
// the operator's namespace, and outside of it nodes and what the operator made.
func CacheOptions(namespace string) cache.Options {
	selector := labels.SelectorFromSet(labels.Set{manifests.LabelManagedBy: manifests.ManagedBy})
	made := cache.ByObject{Label: selector}
	roles := cache.ByObject{Namespaces: map[string]cache.Config{namespace: {}, manifests.NodeLeases: {LabelSelector: selector}}}
	return cache.Options{
		DefaultNamespaces: map[string]cache.Config{namespace: {}},
		ByObject: map[client.Object]cache.ByObject{
			&rbacv1.ClusterRole{}:        made,
			&rbacv1.ClusterRoleBinding{}: made,
			&rbacv1.Role{}:               roles,
			&rbacv1.RoleBinding{}:        roles,
			&corev1.Service{}:            made,
			&corev1.Node{}:               {Transform: trimNode},
			&corev1.ConfigMap{}:          {Transform: trimConfigMap},
			// The namespace's own labels.
			&corev1.Namespace{}: {Field: fields.OneTermEqualSelector("metadata.name", namespace)},
			&discoveryv1.EndpointSlice{}: {Namespaces: map[string]cache.Config{metav1.NamespaceDefault: {
				LabelSelector: labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: apiServerService}),
			}}},
			&corev1.Pod{}: {Label: labels.SelectorFromSet(labels.Set{manifests.LabelApp: manifests.App})},
			// Not the passwords of BGP sessions.
			&corev1.Secret{}: {Field: fields.OneTermEqualSelector("metadata.name", manifests.MemberlistSecret)},
		},
	}
}

// trimNode keeps of a node what the Reconciler looks at, and the labels, which admission needs.
func trimNode(object any) (any, error) {
	node, ok := object.(*corev1.Node)
	if !ok {
		return object, nil
	}
	trimmed := &corev1.Node{TypeMeta: node.TypeMeta, ObjectMeta: node.ObjectMeta}
	trimmed.ManagedFields, trimmed.Annotations = nil, nil
	trimmed.Status.Conditions = node.Status.Conditions
	return trimmed, nil
}

// trimConfigMap drops the content of ConfigMaps that the operator did not make: that they exist is all that matters.
func trimConfigMap(object any) (any, error) {
	if o, ok := object.(*corev1.ConfigMap); ok && o.Labels[manifests.LabelManagedBy] != manifests.ManagedBy {
		o.Data, o.BinaryData, o.ManagedFields = nil, nil, nil
	}
	return object, nil
}

// SetUp has mgr call the Reconciler for whatever may make the installation differ from what is wanted, or its state from
// what is reported.
func (r *Reconciler) SetUp(mgr manager.Manager) error {
	toInstallation := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request {
		return []reconcile.Request{r.installation()}
	})
	// Of what asks for FRR only the number counts.
	comesOrGoes := builder.WithPredicates(predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }})
	var asking []client.Object
	for _, kind := range asksForFRR() {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(kind)
		asking = append(asking, object)
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	b := builder.ControllerManagedBy(mgr)
	// A cluster is OpenShift from the start or never.
	openShift, err := has(mgr.GetRESTMapper(), manifests.SecurityContextConstraints())
	if err != nil {
		return err
	}
	if openShift {
		constraints := &unstructured.Unstructured{}
		constraints.SetGroupVersionKind(manifests.SecurityContextConstraints())
		b = b.Watches(constraints, toInstallation, builder.WithPredicates(predicate.NewPredicateFuncs(func(o client.Object) bool {
			return o.GetName() == manifests.SpeakerConstraints
		})))
	}
	for _, object := range asking {
		b = b.Watches(object, toInstallation, comesOrGoes)
	}
	if r.monitoring, err = newDiscovered(mgr); err != nil {
		return err
	}
	c, err := b.
		Named("metallb").
		// The operator's own status updates do not come back to it.
		For(&v1beta1.MetalLB{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Owns(&corev1.ServiceAccount{}).
		Owns(&corev1.Secret{}).
		Owns(&corev1.Service{}).
		Owns(&networkingv1.NetworkPolicy{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(&corev1.ConfigMap{}, toInstallation, builder.WithPredicates(configMapPredicate())).
		Watches(&discoveryv1.EndpointSlice{}, toInstallation).
		Watches(namespace, toInstallation, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Owns(&appsv1.Deployment{}).
		Owns(&appsv1.DaemonSet{}).
		Watches(&rbacv1.ClusterRole{}, toInstallation).
		Watches(&rbacv1.ClusterRoleBinding{}, toInstallation).
		// Those in other namespaces have no owner.
		Watches(&rbacv1.Role{}, toInstallation).
		Watches(&rbacv1.RoleBinding{}, toInstallation).
		Watches(&corev1.Pod{}, toInstallation, builder.WithPredicates(podPredicate())).
		Watches(&corev1.Node{}, toInstallation, builder.WithPredicates(nodePredicate())).
		WithOptions(controller.Options{
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry),
			// The program has one; tests of the package have one after the other.
			SkipNameValidation: new(true),
		}).
		Build(r)
	if err != nil {
		return fmt.Errorf("set up the controller of MetalLB objects: %w", err)
	}
	return wrap(mgr.Add(&follower{discovered: r.monitoring, cache: mgr.GetCache(), controller: c, every: r.lookEvery, installation: r.installation()}),
		"set up what looks for the API of the Prometheus operator")
}

// installation is the one object that is acted upon.
func (r *Reconciler) installation() reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: r.env.Namespace, Name: v1beta1.MetalLBName}}
}

// configMapPredicate lets through the operator's own, and the one that asks for FRR when it comes or goes.
func configMapPredicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return concerns(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return concerns(e.ObjectOld) && e.ObjectNew.GetName() != extrasConfigMap
		},
		DeleteFunc: func(e event.DeleteEvent) bool { return concerns(e.Object) },
	}
}

func concerns(configMap client.Object) bool {
	return configMap.GetName() == extrasConfigMap || configMap.GetLabels()[manifests.LabelManagedBy] == manifests.ManagedBy
}

// podPredicate lets through what changes how a pod is reported.
func podPredicate() predicate.Predicate {
	return predicate.And(predicate.NewPredicateFuncs(isOperand), predicate.Funcs{
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*corev1.Pod)
			after, ok2 := e.ObjectNew.(*corev1.Pod)
			if !ok1 || !ok2 {
				return true
			}
			return before.Spec.NodeName != after.Spec.NodeName || before.Status.Phase != after.Status.Phase ||
				diagnose(before, nil, time.Time{}) != diagnose(after, nil, time.Time{})
		},
	})
}

// nodePredicate lets through nodes that come, go, get lost or are found again; the reports of their kubelets are many.
func nodePredicate() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool {
			node, ok := e.Object.(*corev1.Node)
			return !ok || unreachable(node)
		},
		UpdateFunc: func(e event.UpdateEvent) bool {
			before, ok1 := e.ObjectOld.(*corev1.Node)
			after, ok2 := e.ObjectNew.(*corev1.Node)
			return !ok1 || !ok2 || unreachable(before) != unreachable(after)
		},
	}
}
