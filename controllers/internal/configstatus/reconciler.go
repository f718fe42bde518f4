// Package configstatus reports what is wrong with the configuration: as conditions on each object that users write, and on the
// ConfigurationState of the controller. What is wrong is intent.Build's to find.
package configstatus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// again is when to look again after a write that another writer's came before: the cache has it by then.
const again = 200 * time.Millisecond

// reconciler has one key: the whole configuration. It runs one pass at a time.
type reconciler struct {
	Options
	// client reads from the cache; direct asks the API server, for what is read too rarely to be watched.
	client client.Client
	direct client.Reader
	// last is what the previous pass found to be in force, logged what it found wrong.
	last   intent.Snapshot
	logged map[string]bool
	// owner refers to the pod of this program, once it was found.
	owner []metav1.OwnerReference
}

// Reconcile is one pass: gather, decide, and write what differs. Objects are written independently of each other; the errors of all are
// returned.
func (r *reconciler) Reconcile(ctx context.Context, _ reconcile.Request) (reconcile.Result, error) {
	objects, err := kubeview.ReadAll(ctx, r.client, r.Namespace)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("reading the configuration: %w", err)
	}
	reports, err := readSpeakers(ctx, r.client, r.Namespace)
	if err != nil {
		return reconcile.Result{}, err
	}
	objects.Listens = r.Listens
	raw := kubeview.Raw(objects)
	snapshot, problems := intent.Build(raw, r.last)
	r.last = snapshot
	where := newScope(raw.Nodes, snapshot)
	r.log(ctx, problems)

	by := map[intent.ObjectRef][]intent.Problem{}
	for _, p := range problems {
		by[p.Object] = append(by[p.Object], p)
	}
	var failed []error
	raced := false
	for _, t := range targets(objects) {
		switch err := r.write(ctx, &t, verdicts(&t, by[t.ref], where, reports)); {
		case apierrors.IsConflict(err):
			raced = true
		case client.IgnoreNotFound(err) != nil:
			failed = append(failed, fmt.Errorf("writing the conditions of %s: %w", t.ref, err))
		}
	}
	switch err := r.writeState(ctx, only(problems, isController)); {
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		raced = true
	case err != nil:
		failed = append(failed, err)
	}
	if raced && len(failed) == 0 {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	return reconcile.Result{}, errors.Join(failed...)
}

// verdicts are the conditions of one object with these problems, all its own.
func verdicts(t *target, problems []intent.Problem, where *scope, reports speakers) []metav1.Condition {
	list := []metav1.Condition{accepted(problems)}
	if t.refs {
		list = append(list, resolved(problems))
	}
	if t.programmed {
		o, generation := object{t.ref.Kind, t.ref.Name}, t.object.GetGeneration()
		usable := list[0].Status == metav1.ConditionTrue && where.usable[o] == generation
		list = append(list, programmed(o, generation, usable, where, reports))
	}
	return list
}

// write writes the conditions of one object where they differ from what it has.
func (r *reconciler) write(ctx context.Context, t *target, verdicts []metav1.Condition) error {
	current := slices.DeleteFunc(slices.Clone(t.have), obsolete)
	want, changed := condition.Apply(current, t.object.GetGeneration(), r.Now(), verdicts...)
	if !changed && len(current) == len(t.have) {
		return nil
	}
	status := map[string]any{"conditions": want}
	maps.Copy(status, t.rest)
	// The answer to the patch is written into its object, which must not be the cache's.
	return patchStatus(ctx, r.client, t.object.DeepCopyObject().(client.Object), status)
}

// patchStatus writes fields of o's status, unless o has changed since it was read. The status of pools, IPReservations and AddressQuotas has a
// second writer, ledgerstatus, with conditions of other types. That one applies its own conditions (server-side apply), which touches no others.
// A merge patch replaces a list as a whole; so this one sends all conditions, those of others as they were read, and names the version that
// they were read from.
func patchStatus(ctx context.Context, c client.Client, o client.Object, status map[string]any) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": o.GetResourceVersion()}, "status": status})
	if err != nil {
		return fmt.Errorf("composing the patch: %w", err)
	}
	return c.Status().Patch(ctx, o, client.RawPatch(types.MergePatchType, body))
}

// log says each problem once, when it comes up, and once when it is gone.
func (r *reconciler) log(ctx context.Context, problems []intent.Problem) {
	logger := log.FromContext(ctx)
	now := map[string]bool{}
	for _, p := range problems {
		line := p.Error()
		now[line] = true
		if !r.logged[line] {
			logger.Info("problem in the configuration", "event", "configurationProblem", "object", p.Object.String(), "rule", string(p.Rule), "problem", line, "kept", p.Kept)
		}
	}
	for _, line := range slices.Sorted(maps.Keys(r.logged)) {
		if !now[line] {
			logger.Info("problem in the configuration is gone", "event", "configurationProblemGone", "problem", line)
		}
	}
	r.logged = now
}
