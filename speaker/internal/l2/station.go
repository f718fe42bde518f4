package l2

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// longestFrame is more than any message that matters has, in bytes.
const longestFrame = 2048

// station is the task that answers and announces at one place. It has its sockets from open to the end of run.
type station struct {
	place
	face
	opened time.Time
	conn   *packet.Conn
	groups groups
	log    *slog.Logger
	tally  *tally
	// news is called when what can be observed has changed, broke when the socket cannot be used any more.
	news, broke func()
	// wake makes announce look again.
	wake chan struct{}
	// halt ends run.
	halt chan struct{}

	// mu makes a decision and what is done about it one step: who has taken an address away can be sure that nothing is sent for it any more.
	mu     sync.Mutex
	keeper *keeper
	filter []bpf.RawInstruction
	// broken is why the socket cannot be used any more.
	broken error
	// trouble and missing are, in words, what is wrong with the filter and with the multicast groups.
	trouble, missing string
}

// open opens the socket of a station, in the network namespace of the calling thread. It lets pass what is about the addresses; keep follows.
func open(at place, f face, addresses []netip.Addr) (*station, error) {
	s := &station{
		place: at, face: f, groups: groups{index: at.index, members: map[netip.Addr]int{}}, wake: make(chan struct{}, 1), halt: make(chan struct{}),
	}
	var err error
	if s.filter, err = at.program(addresses); err != nil {
		return nil, err
	}
	protocol := wire.EtherTypeIPv6
	if at.ipv4 {
		protocol = wire.EtherTypeARP
	}
	s.conn, err = packet.Listen(&net.Interface{Index: at.index, Name: f.name}, packet.Raw, protocol, &packet.Config{Filter: s.filter})
	if err != nil {
		return nil, fmt.Errorf("open a packet socket on %s: %w", f.name, err)
	}
	return s, nil
}

// program is the filter for addresses of the place's family.
func (p place) program(addresses []netip.Addr) ([]bpf.RawInstruction, error) {
	if p.ipv4 {
		return wire.ARPFilter(addresses...)
	}
	return wire.NDPFilter(addresses...)
}

// keep makes the addresses those that the station answers for. When it returns nothing is sent for others any more, and those that are new are
// about to be announced.
func (s *station) keep(addresses []netip.Addr, own map[wire.MAC]struct{}, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keeper.own = own
	changed, gained := s.keeper.keep(addresses, now)
	if !changed {
		return
	}
	if len(addresses) > 0 { // without any, the filter would let everything pass
		s.trouble = ""
		if err := s.attach(addresses); err != nil {
			s.trouble = err.Error()
		}
	}
	if gained {
		signal(s.wake)
	}
}

// attach makes the kernel let pass what is about the addresses.
func (s *station) attach(addresses []netip.Addr) error {
	filter, err := s.program(addresses)
	if err != nil || slices.Equal(filter, s.filter) {
		return err
	}
	if err := s.conn.SetBPF(filter); err != nil {
		return fmt.Errorf("attach a filter: %w", err)
	}
	s.filter = filter
	return nil
}

// stop ends the station: when it returns nothing is sent any more. What is open is closed by run, which may take the kernel a while.
func (s *station) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.keeper.keep(nil, time.Time{})
	close(s.halt)
	_ = s.conn.SetReadDeadline(time.Unix(1, 0)) // wakes listen
}

// run answers and announces until the station is stopped or its socket is broken, and closes the socket.
func (s *station) run(ctx context.Context) {
	var announcer sync.WaitGroup
	announcer.Go(func() { s.announce(ctx) })
	err := s.listen(ctx)
	if !s.halted() {
		s.mu.Lock()
		s.broken = err
		s.mu.Unlock()
		s.broke()
	}
	announcer.Wait()
	_ = s.conn.Close() // nothing is lost with it
}

// failed returns why the socket cannot be used any more, nil while it can.
func (s *station) failed() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.broken
}

// complain notes what is wrong with the multicast groups, "" for nothing.
func (s *station) complain(ctx context.Context, words string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.missing == words {
		return
	}
	s.missing = words
	if words != "" {
		s.log.WarnContext(ctx, "not in all multicast groups; trying again", "op", "groups", "interface", s.name, "error", words)
	}
	s.news()
}

func (s *station) halted() bool {
	select {
	case <-s.halt:
		return true
	default:
		return false
	}
}

// listen hears frames until it is stopped or cannot any more.
func (s *station) listen(ctx context.Context) error {
	raw, err := s.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("listen on %s: %w", s.name, err)
	}
	frame := make([]byte, longestFrame)
	for {
		var n int
		var from unix.Sockaddr
		var got error
		err := raw.Read(func(fd uintptr) bool {
			n, from, got = unix.Recvfrom(int(fd), frame, unix.MSG_DONTWAIT)
			return !errors.Is(got, unix.EAGAIN)
		})
		switch {
		case s.halted():
			return nil
		case err == nil && errors.Is(got, unix.EINTR):
		case err != nil || got != nil:
			return fmt.Errorf("listen on %s: %w", s.name, errors.Join(err, got))
		default:
			s.hear(ctx, frame[:n], from)
		}
	}
}

// hear does what a frame asks for.
func (s *station) hear(ctx context.Context, frame []byte, from unix.Sockaddr) {
	// The kernel gives a socket of a link also what came in for the VLANs and macvlans above it, and for no VLAN of the node at all.
	if sender, ok := from.(*unix.SockaddrLinklayer); !ok || sender.Ifindex != s.index || sender.Pkttype > unix.PACKET_MULTICAST {
		s.tally.drop(DropElsewhere)
		return
	}
	m, err := wire.Parse(frame)
	if err != nil {
		s.tally.drop(reason(err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.keeper.hear(m, time.Now())
	if v.answer {
		s.tally.add(m.Target, Counts{Requests: 1})
		if reply, err := wire.Reply(s.Host, m.Target, m); err == nil && s.send(reply) {
			s.tally.add(m.Target, Counts{Responses: 1})
		}
	}
	if v.conflict {
		signal(s.wake) // it may have to be defended
	}
	if v.news {
		s.log.WarnContext(ctx, "somebody else claims an address of this node", "event", "addressConflict",
			"sender", m.Sender, "target", m.Target, "interface", s.name, "mac", m.Hardware.String(), "message", m.Kind.String())
		s.news()
	}
	if v.drop != "" {
		s.tally.drop(v.drop)
	}
}

// reason is the label of a parse error.
func reason(err error) string {
	if d, ok := errors.AsType[wire.Drop](err); ok {
		return d.String()
	}
	return wire.DropOther.String()
}

// announce sends announcements when they are due.
func (s *station) announce(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		wait := s.announceNext(ctx)
		switch {
		case wait == 0:
			if s.halted() {
				return
			}
			continue
		case wait < 0:
			timer.Stop()
		default:
			timer.Reset(wait)
		}
		select {
		case <-s.halt:
			return
		case <-s.wake:
		case <-timer.C:
		}
	}
}

// announceNext announces one address if one is due, and returns how long to wait before the next, negative for as long as nothing changes. Others
// get at the station between two announcements.
func (s *station) announceNext(ctx context.Context) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	address, wait, news := s.keeper.due(time.Now())
	if news {
		s.log.InfoContext(ctx, "nobody else claims an address of this node any more", "event", "addressConflictOver", "interface", s.name)
		s.news()
	}
	if !address.IsValid() {
		return wait
	}
	frames, err := wire.Announcements(s.Host, address)
	if err != nil {
		s.tally.drop(DropUnsent)
		return 0
	}
	for _, f := range frames {
		if s.send(f) {
			s.tally.add(address, Counts{Gratuitous: 1})
		}
	}
	return 0
}

// send gives a frame to the kernel and tells whether it took it. It does not wait: a frame that finds no room is dropped as one may be on the wire.
func (s *station) send(frame []byte) bool {
	raw, err := s.conn.SyscallConn()
	if err == nil {
		var sent error
		err = raw.Control(func(fd uintptr) { _, sent = unix.SendmsgN(int(fd), frame, nil, nil, unix.MSG_DONTWAIT) })
		err = errors.Join(err, sent)
	}
	if err != nil {
		s.tally.drop(DropUnsent)
	}
	return err == nil
}

// signal wakes whoever waits for c, now or when he next does.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
