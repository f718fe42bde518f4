package vty_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

// daemon answers on a vty socket. It keeps each read apart, as a real daemon
// carries out all commands of one read before it does anything else.
type daemon struct {
	runDir string
	mu     sync.Mutex
	reads  [][]string
}

func startDaemon(t *testing.T, name string, answer func(command string) (string, byte)) *daemon {
	t.Helper()
	d := &daemon{}
	d.runDir = startListener(t, name, func(conn io.ReadWriteCloser) { d.serve(conn, answer) })
	return d
}

// startListener serves a daemon's vty socket and returns the directory that it is in.
func startListener(t *testing.T, name string, serve func(io.ReadWriteCloser)) string {
	t.Helper()
	runDir := t.TempDir()
	l, err := net.Listen("unix", filepath.Join(runDir, name+".vty"))
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { serve(conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		serving.Wait()
	})
	return runDir
}

func (d *daemon) serve(conn io.ReadWriteCloser, answer func(string) (string, byte)) {
	defer conn.Close()
	buf := make([]byte, 512)
	var left []byte
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		parts := bytes.Split(append(left, buf[:n]...), []byte{0})
		left = slices.Clone(parts[len(parts)-1])
		var read []string
		for _, p := range parts[:len(parts)-1] {
			read = append(read, string(p))
			text, status := answer(string(p))
			if _, err := conn.Write(append([]byte(text), 0, 0, 0, status)); err != nil {
				return
			}
		}
		d.mu.Lock()
		d.reads = append(d.reads, read)
		d.mu.Unlock()
	}
}

func dial(t *testing.T, d *daemon, name string) *vty.Conn {
	t.Helper()
	c, err := vty.Dial(t.Context(), d.runDir, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestGivenLongAnswerWhenACommandRunsThenItComesWhole(t *testing.T) {
	long := strings.Repeat("network 10.0.0.1/32\n", 50_000)
	d := startDaemon(t, "bgpd", func(command string) (string, byte) {
		if command == "show running-config" {
			return long, 0
		}
		return "", 0
	})
	got, err := dial(t, d, "bgpd").Run(t.Context(), "show running-config")
	if err != nil || got != long {
		t.Errorf("got %d bytes and %v, want %d", len(got), err, len(long))
	}
}

func TestGivenGroupsWhenTheyAreSentThenNoneIsTornApartAndSmallOnesShareARead(t *testing.T) {
	d := startDaemon(t, "bgpd", func(string) (string, byte) { return "", 0 })
	c := dial(t, d, "bgpd")
	word := func(c string, n int) string { return strings.Repeat(c, n) }
	groups := [][]string{{word("a", 99), word("a", 99)}, {word("b", 99)}, {word("c", 149), word("c", 149)}, {word("d", 100)}}
	if _, err := c.RunGroups(t.Context(), groups); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	var got []string
	for _, read := range d.reads[1:] { // the first is "enable"
		var letters strings.Builder
		for _, cmd := range read {
			letters.WriteByte(cmd[0])
		}
		got = append(got, letters.String())
	}
	if want := []string{"aab", "ccd"}; !slices.Equal(got, want) {
		t.Errorf("reads %q, want %q", got, want)
	}
}

func TestGivenMgmtdWhenGroupsAreSentThenEveryCommandWaitsForTheAnswerBefore(t *testing.T) {
	d := startDaemon(t, "mgmtd", func(string) (string, byte) { return "", 0 })
	if _, err := dial(t, d, "mgmtd").RunGroups(t.Context(), [][]string{{"a", "b"}, {"c"}}); err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, read := range d.reads {
		if len(read) != 1 {
			t.Errorf("mgmtd was sent %q at once", read)
		}
	}
}

func TestGivenRefusedCommandWhenGroupsAreSentThenTheErrorHasTheWordsAndNoPasswordAndTheConnectionIsInStep(t *testing.T) {
	d := startDaemon(t, "bgpd", func(command string) (string, byte) {
		if strings.Contains(command, "password") {
			return "% Unknown command: " + command + "\n", 13
		}
		return "did " + command, 0
	})
	c := dial(t, d, "bgpd")
	outs, err := c.RunGroups(t.Context(), [][]string{{"one", "neighbor 192.0.2.1 password s3cret", "three"}})
	refused, ok := errors.AsType[*vty.Refused](err)
	if !ok || refused.Status != 13 || len(outs) != 2 {
		t.Fatalf("got %q and %v", outs, err)
	}
	if strings.Contains(err.Error(), "s3cret") || !strings.Contains(err.Error(), "% Unknown command") {
		t.Errorf("error %q", err)
	}
	if out, err := c.Run(t.Context(), "four"); err != nil || out != "did four" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
}

func TestGivenDaemonThatHangsWhenTheContextEndsThenRunReturnsItsCause(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	d := startDaemon(t, "bgpd", func(command string) (string, byte) {
		if command == "hang" {
			close(asked)
			<-release
		}
		return "", 0
	})
	c := dial(t, d, "bgpd")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-asked
		cancel()
	}()
	if _, err := c.Run(ctx, "hang"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's end", err)
	}
}

func TestGivenCommandWithALineBreakWhenRunThenItIsNotSent(t *testing.T) {
	d := startDaemon(t, "bgpd", func(string) (string, byte) { return "", 0 })
	if _, err := dial(t, d, "bgpd").Run(t.Context(), "hostname a\nrouter bgp 1"); err == nil {
		t.Error("got no error")
	}
}

func TestGivenNoDaemonWhenDialedThenTheErrorNamesIt(t *testing.T) {
	if _, err := vty.Dial(t.Context(), t.TempDir(), "zebra"); err == nil || !strings.Contains(err.Error(), "connect to zebra") {
		t.Errorf("got %v", err)
	}
}
