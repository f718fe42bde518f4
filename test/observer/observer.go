// Package observer is a router made for tests that want to know what an FRR sends, and when: it takes BGP sessions,
// keeps every route that arrives and leaves with the time, and sends none. It lives in network namespaces of test/frr,
// and the codec is GoBGP's.
package observer

import (
	"fmt"
	"maps"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// Router has one session for each of its addresses.
type Router struct {
	asn       uint32
	listeners []net.Listener
	sessions  sync.WaitGroup

	mu      sync.Mutex
	changed chan struct{} // closed, and made anew, when anything below changes
	peers   map[netip.Addr]*peer
	events  []Event
	// forgotten is how many events came before those.
	forgotten int
	conns     map[net.Conn]netip.Addr // and at which address
	closed    bool
}

// peer is what one address of the Router knows.
type peer struct {
	opened int
	up     bool
	table  map[netip.Prefix]string
	words  string // why the last session ended
}

// Event is a route that came, changed or went.
type Event struct {
	// At is when this process had read the message.
	At time.Time
	// Peer is the Router's address at which it came in.
	Peer   netip.Addr
	Prefix netip.Prefix
	// Attributes are the path's as Attributes in a State; "" where Withdrawn.
	Attributes string
	Withdrawn  bool
}

// State is what one address of the Router has.
type State struct {
	// Up says that a session is established now, Opened how often one has been so far.
	Up     bool
	Opened int
	// Routes are the attributes by prefix, in GoBGP's notation, in the order of their types and without the next hop:
	// "{Origin: i} {AsPath: } {Med: 0} {LocalPref: 100} {Communities: 64512:1}".
	Routes map[netip.Prefix]string
	// Ended says why the session before ended, "" when none has.
	Ended string
}

// Options say where a Router is.
type Options struct {
	// ASN is the AS of the Router.
	ASN uint32
	// Cable is the name of both ends of the cable to the instance under test.
	Cable string
	// Node are the addresses of that instance's end, Addresses those of the Router's, with their prefix lengths. It takes a
	// session at each of its own.
	Node, Addresses []string
	// Config is an frr.conf for a FRR beside the Router, whose bgpd does not listen: for BFD, say; "" for none.
	Config string
}

// Start joins a Router to an instance. It ends with the test.
func Start(tb testing.TB, node *frr.Instance, o Options) *Router {
	tb.Helper()
	place := frr.Start(tb, frr.Options{Release: node.Release, Name: "observer", Config: o.Config, Bare: o.Config == ""})
	frr.Link(tb, node, place, o.Cable, o.Node, o.Addresses)
	r := &Router{asn: o.ASN, changed: make(chan struct{}), peers: map[netip.Addr]*peer{}, conns: map[net.Conn]netip.Addr{}}
	tb.Cleanup(r.close)
	for _, text := range o.Addresses {
		r.peers[netip.MustParsePrefix(text).Addr()] = &peer{table: map[netip.Prefix]string{}}
	}
	for address := range r.peers {
		var listener net.Listener
		err := place.Within(func() (err error) {
			var config net.ListenConfig
			listener, err = config.Listen(tb.Context(), "tcp", netip.AddrPortFrom(address, 179).String())
			return err
		})
		if err != nil {
			tb.Fatalf("listen for BGP: %v", err)
		}
		r.listeners = append(r.listeners, listener)
		r.sessions.Go(func() { r.accept(listener, address) })
	}
	return r
}

func (r *Router) close() {
	for _, listener := range r.listeners {
		_ = listener.Close()
	}
	r.mu.Lock()
	r.closed = true
	conns := maps.Clone(r.conns)
	r.mu.Unlock()
	for conn := range conns {
		_ = conn.Close()
	}
	r.sessions.Wait()
}

func (r *Router) accept(listener net.Listener, address netip.Addr) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		r.sessions.Go(func() { r.serve(conn, address) })
	}
}

// serve runs a session from its first message to its end.
func (r *Router) serve(conn net.Conn, address netip.Addr) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		_ = conn.Close()
		return
	}
	r.conns[conn] = address
	r.mu.Unlock()
	up, err := r.converse(conn, address)
	_ = conn.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, conn)
	if p := r.peers[address]; up {
		p.up, p.table, p.words = false, map[netip.Prefix]string{}, err.Error()
	}
	r.wake()
}

// wake is called with the lock held.
func (r *Router) wake() {
	close(r.changed)
	r.changed = make(chan struct{})
}

// State returns what the Router has at one of its addresses.
func (r *Router) State(address netip.Addr) State {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.peers[address]
	return State{Up: p.up, Opened: p.opened, Routes: maps.Clone(p.table), Ended: p.words}
}

// Events returns what happened after the first n events, of which at least as many as were forgotten.
func (r *Router) Events(n int) []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event(nil), r.events[n-r.forgotten:]...)
}

// Forget drops the events so far, which are counted still. Where hundreds of thousands come, keeping them all takes time from what is measured.
func (r *Router) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten, r.events = r.forgotten+len(r.events), nil
}

// Count is how many events there were.
func (r *Router) Count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.forgotten + len(r.events)
}

// Await waits until check, which is called after each message that changed anything, returns nil. It fails the test with the
// last error when that has not come about within the patience of test/frr.
func (r *Router) Await(tb testing.TB, check func() error) {
	tb.Helper()
	limit := time.NewTimer(frr.Patience)
	defer limit.Stop()
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		err := check()
		if err == nil {
			return
		}
		select {
		case <-changed:
		case <-limit.C:
			tb.Fatalf("not within %v: %v", frr.Patience, err)
		case <-tb.Context().Done():
			tb.Fatal(err)
		}
	}
}

// Drop ends the connection at one of the Router's addresses without a word, as a router that crashes does. A session is taken again at once.
func (r *Router) Drop(address netip.Addr) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for conn, at := range r.conns {
		if at == address {
			_ = conn.Close()
		}
	}
}

// AwaitUp waits until a session is up at each of these addresses.
func (r *Router) AwaitUp(tb testing.TB, addresses ...netip.Addr) {
	tb.Helper()
	r.Await(tb, func() error {
		for _, address := range addresses {
			if s := r.State(address); !s.Up {
				return fmt.Errorf("no session at %s %s", address, strings.TrimSpace(s.Ended))
			}
		}
		return nil
	})
}
