package node

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
)

const (
	// applyLimit bounds one Apply. frr-reload.py may take a minute over thousands of lines on a busy node.
	applyLimit = 3 * time.Minute
	// firstPause and lastPause are the pauses between attempts while the reloader is away, doubled from one to the next.
	firstPause = 50 * time.Millisecond
	lastPause  = 2 * time.Second
	// patience is how long the reloader may be away before anybody is told: it may just be starting.
	patience = 10 * time.Second
	// firstRefusedPause and lastRefusedPause are the same for a configuration that FRR refused. An attempt may take it a while, and what
	// could make it succeed, such as a VRF or an address of the node that comes or goes, is rare.
	firstRefusedPause = time.Minute
	lastRefusedPause  = 30 * time.Minute
)

// FRR is what the Loop needs of the reloader; *frr.Client is one. Apply makes FRR run a whole configuration and does nothing when it runs
// already.
type FRR interface {
	Apply(ctx context.Context, conf []byte) (frr.Ack, error)
	Events(ctx context.Context) iter.Seq2[frr.Event, error]
}

// frrState is what the Loop knows of FRR.
type frrState struct {
	// inForce is the hash of the configuration that FRR last acknowledged, "" when that is unknown.
	inForce string
	// refused is the hash of the last configuration if FRR refused it, with its words and the time to try again.
	refused string
	words   string
	again   time.Time
	// failing is when the reloader first failed to answer, zero while it answers, pause how long to wait now.
	failing time.Time
	pause   time.Duration
}

// refusal is what FRR said to a configuration that it does not take.
type refusal struct {
	// version is the configuration's, 0 when there is none.
	version uint64
	words   string
	// again is when to try again, pause how long to wait after that.
	again time.Time
	pause time.Duration
}

// holds tells whether there is no point in trying a configuration of that version now.
func (r *refusal) holds(version uint64, now time.Time) bool {
	return r.version == version && version != 0 && now.Before(r.again)
}

func (r *refusal) note(version uint64, words string, now time.Time) {
	pause := firstRefusedPause
	if r.version == version {
		pause = min(2*r.pause, lastRefusedPause)
	}
	*r = refusal{version: version, words: words, again: now.Add(pause), pause: pause}
}

// apply makes FRR run conf, notes in the report how that went, and returns when to try again, 0 for never.
func (l *Loop) apply(ctx context.Context, conf []byte, report *Report) time.Duration {
	hash := frrconf.Hash(conf)
	if hash == l.frr.inForce {
		report.Outcome = Applied
		return 0
	}
	if wait := time.Until(l.frr.again); hash == l.frr.refused && wait > 0 {
		report.Outcome, report.Words = Refused, l.frr.words
		return wait
	}
	limited, cancel := context.WithTimeout(ctx, applyLimit)
	defer cancel()
	start := time.Now()
	ack, err := l.FRR.Apply(limited, conf)
	took := time.Since(start)
	if ctx.Err() != nil {
		return 0
	}
	if refused, ok := errors.AsType[*frr.Refused](err); ok {
		return l.refused(ctx, hash, refused, took, report)
	}
	switch {
	case err != nil && errors.Is(err, frr.ErrUnavailable):
		report.Outcome, report.Words = Unreachable, err.Error()
	case err != nil:
		report.Outcome, report.Words = Failed, err.Error()
	case ack.Hash != hash:
		report.Outcome, report.Words = Failed, "FRR was given another configuration meanwhile, by somebody else"
	default:
		report.Outcome = Applied
		report.Applies = append(report.Applies, Application{How: string(ack.How), Duration: took})
		l.applied(ctx, hash, ack, took)
		return 0
	}
	return l.failed(ctx, report)
}

func (l *Loop) applied(ctx context.Context, hash string, ack frr.Ack, took time.Duration) {
	if !l.frr.failing.IsZero() {
		l.Log.InfoContext(ctx, "FRR can be reached again", "op", "reload")
	}
	l.frr = frrState{inForce: hash}
	args := []any{"event", "config reloaded", "how", ack.How, "commands", ack.Commands, "milliseconds", took.Milliseconds()}
	if ack.Reason != "" {
		args = append(args, "reason", ack.Reason)
	}
	if ack.Output != "" {
		args = append(args, "output", ack.Output)
	}
	l.Log.InfoContext(ctx, "FRR runs the configuration", args...)
}

func (l *Loop) refused(ctx context.Context, hash string, err *frr.Refused, took time.Duration, report *Report) time.Duration {
	report.Outcome, report.Words = Refused, err.Error()
	report.Applies = append(report.Applies, Application{How: "refused", Duration: took})
	l.Log.ErrorContext(ctx, "FRR refuses the configuration; the one before runs on", "op", "reload", "error", err)
	l.frr = frrState{refused: hash, words: err.Error(), again: time.Now().Add(firstRefusedPause)}
	return firstRefusedPause
}

// failed notes that it is unknown what FRR runs.
func (l *Loop) failed(ctx context.Context, report *Report) time.Duration {
	if l.frr.failing.IsZero() {
		l.frr = frrState{failing: time.Now(), pause: firstPause}
		l.Log.WarnContext(ctx, "FRR cannot be given its configuration; what it runs, runs on", "op", "reload", "error", report.Words)
		return firstPause
	}
	l.frr.pause = min(2*l.frr.pause, lastPause)
	return l.frr.pause
}

// watchFRR wakes the loop when FRR may run something else than was acknowledged, until ctx ends.
func (l *Loop) watchFRR(ctx context.Context) {
	for ctx.Err() == nil {
		for event, err := range l.FRR.Events(ctx) {
			switch {
			case err != nil: // whatever happened meanwhile was missed
			case event.Kind == frr.DaemonDown:
				l.Log.WarnContext(ctx, "FRR daemon is down", "event", event.Kind, "daemon", event.Daemon, "detail", event.Detail)
				continue // it will say when it is up again
			default:
				l.Log.InfoContext(ctx, "FRR was looked after", "event", event.Kind, "daemon", event.Daemon, "detail", event.Detail)
			}
			l.look.Store(true)
			l.Trigger.Pull()
		}
		select {
		case <-ctx.Done():
		case <-time.After(lastPause):
		}
	}
}
