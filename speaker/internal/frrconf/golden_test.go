package frrconf_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

var update = flag.Bool("update", false, "rewrite testdata/*.conf")

// golden is a pair of files: testdata/NAME.in.yaml and the NAME.conf that Render makes of it.
type golden struct {
	name string
	in   announce.Input
	conf string
}

// goldens reads all pairs.
func goldens(t *testing.T) []golden {
	t.Helper()
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("found %d scenes, error %v", len(inputs), err)
	}
	var all []golden
	for _, path := range inputs {
		base := strings.TrimSuffix(path, ".in.yaml")
		all = append(all, golden{filepath.Base(base), read(t, path), base + ".conf"})
	}
	return all
}

func render(t *testing.T, bgp announce.BGP) string {
	t.Helper()
	conf, err := frrconf.Render(bgp, frrconf.Options{Hostname: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	return string(conf)
}

func TestGivenSceneWhenRenderedThenFileIsAsCommitted(t *testing.T) {
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			got := render(t, announce.Compute(g.in).BGP)
			if *update {
				if err := os.WriteFile(g.conf, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(g.conf)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("%s differs (-want +got); -update rewrites it:\n%s", g.conf, diff)
			}
		})
	}
}

func TestGivenSceneWhenRenderedThenEveryFRRAcceptsTheFile(t *testing.T) {
	t.Parallel()
	for _, g := range goldens(t) {
		t.Run(g.name, func(t *testing.T) {
			t.Parallel()
			frr.CheckSyntax(t, render(t, announce.Compute(g.in).BGP))
		})
	}
}
