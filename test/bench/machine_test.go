package bench

import (
	"testing"
	"time"
)

func TestGivenWhatTheKernelSaysOfAMachineWhenDescribedThenItIsALineForTheDocuments(t *testing.T) {
	cpus := "processor\t: 0\nmodel name\t: Some Processor\n\nprocessor\t: 1\nmodel name\t: Some Processor\n"
	got := describe(time.Date(2026, 11, 20, 0, 0, 0, 0, time.UTC), cpus, "MemTotal:       24659968 kB\nMemFree: 1 kB\n", "6.18.1", "go1.26.8")
	if want := "20 November 2026. 2 cores (Some Processor), 24 GiB, Linux 6.18.1; Go 1.26.8."; got != want {
		t.Errorf("described as %q, wanted %q", got, want)
	}
}
