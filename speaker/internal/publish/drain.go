package publish

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

const (
	// shownServices is how many Services a message names.
	shownServices = 10
	// maxKeptEvents is how many Services are told at once that a draining node keeps them: the condition and the log have the rest.
	maxKeptEvents = 20
)

// eventLastAnnouncer is the reason of an event on a Service: the last node that can announce it drains.
const eventLastAnnouncer = "lastAnnouncer"

// drainState is what a speaker says of its node's drain.
type drainState struct {
	reason, message string
}

// drain returns what to say of the node's drain.
func (s *standing) drain(nodeName string) drainState {
	now := s.report.Drain
	why := "node " + nodeName + " " + now.Why + ": "
	switch {
	case now.Stage == announce.DrainNone:
		return drainState{v1beta1.ReasonNotDraining, "node " + nodeName + " does not drain"}
	case now.Stage == announce.DrainYielding:
		return drainState{v1beta1.ReasonYielding, why + "its routes are announced as the last to be chosen, and withdrawn after spec.bgpDrain.waitSeconds of the MetalLB object"}
	case s.reached != announce.DrainWithdrawn:
		return drainState{v1beta1.ReasonWithdrawing, why + "FRR does not run yet what withdraws its routes"}
	}
	if kept := keptServices(s.node.Verdicts); len(kept) > 0 {
		return drainState{v1beta1.ReasonLastAnnouncer, why + "no other node can announce " + list(kept) + ", so it goes on, as the last to be chosen"}
	}
	return drainState{v1beta1.ReasonDrained, why + "everything that it announced is withdrawn"}
}

// keptServices returns the Services of which a draining node announces an address because nobody else can, sorted.
func keptServices(verdicts []*announce.Verdict) []string {
	var kept []string
	for _, v := range verdicts {
		if v.Despite.Code == announce.ReasonLastAnnouncer {
			kept = append(kept, v.Service.String())
		}
	}
	return slices.Compact(kept)
}

// list names the first of many.
func list(names []string) string {
	text := strings.Join(names[:min(len(names), shownServices)], ", ")
	if more := len(names) - shownServices; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// apply returns the conditions with what is to be said of the drain. A node that has never drained says nothing.
func (d drainState) apply(have []metav1.Condition, generation int64, now time.Time) []metav1.Condition {
	quiet := d.reason == "" || d.reason == v1beta1.ReasonNotDraining
	if quiet && meta.FindStatusCondition(have, v1beta1.ConditionDrained) == nil {
		return have
	}
	out, _ := condition.Apply(have, generation, now, metav1.Condition{
		Type: v1beta1.ConditionDrained, Status: condition.Is(d.reason == v1beta1.ReasonDrained), Reason: d.reason, Message: d.message,
	})
	return out
}

// keptNotes are what users are told of Services that a draining node keeps from now on.
func keptNotes(before, after announce.Node) []note {
	var notes []note
	for old, now := range differences(before, after) {
		for _, v := range now {
			if v.Despite.Code == announce.ReasonLastAnnouncer && !keeps(old, v) {
				notes = append(notes, note{service: v.Service, warning: true, reason: eventLastAnnouncer, message: v.Despite.Detail})
				break // one word on a Service is enough
			}
		}
		if len(notes) == maxKeptEvents {
			break
		}
	}
	return notes
}

// keeps tells whether the verdicts on the same Service keep the same address.
func keeps(verdicts []*announce.Verdict, as *announce.Verdict) bool {
	return slices.ContainsFunc(verdicts, func(v *announce.Verdict) bool {
		return v.Address == as.Address && v.Protocol == as.Protocol && v.Despite.Code == as.Despite.Code
	})
}
