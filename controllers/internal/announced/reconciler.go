// Package announced writes the condition metallb.io/Announced on Services: whether the network is told of their addresses, by whom, and if not
// why. It judges by what speakers report and, of what nobody announces, by what each node would do: package announce.
package announced

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// Options are what the reconciler needs to know.
type Options struct {
	// Namespace is the one that the configuration and what speakers report are in.
	Namespace string
	// Classes say which Services are served.
	Classes kubeview.Classes
	// IgnoreExcludeLabel is what the speakers' flag --ignore-exclude-lb says.
	IgnoreExcludeLabel bool
	// Idle tells that there is nothing more urgent to write; nil is always.
	Idle func() bool
	// Now is the clock of conditions; nil is time.Now.
	Now func() time.Time

	pace pace
}

// pace is how soon things are written.
type pace struct {
	// settle is how long a change waits for others.
	settle time.Duration
	// bad is how long a Service must be unannounced for one reason before that is written: as long as before there is an event. During a restart
	// of speakers, and until a new Service's pods are ready, nothing is to be told.
	bad time.Duration
	// detail is how long it must be that only the message differs: speakers that are replaced one after the other change it all the time.
	detail time.Duration
	// rate is how many conditions are written in a second: as many as each speaker writes objects.
	rate rate.Limit
	// calm is how long there must be nothing more urgent, patience how long that is waited for at most, and poll how often it is looked.
	calm, patience, poll time.Duration
}

var usual = pace{
	settle: 2 * time.Second, bad: 10 * time.Second, detail: 30 * time.Second, rate: 20,
	calm: 300 * time.Millisecond, patience: time.Minute, poll: 50 * time.Millisecond,
}

// reconciler has a key for each Service, and some for everything else. It runs one pass at a time.
type reconciler struct {
	Options
	// client reads from the cache, and writes.
	client client.Client
	// ready tells that all reports that there are have been taken in.
	ready     func() bool
	routes    *reports[ipam.ServiceKey, announce.Route]
	answering *reports[ipam.ServiceKey, string]
	endpoints *reports[ipam.ServiceKey, []kubeview.Endpoint]
	sessions  *reports[announce.Session, string]
	view      view
	// stale says that view has to be read anew.
	stale bool
	limit *rate.Limiter
	// busy is since when there has been something more urgent to do, zero when there is not.
	busy time.Time
	// calm is how long there has been nothing more urgent to write, as far as it was looked.
	calm time.Duration
	// waiting are the Services with something to write that has not been so for long enough, wrote those that were written as of a version that the
	// cache may not have yet.
	waiting map[types.NamespacedName]difference
	wrote   map[types.NamespacedName]version
	// sweep has Services looked at again: those whose condition has a reason for which what says yes, and those that have none.
	sweep func(ctx context.Context, what func(reason string) bool) error
}

// difference is what is to be written, and since when.
type difference struct {
	what  urgency
	since time.Time
}

// version is a resource version of the object of a UID.
type version struct {
	uid types.UID
	of  string
}

// everything is the key for the configuration and speakers, nodes the one for nodes, diagnoses that for what is wrong with sessions. No Service has
// such a name.
var (
	everything = reconcile.Request{}
	nodes      = reconcile.Request{NamespacedName: types.NamespacedName{Name: "nodes"}}
	diagnoses  = reconcile.Request{NamespacedName: types.NamespacedName{Name: "diagnoses"}}
)

func newReconciler(o Options, c client.Client) *reconciler {
	o.pace = cmp.Or(o.pace, usual)
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Idle == nil {
		o.Idle = func() bool { return true }
	}
	return &reconciler{
		Options: o, client: c, stale: true, limit: rate.NewLimiter(o.pace.rate, 1),
		waiting: map[types.NamespacedName]difference{}, wrote: map[types.NamespacedName]version{},
	}
}

// Reconcile judges one Service, and writes its condition once it has differed for long enough.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	switch request {
	case everything:
		r.stale = true
		return reconcile.Result{}, r.sweep(ctx, unannounced)
	case nodes:
		r.stale = true
		return reconcile.Result{}, r.sweep(ctx, func(string) bool { return true })
	case diagnoses:
		return reconcile.Result{}, r.sweep(ctx, undelivered)
	}
	if !r.ready() {
		return reconcile.Result{}, nil // once it is, all are looked at
	}
	if r.stale {
		if err := r.view.refresh(ctx, r.client, &r.Options); err != nil {
			return reconcile.Result{}, err
		}
		r.stale = false
	}
	if r.postponed() {
		return reconcile.Result{RequeueAfter: r.pace.settle}, nil
	}
	key := request.NamespacedName
	write, wait, err := r.look(ctx, key)
	if err != nil || wait > 0 || write == nil {
		return reconcile.Result{RequeueAfter: wait}, err
	}
	if err := r.quiet(ctx); err != nil {
		return reconcile.Result{}, nil //nolint:nilerr // the end of ctx is the regular end
	}
	// That may have taken a while.
	if write, wait, err = r.look(ctx, key); err != nil || wait > 0 || write == nil {
		return reconcile.Result{RequeueAfter: wait}, err
	}
	return reconcile.Result{}, r.write(ctx, key, write)
}

// postponed tells whether there is something more urgent to do: in a burst of new Services the processor's time belongs to their addresses, too.
// Who is always busy does not silence it.
func (r *reconciler) postponed() bool {
	now := r.Now()
	if r.Idle() {
		r.busy = time.Time{}
		return false
	}
	r.calm = 0
	if r.busy.IsZero() {
		r.busy = now
	}
	return now.Sub(r.busy) < r.pace.patience
}

// change is a write of one Service's condition.
type change struct {
	uid   types.UID
	patch []byte
}

// look returns what to write of a Service, or how long to wait before it is looked at again; neither if all is well.
func (r *reconciler) look(ctx context.Context, key types.NamespacedName) (*change, time.Duration, error) {
	svc := &corev1.Service{}
	err := r.client.Get(ctx, key, svc, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		delete(r.waiting, key)
		delete(r.wrote, key)
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("reading Service %s from the cache: %w", key, err)
	}
	if last, ok := r.wrote[key]; ok {
		if order, err := resourceversion.CompareResourceVersion(svc.ResourceVersion, last.of); err == nil && order < 0 && svc.UID == last.uid {
			return nil, 0, nil // an event will tell when the cache has it
		}
		delete(r.wrote, key)
	}
	if !r.Classes.Handle(svc) {
		delete(r.waiting, key)
		// A Service of another class is another installation's.
		if svc.Spec.Type == corev1.ServiceTypeLoadBalancer || shown(svc) == nil {
			return nil, 0, nil
		}
		patch, err := removal(svc)
		return &change{svc.UID, patch}, 0, err
	}
	a := r.assess(ctx, svc)
	want := conditionOf(&a, svc)
	what := compare(shown(svc), &want)
	if what == nothing {
		delete(r.waiting, key)
		return nil, 0, nil
	}
	now := r.Now()
	was, ok := r.waiting[key]
	if !ok || was.what != what {
		was = difference{what, now}
		r.waiting[key] = was
	}
	if wait := was.since.Add(r.pace.after(what)).Sub(now); wait > 0 {
		return nil, wait, nil
	}
	patch, err := patchOf(svc, want, now)
	return &change{svc.UID, patch}, 0, err
}

// after returns how long a difference must have been there.
func (p *pace) after(what urgency) time.Duration {
	switch what.kind {
	case detail:
		return p.detail
	case bad:
		if !undelivered(what.reason) {
			return p.bad
		}
	case same, good:
	}
	return 0 // of what routers were not sent speakers tell after a while only
}

// quiet waits until the next condition may be written. The error is that of ctx.
func (r *reconciler) quiet(ctx context.Context) error {
	for waited := time.Duration(0); waited < r.pace.patience; waited += r.pace.poll {
		if !r.Idle() {
			r.calm = 0
		} else if r.calm >= r.pace.calm {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(r.pace.poll):
			r.calm += r.pace.poll
		}
	}
	if err := r.limit.Wait(ctx); err != nil {
		return fmt.Errorf("waiting for a turn to write: %w", err)
	}
	return nil
}

// write makes a change. A Service that is gone, or another one of that name, needs none.
func (r *reconciler) write(ctx context.Context, key types.NamespacedName, c *change) error {
	svc := &corev1.Service{}
	svc.Namespace, svc.Name = key.Namespace, key.Name
	err := r.client.Status().Patch(ctx, svc, client.RawPatch(types.StrategicMergePatchType, c.patch))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil // an event tells, or has told
	case err != nil:
		return fmt.Errorf("writing the condition of Service %s: %w", key, err)
	}
	delete(r.waiting, key)
	r.wrote[key] = version{c.uid, svc.ResourceVersion}
	return nil
}

func keyOf(key ipam.ServiceKey) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Namespace: key.Namespace, Name: key.Name}}
}
