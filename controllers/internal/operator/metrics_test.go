package operator

import (
	"maps"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestMetricsAreThoseThatAlertsDashboardsAndDocumentationKnow(t *testing.T) {
	prometheus.Agree(t, monitoring.Operator, "metallb_", New(Options{}).Metrics())
}

// Given pods that are ready, not ready, on a lost node, a record only or missing, when they are counted, then each node with a pod is told of once.
func TestPodsByPlace(t *testing.T) {
	seen := notReady(running(), "n2", corev1.ContainerState{})
	seen.unreachable = map[string]bool{"n3": true}
	gone := pod(manifests.Speaker, "n4")
	gone.Status.Phase = corev1.PodFailed
	seen.pods = append(seen.pods, gone)
	seen.speaker.Status.DesiredNumberScheduled = 4
	ready, existing := podsOf(seen)
	for at, want := range map[place]bool{{manifests.Speaker, "n1"}: true, {manifests.Speaker, "n2"}: false, {manifests.Speaker, "n3"}: false} {
		if is, ok := ready[at]; !ok || is != want {
			t.Errorf("%v is ready: %t (known: %t), want %t", at, is, ok, want)
		}
	}
	if _, ok := ready[place{manifests.Speaker, "n4"}]; ok {
		t.Error("a pod that is over is told of")
	}
	if want := map[string]int{manifests.Controller: 1, manifests.Speaker: 3}; !maps.Equal(existing, want) {
		t.Errorf("there are %v, want %v", existing, want)
	}
	if want := map[string]int{manifests.Controller: 1, manifests.Speaker: 4}; !maps.Equal(wantedPods(seen), want) {
		t.Errorf("wanted are %v, want %v", wantedPods(seen), want)
	}
}
