package frrconf_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrdelta"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// spelledOtherwise are the lines that a release prints in another way than Render writes them; "" where it prints nothing.
func spelledOtherwise(release frr.Release, line string) string {
	switch {
	case line == "service integrated-vtysh-config":
		return "" // vtysh's own, known to no daemon
	case release == frr.Trixie && (line == "ip nht resolve-via-default" || line == "ipv6 nht resolve-via-default"):
		return "" // the default of its zebra
	case release == frr.Trixie && strings.HasSuffix(line, " ebgp-multihop 255"):
		return strings.TrimSuffix(line, " 255")
	}
	return line
}

// statements returns the lines of a configuration that say something, each with those it stands under, sorted.
func statements(conf string, spell func(string) string) []string {
	found := map[string]bool{}
	var under []string
	for line := range strings.Lines(conf) {
		text := strings.TrimSpace(line)
		if text == "" || strings.HasPrefix(text, "!") || text == "exit" || text == "end" || text == "exit-address-family" {
			continue
		}
		depth := 0
		for strings.HasPrefix(line[depth:], " ") {
			depth++
		}
		under = append(under[:min(depth, len(under))], text)
		if text = spell(strings.Join(under, " > ")); text != "" {
			found[text] = true
		}
	}
	return slices.Sorted(maps.Keys(found))
}

// daemons reads what each daemon runs.
func daemons(t *testing.T, i *frr.Instance) map[string]*frrdelta.Config {
	t.Helper()
	running := map[string]*frrdelta.Config{}
	for _, daemon := range i.Daemons() {
		out, err := i.Run(t.Context(), "vtysh", "-d", daemon, "-c", "show running-config no-header")
		if err != nil {
			t.Fatalf("read what %s runs: %v\n%s", daemon, err, out)
		}
		running[daemon] = frrdelta.Parse(out)
	}
	return running
}

func TestGivenRenderedFileWhenFRRRunsItThenItPrintsTheSameLines(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			conf := render(t, announce.Compute(g.in).BGP)
			for _, release := range frr.Releases() {
				t.Run(string(release), func(t *testing.T) {
					t.Parallel()
					i := frr.Start(t, frr.Options{Release: release, Config: conf})
					_, running, _ := strings.Cut(i.Vtysh(t, "show running-config"), "Current configuration:")
					got := statements(running, func(line string) string {
						if strings.HasPrefix(line, "frr version ") || strings.HasSuffix(line, " forwarding") {
							return "" // a fact about the node, not configuration of ours
						}
						return line
					})
					want := statements(conf, func(line string) string { return spelledOtherwise(release, line) })
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("FRR runs something else (-rendered +running):\n%s\nFRR said:\n%s", diff, i.Output())
					}
					plan, full := frrdelta.Diff(daemons(t, i), frrdelta.Parse(conf), frrdelta.Residue{})
					if full != nil || !plan.Equal() {
						t.Errorf("the file is taken for different from what runs: %+v\n%s", full, plan)
					}
				})
			}
		})
	}
}
