package service

import (
	"context"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// shares tells whether any of the ways to share is one.
func shares(ways ...ipam.Sharing) bool {
	return slices.ContainsFunc(ways, func(s ipam.Sharing) bool { return s.Key != "" })
}

// serveLater has the Services that wait looked at, once for all that became free meanwhile (rule A22).
func (r *Reconciler) serveLater(ctx context.Context) {
	if len(r.waiting) > 0 {
		r.inbox.put(ctx, pendingWork)
	}
}

func (r *Reconciler) serveWaiting(ctx context.Context) {
	line := make([]*turn, 0, len(r.waiting))
	for key, rec := range r.waiting {
		line = append(line, &turn{key: key, holds: len(rec.want.addresses) > 0, asks: len(rec.waits.Addresses) > 0, created: rec.created})
	}
	slices.SortFunc(line, before)
	for _, t := range line {
		if rec := r.waiting[t.key]; rec != nil {
			r.decide(ctx, rec, *rec.waits, nil)
		}
	}
}
