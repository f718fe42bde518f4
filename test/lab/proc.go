package lab

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// stat is what the lab reads of /proc/PID/stat (proc(5)).
type stat struct {
	state  byte
	parent int
	start  uint64
}

func readStat(pid int) (stat, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, fmt.Errorf("look at process %d: %w", pid, err)
	}
	return parseStat(text)
}

// parseStat skips the program's name, which is in parentheses and may hold any byte.
func parseStat(text []byte) (stat, error) {
	end := bytes.LastIndexByte(text, ')')
	f := strings.Fields(string(text[end+1:]))
	if end < 0 || len(f) < 20 {
		return stat{}, fmt.Errorf("unexpected /proc stat line %q", text)
	}
	parent, err := strconv.Atoi(f[1])
	if err != nil {
		return stat{}, fmt.Errorf("parent process in /proc stat line: %w", err)
	}
	start, err := strconv.ParseUint(f[19], 10, 64)
	if err != nil {
		return stat{}, fmt.Errorf("start time in /proc stat line: %w", err)
	}
	return stat{state: f[0][0], parent: parent, start: start}, nil
}

// childOf returns the one child of a process, 0 where it has none yet. The lab asks for the first process of a
// machine's pid namespace, the only child of its unshare(1).
func childOf(parent int) (int, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue // not a process
		}
		if st, err := readStat(pid); err == nil && st.parent == parent && st.state != 'Z' {
			return pid, nil
		}
	}
	return 0, nil
}
