// Package bird gives tests a real BIRD 2, the one Debian ships, in namespaces of its own: a peer of another kind than FRR. Nothing is installed on the
// machine. It needs root, for namespaces and chroot.
package bird

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/lab/bird"
)

// script runs as process 1 of the namespaces and ends with its standard input.
const script = `set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=755 tmpfs run
printf %s "$3" >.` + bird.ConfigFile + `
exec chroot . /bin/sh -c '
set -eu
echo "$1" >/proc/sys/kernel/hostname
ip link set lo up
bird -f -c ` + bird.ConfigFile + ` -s ` + bird.ControlSocket + ` </dev/null &
read -r _ || true
' sh "$2"
`

// Options say how an Instance starts.
type Options struct {
	// Name becomes the host name; "bird" when empty.
	Name string
	// Config is the bird.conf that BIRD starts with.
	Config string
}

// Instance is one BIRD. Everything of it ends with the test, also when the test binary is killed.
type Instance struct {
	pid    int
	output *os.File
}

var _ frr.Machine = (*Instance)(nil)

// Start runs BIRD and returns when it answers. The test fails where that does not come about.
func Start(tb testing.TB, o Options) *Instance {
	tb.Helper()
	if o.Name == "" {
		o.Name = "bird"
	}
	root, err := bird.Root(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	i := &Instance{}
	if i.output, err = os.Create(filepath.Join(tb.TempDir(), "output")); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		text, err := os.ReadFile(i.output.Name())
		if tb.Failed() {
			tb.Logf("output of BIRD %s: %v\n%s", o.Name, err, text)
		}
		_ = i.output.Close() // only read from here on
	})
	i.pid, _ = frr.StartNamespaces(tb, i.output, script, root, o.Name, o.Config)
	frr.Eventually(tb, frr.Patience, func() error {
		out, err := i.Birdc(tb.Context(), "show status")
		if err != nil || !strings.Contains(out, "Daemon is up and running") {
			return fmt.Errorf("BIRD does not answer: %w: %s", err, out)
		}
		return nil
	})
	return i
}

// PID is the process id, on the machine, of the instance's process 1.
func (i *Instance) PID() int { return i.pid }

// Command prepares a program to run inside the instance, as root.
func (i *Instance) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	line := slices.Concat(frr.EnterNamespaces(i.pid), []string{name}, args)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return cmd
}

// Birdc gives one command to BIRD, as a person would, and returns what it printed.
func (i *Instance) Birdc(ctx context.Context, command string) (string, error) {
	out, err := i.Command(ctx, "birdc", append([]string{"-s", bird.ControlSocket}, strings.Fields(command)...)...).CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("birdc %q: %w", command, err)
	}
	return string(out), nil
}

// Configure replaces BIRD's whole configuration while it runs. BIRD keeps the sessions whose settings stay the same.
func (i *Instance) Configure(tb testing.TB, conf string) {
	tb.Helper()
	if err := os.WriteFile(filepath.Join("/proc", strconv.Itoa(i.pid), "root", bird.ConfigFile), []byte(conf), 0o644); err != nil {
		tb.Fatalf("write BIRD's configuration: %v", err)
	}
	if out, err := i.Birdc(tb.Context(), "configure"); err != nil || !strings.Contains(out, "Reconfigur") {
		tb.Fatalf("configure BIRD: %v\n%s", err, out)
	}
}
