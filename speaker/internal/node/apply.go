package node

import (
	"context"
	"errors"
	"iter"
	"slices"
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
	// busy is true while FRR is being given a configuration.
	busy bool
	// inForce is the hash of the configuration that FRR last acknowledged, "" when that is unknown.
	inForce string
	// leftOut is the raw configuration that FRR refused of that.
	leftOut []frr.LeftOut
	// refused is the hash of the last configuration if FRR refused it, with its words and the time to try again.
	refused string
	words   string
	again   time.Time
	// failing is when the reloader first failed to take a configuration, zero while it takes them; how says in which way it fails, failed what it
	// did not take last, retry when to try that again, pause how long to wait after that.
	failing, retry time.Time
	failed         string
	how            Outcome
	pause          time.Duration
}

// answer is what came of giving FRR a configuration.
type answer struct {
	hash string
	ack  frr.Ack
	err  error
	took time.Duration
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

// occupied tells whether FRR is not to be given anything now, and when it may be, 0 when that will be told by a pull of the Trigger.
func (l *Loop) occupied(now time.Time) (time.Duration, bool) {
	if l.frr.busy {
		return 0, true
	}
	missing := 1 - l.pace.TokensAt(now)
	if missing <= 0 {
		return 0, false
	}
	return max(time.Duration(missing*float64(burstPace)), time.Millisecond), true
}

// apply has FRR run conf unless it does, notes in the report how that stands, and returns when to try again, 0 for never.
func (l *Loop) apply(ctx context.Context, conf []byte, report *Report) time.Duration {
	hash := frrconf.Hash(conf)
	switch {
	case hash == l.frr.inForce:
		report.Outcome, report.LeftOut = Applied, l.frr.leftOut
		return 0
	case hash == l.frr.refused && time.Until(l.frr.again) > 0:
		report.Outcome, report.Words = Refused, l.frr.words
		return time.Until(l.frr.again)
	case hash == l.frr.failed && time.Until(l.frr.retry) > 0:
		report.Outcome, report.Words = l.frr.how, l.frr.words
		return time.Until(l.frr.retry)
	}
	report.Outcome = Pending
	if wait, occupied := l.occupied(time.Now()); occupied {
		return wait
	}
	l.frr.busy = true
	l.health.give(time.Now())
	l.applying.Go(func() {
		limited, cancel := context.WithTimeout(ctx, applyLimit)
		defer cancel()
		start := time.Now()
		ack, err := l.FRR.Apply(limited, conf)
		l.answers <- answer{hash: hash, ack: ack, err: err, took: time.Since(start)}
		l.Trigger.Pull()
	})
	return 0
}

// conclude takes in what came of the configuration that FRR was given, and returns whether that is known by now.
func (l *Loop) conclude(ctx context.Context) bool {
	var a answer
	select {
	case a = <-l.answers:
	default:
		return false
	}
	l.frr.busy = false
	l.health.given()
	refused, isRefused := errors.AsType[*frr.Refused](a.err)
	switch {
	case ctx.Err() != nil:
	case isRefused:
		l.refused(ctx, a, refused)
	case a.err != nil && errors.Is(a.err, frr.ErrUnavailable):
		l.failed(ctx, a, Unreachable, a.err.Error())
	case a.err != nil:
		l.failed(ctx, a, Failed, a.err.Error())
	case a.ack.Hash != a.hash:
		l.failed(ctx, a, Failed, "FRR was given another configuration meanwhile, by somebody else")
	default:
		l.applied(ctx, a)
	}
	return true
}

func (l *Loop) applied(ctx context.Context, a answer) {
	if !l.frr.failing.IsZero() {
		l.Log.InfoContext(ctx, "FRR can be reached again", "op", "reload")
	}
	for _, left := range a.ack.LeftOut {
		if !slices.Contains(l.leftOut, left) {
			l.Log.ErrorContext(ctx, "FRR refuses raw configuration; it is left out, and all the rest runs", "op", "reload", "object", left.Section, "error", left.String())
		}
	}
	l.leftOut = a.ack.LeftOut
	l.frr = frrState{inForce: a.hash, leftOut: a.ack.LeftOut}
	l.pace.Allow() // only what FRR took counts: a refusal is followed by what it took before
	l.applies = append(l.applies, Application{How: string(a.ack.How), Duration: a.took})
	args := []any{"event", "config reloaded", "how", a.ack.How, "commands", a.ack.Commands, "milliseconds", a.took.Milliseconds()}
	if a.ack.Reason != "" {
		args = append(args, "reason", a.ack.Reason)
	}
	if a.ack.Output != "" {
		args = append(args, "output", a.ack.Output)
	}
	l.Log.InfoContext(ctx, "FRR runs the configuration", args...)
}

func (l *Loop) refused(ctx context.Context, a answer, err *frr.Refused) {
	l.applies = append(l.applies, Application{How: "refused", Duration: a.took})
	l.Log.ErrorContext(ctx, "FRR refuses the configuration; the one before runs on", "op", "reload", "error", err)
	l.frr = frrState{refused: a.hash, words: err.Error(), again: time.Now().Add(firstRefusedPause)}
}

// failed notes that it is unknown what FRR runs.
func (l *Loop) failed(ctx context.Context, a answer, how Outcome, words string) {
	l.applies = append(l.applies, Application{How: "failed", Duration: a.took})
	if l.frr.failing.IsZero() {
		l.frr = frrState{failing: time.Now(), pause: firstPause}
		l.Log.WarnContext(ctx, "FRR cannot be given its configuration; what it runs, runs on", "op", "reload", "error", words)
	} else {
		l.frr.pause = min(2*l.frr.pause, lastPause)
	}
	l.frr.how, l.frr.words, l.frr.failed, l.frr.retry = how, words, a.hash, time.Now().Add(l.frr.pause)
}

// watchFRR wakes the loop when FRR may run something else than was acknowledged, or a daemon of it is away or back, until ctx ends.
func (l *Loop) watchFRR(ctx context.Context) {
	told := map[string]time.Time{} // when each daemon was told to be down last: who begins to follow anew is told again
	for ctx.Err() == nil {
		for event, err := range l.FRR.Events(ctx) {
			if err != nil { // whatever happened meanwhile was missed
				l.outage.forget()
				l.look.Store(true)
				l.Trigger.Pull()
				continue
			}
			l.outage.note(event)
			repeated := event.Kind == frr.DaemonDown && event.Time.Equal(told[event.Daemon]) && !event.Time.IsZero()
			if l.Observe != nil && !repeated {
				l.Observe(event)
			}
			if event.Kind == frr.DaemonDown {
				told[event.Daemon] = event.Time
				l.Log.WarnContext(ctx, "FRR daemon is down", "event", event.Kind, "daemon", event.Daemon, "detail", event.Detail)
			} else {
				l.Log.InfoContext(ctx, "FRR was looked after", "event", event.Kind, "daemon", event.Daemon, "detail", event.Detail)
				l.look.Store(true)
			}
			l.Trigger.Pull()
		}
		select {
		case <-ctx.Done():
		case <-time.After(lastPause):
		}
	}
}
