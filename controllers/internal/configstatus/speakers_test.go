package configstatus

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

func drains(node string, status metav1.ConditionStatus) *v1beta1.ConfigurationState {
	s := state(node, "")
	s.Status.Conditions = append(s.Status.Conditions, metav1.Condition{Type: v1beta1.ConditionDrained, Status: status, Reason: "R", Message: "node " + node + " is unschedulable"})
	return s
}

func linked() *v1beta1.ConfigurationState {
	s := state("n5", "")
	s.Status.Links = []string{"eth0", "eth1"}
	return s
}

func TestSpeakersAreThoseThatReportWithWhatKeepsThemFromAnnouncing(t *testing.T) {
	ours := &v1beta1.ConfigurationState{ObjectMeta: named("controller")}
	h := newHarness(t, ours, state("n1", ""), state("n2", "FRR refuses line 9"), drains("n3", metav1.ConditionTrue), drains("n4", metav1.ConditionFalse), linked())
	got, err := Speakers(t.Context(), h.client, namespace)
	want := map[string]announce.Speaker{"n1": {}, "n2": {Failure: "FRR refuses line 9"}, "n3": {Drained: "node n3 is unschedulable"}, "n4": {}, "n5": {Links: []string{"eth0", "eth1"}}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, speakers (-want +got):\n%s", err, diff)
	}
}

func TestOnlyWhatASpeakerSaysOfItselfIsAChangeOfIt(t *testing.T) {
	changes := SpeakerChanges()
	for name, row := range map[string]struct {
		before, after *v1beta1.ConfigurationState
		want          bool
	}{
		"the same":           {state("n1", ""), state("n1", ""), false},
		"an object applied":  {state("n1", ""), state("n1", "", has3("BGPPeer", "tor")...), false},
		"FRR refuses":        {state("n1", ""), state("n1", "no"), true},
		"the node drains":    {drains("n1", metav1.ConditionFalse), drains("n1", metav1.ConditionTrue), true},
		"a link comes":       {state("n5", ""), linked(), true},
		"not of a speaker's": {&v1beta1.ConfigurationState{ObjectMeta: named("controller")}, &v1beta1.ConfigurationState{ObjectMeta: named("controller")}, false},
	} {
		if got := changes.Update(event.UpdateEvent{ObjectOld: row.before, ObjectNew: row.after}); got != row.want {
			t.Errorf("%s: %t, want %t", name, got, row.want)
		}
	}
	if !changes.Delete(event.DeleteEvent{Object: state("n1", "")}) || !changes.Create(event.CreateEvent{Object: state("n1", "")}) {
		t.Error("a speaker that comes or goes is no change")
	}
}
