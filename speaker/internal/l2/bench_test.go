package l2

import (
	"fmt"
	"log/slog"
	"net/netip"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
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

// BenchmarkObserved is the time that looking at what is done takes on a node with many addresses and the links of many containers. Apply may be
// waiting for it.
func BenchmarkObserved(b *testing.B) {
	r := New(Options{Excluded: []*regexp.Regexp{regexp.MustCompile("^docker.*"), regexp.MustCompile("^veth.*"), regexp.MustCompile("^cali.*")}})
	r.links = []link.Link{{Index: 1, Name: "eth0"}}
	for i := range 100 {
		r.links = append(r.links, link.Link{Index: i + 2, Name: fmt.Sprintf("cali%d", i)})
	}
	for i := range 1000 {
		r.want = append(r.want, announce.L2Entry{Address: netip.AddrFrom4([4]byte{10, 0, byte(i / 250), byte(i % 250)})})
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := r.Observed(); len(got) != len(r.want) {
			b.Fatalf("%d observed, want %d", len(got), len(r.want))
		}
	}
}
