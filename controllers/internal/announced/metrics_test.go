package announced

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestMetricsAreThoseThatAlertsDashboardsAndDocumentationKnow(t *testing.T) {
	prometheus.Agree(t, monitoring.Controller, "metallb_controller_", NewMetrics(nil, kubeview.Classes{}))
}

// Given Services of every kind, when metrics are asked for, then only those are told of that have an address, are ours and are announced by nobody.
func TestUnannouncedServices(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	build := fake.NewClientBuilder().WithScheme(scheme)
	for name, change := range map[string]func(*corev1.Service){
		"down":    func(*corev1.Service) {},
		"up":      func(s *corev1.Service) { s.Status.Conditions[0].Status = metav1.ConditionTrue },
		"unknown": func(s *corev1.Service) { s.Status.Conditions[0].Status = metav1.ConditionUnknown },
		"pending": func(s *corev1.Service) { s.Status.LoadBalancer.Ingress = nil },
		"foreign": func(s *corev1.Service) { s.Spec.LoadBalancerClass = new("example.com/other") },
		"new":     func(s *corev1.Service) { s.Status.Conditions = nil },
	} {
		s := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer}}
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
		s.Status.Conditions = []metav1.Condition{{Type: service.ConditionAnnounced, Status: metav1.ConditionFalse, Reason: "SessionDown"}}
		change(s)
		build = build.WithObjects(s)
	}
	const want = `# HELP metallb_controller_service_unannounced 1 for each Service that has an address which nobody announces, by the reason that its condition metallb.io/Announced has.
# TYPE metallb_controller_service_unannounced gauge
metallb_controller_service_unannounced{reason="SessionDown",service="shop/down"} 1
`
	if err := testutil.CollectAndCompare(NewMetrics(build.Build(), kubeview.Classes{}), strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
