package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/logging"
)

// line decodes the single line that write produced.
func line(t *testing.T, level string, write func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	logger, err := logging.New(&out, level)
	if err != nil {
		t.Fatal(err)
	}
	write(logger)
	if out.Len() == 0 {
		return nil
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatalf("not one JSON object per line: %v\n%s", err, out.String())
	}
	return got
}

func TestLineHasTheKeysThatMetalLBUsersParse(t *testing.T) {
	got := line(t, "info", func(l *slog.Logger) {
		l.Info("IP address assigned by controller", "event", "ipAllocated", "ip", []string{"10.0.0.1"})
	})
	caller, _ := got["caller"].(string)
	if !strings.HasPrefix(caller, "logging_test.go:") {
		t.Errorf("caller is %q: wanted this file and a line number", caller)
	}
	if ts, _ := got["ts"].(string); !strings.HasSuffix(ts, "Z") {
		t.Errorf("ts is %q: wanted an RFC 3339 time in UTC", ts)
	}
	delete(got, "caller")
	delete(got, "ts")
	want := map[string]any{"level": "info", "msg": "IP address assigned by controller", "event": "ipAllocated", "ip": []any{"10.0.0.1"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("line differs (-want +got):\n%s", diff)
	}
}

func TestErrorsAreWrittenAsTheirText(t *testing.T) {
	got := line(t, "info", func(l *slog.Logger) { l.Error("failed", "error", errors.New("no route")) })
	if got["error"] != "no route" || got["level"] != "error" {
		t.Errorf("line is %v: wanted error \"no route\" at level error", got)
	}
}

func TestLogrVerbosityIsDebug(t *testing.T) {
	verbose := func(l *slog.Logger) { logging.Logr(l).V(1).Info("detail") }
	if got := line(t, "info", verbose); got != nil {
		t.Errorf("at level info V(1) wrote %v: wanted nothing", got)
	}
	if got := line(t, "debug", verbose); got["level"] != "debug" {
		t.Errorf("at level debug V(1) wrote %v: wanted a debug line", got)
	}
}

func TestLevelsFilter(t *testing.T) {
	for level, want := range map[string]int{"all": 4, "debug": 4, "info": 3, "warn": 2, "error": 1, "none": 0} {
		var out bytes.Buffer
		logger, err := logging.New(&out, level)
		if err != nil {
			t.Fatal(err)
		}
		logger.Debug("d")
		logger.Info("i")
		logger.Warn("w")
		logger.Error("e")
		if got := strings.Count(out.String(), "\n"); got != want {
			t.Errorf("level %s wrote %d lines: wanted %d", level, got, want)
		}
	}
}

func TestUnknownLevelIsRefusedByName(t *testing.T) {
	_, err := logging.New(io.Discard, "loud")
	if err == nil || !strings.Contains(err.Error(), `"loud"`) {
		t.Errorf("error is %v: wanted one that names the value found", err)
	}
}
