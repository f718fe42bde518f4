package service

import (
	"maps"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/ledgerstatus"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Shown returns what the status of pools, reservations and quotas is to show. It may be called from anywhere.
func (r *Reconciler) Shown() ledgerstatus.Shown {
	r.mu.RLock()
	defer r.mu.RUnlock()
	var s ledgerstatus.Shown
	strangers := map[string][]ledgerstatus.Stranger{}
	for _, addr := range slices.SortedFunc(maps.Keys(r.conflicts.foreign), netip.Addr.Compare) {
		if pool, ok := r.ledger.PoolOf(addr); ok {
			strangers[pool] = append(strangers[pool], ledgerstatus.Stranger{Address: addr, Who: r.conflicts.foreign[addr]})
		}
	}
	checked := map[string]bool{}
	for i := range r.config.Pools {
		checked[r.config.Pools[i].Name] = r.config.Pools[i].Check != ipam.CheckNone
	}
	for _, u := range r.ledger.Usage() {
		s.Pools = append(s.Pools, ledgerstatus.Pool{Usage: u, Checked: checked[u.Pool], Strangers: strangers[u.Pool]})
	}
	for i := range r.config.Reservations {
		name := r.config.Reservations[i].Name
		if k := r.reservations[name]; k != nil && k.status.Verdict.Type != "" {
			s.Reservations = append(s.Reservations, ledgerstatus.Reservation{Name: name, UID: k.uid, Status: k.status})
		}
	}
	for i := range r.config.Quotas {
		name := r.config.Quotas[i].Name
		s.Quotas = append(s.Quotas, ledgerstatus.Quota{Name: name, AtLimit: r.atLimit[name]})
	}
	return s
}

// account is what the metrics tell.
type account struct {
	pools []ipam.Usage
	// pending is how many Services lack an address that they ask for.
	pending int
}

func (r *Reconciler) account() account {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return account{r.ledger.Usage(), len(r.waiting)}
}
