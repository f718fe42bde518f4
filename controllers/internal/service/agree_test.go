package service

import (
	"testing"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestMetricsAreThoseThatAlertsDashboardsAndDocumentationKnow(t *testing.T) {
	m := newMetrics(func() account { return account{} })
	prometheus.Agree(t, monitoring.Controller, "metallb_allocator_|metallb_k8s_client_", m.collectors()...)
}
