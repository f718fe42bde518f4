package service

import (
	"slices"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// metrics are those of the allocator, under MetalLB's names.
type metrics struct {
	account         *collector
	updates, errors prometheus.Counter
	// loaded tells that the pools have been read, stale that some of them can't be used as they are.
	loaded, stale prometheus.Gauge
}

func newMetrics(of func() account) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "metallb", Subsystem: "k8s_client", Name: name, Help: help})
	}
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "metallb", Subsystem: "k8s_client", Name: name, Help: help})
	}
	return &metrics{
		account: newCollector(of),
		loaded:  gauge("config_loaded_bool", "1 if the configuration was successfully loaded at least once."),
		stale:   gauge("config_stale_bool", "1 if some object is not in force as it is now, because it is invalid or contradicts another."),
		updates: counter("updates_total", "Changes of Kubernetes objects that have been looked at."),
		errors:  counter("update_errors_total", "Writes of Kubernetes objects that have failed."),
	}
}

// collectors are all of them. Of the configuration only who leads has something to tell: the others have not loaded any, as they should.
func (m *metrics) collectors(leads <-chan struct{}) []prometheus.Collector {
	return []prometheus.Collector{m.account, m.updates, m.errors, leading{m.loaded, leads}, leading{m.stale, leads}}
}

// leading is a collector that has nothing to tell before since is closed.
type leading struct {
	prometheus.Collector
	since <-chan struct{}
}

// Collect implements prometheus.Collector.
func (l leading) Collect(out chan<- prometheus.Metric) {
	select {
	case <-l.since:
		l.Collector.Collect(out)
	default:
	}
}

// configuration takes in what is wrong with a configuration that has been read.
func (m *metrics) configuration(problems []intent.Problem) {
	m.loaded.Set(1)
	stale := slices.ContainsFunc(problems, func(p intent.Problem) bool { return p.Kind == intent.Invalid || p.Kind == intent.Conflict })
	m.stale.Set(0)
	if stale {
		m.stale.Set(1)
	}
}

// collector reads the account at the time of the scrape, so that it costs nothing in between and a deleted pool leaves no series behind.
type collector struct {
	account func() account
	pending *prometheus.Desc
	rows    []poolGauge
}

// poolGauge is one number of each pool.
type poolGauge struct {
	desc  *prometheus.Desc
	value func(ipam.Usage) float64
}

func newCollector(of func() account) *collector {
	name := func(name string) string { return prometheus.BuildFQName("metallb", "allocator", name) }
	c := &collector{account: of, pending: prometheus.NewDesc(name("pending_services"), "Number of Services that lack an address they ask for.", nil, nil)}
	add := func(metric, help string, value func(ipam.Usage) float64) {
		c.rows = append(c.rows, poolGauge{prometheus.NewDesc(name(metric), help, []string{"pool"}, nil), value})
	}
	// Sums of float64, so that two counts at the limit of int64 do not overflow.
	add("addresses_total", "Number of usable IP addresses, per pool.",
		func(u ipam.Usage) float64 { return float64(u.IPv4.Total) + float64(u.IPv6.Total) })
	add("addresses_in_use_total", "Number of IP addresses in use, per pool.",
		func(u ipam.Usage) float64 { return float64(u.IPv4.Used) + float64(u.IPv6.Used) })
	add("ipv4_addresses_total", "Number of usable IPv4 addresses, per pool.", func(u ipam.Usage) float64 { return float64(u.IPv4.Total) })
	add("ipv4_addresses_in_use_total", "Number of IPv4 addresses in use, per pool.", func(u ipam.Usage) float64 { return float64(u.IPv4.Used) })
	add("ipv6_addresses_total", "Number of usable IPv6 addresses, per pool.", func(u ipam.Usage) float64 { return float64(u.IPv6.Total) })
	add("ipv6_addresses_in_use_total", "Number of IPv6 addresses in use, per pool.", func(u ipam.Usage) float64 { return float64(u.IPv6.Used) })
	add("services_allocated_total", "Number of Services that have an address of the pool.", func(u ipam.Usage) float64 { return float64(u.Services) })
	add("addresses_reserved_total", "Number of free IP addresses that only the Services of an IPReservation get, per pool.",
		func(u ipam.Usage) float64 { return float64(u.IPv4.Reserved) + float64(u.IPv6.Reserved) })
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	out <- c.pending
	for _, row := range c.rows {
		out <- row.desc
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	a := c.account()
	out <- prometheus.MustNewConstMetric(c.pending, prometheus.GaugeValue, float64(a.pending))
	for _, u := range a.pools {
		for _, row := range c.rows {
			out <- prometheus.MustNewConstMetric(row.desc, prometheus.GaugeValue, row.value(u), u.Pool)
		}
	}
}
