package probe_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// patience is how long a test waits for what has to happen. How long asking takes is measured by the benchmark, on a machine that is quiet.
const patience = time.Minute

// ask asks from a host and checks that every result is about its address.
func ask(tb testing.TB, h *segment.Host, addresses ...string) []probe.Result {
	tb.Helper()
	list := make([]netip.Addr, len(addresses))
	for i, text := range addresses {
		list[i] = netip.MustParseAddr(text)
	}
	var results []probe.Result
	h.Do(func() error { results = probe.Ask(tb.Context(), list); return nil })
	if len(results) != len(list) {
		tb.Fatalf("%d results for %d addresses", len(results), len(list))
	}
	for i, r := range results {
		if r.Address != list[i] {
			tb.Errorf("result %d is about %s, want %s", i, r.Address, list[i])
		}
	}
	return results
}

// expect compares a result with what it should be.
func expect(t *testing.T, r probe.Result, state probe.State, link, mac, message string) {
	t.Helper()
	got := r.MAC.String()
	if r.MAC == (wire.MAC{}) {
		got = ""
	}
	if r.State != state || r.Link != link || got != mac || !strings.Contains(r.Message, message) {
		t.Errorf("%s: %s on %q by %q: %s, want %s on %q by %q: %s", r.Address, r.State, r.Link, got, r.Message, state, link, mac, message)
	}
}

func mac(h *segment.Host) string { return h.Get("eth0").Attrs().HardwareAddr.String() }

func TestGivenASegmentWhenAskedThenTakenAddressesAreFoundAndFreeOnesAreFree(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	neighbor := s.Host("192.0.2.2/24", "2001:db8::2/64")
	s.Host("192.0.2.254/24", "2001:db8::fe/64")
	node.Route("0.0.0.0/0", "192.0.2.254")
	node.Route("::/0", "2001:db8::fe")
	results := ask(t, node, "192.0.2.10", "2001:db8::10", "192.0.2.2", "2001:db8::2", "192.0.2.1", "2001:db8::1", "192.0.2.254", "2001:db8::fe",
		"198.51.100.1", "2001:db8:1::1", "127.0.0.1")
	his := mac(neighbor)
	expect(t, results[0], probe.Free, "eth0", "", "nobody answered on eth0")
	expect(t, results[1], probe.Free, "eth0", "", "nobody answered on eth0")
	expect(t, results[2], probe.InUse, "eth0", his, his+" on eth0 has it: ARP reply")
	expect(t, results[3], probe.InUse, "eth0", his, his+" on eth0 has it: neighbor advertisement")
	expect(t, results[4], probe.InUse, "eth0", mac(node), "address of eth0 of this node")
	expect(t, results[5], probe.InUse, "eth0", mac(node), "address of eth0 of this node")
	expect(t, results[6], probe.InUse, "eth0", "", "gateway of this node")
	expect(t, results[7], probe.InUse, "eth0", "", "gateway of this node")
	expect(t, results[8], probe.NotOnLink, "", "", "no link of this node has a network with this address")
	expect(t, results[9], probe.NotOnLink, "", "", "no link of this node has a network with this address")
	expect(t, results[10], probe.InUse, "lo", "", "address of lo of this node")
	if learned, err := neighbor.NeighList(neighbor.Get("eth0").Attrs().Index, netlink.FAMILY_V4); err != nil || len(learned) > 0 {
		t.Errorf("the neighbor learned %v, %v from ARP probes, want nothing", learned, err)
	}
}

func TestGivenHostsThatAnswerWhenOnlyTheyAreAskedForThenNobodyWaitsForMore(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	s.Host("192.0.2.2/24", "2001:db8::2/64")
	// The fastest of some, for a busy machine; a free address takes no less than 650 ms, however fast the machine.
	fastest := patience
	for range 10 {
		start := time.Now()
		for _, r := range ask(t, node, "192.0.2.2", "2001:db8::2") {
			if r.State != probe.InUse {
				t.Errorf("%s is %s, want InUse", r.Address, r.State)
			}
		}
		fastest = min(fastest, time.Since(start))
	}
	if fastest > 600*time.Millisecond {
		t.Errorf("it took %v, want an end with the last answer", fastest)
	}
}

func TestGivenANodeWithoutUsableLinkLocalAddressWhenAskedThenTheAnswersAreTheSame(t *testing.T) {
	s := segment.New(t)
	node := segment.NewHost(t)
	node.Sysctl("net/ipv6/conf/default/addr_gen_mode", "1") // none
	s.Connect(node, "eth0")
	node.Give("eth0", "2001:db8::1/64")
	neighbor := s.Host("2001:db8::2/64")
	results := ask(t, node, "2001:db8::10", "2001:db8::2")
	expect(t, results[0], probe.Free, "eth0", "", "nobody answered")
	expect(t, results[1], probe.InUse, "eth0", mac(neighbor), "neighbor advertisement")
}

// chatter sends a frame from a host every few milliseconds until the test ends.
func chatter(t *testing.T, h *segment.Host, protocol int, frame []byte) {
	t.Helper()
	var conn *packet.Conn
	h.Do(func() (err error) {
		conn, err = packet.Listen(&net.Interface{Index: h.Get("eth0").Attrs().Index}, packet.Raw, protocol, nil)
		return err
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			if _, err := conn.WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
				t.Errorf("send: %v", err)
				return
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-done; conn.Close() })
}

func TestGivenHostsThatDoNotAnswerWhenTheySpeakOfTheAddressThenOnlyWhatShowsAConflictIsOne(t *testing.T) {
	hostMAC := wire.MAC{2, 0, 0, 0, 0, 0x77}
	four, six := netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8::10")
	silent := wire.Host{MAC: hostMAC, LinkLocal: netip.MustParseAddr("fe80::77")}
	must := func(frame []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
	announce := func(address netip.Addr, i int) []byte {
		frames, err := wire.Announcements(silent, address)
		if err != nil {
			t.Fatal(err)
		}
		return frames[i]
	}
	rows := map[string]struct {
		protocol int
		address  netip.Addr
		frame    func(node *segment.Host) []byte
		want     probe.State
		message  string
	}{
		"it probes for the address": {wire.EtherTypeARP, four, func(*segment.Host) []byte { return must(wire.Probe(silent, four)) },
			probe.InUse, "is about to take it: ARP request"},
		"it announces the address": {wire.EtherTypeARP, four, func(*segment.Host) []byte { return announce(four, 0) }, probe.InUse, "has it: ARP request"},
		"it tests the IPv6 address": {wire.EtherTypeIPv6, six, func(*segment.Host) []byte { return must(wire.Probe(wire.Host{MAC: hostMAC}, six)) },
			probe.InUse, "is about to take it: neighbor solicitation"},
		"it advertises the IPv6 address": {wire.EtherTypeIPv6, six, func(*segment.Host) []byte { return announce(six, 0) }, probe.InUse, "has it: neighbor advertisement"},
		"it looks for the IPv6 address":  {wire.EtherTypeIPv6, six, func(*segment.Host) []byte { return must(wire.Probe(silent, six)) }, probe.Free, "nobody answered"},
		"it announces another address": {wire.EtherTypeARP, four, func(*segment.Host) []byte { return announce(four.Next(), 0) },
			probe.Free, "nobody answered"},
		"frames of the node itself come back": {wire.EtherTypeARP, four, func(node *segment.Host) []byte {
			return must(wire.Probe(wire.Host{MAC: wire.MAC(node.Get("eth0").Attrs().HardwareAddr)}, four))
		}, probe.Free, "nobody answered"},
		"what it says is malformed": {wire.EtherTypeIPv6, six, func(*segment.Host) []byte {
			frame := announce(six, 0)
			frame[21] = 64 // hop limit: it came through a router
			return frame
		}, probe.Free, "nobody answered"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			s := segment.New(t)
			node, host := s.Host("192.0.2.1/24", "2001:db8::1/64"), s.Host()
			chatter(t, host, row.protocol, row.frame(node))
			r := ask(t, node, row.address.String())[0]
			if r.State != row.want || !strings.Contains(r.Message, row.message) || (r.State == probe.InUse && r.MAC != hostMAC) {
				t.Errorf("%+v, want %s: %s", r, row.want, row.message)
			}
		})
	}
}

func TestGivenAHostThatIsJustTestingAnAddressWhenAskedThenItIsInUseAndTheHostKeepsIt(t *testing.T) {
	s := segment.New(t)
	node := s.Host("2001:db8::1/64")
	host := s.Host()
	host.Sysctl("net/ipv6/conf/eth0/accept_dad", "1")
	host.Sysctl("net/ipv6/conf/eth0/dad_transmits", "5")
	host.Sysctl("net/ipv6/neigh/eth0/retrans_time_ms", "200")
	a, err := netlink.ParseAddr("2001:db8::10/64")
	if err != nil {
		t.Fatal(err)
	}
	// The test begins after a random delay of up to a second (RFC 4862 section 5.4.2), so that one question alone might come too early.
	if err := host.AddrAdd(host.Get("eth0"), a); err != nil {
		t.Fatal(err)
	}
	var r probe.Result
	for end := time.Now().Add(patience); r.State != probe.InUse && time.Now().Before(end); {
		r = ask(t, node, "2001:db8::10")[0]
	}
	expect(t, r, probe.InUse, "eth0", mac(host), "neighbor")
	for end := time.Now().Add(patience); ; {
		list, err := host.AddrList(host.Get("eth0"), netlink.FAMILY_V6)
		if err != nil {
			t.Fatal(err)
		}
		if flags := flagsOf(list, "2001:db8::10"); flags&0x08 != 0 { // IFA_F_DADFAILED
			t.Fatal("the question made the host give up its address")
		} else if flags&0x40 == 0 { // IFA_F_TENTATIVE
			return
		}
		if time.Now().After(end) {
			t.Fatal("the host never finishes its test")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func flagsOf(list []netlink.Addr, address string) int {
	for _, a := range list {
		if a.IP.String() == address {
			return a.Flags
		}
	}
	return 0
}

func TestGivenANodeOnTwoSegmentsWhenAskedThenWhoeverHasTheAddressOnEitherIsFound(t *testing.T) {
	first, second := segment.New(t), segment.New(t)
	node := first.Host("192.0.2.1/24")
	second.Connect(node, "eth1")
	node.Give("eth1", "192.0.2.2/24")
	there := second.Host("192.0.2.10/24")
	results := ask(t, node, "192.0.2.10", "192.0.2.11")
	expect(t, results[0], probe.InUse, "eth1", mac(there), "on eth1 has it")
	expect(t, results[1], probe.Free, "eth0", "", "nobody answered on eth0 and eth1")
}

func TestGivenABridgeAndAMacvlanWhenAskedThenTheyAreAskedOnAsTheyAre(t *testing.T) {
	s := segment.New(t)
	neighbor := s.Host("192.0.2.10/24", "198.51.100.10/24", "2001:db8::10/64")
	node := segment.NewHost(t)
	s.Connect(node, "eth0")
	s.Connect(node, "eth1")
	node.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}})
	if err := node.LinkSetMaster(node.Get("eth0"), node.Get("br0")); err != nil {
		t.Fatal(err)
	}
	node.Give("br0", "192.0.2.1/24", "2001:db8::1/64")
	node.Add(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "mac0", ParentIndex: node.Get("eth1").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
	node.Give("mac0", "198.51.100.1/24")
	var results []probe.Result
	for end := time.Now().Add(patience); time.Now().Before(end); { // a bridge's port listens first, then learns, then forwards
		if results = ask(t, node, "192.0.2.10", "2001:db8::10", "198.51.100.10", "198.51.100.11"); results[0].State == probe.InUse {
			break
		}
	}
	his := mac(neighbor)
	expect(t, results[0], probe.InUse, "br0", his, "on br0 has it")
	expect(t, results[1], probe.InUse, "br0", his, "on br0 has it")
	expect(t, results[2], probe.InUse, "mac0", his, "on mac0 has it")
	expect(t, results[3], probe.Free, "mac0", "", "nobody answered on mac0")
}

func TestGivenALinkThatIsDownWhenAskedThenTheMessageSaysSo(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24")
	node.Down("eth0")
	results := ask(t, node, "192.0.2.10", "192.0.2.1")
	expect(t, results[0], probe.NotOnLink, "", "", "eth0 of this node has a network with this address, but is down")
	expect(t, results[1], probe.InUse, "eth0", mac(node), "address of eth0 of this node")
}

func TestGivenManyAddressesWhenAskedThenAllAreAskedForAtOnce(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	s.Host("192.0.2.40/24", "2001:db8::40/64")
	var addresses []string
	for i := range 32 {
		addresses = append(addresses, fmt.Sprintf("192.0.2.%d", i+20), fmt.Sprintf("2001:db8::%d", i+20))
	}
	for _, r := range ask(t, node, addresses...) {
		want := probe.Free
		if strings.HasSuffix(r.Address.String(), "40") {
			want = probe.InUse
		}
		if r.State != want {
			t.Errorf("%+v, want %s", r, want)
		}
	}
}

func TestGivenAnEndedContextWhenAskedThenNothingIsFoundFree(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24")
	for name, after := range map[string]time.Duration{"before": 0, "while asking": 50 * time.Millisecond} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), after)
			defer cancel()
			var results []probe.Result
			node.Do(func() error {
				results = probe.Ask(ctx, []netip.Addr{netip.MustParseAddr("192.0.2.10")})
				return nil
			})
			// Had it gone on, it would have found the address free.
			expect(t, results[0], probe.Failed, "eth0", "", "context deadline exceeded")
		})
	}
}

// The figures of docs/speaker.md.
func BenchmarkAsk(b *testing.B) {
	s := segment.New(b)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	s.Host("192.0.2.2/24", "2001:db8::2/64")
	for name, row := range map[string]struct {
		address string
		want    probe.State
	}{
		"IPv4Taken": {"192.0.2.2", probe.InUse}, "IPv6Taken": {"2001:db8::2", probe.InUse},
		"IPv4Free": {"192.0.2.3", probe.Free}, "IPv6Free": {"2001:db8::3", probe.Free},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if r := ask(b, node, row.address)[0]; r.State != row.want {
					b.Fatalf("%+v, want %s", r, row.want)
				}
			}
		})
	}
}
