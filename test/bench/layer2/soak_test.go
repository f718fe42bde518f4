package layer2

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/bench"
	"github.com/seed-551707bd/metallb-operator/test/lab"
)

// BenchmarkSoak keeps all processors busy, twice over, for as long as -soak says, and counts the addresses that change nodes; none should, as
// nothing happens. It is not part of "make bench".
//
//	go test -timeout 1h -run '^$' -bench Soak -soak 30m ./test/bench/layer2
func BenchmarkSoak(b *testing.B) {
	const n = 30
	g := bringUp(b, "benchl2s", 3)
	begin := time.Now()
	must(b, g.objects.Prepare(g.ctx, n))
	must(b, g.objects.CreateEach(g.ctx, n, func(int) bench.Kind { return bench.Kind{} }))
	before := g.owned(b, begin, n)
	must(b, g.saturate(b))
	mark, writes := time.Now(), g.writes(b)
	c := g.startClient()
	must(b, sleep(g.ctx, *soak))
	end := time.Now()
	asked, beside := c.stop()
	takeovers, repeated := 0, 0
	owners := before
	owners[g.address] = g.home
	for _, m := range after(g.wire.Messages(), mark) {
		address, claim := m.Claim()
		switch {
		case !claim || owners[address] == "":
		case owners[address] != m.Machine:
			takeovers++
			owners[address] = m.Machine
			b.Logf("after %s: %s", m.Time.Sub(mark).Round(time.Millisecond), m)
		case m.Gratuitous():
			repeated++
		}
	}
	what := fmt.Sprintf("soak of %s with %d addresses, all processors busy twice over", *soak, n+1)
	report.Value(valuesTitle, what+": false take-overs", fmt.Sprint(takeovers), "0")
	report.Value(valuesTitle, what+": announcements without one", fmt.Sprint(repeated), "0")
	seen(what, asked, beside, []window{{mark, end}})
	for request, n := range g.writes(b).Since(writes).Sorted() {
		report.Value(writesTitle, what+": "+request, fmt.Sprint(n), "0")
	}
	if takeovers > 0 {
		b.Errorf("%d times an address changed nodes though nothing had happened", takeovers)
	}
	b.Run("TakeOvers", func(b *testing.B) {
		b.ReportMetric(float64(takeovers), "take-overs")
		b.ReportMetric(0, "ns/op")
	})
}

// saturate runs two programs for each processor that do nothing but compute, beside everything of the lab, until the benchmark ends.
func (g *ground) saturate(b *testing.B) error {
	b.Helper()
	ctx, stop := context.WithCancel(g.ctx)
	b.Cleanup(stop)
	for range 2 * runtime.NumCPU() {
		cmd, err := g.Command(ctx, lab.ClientName, "sh", "-c", "while :; do :; done")
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return fmt.Errorf("keep a processor busy: %w", err)
		}
		b.Cleanup(func() {
			stop()
			_ = cmd.Wait() // it was killed: that is how it ends
		})
	}
	return nil
}
