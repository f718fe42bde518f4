package kubeview_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// at is a moment that many seconds into a day.
func at(seconds int) metav1.Time {
	return metav1.NewTime(time.Date(2026, 1, 1, 0, 0, seconds, 0, time.UTC))
}

// inTrouble has everything that can make a node drain.
func inTrouble() *corev1.Node {
	tainted := func(key string, seconds int) corev1.Taint { return corev1.Taint{Key: key, TimeAdded: new(at(seconds))} }
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n1", Annotations: map[string]string{v1beta1.NodeAnnotationDrain: "true"}},
		Spec: corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{
			tainted(corev1.TaintNodeOutOfService, 10), tainted(corev1.TaintNodeUnschedulable, 20), tainted("example.com/a", 40), tainted("example.com/a", 30),
			{Key: "example.com/timeless"},
		}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{
			Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "container runtime is down, node is shutting down", LastTransitionTime: at(50),
		}}},
	}
}

func TestGivenANodeInTroubleWhenItMayDrainThenItDoesSoForWhatTheUserNamedOnlyAndSaysSinceWhen(t *testing.T) {
	for _, row := range []struct {
		on    kubeview.DrainOn
		words string
		since time.Time
	}{
		{kubeview.DrainOn{}, "", time.Time{}},
		{kubeview.DrainOn{Taints: []string{"example.com/other"}}, "", time.Time{}},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.NotReady}}, "is not Ready", at(50).Time},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.OutOfService}}, "has the taint node.kubernetes.io/out-of-service", at(10).Time},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.Unschedulable}}, "is unschedulable", at(20).Time},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.ShuttingDown}}, "is being shut down", at(50).Time},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.DrainRequested}}, "has the annotation metallb.io/drain", time.Time{}},
		{kubeview.DrainOn{Taints: []string{"example.com/a"}}, "has the taint example.com/a", at(30).Time},
		{kubeview.DrainOn{Taints: []string{"example.com/timeless"}}, "has the taint example.com/timeless", time.Time{}},
		{kubeview.DrainOn{States: []kubeview.Impairment{kubeview.DrainRequested, kubeview.Unschedulable}, Taints: []string{"example.com/a"}},
			"is unschedulable and has the annotation metallb.io/drain and has the taint example.com/a", at(20).Time},
	} {
		words, since := kubeview.Draining(inTrouble(), row.on)
		if words != row.words || !since.Equal(row.since) {
			t.Errorf("on %+v: %q since %v, want %q since %v", row.on, words, since, row.words, row.since)
		}
		if words, _ := kubeview.Draining(&corev1.Node{Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}, row.on); words != "" {
			t.Errorf("on %+v a node without trouble drains because it %s", row.on, words)
		}
	}
}

func TestGivenSignsThatAreNotQuiteThoseWhenReadThenTheNodeDoesNotDrain(t *testing.T) {
	everything := kubeview.DrainOn{States: []kubeview.Impairment{kubeview.OutOfService, kubeview.Unschedulable, kubeview.ShuttingDown, kubeview.DrainRequested}}
	for name, n := range map[string]*corev1.Node{
		"annotation false":      {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1beta1.NodeAnnotationDrain: "false"}}},
		"annotation of another": {ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"metallb.io/drained": "true"}}},
		"not ready otherwise":   {Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "PLEG is not healthy"}}}},
		"ready again":           {Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, Message: "node is shutting down"}}}},
	} {
		if words, _ := kubeview.Draining(n, everything); words != "" {
			t.Errorf("%s: drains because it %s", name, words)
		}
	}
}

func TestGivenAListOfTaintsWhenParsedThenEachKeyIsOnceInItAndTheErrorNamesWhatIsNone(t *testing.T) {
	for list, want := range map[string][]string{"": nil, " ": nil, "a": {"a"}, "example.com/b, a,example.com/b": {"example.com/b", "a"}} {
		if got, err := kubeview.ParseTaints(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q gives %v, %v, want %v", list, got, err, want)
		}
	}
	for _, list := range []string{"a,", "a b", "a=b:NoSchedule"} {
		if _, err := kubeview.ParseTaints(list); err == nil || !strings.Contains(err.Error(), "is no key of a taint") {
			t.Errorf("%q gives the error %v", list, err)
		}
	}
}
