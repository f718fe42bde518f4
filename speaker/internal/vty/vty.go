// Package vty talks to FRR's daemons over their vty sockets, the way vtysh
// does: a command ends with a NUL byte, its reply with three NUL bytes and one
// status byte (FRR lib/vty.c, vtysh_read; vtysh/vtysh.c, vtysh_client_run).
package vty

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"path/filepath"
	"strings"
	"time"
)

// success is FRR's CMD_SUCCESS (lib/command.h); every other status means that
// the daemon did not do what the command says.
const success = 0

// batchSize is how many bytes a daemon takes from the socket before it turns to
// other work: VTY_READ_BUFSIZ in FRR's lib/vty.h. All commands of one write up to
// this size are carried out before the daemon looks at anything else.
const batchSize = 512

// Conn is a connection to one daemon. It is for one goroutine at a time. After
// an error other than *Refused the connection is of no further use.
type Conn struct {
	daemon string
	sock   net.Conn
	batch  int    // bytes that may be sent at once
	buf    []byte // received, not yet consumed
	chunk  []byte
}

// Refused says that a daemon did not accept a command, in its own words.
type Refused struct {
	// Daemon is the daemon's name, "bgpd".
	Daemon string
	// Command is the command as sent; it may hold a secret.
	Command string
	// Words is what the daemon printed, without surrounding space.
	Words string
	// Status is FRR's command status, CMD_WARNING_CONFIG_FAILED (13) for instance.
	Status byte
}

// Error names the daemon and gives its words. The command is left out where it
// holds a password.
func (r *Refused) Error() string {
	return fmt.Sprintf("%s refuses %q: %s", r.Daemon, redact(r.Command), redact(r.Words))
}

// redact cuts off everything from a password on, as FRR repeats a refused line.
func redact(s string) string {
	if before, _, found := strings.Cut(s, " password "); found {
		return before + " password ***"
	}
	return s
}

// Socket returns the path of a daemon's vty socket under FRR's run directory.
func Socket(runDir, daemon string) string {
	return filepath.Join(runDir, daemon+".vty")
}

// Dial connects to a daemon and enters the mode in which it accepts every
// command. The context bounds the connecting only.
func Dial(ctx context.Context, runDir, daemon string) (*Conn, error) {
	var d net.Dialer
	sock, err := d.DialContext(ctx, "unix", Socket(runDir, daemon))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", daemon, err)
	}
	c := &Conn{daemon: daemon, sock: sock, batch: batchSize, chunk: make([]byte, 64<<10)}
	if daemon == "mgmtd" {
		c.batch = 0 // it answers later, and loses what arrives meanwhile: one command at a time
	}
	if _, err := c.Run(ctx, "enable"); err != nil {
		sock.Close()
		return nil, fmt.Errorf("enter enable mode of %s: %w", daemon, err)
	}
	return c, nil
}

// Close ends the connection; the daemon then leaves configuration mode by itself.
func (c *Conn) Close() error { return c.sock.Close() }

// Run carries out one command and returns what the daemon printed. A command
// the daemon does not accept gives *Refused.
func (c *Conn) Run(ctx context.Context, command string) (string, error) {
	outs, err := c.RunGroups(ctx, [][]string{{command}})
	return strings.Join(outs, ""), err
}

// RunGroups carries out groups of commands in order and returns what each
// command printed. The commands of a group are carried out without the daemon
// doing anything else in between where they fit into 512 bytes; small groups
// share a round trip. When one command is refused, a few after it may have been
// carried out as well; the replies end with the refused one.
func (c *Conn) RunGroups(ctx context.Context, groups [][]string) ([]string, error) {
	stop := c.bind(ctx)
	defer stop()
	var outs []string
	for batch := range batches(groups, c.batch) {
		out, err := c.exchange(ctx, batch)
		outs = append(outs, out...)
		if err != nil {
			return outs, err
		}
	}
	return outs, nil
}

// batches packs groups into what a daemon takes in one go, size bytes.
func batches(groups [][]string, limit int) iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		var batch []string
		size := 0
		flush := func() bool {
			full := batch
			batch, size = nil, 0
			return len(full) == 0 || yield(full)
		}
		for _, group := range groups {
			if size+bytesOf(group) > limit && !flush() {
				return
			}
			for _, cmd := range group {
				if size+len(cmd)+1 > limit && !flush() {
					return
				}
				batch = append(batch, cmd)
				size += len(cmd) + 1
			}
		}
		flush()
	}
}

func bytesOf(group []string) int {
	n := 0
	for _, cmd := range group {
		n += len(cmd) + 1
	}
	return n
}

func (c *Conn) exchange(ctx context.Context, commands []string) ([]string, error) {
	var line bytes.Buffer
	for _, cmd := range commands {
		if strings.ContainsAny(cmd, "\x00\n\r") {
			return nil, fmt.Errorf("command for %s holds a line break or NUL: %q", c.daemon, redact(cmd))
		}
		line.WriteString(cmd)
		line.WriteByte(0)
	}
	if _, err := c.sock.Write(line.Bytes()); err != nil {
		return nil, c.failed(ctx, "send to", err)
	}
	var refused *Refused
	outs := make([]string, 0, len(commands))
	for _, cmd := range commands {
		out, status, err := c.reply()
		if err != nil {
			return outs, c.failed(ctx, "read from", err)
		}
		if refused != nil {
			continue // its replies are consumed so that the connection stays in step
		}
		outs = append(outs, out)
		if status != success {
			refused = &Refused{Daemon: c.daemon, Command: cmd, Words: strings.TrimSpace(out), Status: status}
		}
	}
	if refused != nil {
		return outs, refused
	}
	return outs, nil
}

func (c *Conn) failed(ctx context.Context, act string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = errors.Join(err, cause)
	}
	return fmt.Errorf("%s %s: %w", act, c.daemon, err)
}

var terminator = []byte{0, 0, 0}

// reply reads up to and including the next status byte.
func (c *Conn) reply() (string, byte, error) {
	searched := 0
	for {
		if i := bytes.Index(c.buf[searched:], terminator); i >= 0 {
			end := searched + i + len(terminator)
			if end < len(c.buf) {
				out, status := string(c.buf[:end-len(terminator)]), c.buf[end]
				c.buf = c.buf[end+1:]
				return out, status, nil
			}
		}
		searched = max(0, len(c.buf)-len(terminator))
		n, err := c.sock.Read(c.chunk)
		if n == 0 && err != nil {
			return "", 0, err
		}
		c.buf = append(c.buf, c.chunk[:n]...)
	}
}

// bind makes the context's end interrupt reads and writes.
func (c *Conn) bind(ctx context.Context) (stop func()) {
	_ = c.sock.SetDeadline(time.Time{})
	cancel := context.AfterFunc(ctx, func() {
		_ = c.sock.SetDeadline(time.Unix(1, 0))
	})
	return func() { cancel() }
}
