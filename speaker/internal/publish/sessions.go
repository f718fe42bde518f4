package publish

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// Shower gives a show command to one of FRR's daemons and returns what it printed; *frr.Client is one.
type Shower interface {
	Show(ctx context.Context, daemon, command string) ([]byte, error)
}

const (
	// freshFor is how long what FRR showed is used again: scraping twice does not ask it twice.
	freshFor = time.Second
	// showLimit bounds the time FRR has to answer; a scrape must not wait for an FRR that does not run.
	showLimit = 3 * time.Second
)

// Sessions are the metrics of BGP and BFD sessions, read from FRR when they are asked for.
type Sessions struct {
	frr     Shower
	inForce func() announce.Node

	up      *prometheus.Desc
	bgp     []metric[frrstate.Session]
	bfdUp   *prometheus.Desc
	bfd     []metric[frrstate.BFDCounters]
	read    *prometheus.Desc
	mu      sync.Mutex
	at      time.Time
	current observed
}

// metric is a value that is read off a T.
type metric[T any] struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*T) int64
}

// observed is what FRR showed, and the first error if it did not show all.
type observed struct {
	sessions []frrstate.Session
	bfd      []frrstate.BFDSession
	counters []frrstate.BFDCounters
	err      error
}

var sessionLabels = []string{"peer", "vrf"}

// NewSessions returns the metrics of the sessions of one node; inForce is what FRR was told last.
func NewSessions(frr Shower, inForce func() announce.Node) *Sessions {
	type session = frrstate.Session
	desc := func(name, help string) *prometheus.Desc { return prometheus.NewDesc(name, help, sessionLabels, nil) }
	bgp := func(name, help string, kind prometheus.ValueType, value func(*session) int64) metric[session] {
		return metric[session]{desc("metallb_bgp_"+name, help), kind, value}
	}
	bfd := func(name, help string, value func(*frrstate.BFDCounters) int64) metric[frrstate.BFDCounters] {
		return metric[frrstate.BFDCounters]{desc("metallb_bfd_"+name, help), prometheus.CounterValue, value}
	}
	const counter, gauge = prometheus.CounterValue, prometheus.GaugeValue
	return &Sessions{
		frr: frr, inForce: inForce,
		read:  prometheus.NewDesc("metallb_speaker_frr_up", "1 if FRR's daemons answered when this was asked, else 0.", nil, nil),
		up:    desc("metallb_bgp_session_up", "1 while the BGP session is Established, else 0."),
		bfdUp: desc("metallb_bfd_session_up", "1 while BFD sees the path to the peer work, else 0."),
		bgp: []metric[session]{
			bgp("announced_prefixes_total", "Prefixes that the peer was sent and that stand.", gauge, (*session).Sent),
			bgp("received_prefixes_total", "Prefixes that the peer sent and that were let in.", gauge, (*session).Accepted),
			bgp("session_established_total", "Times that the BGP session came up since bgpd started.", counter, func(s *session) int64 { return s.Ups }),
			bgp("opens_sent", "OPEN messages sent.", counter, func(s *session) int64 { return s.Messages.OpensSent }),
			bgp("opens_received", "OPEN messages received.", counter, func(s *session) int64 { return s.Messages.OpensReceived }),
			bgp("notifications_sent", "NOTIFICATION messages sent.", counter, func(s *session) int64 { return s.Messages.NotificationsSent }),
			bgp("updates_total", "UPDATE messages sent.", counter, func(s *session) int64 { return s.Messages.UpdatesSent }),
			bgp("updates_total_received", "UPDATE messages received.", counter, func(s *session) int64 { return s.Messages.UpdatesReceived }),
			bgp("keepalives_sent", "KEEPALIVE messages sent.", counter, func(s *session) int64 { return s.Messages.KeepalivesSent }),
			bgp("keepalives_received", "KEEPALIVE messages received.", counter, func(s *session) int64 { return s.Messages.KeepalivesReceived }),
			bgp("route_refresh_sent", "ROUTE-REFRESH messages sent.", counter, func(s *session) int64 { return s.Messages.RouteRefreshSent }),
			bgp("total_sent", "BGP messages sent.", counter, func(s *session) int64 { return s.Messages.TotalSent }),
			bgp("total_received", "BGP messages received.", counter, func(s *session) int64 { return s.Messages.TotalReceived }),
		},
		bfd: []metric[frrstate.BFDCounters]{
			bfd("control_packet_input", "BFD control packets received.", func(c *frrstate.BFDCounters) int64 { return c.ControlIn }),
			bfd("control_packet_output", "BFD control packets sent.", func(c *frrstate.BFDCounters) int64 { return c.ControlOut }),
			bfd("echo_packet_input", "BFD echo packets received.", func(c *frrstate.BFDCounters) int64 { return c.EchoIn }),
			bfd("echo_packet_output", "BFD echo packets sent.", func(c *frrstate.BFDCounters) int64 { return c.EchoOut }),
			bfd("session_up_events", "Times that the BFD session came up.", func(c *frrstate.BFDCounters) int64 { return c.Ups }),
			bfd("session_down_events", "Times that the BFD session went down.", func(c *frrstate.BFDCounters) int64 { return c.Downs }),
			bfd("zebra_notifications", "Notifications that bfdd sent to zebra.", func(c *frrstate.BFDCounters) int64 { return c.ZebraNotifications }),
		},
	}
}

// Describe implements prometheus.Collector.
func (s *Sessions) Describe(ch chan<- *prometheus.Desc) {
	ch <- s.read
	ch <- s.up
	ch <- s.bfdUp
	for _, m := range s.bgp {
		ch <- m.desc
	}
	for _, m := range s.bfd {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector. Without FRR there are no sessions to tell of, only that it does not answer. A node without
// peers has none either, and FRR is not asked.
func (s *Sessions) Collect(ch chan<- prometheus.Metric) {
	node := s.inForce()
	if len(node.BGP.Routers) == 0 {
		return
	}
	seen := s.observe()
	ch <- prometheus.MustNewConstMetric(s.read, prometheus.GaugeValue, number(seen.err == nil))
	ports := portsOf(node)
	for i := range seen.sessions {
		one := &seen.sessions[i]
		labels := ports.labels(one.Key)
		ch <- prometheus.MustNewConstMetric(s.up, prometheus.GaugeValue, number(one.Established()), labels...)
		for _, m := range s.bgp {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(one)), labels...)
		}
	}
	for i := range seen.bfd {
		ch <- prometheus.MustNewConstMetric(s.bfdUp, prometheus.GaugeValue, number(seen.bfd[i].Up()), ports.labels(seen.bfd[i].Key)...)
	}
	for i := range seen.counters {
		for _, m := range s.bfd {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, float64(m.value(&seen.counters[i])), ports.labels(seen.counters[i].Key)...)
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// observe asks FRR, at most once per freshFor.
func (s *Sessions) observe() observed {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.at) < freshFor {
		return s.current
	}
	// A scrape gives no context.
	ctx, cancel := context.WithTimeout(context.Background(), showLimit)
	defer cancel()
	var now observed
	now.sessions = show(ctx, s.frr, &now.err, "bgpd", frrstate.CommandSessions, frrstate.ParseSessions)
	now.bfd = show(ctx, s.frr, &now.err, "bfdd", frrstate.CommandBFD, frrstate.ParseBFD)
	now.counters = show(ctx, s.frr, &now.err, "bfdd", frrstate.CommandBFDCounters, frrstate.ParseBFDCounters)
	// One path may be watched by several BFD sessions, on different interfaces; a series must not come twice.
	now.bfd = slices.CompactFunc(now.bfd, func(a, b frrstate.BFDSession) bool { return a.Key == b.Key })
	now.counters = slices.CompactFunc(now.counters, func(a, b frrstate.BFDCounters) bool { return a.Key == b.Key })
	s.current, s.at = now, time.Now()
	return now
}

// show runs one command and parses its output; the first error of several calls is kept in failure.
func show[T any](ctx context.Context, frr Shower, failure *error, daemon, command string, parse func([]byte) ([]T, error)) []T {
	output, err := frr.Show(ctx, daemon, command)
	var parsed []T
	if err == nil {
		parsed, err = parse(output)
	}
	*failure = cmp.Or(*failure, err)
	return parsed
}

// ports are those that sessions go to, by session.
type ports map[frrstate.Key]uint16

func portsOf(node announce.Node) ports {
	p := ports{}
	for i := range node.BGP.Routers {
		r := &node.BGP.Routers[i]
		for j := range r.Neighbors {
			p[frrstate.KeyOf(r.VRF, &r.Neighbors[j])] = r.Neighbors[j].Port
		}
	}
	return p
}

// labels returns the values of sessionLabels.
func (p ports) labels(key frrstate.Key) []string {
	return []string{key.Label(p[key]), key.VRFLabel()}
}
