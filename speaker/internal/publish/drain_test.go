package publish

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// kept is a yes that a draining node gives because nobody else can.
func kept(name, address string) *announce.Verdict {
	v := yes(name, address)
	v.Despite = announce.Reason{Code: announce.ReasonLastAnnouncer, Detail: "node n1 drains, but no other node can announce the address"}
	return v
}

func TestGivenReportsOfADrainWhenToldThenTheConditionSaysHowFarItIsAndOnlyOnceAllIsWithdrawnItIsTrue(t *testing.T) {
	report := func(stage announce.Drain, inForce bool, of ...*announce.Verdict) node.Report {
		d := node.Drain{Stage: stage}
		if stage != announce.DrainNone {
			d.Why = "is unschedulable"
		}
		return node.Report{Outcome: node.Applied, InForce: inForce, Drain: d, Node: verdicts(of...)}
	}
	gone := no("a", "10.0.0.1", announce.ReasonDraining)
	var known standing
	var conditions []metav1.Condition
	for i, step := range []struct {
		report node.Report
		reason string
		words  string
	}{
		{report(announce.DrainNone, true, yes("a", "10.0.0.1")), "", ""},
		{report(announce.DrainYielding, true, yes("a", "10.0.0.1")), v1beta1.ReasonYielding, "node n1 is unschedulable"},
		{report(announce.DrainWithdrawn, false, gone), v1beta1.ReasonWithdrawing, "FRR does not run yet"},
		{report(announce.DrainWithdrawn, true, gone), v1beta1.ReasonDrained, "everything"},
		{report(announce.DrainWithdrawn, false, gone), v1beta1.ReasonDrained, "everything"}, // a change on its way to FRR
		{report(announce.DrainWithdrawn, true, gone, kept("b", "10.0.0.2"), kept("b", "10.0.0.3")), v1beta1.ReasonLastAnnouncer, "can announce ns/b, so"},
		{report(announce.DrainNone, false, yes("a", "10.0.0.1")), v1beta1.ReasonNotDraining, "does not drain"},
		{report(announce.DrainYielding, true, yes("a", "10.0.0.1")), v1beta1.ReasonYielding, "last to be chosen"},
	} {
		known = known.after(step.report)
		conditions = known.drain("n1").apply(conditions, 1, time.Unix(int64(i), 0))
		c := meta.FindStatusCondition(conditions, v1beta1.ConditionDrained)
		if step.reason == "" {
			if c != nil {
				t.Errorf("step %d: a node that has never drained says %+v", i, c)
			}
			continue
		}
		wanted := metav1.ConditionFalse
		if step.reason == v1beta1.ReasonDrained {
			wanted = metav1.ConditionTrue
		}
		if c == nil || c.Reason != step.reason || c.Status != wanted || !strings.Contains(c.Message, strings.ReplaceAll(step.words, "ns/b", svc("b").String())) {
			t.Errorf("step %d: %+v, want %s with %q", i, c, step.reason, step.words)
		}
	}
}

func TestGivenAddressesThatADrainingNodeKeepsWhenToldThenEachServiceIsToldOnceAndNotTooManyAtOnce(t *testing.T) {
	before := verdicts(yes("a", "10.0.0.1"), kept("b", "10.0.0.2"))
	after := verdicts(kept("a", "10.0.0.1"), kept("a", "10.0.0.9"), kept("b", "10.0.0.2"), yes("c", "10.0.0.3"))
	notes := keptNotes(before, after)
	if len(notes) != 1 || notes[0].service != svc("a") || !notes[0].warning || notes[0].reason != "lastAnnouncer" || !strings.Contains(notes[0].message, "no other node") {
		t.Errorf("told %+v, want one word on Service a", notes)
	}
	var many []*announce.Verdict
	for i := range 100 {
		many = append(many, kept(fmt.Sprintf("s%02d", i), "10.0.0.1"))
	}
	if notes := keptNotes(announce.Node{}, verdicts(many...)); len(notes) != maxKeptEvents {
		t.Errorf("told %d Services, want %d", len(notes), maxKeptEvents)
	}
	if message := (&standing{reached: announce.DrainWithdrawn, node: verdicts(many...), report: node.Report{Drain: node.Drain{Stage: announce.DrainWithdrawn}}}).drain("n1").message; !strings.Contains(message, "and 90 more") {
		t.Errorf("message %q", message)
	}
}
