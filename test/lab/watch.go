package lab

import (
	"net/netip"

	"github.com/seed-551707bd/metallb-operator/test/lab/asker"
	"github.com/seed-551707bd/metallb-operator/test/lab/tap"
)

// Tap listens to ARP and neighbor discovery on the nodes' segment, at the switch: who asks, who answers, and by which machine's cable it came.
// Its caller closes it.
func (l *Lab) Tap() (*tap.Tap, error) {
	s, err := l.state()
	if err != nil {
		return nil, err
	}
	return tap.Open(s.switchNetns(), segmentInterface+"-")
}

// Ask lets a machine send a datagram to a server (test/lab/echo) every 10 ms, until it is stopped, and writes down what becomes of each.
func (l *Lab) Ask(machine string, server netip.AddrPort) *asker.Asker {
	return asker.Start(asker.Options{Address: server.String(), Dial: l.Dialer(machine)})
}
