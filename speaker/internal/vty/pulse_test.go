package vty_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
)

func TestGivenADaemonThatHangsWhenItIsAskedThenItIsSilentUntilItAnswers(t *testing.T) {
	hang := make(chan chan struct{}, 1) // what the daemon waits for before it answers, once
	d := startDaemon(t, "bgpd", func(command string) (string, byte) {
		select {
		case until := <-hang:
			<-until
		default:
		}
		return command + "\n", 0
	})
	p, err := vty.OpenPulse(t.Context(), d.runDir, "bgpd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() }) // before the daemon, which waits for it
	if err := p.Beat(0, time.Minute); err != nil {
		t.Errorf("of a daemon that answers: %v", err)
	}
	until := make(chan struct{})
	hang <- until
	for range 2 {
		if err := p.Beat(time.Millisecond, 20*time.Millisecond); !errors.Is(err, vty.ErrSilent) {
			t.Errorf("of one that hangs: %v, want ErrSilent", err)
		}
	}
	close(until)
	if err := p.Beat(time.Hour, time.Minute); err != nil {
		t.Errorf("of one that answers again: %v", err)
	}
	if err := p.Beat(0, time.Minute); err != nil {
		t.Errorf("of one that answers as ever: %v", err)
	}
}

func TestGivenADaemonThatEndsWhenItIsLeftInPeaceThenThatIsKnownAtOnce(t *testing.T) {
	end := make(chan struct{})
	runDir := startListener(t, "bgpd", func(conn io.ReadWriteCloser) {
		<-end
		conn.Close()
	})
	p, err := vty.OpenPulse(t.Context(), runDir, "bgpd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() }) // before the daemon, which waits for it
	close(end)
	if err := p.Beat(time.Hour, time.Hour); !errors.Is(err, io.EOF) {
		t.Errorf("got %v, want the end", err)
	}
}
