package l2

import (
	"log/slog"
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// BenchmarkHear is the processor time for a question once it was received: to read it, decide, and send the answer over a veth.
func BenchmarkHear(b *testing.B) {
	for name, a := range map[string]netip.Addr{"IPv4": four, "IPv6": six} {
		b.Run(name, func(b *testing.B) {
			h := segment.New(b).Host()
			var s *station
			h.Do(func() error {
				n, err := link.ReadLinks()
				if err != nil {
					return err
				}
				for _, l := range n.Links {
					if l.Name == "eth0" {
						s, err = open(place{l.Index, a.Is4()}, faceOf(l, a.Is4()), []netip.Addr{a})
					}
				}
				return err
			})
			defer s.conn.Close()
			s.log, s.tally = slog.New(slog.DiscardHandler), newTally()
			s.tally.keep(map[netip.Addr]struct{}{a: {}})
			s.keeper = newKeeper(s.Host, s.name, newTurns(a.Is4(), 0))
			s.keeper.keep([]netip.Addr{a}, start)
			frame, err := wire.Probe(wire.Host{MAC: theirs, LinkLocal: his6}, a)
			if err != nil {
				b.Fatal(err)
			}
			from := &unix.SockaddrLinklayer{Ifindex: s.index, Pkttype: unix.PACKET_BROADCAST}
			b.ReportAllocs()
			for b.Loop() {
				s.hear(b.Context(), frame, from)
			}
			if got := s.tally.read(); got.Addresses[a].Responses != uint64(b.N) {
				b.Errorf("%+v, want %d answers", got, b.N)
			}
		})
	}
}
