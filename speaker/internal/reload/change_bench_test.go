package reload_test

import (
	"fmt"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// quiet is the pause before each change: after it bgpd's delay timer (1 s) has ended, so that nothing of the change before is left to be done.
const quiet = 1200 * time.Millisecond

// BenchmarkChange measures every kind of change of one object at 5,000 prefixes and 4 peers: until FRR runs it and was read back (daemon), and
// until the last route that it changes was at the last peer (peers). Each is made and taken back as often as -benchtime says (10x, say). It
// fails where a route changed that should not have, or a session was reset, never for a time.
func BenchmarkChange(b *testing.B) {
	const services, peers = 5000, 4
	for _, release := range frrtest.Releases() {
		b.Run(string(release), func(b *testing.B) {
			s := newSite(services, peers)
			n, routers := startSite(b, release, s, peers+1)
			for _, c := range changes(services, peers) {
				b.Run(strings.ReplaceAll(strings.ReplaceAll(c.name, ",", ""), " ", "-"), func(b *testing.B) {
					var daemon, atPeers times
					for range b.N {
						for _, act := range []func(*scene){c.do, c.undo} {
							time.Sleep(quiet)
							before, mark := s.states(routers), routers.Count()
							act(s)
							o := n.bring(b, s, routers)
							daemon = append(daemon, o.daemon)
							if o.peers > 0 {
								atPeers = append(atPeers, o.peers)
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
					b.ReportMetric(0, "ns/op")
					daemon.report(b, "daemon")
					atPeers.report(b, "peers")
				})
			}
		})
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

// report gives the least, the median and the 99th percentile, in milliseconds, and the load of the machine, which they depend on.
func (t times) report(b *testing.B, of string) {
	b.Helper()
	if len(t) == 0 {
		return
	}
	slices.Sort(t)
	for _, q := range []struct {
		name  string
		share float64
	}{{"min", 0}, {"median", 0.5}, {"p99", 0.99}} {
		rank := max(int(math.Ceil(q.share*float64(len(t))))-1, 0)
		b.ReportMetric(float64(t[rank].Microseconds())/1000, of+"-"+q.name+"-ms")
	}
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		var now float64
		if _, err := fmt.Sscan(string(load), &now); err == nil {
			b.ReportMetric(now, "load")
		}
	}
}
