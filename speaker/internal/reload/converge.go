package reload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// unavailable means that FRR went away meanwhile: try again when it is back.
type unavailable struct{ err error }

func (u *unavailable) Error() string { return u.err.Error() }
func (u *unavailable) Unwrap() error { return u.err }

// attempt is one configuration on its way into FRR.
type attempt struct {
	wanted
	// before is what ran when the attempt began, to return to.
	before map[string]*frrdelta.Config
	ack    frr.Ack
	said   strings.Builder
}

// converge makes FRR run a configuration and proves that it does by reading it
// back; the file on disk then holds it as well. A configuration that FRR refuses
// leaves both as they were.
func (e *Engine) converge(ctx context.Context, conf []byte) (frr.Ack, error) {
	start := time.Now()
	a := &attempt{wanted: wanted{conf: conf, hash: Hash(conf), config: e.reader.Parse(string(conf))}}
	err := e.reach(ctx, a)
	if err == nil {
		err = e.keep(a)
	}
	if a.ack.Difference == "" {
		a.ack.Hash = a.hash
	}
	a.ack.Output = a.said.String()
	a.ack.DurationMicros = time.Since(start).Microseconds()
	if err != nil {
		e.reportFailure(a, err)
		return frr.Ack{}, err
	}
	level := e.o.Log.Info
	if a.ack.How == frr.Unchanged {
		level = e.o.Log.Debug
	}
	level("config reloaded", "event", "applied", "how", a.ack.How, "reason", a.ack.Reason, "commands", a.ack.Commands, "difference", a.ack.Difference,
		"hash", a.hash, "micros", a.ack.DurationMicros)
	return a.ack, nil
}

func (e *Engine) reportFailure(a *attempt, err error) {
	if refused, ok := errors.AsType[*frr.Refused](err); ok {
		e.o.Log.Error("Failed to fully apply configuration file", "event", "refused", "hash", a.hash, "error", refused.Error())
	}
}

// reach leads FRR to the configuration: by commands from what it is known to
// run, then by commands from what it really runs, then by the whole file.
func (e *Engine) reach(ctx context.Context, a *attempt) error {
	running, err := e.look(ctx)
	if err != nil {
		return err
	}
	a.before = running
	var reason error
	for try := range 2 {
		plan, full := frrdelta.Diff(running, a.config, e.residue)
		if full != nil {
			return e.load(ctx, a, full)
		}
		if !plan.Equal() {
			a.ack.How = frr.Delta
			if reason, err = e.command(ctx, a, plan); err != nil {
				return err
			}
			if reason != nil {
				return e.load(ctx, a, reason)
			}
		}
		if running, err = e.readBack(ctx, touched(plan, try)...); err != nil {
			return err
		}
		rest, full := frrdelta.Diff(running, a.config, e.residue)
		if full == nil && rest.Equal() {
			if a.ack.How == "" {
				a.ack.How = frr.Unchanged
			}
			e.left, e.later = "", rest
			return nil
		}
		reason = errors.New("what FRR runs differs after the commands, which are still to do: " + difference(rest, full))
		if running, err = e.readBack(ctx); err != nil {
			return err
		}
	}
	return e.load(ctx, a, reason)
}

// touched names the daemons to read back after a plan; none means all.
func touched(plan frrdelta.Plan, try int) []string {
	if try > 0 || plan.Equal() {
		return nil
	}
	var names []string
	for _, s := range plan.Steps {
		if !s.Cosmetic && !s.Late && !slices.Contains(names, s.Daemon) {
			names = append(names, s.Daemon)
		}
	}
	return names
}

func difference(rest frrdelta.Plan, full *frrdelta.Full) string {
	if full != nil {
		return full.Error()
	}
	var lines []string
	rest.Steps = slices.DeleteFunc(slices.Clone(rest.Steps), func(s frrdelta.Step) bool { return s.Cosmetic || s.Late })
	for line := range strings.Lines(rest.String()) {
		_, command, _ := strings.Cut(strings.TrimSpace(line), ": ")
		if first, _, _ := strings.Cut(command, " "); first != "router" && first != "route-map" && first != "address-family" && !strings.HasPrefix(first, "exit") {
			lines = append(lines, command)
		}
	}
	if len(lines) > maxShown {
		return fmt.Sprintf("%q and %d more", lines[:maxShown], len(lines)-maxShown)
	}
	return fmt.Sprintf("%q", lines)
}

// maxShown bounds how many commands a difference names.
const maxShown = 5

// look returns what is known to run, reading it where it is not known.
func (e *Engine) look(ctx context.Context) (map[string]*frrdelta.Config, error) {
	for _, name := range e.daemons.present() {
		if e.daemons.parsed[name] == nil {
			return e.readBack(ctx)
		}
	}
	return maps.Clone(e.daemons.parsed), nil
}

func (e *Engine) readBack(ctx context.Context, names ...string) (map[string]*frrdelta.Config, error) {
	running, err := e.daemons.read(ctx, names...)
	if err != nil {
		return nil, &unavailable{err}
	}
	if c := running["bgpd"]; c != nil {
		e.setStatus(func(s *frr.Status) { s.Version = c.Version() })
	}
	return running, nil
}

// command gives the necessary steps of a plan to the daemons. It returns why
// that failed where the whole file may do better. A line of the configuration
// that a daemon refuses is refused for good: the script would send the same.
func (e *Engine) command(ctx context.Context, a *attempt, plan frrdelta.Plan) (failed, err error) {
	refused, err := e.send(ctx, a, plan)
	switch {
	case err != nil:
		return nil, err
	case refused == nil:
		return nil, nil
	case lineOf(strings.Split(string(a.conf), "\n"), refused.Command) >= 0:
		return nil, e.refuse(ctx, a, &Fault{Words: refused.Words}, refused.Command)
	}
	return refused, nil
}

// send gives the necessary steps of a plan to the daemons, and returns which
// command they refused, if any: those before it are carried out.
func (e *Engine) send(ctx context.Context, a *attempt, plan frrdelta.Plan) (*vty.Refused, error) {
	needed := frrdelta.Plan{Steps: slices.DeleteFunc(slices.Clone(plan.Steps), func(s frrdelta.Step) bool { return s.Cosmetic || s.Late })}
	e.late = append(e.late, slices.DeleteFunc(slices.Clone(plan.Steps), func(s frrdelta.Step) bool { return !s.Late })...)
	a.ack.Commands += needed.Commands()
	out, err := e.daemons.execute(ctx, needed.Steps)
	a.said.WriteString(out)
	refused, ok := errors.AsType[*vty.Refused](err)
	switch {
	case err == nil:
		return nil, nil
	case !ok:
		return nil, &unavailable{err}
	}
	return refused, nil
}

// tidy carries out what is left for after the acknowledgement: what FRR would do
// by itself a little later, and what only people see. That it fails changes nothing
// in what FRR comes to, so it is logged and left.
func (e *Engine) tidy(ctx context.Context) {
	plan, late := e.later, e.late
	e.later, e.late = frrdelta.Plan{}, nil
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := e.daemons.execute(ctx, late); err != nil {
		e.o.Log.Debug("bgpd works off the changed policies when its timer ends", "event", "late", "error", err.Error())
		e.daemons.stale("bgpd")
	}
	if len(plan.Steps) == 0 {
		return
	}
	if _, err := e.daemons.execute(ctx, plan.Steps); err != nil {
		e.o.Log.Debug("the route-maps and prefix-lists that vtysh shows of other daemons could not be kept in step", "event", "cosmetic", "error", err.Error())
	}
	for _, s := range plan.Steps {
		e.daemons.stale(s.Daemon)
	}
}

// keep makes the configuration the one that is wanted from now on, and writes
// it to disk where FRR finds it when it starts. Where the disk does not take it
// FRR is held to it all the same: the file, which is then older, would be gone
// back to by the next look at FRR, and forth again by whoever tries once more.
func (e *Engine) keep(a *attempt) error {
	w := a.wanted
	e.wanted = &w
	e.setStatus(func(s *frr.Status) { s.Drift = e.left })
	if err := e.write(e.o.ConfigFile, a.conf); err != nil {
		e.o.Log.Error("FRR runs the configuration, but would not start with it: it could not be written to disk", "event", "notKept", "hash", a.hash, "error", err.Error())
		return err
	}
	return nil
}

// checkDrift looks whether FRR still runs what is wanted and puts it right.
func (e *Engine) checkDrift(ctx context.Context) {
	limited, done := e.limited(ctx)
	defer done()
	if err := e.repair(limited, "drift"); err != nil && ctx.Err() == nil {
		e.o.Log.Warn("FRR could not be compared with the wanted configuration", "event", "drift", "error", err.Error())
	}
}

// repair makes FRR run what is wanted again, reporting where it did not.
func (e *Engine) repair(ctx context.Context, why string) error {
	running, err := e.readBack(ctx)
	if err != nil {
		return err
	}
	plan, full := frrdelta.Diff(running, e.wanted.config, e.residue)
	if full == nil && plan.Equal() {
		e.later = plan
		e.tidy(ctx)
		return nil
	}
	found := difference(plan, full)
	if e.left != "" && e.left == found {
		return nil // reported when it appeared; loading the file did not change it
	}
	e.o.Log.Warn("FRR does not run the wanted configuration", "event", "drift", "found", found, "why", why)
	_, err = e.converge(ctx, e.wanted.conf)
	e.tidy(ctx)
	if err != nil {
		if gone, ok := errors.AsType[*unavailable](err); ok {
			return gone
		}
		e.left = found
		e.setStatus(func(s *frr.Status) { s.Drift = found })
		e.publish(frr.Event{Kind: frr.DriftRemains, Detail: found + ": " + err.Error()})
		return nil
	}
	if why == "drift" {
		e.publish(frr.Event{Kind: frr.DriftRepaired, Detail: found})
	}
	return nil
}
