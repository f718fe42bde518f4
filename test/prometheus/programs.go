// Package prometheus gives tests a real Prometheus and its promtool, those that Debian ships. Nothing is installed on the machine.
package prometheus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/debian"
)

const (
	// release is the Debian release whose Prometheus runs: 2.42.
	release = "bookworm"
	// packages are Prometheus with its promtool, and what the root file system is made ready with.
	packages = "base-files dash prometheus"
)

// Command prepares one of the package's programs, prometheus or promtool. It is run by the loader and with the libraries it came with, but sees the files of the machine.
func Command(ctx context.Context, name string, args ...string) (*exec.Cmd, error) {
	root, err := debian.Root(ctx, "prometheus", release, packages)
	if err != nil {
		return nil, err
	}
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu/ld-linux*.so.*"))
	if err != nil || len(loaders) == 0 {
		return nil, fmt.Errorf("found no loader in %s: %w", root, err)
	}
	line := append([]string{"--library-path", filepath.Dir(loaders[0]), filepath.Join(root, "usr/bin", name)}, args...)
	return exec.CommandContext(ctx, loaders[0], line...), nil
}

// Promtool runs promtool in a folder and returns what it printed. The error is that it found something wrong.
func Promtool(tb testing.TB, folder string, args ...string) (string, error) {
	tb.Helper()
	cmd, err := Command(tb.Context(), "promtool", args...)
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Dir = folder
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	if err != nil && !errors.As(err, &ended) {
		tb.Fatalf("run promtool: %v", err)
	}
	return string(out), err
}

// Check fails the test where promtool finds something wrong with a rules file.
func Check(tb testing.TB, rules []byte) {
	tb.Helper()
	folder := tb.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "rules.yaml"), rules, 0o600); err != nil {
		tb.Fatal(err)
	}
	if out, err := Promtool(tb, folder, "check", "rules", "rules.yaml"); err != nil {
		tb.Errorf("promtool check rules: %v\n%s\n%s", err, out, bytes.TrimSpace(rules))
	}
}
