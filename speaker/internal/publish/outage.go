package publish

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
)

// Reasons of events on the ConfigurationState of a speaker: what happened to its FRR without being asked for.
const (
	eventDaemonDown    = "daemonDown"
	eventDaemonUp      = "daemonUp"
	eventDriftRepaired = "driftRepaired"
	eventDriftRemains  = "driftRemains"
)

// Observe counts what happened to FRR without being asked for, and has it told in an event on the ConfigurationState. It is for one goroutine.
func (p *Publisher) Observe(e frr.Event) {
	p.Metrics.Event(e)
	n := note{state: types.NamespacedName{Namespace: p.Namespace, Name: stateName(p.Node)}, warning: true}
	switch e.Kind {
	case frr.DaemonDown:
		n.reason, n.message = eventDaemonDown, "FRR's "+e.Daemon+" "+e.Detail
		p.away[e.Daemon] = true
	case frr.DaemonUp:
		if !p.away[e.Daemon] {
			return // it has started for the first time, as all of them do
		}
		delete(p.away, e.Daemon)
		n.reason, n.message, n.warning = eventDaemonUp, "FRR's "+e.Daemon+" is back and runs what is wanted", false
	case frr.DriftRepaired:
		n.reason, n.message = eventDriftRepaired, "FRR did not run what it was told, and was put right by these commands: "+e.Detail
	case frr.DriftRemains:
		n.reason, n.message = eventDriftRemains, "FRR does not run what it was told, and could not be put right: "+e.Detail
	default:
		return
	}
	p.events.put(n)
}
