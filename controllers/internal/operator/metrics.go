package operator

import (
	"cmp"
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// scrapeLimit bounds the time in which the cache must answer: a scrape does not wait for one that is not there yet.
const scrapeLimit = 3 * time.Second

// metrics tells how the installation fares, read off the cache when it is asked.
type metrics struct {
	reconciler               *Reconciler
	condition, ready, absent *prometheus.Desc
}

// Metrics returns what Prometheus is told of the installation.
func (r *Reconciler) Metrics() prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("metallb_operator_"+name, help, labels, nil)
	}
	return &metrics{
		reconciler: r,
		condition:  desc("condition", "1 while the condition of the MetalLB object is True, else 0.", "type"),
		ready:      desc("pod_ready", "1 if a pod of the component on the node is ready, 0 if the pod there is not.", "component", "node"),
		absent:     desc("pods_absent", "Pods of the component that are wanted and do not exist.", "component"),
	}
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.condition, m.ready, m.absent} {
		ch <- d
	}
}

// Collect implements prometheus.Collector. There is nothing to tell before the cache is there, nor of no installation.
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	// A scrape gives no context.
	ctx, cancel := context.WithTimeout(context.Background(), scrapeLimit)
	defer cancel()
	metallb := &v1beta1.MetalLB{}
	if err := m.reconciler.client.Get(ctx, m.reconciler.installation().NamespacedName, metallb); err != nil {
		return
	}
	seen, err := m.reconciler.observe(ctx)
	if err != nil {
		return
	}
	gauge := func(d *prometheus.Desc, value int, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(value), labels...)
	}
	for _, c := range metallb.Status.Conditions {
		gauge(m.condition, number(c.Status == metav1.ConditionTrue), c.Type)
	}
	ready, existing := podsOf(seen)
	for at, is := range ready {
		gauge(m.ready, number(is), at.component, at.node)
	}
	for component, wanted := range wantedPods(seen) {
		gauge(m.absent, max(0, wanted-existing[component]), component)
	}
}

func number(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

// place is where a pod of a component is, or is meant to be.
type place struct{ component, node string }

// podsOf says where pods are ready, and counts them by component. An evicted pod stays as a record and does not count.
func podsOf(seen observed) (ready map[place]bool, existing map[string]int) {
	ready, existing = map[place]bool{}, map[string]int{}
	for i := range seen.pods {
		pod := &seen.pods[i]
		if pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded {
			continue
		}
		at := place{pod.Labels[manifests.LabelComponent], cmp.Or(pod.Spec.NodeName, meantFor(pod))}
		ready[at] = ready[at] || diagnose(pod, seen.unreachable, time.Time{}).state == podReady
		existing[at.component]++
	}
	return ready, existing
}

// wantedPods says how many pods of a component there are to be.
func wantedPods(seen observed) map[string]int {
	wanted := map[string]int{}
	if d := seen.controller; d != nil {
		wanted[manifests.Controller] = 1
		if d.Spec.Replicas != nil {
			wanted[manifests.Controller] = int(*d.Spec.Replicas)
		}
	}
	if d := seen.speaker; d != nil {
		wanted[manifests.Speaker] = int(d.Status.DesiredNumberScheduled)
	}
	return wanted
}
