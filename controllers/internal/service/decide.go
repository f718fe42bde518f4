package service

import (
	"context"
	"fmt"
	"net/netip"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// decide has ipam decide on a request and carries the outcome out.
func (r *Reconciler) decide(ctx context.Context, rec *record, request ipam.Request, old []string) {
	r.dropLost(rec)
	before, had := r.ledger.Claim(rec.service())
	d := ipam.Decide(r.ledger, request)
	claim := ipam.Claim{Service: rec.service(), Addresses: d.Addresses, Pool: d.Pool, Sharing: request.Sharing, Leaving: before.Leaving}
	freed := false
	for _, g := range d.GivenUp {
		if rec.mayShow(g.Address) {
			claim.Leaving = append(claim.Leaving, ipam.Leaving{Address: g.Address, Sharing: before.Sharing})
		} else {
			freed = true
		}
	}
	if err := r.ledger.Assign(claim); err != nil {
		r.Log.Error("internal error: the ledger refuses its own decision", "bug", "true", "service", rec.key.String(), "error", err)
		return
	}
	// Who has a sharing key may be waiting for just what became of this Service: an address to join, or a port that is no longer in use.
	if freed || shares(before.Sharing, request.Sharing) && (len(d.Added) > 0 || had && !before.Sharing.Equal(request.Sharing)) {
		r.serveLater(ctx)
	}
	if len(d.Added)+len(d.GivenUp) > 0 {
		r.signal()
	}
	r.waits(rec, &d, &request)
	want := wanted(&d)
	notes := notesOn(&d, had && len(before.Addresses) > 0, rec.tell(&want.verdict))
	if len(d.Added) > 0 {
		notes = append(notes, deprecated(old)...)
	}
	rec.owned = slices.DeleteFunc(slices.Clone(rec.owned), func(a netip.Addr) bool { return !slices.Contains(d.Addresses, a) })
	rec.unproved = r.unproved(rec, d.Addresses)
	if len(rec.unproved) > 0 {
		// Nobody else gets them meanwhile; and what the Service has given up for them it has until then.
		rec.held = append(rec.held, notes...)
		r.conflicts.ask(rec.unproved, rec.key)
		return
	}
	notes = append(rec.held, notes...)
	rec.held = nil
	r.show(ctx, rec, want, notes)
}

// dropLost takes from a Service what it was to have as soon as it is known that nobody else has it, if by now no pool has it any more.
func (r *Reconciler) dropLost(rec *record) {
	lost := func(addr netip.Addr) bool {
		_, ok := r.ledger.PoolOf(addr)
		return !ok && slices.Contains(rec.unproved, addr)
	}
	claim, _ := r.ledger.Claim(rec.service())
	if !slices.ContainsFunc(claim.Addresses, lost) {
		return
	}
	claim.Addresses = slices.DeleteFunc(slices.Clone(claim.Addresses), lost)
	rec.forgetHeld()
	if err := r.ledger.Assign(claim); err != nil {
		r.Log.Error("internal error: a Service can't have less than it has", "bug", "true", "service", rec.key.String(), "error", err)
	}
}

// waits puts a Service that lacks something in line, or takes it out.
func (r *Reconciler) waits(rec *record, d *ipam.Decision, request *ipam.Request) {
	if !r.lacks(d) {
		rec.waits = nil
		delete(r.waiting, rec.key)
		return
	}
	rec.waits = request
	r.waiting[rec.key] = rec
}

// lacks tells whether a Service wants something that it does not have. That it has what it would not get today is something else.
func (r *Reconciler) lacks(d *ipam.Decision) bool {
	foreign := 0
	for _, addr := range d.Addresses {
		if _, ok := r.conflicts.foreign[addr]; ok {
			foreign++
		}
	}
	for _, p := range d.Problems {
		switch {
		case p.Code == ipam.PoolMismatch:
		case p.Code == ipam.AddressForeign && foreign > 0:
			foreign-- // one that it has
		default:
			return true
		}
	}
	return !d.Allocated()
}

// show has the API show want, if it does not already, and the notes published when it does.
func (r *Reconciler) show(ctx context.Context, rec *record, want shown, notes []note) {
	want.date(&rec.have, r.Now())
	if rec.writing && rec.decided && rec.want.compare(&want) == same {
		rec.notes = append(rec.notes, notes...)
		return
	}
	how := rec.have.compare(&want)
	if rec.writing {
		switch {
		case how == same && r.writer.drop(rec.key):
			rec.writing, rec.notes = false, nil
		case rec.want.compare(&want) == major:
			how = major
		default:
			how = max(how, minor)
		}
	}
	rec.want, rec.decided = want, true
	rec.notes = append(rec.notes, notes...)
	if how == same && !rec.writing {
		r.publish(ctx, rec, rec.notes)
		rec.notes = nil
		r.left(ctx, rec)
		return
	}
	body, err := patch(rec.uid, &rec.have, &want)
	if err != nil {
		r.Log.Error("internal error", "bug", "true", "service", rec.key.String(), "error", err)
		return
	}
	rec.writing = true
	r.writer.put(rec.key, write{uid: rec.uid, patch: body}, how)
}

// conclude takes note of how a write ended, if one has.
func (r *Reconciler) conclude(ctx context.Context, rec *record) error {
	res, ok := r.writer.result(rec.key)
	if !ok || !rec.writing {
		return nil
	}
	rec.writing = false
	switch {
	case apierrors.IsNotFound(res.err):
		return nil // its deletion is on the way to the cache
	case res.err != nil:
		r.metrics.errors.Inc()
		rec.decided = false
		return fmt.Errorf("writing the status of Service %s: %w", rec.key, res.err)
	}
	rec.have, rec.version = rec.want, res.version
	r.publish(ctx, rec, rec.notes)
	rec.notes = nil
	r.left(ctx, rec)
	return nil
}

// left frees what a Service has given up, now that the API does not show it there any more.
func (r *Reconciler) left(ctx context.Context, rec *record) {
	claim, _ := r.ledger.Claim(rec.service())
	rec.own(claim.Addresses)
	for _, addr := range rec.owned {
		delete(r.conflicts.free, addr) // who gets it after this Service asks again
	}
	leaving := slices.DeleteFunc(slices.Clone(claim.Leaving), func(l ipam.Leaving) bool { return !rec.mayShow(l.Address) })
	if len(leaving) == len(claim.Leaving) {
		return
	}
	claim.Leaving = leaving
	if err := r.ledger.Assign(claim); err != nil {
		r.Log.Error("internal error: what a Service has given up can't be freed", "bug", "true", "service", rec.key.String(), "error", err)
		return
	}
	r.serveLater(ctx)
	r.signal()
}
