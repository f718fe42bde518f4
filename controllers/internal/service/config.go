package service

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// departed collects pools as they were when they were deleted, until the worker has taken them in.
type departed struct {
	mu    sync.Mutex
	pools []v1beta1.IPAddressPool
}

func (d *departed) put(p *v1beta1.IPAddressPool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.pools = append(d.pools, *p)
}

func (d *departed) take() []v1beta1.IPAddressPool {
	d.mu.Lock()
	defer d.mu.Unlock()
	pools := d.pools
	d.pools = nil
	return pools
}

// object is what is read of an IPReservation beside what intent makes of it.
type object struct {
	uid        types.UID
	generation int64
	// status is what the cache shows; it counts only for an object seen for the first time.
	status reservation.Status
}

// configure takes in a changed configuration, and looks again at those Services to which it matters.
func (r *Reconciler) configure(ctx context.Context) error {
	r.metrics.updates.Inc()
	snapshot, err := r.read(ctx)
	if err != nil {
		return err
	}
	everybody, waiting := r.use(snapshot)
	changed, failed := r.reserve(ctx)
	// Which pools are checked may have changed.
	if everybody {
		_, err := r.strangers(ctx)
		r.sweep(ctx, "")
		return errors.Join(failed, err)
	}
	failed = errors.Join(failed, r.lookAtStrangers(ctx))
	if waiting || changed {
		r.serveWaiting(ctx)
	}
	return failed
}

// read returns pools, reservations and quotas as they are configured now. Of the configuration nothing else matters here: whether one of
// these is valid depends on these alone.
func (r *Reconciler) read(ctx context.Context) (intent.Snapshot, error) {
	var (
		pools        v1beta1.IPAddressPoolList
		reservations v1beta1.IPReservationList
		quotas       v1beta1.AddressQuotaList
	)
	for what, list := range map[string]client.ObjectList{"IPAddressPools": &pools, "IPReservations": &reservations, "AddressQuotas": &quotas} {
		if err := r.cached.List(ctx, list, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
			return intent.Snapshot{}, fmt.Errorf("listing %s in the cache: %w", what, err)
		}
	}
	r.objects = make(map[string]object, len(reservations.Items))
	for i := range reservations.Items {
		o := &reservations.Items[i]
		r.objects[o.Name] = object{o.UID, o.Generation, reservation.Read(o)}
	}
	objects := kubeview.Objects{Namespace: r.Namespace, Pools: pools.Items, Reservations: reservations.Items, Quotas: quotas.Items}
	last := r.config
	if gone := r.departed.take(); len(gone) > 0 {
		// As if looked at between the last change of these pools and their deletion, which may have followed at once.
		before := objects
		before.Pools = append(existing(gone, pools.Items), pools.Items...)
		last, _ = intent.Build(kubeview.Raw(before), last)
	}
	// The problems are configstatus's to report; here they only count.
	snapshot, problems := intent.Build(kubeview.Raw(objects), last)
	r.metrics.configuration(problems)
	return snapshot, nil
}

// existing returns those of gone in whose place there is no other pool.
func existing(gone, now []v1beta1.IPAddressPool) []v1beta1.IPAddressPool {
	names := map[string]bool{}
	for i := range now {
		names[now[i].Name] = true
	}
	var out []v1beta1.IPAddressPool
	for i := range gone {
		if !names[gone[i].Name] {
			names[gone[i].Name] = true
			out = append(out, gone[i])
		}
	}
	return out
}

// use puts pools and quotas into force, not yet the reservations. It returns whether that may matter to every Service, and whether to those
// that wait.
func (r *Reconciler) use(snapshot intent.Snapshot) (everybody, waiting bool) {
	last := r.config
	r.config = snapshot
	waiting = !reflect.DeepEqual(last.Quotas, snapshot.Quotas)
	if waiting {
		r.ledger.SetQuotas(snapshot.Quotas)
	}
	looked := r.selectsNamespaces
	r.selectsNamespaces = selectsNamespaces(&snapshot)
	// Requests that wait have been read without the labels.
	everybody = r.selectsNamespaces && !looked
	if !reflect.DeepEqual(last.Pools, snapshot.Pools) || !reflect.DeepEqual(last.Abandoned, snapshot.Abandoned) {
		pools := make([]ipam.Pool, 0, len(snapshot.Pools))
		for _, p := range snapshot.Pools {
			pools = append(pools, p.Pool)
		}
		r.ledger.SetPools(pools, snapshot.Abandoned...)
		everybody = true
	}
	if everybody || waiting {
		r.signal()
	}
	return everybody, waiting
}

// selectsNamespaces tells whether something looks at the labels of namespaces.
func selectsNamespaces(s *intent.Snapshot) bool {
	for _, p := range s.Pools {
		if p.Allocation != nil && len(p.Allocation.NamespaceSelectors) > 0 {
			return true
		}
	}
	for _, q := range s.Quotas {
		if len(q.NamespaceSelectors) > 0 {
			return true
		}
	}
	return false
}
