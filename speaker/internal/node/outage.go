package node

import (
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
)

// outage is which daemons of FRR are away: have ended, or live and do not answer. That is told at once, whether or not FRR is to be given
// anything: routers lose what bgpd announced, and nothing else that is wanted comes about.
type outage struct {
	mu   sync.Mutex
	away map[string]string
	// told is what was reported last; it belongs to the goroutine that runs passes.
	told string
}

// note takes in what happened to FRR.
func (o *outage) note(e frr.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e.Kind {
	case frr.DaemonDown:
		if o.away == nil {
			o.away = map[string]string{}
		}
		o.away[e.Daemon] = e.Daemon + " " + e.Detail
	case frr.DaemonUp:
		delete(o.away, e.Daemon)
	case frr.DriftRepaired, frr.DriftRemains:
	}
}

// forget is for when nobody tells any more how the daemons are.
func (o *outage) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.away = nil
}

// news returns which daemons are away in words, "" for none, and whether that differs from what was reported last.
func (o *outage) news() (away string, news bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	away = strings.Join(slices.Sorted(maps.Values(o.away)), ", ")
	return away, away != o.told
}
