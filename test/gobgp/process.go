// Package gobgp gives tests a GoBGP router in a process and a network namespace of its own: a peer of another kind than FRR. It needs root, for the namespace.
package gobgp

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vishvananda/netlink"

	"github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
)

// asked is the variable of the environment that makes a test binary a router; it holds the configuration.
const asked = "METALLB_TEST_GOBGP"

// Main makes this process a router where Start started it as one, and does not return then. A package whose tests use Start calls it first in TestMain.
func Main() {
	text := os.Getenv(asked)
	if text == "" {
		return
	}
	if err := serve(text); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serve runs the router until standard input, a pipe from the test, closes.
func serve(text string) error {
	var c gobgp.Config
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return fmt.Errorf("read GoBGP's configuration: %w", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // any end of it is the end
		cancel()
	}()
	return gobgp.Serve(ctx, c)
}

// Instance is one GoBGP, and a connection to it. Everything of it ends with the test, also when the test binary is killed.
type Instance struct {
	*gobgp.Peer
	pid int
}

var _ frr.Machine = (*Instance)(nil)

// Start runs GoBGP and returns when it answers. The configuration's Socket is set here.
func Start(tb testing.TB, c gobgp.Config) *Instance {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gobgp-") //nolint:usetesting // a test's own directory may have too long a name for a socket
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { os.RemoveAll(dir) })
	c.Socket = filepath.Join(dir, "s")
	text, err := json.Marshal(c)
	if err != nil {
		tb.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe")
	// Go listens for Multipath TCP where the kernel has it, and Linux refuses TCP-MD5 there; GoBGP would go on without the password.
	cmd.Env = append(os.Environ(), asked+"="+string(text), "GODEBUG=multipathtcp=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	output, err := os.Create(filepath.Join(dir, "output"))
	if err != nil {
		tb.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = output, output
	alive, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatalf("start GoBGP: %v", err)
	}
	tb.Cleanup(func() {
		_ = alive.Close()
		_ = cmd.Process.Kill() // it holds nothing that needs to be put away
		_ = cmd.Wait()
		text, err := os.ReadFile(output.Name())
		if tb.Failed() {
			tb.Logf("output of GoBGP: %v\n%s", err, text)
		}
		_ = output.Close() // only read from here on
	})
	ctx, cancel := context.WithTimeout(tb.Context(), frr.Patience)
	defer cancel()
	peer, err := gobgp.Dial(ctx, c.Socket)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = peer.Close() })
	return &Instance{Peer: peer, pid: cmd.Process.Pid}
}

// PID is the router's process id.
func (i *Instance) PID() int { return i.pid }
