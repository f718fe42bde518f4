package bench

import (
	"testing"
	"time"
)

func TestOnlyWhatCameToRunIsReadFromTheReloadersLog(t *testing.T) {
	const text = `2026-07-01T10:00:00.000000001Z stderr F {"ts":"2026-07-01T10:00:00Z","level":"info","msg":"listening"}
2026-07-01T10:00:01.300000001Z stderr F {"ts":"2026-07-01T10:00:01.25Z","caller":"converge.go:61","level":"info","msg":"config reloaded","event":"applied","how":"delta","reason":"","commands":4,"micros":50000}
`
	got, err := parseApplied([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Date(2026, 7, 1, 10, 0, 1, 200_000_000, time.UTC)
	want := Applied{Begun: begun, Done: begun.Add(50 * time.Millisecond), How: "delta", Commands: 4}
	if len(got) != 1 || got[0] != want {
		t.Errorf("applied is %+v, want %+v", got, want)
	}
}
