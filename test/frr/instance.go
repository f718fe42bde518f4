package frr

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// Options say how an Instance starts.
type Options struct {
	// Release is the Debian release whose FRR runs; Bookworm when empty.
	Release Release
	// Name becomes the host name in prompts and logs; "n1" when empty.
	Name string
	// Config is the frr.conf that FRR starts with; empty for none at all.
	Config string
	// Listen lets bgpd accept connections on TCP port 179. A speaker's bgpd
	// does not; a router's does.
	Listen bool
	// Port is the TCP port that bgpd accepts connections on where it does, 179
	// when 0.
	Port int
	// Bare starts no daemon: the file system and namespaces only.
	Bare bool
}

// Instance is one FRR: watchfrr with zebra, bgpd, bfdd and staticd (mgmtd too
// where the release has it), in network, mount, process and host name
// namespaces of its own. Everything of it ends with the test, also when the
// test binary is killed.
type Instance struct {
	// Release is the Debian release it runs.
	Release Release

	pid   int
	root  string
	log   *logBuffer
	stdin io.Writer
}

// instanceScript runs as process 1 of the namespaces and ends with its standard input.
const instanceScript = `set -eu
root=$1
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
mount -t proc proc proc
mount --rbind /dev dev
mount --rbind /sys sys
skeleton=$(mktemp -d)
cp -a etc/frr/. "$skeleton"
for d in etc/frr run tmp var/log var/tmp; do mount -t tmpfs -o mode=755 tmpfs "$d"; done
cp -a "$skeleton/." etc/frr; rm -r "$skeleton"
chmod 1777 tmp
exec chroot . /bin/bash -c '
set -eu
echo "$1" >/proc/sys/kernel/hostname
ip link set lo up
rm -f /etc/frr/frr.conf
: >/etc/frr/vtysh.conf
cat >/etc/frr/daemons <<EOT
bgpd=yes
bfdd=yes
vtysh_enable=yes
zebra_options="  -A 127.0.0.1 -s 90000000"
bgpd_options="   -A 127.0.0.1 $2"
bfdd_options="   -A 127.0.0.1"
staticd_options="-A 127.0.0.1"
EOT
printf %s "$3" >/etc/frr/frr.conf
mkdir -p /run/frr /var/log/frr /var/tmp/frr /run/frr_reloader
chown -R frr:frr /run/frr /etc/frr /var/log/frr /var/tmp/frr
chmod 640 /etc/frr/frr.conf
cat >/run/start-frr <<EOT
. /usr/lib/frr/frrcommon.sh
exec /usr/lib/frr/watchfrr -i 1 --min-restart-interval 10 --max-restart-interval 10 \$(daemon_list)
EOT
echo ready
if [ "$4" = start ]; then
	bash /run/start-frr &
fi
while read -r order; do
	bash /run/start-frr &
done
' sh "$2" "$3" "$4" "$5"
`

// Start runs FRR and returns when its daemons answer and have read their
// configuration. The test fails where that does not come about.
func Start(tb testing.TB, o Options) *Instance {
	tb.Helper()
	if o.Release == "" {
		o.Release = Bookworm
	}
	if o.Name == "" {
		o.Name = "n1"
	}
	root, err := Root(tb.Context(), o.Release)
	if err != nil {
		tb.Fatal(err)
	}
	i := &Instance{Release: o.Release, log: &logBuffer{}}
	i.run(tb, root, o)
	if !o.Bare {
		tb.Cleanup(func() {
			if tb.Failed() {
				tb.Logf("output of FRR %s (%s):\n%s", o.Name, o.Release, i.log.String())
			}
		})
		i.AwaitReady(tb)
	}
	return i
}

func (i *Instance) run(tb testing.TB, root string, o Options) {
	tb.Helper()
	listen, start := "-p 0", "start"
	switch {
	case o.Listen && o.Port != 0:
		listen = "-p " + strconv.Itoa(o.Port)
	case o.Listen:
		listen = ""
	}
	if o.Bare {
		start = "bare"
	}
	i.pid, i.stdin = StartNamespaces(tb, i.log, instanceScript, root, o.Name, listen, o.Config, start)
	i.root = filepath.Join("/proc", strconv.Itoa(i.pid), "root")
	Eventually(tb, Patience, func() error {
		if !strings.Contains(i.log.String(), "ready\n") {
			return fmt.Errorf("FRR's namespaces are not ready: %s", i.log.String())
		}
		return nil
	})
}

// StartFRR starts the daemons of an instance that began Bare, and returns when
// they answer.
func (i *Instance) StartFRR(tb testing.TB) {
	tb.Helper()
	if _, err := io.WriteString(i.stdin, "start\n"); err != nil {
		tb.Fatalf("start FRR: %v", err)
	}
	i.AwaitReady(tb)
}

// Daemons names the daemons that run, in the order in which they start.
func (i *Instance) Daemons() []string {
	if i.Release == Bookworm {
		return []string{"zebra", "bgpd", "staticd", "bfdd"}
	}
	return []string{"zebra", "mgmtd", "bgpd", "staticd", "bfdd"}
}

// AwaitReady waits until every daemon answers and no start-up script is still
// giving it its configuration.
func (i *Instance) AwaitReady(tb testing.TB) {
	tb.Helper()
	Eventually(tb, Patience, func() error {
		for _, d := range i.Daemons() {
			if _, err := i.DaemonPID(d); err != nil {
				return err
			}
			if out, err := i.Run(tb.Context(), "vtysh", "-d", d, "-c", "show version"); err != nil {
				return fmt.Errorf("%s does not answer: %w: %s", d, err, out)
			}
		}
		for _, comm := range i.processes() {
			if comm == "watchfrr.sh" || comm == "vtysh" {
				return fmt.Errorf("%s still runs", comm)
			}
		}
		return nil
	})
}

// processes maps the id, in the instance's process namespace, of each process to its name.
func (i *Instance) processes() map[int]string {
	found := map[int]string{}
	comms, _ := filepath.Glob(i.Path("/proc/[0-9]*/comm"))
	for _, path := range comms {
		comm, err := os.ReadFile(path)
		if err != nil {
			continue // it ended meanwhile
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil {
			found[pid] = strings.TrimSpace(string(comm))
		}
	}
	return found
}

// PID is the process id, on the machine, of the instance's process 1; its
// /proc entry leads to the namespaces.
func (i *Instance) PID() int { return i.pid }

// Path returns where a file of the instance is found from outside. Unix sockets
// can be connected to by it.
func (i *Instance) Path(inner string) string { return filepath.Join(i.root, inner) }

// Enter is the beginning of a command line that runs a program inside the instance.
func (i *Instance) Enter() []string { return EnterNamespaces(i.pid) }

// Command prepares a program to run inside the instance, as root.
func (i *Instance) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	line := slices.Concat(i.Enter(), []string{name}, args)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root"}
	return cmd
}

// Run runs a program inside the instance and returns what it printed, both streams together.
func (i *Instance) Run(ctx context.Context, name string, args ...string) (string, error) {
	out, err := i.Command(ctx, name, args...).CombinedOutput()
	return string(out), err
}

// Vtysh gives commands to vtysh as a person would and returns what it printed.
func (i *Instance) Vtysh(tb testing.TB, commands ...string) string {
	tb.Helper()
	var args []string
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	out, err := i.Run(tb.Context(), "vtysh", args...)
	if err != nil {
		tb.Fatalf("vtysh %q: %v\n%s", commands, err, out)
	}
	return out
}

// Resize changes how much fits into a directory of the instance that is a file system in memory, /etc/frr for instance: "64k".
func (i *Instance) Resize(tb testing.TB, dir, size string) {
	tb.Helper()
	root, err := Root(tb.Context(), i.Release)
	if err != nil {
		tb.Fatal(err)
	}
	// The machine's own mount: not every release's root has one.
	cmd := exec.CommandContext(tb.Context(), "nsenter", "-t", strconv.Itoa(i.pid), "-m", "--", "mount", "-o", "remount,size="+size, filepath.Join(root, dir))
	if out, err := cmd.CombinedOutput(); err != nil {
		tb.Fatalf("resize %s to %s: %v\n%s", dir, size, err, out)
	}
}

// DaemonPID returns a daemon's process id inside the instance.
func (i *Instance) DaemonPID(daemon string) (int, error) {
	for pid, comm := range i.processes() {
		if comm == daemon {
			return pid, nil
		}
	}
	return 0, fmt.Errorf("no process %s runs", daemon)
}

// Kill ends a daemon the hard way, as a crash would, and returns when its
// process is gone. watchfrr then starts it again.
func (i *Instance) Kill(tb testing.TB, daemon string) {
	tb.Helper()
	pid, err := i.DaemonPID(daemon)
	if err != nil {
		tb.Fatalf("kill %s: %v", daemon, err)
	}
	if out, err := i.Run(tb.Context(), "kill", "-9", strconv.Itoa(pid)); err != nil {
		tb.Fatalf("kill %s: %v\n%s", daemon, err, out)
	}
	Eventually(tb, Patience, func() error {
		if i.processes()[pid] == daemon {
			return fmt.Errorf("%s (%d) still runs", daemon, pid)
		}
		return nil
	})
}

// StopFRR ends watchfrr and all daemons at once and the hard way, as the end of a container does, and returns when they are gone. StartFRR
// starts them again.
func (i *Instance) StopFRR(tb testing.TB) {
	tb.Helper()
	names := append([]string{"watchfrr"}, i.Daemons()...)
	Eventually(tb, Patience, func() error {
		var left []string
		for _, name := range names { // watchfrr first: it would start the others again
			if pid, err := i.DaemonPID(name); err == nil {
				left = append(left, name)
				if out, err := i.Run(tb.Context(), "kill", "-9", strconv.Itoa(pid)); err != nil {
					return fmt.Errorf("kill %s: %w: %s", name, err, out)
				}
			}
		}
		if len(left) > 0 {
			return fmt.Errorf("%v still run", left)
		}
		return nil
	})
}

// Output is what the instance's processes have printed so far.
func (i *Instance) Output() string { return i.log.String() }

// Patience is the limit for what must come about but may take its time on a
// busy machine: FRR waits up to a minute before it tries again to open a session
// that failed.
const Patience = 2 * time.Minute

// Eventually polls until check returns nil, and fails the test with its last
// error when that has not come about within the limit. It polls less and less
// often: asking FRR starts a program, which takes from what is waited for.
func Eventually(tb testing.TB, limit time.Duration, check func() error) {
	tb.Helper()
	const most = 200 * time.Millisecond
	deadline := time.Now().Add(limit)
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, most) {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("not within %v: %v", limit, err)
		}
		time.Sleep(pause)
	}
}

type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

var _ io.Writer = (*logBuffer)(nil)

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
