package main

import (
	"testing"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/publish"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/sent"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

func TestMetricsAreThoseThatAlertsDashboardsAndDocumentationKnow(t *testing.T) {
	log, err := logging.New(t.Output(), "none")
	if err != nil {
		t.Fatal(err)
	}
	measured := publish.NewMetrics("node1", func() uint64 { return 0 })
	prometheus.Agree(t, monitoring.Speaker, "metallb_", collectors(measured, sent.New(nil, log), nil, nil, nil)...)
}
