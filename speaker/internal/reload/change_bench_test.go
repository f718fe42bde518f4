package reload_test

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/observer"
)

// quiet is the pause before each change: after it bgpd's delay timer (1 s) has ended, so that nothing of the change before is left to be done.
const quiet = 1200 * time.Millisecond

// BenchmarkChange measures every kind of change of one object at 5,000 prefixes and 4 peers: until FRR runs it and was read back (daemon), and
// until the last route that it changes was at the last peer (peers). Each is made and taken back as often as -benchtime says (10x, say). It
// fails where a route changed that should not have, or a session was reset, never for a time. Beside it (bare) is what FRR alone needs.
func BenchmarkChange(b *testing.B) {
	const services, peers = 5000, 4
	for _, release := range frrtest.Releases() {
		b.Run(string(release), func(b *testing.B) {
			s := newSite(services, peers)
			n, routers := startSite(b, release, s, peers+1)
			bare := newFloor(b, n)
			for _, c := range changes(services, peers) {
				b.Run(strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-"), func(b *testing.B) {
					var product, frr measured
					for i := range b.N {
						product.measure(b, n.product, &c, s, routers)
						if i%bareEvery == 0 {
							frr.measure(b, bare.prepare, &c, s, routers)
						}
					}
					b.ReportMetric(0, "ns/op")
					product.daemon.report(b, "daemon")
					product.peers.report(b, "peers")
					b.ReportMetric(milliseconds(frr.daemon.quantile(0.5)), "bare-daemon-median-ms")
					if len(frr.peers) > 0 {
						b.ReportMetric(milliseconds(frr.peers.quantile(0.5)), "bare-peers-median-ms")
					}
				})
			}
		})
	}
}

// bareEvery is after how many changes the same is done without the product: it takes as long again.
const bareEvery = 3

// measured are the times of one change.
type measured struct{ daemon, peers times }

// measure makes a change and takes it back.
func (m *measured) measure(b *testing.B, by way, c *change, s *scene, routers *observer.Router) {
	b.Helper()
	for _, act := range []func(*scene){c.do, c.undo} {
		routers.Forget()
		runtime.GC() // not in the midst of what is measured
		time.Sleep(quiet)
		before, mark := s.states(routers), routers.Count()
		act(s)
		o := bring(b, by, s, routers)
		m.daemon = append(m.daemon, o.daemon)
		if o.peers > 0 {
			m.peers = append(m.peers, o.peers)
		}
		if strays := c.strays(routers.Events(mark), before); len(strays) > 0 {
			b.Errorf("%d routes changed that should not have, the first: %s", len(strays), strays[0])
		}
		for address, was := range before {
			if now := routers.State(address); now.Opened != was.Opened {
				b.Errorf("the session at %s was reset", address)
			}
		}
	}
}

// BenchmarkSize prints how large configurations are.
func BenchmarkSize(b *testing.B) {
	for _, services := range []int{1000, 5000} {
		for _, peers := range []int{1, 4, 16} {
			b.Run(fmt.Sprintf("prefixes=%d/peers=%d", services, peers), func(b *testing.B) {
				s := newSite(services, peers)
				var size int
				for b.Loop() {
					size = len(s.conf(b))
				}
				b.ReportMetric(float64(size), "bytes")
			})
		}
	}
}

// times are measurements of one thing.
type times []time.Duration

// quantile is the least of them that at least this share does not exceed.
func (t times) quantile(share float64) time.Duration {
	sorted := slices.Sorted(slices.Values(t))
	return sorted[max(int(math.Ceil(share*float64(len(sorted))))-1, 0)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// report gives the least, the median and the 99th percentile, in milliseconds, and the load of the machine, which they depend on.
func (t times) report(b *testing.B, of string) {
	b.Helper()
	if len(t) == 0 {
		return
	}
	for _, q := range []struct {
		name  string
		share float64
	}{{"min", 0}, {"median", 0.5}, {"p99", 0.99}} {
		b.ReportMetric(milliseconds(t.quantile(q.share)), of+"-"+q.name+"-ms")
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		var now float64
		if _, err := fmt.Sscan(string(load), &now); err == nil {
			b.ReportMetric(now, "load")
		}
	}
}
