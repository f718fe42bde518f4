package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/probe"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// probePatience is how long a speaker has to say whether an address is in use.
const probePatience = 5 * time.Second

// Options are what the Reconciler needs to know.
type Options struct {
	// Namespace is the one that the configuration is in.
	Namespace string
	// Classes say which Services to serve.
	Classes kubeview.Classes
	Log     *slog.Logger
	// Now is the clock that conditions are dated by, and that retention goes by.
	Now func() time.Time
	// Metrics is where the metrics are registered.
	Metrics prometheus.Registerer
}

// Reconciler is the worker. Its fields belong to the one goroutine that calls Reconcile, but for those below mu, which others may read.
type Reconciler struct {
	Options
	// cached reads from the informers, live from the API server.
	cached, live client.Reader
	status       client.SubResourceWriter
	writer       *writer
	events       *eventSender
	alarm        *alarm
	inbox        inbox
	departed     departed
	changed      chan struct{}
	metrics      *metrics
	conflicts    *conflicts

	// loaded tells that the ledger has been built from the API.
	loaded bool
	config intent.Snapshot
	// objects are the IPReservations that config was made of, by name.
	objects map[string]object
	// selectsNamespaces tells that something looks at the labels of namespaces.
	selectsNamespaces bool
	records           map[types.NamespacedName]*record

	mu           sync.RWMutex
	ledger       *ipam.Ledger
	waiting      map[types.NamespacedName]*record
	reservations map[string]*kept
	// reserved is what the ledger has been told of them.
	reserved []ipam.Reservation
	atLimit  map[string][]string
}

// edges are what the Reconciler works through.
type edges struct {
	cached, live client.Reader
	// patch changes Services, status the status of anything else.
	patch    patcher
	status   client.SubResourceWriter
	recorder events.EventRecorder
	// prober returns what finds out whether addresses are in use and calls answer with what it found.
	prober func(answer func(context.Context, probe.Answer)) asker
}

// asker finds out whether somebody on the network has an address.
type asker interface{ Ask(addr netip.Addr) }

func newReconciler(o Options, e edges) *Reconciler {
	r := &Reconciler{
		Options:      o,
		cached:       e.cached,
		live:         e.live,
		status:       e.status,
		inbox:        make(inbox, 1024),
		changed:      make(chan struct{}, 1),
		records:      map[types.NamespacedName]*record{},
		waiting:      map[types.NamespacedName]*record{},
		reservations: map[string]*kept{},
		ledger:       ipam.NewLedger(nil),
	}
	r.writer = newWriter(e.patch, r.inbox)
	r.alarm = newAlarm(r.inbox)
	r.events = newEventSender(e.recorder, r.writer.idle)
	r.conflicts = newConflicts(r.inbox, e.prober)
	r.metrics = newMetrics(r.account)
	return r
}

// SetupWithManager makes mgr allocate addresses as long as it leads.
func SetupWithManager(mgr manager.Manager, o Options) (*Reconciler, error) {
	clients, err := metadata.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("setting up the client that writes Services: %w", err)
	}
	var prober *probe.Prober
	r := newReconciler(o, edges{
		cached:   mgr.GetCache(),
		live:     mgr.GetAPIReader(),
		patch:    patchThrough(clients),
		status:   mgr.GetClient().SubResource("status"),
		recorder: mgr.GetEventRecorder("metallb-controller"),
		prober: func(answer func(context.Context, probe.Answer)) asker {
			prober = probe.New(probe.Options{Namespace: o.Namespace, Patience: probePatience, Log: o.Log,
				Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Client: mgr.GetClient(), Answer: answer})
			return prober
		},
	})
	for _, c := range r.metrics.collectors(mgr.Elected()) {
		if err := o.Metrics.Register(c); err != nil {
			return nil, fmt.Errorf("registering the metrics of the allocator: %w", err)
		}
	}
	one, warm := 1, true
	c, err := controller.NewTyped("service", mgr, controller.TypedOptions[Work]{
		Reconciler:              r,
		MaxConcurrentReconciles: one,
		EnableWarmup:            &warm,
		RateLimiter:             backoff(),
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the service controller: %w", err)
	}
	for _, s := range r.sources(mgr.GetCache()) {
		if err := c.Watch(s); err != nil {
			return nil, fmt.Errorf("watching for the service controller: %w", err)
		}
	}
	for _, runnable := range []manager.Runnable{r.writer, r.events, r.alarm, prober} {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("setting up the edges of the service controller: %w", err)
		}
	}
	return r, nil
}

// Idle tells that no write of addresses is under way or waiting: the time for what is less urgent.
func (r *Reconciler) Idle() bool { return r.writer.idle() }

// Changed receives a value some time after what Shown returns has changed.
func (r *Reconciler) Changed() <-chan struct{} { return r.changed }

// Reconcile does one piece of Work. Before the first the ledger is built from what the API shows (rule A21).
func (r *Reconciler) Reconcile(ctx context.Context, work Work) (reconcile.Result, error) {
	if !r.loaded {
		if err := r.load(ctx); err != nil {
			return reconcile.Result{}, err
		}
		r.loaded = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return reconcile.Result{}, r.do(ctx, work)
}

func (r *Reconciler) do(ctx context.Context, work Work) error {
	switch work.Kind {
	case ServiceWork:
		return r.service(ctx, work.Name)
	case ConfigWork:
		return r.configure(ctx)
	case NamespaceWork:
		if r.selectsNamespaces {
			r.sweep(ctx, work.Name.Name)
		}
	case PendingWork:
		r.serveWaiting(ctx)
	case ReservationsWork:
		changed, err := r.reserve(ctx)
		if changed {
			r.serveWaiting(ctx)
		}
		return err
	case StrangersWork:
		return r.lookAtStrangers(ctx)
	case AnswersWork:
		r.answers(ctx)
	}
	return nil
}

// service looks at one Service. The error is that of a write that failed, to be tried again.
func (r *Reconciler) service(ctx context.Context, key types.NamespacedName) error {
	r.metrics.updates.Inc()
	svc, err := r.find(ctx, key)
	switch {
	case err != nil:
		return err
	case svc == nil:
		r.forget(ctx, key)
		return nil
	}
	var failure error
	if rec := r.records[key]; rec != nil && rec.uid == svc.UID {
		failure = r.conclude(ctx, rec)
	}
	if failure == nil {
		r.settle(ctx, svc)
	}
	return failure
}

// find returns a Service as the cache has it, nil if it has none.
func (r *Reconciler) find(ctx context.Context, key types.NamespacedName) (*corev1.Service, error) {
	svc := &corev1.Service{}
	err := r.cached.Get(ctx, key, svc, client.UnsafeDisableDeepCopy)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil //nolint:nilnil // absence is an answer
	case err != nil:
		return nil, fmt.Errorf("reading Service %s from the cache: %w", key, err)
	}
	return svc, nil
}

// settle decides on a Service and has the outcome written.
func (r *Reconciler) settle(ctx context.Context, svc *corev1.Service) {
	key := client.ObjectKeyFromObject(svc)
	rec := r.records[key]
	if rec != nil && rec.uid != svc.UID {
		if rec.newer(svc) {
			return // the cache still has the one before; an event will tell when that changes
		}
		r.forget(ctx, key)
		rec = nil
	}
	if !r.Classes.Handle(svc) {
		r.disown(ctx, svc, rec)
		return
	}
	if rec == nil {
		rec = newRecord(svc)
		r.records[key] = rec
	}
	rec.look(svc)
	request := kubeview.Request(svc, r.namespaceLabels(ctx, svc.Namespace))
	rec.asks = len(request.Addresses) > 0
	r.adopt(ctx, svc, rec, request.Sharing)
	r.decide(ctx, rec, request, kubeview.Deprecated(svc))
}

// adopt takes addresses that a Service has in the API into the ledger if the ledger knows nothing of it, so that the Service keeps them.
func (r *Reconciler) adopt(ctx context.Context, svc *corev1.Service, rec *record, sharing ipam.Sharing) {
	if _, known := r.ledger.Claim(rec.service()); known || rec.writing || len(rec.have.addresses) == 0 {
		return
	}
	_, pool := kubeview.Held(svc)
	err := r.ledger.Assign(ipam.Claim{Service: rec.service(), Addresses: rec.have.addresses, Pool: pool, Sharing: sharing})
	if err == nil {
		rec.own(rec.have.addresses)
		return
	}
	r.publish(ctx, rec, []note{{
		reason:  "ClearAssignment",
		message: fmt.Sprintf("current IP for %q not allowed, will attempt for new IP assignment: %s", rec.service(), err),
		log:     "current IP not allowed, clearing",
		attrs: []slog.Attr{slog.String("event", "clearAssignment"), slog.String("reason", string(ipam.SharingChanged)),
			slog.String("error", err.Error())},
	}})
}

// namespaceLabels returns the labels of a namespace if something looks at them.
func (r *Reconciler) namespaceLabels(ctx context.Context, name string) map[string]string {
	if !r.selectsNamespaces {
		return nil
	}
	ns := namespaceKind()
	if err := r.cached.Get(ctx, types.NamespacedName{Name: name}, ns, client.UnsafeDisableDeepCopy); err != nil {
		r.Log.Debug("namespace of a Service is not in the cache yet", "namespace", name, "error", err)
		return nil
	}
	return ns.Labels
}

// signal has those told who show what the ledger says, and the reservations looked at.
func (r *Reconciler) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
	if len(r.config.Reservations)+len(r.config.Quotas) > 0 {
		r.alarm.set(reservationsWork, reservationsDelay)
	}
}
