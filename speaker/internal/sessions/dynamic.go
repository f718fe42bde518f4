package sessions

import (
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// withDynamic adds the sessions that routers opened, and the attempts of routers that none came of, sorted with the rest by key. Of the former only
// those that are up: FRR forgets all others at once.
func (r *Reporter) withDynamic(views []view, sessions []frrstate.Session) []view {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.wanted.groups) == 0 {
		return views
	}
	now := time.Now()
	known := map[string]bool{}
	for i := range views {
		known[views[i].key.Peer] = true
	}
	for i := range sessions {
		s := &sessions[i]
		known[s.Peer] = true
		if group := r.wanted.groups[frrstate.Key{VRF: s.VRF, Peer: s.Group}]; group != nil && s.Established() {
			views = append(views, view{key: s.Key, neighbor: group, at: now, trace: r.feed.traces[s.Peer]})
		}
	}
	for peer, trace := range r.feed.traces {
		if known[peer] || trace.Cause.Notification == nil {
			continue
		}
		if key, group := r.rangeOf(peer); group != nil {
			views = append(views, view{key: key, neighbor: group, at: now, trace: trace, attempt: true})
		}
	}
	slices.SortFunc(views, func(a, b view) int { return a.key.Compare(b.key) })
	return views
}

// rangeOf finds the range that a router is in. The log does not tell the VRF: of several the first counts.
func (r *Reporter) rangeOf(peer string) (frrstate.Key, *announce.Neighbor) {
	address, err := netip.ParseAddr(peer)
	if err != nil {
		return frrstate.Key{}, nil
	}
	var found frrstate.Key
	var group *announce.Neighbor
	for key, n := range r.wanted.groups {
		if n.ListenRange.Contains(address) && (group == nil || key.Compare(found) < 0) {
			found, group = key, n
		}
	}
	return frrstate.Key{VRF: found.VRF, Peer: peer}, group
}

// withLastDynamic adds the sessions that routers had opened when FRR was last seen.
func (r *Reporter) withLastDynamic(views []view) []view {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range r.views {
		if !v.neighbor.Listens() {
			continue
		}
		if group := r.wanted.groups[frrstate.KeyOf(v.key.VRF, v.neighbor)]; group != nil {
			views = append(views, view{key: v.key, neighbor: group, at: time.Now(), trace: r.feed.traces[v.key.Peer]})
		}
	}
	slices.SortFunc(views, func(a, b view) int { return a.key.Compare(b.key) })
	return views
}

// stillWanted tells whether the configuration still has the range that a session was of.
func (r *Reporter) stillWanted(key frrstate.Key, n *announce.Neighbor) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wanted.groups[frrstate.KeyOf(key.VRF, n)] != nil
}

// traceOf is what events tell of a router.
func (r *Reporter) traceOf(peer string) frrstate.Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.feed.traces[peer]
}
