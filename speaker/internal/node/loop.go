// Package node is the speaker's loop for the one node it runs on: gather what is wanted, decide, apply it to FRR, report. It remembers
// nothing that it could look at again but the last valid configuration.
package node

import (
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

// Options are what a Loop works with.
type Options struct {
	// Node is the name of the node.
	Node string
	// IgnoreExcludeLabel announces from nodes with the label that excludes them from load balancing, too.
	IgnoreExcludeLabel bool
	// Conf is what frr.conf holds besides BGP.
	Conf frrconf.Options

	Trigger   Trigger
	Source    Source
	FRR       FRR
	Publisher Publisher
	Log       *slog.Logger
}

// Loop runs one pass after another, each of them as soon as something changed: the first change of a burst at once, what comes while a pass
// runs with the next one.
type Loop struct {
	Options
	health health
	// look is set when FRR may run something else than was acknowledged.
	look atomic.Bool

	// The rest belongs to the goroutine that runs passes.

	renderer *frrconf.Renderer
	// config is the present configuration, good the last one that FRR took.
	config, good config
	refusal      refusal
	frr          frrState
	// settled is the version of the view that FRR runs, 0 when it runs another or that is unknown.
	settled uint64
}

// config is a valid configuration and what is wrong with what it was made of.
type config struct {
	// version is that of the view it was made of, 0 for none.
	version  uint64
	snapshot intent.Snapshot
	problems []intent.Problem
	// decider decides under it, given the nodes of the view with the version decidedFor.
	decider    *announce.Incremental
	decidedFor uint64
}

// New returns a Loop that has not started.
func New(o Options) *Loop { return &Loop{Options: o, renderer: frrconf.NewRenderer(o.Conf)} }

// Start runs passes until ctx ends. It decides nothing before the source has seen everything that exists. When it returns, everything that
// was announced still is: a restarted speaker changes nothing at the peers.
func (l *Loop) Start(ctx context.Context) error {
	if !l.Source.WaitForSync(ctx) {
		return nil // the end came first
	}
	l.Log.InfoContext(ctx, "all objects seen, deciding what to announce", "op", "startup", "node", l.Node)
	l.health.synced.Store(true)
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { l.watchFRR(ctx); return nil })
	tasks.Go(func() error { l.passes(ctx); return nil })
	return tasks.Wait()
}

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable: every node announces for itself.
func (l *Loop) NeedLeaderElection() bool { return false }

// A burst is taken in steps: after burstPasses that FRR was given something new by, one every burstPace. bgpd sends what changed every
// 50 ms at most, so smaller steps would cost much and bring nothing.
const (
	burstPace   = 100 * time.Millisecond
	burstPasses = 3
)

// passes runs passes. A change that comes alone never waits.
func (l *Loop) passes(ctx context.Context) {
	pace := rate.NewLimiter(rate.Every(burstPace), burstPasses)
	for {
		was := l.frr.inForce
		after := l.pass(ctx)
		if l.frr.inForce != was && pace.Wait(ctx) != nil {
			return
		}
		var retry <-chan time.Time
		if after > 0 {
			retry = time.After(after)
		}
		select {
		case <-ctx.Done():
			return
		case <-l.Trigger:
		case <-retry:
		}
	}
}

// pass does everything once and returns when to try again even if nothing changes, 0 for never.
func (l *Loop) pass(ctx context.Context) time.Duration {
	start := time.Now()
	l.health.begin(start)
	defer l.health.end()
	if l.look.Swap(false) {
		l.frr.inForce, l.settled = "", 0
	}
	view, err := l.Source.Gather(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.Log.ErrorContext(ctx, "cannot read what is wanted; nothing changes", "op", "gather", "error", err)
		}
		return lastPause
	}
	if view.Version == l.settled {
		return 0
	}
	if view.ConfigVersion != l.config.version {
		snapshot, problems := intent.Build(view.Raw, l.config.snapshot)
		l.config = config{version: view.ConfigVersion, snapshot: snapshot, problems: problems}
	}
	report := Report{Problems: l.config.problems}
	after := l.carryOut(ctx, view, start, &report)
	switch {
	case ctx.Err() != nil:
		return 0
	case report.Outcome == Applied:
		l.settled = view.Version
	case report.Outcome == Unreachable && time.Since(l.frr.failing) < patience:
		return after
	}
	l.Publisher.Publish(report)
	return after
}

// carryOut decides and applies, under the last configuration that FRR took if it refuses the present one.
func (l *Loop) carryOut(ctx context.Context, view View, start time.Time, report *Report) time.Duration {
	if !l.refusal.holds(l.config.version, start) {
		after := l.try(ctx, view, &l.config, start, report)
		switch {
		case report.Outcome == Applied:
			l.good, l.refusal = l.config, refusal{}
			return after
		case report.Outcome != Refused:
			return after
		case l.good.version == l.config.version:
			return after // it is not the configuration: FRR took it before
		}
		l.refusal.note(l.config.version, report.Words, time.Now())
	}
	if l.good.version != 0 {
		after := l.try(ctx, view, &l.good, start, report)
		if report.Outcome != Applied {
			return after
		}
	}
	report.Outcome, report.Words = Refused, l.refusal.words
	return max(time.Until(l.refusal.again), time.Millisecond)
}

// try decides under one configuration and makes FRR run the result.
func (l *Loop) try(ctx context.Context, view View, c *config, start time.Time, report *Report) time.Duration {
	if c.decider == nil || c.decidedFor != view.ConfigVersion {
		c.decidedFor = view.ConfigVersion
		c.decider = announce.NewIncremental(announce.Input{
			Node: l.Node, Config: c.snapshot, Nodes: view.Nodes, IgnoreExcludeLabel: l.IgnoreExcludeLabel,
		})
	}
	report.Node = c.decider.Compute(view.Services)
	report.Node.Verdicts = carriedOut(report.Node.Verdicts)
	if len(report.Node.BGP.Routers) == 0 {
		l.health.ready.Store(true)
	}
	conf, err := l.renderer.Render(report.Node.BGP)
	report.Pass = time.Since(start)
	if err != nil {
		report.Outcome, report.Words = Refused, err.Error()
		return 0
	}
	after := l.apply(ctx, conf, report)
	if report.InForce = report.Outcome == Applied; report.InForce {
		l.health.ready.Store(true)
	}
	return after
}

// carriedOut leaves out what was decided for layer 2: nothing in this program answers for addresses yet, and the L2Advertisements say so.
func carriedOut(verdicts []*announce.Verdict) []*announce.Verdict {
	isLayer2 := func(v *announce.Verdict) bool { return v.Protocol == announce.ProtocolLayer2 }
	if !slices.ContainsFunc(verdicts, isLayer2) {
		return verdicts
	}
	return slices.DeleteFunc(slices.Clone(verdicts), isLayer2)
}
