package service

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// Work is one thing for the worker to look at.
type Work struct {
	Kind WorkKind
	// Name is that of a Service, or of a namespace without the first part; empty for the other kinds.
	Name types.NamespacedName
}

// WorkKind says what a piece of Work is about.
type WorkKind uint8

// The kinds of Work.
const (
	// ServiceWork: the Service has changed, or a write of its status has ended.
	ServiceWork WorkKind = iota + 1
	// ConfigWork: pools, reservations or quotas have changed.
	ConfigWork
	// NamespaceWork: the labels of the namespace have changed.
	NamespaceWork
	// PendingWork: addresses have become free for Services that wait for one.
	PendingWork
	// ReservationsWork: who has which addresses has changed, or a retention has run out.
	ReservationsWork
	// StrangersWork: nodes or routers have got or lost addresses, or what was found out about a stranger's has become old.
	StrangersWork
	// AnswersWork: speakers have said whether addresses are in use.
	AnswersWork
)

var (
	configWork       = Work{Kind: ConfigWork}
	pendingWork      = Work{Kind: PendingWork}
	reservationsWork = Work{Kind: ReservationsWork}
	strangersWork    = Work{Kind: StrangersWork}
	answersWork      = Work{Kind: AnswersWork}
)

func serviceWork(key types.NamespacedName) Work { return Work{Kind: ServiceWork, Name: key} }

// inbox takes Work that comes from inside this program.
type inbox chan event.TypedGenericEvent[Work]

func (in inbox) put(ctx context.Context, w Work) {
	select {
	case in <- event.TypedGenericEvent[Work]{Object: w}:
	case <-ctx.Done():
	}
}

type workQueue = workqueue.TypedRateLimitingInterface[Work]

// sources are what makes the worker look: the start, Services, the configuration, namespaces, and what has ended inside this program.
func (r *Reconciler) sources(c cache.Cache) []source.TypedSource[Work] {
	return []source.TypedSource[Work]{
		source.TypedFunc[Work](func(_ context.Context, q workQueue) error {
			q.Add(configWork)
			return nil
		}),
		source.TypedChannel(r.inbox, handler.TypedFuncs[Work, Work]{
			GenericFunc: func(_ context.Context, e event.TypedGenericEvent[Work], q workQueue) { q.Add(e.Object) },
		}),
		source.TypedKind(c, &corev1.Service{}, each(func(svc *corev1.Service) Work {
			return serviceWork(client.ObjectKeyFromObject(svc))
		})),
		source.TypedKind(c, &v1beta1.IPAddressPool{}, r.poolEvents(), specChanged[*v1beta1.IPAddressPool]()),
		source.TypedKind(c, &v1beta1.IPReservation{}, each(func(*v1beta1.IPReservation) Work { return configWork }), specChanged[*v1beta1.IPReservation]()),
		source.TypedKind(c, &v1beta1.AddressQuota{}, each(func(*v1beta1.AddressQuota) Work { return configWork }), specChanged[*v1beta1.AddressQuota]()),
		source.TypedKind(c, namespaceKind(), each(func(ns *metav1.PartialObjectMetadata) Work {
			return Work{Kind: NamespaceWork, Name: types.NamespacedName{Name: ns.Name}}
		}), labelsChanged()),
		source.TypedKind(c, &corev1.Node{}, each(func(*corev1.Node) Work { return strangersWork }), addressesChanged()),
		source.TypedKind(c, &v1beta2.BGPPeer{}, each(func(*v1beta2.BGPPeer) Work { return strangersWork }), specChanged[*v1beta2.BGPPeer]()),
	}
}

// namespaceKind is a namespace of which only the metadata is read.
func namespaceKind() *metav1.PartialObjectMetadata {
	ns := &metav1.PartialObjectMetadata{}
	ns.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	return ns
}

// each enqueues the same work for whatever happens to an object.
func each[object client.Object](work func(object) Work) handler.TypedFuncs[object, Work] {
	return handler.TypedFuncs[object, Work]{
		CreateFunc: func(_ context.Context, e event.TypedCreateEvent[object], q workQueue) { q.Add(work(e.Object)) },
		UpdateFunc: func(_ context.Context, e event.TypedUpdateEvent[object], q workQueue) { q.Add(work(e.ObjectNew)) },
		DeleteFunc: func(_ context.Context, e event.TypedDeleteEvent[object], q workQueue) { q.Add(work(e.Object)) },
	}
}

// poolEvents also keeps what a pool said at last when it is deleted: whether its addresses may be lost with it.
func (r *Reconciler) poolEvents() handler.TypedFuncs[*v1beta1.IPAddressPool, Work] {
	events := each(func(*v1beta1.IPAddressPool) Work { return configWork })
	events.DeleteFunc = func(_ context.Context, e event.TypedDeleteEvent[*v1beta1.IPAddressPool], q workQueue) {
		r.departed.put(e.Object)
		q.Add(configWork)
	}
	return events
}

// specChanged keeps the status of objects, which this program writes itself, from waking it.
func specChanged[object client.Object]() predicate.TypedPredicate[object] {
	return predicate.TypedFuncs[object]{
		UpdateFunc: func(e event.TypedUpdateEvent[object]) bool {
			before, after := e.ObjectOld, e.ObjectNew
			return before.GetUID() != after.GetUID() || before.GetGeneration() != after.GetGeneration() ||
				before.GetAnnotations()[v1beta1.AnnotationAllowDisruption] != after.GetAnnotations()[v1beta1.AnnotationAllowDisruption]
		},
	}
}

func labelsChanged() predicate.TypedPredicate[*metav1.PartialObjectMetadata] {
	return predicate.TypedFuncs[*metav1.PartialObjectMetadata]{
		UpdateFunc: func(e event.TypedUpdateEvent[*metav1.PartialObjectMetadata]) bool {
			return !maps.Equal(e.ObjectOld.Labels, e.ObjectNew.Labels)
		},
	}
}

// addressesChanged ignores the heartbeats of nodes.
func addressesChanged() predicate.TypedPredicate[*corev1.Node] {
	return predicate.TypedFuncs[*corev1.Node]{
		UpdateFunc: func(e event.TypedUpdateEvent[*corev1.Node]) bool {
			return !slices.Equal(kubeview.NodeAddresses(e.ObjectOld), kubeview.NodeAddresses(e.ObjectNew))
		},
	}
}
