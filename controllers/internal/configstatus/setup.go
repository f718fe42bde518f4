package configstatus

import (
	"context"
	"fmt"
	"reflect"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Options are what the reconciler needs to know.
type Options struct {
	// Namespace is the one that the configuration is in.
	Namespace string
	// PodName is the pod that this program runs in, in Namespace; "" outside of a pod.
	PodName string
	// Listens tells that the nodes accept BGP sessions which routers open.
	Listens bool
	// Now is the clock of conditions; nil is time.Now.
	Now func() time.Time
}

// together is how long a report of a speaker waits for those of others.
const together = 500 * time.Millisecond

// saysElse lets updates of ConfigurationStates pass that say something else of what is in force.
func saysElse() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*v1beta1.ConfigurationState)
		after, is := e.ObjectNew.(*v1beta1.ConfigurationState)
		return !ok || !is || !reflect.DeepEqual(speakerOf(&before.Status), speakerOf(&after.Status))
	}}
}

// SetupWithManager makes mgr report on the configuration as long as it leads. The manager's cache must hold everything that
// kubeview.ReadAll lists, and ConfigurationStates, in the namespace.
func SetupWithManager(mgr manager.Manager, o Options) error {
	if o.Now == nil {
		o.Now = time.Now
	}
	r := &reconciler{Options: o, client: mgr.GetClient(), direct: mgr.GetAPIReader()}
	key := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: o.Namespace, Name: "configuration"}}
	enqueue := handler.EnqueueRequestsFromMapFunc(func(context.Context, client.Object) []reconcile.Request { return []reconcile.Request{key} })
	here := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetNamespace() == key.Namespace })
	// What users write raises the generation or changes labels or annotations; what programs write into a status does neither.
	written := builder.WithPredicates(predicate.And(here, predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{},
		predicate.AnnotationChangedPredicate{})))

	b := builder.ControllerManagedBy(mgr).Named("configstatus")
	for _, kind := range kinds() {
		b = b.Watches(kind, enqueue, written)
	}
	// A change of the configuration makes every speaker report. One look at what they say is enough for all that report meanwhile.
	reported := handler.Funcs{
		CreateFunc: func(_ context.Context, _ event.CreateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.AddAfter(key, together)
		},
		UpdateFunc: func(_ context.Context, _ event.UpdateEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.AddAfter(key, together)
		},
		DeleteFunc: func(_ context.Context, _ event.DeleteEvent, q workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			q.AddAfter(key, together)
		},
	}
	state := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetName() == stateName })
	err := b.
		Watches(&corev1.Secret{}, enqueue, builder.WithPredicates(here, predicate.ResourceVersionChangedPredicate{})).
		Watches(&corev1.Node{}, enqueue, builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&v1beta1.ConfigurationState{}, enqueue, builder.WithPredicates(predicate.And(here, state, predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{})))).
		Watches(&v1beta1.ConfigurationState{}, reported, builder.WithPredicates(predicate.And(here, predicate.NewPredicateFuncs(isSpeaker), saysElse()))).
		// The first verdict does not wait for an object to exist.
		WatchesRawSource(source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
			queue.Add(key)
			return nil
		})).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the status of the configuration: %w", err)
	}
	return nil
}
