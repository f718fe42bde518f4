package node_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// sink takes every configuration at once.
type sink struct{}

func (sink) Apply(_ context.Context, conf []byte) (frr.Ack, error) {
	return frr.Ack{Hash: frrconf.Hash(conf), How: frr.Delta}, nil
}

func (sink) Events(ctx context.Context) iter.Seq2[frr.Event, error] {
	return func(func(frr.Event, error) bool) { <-ctx.Done() }
}

// reports hands every report on.
type reports chan node.Report

func (r reports) Publish(report node.Report) { r <- report }

// BenchmarkPass prints what one pass costs after one Service of many has changed: deciding and rendering, without FRR.
func BenchmarkPass(b *testing.B) {
	for _, services := range []int{0, 1000, 5000} {
		b.Run(fmt.Sprintf("%d services", services), func(b *testing.B) {
			trigger := node.NewTrigger()
			src, out := newSource(trigger), make(reports)
			for i := range services {
				src.announce(fmt.Sprintf("10.1.%d.%d", 100+i/250, 1+i*7919%250))
			}
			close(src.synced)
			loop := node.New(node.Options{Node: "n1", Conf: frrconf.Options{Hostname: "n1"}, Trigger: trigger, Source: src, FRR: sink{}, Publisher: out, Log: slog.New(slog.DiscardHandler)})
			ctx, cancel := context.WithCancel(b.Context())
			defer cancel()
			go func() { _ = loop.Start(ctx) }()
			<-out
			var spent time.Duration
			for b.Loop() {
				src.announce("10.0.0.1")
				report := <-out
				if report.Outcome != node.Applied {
					b.Fatalf("reported %v: %s", report.Outcome, report.Words)
				}
				spent += report.Pass
				src.mu.Lock()
				src.view.Services = src.view.Services[1:]
				src.mu.Unlock()
			}
			b.ReportMetric(float64(spent.Microseconds())/float64(b.N)/1000, "ms/pass")
		})
	}
}
