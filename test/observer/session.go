package observer

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/osrg/gobgp/v3/pkg/packet/bgp"
)

// hold is the hold time that the Router asks for, in seconds; the lesser of the two sides' counts (RFC 4271).
const hold = 90

// converse exchanges messages until the session ends, which gives an error always. up tells whether it was established.
func (r *Router) converse(conn net.Conn, address netip.Addr) (up bool, err error) {
	if err := r.open(conn, address); err != nil {
		return false, err
	}
	var writing sync.Mutex // keepalives of both goroutines
	keepalive := func() error {
		writing.Lock()
		defer writing.Unlock()
		return send(conn, bgp.NewBGPKeepAliveMessage())
	}
	ended := make(chan struct{})
	defer close(ended)
	for {
		message, err := receive(conn)
		if err != nil {
			return up, err
		}
		at := time.Now()
		switch body := message.Body.(type) {
		case *bgp.BGPOpen:
			if err := keepalive(); err != nil {
				return up, err
			}
			if interval := time.Duration(min(hold, body.HoldTime)) * time.Second / 3; interval > 0 {
				r.sessions.Go(func() { every(interval, ended, keepalive) })
			}
		case *bgp.BGPKeepAlive:
			if !up {
				up = true
				r.established(address)
			}
		case *bgp.BGPUpdate:
			if err := r.take(address, at, body); err != nil {
				return up, err
			}
		case *bgp.BGPNotification:
			return up, fmt.Errorf("notification %d/%d", body.ErrorCode, body.ErrorSubcode)
		}
	}
}

// open says what the Router can do: routes of both families, and AS numbers of four bytes (RFC 6793).
func (r *Router) open(conn net.Conn, address netip.Addr) error {
	short := uint16(bgp.AS_TRANS)
	if r.asn < 1<<16 {
		short = uint16(r.asn)
	}
	id := "192.0.2.254"
	if address.Is4() {
		id = address.String()
	}
	return send(conn, bgp.NewBGPOpenMessage(short, hold, id, []bgp.OptionParameterInterface{
		bgp.NewOptionParameterCapability([]bgp.ParameterCapabilityInterface{
			bgp.NewCapMultiProtocol(bgp.RF_IPv4_UC), bgp.NewCapMultiProtocol(bgp.RF_IPv6_UC), bgp.NewCapFourOctetASNumber(r.asn),
		}),
	}))
}

// every calls a function at intervals until ended is closed or it fails.
func every(interval time.Duration, ended <-chan struct{}, f func() error) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ended:
			return
		case <-ticker.C:
			if f() != nil {
				return
			}
		}
	}
}

func send(conn net.Conn, message *bgp.BGPMessage) error {
	raw, err := message.Serialize()
	if err != nil {
		return fmt.Errorf("write a BGP message: %w", err)
	}
	if _, err := conn.Write(raw); err != nil {
		return fmt.Errorf("send a BGP message: %w", err)
	}
	return nil
}

func receive(conn net.Conn) (*bgp.BGPMessage, error) {
	head := make([]byte, bgp.BGP_HEADER_LENGTH)
	if _, err := io.ReadFull(conn, head); err != nil {
		return nil, fmt.Errorf("receive a BGP message: %w", err)
	}
	length := int(binary.BigEndian.Uint16(head[16:])) // RFC 4271, 4.1
	if length < len(head) {
		return nil, fmt.Errorf("a BGP message of %d bytes", length)
	}
	message := append(head, make([]byte, length-len(head))...)
	if _, err := io.ReadFull(conn, message[len(head):]); err != nil {
		return nil, fmt.Errorf("receive a BGP message: %w", err)
	}
	parsed, err := bgp.ParseBGPMessage(message)
	if err != nil {
		return nil, fmt.Errorf("read a BGP message: %w", err)
	}
	return parsed, nil
}

func (r *Router) established(address netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[address]
	p.up, p.opened, p.table = true, p.opened+1, map[netip.Prefix]string{}
	r.wake()
}

// take notes what an UPDATE says. An empty one marks the end of the first routes (RFC 4724) and is none.
func (r *Router) take(address netip.Addr, at time.Time, u *bgp.BGPUpdate) error {
	var gone, came []bgp.AddrPrefixInterface
	for _, n := range u.WithdrawnRoutes {
		gone = append(gone, n)
	}
	for _, n := range u.NLRI {
		came = append(came, n)
	}
	var attributes []bgp.PathAttributeInterface
	for _, a := range u.PathAttributes {
		switch a := a.(type) {
		case *bgp.PathAttributeMpReachNLRI:
			came = append(came, a.Value...)
		case *bgp.PathAttributeMpUnreachNLRI:
			gone = append(gone, a.Value...)
		case *bgp.PathAttributeNextHop:
		default:
			attributes = append(attributes, a)
		}
	}
	slices.SortFunc(attributes, func(a, b bgp.PathAttributeInterface) int { return cmp.Compare(a.GetType(), b.GetType()) })
	var words []string
	for _, a := range attributes {
		words = append(words, a.String())
	}
	events, err := eventsOf(gone, Event{At: at, Peer: address, Withdrawn: true})
	if err != nil {
		return err
	}
	arrivals, err := eventsOf(came, Event{At: at, Peer: address, Attributes: strings.Join(words, " ")})
	if err != nil {
		return err
	}
	events = append(events, arrivals...)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, events...)
	for _, e := range events {
		if e.Withdrawn {
			delete(r.peers[address].table, e.Prefix)
		} else {
			r.peers[address].table[e.Prefix] = e.Attributes
		}
	}
	r.wake()
	return nil
}

// eventsOf makes one event of each route. Each is a prefix, as only unicast routes were agreed on.
func eventsOf(routes []bgp.AddrPrefixInterface, like Event) ([]Event, error) {
	var events []Event
	for _, route := range routes {
		prefix, err := netip.ParsePrefix(route.String())
		if err != nil {
			return nil, fmt.Errorf("read a route: %w", err)
		}
		like.Prefix = prefix
		events = append(events, like)
	}
	return events, nil
}
