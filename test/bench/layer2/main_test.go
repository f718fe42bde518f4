package layer2

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/bench"
)

const (
	firstTitle    = "Layer 2: until an address is announced"
	clientTitle   = "Layer 2: what a client sees that asks 100 times a second"
	valuesTitle   = "Layer 2: who has which address, and who says so"
	writesTitle   = "Layer 2: requests that changed something at the API server"
	createdTarget = "15"
	// createdRatioTarget is MetalLB's 15.3 ms as multiple of the request that created the Service there, which took 4.9 ms.
	createdRatioTarget = "3.12"
	killedTarget       = "800, at most 1500"
	powerTarget        = "1200"
)

var (
	report = bench.NewReport(firstTitle, clientTitle, valuesTitle, writesTitle)
	began  = time.Now()
	// interrupted ends when whoever runs the benchmarks wants no more of them.
	interrupted context.Context
	soak        = flag.Duration("soak", 30*time.Minute, "how long BenchmarkSoak watches")
)

func TestMain(m *testing.M) {
	flag.Parse()
	var stop context.CancelFunc
	interrupted, stop = signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := m.Run()
	stop()
	if flag.Lookup("test.bench").Value.String() != "" {
		if err := printReport(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

// printReport prints what the benchmarks found.
func printReport() error {
	machine, err := bench.Machine(began)
	if err != nil {
		return err
	}
	fmt.Printf("\n%s %.0f minutes.\n%s\n", machine, time.Since(began).Minutes(), report)
	return nil
}

// say tells on the standard error what goes on.
func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "%5.0fs  %s\n", time.Since(began).Seconds(), fmt.Sprintf(format, args...))
}

// share is that part of the samples that -benchtime asks for, for acts that take long, but no fewer than least.
func share(part, least int) int {
	n, err := strconv.Atoi(strings.TrimSuffix(flag.Lookup("test.benchtime").Value.String(), "x"))
	if err != nil {
		return least
	}
	return max(n/part, least)
}

// first reports how long it took until an address was announced.
func first(b *testing.B, name, what string, s bench.Samples, target string) {
	b.Helper()
	report.Durations(firstTitle, what, s, target)
	b.Run(name, func(b *testing.B) {
		for unit, d := range map[string]time.Duration{"min-ms": s.Quantile(0), "median-ms": s.Median(), "max-ms": s.Quantile(1)} {
			b.ReportMetric(float64(d)/float64(time.Millisecond), unit)
		}
		b.ReportMetric(0, "ns/op") // the time of an iteration means nothing
	})
}
