package l2_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
	"github.com/seed-551707bd/metallb-operator/test/segment"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

var (
	four   = netip.MustParseAddr("192.0.2.10")
	six    = netip.MustParseAddr("2001:db8::10")
	other4 = netip.MustParseAddr("192.0.2.11")
	other6 = netip.MustParseAddr("2001:db8::11")
)

// run runs a responder in a host until the test ends.
func run(tb testing.TB, h *segment.Host, o l2.Options) *l2.Responder {
	tb.Helper()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	r := l2.New(o)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- netns.Do(h.Namespace, func() error { r.Run(ctx); return nil }) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return r
}

func entries(list ...netip.Addr) []announce.L2Entry {
	want := make([]announce.L2Entry, len(list))
	for i, a := range list {
		want[i].Address = a
	}
	return want
}

func on(a netip.Addr, names ...string) []announce.L2Entry {
	return []announce.L2Entry{{Address: a, Interfaces: names}}
}

// observed waits until what is observed of an address is as it should be.
func observed(tb testing.TB, r *l2.Responder, a netip.Addr, what string, is func(l2.Observed) bool) l2.Observed {
	tb.Helper()
	var last l2.Observed
	for limit := time.After(patience); ; {
		for _, last = range r.Observed() {
			if last.Address == a && is(last) {
				return last
			}
		}
		select {
		case <-r.Changed():
		case <-limit:
			tb.Fatalf("%s is never %s; last it was %+v", a, what, last)
		}
	}
}

// counted waits until an address has the wanted counts: a frame is counted after it was sent, so whoever hears it may be there first.
func counted(tb testing.TB, r *l2.Responder, a netip.Addr, want string, is func(l2.Counts) bool) {
	tb.Helper()
	for limit := time.Now().Add(patience); !is(r.Counters().Addresses[a]); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			tb.Fatalf("%s has counts %+v, want %s", a, r.Counters().Addresses[a], want)
		}
	}
}

func answeredOn(names ...string) func(l2.Observed) bool {
	return func(o l2.Observed) bool {
		return slices.EqualFunc(o.Links, names, func(a l2.Answering, name string) bool { return a.Name == name })
	}
}

func problem(text string) func(l2.Observed) bool {
	return func(o l2.Observed) bool { return slices.Contains(o.Problems, text) }
}

func mac(h *segment.Host, name string) wire.MAC { return wire.MAC(h.Get(name).Attrs().HardwareAddr) }

// client is a host that speaks the two protocols by itself on one of its links.
type client struct {
	testing.TB
	host wire.Host
	conn map[bool]*packet.Conn
}

func newClient(tb testing.TB, h *segment.Host) *client {
	tb.Helper()
	return newClientOn(tb, h, "eth0")
}

// newClientOn is one on another link.
func newClientOn(tb testing.TB, h *segment.Host, name string) *client {
	tb.Helper()
	c := &client{TB: tb, host: wire.Host{MAC: mac(h, name), LinkLocal: netip.MustParseAddr("fe80::77")}, conn: map[bool]*packet.Conn{}}
	for ipv4, protocol := range map[bool]int{true: wire.EtherTypeARP, false: wire.EtherTypeIPv6} {
		h.Do(func() error {
			conn, err := packet.Listen(&net.Interface{Index: h.Get(name).Attrs().Index}, packet.Raw, protocol, nil)
			if err != nil {
				return err
			}
			c.conn[ipv4] = conn
			return roomy(conn)
		})
		tb.Cleanup(func() { c.conn[ipv4].Close() })
	}
	return c
}

// roomy gives a socket room for all that a test may leave unread while it looks at the other family.
func roomy(conn *packet.Conn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	var set error
	err = raw.Control(func(fd uintptr) { set = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) })
	return errors.Join(err, set)
}

func (c *client) send(ipv4 bool, frame []byte) {
	c.Helper()
	if _, err := c.conn[ipv4].WriteTo(frame, &packet.Addr{HardwareAddr: net.HardwareAddr(frame[:6])}); err != nil {
		c.Fatalf("send: %v", err)
	}
}

// hear returns the next message that is as it should be.
func (c *client) hear(ipv4 bool, what string, is func(wire.Message) bool) wire.Message {
	c.Helper()
	frame := make([]byte, 2048)
	if err := c.conn[ipv4].SetReadDeadline(time.Now().Add(patience)); err != nil {
		c.Fatal(err)
	}
	for {
		n, _, err := c.conn[ipv4].ReadFrom(frame)
		if err != nil {
			c.Fatalf("%s was not heard: %v", what, err)
		}
		if m, err := wire.Parse(frame[:n]); err == nil && is(m) {
			return m
		}
	}
}

// ask asks for addresses of one family, one after the other, and returns who answers for the last of them and which others were answered before:
// whoever hears all hears them in this order.
func (c *client) ask(list ...netip.Addr) (wire.Message, []netip.Addr) {
	c.Helper()
	last := list[len(list)-1]
	for _, a := range list {
		frame, err := wire.Probe(c.host, a)
		if err != nil {
			c.Fatal(err)
		}
		c.send(a.Is4(), frame)
	}
	var before []netip.Addr
	return c.hear(last.Is4(), "an answer for "+last.String(), func(m wire.Message) bool {
		if m.Destination != c.host.MAC { // an announcement
			return false
		}
		claimed := m.Sender
		if last.Is6() {
			claimed = m.Target
		}
		if claimed != last {
			before = append(before, claimed)
		}
		return claimed == last
	}), before
}

// answers checks that the addresses are answered by a hardware address.
func (c *client) answers(by wire.MAC, list ...netip.Addr) {
	c.Helper()
	for _, a := range list {
		if m, _ := c.ask(a); m.Hardware != by || m.Source != by {
			c.Errorf("%s is answered by %s in a frame from %s, want %s", a, m.Hardware, m.Source, by)
		}
	}
}

// announced waits for an announcement of an address by a hardware address.
func (c *client) announced(a netip.Addr, by wire.MAC) {
	c.Helper()
	c.hear(a.Is4(), fmt.Sprintf("an announcement of %s by %s", a, by), func(m wire.Message) bool {
		return m.Destination[0]&1 == 1 && m.Hardware == by && m.About(a) == wire.Claims
	})
}

func TestGivenAnOwnedAddressWhenAKernelConnectsToItThenItFindsTheNode(t *testing.T) {
	s := segment.New(t)
	node, peer := s.Host("192.0.2.1/24", "2001:db8::1/64"), s.Host("192.0.2.2/24", "2001:db8::2/64")
	node.Sysctl("net/ipv4/conf/all/arp_ignore", "1") // the kernel itself answers for addresses of eth0 only
	node.Give("lo", "192.0.2.10/32", "2001:db8::10/128")
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	for _, a := range []netip.Addr{four, six} {
		observed(t, r, a, "answered", answeredOn("eth0"))
		var listener net.Listener
		node.Do(func() (err error) { listener, err = net.Listen("tcp", netip.AddrPortFrom(a, 0).String()); return err })
		defer listener.Close()
		conn, err := netns.Dialer(peer.Namespace)(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatalf("%s cannot be reached: %v", a, err)
		}
		conn.Close()
		neighbors, err := peer.NeighList(peer.Get("eth0").Attrs().Index, netlink.FAMILY_ALL)
		if err != nil || !slices.ContainsFunc(neighbors, func(n netlink.Neigh) bool {
			return n.IP.Equal(a.AsSlice()) && n.HardwareAddr.String() == mac(node, "eth0").String()
		}) {
			t.Errorf("the peer's neighbors are %v, %v, want %s by %s", neighbors, err, a, mac(node, "eth0"))
		}
	}
}

func TestGivenAddressesWhenTheyAreGainedAndLostThenTheyAreAnnouncedAndAnsweredExactlyWhileOwned(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	by := mac(node, "eth0")
	r.Apply(entries(four, other4, six, other6))
	for _, a := range []netip.Addr{four, other4, six, other6} {
		c.announced(a, by)
		observed(t, r, a, "answered", answeredOn("eth0"))
		c.answers(by, a)
	}
	r.Apply(entries(other4, other6))
	for kept, lost := range map[netip.Addr]netip.Addr{other4: four, other6: six} {
		if _, before := c.ask(lost, kept); len(before) > 0 {
			t.Errorf("%v is answered after it was lost", before)
		}
	}
	r.Apply(entries(four, other4, six, other6))
	for _, a := range []netip.Addr{four, six} {
		c.announced(a, by)
		c.answers(by, a)
	}
	for _, a := range []netip.Addr{four, other4, six, other6} {
		counted(t, r, a, "some of each, and all requests answered", func(n l2.Counts) bool {
			return n.Requests > 0 && n.Responses == n.Requests && n.Gratuitous > 0
		})
	}
}

func TestGivenAHostThatTestsAnOwnedIPv6AddressWhenItIsDefendedThenTheHostGivesItUp(t *testing.T) {
	s := segment.New(t)
	node, peer := s.Host("2001:db8::1/64"), s.Host()
	r := run(t, node, l2.Options{})
	r.Apply(entries(six))
	observed(t, r, six, "answered", answeredOn("eth0"))
	peer.Sysctl("net/ipv6/conf/eth0/accept_dad", "1")
	peer.Sysctl("net/ipv6/conf/eth0/dad_transmits", "5")
	a, err := netlink.ParseAddr("2001:db8::10/64")
	if err != nil {
		t.Fatal(err)
	}
	if err := peer.AddrAdd(peer.Get("eth0"), a); err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		list, err := peer.AddrList(peer.Get("eth0"), netlink.FAMILY_V6)
		if err != nil {
			t.Fatal(err)
		}
		if slices.ContainsFunc(list, func(a netlink.Addr) bool { return a.IP.Equal(six.AsSlice()) && a.Flags&unix.IFA_F_DADFAILED != 0 }) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("the host has %v, want its test of %s failed", list, six)
		}
	}
}

// groups returns the IPv6 multicast groups of a host's link.
func groups(t *testing.T, h *segment.Host, name string) []netip.Addr {
	t.Helper()
	var table []byte
	h.Do(func() (err error) { table, err = os.ReadFile("/proc/thread-self/net/igmp6"); return err })
	var list []netip.Addr
	for line := range bytes.Lines(table) {
		if f := strings.Fields(string(line)); f[1] == name {
			b, err := hex.DecodeString(f[2])
			if err != nil {
				t.Fatal(err)
			}
			a, _ := netip.AddrFromSlice(b)
			list = append(list, a)
		}
	}
	return list
}

// member waits until a link is a member of an address's group, or is not.
func member(t *testing.T, h *segment.Host, name string, a netip.Addr, want bool) {
	t.Helper()
	group, err := wire.SolicitedNode(a)
	if err != nil {
		t.Fatal(err)
	}
	for limit := time.Now().Add(patience); slices.Contains(groups(t, h, name), group) != want; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s is in groups %v, want %s: %t", name, groups(t, h, name), group, want)
		}
	}
}

func TestGivenALinkWhenItFlapsOrIsRenamedOrGetsAnotherMACThenEverythingIsAppliedAgain(t *testing.T) {
	s := segment.New(t)
	node := s.Host("192.0.2.1/24", "2001:db8::1/64")
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	name := "eth0"
	// again waits until both addresses are answered anew, and checks that they are answered right.
	again := func(change func()) {
		t.Helper()
		since := map[netip.Addr]time.Time{}
		for _, a := range []netip.Addr{four, six} {
			since[a] = observed(t, r, a, "answered", answeredOn(name)).Links[0].Since
		}
		change()
		for _, a := range []netip.Addr{four, six} {
			observed(t, r, a, "answered anew", func(o l2.Observed) bool { return answeredOn(name)(o) && o.Links[0].Since.After(since[a]) })
			c.announced(a, mac(node, name))
			c.answers(mac(node, name), a)
		}
		member(t, node, name, six, true)
	}
	again(func() {
		node.Down(name)
		observed(t, r, four, "unanswered", problem("eth0 is down"))
		node.Up(name)
	})
	again(func() { // too fast for anybody to see it down
		node.Down(name)
		node.Up(name)
	})
	again(func() {
		if err := node.LinkSetHardwareAddr(node.Get(name), net.HardwareAddr{2, 0, 0, 0, 0, 0x55}); err != nil {
			t.Fatal(err)
		}
	})
	again(func() {
		node.Down(name)
		if err := node.LinkSetName(node.Get(name), "uplink"); err != nil {
			t.Fatal(err)
		}
		name = "uplink"
		node.Up(name)
	})
	r.Apply(entries(four))
	member(t, node, name, six, false)
	r.Apply(on(four, "eth0"))
	observed(t, r, four, "unanswered", problem("this node has no link eth0"))
	s.Connect(node, "eth0")
	observed(t, r, four, "answered", answeredOn("eth0"))
	c.answers(mac(node, "eth0"), four)
	if err := node.LinkDel(node.Get("eth0")); err != nil {
		t.Fatal(err)
	}
	observed(t, r, four, "unanswered", problem("this node has no link eth0"))
}

func TestGivenALinkWithoutLinkLocalAddressWhenItGetsOneThenIPv6IsAnswered(t *testing.T) {
	s := segment.New(t)
	node := segment.NewHost(t)
	node.Sysctl("net/ipv6/conf/default/addr_gen_mode", "1") // none
	s.Connect(node, "eth0")
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	observed(t, r, six, "unanswered", problem("eth0 has no usable IPv6 link-local address"))
	observed(t, r, four, "answered", answeredOn("eth0"))
	c.answers(mac(node, "eth0"), four)
	node.Give("eth0", "fe80::1/64")
	c.announced(six, mac(node, "eth0"))
	c.answers(mac(node, "eth0"), six)
	member(t, node, "eth0", six, true)
}

func TestGivenALinkThatJoinsABridgeWhenAskedThenTheBridgeAnswersInItsStead(t *testing.T) {
	s := segment.New(t)
	node := s.Host()
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	r.Apply(entries(four))
	observed(t, r, four, "answered", answeredOn("eth0"))
	node.Add(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "bridge", HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 0x66}}})
	if err := node.LinkSetMaster(node.Get("eth0"), node.Get("bridge")); err != nil {
		t.Fatal(err)
	}
	observed(t, r, four, "answered by the bridge", answeredOn("bridge"))
	c.announced(four, mac(node, "bridge"))
	c.answers(mac(node, "bridge"), four)
}

func TestGivenALinkAboveAnotherWhenAQuestionIsPutToItThenTheLowerOneDoesNotAnswer(t *testing.T) {
	s := segment.New(t)
	node := s.Host()
	node.Add(&netlink.Macvlan{LinkAttrs: netlink.LinkAttrs{Name: "upper", ParentIndex: node.Get("eth0").Attrs().Index}, Mode: netlink.MACVLAN_MODE_BRIDGE})
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	r.Apply(append(on(four, "eth0"), on(other4, "upper")...))
	observed(t, r, four, "answered", answeredOn("eth0"))
	observed(t, r, other4, "answered", answeredOn("upper"))
	frame, err := wire.Probe(c.host, four)
	if err != nil {
		t.Fatal(err)
	}
	upper := mac(node, "upper")
	copy(frame, upper[:])
	c.send(true, frame) // the kernel gives it to the socket of eth0 as well
	c.answers(mac(node, "eth0"), four)
	c.answers(upper, other4)
	if got := r.Counters(); got.Addresses[four].Requests != 1 || got.Dropped[l2.DropElsewhere] != 1 {
		t.Errorf("counters %+v, want one request for %s and one frame that was for another link", got, four)
	}
}

func TestGivenExcludedAndNamedLinksWhenAskedThenOnlyTheOthersAnswer(t *testing.T) {
	s := segment.New(t)
	node := s.Host()
	s.Connect(node, "veth0")
	s.Connect(node, "eth1")
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{Excluded: []*regexp.Regexp{regexp.MustCompile("^veth.*")}})
	r.Apply(append(entries(four), on(other4, "eth1", "veth0")...))
	observed(t, r, four, "answered", answeredOn("eth0", "eth1"))
	o := observed(t, r, other4, "answered", answeredOn("eth1"))
	if !problem("veth0 is excluded by announcedInterfacesToExclude")(o) {
		t.Errorf("observed %+v, want a word about veth0", o)
	}
	c.answers(mac(node, "eth1"), other4)
}

func TestGivenTwoOwnersWhenBothAnnounceThenBothReportAConflictAndTheOneThatStopsLeavesItToTheOther(t *testing.T) {
	s := segment.New(t)
	first, second := s.Host(), s.Host()
	c := newClient(t, s.Host())
	responders := map[*segment.Host]*l2.Responder{first: run(t, first, l2.Options{}), second: run(t, second, l2.Options{})}
	for _, r := range responders {
		r.Apply(entries(four, six))
	}
	for h, foreign := range map[*segment.Host]wire.MAC{first: mac(second, "eth0"), second: mac(first, "eth0")} {
		for _, a := range []netip.Addr{four, six} {
			o := observed(t, responders[h], a, "in conflict", func(o l2.Observed) bool { return len(o.Conflicts) > 0 })
			if got := o.Conflicts[0]; got.Hardware != foreign || got.Link != "eth0" || !got.Ongoing || got.Address != a {
				t.Errorf("conflict %+v, want one with %s", got, foreign)
			}
		}
	}
	responders[second].Apply(entries(other4, other6))
	for stopped, mark := range map[netip.Addr]netip.Addr{four: other4, six: other6} {
		observed(t, responders[second], mark, "answered", answeredOn("eth0"))
		m, _ := c.ask(stopped)
		if m.Hardware != mac(first, "eth0") {
			t.Errorf("%s is answered by %s, want %s", stopped, m.Hardware, mac(first, "eth0"))
		}
		if _, before := c.ask(mark); slices.Contains(before, stopped) {
			t.Errorf("%s is answered twice", stopped)
		}
	}
}

func TestGivenAThousandAddressesOfEachFamilyWhenAppliedThenAllAreAnnouncedAndAnsweredAndWithdrawnAtOnce(t *testing.T) {
	s := segment.New(t)
	node := s.Host()
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	by := mac(node, "eth0")
	families := map[bool][]netip.Addr{}
	for _, a := range []netip.Addr{netip.MustParseAddr("198.18.0.1"), netip.MustParseAddr("2001:db8:1::1")} {
		for range 1000 {
			families[a.Is4()] = append(families[a.Is4()], a)
			a = a.Next()
		}
	}
	r.Apply(entries(append(slices.Clone(families[true]), families[false]...)...))
	for ipv4, list := range families {
		missing := map[netip.Addr]struct{}{}
		for _, a := range list {
			missing[a] = struct{}{}
		}
		for len(missing) > 0 {
			c.hear(ipv4, fmt.Sprintf("the announcements of %d addresses", len(missing)), func(m wire.Message) bool {
				if m.Hardware == by && m.Destination[0]&1 == 1 {
					delete(missing, m.Target)
				}
				return len(missing) == 0
			})
		}
	}
	for _, list := range families {
		c.answers(by, list[0], list[500], list[999])
	}
	for _, a := range families[false] {
		member(t, node, "eth0", a, true)
	}
	last := map[bool]netip.Addr{true: families[true][999], false: families[false][999]}
	r.Apply(entries(last[true], last[false]))
	for ipv4, list := range families {
		if _, before := c.ask(list[0], list[500], last[ipv4]); len(before) > 0 {
			t.Errorf("%v are answered after they were lost", before)
		}
	}
}

func TestGivenMalformedAndForeignFramesWhenHeardThenTheyAreCountedAndTheNextIsAnswered(t *testing.T) {
	s := segment.New(t)
	node := s.Host()
	c := newClient(t, s.Host())
	r := run(t, node, l2.Options{})
	r.Apply(entries(four, six))
	observed(t, r, four, "answered", answeredOn("eth0"))
	observed(t, r, six, "answered", answeredOn("eth0"))
	must := func(frame []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return frame
	}
	probe4, probe6 := must(wire.Probe(c.host, four)), must(wire.Probe(c.host, six))
	broken := func(frame []byte, at int, value byte) []byte {
		frame = slices.Clone(frame)
		frame[at] = value
		return frame
	}
	c.send(true, broken(probe4, 15, 6))                                                                     // another sort of link
	c.send(true, broken(probe4, 22, 1))                                                                     // from a group
	c.send(false, broken(probe6, 21, 64))                                                                   // through a router
	c.send(false, broken(probe6, 56, probe6[56]^0xff))                                                      // a wrong checksum
	c.send(true, must(wire.Reply(c.host, other4, wire.Message{Hardware: mac(node, "eth0"), Sender: four}))) // a reply to its owner
	c.answers(mac(node, "eth0"), four, six)
	got := r.Counters()
	for _, reason := range []string{wire.DropARP.String(), wire.DropSource.String(), wire.DropHopLimit.String(), wire.DropChecksum.String(), l2.DropUnrelated} {
		if got.Dropped[reason] != 1 {
			t.Errorf("dropped are %v, want one %s", got.Dropped, reason)
		}
	}
}

// BenchmarkApply is the time from Apply to the first announcement at a neighbor.
func BenchmarkApply(b *testing.B) {
	for name, a := range map[string]netip.Addr{"IPv4": four, "IPv6": six} {
		b.Run(name, func(b *testing.B) {
			s := segment.New(b)
			node := s.Host()
			c := newClient(b, s.Host())
			r := run(b, node, l2.Options{})
			idle := netip.MustParseAddr("192.0.2.9")
			if a.Is6() {
				idle = netip.MustParseAddr("2001:db8::9")
			}
			r.Apply(entries(idle)) // the sockets are there
			observed(b, r, idle, "answered", answeredOn("eth0"))
			c.announced(idle, mac(node, "eth0"))
			by := mac(node, "eth0")
			var times []time.Duration
			for b.Loop() {
				start := time.Now()
				r.Apply(entries(idle, a))
				c.announced(a, by)
				times = append(times, time.Since(start))
				a = a.Next()
				time.Sleep(2 * time.Millisecond) // the node is at rest again, and the budget of frames is full
			}
			slices.Sort(times)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "µs-median")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "µs-p99")
		})
	}
}
