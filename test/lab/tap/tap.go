// Package tap listens at a switch: who asks by ARP and neighbor discovery, who answers, and when. It hears each frame as it enters the switch,
// so it also knows by which cable it came, whatever the frame says of its sender, and hears answers that are meant for one host only.
package tap

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// Tap records all messages from Open to Close.
type Tap struct {
	file  *os.File
	names func(index int) (string, bool)
	done  chan struct{}

	mu       sync.Mutex
	messages []Message
	more     chan struct{} // closed when there are more messages, or no more will come
	closed   bool
	err      error // why it ended before it was closed
}

// receiveBuffer is room for a burst of ten thousand frames, in bytes.
const receiveBuffer = 16 << 20

// Open begins to listen in the namespace of a switch whose ports are named PREFIX and the machine at the other end, as in "eth0-n1".
func Open(namespace, prefix string) (*Tap, error) {
	var file *os.File
	err := netns.Do(namespace, func() (err error) {
		file, err = open()
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen at the switch %s: %w", namespace, err)
	}
	t := &Tap{file: file, names: ports(namespace, prefix), done: make(chan struct{}), more: make(chan struct{})}
	go t.listen()
	return t, nil
}

// open makes a socket that gets every frame of interest that any interface receives, with the kernel's time. All kinds of frames have to be
// asked for: only such a socket hears a frame before a bridge takes it.
func open() (*os.File, error) {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0) // nothing before there is a filter
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	program, err := bpf.Assemble(interesting)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("assemble the filter: %w", err), unix.Close(fd))
	}
	raw := make([]unix.SockFilter, len(program))
	for i, p := range program {
		raw[i] = unix.SockFilter{Code: p.Op, Jt: p.Jt, Jf: p.Jf, K: p.K}
	}
	err = errors.Join(
		unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: uint16(len(raw)), Filter: &raw[0]}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostToNetwork(unix.ETH_P_ALL)}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("prepare the packet socket: %w", err), unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), "tap"), nil
}

func hostToNetwork(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// interesting lets pass ARP, neighbor solicitations and advertisements, as they are received and not as they are sent on.
var interesting = []bpf.Instruction{
	bpf.LoadExtension{Num: bpf.ExtType},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.PACKET_OUTGOING, SkipTrue: 8},
	bpf.LoadAbsolute{Off: 12, Size: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: etherTypeARP, SkipTrue: 7},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: etherTypeIPv6, SkipTrue: 5},
	bpf.LoadAbsolute{Off: ethernetHeader + 6, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: icmpv6, SkipTrue: 3},
	bpf.LoadAbsolute{Off: ethernetHeader + ipv6Header, Size: 1},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeSolicitation, SkipTrue: 2},
	bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeAdvertisement, SkipTrue: 1},
	bpf.RetConstant{Val: 0},
	bpf.RetConstant{Val: 1 << 16},
}

// ports says which machine a port of the switch leads to. Ports come and go with the power of their machines, so names are asked for again.
func ports(namespace, prefix string) func(index int) (string, bool) {
	known := map[int]string{}
	return func(index int) (string, bool) {
		if _, ok := known[index]; !ok {
			known[index] = ""
			if h, err := netns.Handle(namespace); err == nil {
				if link, err := h.LinkByIndex(index); err == nil {
					known[index] = link.Attrs().Name
				}
				h.Close()
			}
		}
		return strings.CutPrefix(known[index], prefix)
	}
}

// listen reads until the socket is closed.
func (t *Tap) listen() {
	defer close(t.done)
	err := t.read()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.err = err
	}
	close(t.more)
}

func (t *Tap) read() error {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("read frames: %w", err)
	}
	frame, control := make([]byte, 2048), make([]byte, 256)
	for {
		var n, cn int
		var from unix.Sockaddr
		var failed error
		err := raw.Read(func(fd uintptr) bool {
			n, cn, _, from, failed = unix.Recvmsg(int(fd), frame, control, 0)
			return !errors.Is(failed, unix.EAGAIN)
		})
		if err != nil {
			return fmt.Errorf("read frames: %w", err)
		}
		link, ok := from.(*unix.SockaddrLinklayer)
		if errors.Is(failed, unix.ENETDOWN) || errors.Is(failed, unix.EINTR) || (failed == nil && !ok) {
			continue // an interface went; the socket lives on
		}
		if failed != nil {
			return fmt.Errorf("read a frame: %w", failed)
		}
		t.hear(frame[:n], control[:cn], link.Ifindex)
	}
}

// hear records a frame that came in by the port with the index.
func (t *Tap) hear(frame, control []byte, index int) {
	machine, ok := t.names(index)
	if !ok {
		return // the switch itself, or another segment
	}
	m, ok := parse(frame)
	if !ok {
		return
	}
	m.Time, m.Machine = received(control), machine
	t.mu.Lock()
	defer t.mu.Unlock()
	t.messages = append(t.messages, m)
	close(t.more)
	t.more = make(chan struct{})
}

// received is the kernel's time of a frame.
func received(control []byte) time.Time {
	messages, err := unix.ParseSocketControlMessage(control)
	if err == nil {
		for _, m := range messages {
			if m.Header.Level == unix.SOL_SOCKET && m.Header.Type == unix.SO_TIMESTAMPNS && len(m.Data) >= 16 {
				return time.Unix(int64(binary.NativeEndian.Uint64(m.Data)), int64(binary.NativeEndian.Uint64(m.Data[8:])))
			}
		}
	}
	return time.Now()
}

// Messages are those heard so far, in order.
func (t *Tap) Messages() []Message {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.messages)
}

// Wait returns the first message that matches, of those heard already or to come.
func (t *Tap) Wait(ctx context.Context, matches func(Message) bool) (Message, error) {
	for seen := 0; ; {
		t.mu.Lock()
		fresh, more, err := t.messages[seen:len(t.messages):len(t.messages)], t.more, t.err
		t.mu.Unlock()
		if i := slices.IndexFunc(fresh, matches); i >= 0 {
			return fresh[i], nil
		}
		seen += len(fresh)
		select {
		case <-more:
		case <-t.done:
			return Message{}, errors.Join(errors.New("wait for a message: the tap is closed"), err)
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait for a message: %w (%d others came)", ctx.Err(), seen)
		}
	}
}

// Claimants are the machines that claimed the address since the given time, sorted, and how often.
func (t *Tap) Claimants(address netip.Addr, since time.Time) map[string]int {
	found := map[string]int{}
	for _, m := range t.Messages() {
		if m.Claims(address) && !m.Time.Before(since) {
			found[m.Machine]++
		}
	}
	return found
}

// Close ends listening. It says if frames were lost, or hearing ended before.
func (t *Tap) Close() error {
	lost, lerr := t.lost()
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	err := t.file.Close()
	<-t.done
	if lost > 0 {
		lerr = errors.Join(lerr, fmt.Errorf("the tap lost %d frames", lost))
	}
	return errors.Join(err, lerr, t.err)
}

func (t *Tap) lost() (uint32, error) {
	raw, err := t.file.SyscallConn()
	if err != nil {
		return 0, fmt.Errorf("ask for lost frames: %w", err)
	}
	var stats *unix.TpacketStats
	var failed error
	err = raw.Control(func(fd uintptr) {
		stats, failed = unix.GetsockoptTpacketStats(int(fd), unix.SOL_PACKET, unix.PACKET_STATISTICS)
	})
	if err = errors.Join(err, failed); err != nil {
		return 0, fmt.Errorf("ask for lost frames: %w", err)
	}
	return stats.Drops, nil
}
