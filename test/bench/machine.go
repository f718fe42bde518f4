package bench

import (
	"fmt"
	"os"
	"path"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Machine says in a line what the figures were measured on: processor, memory, kernel and Go, as docs/benchmarks.md has it.
func Machine(now time.Time) (string, error) {
	cpus, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "", fmt.Errorf("find out about the processor: %w", err)
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return "", fmt.Errorf("find out about the memory: %w", err)
	}
	var kernel unix.Utsname
	if err := unix.Uname(&kernel); err != nil {
		return "", fmt.Errorf("find out about the kernel: %w", err)
	}
	return describe(now, string(cpus), string(memory), unix.ByteSliceToString(kernel.Release[:]), runtime.Version()), nil
}

func describe(now time.Time, cpus, memory, kernel, release string) string {
	gib := 0
	if kib, err := strconv.Atoi(strings.TrimSuffix(field(memory, "MemTotal"), " kB")); err == nil {
		gib = (kib + 1<<19) >> 20
	}
	number := strings.Count("\n"+cpus, "\nprocessor")
	return fmt.Sprintf("%s. %d cores (%s), %d GiB, Linux %s; %s.", now.Format("2 January 2006"), number, field(cpus, "model name"), gib,
		kernel, strings.Replace(path.Base(release), "go", "Go ", 1))
}

// field returns the first value of a key in the format of /proc/cpuinfo and /proc/meminfo.
func field(text, key string) string {
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == key {
			return strings.TrimSpace(value)
		}
	}
	return "unknown"
}
