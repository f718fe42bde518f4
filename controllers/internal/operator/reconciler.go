// Package operator keeps an installation as its MetalLB object says: it applies what manifests.Desired returns, repairs what
// drifts, removes what is no longer wanted and reports in the object's conditions.
package operator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

const (
	// FieldManager owns the fields that the operator sets in server-side apply.
	FieldManager = "metallb-operator"
	// Finalizer holds a MetalLB object until what it caused outside its namespace is gone.
	Finalizer = "metallb.io/operator"
)

// Options are all that a Reconciler needs.
type Options struct {
	// Client reads from a cache and writes to the API server.
	Client client.Client
	// Live reads from the API server what is needed in an update of the speakers only.
	Live client.Reader
	// Events records events on MetalLB objects.
	Events events.EventRecorder
	// Environment is that of the installation; its MemberlistSecret is not used.
	Environment manifests.Environment
	// Now is the clock of the conditions.
	Now func() time.Time
	// Random gives the content of the memberlist secret where there is none.
	Random io.Reader
	// LookEvery is how often it is looked whether the cluster has the API of the Prometheus operator; 0 stands for half a minute.
	LookEvery time.Duration
}

// Reconciler makes the cluster as a MetalLB object says. It remembers nothing between two calls but which APIs there are, and since when FRR has been
// idle. It is for one goroutine.
type Reconciler struct {
	client client.Client
	live   client.Reader
	events events.EventRecorder
	env    manifests.Environment
	now    func() time.Time
	random io.Reader
	idle   idleness
	// monitoring is nil before SetUp: then the cluster has none of it.
	monitoring *discovered
	lookEvery  time.Duration
}

// New returns a Reconciler.
func New(o Options) *Reconciler {
	return &Reconciler{client: o.Client, live: o.Live, events: o.Events, env: o.Environment, now: o.Now, random: o.Random, lookEvery: cmp.Or(o.LookEvery, usualLook)}
}

// Reconcile brings the installation of one MetalLB object to what its spec says and reports. A failure to do so is returned,
// so that it is tried again with growing delay.
func (r *Reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	metallb := &v1beta1.MetalLB{}
	if err := r.client.Get(ctx, request.NamespacedName, metallb); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(wrap(err, "read MetalLB %s", request))
	}
	switch {
	case metallb.Name != v1beta1.MetalLBName:
		return reconcile.Result{}, r.report(ctx, metallb, misnamed(metallb.Name))
	case !metallb.DeletionTimestamp.IsZero():
		return r.remove(ctx, metallb)
	}
	idleFor, problem := r.ensure(ctx, metallb)
	seen, err := r.observe(ctx)
	if err == nil {
		seen.podSecurity, err = r.podSecurity(ctx)
	}
	if err != nil {
		return reconcile.Result{}, errors.Join(problem, err)
	}
	again, problem := r.update(ctx, metallb, &seen, problem)
	if again {
		return reconcile.Result{RequeueAfter: afterConflict}, nil
	}
	now := r.now()
	verdict := judge(metallb.Spec, metallb.Status.Conditions, seen, problem, now)
	r.warn(metallb)
	if err := r.report(ctx, metallb, verdict.conditions); err != nil {
		return reconcile.Result{}, errors.Join(problem, err)
	}
	after, err := condition.Retry(problem)
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: soonest(soonest(max(after, verdict.lookAgain), idleFor), seen.update.lookAgain)}, nil
}

// afterConflict is how long the cache gets to catch up with what somebody else wrote.
const afterConflict = 200 * time.Millisecond

// update takes the next step of an update of the speakers and returns what to report as a problem, the one there is already and its own; or says
// that somebody was faster, which is no fault: then all is to be looked at again.
func (r *Reconciler) update(ctx context.Context, metallb *v1beta1.MetalLB, seen *observed, problem error) (again bool, report error) {
	if _, stalled := errors.AsType[*condition.Stalled](problem); stalled {
		return false, problem // who goes by a spec that cannot be used?
	}
	progress, err := r.rollOut(ctx, metallb, *seen)
	if apierrors.IsConflict(err) {
		return true, problem
	}
	seen.update = progress
	return false, errors.Join(problem, err)
}

// ensure validates the spec and applies what it stands for. It returns after how long that may be something else though nothing happens; 0 is never.
// A spec that cannot be used is a condition.Stalled error; what runs then stays as it is.
func (r *Reconciler) ensure(ctx context.Context, metallb *v1beta1.MetalLB) (time.Duration, error) {
	if wrong := manifests.Validate(metallb.Spec); len(wrong) > 0 {
		return 0, &condition.Stalled{Reason: v1beta1.ReasonInvalidSpec, Err: fmt.Errorf("MetalLB %s/%s: %w",
			metallb.Namespace, metallb.Name, wrong.ToAggregate())}
	}
	if err := r.setFinalizer(ctx, metallb, true); err != nil {
		return 0, err
	}
	env, lookAgain, err := r.environment(ctx)
	if err != nil {
		return 0, err
	}
	apis, err := r.monitoring.get()
	if err != nil {
		return 0, err
	}
	forPrometheus, err := manifests.DesiredMonitoring(metallb.Spec, env, apis)
	if err != nil {
		return 0, err
	}
	desired := append(manifests.Desired(metallb.Spec, env), forPrometheus...)
	return lookAgain, errors.Join(r.apply(ctx, metallb, desired), r.prune(ctx, metallb, desired, append(manifests.Kinds(env), manifests.MonitoringKinds(apis)...)))
}

// setFinalizer adds or removes the finalizer. The patch names a version, because it replaces the whole list, and leaves
// everything else of the object as its author wrote it.
func (r *Reconciler) setFinalizer(ctx context.Context, metallb *v1beta1.MetalLB, wanted bool) error {
	if controllerutil.ContainsFinalizer(metallb, Finalizer) == wanted {
		return nil
	}
	before := metallb.DeepCopy()
	if wanted {
		controllerutil.AddFinalizer(metallb, Finalizer)
	} else {
		controllerutil.RemoveFinalizer(metallb, Finalizer)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.client.Patch(ctx, metallb, patch); err != nil {
		return wrap(err, "set the finalizer of MetalLB %s", client.ObjectKeyFromObject(metallb))
	}
	return nil
}

// memberlistSecret returns the key that the speakers share: the one there is, else a new one.
func (r *Reconciler) memberlistSecret(ctx context.Context) ([]byte, error) {
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: r.env.Namespace, Name: manifests.MemberlistSecret}
	if err := r.client.Get(ctx, key, secret); err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Secret %s: %w", key, err)
	}
	if content := secret.Data[manifests.MemberlistKey]; len(content) > 0 {
		return content, nil
	}
	content, err := newMemberlistSecret(r.random)
	if err != nil {
		return nil, fmt.Errorf("make the content of Secret %s: %w", key, err)
	}
	return content, nil
}

// report writes the conditions where they differ from those the object has.
func (r *Reconciler) report(ctx context.Context, metallb *v1beta1.MetalLB, want []metav1.Condition) error {
	conditions, changed := condition.Apply(metallb.Status.Conditions, metallb.Generation, r.now(), want...)
	if !changed {
		return nil
	}
	before := metallb.DeepCopy()
	metallb.Status.Conditions = conditions
	if err := r.client.Status().Patch(ctx, metallb, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("write the conditions of MetalLB %s/%s: %w", metallb.Namespace, metallb.Name, err)
	}
	return nil
}

// warn tells once per change of the spec that another backend runs than the one asked for.
func (r *Reconciler) warn(metallb *v1beta1.MetalLB) {
	text := manifests.Substituted(metallb.Spec)
	if text == "" || observedGeneration(metallb) == metallb.Generation {
		return
	}
	r.events.Eventf(metallb, nil, corev1.EventTypeWarning, "BGPBackendSubstituted", "Reconcile", "%s", text)
}

func observedGeneration(metallb *v1beta1.MetalLB) int64 {
	var latest int64
	for _, c := range metallb.Status.Conditions {
		latest = max(latest, c.ObservedGeneration)
	}
	return latest
}

// soonest is the lesser of two times to wait, of which 0 means for ever.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// wrap adds what was attempted to an error, and leaves no error as it is.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), err)
}

var _ reconcile.Reconciler = (*Reconciler)(nil)
