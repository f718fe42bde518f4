package probe

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/mdlayher/packet"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// How addresses are asked for. RFC 5227 section 1.1 has three probes as well, but one to two seconds between them and two after the last, and
// RFC 4862 a second after its one: a host that configures itself may meet wireless links and switch ports that are just coming up, has nobody
// else to say what is taken, and has the time. Here a user waits for the address of a Service, the link has been up for long, whoever has
// an address on it answers within a few milliseconds, and two of three probes may be lost. The controller is the one that keeps track of
// addresses; this finds those it does not know of.
const (
	// probes is how many are sent for each address (PROBE_NUM of RFC 5227).
	probes = 3
	// shortestPause and longestPause are between two probes, chosen at random so that nodes that begin together do not stay together
	// (PROBE_MIN and PROBE_MAX).
	shortestPause = 200 * time.Millisecond
	longestPause  = 250 * time.Millisecond
	// lastPause is between the last probe and the end (ANNOUNCE_WAIT).
	lastPause = 250 * time.Millisecond
	// stagger is between the first probes for two addresses on the same link, so that many addresses make no burst.
	stagger = time.Millisecond
)

// longestFrame is more than any message that matters has, in bytes.
const longestFrame = 2048

// conversation asks for addresses of one family on one link and listens to who has them. It is for one goroutine.
type conversation struct {
	link link.Link
	ipv4 bool
	// own are the hardware addresses of this node: what comes from them is nobody else.
	own   map[wire.MAC]struct{}
	conn  *packet.Conn
	group int // the socket that is member of the multicast groups, -1 for none
	// answers has the addresses that are settled, open those that are not.
	answers map[netip.Addr]answer
	open    map[netip.Addr]*schedule
}

// schedule is when to ask for an address.
type schedule struct {
	sent int
	next time.Time
}

// listen opens the sockets of a conversation in the network namespace of the calling thread.
func listen(l link.Link, own map[wire.MAC]struct{}, addresses []netip.Addr) (*conversation, error) {
	c := &conversation{
		link: l, own: own, ipv4: addresses[0].Is4(), group: -1,
		answers: map[netip.Addr]answer{}, open: map[netip.Addr]*schedule{},
	}
	for _, address := range addresses {
		c.open[address] = &schedule{}
	}
	protocol, program := wire.EtherTypeIPv6, wire.NDPFilter
	if c.ipv4 {
		protocol, program = wire.EtherTypeARP, wire.ARPFilter
	}
	var filter []bpf.RawInstruction
	filter, err := program(addresses...)
	if err != nil {
		return nil, err
	}
	c.conn, err = packet.Listen(&net.Interface{Index: l.Index, Name: l.Name}, packet.Raw, protocol, &packet.Config{Filter: filter})
	if err != nil {
		return nil, fmt.Errorf("open a packet socket: %w", err)
	}
	if !c.ipv4 {
		if c.group, err = join(l.Index, addresses); err != nil {
			return nil, errors.Join(err, c.conn.Close())
		}
	}
	return c, nil
}

// join enters the groups in which the tests of others for the addresses are heard (RFC 4862 section 5.4.2), and returns the socket that is
// their member until it is closed. A packet socket alone would hear them, too, but not behind a switch that looks where groups have members.
func join(index int, addresses []netip.Addr) (int, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("open a socket for multicast groups: %w", err)
	}
	joined := map[netip.Addr]bool{} // two addresses may have the same
	for _, address := range addresses {
		group, err := wire.SolicitedNode(address)
		if err == nil && !joined[group] {
			joined[group] = true
			err = unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
				&unix.IPv6Mreq{Multiaddr: group.As16(), Interface: uint32(index)})
		}
		if err != nil {
			return -1, errors.Join(fmt.Errorf("enter multicast group %s: %w", group, err), unix.Close(fd))
		}
	}
	return fd, nil
}

// hold has the conversation until every address is settled, and closes the sockets. What it found out is in answers.
func (c *conversation) hold(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) })
	err := c.talk(ctx)
	stop()
	err = errors.Join(err, c.conn.Close())
	if c.group >= 0 {
		err = errors.Join(err, unix.Close(c.group))
	}
	for address := range c.open {
		c.settle(address, answer{err: err})
	}
}

// settle notes what is known about an address; it is not asked for any more.
func (c *conversation) settle(address netip.Addr, a answer) {
	c.answers[address] = a
	delete(c.open, address)
}

func (c *conversation) talk(ctx context.Context) error {
	start := time.Now()
	for _, s := range c.open {
		s.next = start
		start = start.Add(stagger)
	}
	frame := make([]byte, longestFrame)
	for {
		if err := c.drain(frame); err != nil {
			return err
		}
		next, err := c.ask(time.Now())
		if err != nil || len(c.open) == 0 {
			return err
		}
		if err := c.conn.SetReadDeadline(next); err != nil {
			return fmt.Errorf("wait for answers: %w", err)
		}
		if ctx.Err() != nil { // also when the deadline that its end had set was just overwritten
			return ctx.Err()
		}
		n, _, err := c.conn.ReadFrom(frame)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
		case err != nil:
			return fmt.Errorf("wait for answers: %w", err)
		default:
			c.hear(frame[:n])
		}
	}
}

// drain hears what has arrived already. Past the deadline a read returns nothing, even where the answer came in time and only this goroutine
// is late: on a busy node that would make a taken address look free.
func (c *conversation) drain(frame []byte) error {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("look for answers: %w", err)
	}
	for {
		var n int
		var got error
		err := raw.Control(func(fd uintptr) { n, _, got = unix.Recvfrom(int(fd), frame, unix.MSG_DONTWAIT) })
		switch {
		case err == nil && errors.Is(got, unix.EAGAIN):
			return nil
		case err == nil && errors.Is(got, unix.EINTR):
		case err != nil || got != nil:
			return fmt.Errorf("look for answers: %w", errors.Join(err, got))
		default:
			c.hear(frame[:n])
		}
	}
}

// ask sends what is due at a time, settles what has been asked often enough, and returns when it wants to be called again.
func (c *conversation) ask(now time.Time) (time.Time, error) {
	next := now.Add(lastPause)
	for address, s := range c.open {
		switch {
		case now.Before(s.next):
		case s.sent == probes:
			c.settle(address, answer{})
			continue
		default:
			if err := c.send(address); err != nil {
				return time.Time{}, err
			}
			if s.sent++; s.sent == probes {
				s.next = now.Add(lastPause)
			} else {
				s.next = now.Add(shortestPause + rand.N(longestPause-shortestPause))
			}
		}
		if s.next.Before(next) {
			next = s.next
		}
	}
	return next, nil
}

func (c *conversation) send(address netip.Addr) error {
	frame, err := wire.Probe(c.link.Host, address)
	if err != nil {
		return err
	}
	// The kernel takes the destination from the frame; the socket wants one nevertheless.
	if _, err := c.conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
		return fmt.Errorf("ask for %s: %w", address, err)
	}
	return nil
}

// hear settles the address that a frame is about, if it is from somebody who has that address or wants it.
func (c *conversation) hear(frame []byte) {
	m, err := wire.Parse(frame)
	if err != nil {
		return // what is malformed proves nothing
	}
	if c.ours(m.Source) || c.ours(m.Hardware) {
		return // it came back over a loop or a bond, or a proxy of the node itself answered
	}
	for _, address := range []netip.Addr{m.Sender, m.Target} {
		if c.open[address] == nil {
			continue
		}
		switch m.About(address) {
		case wire.Claims:
			c.settle(address, answer{claimed: true, mac: m.Hardware, message: fmt.Sprintf("%s on %s has it: %s", m.Hardware, c.link.Name, m.Kind)})
		case wire.Probes:
			c.settle(address, answer{claimed: true, mac: m.Hardware, message: fmt.Sprintf("%s on %s is about to take it: %s", m.Hardware, c.link.Name, m.Kind)})
		case wire.Asks, wire.Unrelated:
		}
	}
}

func (c *conversation) ours(m wire.MAC) bool {
	_, ok := c.own[m]
	return ok
}
