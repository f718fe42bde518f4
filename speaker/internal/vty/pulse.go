package vty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"
)

// ErrSilent says that a daemon lives and does not answer.
var ErrSilent = errors.New("no answer")

// echo is a command that every daemon carries out at once and without effect; it is what watchfrr asks with, too (FRR watchfrr/watchfrr.c).
var echo = []byte("echo ping\x00")

// looks is how often a Pulse looks for an answer before it finds a daemon silent. With one look alone, who asks and was kept from running
// itself, on a machine that is overloaded or was suspended, would find its time over without having looked.
const looks = 2

// Pulse is a connection to a daemon that tells whether it lives and answers: one that hangs goes on taking connections. It is for one
// goroutine, but for Close.
type Pulse struct {
	sock net.Conn
	// due says that an answer has not come yet, received is what came of it.
	due      bool
	received []byte
	chunk    [256]byte
}

// OpenPulse connects to a daemon.
func OpenPulse(ctx context.Context, runDir, daemon string) (*Pulse, error) {
	var d net.Dialer
	sock, err := d.DialContext(ctx, "unix", Socket(runDir, daemon))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", daemon, err)
	}
	return &Pulse{sock: sock}, nil
}

// Close ends the connection, and a Beat that runs.
func (p *Pulse) Close() error { return p.sock.Close() }

// Beat rests, then asks the daemon and returns nil when it answered, or ErrSilent when it did not within limit. What was asked then still
// counts: the next Beat waits for the answer at once. Any other error says that the daemon has ended, and comes as soon as it has.
func (p *Pulse) Beat(rest, limit time.Duration) error {
	if !p.due {
		if err := p.read(rest); !errors.Is(err, os.ErrDeadlineExceeded) {
			return err // a daemon says nothing unasked
		}
		if err := p.sock.SetDeadline(time.Time{}); err != nil {
			return err
		}
		if _, err := p.sock.Write(echo); err != nil { // it has room: nothing else is unanswered
			return err
		}
		p.due, p.received = true, nil
	}
	for look := 0; look < looks; {
		switch err := p.read(limit / looks); {
		case errors.Is(err, os.ErrDeadlineExceeded):
			look++
		case err != nil:
			return err
		}
		if i := bytes.Index(p.received, terminator); i >= 0 && len(p.received) > i+len(terminator) {
			p.due = false
			return nil
		}
	}
	return ErrSilent
}

// read takes what comes within a time, and returns os.ErrDeadlineExceeded when nothing does.
func (p *Pulse) read(limit time.Duration) error {
	if err := p.sock.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return err
	}
	n, err := p.sock.Read(p.chunk[:])
	p.received = append(p.received, p.chunk[:n]...)
	if n > 0 {
		return nil
	}
	return err
}
