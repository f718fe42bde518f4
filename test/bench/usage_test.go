package bench

import (
	"testing"
	"time"
)

func TestUsageIsReadFromProc(t *testing.T) {
	stat := "42 (odd) name) S 1 42 42 0 -1 4194560 1 0 0 0 150 25 0 0 20 0 9 0 100 1 1 18446744073709551615"
	status := "Name:\tspeaker\nVmPeak:\t  900000 kB\nVmHWM:\t   2048 kB\nVmRSS:\t   1024 kB\nRssFile:\t    512 kB\n"
	got, err := parseUsage([]byte(stat), []byte(status))
	if err != nil {
		t.Fatal(err)
	}
	if want := (Usage{CPU: 1750 * time.Millisecond, RSS: 1 << 20, Peak: 2 << 20, File: 512 << 10}); got != want {
		t.Errorf("usage is %+v, want %+v", got, want)
	}
	if _, err := parseUsage([]byte("42 (short) S 1"), nil); err == nil {
		t.Error("a line without times is taken")
	}
}
