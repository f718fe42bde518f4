// Package port finds ports for tests.
package port

import (
	"context"
	"errors"
	"net"
	"os"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
)

// The ports lie below those that Linux gives to connections (net.ipv4.ip_local_port_range begins at 32768), so that no connection takes one between its
// choice and its use.
const (
	first = 20000
	count = 10000
)

var handedOut atomic.Int32

// Free returns a TCP port of 127.0.0.1 that nobody listens on. No other test of this process gets the same.
func Free(tb testing.TB) int {
	tb.Helper()
	for range count {
		p := first + (os.Getpid()*97+int(handedOut.Add(1)))%count // processes begin at different places
		l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			tb.Fatalf("look for a free port: %v", err)
		}
		l.Close()
		return p
	}
	tb.Fatalf("somebody listens on each of the %d ports from %d", count, first)
	return 0
}
