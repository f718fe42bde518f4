// Package node is the speaker's loop for the one node it runs on: gather what is wanted, decide, apply it, report. It remembers nothing that
// it could look at again but the last valid configuration and who had an address before.
package node

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/time/rate"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
)

// Options are what a Loop works with.
type Options struct {
	// Node is the name of the node.
	Node string
	// IgnoreExcludeLabel announces from nodes with the label that excludes them from load balancing, too.
	IgnoreExcludeLabel bool
	// Conf is what frr.conf holds besides BGP.
	Conf frrconf.Options

	Trigger Trigger
	Source  Source
	// FRR is nil where the speaker runs without: then nothing is announced by BGP, and it is reported where that is wanted.
	FRR FRR
	// Layer2 answers for addresses, and Membership tells which speakers are alive, nil when they do not gossip: then every node counts. Who
	// owns it pulls the Trigger when its Snapshot changes.
	Layer2     Layer2
	Membership Membership
	Publisher  Publisher
	// Observe, unless nil, is told of what happens to FRR without being asked for. It must return at once.
	Observe func(frr.Event)
	// Drain is how BGP routes are given up when the Source says that the node drains.
	Drain DrainOptions
	Log   *slog.Logger
}

// Loop runs one pass after another, each of them as soon as something changed. FRR is given one configuration at a time: the first of a burst
// at once, what comes meanwhile with the next one. Layer 2 does not wait for FRR.
type Loop struct {
	Options
	health health
	layer2 layer2
	outage outage
	// look is set when FRR may run something else than was acknowledged.
	look atomic.Bool
	// applying are the configurations on their way to FRR, at most one.
	applying sync.WaitGroup
	answers  chan answer

	// The rest belongs to the goroutine that runs passes.

	renderer *frrconf.Renderer
	// config is the present configuration, good the last one that FRR took.
	config, good config
	refusal      refusal
	frr          frrState
	drain        drain
	// leftOut is the raw configuration that was refused last, as it was logged.
	leftOut []frr.LeftOut
	pace    *rate.Limiter
	// applies and spent, the time that deciding took, are not reported yet.
	applies []Application
	spent   time.Duration
	// settled is the version of the view that FRR runs, 0 when it runs another or that is unknown.
	settled uint64
	// noticed is when the first pass began that found something not settled, zero when all is.
	noticed time.Time
}

// config is a valid configuration and what is wrong with what it was made of.
type config struct {
	// version is that of the view it was made of, 0 for none.
	version  uint64
	snapshot intent.Snapshot
	problems []intent.Problem
	// applied are the objects that it is made of.
	applied []intent.Applied
	// decider decides under it, given the nodes of the view with the version decidedFor, the surroundings with the version seen and the
	// stage of the node's drain.
	decider          *announce.Incremental
	decidedFor, seen uint64
	stage            announce.Drain
}

// A burst is taken in steps: after burstPasses configurations that FRR took, one every burstPace. bgpd sends what changed every 50 ms at
// most, so smaller steps would cost much and bring nothing.
const (
	burstPace   = 100 * time.Millisecond
	burstPasses = 4
)

// New returns a Loop that has not started.
func New(o Options) *Loop {
	return &Loop{
		Options: o, renderer: frrconf.NewRenderer(o.Conf), answers: make(chan answer, 1), pace: rate.NewLimiter(rate.Every(burstPace), burstPasses),
		drain:  drain{DrainOptions: o.Drain},
		layer2: layer2{edge: o.Layer2, membership: o.Membership, node: o.Node},
	}
}

// Start runs passes until ctx ends. It decides nothing before the source has seen everything that exists. When it returns, everything that
// was announced still is: a restarted speaker changes nothing at the peers. Release gives up what only a running speaker can keep.
func (l *Loop) Start(ctx context.Context) error {
	if !l.Source.WaitForSync(ctx) {
		return nil // the end came first
	}
	l.Log.InfoContext(ctx, "all objects seen, deciding what to announce", "op", "startup", "node", l.Node)
	l.health.synced.Store(true)
	tasks, ctx := errgroup.WithContext(ctx)
	if l.FRR != nil {
		tasks.Go(func() error { l.watchFRR(ctx); return nil })
	}
	tasks.Go(func() error { l.passes(ctx); return nil })
	defer l.applying.Wait()
	return tasks.Wait()
}

// Synced tells whether all objects have been seen, so that the Loop decides.
func (l *Loop) Synced() bool { return l.health.synced.Load() }

// Release gives up every address on layer 2, for good. When it returns nothing is answered any more.
func (l *Loop) Release() { l.layer2.release() }

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable: every node announces for itself.
func (l *Loop) NeedLeaderElection() bool { return false }

func (l *Loop) passes(ctx context.Context) {
	for {
		after := l.pass(ctx)
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
	answered := l.conclude(ctx)
	if !l.frr.busy && l.look.Swap(false) {
		l.frr.inForce, l.settled = "", 0
	}
	view, err := l.Source.Gather(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.Log.ErrorContext(ctx, "cannot read what is wanted; nothing changes", "op", "gather", "error", err)
		}
		return lastPause
	}
	moved, due := l.surroundings(ctx, view, start)
	away, news := l.outage.news()
	if l.done(view, news, moved) {
		return due
	}
	if view.Version != l.settled && l.noticed.IsZero() {
		l.noticed = start
	}
	if view.ConfigVersion != l.config.version {
		snapshot, problems := intent.Build(view.Raw, l.config.snapshot)
		l.config = config{version: view.ConfigVersion, snapshot: snapshot, problems: problems, applied: snapshot.Applied()}
	}
	if wait, occupied := l.occupied(start); occupied && !answered && !news && !l.layer2.concerned(&l.config.snapshot) {
		return timing.Soonest(wait, due) // nothing can be done or said yet, and deciding costs
	}
	report := Report{Problems: l.config.problems, Drain: l.drain.Drain, Away: away}
	after := timing.Soonest(l.carryOut(ctx, view, start, &report), due)
	if ctx.Err() != nil {
		return 0
	}
	l.tell(view, &report)
	return after
}

// done tells whether FRR runs what the view asks for, and nothing else is to be done or said.
func (l *Loop) done(view View, news, moved bool) bool {
	return view.Version == l.settled && !news && !(moved && l.layer2.concerned(&l.config.snapshot))
}

// surroundings takes in what is known of the other speakers and how far the node's drain is. It returns whether who is alive has changed, and
// when to look again, 0 for never.
func (l *Loop) surroundings(ctx context.Context, view View, start time.Time) (moved bool, due time.Duration) {
	moved, due = l.layer2.look(start)
	drains, stageEnds := l.drain.look(view.Nodes, l.Node, start)
	if drains {
		l.drain.log(ctx, l.Log, l.Node)
	}
	// A withdrawn route is wanted again when who announces it instead is not there any more.
	if drains || moved && l.drain.Stage == announce.DrainWithdrawn {
		l.settled = 0
	}
	return moved, timing.Soonest(due, stageEnds)
}

// tell reports how a pass ended.
func (l *Loop) tell(view View, report *Report) {
	switch {
	case report.Outcome == Applied:
		l.settled = view.Version
		report.Noticed, l.noticed = l.noticed, time.Time{}
	case report.Outcome == Unreachable && time.Since(l.frr.failing) < patience:
		report.Outcome, report.Words = Pending, ""
	}
	if report.Outcome == Pending && report.Away == l.outage.told && !l.layer2.concerned(&l.config.snapshot) {
		return // there is nothing to say yet
	}
	l.outage.told = report.Away
	report.Applies, l.applies = l.applies, nil
	report.Pass, l.spent = l.spent, 0
	l.Publisher.Publish(*report)
}

// carryOut decides and applies: on layer 2 under the present configuration, by BGP under the last one that FRR took if it refuses the present
// one.
func (l *Loop) carryOut(ctx context.Context, view View, start time.Time, report *Report) time.Duration {
	present := l.decide(view, &l.config)
	due := l.layer2.carryOut(&present, start)
	return timing.Soonest(l.route(ctx, view, present, start, report), due)
}

// route makes FRR run what was decided, and fills in the report.
func (l *Loop) route(ctx context.Context, view View, present announce.Node, start time.Time, report *Report) time.Duration {
	if !l.refusal.holds(l.config.version, start) {
		report.Objects = l.config.applied
		after := l.try(ctx, present, start, report)
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
	report.Node = present
	if l.good.version != 0 {
		report.Objects = l.good.applied
		after := l.try(ctx, l.decide(view, &l.good).WithLayer2(present), start, report)
		if report.Outcome != Applied {
			return after
		}
	}
	report.Outcome, report.Words = Refused, l.refusal.words
	return max(time.Until(l.refusal.again), time.Millisecond)
}

// decide decides under one configuration.
func (l *Loop) decide(view View, c *config) announce.Node {
	around := &l.layer2.around
	fresh := c.decider == nil || c.decidedFor != view.ConfigVersion || c.stage != l.drain.Stage
	switch withdrawn := l.drain.Stage == announce.DrainWithdrawn; {
	case fresh || withdrawn && c.seen != around.version:
		c.decider = announce.NewIncremental(l.input(view, c))
	case c.seen != around.version:
		c.decider.See(l.input(view, c))
	}
	c.decidedFor, c.seen, c.stage = view.ConfigVersion, around.version, l.drain.Stage
	return c.decider.Compute(view.Services)
}

func (l *Loop) input(view View, c *config) announce.Input {
	in := announce.Input{Node: l.Node, Config: c.snapshot, Nodes: view.Nodes, IgnoreExcludeLabel: l.IgnoreExcludeLabel,
		Drain: l.drain.Stage, WithdrawLast: l.drain.WithdrawLast}
	l.layer2.around.tell(&in)
	return in
}

// try makes FRR run what was decided on BGP.
func (l *Loop) try(ctx context.Context, decided announce.Node, start time.Time, report *Report) time.Duration {
	report.Node = decided
	if len(decided.BGP.Routers) == 0 {
		l.health.ready.Store(true)
	}
	if l.FRR == nil {
		report.Outcome = Absent
		if report.InForce = len(decided.BGP.Routers)+len(decided.BGP.Snippets) == 0; report.InForce {
			report.Outcome = Applied
		}
		return 0
	}
	conf, err := l.renderer.Render(decided.BGP)
	l.spent += time.Since(start)
	if err != nil {
		report.Outcome, report.Words = Refused, err.Error()
		return 0
	}
	after := l.apply(ctx, conf, report)
	if report.InForce = report.Outcome == Applied; report.InForce {
		report.Objects = failing(report.Objects, report.LeftOut)
		l.health.ready.Store(true)
	}
	return after
}
