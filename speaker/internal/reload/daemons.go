package reload

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// known are the daemons that may have a part in the configuration, those that
// every FRR of a speaker runs first.
var known = []string{"zebra", "bgpd", "bfdd", "staticd", "mgmtd"}

// required says whether a speaker's FRR cannot do without the daemon.
func required(daemon string) bool {
	return slices.Contains(known[:3], daemon)
}

// daemons holds a connection to each daemon and what each was last seen to run.
// It is used by one goroutine.
type daemons struct {
	runDir  string
	conns   map[string]*vty.Conn
	readers map[string]*frrdelta.Reader
	parsed  map[string]*frrdelta.Config
}

func newDaemons(runDir string) *daemons {
	return &daemons{
		runDir:  runDir,
		conns:   map[string]*vty.Conn{},
		readers: map[string]*frrdelta.Reader{},
		parsed:  map[string]*frrdelta.Config{},
	}
}

// close ends all connections.
func (d *daemons) close() {
	for name := range d.conns {
		d.forget(name)
	}
}

// forget drops the connection to a daemon and what it ran.
func (d *daemons) forget(daemon string) {
	if c := d.conns[daemon]; c != nil {
		_ = c.Close() // nothing is lost: replies are read before a command counts as done
	}
	delete(d.conns, daemon)
	delete(d.readers, daemon)
	delete(d.parsed, daemon)
}

// stale drops what a daemon was seen to run, so that it is read again before it
// is relied upon.
func (d *daemons) stale(daemon string) {
	delete(d.parsed, daemon)
}

// present lists the daemons that this FRR runs or ran: those that are required,
// and the others whose socket exists.
func (d *daemons) present() []string {
	return slices.DeleteFunc(slices.Clone(known), func(name string) bool {
		_, err := os.Stat(vty.Socket(d.runDir, name))
		return err != nil && !required(name)
	})
}

func (d *daemons) conn(ctx context.Context, daemon string) (*vty.Conn, error) {
	if c := d.conns[daemon]; c != nil {
		return c, nil
	}
	c, err := vty.Dial(ctx, d.runDir, daemon)
	if err != nil {
		return nil, err
	}
	d.conns[daemon] = c
	return c, nil
}

// run gives groups of commands to a daemon. A connection that was closed since
// its last use is opened again first.
func (d *daemons) run(ctx context.Context, daemon string, groups [][]string) ([]string, error) {
	c, err := d.conn(ctx, daemon)
	if err != nil {
		return nil, err
	}
	outs, err := c.RunGroups(ctx, groups)
	if err != nil {
		d.forget(daemon) // closing leaves configuration mode, too
	}
	return outs, err
}

// read reads back what the named daemons run, all that are present where none
// is named, and returns what every daemon is known to run.
func (d *daemons) read(ctx context.Context, names ...string) (map[string]*frrdelta.Config, error) {
	if len(names) == 0 {
		names = d.present()
		for name := range d.parsed {
			if !slices.Contains(names, name) {
				d.forget(name)
			}
		}
	}
	for _, name := range names {
		outs, err := d.run(ctx, name, [][]string{{"show running-config"}})
		if err != nil {
			return nil, fmt.Errorf("read back the configuration of %s: %w", name, err)
		}
		if d.readers[name] == nil {
			d.readers[name] = new(frrdelta.Reader)
		}
		d.parsed[name] = d.readers[name].Parse(outs[0])
	}
	return maps.Clone(d.parsed), nil
}

// lockedWords is how a daemon says that somebody else has its configuration mode.
const lockedWords = "locked"

// execute carries out steps and returns what the daemons said. It enters and
// leaves configuration mode for every run of steps, so that nobody else is kept
// from it in between.
func (d *daemons) execute(ctx context.Context, steps []frrdelta.Step) (string, error) {
	var said strings.Builder
	for len(steps) > 0 {
		n := 1
		for n < len(steps) && steps[n].Daemon == steps[0].Daemon && steps[n].Exec == steps[0].Exec {
			n++
		}
		out, err := d.executeRun(ctx, steps[:n])
		said.WriteString(out)
		if err != nil {
			return said.String(), err
		}
		steps = steps[n:]
	}
	return said.String(), nil
}

func (d *daemons) executeRun(ctx context.Context, steps []frrdelta.Step) (string, error) {
	daemon := steps[0].Daemon
	var groups [][]string
	for _, s := range steps {
		groups = append(groups, s.Lines)
	}
	if !steps[0].Exec {
		if err := d.configure(ctx, daemon); err != nil {
			return "", err
		}
		groups = append(groups, []string{"end"})
	}
	outs, err := d.run(ctx, daemon, groups)
	var said strings.Builder
	for _, out := range outs {
		for line := range strings.Lines(out) {
			said.WriteString(frrdelta.Redact(strings.TrimRight(line, "\r\n")) + "\n")
		}
	}
	return said.String(), err
}

// configure enters configuration mode, waiting a little for a person to leave it.
func (d *daemons) configure(ctx context.Context, daemon string) error {
	deadline := time.Now().Add(5 * time.Second)
	for {
		_, err := d.run(ctx, daemon, [][]string{{"configure terminal"}})
		refused, ok := errors.AsType[*vty.Refused](err)
		if !ok || !strings.Contains(strings.ToLower(refused.Words), lockedWords) || time.Now().After(deadline) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("enter configuration mode of %s: %w", daemon, context.Cause(ctx))
		case <-time.After(50 * time.Millisecond):
		}
	}
}
