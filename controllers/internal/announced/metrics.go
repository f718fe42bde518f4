package announced

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// scrapeLimit bounds the time in which the cache must answer: a scrape does not wait for one that is not there yet.
const scrapeLimit = 3 * time.Second

// metrics tells of the Services that nobody announces, read off their conditions when it is asked: at rest it costs nothing, and where all is well
// there is no series.
type metrics struct {
	services    client.Reader
	classes     kubeview.Classes
	unannounced *prometheus.Desc
}

// NewMetrics returns what Prometheus is told of Services with these classes; services reads from a cache. Every controller tells the same, whether
// it leads or not.
func NewMetrics(services client.Reader, classes kubeview.Classes) prometheus.Collector {
	return &metrics{services: services, classes: classes, unannounced: prometheus.NewDesc("metallb_controller_service_unannounced",
		"1 for each Service that has an address which nobody announces, by the reason that its condition metallb.io/Announced has.",
		[]string{"service", "reason"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) { ch <- m.unannounced }

// Collect implements prometheus.Collector. The error of a cache that has not been filled yet is no news.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	// A scrape gives no context.
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	var list corev1.ServiceList
	if err := m.services.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return
	}
	for i := range list.Items {
		svc := &list.Items[i]
		c := shown(svc)
		if c == nil || c.Status != metav1.ConditionFalse || len(svc.Status.LoadBalancer.Ingress) == 0 || !m.classes.Handle(svc) {
			continue
		}
		ch <- prometheus.MustNewConstMetric(m.unannounced, prometheus.GaugeValue, 1, svc.Namespace+"/"+svc.Name, c.Reason)
	}
}
