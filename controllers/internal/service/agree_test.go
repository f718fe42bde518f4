package service

import (
	"testing"

	promclient "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestMetricsAreThoseThatAlertsDashboardsAndDocumentationKnow(t *testing.T) {
	m := newMetrics(func() account { return account{} })
	prometheus.Agree(t, monitoring.Controller, "metallb_allocator_|metallb_k8s_client_", m.collectors(nil)...)
}

// Given a controller that waits to lead, when its metrics are read, then it says nothing of a configuration: that it has not loaded any is no fault.
func TestOnlyWhoLeadsTellsOfItsConfiguration(t *testing.T) {
	m, leads := newMetrics(func() account { return account{} }), make(chan struct{})
	registry := promclient.NewPedanticRegistry()
	registry.MustRegister(m.collectors(leads)...)
	count := func() int {
		n, err := testutil.GatherAndCount(registry, "metallb_k8s_client_config_loaded_bool", "metallb_k8s_client_config_stale_bool")
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 0 {
		t.Errorf("%d series before it leads, want none", n)
	}
	close(leads)
	if n := count(); n != 2 {
		t.Errorf("%d series once it leads, want 2", n)
	}
}
