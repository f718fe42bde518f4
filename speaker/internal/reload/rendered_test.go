package reload_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// TestGivenRenderedConfigurationsWhenAppliedOneAfterTheOtherThenCommandsAreEnough
// takes the files that the renderer is held to, in an order in which much comes
// and goes, so what the renderer writes and what is understood here stay together.
func TestGivenRenderedConfigurationsWhenAppliedOneAfterTheOtherThenCommandsAreEnough(t *testing.T) {
	files, err := filepath.Glob("../frrconf/testdata/*.conf")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rendered configurations: %v", err)
	}
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			for _, file := range append(files, files...) {
				conf, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if ack := n.apply(t, string(conf)); ack.How != frr.Delta {
					t.Errorf("%s: %+v, want a delta", filepath.Base(file), ack)
				}
				if ack := n.apply(t, string(conf)); ack.How != frr.Unchanged {
					t.Errorf("%s again: %+v, want nothing done", filepath.Base(file), ack)
				}
			}
		})
	}
}
