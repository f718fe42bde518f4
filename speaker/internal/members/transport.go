package members

import (
	"bufio"
	"context"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// magic begins a connection that is kept for its end. No message of memberlist begins so: they begin with a number below 20 or with 244.
const magic = "\xa5metallb"

// What the side that was called says. After hello comes the length of the name of the node, and the name.
const (
	sayHello  = 'H'
	sayHere   = 'E'
	sayBye    = 'B'
	maxName   = 253 // of a node, RFC 1123
	maxServed = 2048
)

const (
	// beginWithin is how long a caller may take to say what it wants, speakWithin how long saying something may take.
	beginWithin = 10 * time.Second
	speakWithin = time.Second
)

// transport is memberlist's own, on whose TCP port peers may also keep connections open: one port to allow in firewalls, as for MetalLB.
type transport struct {
	*memberlist.NetTransport
	name    string
	streams chan net.Conn
	// doubts takes the names of the nodes that memberlist calls over TCP, which it does when a probe was not answered.
	doubts chan string
	done   context.Context
	stop   context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	served  map[net.Conn]struct{}
	leaving bool
}

func newTransport(inner *memberlist.NetTransport, name string) *transport {
	t := &transport{NetTransport: inner, name: name, streams: make(chan net.Conn), doubts: make(chan string, 16), served: map[net.Conn]struct{}{}}
	t.done, t.stop = context.WithCancel(context.Background())
	t.tasks.Go(t.sort)
	return t
}

// StreamCh implements memberlist.Transport.
func (t *transport) StreamCh() <-chan net.Conn { return t.streams }

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (t *transport) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	select {
	case t.doubts <- a.Name:
	default: // a doubt only makes things faster
	}
	return t.NetTransport.DialAddressTimeout(a, timeout)
}

// Shutdown implements memberlist.Transport. It returns when nothing runs any more.
func (t *transport) Shutdown() error {
	// The inner one hands over a connection before it ends, so it must find somebody until then.
	err := t.NetTransport.Shutdown()
	t.stop()
	t.tasks.Wait()
	return err
}

// sort gives each connection to whom it is for.
func (t *transport) sort() {
	for {
		select {
		case conn := <-t.NetTransport.StreamCh():
			t.tasks.Go(func() { t.begin(conn) })
		case <-t.done.Done():
			return
		}
	}
}

func (t *transport) begin(conn net.Conn) {
	end := context.AfterFunc(t.done, func() { _ = conn.Close() })
	var first [1]byte
	_ = conn.SetReadDeadline(time.Now().Add(beginWithin))
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		end()
		_ = conn.Close()
		return
	}
	if first[0] == magic[0] {
		defer end()
		t.serve(conn)
		return
	}
	end()
	_ = conn.SetReadDeadline(time.Time{})
	select {
	case t.streams <- &begunConn{Conn: conn, first: first[:]}:
	case <-t.done.Done():
		_ = conn.Close()
	}
}

// serve keeps a connection open, and answers to each byte that it is here. Anybody may call: there is nothing to learn but the name of
// the node, nothing to break, and the number is limited.
func (t *transport) serve(conn net.Conn) {
	defer conn.Close()
	reader := bufio.NewReaderSize(conn, 16)
	rest := make([]byte, len(magic)-1)
	if _, err := io.ReadFull(reader, rest); err != nil || string(rest) != magic[1:] {
		return
	}
	_ = conn.SetReadDeadline(time.Time{})
	hello := append([]byte{sayHello, byte(len(t.name))}, t.name...)
	if !t.admit(conn) {
		return
	}
	defer t.dismiss(conn)
	for word := hello; t.say(conn, word); word = []byte{sayHere} {
		if _, err := reader.ReadByte(); err != nil {
			return
		}
	}
}

func (t *transport) admit(conn net.Conn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.served) >= maxServed {
		return false
	}
	t.served[conn] = struct{}{}
	return true
}

func (t *transport) dismiss(conn net.Conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.served, conn)
}

// say writes a word, or goodbye when this member is leaving, and returns whether the conversation goes on.
func (t *transport) say(conn net.Conn, word []byte) bool {
	t.mu.Lock()
	leaving := t.leaving
	t.mu.Unlock()
	if leaving {
		word = []byte{sayBye}
	}
	_ = conn.SetWriteDeadline(time.Now().Add(speakWithin))
	_, err := conn.Write(word)
	return err == nil && !leaving
}

// bye tells all who keep a connection that this member is leaving. Who does not read cannot hold it up for more than the time of one.
func (t *transport) bye() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leaving = true
	deadline := time.Now().Add(speakWithin)
	for conn := range t.served {
		_ = conn.SetWriteDeadline(deadline)
		_, _ = conn.Write([]byte{sayBye})
	}
}

// begunConn is a connection whose first byte has been read.
type begunConn struct {
	net.Conn
	first []byte
}

// Read implements net.Conn.
func (c *begunConn) Read(p []byte) (int, error) {
	if len(c.first) == 0 || len(p) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
