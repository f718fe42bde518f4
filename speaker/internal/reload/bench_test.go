package reload_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// many is a speaker that announces n prefixes with one set of advertisements.
func many(n int) speaker {
	s := speaker{
		neighbors: []string{"192.0.2.100"},
		ads:       []advertisement{{tag: 1, communities: "65535:65282", localPref: 100}},
		prefixes:  map[string][]int{},
	}
	for i := range n {
		s.prefixes[fmt.Sprintf("10.%d.%d.%d/32", 1+i/62500, i/250%250, i%250)] = []int{1}
	}
	return s
}

// BenchmarkApply measures one prefix more and one less among those announced
// already, from the client's call until the acknowledgement: over the socket, to
// bgpd, read back and compared.
func BenchmarkApply(b *testing.B) {
	for _, release := range frrtest.Releases() {
		for _, n := range []int{0, 1000, 5000} {
			b.Run(fmt.Sprintf("%s/%d", release, n), func(b *testing.B) {
				node := startNode(b, release)
				s := many(n)
				without := s.conf()
				s.prefixes["10.200.0.1/32"] = []int{1}
				with := s.conf()
				node.apply(b, without)
				confs := []string{with, without}
				daemon, own := bgpdCPU(b, node), ownCPU(b)
				b.ResetTimer()
				for i := range b.N {
					if ack := node.apply(b, confs[i%2]); ack.How != frr.Delta {
						b.Fatalf("%+v, want a delta", ack)
					}
				}
				b.ReportMetric(float64((bgpdCPU(b, node)-daemon).Microseconds())/1000/float64(b.N), "bgpd-cpu-ms/op")
				b.ReportMetric(float64((ownCPU(b)-own).Microseconds())/1000/float64(b.N), "reloader-cpu-ms/op")
			})
		}
	}
}

// bgpdCPU is the processor time bgpd has used, to 10 ms.
func bgpdCPU(b *testing.B, n *node) time.Duration {
	b.Helper()
	pid, err := n.DaemonPID("bgpd")
	if err != nil {
		b.Fatal(err)
	}
	stat, err := os.ReadFile(n.Path(fmt.Sprintf("/proc/%d/stat", pid)))
	if err != nil {
		b.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	var ticks int
	for _, field := range strings.Fields(rest)[11:13] { // utime and stime
		t, err := strconv.Atoi(field)
		if err != nil {
			b.Fatal(err)
		}
		ticks += t
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}

// ownCPU is the processor time of this process: client, server and engine.
func ownCPU(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
