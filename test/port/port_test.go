package port_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/port"
)

func TestGivenPortsThatWereHandedOutWhenMoreAreAskedForThenEachIsAnotherAndCanBeListenedOn(t *testing.T) {
	seen := map[int]bool{}
	for range 50 {
		p := port.Free(t)
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(p)))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if seen[p] {
			t.Errorf("port %d came twice", p)
		}
		seen[p] = true
	}
}
