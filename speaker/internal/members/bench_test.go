package members_test

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// saturate keeps all processors busy, twice over, until the benchmark ends.
func saturate(b *testing.B) {
	b.Helper()
	var stop atomic.Bool
	var tasks sync.WaitGroup
	for range 2 * runtime.NumCPU() {
		tasks.Go(func() {
			for n := uint64(1); !stop.Load(); n = n*6364136223846793005 + 1 {
				if n == 0 {
					return
				}
			}
		})
	}
	b.Cleanup(func() { stop.Store(true); tasks.Wait() })
}

// report prints the median and the largest of times.
func report(b *testing.B, times []time.Duration) {
	b.Helper()
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)-1].Microseconds())/1000, "max-ms")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkDetection ends one member after another in namespaces of their own, and measures when the last of the others sees it.
//
//	go test ./speaker/internal/members -run '^$' -bench Detection -benchtime 20x
func BenchmarkDetection(b *testing.B) {
	ways := []struct {
		name  string
		end   func(c *cluster, name string)
		begin func(b *testing.B, c *cluster, i int)
	}{
		{"killed", func(c *cluster, name string) { _ = c.procs[name].cmd.Process.Kill() }, relaunch},
		{"left", func(c *cluster, name string) { c.procs[name].order("leave") }, relaunch},
		{"unplugged", func(c *cluster, name string) { c.hosts[name].Down("eth0") },
			func(_ *testing.B, c *cluster, i int) { c.hosts[c.names[i]].Up("eth0") }},
	}
	for _, busy := range []bool{false, true} {
		for _, n := range []int{3, 5} {
			for _, way := range ways {
				b.Run(fmt.Sprintf("%s/members=%d/busy=%t", way.name, n, busy), func(b *testing.B) {
					if busy {
						saturate(b)
					}
					c := newCluster(b, n, nil)
					all := c.procs[c.names[0]].seen()
					everybody := all[len(all)-1].names()
					var took []time.Duration
					for i := range b.N {
						victim := i % n
						name := c.names[victim]
						at := time.Now()
						way.end(c, name)
						last := time.Duration(0)
						for _, p := range c.others(name) {
							last = max(last, time.Duration(p.awaitNames(c.without(name), true).At-at.UnixNano()))
						}
						took = append(took, last)
						way.begin(b, c, victim)
						for _, p := range c.procs {
							p.awaitNames(everybody, true)
						}
						c.awaitLines()
					}
					report(b, took)
				})
			}
		}
	}
}

func relaunch(b *testing.B, c *cluster, i int) {
	b.Helper()
	_ = c.procs[c.names[i]].cmd.Wait()
	c.launch(b, c.peers[i], nil)
}

// BenchmarkSoak keeps members running on saturated processors, an iteration for a second, and counts the changes they see; there should be none.
//
//	go test ./speaker/internal/members -run '^$' -bench Soak -benchtime 1800x -timeout 1h
func BenchmarkSoak(b *testing.B) {
	saturate(b)
	c := newCluster(b, 5, nil)
	before := map[string]int{}
	for name, p := range c.procs {
		before[name] = len(p.seen())
	}
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for b.Loop() {
		<-tick.C
	}
	changes := 0
	for name, p := range c.procs {
		views := p.seen()
		changes += len(views) - before[name]
		for _, v := range views[before[name]:] {
			b.Logf("%s at %v: %q", name, time.Unix(0, v.At), v.names())
		}
	}
	b.ReportMetric(float64(changes), "changes")
}

// BenchmarkMany runs thirty members, a process each, kills one of them in each iteration, and measures when the last of the others sees it.
// It reports what a member costs at rest, too, and how many changes there were that nobody caused.
//
//	go test ./speaker/internal/members -run '^$' -bench Many -benchtime 5x
func BenchmarkMany(b *testing.B) {
	const n = 30
	for _, busy := range []bool{false, true} {
		b.Run(fmt.Sprintf("busy=%t", busy), func(b *testing.B) {
			var all []*process
			var peers []members.Peer
			for i := range 3 {
				peers = append(peers, members.Peer{Name: fmt.Sprintf("m%d", i), Addr: localAddr(i + 1)})
			}
			begin := func(i int) *process {
				return start(b, "", settings{Name: fmt.Sprintf("m%d", i), BindAddr: localAddr(i + 1), BindPort: localPort, Peers: peers})
			}
			for i := range n {
				all = append(all, begin(i))
			}
			everybody := func(size int) func(view) bool { return func(v view) bool { return len(v.Alive) == size && v.Quorate } }
			for _, p := range all {
				p.await("everybody", everybody(n))
			}
			// The connections are made in the first moments.
			<-time.After(5 * time.Second)
			if busy {
				saturate(b)
			}
			changes := count(all)
			used := spent(b, all)
			<-time.After(10 * time.Second)
			share := float64(spent(b, all)-used) / n / float64(10*time.Second) * 100
			changes = count(all) - changes
			var took []time.Duration
			for i := range b.N {
				at := time.Now()
				_ = all[n-1-i].cmd.Process.Kill()
				last := time.Duration(0)
				for _, p := range all[:n-1-i] {
					last = max(last, time.Duration(p.await("one less", everybody(n-1-i)).At-at.UnixNano()))
				}
				took = append(took, last)
			}
			report(b, took)
			b.ReportMetric(float64(changes), "changes")
			b.ReportMetric(share, "%core/member")
		})
	}
}

func count(all []*process) (views int) {
	for _, p := range all {
		views += len(p.seen())
	}
	return views
}

// spent is the processor time that all processes have taken.
func spent(b *testing.B, all []*process) time.Duration {
	b.Helper()
	const tick = 10 * time.Millisecond // the kernel's unit for users
	var sum time.Duration
	for _, p := range all {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
		if err != nil {
			b.Fatal(err)
		}
		// The name in parentheses is the second field; the times in user and kernel mode are the 14th and 15th.
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		for _, field := range fields[11:13] {
			n, err := strconv.Atoi(field)
			if err != nil {
				b.Fatal(err)
			}
			sum += time.Duration(n) * tick
		}
	}
	return sum
}
