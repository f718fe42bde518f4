package members

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// line is the connection this member keeps to another one. It costs nothing while nothing happens. When the process at the other end is gone,
// however it ended, the kernel of its node closes the connection within a millisecond.
type line struct {
	name string
	addr netip.AddrPort
	// say takes what is found out; it is called from the goroutine of the line only.
	say func(lineReport)
	// conn is the connection while it is open, with the other side's hello read.
	conn atomic.Pointer[net.TCPConn]
}

// lineReport is something a line has found out. A report without state is an answer.
type lineReport struct {
	state    lineState
	answered bool
	at       time.Time
}

const (
	// dialWithin bounds how long a node may take to accept a connection, which its kernel does alone, or to refuse it.
	dialWithin = time.Second
	// retryFirst to retryMost is how long to wait before calling again; retryNever after as much, a peer that has never been reached.
	retryFirst = time.Millisecond
	retryMost  = 200 * time.Millisecond
	retryNever = 5 * time.Second
)

// ask asks for an answer. It does not wait: a byte has room in the kernel.
func (l *line) ask() {
	conn := l.conn.Load()
	if conn == nil {
		return
	}
	_ = conn.SetWriteDeadline(time.Now().Add(speakWithin))
	// An error ends the reading side, too, which reports it.
	_, _ = conn.Write([]byte{sayHere})
}

// reached says whether the kernel of the other node has acknowledged all that was sent over the connection.
func (l *line) reached() bool {
	conn := l.conn.Load()
	if conn == nil {
		return false
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	acknowledged := false
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		acknowledged = err == nil && info.Unacked == 0 && info.Notsent_bytes == 0
	})
	return err == nil && acknowledged
}

// run keeps the connection until ctx ends.
func (l *line) run(ctx context.Context) {
	open, pause := false, time.Duration(0)
	for {
		err := l.call(ctx, &open, &pause)
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errBye):
			l.report(lineBye)
		case !open:
		case errors.Is(err, syscall.ECONNREFUSED):
			l.report(lineRefused)
		case errors.Is(err, errNoCall):
			l.report(lineNone)
		}
		// After the loss of an open connection there is no pause: whether the process is gone is to be known at once.
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return
		}
		most := retryMost
		if !open {
			most = retryNever
		}
		pause = min(max(2*pause, retryFirst), most)
	}
}

func (l *line) report(s lineState) { l.say(lineReport{state: s, at: time.Now()}) }

var (
	// errBye: the other member is leaving.
	errBye = errors.New("it is leaving")
	// errNoCall: no connection could be had, for a reason other than that nobody listens.
	errNoCall = errors.New("no connection")
)

// call makes a connection and reads until it ends. Once the other side has said hello, open is true and the next call is to be made without a
// pause.
func (l *line) call(ctx context.Context, open *bool, pause *time.Duration) error {
	dialer := net.Dialer{Timeout: dialWithin}
	conn, err := dialer.DialContext(ctx, "tcp", l.addr.String())
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return err
	case err != nil:
		return fmt.Errorf("%w: %w", errNoCall, err)
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(dialWithin))
	if _, err := io.WriteString(conn, magic); err != nil {
		return err
	}
	reader := bufio.NewReaderSize(conn, 16)
	if err := l.hello(reader); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Time{})
	*open, *pause = true, 0
	l.conn.Store(conn.(*net.TCPConn))
	defer l.conn.Store(nil)
	l.report(lineOpen)
	for {
		word, err := reader.ReadByte()
		switch {
		case err != nil:
			return err
		case word == sayBye:
			return errBye
		case word == sayHere:
			l.say(lineReport{answered: true, at: time.Now()})
		}
	}
}

// hello reads who answers. It must be the one that is called: the address may be another's by now.
func (l *line) hello(reader *bufio.Reader) error {
	word, err := reader.ReadByte()
	switch {
	case err != nil:
		return err
	case word == sayBye:
		return errBye
	case word != sayHello:
		return fmt.Errorf("%w: the first word is %q, wanted %q", errNoCall, word, sayHello)
	}
	length, err := reader.ReadByte()
	if err != nil {
		return err
	}
	name := make([]byte, length)
	if _, err := io.ReadFull(reader, name); err != nil {
		return err
	}
	if string(name) != l.name {
		return fmt.Errorf("%w: %s answers as %q, wanted %q", errNoCall, l.addr, name, l.name)
	}
	return nil
}
