package reload_test

import (
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// floor is FRR without the product: its daemons are given the commands that the product would give them, from ready lists, and show what they run
// after that, which nobody reads. Who changes FRR by commands and looks at the result cannot be faster.
type floor struct {
	daemons []string
	conns   map[string]*vty.Conn
}

func newFloor(tb testing.TB, n *node) *floor {
	tb.Helper()
	f := &floor{daemons: n.Daemons(), conns: map[string]*vty.Conn{}}
	for _, daemon := range f.daemons {
		conn, err := vty.Dial(tb.Context(), n.Path("/run/frr"), daemon)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = conn.Close() })
		f.conns[daemon] = conn
	}
	return f
}

func (f *floor) run(tb testing.TB, daemon string, groups ...[]string) string {
	tb.Helper()
	outs, err := f.conns[daemon].RunGroups(tb.Context(), groups)
	if err != nil {
		tb.Fatal(err)
	}
	return outs[len(outs)-1]
}

// plan is what leads to a configuration from what runs.
func (f *floor) plan(tb testing.TB, conf string) []frrdelta.Step {
	tb.Helper()
	running := map[string]*frrdelta.Config{}
	for _, daemon := range f.daemons {
		running[daemon] = frrdelta.Parse(f.run(tb, daemon, []string{"show running-config"}))
	}
	plan, full := frrdelta.Diff(running, frrdelta.Parse(conf), frrdelta.Residue{})
	if full != nil {
		tb.Fatal(full)
	}
	return slices.DeleteFunc(plan.Steps, func(s frrdelta.Step) bool { return s.Cosmetic })
}

// prepare finds the commands that lead to a configuration, and returns a function that gives them and tells how long it took.
func (f *floor) prepare(tb testing.TB, conf string) func() time.Duration {
	tb.Helper()
	steps := f.plan(tb, conf)
	late := slices.IndexFunc(steps, func(s frrdelta.Step) bool { return s.Late })
	if late < 0 {
		late = len(steps)
	}
	return func() time.Duration {
		begin := time.Now()
		for _, daemon := range f.give(tb, steps[:late]) {
			f.run(tb, daemon, []string{"show running-config"})
		}
		took := time.Since(begin)
		f.give(tb, steps[late:])
		return took
	}
}

// give gives the daemons commands and returns which ones got any.
func (f *floor) give(tb testing.TB, steps []frrdelta.Step) (daemons []string) {
	tb.Helper()
	for len(steps) > 0 {
		daemon, exec := steps[0].Daemon, steps[0].Exec
		var groups [][]string
		for len(steps) > 0 && steps[0].Daemon == daemon && steps[0].Exec == exec {
			groups, steps = append(groups, steps[0].Lines), steps[1:]
		}
		if !exec {
			groups = slices.Concat([][]string{{"configure terminal"}}, groups, [][]string{{"end"}})
		}
		f.run(tb, daemon, groups...)
		if !slices.Contains(daemons, daemon) {
			daemons = append(daemons, daemon)
		}
	}
	return daemons
}
