package publish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// Layer2 tells what is done for the addresses of this node on layer 2; *l2.Responder is one.
type Layer2 interface {
	Observed() []l2.Observed
	Counters() l2.Counters
	// Changed is signaled when Observed may have changed. Only the Publisher listens to it.
	Changed() <-chan struct{}
}

// Membership tells which speakers are alive; *members.Members is one.
type Membership interface {
	Snapshot() members.Snapshot
}

// Layer2Metrics are what this node does on layer 2, read when they are asked for.
type Layer2Metrics struct {
	edge       Layer2
	membership Membership

	requests, responses, gratuitous, since, conflicts, dropped *prometheus.Desc
	members, quorate                                           *prometheus.Desc
}

// NewLayer2Metrics returns the metrics of layer 2. Either part may be nil and has no series then.
func NewLayer2Metrics(edge Layer2, membership Membership) *Layer2Metrics {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("metallb_layer2_"+name, help, labels, nil)
	}
	return &Layer2Metrics{
		edge: edge, membership: membership,
		requests:   desc("requests_received", "ARP requests and neighbor solicitations for the address, since this node gained it.", "ip"),
		responses:  desc("responses_sent", "ARP replies and neighbor advertisements sent in answer to requests for the address, since this node gained it.", "ip"),
		gratuitous: desc("gratuitous_sent", "Frames sent to announce the address unasked, since this node gained it.", "ip"),
		since:      desc("answering_since_seconds", "When this node began to answer for the address on the link where it has done so for longest, in seconds since 1970.", "ip"),
		conflicts:  desc("conflicts", "1 while another host on the segment claims the address that this node answers for, 0 when that is over.", "ip"),
		dropped:    desc("dropped_total", "Frames of ARP and neighbor discovery that were not answered, or not sent, by reason.", "reason"),
		members:    desc("members", "Speakers that are alive as far as this one knows, itself among them."),
		quorate:    desc("quorate", "1 while this speaker may claim addresses, 0 while it may be the one that is cut off from the others."),
	}
}

// Describe implements prometheus.Collector.
func (m *Layer2Metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{m.requests, m.responses, m.gratuitous, m.since, m.conflicts, m.dropped, m.members, m.quorate} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Layer2Metrics) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	count := func(d *prometheus.Desc, value uint64, label string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), label)
	}
	if m.edge != nil {
		counters := m.edge.Counters()
		for address, c := range counters.Addresses {
			ip := address.String()
			count(m.requests, c.Requests, ip)
			count(m.responses, c.Responses, ip)
			count(m.gratuitous, c.Gratuitous, ip)
		}
		for reason, n := range counters.Dropped {
			count(m.dropped, n, reason)
		}
		for _, o := range m.edge.Observed() {
			if began := firstAnswer(o); !began.IsZero() {
				gauge(m.since, float64(began.UnixMilli())/1000, o.Address.String())
			}
			if len(o.Conflicts) > 0 {
				gauge(m.conflicts, number(len(ongoing(o)) > 0), o.Address.String())
			}
		}
	}
	if m.membership != nil {
		s := m.membership.Snapshot()
		gauge(m.members, float64(len(s.Alive)))
		gauge(m.quorate, number(s.Quorate))
	}
}

// firstAnswer returns since when an address has been answered for, the zero time if it is not.
func firstAnswer(o l2.Observed) time.Time {
	var first time.Time
	for _, link := range o.Links {
		if first.IsZero() || link.Since.Before(first) {
			first = link.Since
		}
	}
	return first
}

// ongoing returns the conflicts about an address that are not over.
func ongoing(o l2.Observed) []l2.Conflict {
	var those []l2.Conflict
	for _, c := range o.Conflicts {
		if c.Ongoing {
			those = append(those, c)
		}
	}
	return those
}
