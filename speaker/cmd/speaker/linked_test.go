package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestTheSpeakerIsLinkedOnlyWithWhatItNeeds holds what a speaker's memory on every node owes to what is not in its program: its pages are most of
// it. The linker tells who needs what, as pairs of symbols.
func TestTheSpeakerIsLinkedOnlyWithWhatItNeeds(t *testing.T) {
	unwanted := map[string]string{
		" <ReflectMethod>": "it calls methods by names that are known only when it runs, as text/template does when it executes: so every exported method of every type is kept",
		" -> sigs.k8s.io/controller-runtime/pkg/manager.": "the manager brings along leader election, webhooks and events; internal/serving is enough for a program that needs none",
		" -> k8s.io/client-go/kubernetes/typed/":          "clients of single kinds; the one of controller-runtime, or a plain one of the REST API, is there anyway",
		" -> k8s.io/client-go/informers":                  "informers of single kinds; internal/mirror and controller-runtime's cache are there anyway",
	}
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-dumpdep", "-o", filepath.Join(t.TempDir(), "speaker"), ".")
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	told, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("link the speaker: %v\n%.1000s", err, told)
	}
	pairs, found := 0, map[string]bool{}
	lines := bufio.NewScanner(bytes.NewReader(told))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if strings.Contains(line, " -> ") {
			pairs++
		}
		for symbol, why := range unwanted {
			if !found[symbol] && strings.Contains(line, symbol) {
				found[symbol] = true
				t.Errorf("linked: %q; %s", line, why)
			}
		}
	}
	if err := lines.Err(); err != nil || pairs < 10000 {
		t.Errorf("the linker told of %d pairs, error %v: wanted all of them", pairs, err)
	}
}
