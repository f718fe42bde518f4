package announced

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
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
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/configstatus"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager makes mgr write the condition as long as it leads. The manager's cache must hold Services, Nodes and, in the namespace, the
// configuration and ConfigurationStates; its scheme the kinds of discovery.k8s.io.
func SetupWithManager(mgr manager.Manager, o Options) error {
	r := newReconciler(o, mgr.GetClient())
	f := &feed{reconciler: r}
	touch := func(key ipam.ServiceKey) { f.later(keyOf(key)) }
	r.routes = newReports(readRoute, sameRoute, touch)
	r.answering = newReports(readAnswering, sameText, touch)
	r.sessions = newReports(readSession, sameText, func(announce.Session) { f.later(diagnoses) })
	r.endpoints = newReports(readEndpoints, slices.Equal[[]kubeview.Endpoint], touch)
	api := mirror.API{Config: mgr.GetConfig(), HTTP: mgr.GetHTTPClient(), Scheme: mgr.GetScheme()}
	for _, m := range []struct {
		kind   mirror.Kind
		keeper mirror.Keeper
	}{
		{mirror.Kind{Object: &v1beta1.ServiceBGPStatus{}, Resource: "servicebgpstatuses", Namespace: o.Namespace, Slim: slim}, r.routes},
		{mirror.Kind{Object: &v1beta1.ServiceL2Status{}, Resource: "servicel2statuses", Namespace: o.Namespace, Slim: slim}, r.answering},
		{mirror.Kind{Object: &v1beta1.BGPSessionState{}, Resource: "bgpsessionstates", Namespace: o.Namespace, Slim: slim}, r.sessions},
		{mirror.Kind{Object: &discoveryv1.EndpointSlice{}, Resource: "endpointslices", Slim: slim}, r.endpoints},
	} {
		one, err := mirror.New(api, m.kind, m.keeper)
		if err != nil {
			return fmt.Errorf("setting up what follows %s: %w", m.kind.Resource, err)
		}
		f.mirrors = append(f.mirrors, one)
	}
	r.ready, r.sweep = f.ready, f.sweep
	if err := f.watch(mgr).Complete(r); err != nil {
		return fmt.Errorf("setting up the condition Announced of Services: %w", err)
	}
	return nil
}

// feed is what wakes the reconciler.
type feed struct {
	*reconciler
	mirrors []*mirror.Mirror

	mu    sync.Mutex
	queue queue
}

// watch names what is watched.
func (f *feed) watch(mgr manager.Manager) *builder.Builder {
	written := predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicate.LabelChangedPredicate{}, predicate.AnnotationChangedPredicate{})
	here := predicate.NewPredicateFuncs(func(o client.Object) bool { return o.GetNamespace() == f.Namespace })
	general := f.handler(func(client.Object) reconcile.Request { return everything })
	b := builder.ControllerManagedBy(mgr).Named("announced").
		Watches(&corev1.Service{}, f.handler(func(o client.Object) reconcile.Request {
			return reconcile.Request{NamespacedName: client.ObjectKeyFromObject(o)}
		})).
		Watches(&corev1.Node{}, f.handler(func(client.Object) reconcile.Request { return nodes }), builder.WithPredicates(nodeChanges())).
		Watches(&corev1.Secret{}, general, builder.WithPredicates(here, predicate.ResourceVersionChangedPredicate{})).
		Watches(&v1beta1.ConfigurationState{}, general, builder.WithPredicates(here, configstatus.SpeakerChanges()))
	for _, kind := range []client.Object{
		&v1beta1.IPAddressPool{}, &v1beta2.BGPPeer{}, &v1beta1.BGPAdvertisement{}, &v1beta1.L2Advertisement{}, &v1beta1.BFDProfile{}, &v1beta1.Community{},
	} {
		b = b.Watches(kind, general, builder.WithPredicates(here, written))
	}
	return b.WatchesRawSource(source.Func(f.start))
}

// handler has a key looked at, once things have settled, whatever happens to an object.
func (f *feed) handler(key func(client.Object) reconcile.Request) handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { q.AddAfter(key(e.Object), f.pace.settle) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { q.AddAfter(key(e.ObjectNew), f.pace.settle) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { q.AddAfter(key(e.Object), f.pace.settle) },
	}
}

// nodeChanges lets changes of what announcing looks at pass.
func nodeChanges() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(e event.UpdateEvent) bool {
		before, ok := e.ObjectOld.(*corev1.Node)
		after, is := e.ObjectNew.(*corev1.Node)
		return !ok || !is || kubeview.Lost(before) != kubeview.Lost(after) || !reflect.DeepEqual(kubeview.NodeInfo(before), kubeview.NodeInfo(after))
	}}
}

// sweep has the Services looked at whose condition has such a reason, and those that have none: of the others the speakers report.
func (f *feed) sweep(ctx context.Context, what func(reason string) bool) error {
	var list corev1.ServiceList
	if err := f.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Services: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range list.Items {
		svc := &list.Items[i]
		if c := shown(svc); c == nil && f.Classes.Handle(svc) || c != nil && what(c.Reason) {
			f.queue.Add(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(svc)})
		}
	}
	return nil
}

// start follows what is reported until ctx ends.
func (f *feed) start(ctx context.Context, q queue) error {
	f.mu.Lock()
	f.queue = q
	f.mu.Unlock()
	for _, m := range f.mirrors {
		go m.Start(ctx)
	}
	go func() {
		for !f.ready() {
			select {
			case <-ctx.Done():
				return
			case <-time.After(f.pace.settle):
			}
		}
		q.Add(nodes) // all Services
	}()
	return nil
}

// ready tells whether everything that was reported when it began has been taken in.
func (f *feed) ready() bool {
	return !slices.ContainsFunc(f.mirrors, func(m *mirror.Mirror) bool { return !m.HasSynced() })
}

// later has a key looked at once things have settled.
func (f *feed) later(key reconcile.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.queue != nil {
		f.queue.AddAfter(key, f.pace.settle)
	}
}
