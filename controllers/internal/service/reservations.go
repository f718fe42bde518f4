package service

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/ledgerstatus"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// reservationsDelay is how long a change of who has what waits for others before the reservations are looked at.
const reservationsDelay = 500 * time.Millisecond

// kept is what the worker knows about one IPReservation.
type kept struct {
	uid        types.UID
	generation int64
	// status is what was last decided, or read of an object seen for the first time; reserve are the addresses in force.
	status  reservation.Status
	reserve []netip.Addr
	// next is an outcome that the API must show before it counts, held are the addresses that were picked for it.
	next *reservation.Outcome
	held []netip.Addr
}

// reserve looks at all reservations, and has the ledger keep what they keep. It returns whether that has changed. The error is that of a
// write that failed: what depends on it does not count yet, and nobody else gets it.
func (r *Reconciler) reserve(ctx context.Context) (changed bool, failed error) {
	gone := r.reservations
	r.reservations = make(map[string]*kept, len(r.config.Reservations))
	for i := range r.config.Reservations {
		name := r.config.Reservations[i].Name
		chooses := r.config.Reservations[i].Pool != ""
		o := r.objects[name]
		k := gone[name]
		if k == nil || k.uid != o.uid {
			k = &kept{uid: o.uid, status: o.status}
		}
		if k.generation != o.generation {
			k.generation, k.next, k.held = o.generation, nil, nil
		}
		if chooses && k.reserve == nil {
			k.reserve = k.status.Addresses // so that no other reservation chooses them
		}
		r.reservations[name] = k
	}
	// First those that name their addresses, so that nobody chooses one of these.
	first := r.considerAll(ctx, false)
	changed = r.applyReservations()
	first = append(first, r.considerAll(ctx, true)...)
	failed = r.record(ctx, first)
	changed = r.applyReservations() || changed
	r.countQuotas(ctx)
	select {
	case r.changed <- struct{}{}:
	default:
	}
	return changed, failed
}

// considerAll decides on the reservations of any address of a pool, or on the others. It returns the names of those of which the outcome has
// to be recorded before it counts.
func (r *Reconciler) considerAll(ctx context.Context, ofPools bool) (first []string) {
	for i := range r.config.Reservations {
		spec := &r.config.Reservations[i]
		if (spec.Pool != "") != ofPools {
			continue
		}
		k := r.reservations[spec.Name]
		if k.next == nil {
			if out := r.consider(ctx, spec, k); out.First {
				k.next = &out
			} else {
				r.accept(k, &out)
			}
		}
		if k.next != nil {
			first = append(first, spec.Name)
		}
	}
	return first
}

// chosenBy returns the name of another reservation that has chosen an address, "" for none.
func (r *Reconciler) chosenBy(name string, addr netip.Addr) string {
	for i := range r.config.Reservations {
		other := &r.config.Reservations[i]
		if other.Pool != "" && other.Name != name && slices.Contains(r.reservations[other.Name].status.Addresses, addr) {
			return other.Name
		}
	}
	return ""
}

// consider decides on one reservation.
func (r *Reconciler) consider(ctx context.Context, spec *intent.Reservation, k *kept) reservation.Outcome {
	return reservation.Decide(reservation.Reservation{
		Reservation: *spec,
		Generation:  k.generation,
		Status:      k.status,
		Other:       func(addr netip.Addr) string { return r.chosenBy(spec.Name, addr) },
		Entitled:    func(s ipam.ServiceKey) bool { return r.entitled(ctx, spec, s) },
	}, &picker{r, k}, r.Now())
}

// picker is the ledger for one reservation. An address that is picked is held back from everybody until the API shows that it is kept.
type picker struct {
	*Reconciler
	k *kept
}

func (p *picker) PoolOf(addr netip.Addr) (string, bool) { return p.ledger.PoolOf(addr) }

func (p *picker) Holders(addr netip.Addr) []ipam.ServiceKey { return p.ledger.Holders(addr) }

func (p *picker) PickReserved(pool string, f ipam.Family) (netip.Addr, bool) {
	addr, ok := p.ledger.PickReserved(pool, f)
	if ok {
		p.k.held = append(p.k.held, addr)
		p.applyReservations()
	}
	return addr, ok
}

// entitled tells whether a reservation is for a Service.
func (r *Reconciler) entitled(ctx context.Context, spec *intent.Reservation, s ipam.ServiceKey) bool {
	if s.Namespace != spec.Namespace || spec.Service != "" && s.Name != spec.Service {
		return false
	}
	if len(spec.Services) == 0 {
		return true
	}
	svc, err := r.find(ctx, types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
	return err == nil && svc != nil && spec.Services.Matches(svc.Labels)
}

// accept puts an outcome into force.
func (r *Reconciler) accept(k *kept, out *reservation.Outcome) {
	var old []metav1.Condition
	if k.status.Verdict.Type != "" {
		old = []metav1.Condition{k.status.Verdict}
	}
	dated, _ := condition.Apply(old, k.generation, r.Now(), out.Verdict)
	k.status, k.reserve, k.next, k.held = out.Status, out.Reserve, nil, nil
	k.status.Verdict = dated[0]
	if !out.Recheck.IsZero() {
		r.alarm.set(reservationsWork, out.Recheck.Sub(r.Now()))
	}
}

// record has the API show the next outcomes of some reservations, and puts into force those that it does. It waits for the API server: until
// a reservation is recorded the Services that it is for would be given other addresses, which they would keep.
func (r *Reconciler) record(ctx context.Context, names []string) error {
	if len(names) == 0 {
		return nil
	}
	failures := make([]error, len(names))
	r.mu.Unlock() // of what others may read nothing changes meanwhile
	var running sync.WaitGroup
	slots := make(chan struct{}, writers)
	for i, name := range names {
		running.Go(func() {
			slots <- struct{}{}
			failures[i] = r.recordOne(ctx, name)
			<-slots
		})
	}
	running.Wait()
	r.mu.Lock()
	for i, name := range names {
		if k := r.reservations[name]; failures[i] == nil {
			r.accept(k, k.next)
		} else {
			r.metrics.errors.Inc()
		}
	}
	return errors.Join(failures...)
}

func (r *Reconciler) recordOne(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	k := r.reservations[name]
	next := kept{generation: k.generation, status: k.status}
	r.accept(&next, k.next)
	o := &v1beta1.IPReservation{ObjectMeta: metav1.ObjectMeta{Namespace: r.Namespace, Name: name, UID: k.uid}}
	err := ledgerstatus.ApplyReservation(ctx, r.status, o, &next.status)
	if err = client.IgnoreNotFound(err); err != nil { // who deleted it has its event on the way
		return fmt.Errorf("writing the status of IPReservation %s/%s: %w", r.Namespace, name, err)
	}
	return nil
}

// applyReservations tells the ledger what is kept, if that has changed. Who names an address that another reservation has chosen before comes
// after it.
func (r *Reconciler) applyReservations() bool {
	var list, named []ipam.Reservation
	for i := range r.config.Reservations {
		spec := &r.config.Reservations[i]
		k := r.reservations[spec.Name]
		if len(k.reserve) > 0 {
			one := spec.Reservation
			one.Addresses = k.reserve
			if spec.Pool == "" {
				named = append(named, one)
			} else {
				list = append(list, one)
			}
		}
		if len(k.held) > 0 {
			// There is no namespace of this name, and so nobody that it is for.
			list = append(list, ipam.Reservation{Name: spec.Name, Addresses: k.held})
		}
	}
	list = append(list, named...)
	if reflect.DeepEqual(list, r.reserved) {
		return false
	}
	r.reserved = list
	r.ledger.SetReservations(list)
	return true
}
