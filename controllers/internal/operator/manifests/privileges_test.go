package manifests_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// shared stands for the volume that the reloader lies in; Debian's root file system has no /etc/frr_reloader to mount on.
const shared = "/run/frr_reloader"

// pod is the file system and the namespaces of a speaker's pod with real FRR in it: writable where the containers with
// FRR's image have volumes, read-only elsewhere.
type pod struct{ *frr.Instance }

// newPod prepares the file system. Nothing runs in it yet.
func newPod(t *testing.T, release frr.Release, reloader string) pod {
	t.Helper()
	p := pod{frr.Start(t, frr.Options{Release: release, Bare: true})}
	root, err := frr.Root(t.Context(), release)
	if err != nil {
		t.Fatal(err)
	}
	// As the kubelet mounts emptyDir volumes in memory.
	script := `set -eu
cd "$1"
mkdir -p run/frr run/frr_reloader var/tmp/frr
for d in etc/frr run/frr run/frr_reloader var/tmp/frr tmp; do mount -t tmpfs -o mode=1777 tmpfs "$d"; done
for d in run var/log var/tmp; do mount -o remount,ro "$d"; done
mount -o remount,bind,ro "$1"`
	cmd := exec.CommandContext(t.Context(), "nsenter", "-t", strconv.Itoa(p.PID()), "-m", "--", "/bin/sh", "-c", script, "sh", root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("mount the volumes: %v\n%s", err, out)
	}
	for from, to := range map[string]string{reloader: "reloader", filepath.Join(top, "images/frr/docker-start"): "docker-start"} {
		content, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p.Path(filepath.Join(shared, to)), content, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// as prepares a program to run as in a container that has these capabilities and no others, and cannot gain any.
func (p pod) as(ctx context.Context, capabilities []corev1.Capability, line string) *exec.Cmd {
	var dropped []string
	for _, c := range allCapabilities {
		if !slices.Contains(capabilities, c) {
			dropped = append(dropped, "cap_"+strings.ToLower(string(c)))
		}
	}
	cmd := p.Command(ctx, "/usr/sbin/capsh", "--drop="+strings.Join(dropped, ","), "--no-new-privs", "--", "-c", line)
	// Killing nsenter leaves its children, which hold the pipes; they end with the namespaces.
	cmd.WaitDelay = 10 * time.Millisecond
	return cmd
}

// allCapabilities are those that a container runtime knows (capabilities(7)).
var allCapabilities = []corev1.Capability{
	"CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP", "LINUX_IMMUTABLE",
	"NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER", "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT",
	"SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE", "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE",
	"AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP", "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ",
	"PERFMON", "BPF", "CHECKPOINT_RESTORE",
}

// output is what a program printed so far.
type output struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.text.String()
}

// start runs a container's program until the test ends.
func (p pod) start(t *testing.T, capabilities []corev1.Capability, line string) *output {
	t.Helper()
	o := &output{}
	cmd := p.as(t.Context(), capabilities, line)
	cmd.Stdout, cmd.Stderr = o, o
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("output of %s:\n%s", line, o)
		}
	})
	return o
}

// once runs a program to its end.
func (p pod) once(t *testing.T, capabilities []corev1.Capability, line string) (string, error) {
	t.Helper()
	out, err := p.as(t.Context(), capabilities, line).CombinedOutput()
	return string(out), err
}

func buildReloader(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "reloader")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./speaker/cmd/reloader")
	cmd.Dir, cmd.Env = top, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build the reloader: %v\n%s", err, out)
	}
	return program
}

// containerOf returns a container of the speaker's pod.
func containerOf(t *testing.T, name string) corev1.Container {
	t.Helper()
	for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, environment()) {
		if set, ok := podSpec(o); ok && o.GetName() == manifests.Speaker {
			for _, c := range slices.Concat(set.InitContainers, set.Containers) {
				if c.Name == name {
					return c
				}
			}
		}
	}
	t.Fatalf("the speaker's pod has no container %s", name)
	return corev1.Container{}
}

func capabilitiesOf(t *testing.T, name string) []corev1.Capability {
	t.Helper()
	return containerOf(t, name).SecurityContext.Capabilities.Add
}

const startFRR = "exec /usr/bin/tini -- " + shared + "/docker-start"

// Given the speaker's pod with real FRR, when each container runs with the capabilities and volumes it is given and nothing
// else, then FRR starts, its probe tells, the reloader applies a configuration by commands and by frr-reload.py, and
// watchfrr can restart a daemon.
func TestCapabilitiesSuffice(t *testing.T) {
	reloader := buildReloader(t)
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			p := newPod(t, release, reloader)
			prepare := "exec " + shared + "/reloader prepare"
			for range 2 { // the second time as after a restart of the node
				if out, err := p.once(t, capabilitiesOf(t, "prepare-frr"), prepare); err != nil {
					t.Fatalf("prepare: %v\n%s", err, out)
				}
			}
			frrs := capabilitiesOf(t, manifests.FRR)
			probe := shellLine(containerOf(t, manifests.FRR).ReadinessProbe.Exec.Command)
			if out, err := p.once(t, frrs, probe); err == nil {
				t.Errorf("the probe passes before FRR runs: %s", out)
			}
			p.start(t, frrs, startFRR)
			frr.Eventually(t, time.Minute, func() error { return p.wrap(p.once(t, frrs, probe)) })
			p.AwaitReady(t)
			p.start(t, capabilitiesOf(t, manifests.Reloader), "exec "+shared+"/reloader run --socket "+shared+"/reloader.sock")
			base := "frr defaults traditional\nlog stdout informational\nservice integrated-vtysh-config\n"
			p.configure(t, base+"router bgp 64512\n bgp router-id 192.0.2.1\n no bgp ebgp-requires-policy\n neighbor 192.0.2.9 remote-as 64513\n neighbor 192.0.2.9 bfd\nexit\n")
			alive := shared + "/reloader alive --socket " + shared + "/reloader.sock" // the probe's, in another folder
			if command := containerOf(t, manifests.Reloader).LivenessProbe.Exec.Command; command[1] != "alive" {
				t.Errorf("the probe of the reloader is %q", command)
			}
			if err := p.wrap(p.once(t, capabilitiesOf(t, manifests.Reloader), alive)); err != nil {
				t.Errorf("the reloader runs, and its probe fails: %v", err)
			}
			// A command that deltas do not know takes the long way.
			p.configure(t, base+"ip route 198.51.100.0/24 blackhole\n")
			// The daemon that this starts keeps the script's output open.
			restart := "/usr/lib/frr/watchfrr.sh restart bgpd >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }"
			if out, err := p.once(t, frrs, restart); err != nil {
				t.Errorf("restart bgpd: %v\n%s", err, out)
			}
			frr.Eventually(t, time.Minute, func() error { return p.wrap(p.once(t, frrs, probe)) })
		})
	}
}

// Given FRR as its container starts it, but that watchfrr waits 5 s for an answer and not 90, when bgpd hangs, then it is ended although it does not heed
// the signal that it is asked with, and started anew.
func TestADaemonThatHangsIsEnded(t *testing.T) {
	reloader := buildReloader(t)
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			p := newPod(t, release, reloader)
			start := p.Path(shared + "/docker-start")
			script, err := os.ReadFile(start)
			if err != nil {
				t.Fatal(err)
			}
			impatient := bytes.Replace(script, []byte("watchfrr_options=("), []byte("watchfrr_options=(--timeout 5 "), 1)
			if bytes.Equal(impatient, script) {
				t.Fatalf("no options of watchfrr in %s", script)
			}
			if err := os.WriteFile(start, impatient, 0o755); err != nil {
				t.Fatal(err)
			}
			if out, err := p.once(t, capabilitiesOf(t, "prepare-frr"), "exec "+shared+"/reloader prepare"); err != nil {
				t.Fatalf("prepare: %v\n%s", err, out)
			}
			frrs := capabilitiesOf(t, manifests.FRR)
			p.start(t, frrs, startFRR)
			p.AwaitReady(t)
			hung, err := p.DaemonPID("bgpd")
			if err != nil {
				t.Fatal(err)
			}
			if out, err := p.Run(t.Context(), "kill", "-STOP", strconv.Itoa(hung)); err != nil {
				t.Fatalf("stop bgpd: %v\n%s", err, out)
			}
			frr.Eventually(t, frr.Patience, func() error {
				now, err := p.DaemonPID("bgpd")
				if err != nil {
					return err
				}
				if now == hung {
					return fmt.Errorf("bgpd is process %d still", now)
				}
				// It is asked with a limit of its own: it may be the one that hangs.
				return p.wrap(p.once(t, frrs, "timeout 5 "+shellLine(containerOf(t, manifests.FRR).ReadinessProbe.Exec.Command)))
			})
		})
	}
}

func (p pod) wrap(out string, err error) error {
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

// configure gives the reloader a configuration over its socket and waits until it is in force.
func (p pod) configure(t *testing.T, conf string) {
	t.Helper()
	frr.Eventually(t, time.Minute, func() error {
		status, said, err := p.ask(t.Context(), http.MethodPut, "config", conf)
		if err != nil || status != http.StatusOK {
			return fmt.Errorf("status %d, %s: %w", status, said, err)
		}
		t.Logf("applied: %s", said)
		return nil
	})
}

// ask sends the reloader a request and returns what it answers.
func (p pod) ask(ctx context.Context, method, path, body string) (status int, said string, err error) {
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", p.Path(shared+"/reloader.sock"))
	}}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, method, "http://reloader/v1/"+path, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

// Given FRR's container with one capability less than it is given, when FRR starts, then it says that it cannot: each is
// needed.
func TestEveryCapabilityOfFRRIsNeeded(t *testing.T) {
	reloader := buildReloader(t)
	for capability, complaint := range map[corev1.Capability]string{
		"CHOWN":            "could chown socket",
		"DAC_OVERRIDE":     "Permission denied",
		"KILL":             "not running",
		"NET_ADMIN":        "Failed to start zebra",
		"NET_BIND_SERVICE": "Failed to start bgpd",
		"NET_RAW":          "Failed to start zebra",
		"SETGID":           "could not setgroups",
		"SETUID":           "could not setreuid",
		"SYS_ADMIN":        "Failed to start zebra",
	} {
		t.Run(string(capability), func(t *testing.T) {
			p := newPod(t, frr.Bookworm, reloader)
			if out, err := p.once(t, capabilitiesOf(t, "prepare-frr"), "exec "+shared+"/reloader prepare"); err != nil {
				t.Fatalf("prepare: %v\n%s", err, out)
			}
			less := slices.DeleteFunc(capabilitiesOf(t, manifests.FRR), func(c corev1.Capability) bool { return c == capability })
			said := p.start(t, less, startFRR)
			if capability == "KILL" { // it starts, but a daemon that hangs cannot be ended
				p.AwaitReady(t)
				out, _ := p.once(t, less, "/usr/lib/frr/watchfrr.sh stop bgpd")
				_, _ = said.Write([]byte(out))
			}
			frr.Eventually(t, time.Minute, func() error {
				if !strings.Contains(said.String(), complaint) {
					return fmt.Errorf("FRR does not complain of %q", complaint)
				}
				return nil
			})
		})
	}
	if listed := len(capabilitiesOf(t, manifests.FRR)); listed != 9 {
		t.Errorf("FRR has %d capabilities, this test tries 9", listed)
	}
}

// Given the container that prepares FRR's files without its capability, when it runs, then it fails: it is needed. That it suffices, also after a restart of
// the node, TestCapabilitiesSuffice shows.
func TestTheCapabilityOfThePreparationIsNeeded(t *testing.T) {
	if all := capabilitiesOf(t, "prepare-frr"); !slices.Equal(all, []corev1.Capability{"CHOWN"}) {
		t.Fatalf("the preparation has the capabilities %v, this test tries CHOWN", all)
	}
	p := newPod(t, frr.Bookworm, buildReloader(t))
	if out, err := p.once(t, nil, "exec "+shared+"/reloader prepare"); err == nil || !strings.Contains(out, "not permitted") {
		t.Errorf("it does not complain: %v\n%s", err, out)
	}
}

// Given the reloader with one capability less than it is given, when it is to apply a configuration, then it says that it cannot: each is needed.
func TestEveryCapabilityOfTheReloaderIsNeeded(t *testing.T) {
	reloader, all := buildReloader(t), capabilitiesOf(t, manifests.Reloader)
	for capability, complaint := range map[corev1.Capability]string{"CHOWN": "operation not permitted", "DAC_OVERRIDE": "staticd to answer"} {
		t.Run(string(capability), func(t *testing.T) {
			p := newPod(t, frr.Bookworm, reloader)
			if out, err := p.once(t, capabilitiesOf(t, "prepare-frr"), "exec "+shared+"/reloader prepare"); err != nil {
				t.Fatalf("prepare: %v\n%s", err, out)
			}
			p.start(t, capabilitiesOf(t, manifests.FRR), startFRR)
			p.AwaitReady(t)
			less := slices.DeleteFunc(slices.Clone(all), func(c corev1.Capability) bool { return c == capability })
			said := p.start(t, less, "exec "+shared+"/reloader run --socket "+shared+"/reloader.sock")
			const conf = "frr defaults traditional\nlog stdout informational\nservice integrated-vtysh-config\nrouter bgp 64512\nexit\n"
			frr.Eventually(t, time.Minute, func() error {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				status, answer, err := p.ask(ctx, http.MethodPut, "config", conf)
				if status == http.StatusOK {
					t.Fatalf("it is applied: %s", answer)
				}
				_, waits, statusErr := p.ask(t.Context(), http.MethodGet, "status", "")
				if statusErr != nil {
					return statusErr
				}
				if all := strings.ToLower(said.String() + answer + waits); !strings.Contains(all, complaint) {
					return fmt.Errorf("the reloader does not complain of %q: status %d, %s, %s: %w", complaint, status, answer, waits, err)
				}
				return nil
			})
		})
	}
	if len(all) != 2 {
		t.Errorf("the reloader has the capabilities %v, this test tries two", all)
	}
}

// shellLine quotes a command line for a shell.
func shellLine(command []string) string {
	quoted := make([]string, len(command))
	for i, word := range command {
		quoted[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(quoted, " ")
}
