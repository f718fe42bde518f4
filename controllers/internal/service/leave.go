package service

import (
	"context"
	"log/slog"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// disown takes what a Service has that is not of type LoadBalancer any more. Services that never were this program's are left alone,
// whatever their status says, and so are those of another class: the API server has cleared the status when the type changed in between.
func (r *Reconciler) disown(ctx context.Context, svc *corev1.Service, rec *record) {
	if svc.Spec.Type == corev1.ServiceTypeLoadBalancer {
		r.forget(ctx, client.ObjectKeyFromObject(svc))
		return
	}
	if rec == nil {
		if have := observe(svc); have.pool == "" && have.verdict.Type == "" {
			return
		}
		rec = newRecord(svc)
		r.records[rec.key] = rec
	}
	rec.look(svc)
	var notes []note
	claim, _ := r.ledger.Claim(rec.service())
	if len(claim.Addresses) > 0 {
		notes = []note{{log: "not a LoadBalancer", attrs: []slog.Attr{slog.String("event", "clearAssignment"), slog.String("reason", "notLoadBalancer")}}}
	}
	leaving := claim.Leaving
	for _, addr := range claim.Addresses {
		// The API server has cleared the status, but a write of the address may still be under way.
		if rec.mayShow(addr) {
			leaving = append(leaving, ipam.Leaving{Address: addr, Sharing: claim.Sharing})
		}
	}
	r.release(ctx, rec)
	r.show(ctx, rec, shown{}, notes)
	if !rec.writing {
		delete(r.records, rec.key)
		return
	}
	if err := r.ledger.Assign(ipam.Claim{Service: rec.service(), Leaving: leaving}); err != nil {
		r.Log.Error("internal error: what a Service gives up can't be held back", "bug", "true", "service", rec.key.String(), "error", err)
	}
}

// forget drops a Service that no longer exists.
func (r *Reconciler) forget(ctx context.Context, key types.NamespacedName) {
	r.writer.drop(key)
	rec := r.records[key]
	if rec == nil {
		return
	}
	r.release(ctx, rec)
	delete(r.records, key)
}

// release frees what a Service has in the ledger, for those that wait.
func (r *Reconciler) release(ctx context.Context, rec *record) {
	rec.waits = nil
	delete(r.waiting, rec.key)
	claim, had := r.ledger.Claim(rec.service())
	if !had {
		return
	}
	if freed := r.ledger.Release(rec.service()); len(freed) > 0 || claim.Sharing.Key != "" {
		r.serveLater(ctx)
	}
	r.signal()
}
