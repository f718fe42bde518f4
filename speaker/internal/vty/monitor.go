package vty

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// Monitor is a live copy of what a daemon logs, at every level, whatever its other logs leave out. It is for one goroutine at a time.
//
// The daemon hands over a datagram socket as its answer to "terminal monitor" (FRR lib/vty.c; FRR 8.0 and later) and writes each message as
// one datagram. It never waits for the reader: what does not fit into the socket is lost, and counted in the next message.
type Monitor struct {
	conn *Conn
	logs *net.UnixConn
	// ended is closed when the daemon closes the connection.
	ended chan struct{}
	buf   []byte
}

// LogMessage is one message of a daemon's log.
type LogMessage struct {
	// Text is the message without its prefix ("[XXXXX-XXXXX]").
	Text string
	// Lost counts the messages lost before this one.
	Lost uint32
}

// ErrEnded means that the daemon ended, or ended the connection.
var ErrEnded = errors.New("the daemon ended the connection")

// OpenMonitor connects to a daemon, carries out commands, each in enable mode (as those that switch debug messages on), and follows the
// daemon's log from then on. The context bounds the opening only.
func OpenMonitor(ctx context.Context, runDir, daemon string, commands ...string) (*Monitor, error) {
	conn, err := Dial(ctx, runDir, daemon)
	if err != nil {
		return nil, err
	}
	m := &Monitor{conn: conn, ended: make(chan struct{}), buf: make([]byte, maxDatagram)}
	for _, command := range commands {
		if _, err := conn.Run(ctx, command); err != nil {
			conn.Close()
			return nil, err
		}
	}
	if m.logs, err = conn.handOver(ctx, "terminal monitor"); err != nil {
		conn.Close()
		return nil, err
	}
	go func() {
		defer close(m.ended)
		// A daemon says nothing unasked: this returns when the connection ends. A datagram socket does not tell that its other end is gone.
		_, _ = conn.sock.Read(make([]byte, 1))
		_ = m.logs.SetReadDeadline(time.Unix(1, 0))
	}()
	return m, nil
}

// Close ends the following.
func (m *Monitor) Close() {
	_ = m.conn.Close()
	<-m.ended
	_ = m.logs.Close()
}

// maxDatagram is more than the longest message a daemon logs.
const maxDatagram = 64 << 10

// Next waits for the next message. It returns ErrEnded when the daemon is gone, and the context's cause when that ends.
func (m *Monitor) Next(ctx context.Context) (LogMessage, error) {
	stop := context.AfterFunc(ctx, func() { _ = m.logs.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		n, err := m.logs.Read(m.buf)
		if err != nil {
			if ctx.Err() != nil {
				return LogMessage{}, fmt.Errorf("follow the log of %s: %w", m.conn.daemon, context.Cause(ctx))
			}
			return LogMessage{}, fmt.Errorf("follow the log of %s: %w", m.conn.daemon, ErrEnded)
		}
		if message, ok := decode(m.buf[:n]); ok {
			return message, nil
		}
	}
}

// Offsets into the header of a message (FRR lib/zlog_live.h, struct zlog_live_hdr; the byte order is the machine's).
const (
	liveHeaderLength = 12 // where the text begins
	liveLost         = 32
	liveTextLength   = 44
	liveTextPrefix   = 48 // how much of the text is its prefix
	liveMinimum      = 52
)

// decode reads a message.
func decode(datagram []byte) (LogMessage, bool) {
	if len(datagram) < liveMinimum {
		return LogMessage{}, false
	}
	field := func(at int) uint64 { return uint64(binary.NativeEndian.Uint32(datagram[at:])) }
	header, length, prefix, size := field(liveHeaderLength), field(liveTextLength), field(liveTextPrefix), uint64(len(datagram))
	if header < liveMinimum || header > size || length > size-header || prefix > length {
		return LogMessage{}, false
	}
	text := datagram[header+prefix : header+length]
	return LogMessage{Text: redact(strings.TrimRight(string(text), "\n")), Lost: uint32(field(liveLost))}, true
}

// handOver gives a command that the daemon answers with a socket, and returns that. The daemon sends it along with the reply's end (FRR
// lib/vty.c, vtysh_flush).
func (c *Conn) handOver(ctx context.Context, command string) (*net.UnixConn, error) {
	stop := c.bind(ctx)
	defer stop()
	sock, ok := c.sock.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("%s is not reached by a unix socket", c.daemon)
	}
	if _, err := sock.Write(append([]byte(command), 0)); err != nil {
		return nil, c.failed(ctx, "send to", err)
	}
	var said []byte
	var passed *os.File
	control := make([]byte, syscall.CmsgSpace(4))
	for {
		n, controlled, _, _, err := sock.ReadMsgUnix(c.chunk, control)
		if err != nil {
			return nil, errors.Join(c.failed(ctx, "read from", err), closeFile(passed))
		}
		if file := passedFile(control[:controlled]); file != nil {
			_ = closeFile(passed)
			passed = file
		}
		said = append(said, c.chunk[:n]...)
		if i := bytes.Index(said, terminator); i >= 0 && i+len(terminator) < len(said) {
			return c.accept(command, said[:i], said[i+len(terminator)], passed)
		}
	}
}

// accept makes a connection of the socket that came with a reply.
func (c *Conn) accept(command string, words []byte, status byte, passed *os.File) (*net.UnixConn, error) {
	if status != success || passed == nil {
		refused := &Refused{Daemon: c.daemon, Command: command, Words: strings.TrimSpace(string(words)), Status: status}
		return nil, errors.Join(refused, closeFile(passed))
	}
	conn, err := net.FileConn(passed)
	if err := errors.Join(err, closeFile(passed)); err != nil {
		return nil, fmt.Errorf("take over the log of %s: %w", c.daemon, err)
	}
	logs, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("take over the log of %s: it is no unix socket", c.daemon), conn.Close())
	}
	return logs, nil
}

func passedFile(control []byte) *os.File {
	messages, err := syscall.ParseSocketControlMessage(control)
	if err != nil {
		return nil
	}
	for _, message := range messages {
		if fds, err := syscall.ParseUnixRights(&message); err == nil && len(fds) > 0 {
			return os.NewFile(uintptr(fds[0]), "log")
		}
	}
	return nil
}

func closeFile(f *os.File) error {
	if f == nil {
		return nil
	}
	return f.Close()
}
