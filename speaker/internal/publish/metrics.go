package publish

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// Metrics are what the speaker says of its own work, under the names MetalLB's users know where there are such.
type Metrics struct {
	node      string
	announced *prometheus.Desc
	held      *prometheus.Desc
	updates   prometheus.CounterFunc
	errors    prometheus.Counter
	loaded    prometheus.Gauge
	stale     prometheus.Gauge
	refused   prometheus.Gauge
	passes    prometheus.Histogram
	applies   *prometheus.HistogramVec
	drifts    *prometheus.CounterVec
	drifted   prometheus.Gauge
	ended     *prometheus.CounterVec

	mu      sync.Mutex
	inForce announce.Node
	// failing is true while FRR does not run what is wanted.
	failing bool
}

// NewMetrics returns the metrics of a node. updates counts the events from the API that were taken in.
func NewMetrics(nodeName string, updates func() uint64) *Metrics {
	// From well under the cost of a pass over a few Services to a full reload of thousands of lines.
	buckets := prometheus.ExponentialBuckets(0.0005, 2, 18)
	return &Metrics{
		node: nodeName,
		announced: prometheus.NewDesc("metallb_speaker_announced",
			"Addresses that this node announces, 1 each. By BGP it is what FRR was told; whether routers took it is theirs to say.",
			[]string{"service", "protocol", "node", "ip"}, nil),
		held: prometheus.NewDesc("metallb_speaker_not_announced", "Addresses of Services that this node does not announce, by the reason for it.",
			[]string{"protocol", "reason"}, nil),
		updates: prometheus.NewCounterFunc(prometheus.CounterOpts{Name: "metallb_k8s_client_updates_total",
			Help: "Changes of Kubernetes objects that were taken in."}, func() float64 { return float64(updates()) }),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Name: "metallb_k8s_client_update_errors_total",
			Help: "Passes after which FRR did not run what is wanted."}),
		loaded: prometheus.NewGauge(prometheus.GaugeOpts{Name: "metallb_k8s_client_config_loaded_bool",
			Help: "1 once a configuration has been in force, 0 before."}),
		stale: prometheus.NewGauge(prometheus.GaugeOpts{Name: "metallb_k8s_client_config_stale_bool",
			Help: "1 while part of the configuration is not in force because it is not valid or could not be applied."}),
		refused: prometheus.NewGauge(prometheus.GaugeOpts{Name: "metallb_speaker_frr_apply_failing",
			Help: "1 while FRR does not run what is wanted, because it refused it or could not be given it, else 0."}),
		passes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "metallb_speaker_pass_duration_seconds",
			Help: "Time to gather, decide and render: what all passes took since the last time that the outcome was told, observed each time it is.", Buckets: buckets}),
		applies: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "metallb_speaker_apply_duration_seconds",
			Help:    "Time until FRR acknowledged a configuration, or did not, by kind: unchanged (it ran already), delta, full, refused, failed.",
			Buckets: buckets}, []string{"kind"}),
		drifts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "metallb_speaker_frr_drift_total",
			Help: "Times that FRR was found to run something else than it was told, by what came of it: repaired, remains."}, []string{"result"}),
		drifted: prometheus.NewGauge(prometheus.GaugeOpts{Name: "metallb_speaker_frr_drift",
			Help: "1 while FRR runs something else than it was told that could not be put right, else 0."}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "metallb_speaker_frr_daemon_ended_total",
			Help: "Times that a daemon of FRR ended or stopped to answer."}, []string{"daemon"}),
	}
}

// Event takes in what happened to FRR without being asked for.
func (m *Metrics) Event(e frr.Event) {
	switch e.Kind {
	case frr.DriftRepaired:
		m.drifts.WithLabelValues("repaired").Inc()
		m.drifted.Set(0)
	case frr.DriftRemains:
		m.drifts.WithLabelValues("remains").Inc()
		m.drifted.Set(1)
	case frr.DaemonDown:
		m.ended.WithLabelValues(e.Daemon).Inc()
	case frr.DaemonUp:
	}
}

func (m *Metrics) parts() []prometheus.Collector {
	return []prometheus.Collector{m.updates, m.errors, m.loaded, m.stale, m.refused, m.passes, m.applies, m.drifts, m.drifted, m.ended}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	ch <- m.announced
	ch <- m.held
	for _, part := range m.parts() {
		part.Describe(ch)
	}
}

// Collect implements prometheus.Collector. The series of addresses are made of what is in force now, so none can be left over.
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	for _, part := range m.parts() {
		part.Collect(ch)
	}
	held := map[[2]string]int{}
	for _, v := range m.InForce().Verdicts {
		switch {
		case !v.Announce && v.Address.IsValid():
			held[[2]string{string(v.Protocol), string(v.Reason.Code)}]++
		case v.Announce:
			ch <- prometheus.MustNewConstMetric(m.announced, prometheus.GaugeValue, 1,
				v.Service.String(), string(v.Protocol), m.node, v.Address.String())
		}
	}
	for labels, n := range held {
		ch <- prometheus.MustNewConstMetric(m.held, prometheus.GaugeValue, float64(n), labels[:]...)
	}
}

// InForce returns what FRR acknowledged last, and what this node does on layer 2.
func (m *Metrics) InForce() announce.Node {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.inForce
}

// observe takes in a report and what is in force as of it.
func (m *Metrics) observe(r node.Report, inForce announce.Node) {
	m.passes.Observe(r.Pass.Seconds())
	for _, a := range r.Applies {
		m.applies.WithLabelValues(a.How).Observe(a.Duration.Seconds())
		if a.How == string(frr.Delta) || a.How == string(frr.FullReload) {
			m.drifted.Set(0) // it was read back since
		}
	}
	if r.InForce {
		m.loaded.Set(1)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.inForce = inForce
	if r.Outcome != node.Pending { // else FRR is as it was
		m.failing = r.Outcome != node.Applied
		if m.failing {
			m.errors.Inc()
		}
	}
	m.refused.Set(number(m.failing))
	m.stale.Set(number(m.failing || len(wrong(r.Problems)) > 0))
}
