package lab

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// disk is the folder that outlives a machine's power-off.
func (l *Lab) disk(m machine) string { return filepath.Join(l.dir, "disk", m.Name) }

// start starts the machine in its namespace, which exists, and returns it with its process.
func (l *Lab) start(ctx context.Context, s *state, m machine) (machine, error) {
	disk := l.disk(m)
	if m.Kind == kindGoBGP {
		// Go listens for Multipath TCP where the kernel has it, and Linux refuses TCP-MD5 there; GoBGP would go on without the password.
		p, err := l.launch(ctx, m, "env", "GODEBUG=multipathtcp=0", l.gobgpProgram(m), "gobgp-server", filepath.Join(disk, gobgpConfig))
		m.Process = p
		return m, err
	}
	for _, d := range []string{"upper", "work", "root", "containerd", "kubelet", "pods"} {
		if err := os.MkdirAll(filepath.Join(disk, d), 0o755); err != nil {
			return m, fmt.Errorf("make disk of %s: %w", m.Name, err)
		}
	}
	if err := l.fillDisk(ctx, s, m); err != nil {
		return m, err
	}
	settings := filepath.Join(disk, "settings")
	if err := os.WriteFile(settings, []byte(l.settings(s, m)), 0o644); err != nil {
		return m, fmt.Errorf("write settings of %s: %w", m.Name, err)
	}
	p, err := l.launch(ctx, m, "bash", filepath.Join(l.dir, "boot", "machine.sh"), settings)
	m.Process = p
	return m, err
}

// fillDisk gives a node that starts for the first time its images.
func (l *Lab) fillDisk(ctx context.Context, s *state, m machine) error {
	if m.Kind != kindNode {
		return nil
	}
	store := filepath.Join(l.disk(m), "containerd")
	entries, err := os.ReadDir(store)
	if err != nil {
		return fmt.Errorf("look at the images of %s: %w", m.Name, err)
	}
	if len(entries) > 0 {
		return nil
	}
	if err := assets.LinkStore(ctx, s.Store, store); err != nil {
		return fmt.Errorf("give %s its images: %w", m.Name, err)
	}
	return nil
}

// settings are what machine.sh reads.
func (l *Lab) settings(s *state, m machine) string {
	root := s.NodeRoot
	switch m.Kind {
	case kindRouter:
		root = s.FRRRoot
	case kindBIRD:
		root = s.BIRDRoot
	case kindControlPlane, kindNode, kindClient, kindHost, kindGoBGP:
	}
	own := m.Segment
	if m.Kind == kindClient {
		own = m.Outside
	}
	pods := podPrefixes(m.Index)
	values := map[string]string{
		"KIND": string(m.Kind), "NAME": m.Name, "DIR": l.disk(m), "ROOTFS": root, "RUN": l.dir,
		"IPV4": own.IPv4.String(), "IPV6": own.IPv6.String(),
		"API": segmentAddresses(controlPlaneHost).IPv4.String(), "PROGRAMS": s.Programs, "ETCD": s.Etcd,
		"PROXY_MODE": s.ProxyMode, "GRACE": s.Grace, "PAUSE_IMAGE": assets.PauseImage, "API_FLAGS": strings.Join(s.APIFlags, " "),
		"PODS4": pods[0].String(), "PODS6": pods[1].String(), "CLUSTER_PODS": PodRange4 + "," + PodRange6,
		"SERVICES": ServiceRange4 + "," + ServiceRange6,
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, "%s='%s'\n", name, strings.ReplaceAll(values[name], "'", `'\''`))
	}
	return b.String()
}

// launch starts a command as the first process of new namespaces, inside the machine's network namespace and control
// group. The process returned is unshare(1): with it dies everything in the machine.
func (l *Lab) launch(ctx context.Context, m machine, command ...string) (process, error) {
	procs, err := l.groups.create(m.Name, m.Kind == kindNode)
	if err != nil {
		return process{}, err
	}
	log, err := os.OpenFile(filepath.Join(l.LogDir(), m.Name+"-boot.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return process{}, fmt.Errorf("open boot log of %s: %w", m.Name, err)
	}
	defer log.Close()
	args := slices.Concat([]string{filepath.Join(l.dir, "boot", "launch.sh")}, procs, []string{"--",
		"nsenter", "--net=" + netns.Path(m.Netns), "unshare", "--mount", "--propagation", "private", "--pid", "--uts", "--ipc",
		"--cgroup", "--fork", "--kill-child"}, command)
	cmd := exec.CommandContext(context.WithoutCancel(ctx), "sh", args...) // ends by PowerOff or Down, not with this call
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's interrupt must not reach the machine
	if err := cmd.Start(); err != nil {
		return process{}, fmt.Errorf("start %s: %w", m.Name, err)
	}
	p, err := identify(cmd.Process.Pid)
	// The machine may outlive this process. While it does not, somebody must reap it.
	go func() { _ = cmd.Wait() }()
	if err == nil && l.groups.unified && m.Kind == kindNode {
		err = l.groups.stepAside(ctx, m.Name, p.PID)
	}
	return p, err
}

// initProcess is the first process inside the machine, as this process sees it.
func (l *Lab) initProcess(name string) (int, error) {
	m, err := l.machine(name)
	if err != nil {
		return 0, err
	}
	if !m.Process.alive() {
		return 0, fmt.Errorf("machine %s is off", name)
	}
	pid, err := childOf(m.Process.PID)
	if err == nil && pid == 0 {
		err = fmt.Errorf("machine %s is only just starting", name)
	}
	return pid, err
}

// waitMachine returns when commands can be run in the machine.
func (l *Lab) waitMachine(ctx context.Context, m machine) error {
	for {
		if pid, err := l.initProcess(m.Name); err == nil {
			if m.Kind == kindGoBGP {
				return nil
			}
			if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid), "root", "run", "lab", "ready")); err == nil {
				return nil
			}
		} else if !m.Process.alive() {
			return fmt.Errorf("machine %s ended while it started: %s", m.Name, l.bootLog(m.Name))
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for machine %s: %w: %s", m.Name, err, l.bootLog(m.Name))
		}
	}
}

func (l *Lab) bootLog(name string) string {
	text, err := os.ReadFile(filepath.Join(l.LogDir(), name+"-boot.log"))
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-2000):])
}

// Command prepares a command that runs inside a machine: its namespaces, its root file system.
func (l *Lab) Command(ctx context.Context, machine string, command ...string) (*exec.Cmd, error) {
	pid, err := l.initProcess(machine)
	if err != nil {
		return nil, err
	}
	args := slices.Concat([]string{"--target", strconv.Itoa(pid), "--mount", "--net", "--pid", "--uts", "--ipc", "--cgroup",
		"--root", "--wd", "env", "PATH=/opt/kubernetes:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}, command)
	return exec.CommandContext(ctx, "nsenter", args...), nil
}

// Exec runs a command inside a machine and returns what it printed on its standard output.
func (l *Lab) Exec(ctx context.Context, machine string, command ...string) (string, error) {
	cmd, err := l.Command(ctx, machine, command...)
	if err != nil {
		return "", err
	}
	return output(cmd, machine+": "+strings.Join(command, " "))
}

// output runs a prepared command; what it printed on its standard error is part of the error.
func output(cmd *exec.Cmd, what string) (string, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", what, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}

// PowerOff ends a machine as a cut of its power would: at once, with everything in it, and its cables go dead. Its disk
// stays. A machine that is off stays off.
func (l *Lab) PowerOff(ctx context.Context, name string) error {
	return l.update(ctx, func(s *state) error {
		m, ok := s.Machines[name]
		if !ok {
			return fmt.Errorf("lab %q has no machine %q", l.prefix, name)
		}
		// The cable first: a dying kernel says no goodbye, but closing sockets would.
		if up, err := carrier(s, m); err == nil && up {
			if err := setCarrier(s, m, false, m.interfaces()...); err != nil {
				return err
			}
		}
		if err := m.Process.kill(); err != nil {
			return err
		}
		if err := l.groups.killAll(ctx, name); err != nil {
			return err
		}
		m.Process = process{}
		s.Machines[name] = m
		return unplug(s, m)
	})
}

// Boot starts a machine that is off, with the disk it had. It returns when commands can be run in it; a node becomes
// Ready a few seconds later.
func (l *Lab) Boot(ctx context.Context, name string) error {
	var m machine
	err := l.update(ctx, func(s *state) error {
		var ok bool
		if m, ok = s.Machines[name]; !ok {
			return fmt.Errorf("lab %q has no machine %q", l.prefix, name)
		}
		if m.Process.alive() {
			return fmt.Errorf("machine %s is on", name)
		}
		var err error
		if err = unplug(s, m); err != nil { // of a machine that ended by itself
			return err
		}
		if err = plug(s, m); err != nil {
			return err
		}
		m, err = l.start(ctx, s, m)
		s.Machines[name] = m
		return err
	})
	if err != nil {
		return err
	}
	return l.waitMachine(ctx, m)
}

func (m machine) interfaces() []string {
	var all []string
	if m.Segment != (Addresses{}) {
		all = append(all, segmentInterface)
	}
	if m.Outside != (Addresses{}) {
		all = append(all, outsideInterface)
	}
	return all
}

// Cut cuts a machine's cables at the switch, by default that to the nodes' segment (eth0): the machine sees its carrier
// go, the others only see silence.
func (l *Lab) Cut(name string, interfaces ...string) error { return l.carry(name, false, interfaces) }

// Restore mends what Cut cut.
func (l *Lab) Restore(name string, interfaces ...string) error {
	return l.carry(name, true, interfaces)
}

func (l *Lab) carry(name string, up bool, interfaces []string) error {
	m, err := l.machine(name)
	if err != nil {
		return err
	}
	if len(interfaces) == 0 {
		interfaces = m.interfaces()[:1]
	}
	for _, i := range interfaces {
		if !slices.Contains(m.interfaces(), i) {
			return fmt.Errorf("machine %s has no interface %q, only %s", name, i, strings.Join(m.interfaces(), ", "))
		}
	}
	s, err := l.state()
	if err != nil {
		return err
	}
	return setCarrier(s, m, up, interfaces...)
}
