package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of times in /proc/PID/stat: 1/100 s for programs on every platform that Go runs on (USER_HZ).
const tick = 10 * time.Millisecond

// Usage is what a process has used so far.
type Usage struct {
	CPU       time.Duration
	RSS, Peak int64 // bytes of resident memory, now and at most
	// File is the part of RSS that is read from files, most of it the program itself; the kernel can drop it.
	File int64
}

// Processes are the lab's programs by the names that Usages gives them: those of the product, and those beside it that work for it.
type Processes map[string]int

// programs are the names that Usages uses, in order, with the machine each program runs on.
var programs = [][2]string{{"n1", "controller"}, {"n1", "speaker"}, {"n1", "reloader"}, {"n1", "bgpd"}, {"n1", "zebra"}, {"n1", "operator"},
	{"cp", "kube-apiserver"}, {"cp", "etcd"}}

// ours is how many of the programs are the product.
const ours = 6

// FindProcesses finds the programs of a lab.
func FindProcesses(prefix string) (Processes, error) {
	found := Processes{}
	for _, p := range programs {
		pid, err := FindProcess(prefix, p[0], p[1])
		if err != nil {
			return nil, err
		}
		found[p[1]] = pid
	}
	return found, nil
}

// FindProcess finds a program on a machine of a lab by the machine's control group (docs/lab.md) and returns its number.
func FindProcess(prefix, machine, program string) (int, error) {
	groups, err := filepath.Glob("/proc/[0-9]*/cgroup")
	if err != nil {
		return 0, fmt.Errorf("list processes: %w", err)
	}
	for _, path := range groups {
		comm, err := os.ReadFile(filepath.Join(filepath.Dir(path), "comm"))
		if err != nil || strings.TrimSpace(string(comm)) != program {
			continue // another, or one that has ended
		}
		group, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(group, []byte("/metallb-lab-"+prefix+"/"+machine)) {
			continue
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			return 0, fmt.Errorf("number of process: %w", err)
		}
		return pid, nil
	}
	return 0, fmt.Errorf("no program %s runs on machine %s of lab %s", program, machine, prefix)
}

// Usages reads what every program has used.
func (p Processes) Usages() (map[string]Usage, error) {
	usages := map[string]Usage{}
	for name, pid := range p {
		u, err := ReadUsage("/proc/" + strconv.Itoa(pid))
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", name, err)
		}
		usages[name] = u
	}
	return usages, nil
}

// ReadUsage reads what a process has used, from its directory in a /proc.
func ReadUsage(dir string) (Usage, error) {
	stat, err := os.ReadFile(filepath.Join(dir, "stat"))
	if err != nil {
		return Usage{}, fmt.Errorf("read the times of a process: %w", err)
	}
	status, err := os.ReadFile(filepath.Join(dir, "status"))
	if err != nil {
		return Usage{}, fmt.Errorf("read the memory of a process: %w", err)
	}
	return parseUsage(stat, status)
}

// parseUsage reads the files stat and status of a process (proc(5)).
func parseUsage(stat, status []byte) (Usage, error) {
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return Usage{}, fmt.Errorf("unexpected /proc stat line %q", stat)
	}
	var u Usage
	for _, f := range fields[11:13] { // utime, stime
		ticks, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("time in /proc stat line: %w", err)
		}
		u.CPU += time.Duration(ticks) * tick
	}
	for line := range strings.Lines(string(status)) {
		key, value, _ := strings.Cut(line, ":")
		into := map[string]*int64{"VmRSS": &u.RSS, "VmHWM": &u.Peak, "RssFile": &u.File}[key]
		if into == nil {
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return Usage{}, fmt.Errorf("%s in /proc status: %w", key, err)
		}
		*into = kilobytes << 10
	}
	return u, nil
}
