package reload

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// change is a daemon that is not as it was.
type change struct {
	daemon string
	now    condition
}

// condition is how a daemon is.
type condition int

const (
	unknown condition = iota
	answers
	ended
	// hangs means that it lives and does not answer.
	hangs
)

const (
	// restTime is between two questions whether a daemon answers, answerTime how long it may take for an answer: a daemon that hangs is known
	// for it after 10 to 15 s. bgpd, busy with thousands of prefixes, answers within a fraction of a second, also on a machine that is short
	// of processors.
	restTime   = 5 * time.Second
	answerTime = 10 * time.Second
)

// watch holds a connection to a daemon for as long as it lives, and reports
// when it answers, when it does not any more, and when it has ended.
func (e *Engine) watch(ctx context.Context, daemon string, out chan<- change) {
	report := func(now condition) {
		e.hang(daemon, now == hangs)
		select {
		case out <- change{daemon, now}:
		case <-ctx.Done():
		}
	}
	began, seen := time.Now(), false
	for ctx.Err() == nil {
		pulse, err := vty.OpenPulse(ctx, e.o.RunDir, daemon)
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(lookAgain(daemon, seen, time.Since(began))):
			}
			continue
		}
		seen = true
		stop := context.AfterFunc(ctx, func() { pulse.Close() })
		follow(pulse, report)
		stop()
		pulse.Close()
		report(ended)
	}
}

// lookAgain is how long to wait before the next attempt to reach a daemon. One that is not required and was not there since the reloader began is
// most likely not one of this FRR's, as mgmtd of those before 9.1: to look for it as often as for one that is
// about to come back would be most of what a node at rest costs.
func lookAgain(daemon string, seen bool, looking time.Duration) time.Duration {
	const soon, seldom, starts = 50 * time.Millisecond, time.Second, 15 * time.Second
	if required(daemon) || seen || looking < starts {
		return soon
	}
	return seldom
}

// follow reports how a daemon is until it ends. One that has taken the connection and not answered yet is not up.
func follow(pulse *vty.Pulse, report func(condition)) {
	was, rest := unknown, time.Duration(0)
	for {
		now := answers
		switch err := pulse.Beat(rest, answerTime); {
		case errors.Is(err, vty.ErrSilent):
			now = hangs
		case err != nil:
			return
		}
		if now != was {
			report(now)
		}
		was, rest = now, restTime
	}
}

// hang notes whether a daemon hangs. What is being done with FRR then ends: the answer that it waits for does not come.
func (e *Engine) hang(daemon string, now bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.hung, daemon)
	if now {
		e.hung[daemon] = true
		if e.interrupt != nil {
			e.interrupt(errHangs)
		}
	}
}

var errHangs = errors.New("a daemon of FRR does not answer")

// workTime bounds one piece of work with FRR. frr-reload.py may take a minute over thousands of lines.
const workTime = 2 * time.Minute

// limited bounds a piece of work with FRR by time, and ends it when a daemon hangs. Only one may be under way.
func (e *Engine) limited(ctx context.Context) (context.Context, func()) {
	ctx, stop := context.WithTimeout(ctx, workTime)
	ctx, interrupt := context.WithCancelCause(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	e.interrupt = interrupt
	if len(e.hung) > 0 {
		interrupt(errHangs)
	}
	return ctx, func() {
		e.mu.Lock()
		e.interrupt = nil
		e.mu.Unlock()
		interrupt(nil)
		stop()
	}
}

// watching is what the loop knows of the daemons.
type watching struct {
	is map[string]condition
	// back are daemons that came up and may not have loaded their file yet.
	back  map[string]bool
	drift bool
}

func (e *Engine) changed(look *watching, c change) {
	was := look.is[c.daemon]
	if was == c.now {
		return
	}
	look.is[c.daemon] = c.now
	e.daemons.forget(c.daemon)
	e.setStatus(func(s *frr.Status) { s.Daemons[c.daemon] = c.now == answers })
	if c.now == answers {
		look.back[c.daemon] = true
		return
	}
	delete(look.back, c.daemon)
	detail, message := "has ended", "FRR daemon ended"
	if c.now == hangs {
		detail, message = "does not answer", "FRR daemon does not answer"
	}
	e.o.Log.Warn(message, "event", "daemonDown", "daemon", c.daemon)
	if c.now == hangs || was == answers { // else it was told already, or ended before it was up
		e.publish(frr.Event{Kind: frr.DaemonDown, Daemon: c.daemon, Detail: detail})
	}
}

// ready says whether all daemons that are needed are up, and keeps the status.
func (e *Engine) ready(look *watching) bool {
	var missing []string
	for _, name := range e.daemons.present() {
		if look.is[name] != answers {
			missing = append(missing, name)
		}
	}
	waiting := ""
	if len(missing) > 0 {
		waiting = "FRR's " + strings.Join(missing, ", ") + " to answer"
	}
	e.setStatus(func(s *frr.Status) { s.Waiting = waiting })
	return len(missing) == 0
}

// settleTime is how long a daemon that came back is given to load the file by
// itself: whoever restarts it runs `vtysh -b` right after.
const settleTime = 2 * time.Second

// settle waits until daemons that came up run what is wanted, or the file on
// disk before anything was wanted, and puts them right where they do not get
// there by themselves.
func (e *Engine) settle(ctx context.Context, look *watching) {
	ctx, done := e.limited(ctx)
	defer done()
	deadline := time.Now().Add(settleTime)
	for !e.settled(ctx) && time.Now().Before(deadline) && ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
	if e.wanted != nil {
		if err := e.repair(ctx, "restarted"); err != nil {
			return // still in look.back: tried again
		}
	}
	if ctx.Err() != nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(look.back)) {
		e.o.Log.Info("FRR daemon is up", "event", "daemonUp", "daemon", name)
		e.publish(frr.Event{Kind: frr.DaemonUp, Daemon: name})
	}
	clear(look.back)
}

func (e *Engine) settled(ctx context.Context) bool {
	if e.wanted == nil {
		return e.adopt(ctx)
	}
	running, err := e.daemons.read(ctx)
	if err != nil {
		return false
	}
	plan, full := frrdelta.Diff(running, e.wanted.config, e.residue)
	return full == nil && plan.Equal()
}

func (e *Engine) publish(ev frr.Event) {
	ev.Time = time.Now()
	e.mu.Lock()
	defer e.mu.Unlock()
	switch ev.Kind {
	case frr.DaemonDown:
		e.down[ev.Daemon] = ev
	case frr.DaemonUp:
		delete(e.down, ev.Daemon)
	case frr.DriftRepaired, frr.DriftRemains:
	}
	e.events.publish(ev)
}

// Follow returns, for each daemon that is down now, the event that told so, and yields the events from now on. The channel is closed when the
// context ends or its reader falls behind.
func (e *Engine) Follow(ctx context.Context) ([]frr.Event, <-chan frr.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	known := slices.SortedFunc(maps.Values(e.down), func(a, b frr.Event) int { return a.Time.Compare(b.Time) })
	return known, e.events.subscribe(ctx)
}

// fanout hands events to everybody who follows them.
type fanout[T any] struct {
	mu   sync.Mutex
	subs map[chan T]func() bool
}

// waitingEvents is how many events wait for who follows them.
const waitingEvents = 1024

func (f *fanout[T]) subscribe(ctx context.Context) <-chan T {
	ch := make(chan T, waitingEvents)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subs == nil {
		f.subs = map[chan T]func() bool{}
	}
	f.subs[ch] = context.AfterFunc(ctx, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.drop(ch)
	})
	return ch
}

func (f *fanout[T]) drop(ch chan T) {
	if stop, ok := f.subs[ch]; ok {
		stop()
		delete(f.subs, ch)
		close(ch)
	}
}

func (f *fanout[T]) publish(ev T) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for ch := range f.subs {
		select {
		case ch <- ev:
		default:
			f.drop(ch) // who falls behind has to look at everything anyway
		}
	}
}
