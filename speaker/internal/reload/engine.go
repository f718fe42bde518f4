// Package reload brings configurations into running FRR daemons and keeps them
// there: by the commands that lead from what runs to what is wanted, read back
// and compared, with FRR's own frr-reload.py where commands are not known to be
// enough.
package reload

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
)

// Options say where FRR is and how it is loaded.
type Options struct {
	// RunDir holds the daemons' vty sockets, /var/run/frr.
	RunDir string
	// ConfigFile is FRR's configuration file, /etc/frr/frr.conf. It always holds
	// what was last acknowledged.
	ConfigFile string
	// Owner and Group are the numeric ids the file gets, FRR's own.
	Owner, Group int
	// Loader loads whole files.
	Loader Loader
	// DriftInterval is the time between two looks at whether FRR still runs what is wanted.
	DriftInterval time.Duration
	// Log receives one line per act.
	Log *slog.Logger
}

// Loader works on whole configurations by FRR's own means. The directory given
// to it holds frr.conf and vtysh.conf.
type Loader interface {
	// Check lets FRR check the syntax. A fault gives *Fault.
	Check(ctx context.Context, dir string) error
	// Load makes FRR run the configuration and returns what was printed
	// meanwhile. What FRR does not accept gives *Fault.
	Load(ctx context.Context, dir string) (string, error)
	// Running returns what all daemons run together, as vtysh shows it.
	Running(ctx context.Context) (string, error)
}

// Fault is what FRR found wrong with a file, in its own words.
type Fault struct{ Words string }

func (f *Fault) Error() string { return f.Words }

// Engine applies configurations, one at a time, the latest first. All methods
// may be called from several goroutines; Run does the work.
type Engine struct {
	o       Options
	daemons *daemons // used by Run alone

	reader  frrdelta.Reader // of what is wanted; used by Run alone
	wanted  *wanted         // what was last acknowledged; used by Run alone
	residue frrdelta.Residue
	// left is the plan that remains after FRR loaded the whole file by itself:
	// a difference that cannot be told from FRR's way of writing.
	left string
	// later is what is to be done after the acknowledgement.
	later frrdelta.Plan
	// late is what to hasten after the acknowledgement.
	late []frrdelta.Step
	// judged is which raw configuration of users FRR takes; used by Run alone.
	judged verdict

	wake     chan struct{}
	events   fanout[frr.Event]
	sessions sessionFeed

	mu      sync.Mutex
	pending *request
	status  frr.Status
	// down has the event of each daemon that is told to be down, hung those that do not answer.
	down map[string]frr.Event
	hung map[string]bool
	// interrupt ends what is being done with FRR, nil while nothing is.
	interrupt context.CancelCauseFunc
}

type wanted struct {
	conf   []byte
	hash   string
	config *frrdelta.Config
}

// request is a configuration to apply and everybody who waits for it.
type request struct {
	conf    []byte
	waiters []chan result
}

type result struct {
	ack frr.Ack
	err error
}

// New returns an Engine. Nothing happens before Run.
func New(o Options) *Engine {
	return &Engine{
		o:       o,
		daemons: newDaemons(o.RunDir),
		wake:    make(chan struct{}, 1),
		down:    map[string]frr.Event{},
		hung:    map[string]bool{},
		status:  frr.Status{Waiting: "the first look at FRR", Daemons: map[string]bool{}},
	}
}

// Hash returns the hash by which a configuration is acknowledged.
func Hash(conf []byte) string {
	sum := sha256.Sum256(conf)
	return hex.EncodeToString(sum[:])
}

// Apply hands a configuration to Run and waits until it, or a later one that
// took its place, runs. A configuration that FRR refuses gives *frr.Refused.
// conf is not to be changed any more.
func (e *Engine) Apply(ctx context.Context, conf []byte) (frr.Ack, error) {
	if bytesIndexControl(conf) {
		return frr.Ack{}, &frr.Refused{Refusal: frr.Refusal{Words: "the configuration holds a NUL byte or a carriage return"}}
	}
	done := make(chan result, 1)
	e.mu.Lock()
	if e.pending == nil {
		e.pending = &request{}
	}
	e.pending.conf = conf
	e.pending.waiters = append(e.pending.waiters, done)
	e.mu.Unlock()
	e.poke()
	select {
	case r := <-done:
		return r.ack, r.err
	case <-ctx.Done():
		return frr.Ack{}, fmt.Errorf("wait for FRR to take the configuration: %w", context.Cause(ctx))
	}
}

func bytesIndexControl(conf []byte) bool {
	return bytes.IndexByte(conf, 0) >= 0 || bytes.IndexByte(conf, '\r') >= 0
}

func (e *Engine) poke() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// Status returns what is known of FRR.
func (e *Engine) Status() frr.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	s := e.status
	s.Daemons = map[string]bool{} // never nil, also before anything is known
	maps.Copy(s.Daemons, e.status.Daemons)
	return s
}

func (e *Engine) setStatus(change func(*frr.Status)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	change(&e.status)
}

// FollowSessions returns the last events of the BGP sessions and yields those from now on. The channel is closed when the context ends or its
// reader falls behind.
func (e *Engine) FollowSessions(ctx context.Context) ([]frr.SessionEvent, <-chan frr.SessionEvent) {
	return e.sessions.subscribe(ctx)
}

// take removes the request that is to be applied next.
func (e *Engine) take() *request {
	e.mu.Lock()
	defer e.mu.Unlock()
	r := e.pending
	e.pending = nil
	return r
}

// untake puts a request back whose configuration could not be applied yet. One
// that came meanwhile takes its place and its waiters.
func (e *Engine) untake(r *request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.pending == nil {
		e.pending = r
		return
	}
	e.pending.waiters = append(e.pending.waiters, r.waiters...)
}

func (r *request) answer(res result) {
	for _, w := range r.waiters {
		w <- res
	}
}

// Run applies what Apply is given and looks after FRR until the context ends.
func (e *Engine) Run(ctx context.Context) {
	defer e.daemons.close()
	var watchers sync.WaitGroup
	defer watchers.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := make(chan change)
	for _, daemon := range known {
		watchers.Go(func() { e.watch(ctx, daemon, changes) })
	}
	watchers.Go(func() { e.sessions.run(ctx, e.o) })
	e.loop(ctx, changes)
	if r := e.take(); r != nil {
		r.answer(result{err: errors.New("the reloader ends")})
	}
}

func (e *Engine) loop(ctx context.Context, changes <-chan change) {
	drift := time.NewTicker(e.o.DriftInterval)
	defer drift.Stop()
	retry := time.NewTicker(time.Second)
	defer retry.Stop()
	look := watching{is: map[string]condition{}, back: map[string]bool{}}
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-changes:
			e.changed(&look, c)
		case <-e.wake:
		case <-retry.C:
		case <-drift.C:
			look.drift = true
		}
		if !e.ready(&look) {
			continue
		}
		if len(look.back) > 0 {
			e.settle(ctx, &look)
		}
		if r := e.take(); r != nil {
			e.serve(ctx, r)
		} else if look.drift && e.wanted != nil {
			e.checkDrift(ctx)
		}
		look.drift = false
	}
}

// serve applies a request, or keeps it where FRR went away meanwhile.
func (e *Engine) serve(ctx context.Context, r *request) {
	limited, done := e.limited(ctx)
	ack, err := e.admit(limited, r.conf)
	done()
	if gone, ok := errors.AsType[*unavailable](err); ok && ctx.Err() == nil {
		e.o.Log.Warn("FRR went away while a configuration was applied; it will be applied again", "event", "waiting", "error", gone.Error())
		e.setStatus(func(s *frr.Status) { s.Waiting = gone.Error() })
		e.untake(r)
		return // the retry ticker or a daemon's return leads back here
	}
	if err == nil {
		e.setStatus(func(s *frr.Status) { s.LastAck, s.Hash, s.Waiting = &ack, ack.Hash, "" })
	}
	r.answer(result{ack: ack, err: err})
	e.tidy(ctx)
}

// adopt takes the file on disk for what is wanted when FRR runs exactly that:
// the reloader was restarted, FRR was not, or FRR has just loaded it. It says
// whether there is nothing to wait for.
func (e *Engine) adopt(ctx context.Context) bool {
	conf, err := os.ReadFile(e.o.ConfigFile)
	if err != nil {
		return true // no file yet: the first Apply says what is wanted
	}
	running, err := e.daemons.read(ctx)
	if err != nil {
		return false
	}
	config := e.reader.Parse(string(conf))
	plan, full := frrdelta.Diff(running, config, frrdelta.Residue{})
	if full != nil || !plan.Equal() {
		return false
	}
	e.wanted = &wanted{conf: conf, hash: Hash(conf), config: config}
	e.setStatus(func(s *frr.Status) { s.Hash = e.wanted.hash })
	e.o.Log.Info("FRR runs the configuration on disk", "event", "adopted", "hash", e.wanted.hash)
	return true
}
