package reload

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// change is a daemon that came up or went down.
type change struct {
	daemon string
	up     bool
}

// watch holds a connection to a daemon for as long as it lives, and reports
// when one could be made and when it ended.
func watch(ctx context.Context, runDir, daemon string, out chan<- change) {
	report := func(up bool) {
		select {
		case out <- change{daemon, up}:
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", vty.Socket(runDir, daemon))
		if err != nil {
			select {
			case <-ctx.Done():
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		report(true)
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		_, _ = conn.Read(make([]byte, 1)) // a daemon says nothing unasked: this returns when it ends
		stop()
		conn.Close()
		report(false)
	}
}

// watching is what the loop knows of the daemons.
type watching struct {
	up map[string]bool
	// back are daemons that came up and may not have loaded their file yet.
	back  map[string]bool
	drift bool
}

func (e *Engine) changed(look *watching, c change) {
	if look.up[c.daemon] == c.up {
		return
	}
	look.up[c.daemon] = c.up
	e.daemons.forget(c.daemon)
	e.setStatus(func(s *frr.Status) { s.Daemons[c.daemon] = c.up })
	if c.up {
		look.back[c.daemon] = true
		return
	}
	e.o.Log.Warn("FRR daemon ended", "event", "daemonDown", "daemon", c.daemon)
	e.publish(frr.Event{Kind: frr.DaemonDown, Daemon: c.daemon})
}

// ready says whether all daemons that are needed are up, and keeps the status.
func (e *Engine) ready(look *watching) bool {
	var missing []string
	for _, name := range e.daemons.present() {
		if !look.up[name] {
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
	e.events.publish(ev)
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
