package service

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// pageSize is how many objects are read from the API server at a time, so that reading all of them takes little memory.
const pageSize = 200

// backoff is how work that failed is repeated.
func backoff() workqueue.TypedRateLimiter[Work] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[Work](10*time.Millisecond, 30*time.Second)
}

// load builds the ledger from Services and IPReservations as the API server has them now, not from the cache: a cache may lag behind the
// writes of the leader before this one. Then every Service is decided on for the first time.
func (r *Reconciler) load(ctx context.Context) error {
	snapshot, err := r.read(ctx)
	if err != nil {
		return err
	}
	if err := r.remember(ctx); err != nil {
		return err
	}
	claims, err := r.holders(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.use(snapshot)
	for _, c := range claims {
		rec := r.records[c.key]
		if err := r.ledger.Assign(c.Claim); err != nil {
			// Decided on below like any other Service: it gets another address.
			r.Log.Warn("two Services have one address: the older one keeps it", "service", rec.key.String(), "error", err)
			continue
		}
		rec.own(c.Addresses)
	}
	_, failed := r.reserve(ctx)
	_, err = r.strangers(ctx)
	r.sweep(ctx, "")
	if failed = errors.Join(failed, err); failed != nil {
		// What is not known or not recorded yet counts for nothing; the rest goes on.
		r.Log.Warn("not everything is in force yet, trying again", "error", failed)
		r.alarm.set(configWork, time.Second)
	}
	return nil
}

// remember reads what the IPReservations keep. Those that the cache does not have yet come with an event.
func (r *Reconciler) remember(ctx context.Context) error {
	var page v1beta1.IPReservationList
	for {
		if err := r.live.List(ctx, &page, client.InNamespace(r.Namespace), client.Limit(pageSize), client.Continue(page.Continue)); err != nil {
			return fmt.Errorf("listing IPReservations: %w", err)
		}
		for i := range page.Items {
			o := &page.Items[i]
			r.reservations[o.Name] = &kept{uid: o.UID, status: reservation.Read(o)}
		}
		if page.Continue == "" {
			return nil
		}
	}
}

// holder is the claim of a Service that has addresses, with the Service's place in line.
type holder struct {
	ipam.Claim
	turn
}

// holders reads the Services from the API server, makes a record of each, and returns what they have, oldest first.
func (r *Reconciler) holders(ctx context.Context) ([]holder, error) {
	var found []holder
	r.records = map[types.NamespacedName]*record{}
	var page corev1.ServiceList
	for {
		if err := r.live.List(ctx, &page, client.Limit(pageSize), client.Continue(page.Continue)); err != nil {
			return nil, fmt.Errorf("listing Services: %w", err)
		}
		for i := range page.Items {
			svc := &page.Items[i]
			if !r.Classes.Handle(svc) {
				continue
			}
			rec := newRecord(svc)
			request := kubeview.Request(svc, nil)
			rec.asks = len(request.Addresses) > 0
			r.records[rec.key] = rec
			if len(rec.have.addresses) == 0 {
				continue
			}
			_, pool := kubeview.Held(svc)
			found = append(found, holder{
				ipam.Claim{Service: rec.service(), Addresses: rec.have.addresses, Pool: pool, Sharing: request.Sharing},
				turn{key: rec.key, created: rec.created},
			})
		}
		if page.Continue == "" {
			break
		}
	}
	slices.SortFunc(found, func(a, b holder) int { return before(&a.turn, &b.turn) })
	return found, nil
}

// sweep decides again on all Services of a namespace, or of all for "", those first that have most to lose. Services that are not known yet
// come with an event.
func (r *Reconciler) sweep(ctx context.Context, namespace string) {
	line := make([]turn, 0, len(r.records))
	for key, rec := range r.records {
		if namespace != "" && key.Namespace != namespace {
			continue
		}
		_, holds := r.ledger.Claim(rec.service())
		line = append(line, turn{key: key, holds: holds, asks: rec.asks, created: rec.created})
	}
	slices.SortFunc(line, func(a, b turn) int { return before(&a, &b) })
	for _, t := range line {
		svc, err := r.find(ctx, t.key)
		if err != nil {
			r.Log.Error("internal error", "bug", "true", "service", t.key.String(), "error", err) // the cache is there
		}
		if svc != nil {
			r.settle(ctx, svc)
		}
	}
}
