package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// build makes the program as the image has it.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "reloader")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}

func TestGivenFRRImageWhenThePodStartsThenTheProgramInstallsPreparesAndApplies(t *testing.T) {
	program := build(t)
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			i := frrtest.Start(t, frrtest.Options{Release: release, Bare: true})
			// First init container, in the project's image: the binary into a shared volume.
			shared := i.Path("/run/frr_reloader")
			if out, err := exec.CommandContext(t.Context(), program, "install", shared).CombinedOutput(); err != nil {
				t.Fatalf("install: %v\n%s", err, out)
			}
			// Second init container, in the FRR image, over empty volumes.
			for _, dir := range []string{"/etc/frr", "/run/frr"} {
				if out, err := i.Run(t.Context(), "sh", "-c", "rm -rf "+dir+"/*; chown root:root "+dir); err != nil {
					t.Fatalf("empty %s: %v\n%s", dir, err, out)
				}
			}
			if out, err := i.Run(t.Context(), "/run/frr_reloader/reloader", "prepare"); err != nil {
				t.Fatalf("prepare: %v\n%s", err, out)
			}
			for file, want := range map[string]string{
				"/etc/frr/daemons": "frr:frr 640", "/etc/frr/vtysh.conf": "frr:frr 640", "/etc/frr/frr.conf": "frr:frr 640", "/run/frr": "frr:frr 755",
			} {
				if out, err := i.Run(t.Context(), "stat", "-c", "%U:%G %a", file); err != nil || strings.TrimSpace(out) != want {
					t.Errorf("%s is %q, want %q (%v)", file, out, want, err)
				}
			}
			// The two containers side by side.
			run := i.Command(t.Context(), "/run/frr_reloader/reloader", "-socket", "/run/frr_reloader/reloader.sock")
			log := startProgram(t, run)
			i.StartFRR(t)
			client := frr.New(i.Path("/run/frr_reloader/reloader.sock"))
			defer client.Close()
			conf := "frr defaults traditional\nhostname n1\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\nexit\nbgp as-path access-list x seq 5 permit 64513\n"
			ack, err := client.Apply(t.Context(), []byte(conf))
			if err != nil || ack.How != frr.FullReload || ack.Difference != "" {
				t.Errorf("apply: %+v, %v, want FRR's own script to have loaded the line", ack, err)
			}
			if listens, err := i.Run(t.Context(), "ss", "-Hltn", "sport = :179"); err != nil || listens != "" {
				t.Errorf("bgpd listens: %s (%v)", listens, err)
			}
			if out, err := i.Run(t.Context(), "stat", "-c", "%U:%G %a", "/etc/frr/frr.conf"); err != nil || out != "frr:frr 640\n" {
				t.Errorf("frr.conf is %q (%v)", out, err)
			}
			if kept, err := os.ReadFile(i.Path("/etc/frr/frr.conf")); err != nil || string(kept) != conf {
				t.Errorf("on disk: %s (%v)", kept, err)
			}
			for _, text := range []string{`"msg":"FRR reloaded successfully!"`, `"level":"info"`, `"caller":"`, `"ts":"`} {
				if !strings.Contains(log(), text) {
					t.Errorf("log lacks %s:\n%s", text, log())
				}
			}
		})
	}
}

func TestGivenAPortToListenOnWhenThePodStartsThenBgpdListensThere(t *testing.T) {
	program := build(t)
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			i := frrtest.Start(t, frrtest.Options{Release: release, Bare: true})
			if out, err := exec.CommandContext(t.Context(), program, "install", i.Path("/run/frr_reloader")).CombinedOutput(); err != nil {
				t.Fatalf("install: %v\n%s", err, out)
			}
			if out, err := i.Run(t.Context(), "/run/frr_reloader/reloader", "prepare", "--bgp-listen-port=65536"); err == nil || !strings.Contains(out, "--bgp-listen-port is 65536") {
				t.Errorf("prepare with a port that is none: %v\n%s", err, out)
			}
			if out, err := i.Run(t.Context(), "/run/frr_reloader/reloader", "prepare", "--bgp-listen-port=1179"); err != nil {
				t.Fatalf("prepare: %v\n%s", err, out)
			}
			i.StartFRR(t)
			i.Vtysh(t, "configure terminal", "router bgp 64512")
			frrtest.Eventually(t, frrtest.Patience, func() error {
				if listens, err := i.Run(t.Context(), "ss", "-Hltn", "sport = :1179"); err != nil || listens == "" {
					return fmt.Errorf("bgpd does not listen: %q (%v)", listens, err) //nolint:errorlint // there may be none
				}
				return nil
			})
		})
	}
}

func TestGivenARunningReloaderWhenAnotherVersionIsInstalledThenItTakesOverAndFRRNoticesNothing(t *testing.T) {
	program := build(t)
	i := frrtest.Start(t, frrtest.Options{Release: frrtest.Releases()[0], Bare: true})
	const shared = "/run/frr_reloader/reloader"
	if out, err := exec.CommandContext(t.Context(), program, "install", i.Path(shared)).CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	if out, err := i.Run(t.Context(), shared, "prepare"); err != nil {
		t.Fatalf("prepare: %v\n%s", err, out)
	}
	log := startProgram(t, i.Command(t.Context(), shared, "run", "-socket", "/run/frr_reloader/reloader.sock"))
	i.StartFRR(t)
	client := frr.New(i.Path("/run/frr_reloader/reloader.sock"))
	defer client.Close()
	const conf = "frr defaults traditional\nhostname n1\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\nexit\n"
	ack, err := client.Apply(t.Context(), []byte(conf))
	if err != nil {
		t.Fatal(err)
	}
	bgpd, err := i.DaemonPID("bgpd")
	if err != nil {
		t.Fatal(err)
	}
	// Another file for the same name; what follows an ELF file's own content means nothing.
	content, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "reloader")
	if err := os.WriteFile(other, append(content, "another version"...), 0o755); err != nil {
		t.Fatal(err)
	}
	asking, stop := context.WithCancel(t.Context())
	refused := make(chan error, 1)
	go func() {
		defer close(refused)
		for asking.Err() == nil {
			if _, err := client.Status(asking); err != nil && asking.Err() == nil {
				refused <- err
				return
			}
		}
	}()
	// As the container that stays does it, which waits after that until it is told to end.
	startProgram(t, exec.CommandContext(t.Context(), other, "install", "--stay", i.Path(shared)))
	frrtest.Eventually(t, frrtest.Patience, func() error {
		running, err := i.Run(t.Context(), "sh", "-c", "readlink /proc/[0-9]*/exe")
		if !strings.Contains(log(), `"event":"replaced"`) || !strings.Contains(running+"\n", shared+"\n") || strings.Contains(running, "(deleted)") {
			return fmt.Errorf("there run %s (%v)", running, err) //nolint:errorlint // readlink fails for what ended meanwhile
		}
		status, err := client.Status(t.Context())
		if err != nil || status.Hash != ack.Hash {
			return fmt.Errorf("the one that took over holds FRR to %+v, wanted %s: %w", status, ack.Hash, err)
		}
		return nil
	})
	stop()
	if err := <-refused; err != nil {
		t.Errorf("while one took over from the other, somebody who asked was not answered: %v", err)
	}
	if again, err := client.Apply(t.Context(), []byte(conf)); err != nil || again.How != frr.Unchanged {
		t.Errorf("the same configuration, given again: %+v, %v", again, err)
	}
	if now, err := i.DaemonPID("bgpd"); err != nil || now != bgpd {
		t.Errorf("bgpd is process %d, and was %d (%v)", now, bgpd, err)
	}
}

// startProgram runs a program until the test ends, and expects it to end well
// when told to. The function returned gives what it printed so far.
func startProgram(t *testing.T, cmd *exec.Cmd) (printed func() string) {
	t.Helper()
	file, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = file, file
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		file.Close()
	})
	return func() string {
		content, err := os.ReadFile(file.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
}

func TestGivenWrongCommandLineWhenRunThenItSaysWhatIsWanted(t *testing.T) {
	program := build(t)
	for want, args := range map[string][]string{
		"want install, prepare, run, leave or alive": {"dance"},
		"want one argument":                          {"install"},
		"want more than 0":                           {"run", "-drift-interval", "0s"},
		"read --log-level":                           {"run", "-log-level", "loud"},
		"want 0 or more":                             {"leave", "-wait", "-1s"},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
		cancel()
		if _, failed := errors.AsType[*exec.ExitError](err); !failed || !strings.Contains(string(out), want) {
			t.Errorf("%q: %v, %s, want %q", args, err, out, want)
		}
	}
}

// Given no reloader, one that runs where FRR does not, and one that hangs, when it is asked whether it lives, then only the second one does.
func TestGivenAReloaderWhenAskedWhetherItLivesThenOnlyOneThatAnswersDoes(t *testing.T) {
	program := build(t)
	i := frrtest.Start(t, frrtest.Options{Release: frrtest.Releases()[0], Bare: true})
	const shared = "/run/frr_reloader/reloader"
	if out, err := exec.CommandContext(t.Context(), program, "install", i.Path(shared)).CombinedOutput(); err != nil {
		t.Fatalf("install: %v\n%s", err, out)
	}
	inside := func(line string) error {
		if out, err := i.Run(t.Context(), "sh", "-c", line); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, out)
		}
		return nil
	}
	const alive = shared + " alive -socket " + shared + ".sock"
	if inside(alive) == nil {
		t.Error("one that does not run lives")
	}
	startProgram(t, i.Command(t.Context(), "sh", "-c", "echo $$ >/run/reloader.pid; exec "+shared+" run -socket "+shared+".sock"))
	frrtest.Eventually(t, frrtest.Patience, func() error { return inside(alive) })
	if err := inside("kill -STOP $(cat /run/reloader.pid)"); err != nil {
		t.Fatal(err)
	}
	if inside(alive) == nil {
		t.Error("one that hangs lives")
	}
	if err := inside("kill -CONT $(cat /run/reloader.pid)"); err != nil {
		t.Fatal(err)
	}
	frrtest.Eventually(t, frrtest.Patience, func() error { return inside(alive) })
}
