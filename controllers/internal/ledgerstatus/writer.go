package ledgerstatus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

const (
	// settle is how long a change waits for others before it is written: counters are in no hurry, addresses are.
	settle = 100 * time.Millisecond
	// pace is the least time between two rounds of writes.
	pace = time.Second
)

// Options are what the writer needs to know.
type Options struct {
	// Namespace is the one that the objects are in.
	Namespace string
	// Shown returns what is to be shown now.
	Shown func() Shown
	// Changed receives a value when that has changed.
	Changed <-chan struct{}
	// Now is the clock that conditions are dated by.
	Now func() time.Time
	Log *slog.Logger
}

// SetupWithManager makes mgr keep the status of the objects up to date as long as it leads.
func SetupWithManager(mgr manager.Manager, o Options) error {
	w := &writer{Options: o, cache: mgr.GetCache(), status: mgr.GetClient().Status(), objects: make(chan struct{}, 1)}
	if err := mgr.Add(w); err != nil {
		return fmt.Errorf("setting up the status of pools, reservations and quotas: %w", err)
	}
	return nil
}

type writer struct {
	Options
	cache  cache.Cache
	status client.SubResourceWriter
	// objects receives a value when one of the objects has changed in the API, its status included.
	objects chan struct{}
}

// NeedLeaderElection makes the manager start it only on the leader.
func (w *writer) NeedLeaderElection() bool { return true }

// Start writes until ctx ends: soon after a first change, and then once a second as long as there are more.
func (w *writer) Start(ctx context.Context) error {
	for _, kind := range []client.Object{&v1beta1.IPAddressPool{}, &v1beta1.IPReservation{}, &v1beta1.AddressQuota{}} {
		end, err := w.watch(ctx, kind)
		if err != nil {
			return fmt.Errorf("watching %T for its status: %w", kind, err)
		}
		defer end()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-w.Changed:
		case <-w.objects:
		}
		if !wait(ctx, settle) {
			return nil
		}
		for failed := w.writeAll(ctx); failed; failed = w.writeAll(ctx) {
			if !wait(ctx, pace) {
				return nil
			}
		}
		if !wait(ctx, pace-settle) {
			return nil
		}
	}
}

// watch has the writer look at whatever happens to objects of a kind, until end is called.
func (w *writer) watch(ctx context.Context, kind client.Object) (end func(), err error) {
	informer, err := w.cache.GetInformer(ctx, kind)
	if err != nil {
		return nil, err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { w.changed() },
		UpdateFunc: func(any, any) { w.changed() },
	})
	if err != nil {
		return nil, err
	}
	return func() {
		if err := informer.RemoveEventHandler(registration); err != nil {
			w.Log.Warn("ending a watch", "kind", fmt.Sprintf("%T", kind), "error", err)
		}
	}, nil
}

func (w *writer) changed() {
	select {
	case w.objects <- struct{}{}:
	default:
	}
}

// wait returns false if ctx ends before d has passed.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// writeAll writes the status of every object that shows something else. It returns whether a write has failed.
func (w *writer) writeAll(ctx context.Context) (failed bool) {
	shown := w.Shown()
	check := func(kind, name string, err error) {
		if client.IgnoreNotFound(err) == nil {
			return
		}
		failed = true
		if !apierrors.IsConflict(err) { // otherwise the cache is behind a write of somebody else
			w.Log.Warn("status not written, trying again", "kind", kind, "name", name, "error", err)
		}
	}
	for i := range shown.Pools {
		check("IPAddressPool", shown.Pools[i].Pool, w.pool(ctx, &shown.Pools[i]))
	}
	for i := range shown.Reservations {
		check("IPReservation", shown.Reservations[i].Name, w.reservation(ctx, &shown.Reservations[i]))
	}
	for i := range shown.Quotas {
		check("AddressQuota", shown.Quotas[i].Name, w.quota(ctx, &shown.Quotas[i]))
	}
	return failed
}

func (w *writer) read(ctx context.Context, name string, into client.Object) error {
	return w.cache.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: name}, into, client.UnsafeDisableDeepCopy)
}

// counts are the numbers in an IPAddressPool's status.
type counts struct{ v4, v6, free4, free6, services int64 }

func (w *writer) pool(ctx context.Context, p *Pool) error {
	o := &v1beta1.IPAddressPool{}
	if err := w.read(ctx, p.Pool, o); err != nil {
		return err
	}
	want := counts{p.IPv4.Used, p.IPv6.Used, p.IPv4.Available(), p.IPv6.Available(), int64(p.Services)}
	s := &o.Status
	have := counts{s.AssignedIPv4, s.AssignedIPv6, s.AvailableIPv4, s.AvailableIPv6, s.AssignedServices}
	// A status of a pool is not valid without its numbers, also while they are 0.
	status := map[string]any{"assignedIPv4": want.v4, "assignedIPv6": want.v6, "availableIPv4": want.free4, "availableIPv6": want.free6,
		"assignedServices": want.services}
	changed := false
	if p.Checked {
		var conditions []metav1.Condition
		conditions, changed = condition.Apply(s.Conditions, o.Generation, w.Now(), p.conflictFree())
		status["conditions"] = []metav1.Condition{*meta.FindStatusCondition(conditions, v1beta1.ConditionConflictFree)}
	} else {
		changed = meta.FindStatusCondition(s.Conditions, v1beta1.ConditionConflictFree) != nil
	}
	if have == want && !changed {
		return nil
	}
	return apply(ctx, w.status, "IPAddressPool", o, &v1beta1.IPAddressPool{}, status)
}

func (w *writer) reservation(ctx context.Context, r *Reservation) error {
	o := &v1beta1.IPReservation{}
	if err := w.read(ctx, r.Name, o); err != nil {
		return err
	}
	have := reservation.Read(o)
	if o.UID != r.UID || have.Equal(&r.Status) {
		return nil
	}
	return ApplyReservation(ctx, w.status, o, &r.Status)
}

func (w *writer) quota(ctx context.Context, q *Quota) error {
	o := &v1beta1.AddressQuota{}
	if err := w.read(ctx, q.Name, o); err != nil {
		return err
	}
	if slices.Equal(o.Status.AtLimit, q.AtLimit) {
		return nil
	}
	status := map[string]any{}
	if len(q.AtLimit) > 0 {
		status["atLimit"] = q.AtLimit
	}
	return apply(ctx, w.status, "AddressQuota", o, &v1beta1.AddressQuota{}, status)
}
