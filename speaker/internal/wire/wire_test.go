package wire_test

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/ndp"
	"golang.org/x/net/bpf"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

var (
	ours   = wire.MAC{0x02, 0, 0, 0, 0, 1}
	theirs = wire.MAC{0x02, 0, 0, 0, 0, 2}
	four   = netip.MustParseAddr("192.0.2.10")
	other4 = netip.MustParseAddr("192.0.2.11")
	six    = netip.MustParseAddr("2001:db8::10")
	other6 = netip.MustParseAddr("2001:db8::11")
	local  = netip.MustParseAddr("fe80::1")
	remote = netip.MustParseAddr("fe80::2")
	us     = wire.Host{MAC: ours, LinkLocal: local}
	them   = wire.Host{MAC: theirs, LinkLocal: remote}
)

// one returns a constructor's frame.
func one(tb testing.TB) func([]byte, error) []byte {
	tb.Helper()
	return func(frame []byte, err error) []byte {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return frame
	}
}

func parse(tb testing.TB, frame []byte) wire.Message {
	tb.Helper()
	m, err := wire.Parse(frame)
	if err != nil {
		tb.Fatalf("%v: % x", err, frame)
	}
	return m
}

func announcements(tb testing.TB, from wire.Host, address netip.Addr) [][]byte {
	tb.Helper()
	frames, err := wire.Announcements(from, address)
	if err != nil {
		tb.Fatal(err)
	}
	return frames
}

// unmarshal reads an Ethernet frame with the library.
func unmarshal(t *testing.T, frame []byte) ethernet.Frame {
	t.Helper()
	var f ethernet.Frame
	if err := f.UnmarshalBinary(frame); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestGivenFramesOfThisPackageWhenReadThenTheyMeanWhatTheyWereMadeFor(t *testing.T) {
	asks4 := wire.Message{Kind: wire.ARPRequest, Source: theirs, Hardware: theirs, Sender: other4, Target: four}
	asks6 := wire.Message{Kind: wire.Solicitation, Source: theirs, Hardware: theirs, Sender: remote, Target: six}
	must := one(t)
	rows := map[string]struct {
		frame    []byte
		address  netip.Addr
		kind     wire.Kind
		relation wire.Relation
		to       string
	}{
		"an ARP probe":               {must(wire.Probe(us, four)), four, wire.ARPRequest, wire.Probes, "ff:ff:ff:ff:ff:ff"},
		"a solicitation":             {must(wire.Probe(us, six)), six, wire.Solicitation, wire.Asks, "33:33:ff:00:00:10"},
		"one of somebody without LL": {must(wire.Probe(wire.Host{MAC: ours}, six)), six, wire.Solicitation, wire.Probes, "33:33:ff:00:00:10"},
		"an ARP reply":               {must(wire.Reply(us, four, asks4)), four, wire.ARPReply, wire.Claims, theirs.String()},
		"an ARP reply to a probe":    {must(wire.Reply(us, four, parse(t, must(wire.Probe(them, four))))), four, wire.ARPReply, wire.Claims, theirs.String()},
		"an advertisement":           {must(wire.Reply(us, six, asks6)), six, wire.Advertisement, wire.Claims, theirs.String()},
		"an advertisement to a tester": {must(wire.Reply(us, six, parse(t, must(wire.Probe(wire.Host{MAC: theirs}, six))))), six, wire.Advertisement, wire.Claims,
			"33:33:00:00:00:01"},
		"an announcement as request": {announcements(t, us, four)[0], four, wire.ARPRequest, wire.Claims, "ff:ff:ff:ff:ff:ff"},
		"an announcement as reply":   {announcements(t, us, four)[1], four, wire.ARPReply, wire.Claims, "ff:ff:ff:ff:ff:ff"},
		"an unsolicited advertisement of somebody without LL": {announcements(t, wire.Host{MAC: ours}, six)[0], six, wire.Advertisement, wire.Claims,
			"33:33:00:00:00:01"},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			m := parse(t, row.frame)
			if m.Kind != row.kind || m.About(row.address) != row.relation || m.Destination.String() != row.to || m.Source != ours || m.Hardware != ours {
				t.Errorf("%+v %s %s, want a %s that %s it, to %s", m, m.About(row.address), row.address, row.kind, row.relation, row.to)
			}
			for _, stranger := range []netip.Addr{other4, other6, netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
				if got := m.About(stranger); got != wire.Unrelated {
					t.Errorf("it %s %s, want it unrelated", got, stranger)
				}
			}
		})
	}
}

func TestGivenFramesOfThisPackageWhenTheLibrariesReadThemThenTheyFindTheSame(t *testing.T) {
	must := one(t)
	var probe, reply arp.Packet
	for frame, packet := range map[string]*arp.Packet{
		string(must(wire.Probe(us, four))): &probe,
		string(must(wire.Reply(us, four, wire.Message{Kind: wire.ARPRequest, Hardware: theirs, Sender: other4, Target: four}))): &reply,
	} {
		f := unmarshal(t, []byte(frame))
		if err := packet.UnmarshalBinary(f.Payload); err != nil || f.EtherType != ethernet.EtherTypeARP || len(frame) != 60 {
			t.Fatalf("frame %+v of %d bytes, %v", f, len(frame), err)
		}
	}
	if probe.Operation != arp.OperationRequest || probe.SenderIP != netip.IPv4Unspecified() || probe.TargetIP != four ||
		probe.SenderHardwareAddr.String() != ours.String() || probe.TargetHardwareAddr.String() != "00:00:00:00:00:00" {
		t.Errorf("probe %+v is not that of RFC 5227", probe)
	}
	if reply.Operation != arp.OperationReply || reply.SenderIP != four || reply.TargetIP != other4 || reply.TargetHardwareAddr.String() != theirs.String() {
		t.Errorf("reply %+v", reply)
	}
	packet := unmarshal(t, must(wire.Probe(us, six))).Payload
	group, err := ndp.SolicitedNodeMulticast(six)
	if err != nil {
		t.Fatal(err)
	}
	want, err := ndp.MarshalMessageChecksum(&ndp.NeighborSolicitation{TargetAddress: six,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Source, Addr: net.HardwareAddr(ours[:])}}}, local, group)
	if err != nil {
		t.Fatal(err)
	}
	if got := packet[40:]; !slices.Equal(got, want) || packet[7] != 255 || netip.AddrFrom16([16]byte(packet[24:40])) != group {
		t.Errorf("packet % x, want % x to %s", packet, want, group)
	}
	advertised, err := ndp.ParseMessage(unmarshal(t, must(wire.Reply(us, six, wire.Message{Kind: wire.Solicitation, Hardware: theirs, Sender: remote, Target: six}))).Payload[40:])
	if na, ok := advertised.(*ndp.NeighborAdvertisement); err != nil || !ok || !na.Solicited || !na.Override || na.Router || na.TargetAddress != six {
		t.Errorf("advertisement %+v, %v", advertised, err)
	}
}

func TestGivenMessagesOfOthersWhenReadThenWhatTheyMeanForTheAddressIsRight(t *testing.T) {
	rows := map[string]struct {
		message wire.Message
		address netip.Addr
		want    wire.Relation
	}{
		"the owner asks for another":    {wire.Message{Kind: wire.ARPRequest, Sender: four, Target: other4}, four, wire.Claims},
		"the owner answers another":     {wire.Message{Kind: wire.ARPReply, Sender: four, Target: other4}, four, wire.Claims},
		"another answers the owner":     {wire.Message{Kind: wire.ARPReply, Sender: other4, Target: four}, four, wire.Unrelated},
		"a reply from nowhere":          {wire.Message{Kind: wire.ARPReply, Sender: netip.IPv4Unspecified(), Target: four}, four, wire.Unrelated},
		"another asks for it":           {wire.Message{Kind: wire.ARPRequest, Sender: other4, Target: four}, four, wire.Asks},
		"another probes for it":         {wire.Message{Kind: wire.ARPRequest, Sender: netip.IPv4Unspecified(), Target: four}, four, wire.Probes},
		"the owner solicits another":    {wire.Message{Kind: wire.Solicitation, Sender: six, Target: other6}, six, wire.Claims},
		"another tests it":              {wire.Message{Kind: wire.Solicitation, Sender: netip.IPv6Unspecified(), Target: six}, six, wire.Probes},
		"another solicits it":           {wire.Message{Kind: wire.Solicitation, Sender: remote, Target: six}, six, wire.Asks},
		"a neighbor advertises it":      {wire.Message{Kind: wire.Advertisement, Sender: remote, Target: six}, six, wire.Claims},
		"a neighbor advertises another": {wire.Message{Kind: wire.Advertisement, Sender: remote, Target: other6}, six, wire.Unrelated},
		"nobody has the unspecified address": {wire.Message{Kind: wire.Solicitation, Sender: netip.IPv6Unspecified(), Target: six},
			netip.IPv6Unspecified(), wire.Unrelated},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if got := row.message.About(row.address); got != row.want {
				t.Errorf("it %s, want that it %s", got, row.want)
			}
		})
	}
}

// changed returns a copy of the frame with bytes replaced; the checksum of an ICMPv6 message is made right again if fix is set.
func changed(frame []byte, fix bool, at int, bytes ...byte) []byte {
	out := slices.Clone(frame)
	copy(out[at:], bytes)
	if fix {
		fixChecksum(out)
	}
	return out
}

// fixChecksum calculates anew the checksum of the ICMPv6 message in a frame.
func fixChecksum(frame []byte) {
	packet := frame[14:]
	body := packet[40 : 40+int(packet[4])<<8+int(packet[5])]
	body[2], body[3] = 0, 0
	sum := uint32(len(body)) + 58
	for _, part := range [][]byte{packet[8:40], body} {
		for i := 0; i+1 < len(part); i += 2 {
			sum += uint32(part[i])<<8 | uint32(part[i+1])
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	body[2], body[3] = byte(^sum>>8), byte(^sum)
}

func TestGivenMalformedFramesWhenReadThenTheyAreDroppedWithTheReason(t *testing.T) {
	must := one(t)
	request, solicitation, test := must(wire.Probe(us, four)), must(wire.Probe(us, six)), must(wire.Probe(wire.Host{MAC: ours}, six))
	advertisement := announcements(t, us, six)[0]
	rows := map[string]struct {
		frame []byte
		want  wire.Drop
	}{
		"nothing":                                {nil, wire.DropShort},
		"half a header":                          {request[:13], wire.DropShort},
		"IPv4":                                   {changed(request, false, 12, 0x08, 0x00), wire.DropOther},
		"a VLAN tag":                             {changed(request, false, 12, 0x81, 0x00), wire.DropOther},
		"half an ARP packet":                     {request[:14+27], wire.DropShort},
		"ARP for another sort of link":           {changed(request, false, 15, 6), wire.DropARP},
		"ARP for another protocol":               {changed(request, false, 16, 0x86, 0xdd), wire.DropARP},
		"ARP with longer hardware addresses":     {changed(request, false, 18, 7), wire.DropARP},
		"ARP with addresses beyond its end":      {changed(request, false, 18, 200, 200), wire.DropShort},
		"reverse ARP":                            {changed(request, false, 21, 3), wire.DropARP},
		"ARP from a group":                       {changed(request, false, 22, 1), wire.DropSource},
		"ARP from nobody":                        {changed(request, false, 22, 0, 0, 0, 0, 0, 0), wire.DropSource},
		"ARP in a frame from a group":            {changed(request, false, 6, 0xff), wire.DropSource},
		"half an IPv6 header":                    {solicitation[:14+39], wire.DropShort},
		"half a solicitation":                    {solicitation[:14+40+20], wire.DropShort},
		"an empty IPv6 packet":                   {changed(solicitation, false, 18, 0, 0), wire.DropShort},
		"version 4 in an IPv6 frame":             {changed(solicitation, false, 14, 0x40), wire.DropOther},
		"UDP":                                    {changed(solicitation, false, 20, 17), wire.DropOther},
		"an echo request":                        {changed(solicitation, true, 54, 128), wire.DropOther},
		"a router advertisement":                 {changed(solicitation, true, 54, 134), wire.DropOther},
		"a solicitation through a router":        {changed(solicitation, false, 21, 254), wire.DropHopLimit},
		"a wrong checksum":                       {changed(solicitation, false, 56, 0xbe, 0xef), wire.DropChecksum},
		"another code":                           {changed(solicitation, true, 55, 1), wire.DropMessage},
		"a solicitation from a group":            {changed(solicitation, true, 22, 0xff, 0x02), wire.DropSource},
		"a solicitation in a frame from a group": {changed(solicitation, false, 6, 0x33), wire.DropSource},
		"a solicitation of a group":              {changed(solicitation, true, 62, 0xff, 0x02), wire.DropMessage},
		"a solicitation of nobody":               {changed(solicitation, true, 62, make([]byte, 16)...), wire.DropMessage},
		"an option without length":               {changed(solicitation, true, 79, 0), wire.DropMessage},
		"an option beyond the end":               {changed(solicitation, true, 79, 2), wire.DropMessage},
		"a group as link-layer address":          {changed(solicitation, true, 80, 0x33), wire.DropMessage},
		"a test to a group that is not its own":  {changed(test, true, 53, 0x11), wire.DropMessage},
		"a test with a link-layer address":       {changed(solicitation, true, 22, make([]byte, 16)...), wire.DropMessage},
		"an advertisement from nobody":           {changed(advertisement, true, 22, make([]byte, 16)...), wire.DropMessage},
		"an advertisement to all, as an answer":  {changed(advertisement, true, 58, 0x60), wire.DropMessage},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			if m, err := wire.Parse(row.frame); err != error(row.want) { //nolint:errorlint // a Drop is never wrapped
				t.Errorf("%+v, %v, want it dropped: %v", m, err, row.want)
			}
		})
	}
}

func TestGivenHardwareAddressesWhenParsedThenOnlyThoseOfOneHostAreTaken(t *testing.T) {
	for text, want := range map[string]bool{
		"02:00:00:00:00:01": true, "00:00:00:00:00:00": false, "ff:ff:ff:ff:ff:ff": false, "01:00:5e:00:00:01": false,
		"02:00:00:00:00:00:00:01": false,
	} {
		hardware, err := net.ParseMAC(text)
		if err != nil {
			t.Fatal(err)
		}
		if got, ok := wire.ParseMAC(hardware); ok != want || ok && got.String() != text {
			t.Errorf("%s gives %s, %t, want %t", text, got, ok, want)
		}
	}
}

func TestGivenFiltersWhenFramesComeThenThoseAboutTheAddressesPass(t *testing.T) {
	many := func(family netip.Addr, n int) []netip.Addr {
		list := make([]netip.Addr, n)
		for i := range list {
			family = family.Next()
			list[i] = family
		}
		return list
	}
	must := one(t)
	udp := changed(must(wire.Probe(us, six)), false, 20, 17)
	routers := changed(must(wire.Probe(us, six)), false, 54, 134)
	claim4, claim6 := announcements(t, them, four)[0], announcements(t, them, six)[0]
	rows := map[string]struct {
		filter    func(...netip.Addr) ([]bpf.RawInstruction, error)
		addresses []netip.Addr
		frame     []byte
		pass      bool
	}{
		"ARP asks for it":                  {wire.ARPFilter, []netip.Addr{four}, must(wire.Probe(us, four)), true},
		"ARP asks for another":             {wire.ARPFilter, []netip.Addr{four}, must(wire.Probe(us, other4)), false},
		"ARP claims it":                    {wire.ARPFilter, []netip.Addr{other4, four}, claim4, true},
		"ARP, all wanted":                  {wire.ARPFilter, nil, claim4, true},
		"ARP about the last of the most":   {wire.ARPFilter, append(many(other4, 99), four), claim4, true},
		"ARP about none of the most":       {wire.ARPFilter, many(other4, 100), claim4, false},
		"ARP with too many to compare":     {wire.ARPFilter, many(other4, 101), claim4, true},
		"NDP asks for it":                  {wire.NDPFilter, []netip.Addr{six}, must(wire.Probe(us, six)), true},
		"NDP asks for another":             {wire.NDPFilter, []netip.Addr{six}, must(wire.Probe(us, other6)), false},
		"NDP claims it":                    {wire.NDPFilter, []netip.Addr{other6, six}, claim6, true},
		"NDP, all wanted":                  {wire.NDPFilter, nil, claim6, true},
		"NDP about the last of the most":   {wire.NDPFilter, append(many(other6, 99), six), claim6, true},
		"NDP about none of the most":       {wire.NDPFilter, many(other6, 100), claim6, false},
		"UDP between the same":             {wire.NDPFilter, []netip.Addr{six}, udp, false},
		"UDP, all of NDP wanted":           {wire.NDPFilter, nil, udp, false},
		"routers, all neighbors wanted":    {wire.NDPFilter, nil, routers, false},
		"something too short to have them": {wire.NDPFilter, []netip.Addr{six}, udp[:40], false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			raw, err := row.filter(row.addresses...)
			if err != nil {
				t.Fatal(err)
			}
			program, ok := bpf.Disassemble(raw)
			if !ok {
				t.Fatal("the program has instructions that are none")
			}
			vm, err := bpf.NewVM(program)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := vm.Run(row.frame); err != nil || (n > 0) != row.pass {
				t.Errorf("%d bytes pass, %v, want that it passes: %t", n, err, row.pass)
			}
		})
	}
}

func TestGivenAnAddressOfNoFamilyWhenAFrameIsMadeThenAnErrorNamesIt(t *testing.T) {
	if frame, err := wire.Probe(us, netip.Addr{}); err == nil {
		t.Errorf("% x, want an error", frame)
	}
	if frame, err := wire.Reply(us, four, wire.Message{Kind: wire.Solicitation, Hardware: theirs, Sender: remote}); err == nil {
		t.Errorf("% x for an IPv4 address to an IPv6 sender, want an error", frame)
	}
}

func FuzzParse(f *testing.F) {
	must := one(f)
	for _, address := range []netip.Addr{four, six} {
		f.Add(must(wire.Probe(us, address)))
		f.Add(must(wire.Probe(wire.Host{MAC: ours}, address)))
		for _, frame := range announcements(f, us, address) {
			f.Add(frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := wire.Parse(frame)
		if err != nil {
			drop, ok := err.(wire.Drop) //nolint:errorlint // a Drop is never wrapped
			if !ok || !slices.Contains(wire.Drops(), drop) || m != (wire.Message{}) {
				t.Fatalf("message %+v with error %v, want none with a Drop", m, err)
			}
			return
		}
		if m.Kind.String() == "no message" || !m.Sender.IsValid() || !m.Target.IsValid() || m.Sender.Is4() != m.Target.Is4() {
			t.Fatalf("message %+v is not whole", m)
		}
		for _, address := range []netip.Addr{m.Sender, m.Target} {
			m.About(address)
		}
		// Whoever asks can be answered, and the answer is well-formed.
		if relation := m.About(m.Target); relation == wire.Asks || relation == wire.Probes {
			reply, err := wire.Reply(us, m.Target, m)
			if err != nil {
				t.Fatalf("no answer to %+v: %v", m, err)
			}
			if answer := parse(t, reply); answer.About(m.Target) != wire.Claims {
				t.Fatalf("answer %+v to %+v does not claim %s", answer, m, m.Target)
			}
		}
	})
}
