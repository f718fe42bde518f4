package l2

import (
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

var (
	ours   = wire.MAC{2, 0, 0, 0, 0, 1}
	second = wire.MAC{2, 0, 0, 0, 0, 2} // another link of this node
	theirs = wire.MAC{2, 0, 0, 0, 0, 9}
	all    = wire.MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

	us    = wire.Host{MAC: ours, LinkLocal: netip.MustParseAddr("fe80::1")}
	four  = netip.MustParseAddr("192.0.2.10")
	six   = netip.MustParseAddr("2001:db8::10")
	his4  = netip.MustParseAddr("192.0.2.77")
	his6  = netip.MustParseAddr("fe80::77")
	start = time.Unix(1_000_000, 0)
)

// holder is a keeper that has held an address long enough for claims to count, and announced it.
func holder(address netip.Addr) *keeper {
	k := newKeeper(us, "eth0", newTurns(address.Is4(), 0))
	k.own = map[wire.MAC]struct{}{ours: {}, second: {}}
	k.keep([]netip.Addr{address}, start.Add(-time.Hour))
	for now := start.Add(-time.Hour); ; now = now.Add(100 * time.Millisecond) {
		if _, wait, _ := k.due(now); wait < 0 || wait > 2*time.Second {
			return k
		}
	}
}

func TestGivenMessagesWhenHeardThenOnlyQuestionsForOwnAddressesAreAnsweredAndOnlyForeignClaimsAreConflicts(t *testing.T) {
	none := netip.IPv4Unspecified()
	rows := map[string]struct {
		message wire.Message
		want    verdict
	}{
		"a request": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: theirs, Hardware: theirs, Sender: his4, Target: four}, verdict{answer: true}},
		"a request to this node only": {wire.Message{Kind: wire.ARPRequest, Destination: ours, Source: theirs, Hardware: theirs, Sender: his4, Target: four},
			verdict{answer: true}},
		"a request to another host": {wire.Message{Kind: wire.ARPRequest, Destination: second, Source: theirs, Hardware: theirs, Sender: his4, Target: four},
			verdict{drop: DropUnrelated}},
		"a probe": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: theirs, Hardware: theirs, Sender: none, Target: four}, verdict{answer: true}},
		"a request for another address": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: theirs, Hardware: theirs, Sender: his4, Target: four.Next()},
			verdict{drop: DropUnrelated}},
		"a request of this node's other link": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: second, Hardware: second, Sender: his4, Target: four},
			verdict{drop: DropOwn}},
		"an announcement of this node's other link": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: second, Hardware: second, Sender: four, Target: four},
			verdict{drop: DropOwn}},
		"an announcement of this node that a switch sent back": {wire.Message{Kind: wire.ARPReply, Destination: all, Source: ours, Hardware: ours, Sender: four, Target: four},
			verdict{drop: DropOwn}},
		"a foreign announcement": {wire.Message{Kind: wire.ARPRequest, Destination: all, Source: theirs, Hardware: theirs, Sender: four, Target: four},
			verdict{conflict: true, news: true}},
		"a foreign reply": {wire.Message{Kind: wire.ARPReply, Destination: ours, Source: theirs, Hardware: theirs, Sender: four, Target: his4},
			verdict{conflict: true, news: true}},
		"a reply to the address": {wire.Message{Kind: wire.ARPReply, Destination: ours, Source: theirs, Hardware: theirs, Sender: his4, Target: four},
			verdict{drop: DropUnrelated}},
		"a solicitation": {wire.Message{Kind: wire.Solicitation, Destination: wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x10}, Source: theirs, Hardware: theirs, Sender: his6, Target: six},
			verdict{answer: true}},
		"a test": {wire.Message{Kind: wire.Solicitation, Destination: wire.MAC{0x33, 0x33, 0xff, 0, 0, 0x10}, Source: theirs, Hardware: theirs, Sender: netip.IPv6Unspecified(), Target: six},
			verdict{answer: true}},
		"a foreign advertisement": {wire.Message{Kind: wire.Advertisement, Destination: wire.MAC{0x33, 0x33, 0, 0, 0, 1}, Source: theirs, Hardware: theirs, Sender: his6, Target: six},
			verdict{conflict: true, news: true}},
		"a foreign use": {wire.Message{Kind: wire.Solicitation, Destination: wire.MAC{0x33, 0x33, 0xff, 0, 0, 2}, Source: theirs, Hardware: theirs, Sender: six, Target: six.Next()},
			verdict{conflict: true, news: true}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			k := holder(four)
			if row.message.Target.Is6() {
				k = holder(six)
			}
			if got := k.hear(row.message, start); got != row.want {
				t.Errorf("verdict %+v, want %+v", got, row.want)
			}
		})
	}
}

func claim(from wire.MAC) wire.Message {
	return wire.Message{Kind: wire.ARPRequest, Destination: all, Source: from, Hardware: from, Sender: four, Target: four}
}

func TestGivenAHostThatInsistsWhenItClaimsAnAddressThenThatIsOneConflictDefendedOnceInTenSecondsAndOverAfterAMinuteOfPeace(t *testing.T) {
	k := holder(four)
	news, defended := 0, []time.Duration(nil)
	for at := time.Duration(0); at <= 25*time.Second; at += 100 * time.Millisecond {
		if k.hear(claim(theirs), start.Add(at)).news {
			news++
		}
		if a, _, _ := k.due(start.Add(at)); a == four {
			defended = append(defended, at)
		}
	}
	if news != 1 || !slices.Equal(defended, []time.Duration{0, 10 * time.Second, 20 * time.Second}) {
		t.Errorf("%d conflicts, defended after %v, want 1, after 0, 10 and 20 s", news, defended)
	}
	last := start.Add(25 * time.Second)
	want := Conflict{Address: four, Link: "eth0", Hardware: theirs, Since: start, Last: last, Ongoing: true}
	if got := k.holdings[four].conflict; got != want {
		t.Errorf("conflict %+v, want %+v", got, want)
	}
	if _, wait, over := k.due(last.Add(peace - time.Second)); over || wait != time.Second {
		t.Errorf("over: %t, asks to be called in %v, want a second more", over, wait)
	}
	if _, wait, over := k.due(last.Add(peace)); !over || wait >= 0 || k.holdings[four].conflict.Ongoing {
		t.Errorf("over: %t, asks to be called in %v, conflict %+v, want it over", over, wait, k.holdings[four].conflict)
	}
	if !k.hear(claim(theirs), last.Add(2*peace)).news {
		t.Error("a claim after the peace is no news, want a new conflict")
	}
}

func TestGivenAnAddressJustGainedWhenItsFormerOwnersLastWordsArriveThenTheyAreNoConflict(t *testing.T) {
	k := newKeeper(us, "eth0", newTurns(true, 0))
	k.keep([]netip.Addr{four}, start)
	if v := k.hear(claim(theirs), start.Add(settling-1)); v.news || len(k.disputed) > 0 {
		t.Errorf("verdict %+v within the first second, want no conflict", v)
	}
	if v := k.hear(claim(theirs), start.Add(settling)); !v.news {
		t.Errorf("verdict %+v after it, want a conflict", v)
	}
}

// announcements returns when each address is announced, from start on, until nothing is left or the limit is reached.
func announcements(k *keeper, limit time.Duration) map[netip.Addr][]time.Duration {
	at := map[netip.Addr][]time.Duration{}
	for now := start; now.Sub(start) <= limit; {
		a, wait, _ := k.due(now)
		switch {
		case a.IsValid():
			at[a] = append(at[a], now.Sub(start))
		case wait < 0:
			return at
		default:
			now = now.Add(wait)
		}
	}
	return at
}

func TestGivenAnAddressThatWasGainedWhenTimePassesThenItIsAnnouncedInABurstAndThenEveryInterval(t *testing.T) {
	ms := func(list ...int) []time.Duration {
		var d []time.Duration
		for _, n := range list {
			d = append(d, time.Duration(n)*time.Millisecond)
		}
		return d
	}
	burst := ms(0, 150, 1100, 2200, 3300, 4400)
	for interval, want := range map[time.Duration][]time.Duration{
		0:                burst,
		10 * time.Second: append(slices.Clone(burst), ms(14400, 24400)...),
	} {
		k := newKeeper(us, "eth0", newTurns(true, interval))
		k.keep([]netip.Addr{four}, start)
		if got := announcements(k, 30*time.Second)[four]; !slices.Equal(got, want) {
			t.Errorf("with interval %v announced at %v, want %v", interval, got, want)
		}
		if changed, gained := k.keep([]netip.Addr{four}, start.Add(time.Minute)); changed || gained {
			t.Errorf("the same again: changed %t, gained %t, want nothing", changed, gained)
		}
	}
}

func many(n int) []netip.Addr {
	list := make([]netip.Addr, n)
	for i, a := 0, netip.MustParseAddr("198.18.0.1"); i < n; i, a = i+1, a.Next() {
		list[i] = a
	}
	return list
}

func TestGivenAThousandAddressesAtOnceWhenTheyAreGainedThenAllAreAnnouncedInASecondBeforeAnyRepeatsAndTheLinkIsNotFlooded(t *testing.T) {
	k := newKeeper(us, "eth0", newTurns(true, 0))
	k.keep(many(1000), start)
	at := announcements(k, time.Minute)
	var frames []time.Duration
	lastFirst, firstRepeat := time.Duration(0), time.Hour
	for a, times := range at {
		if len(times) != len(pauses)+1 {
			t.Fatalf("%s is announced %d times, want %d", a, len(times), len(pauses)+1)
		}
		lastFirst, firstRepeat = max(lastFirst, times[0]), min(firstRepeat, times[1])
		for _, d := range times {
			frames = append(frames, d, d)
		}
	}
	if len(at) != 1000 || lastFirst > time.Second || firstRepeat < lastFirst {
		t.Errorf("%d addresses, the last first announcement after %v, the first repeat after %v", len(at), lastFirst, firstRepeat)
	}
	slices.Sort(frames)
	for i, from := range frames { // in each second from each frame on
		n, _ := slices.BinarySearch(frames, from+time.Second)
		if n-i > framesPerSecond+framesAtOnce {
			t.Fatalf("%d frames in the second after %v, want %d at most", n-i, from, framesPerSecond+framesAtOnce)
		}
	}
}

func TestGivenAddressesThatAreLostWhenTurnsComeThenTheyAreNotAnnounced(t *testing.T) {
	k := newKeeper(us, "eth0", newTurns(true, time.Second))
	list := many(500)
	k.keep(list, start)
	k.hear(claim(theirs), start)
	k.keep(list[:1], start)
	if got := announcements(k, 10*time.Second); len(got) != 1 || len(got[list[0]]) == 0 {
		t.Errorf("announced are %v, want %s only", got, list[0])
	}
	k.keep(nil, start)
	if a, wait, _ := k.due(start.Add(time.Hour)); a.IsValid() || wait >= 0 {
		t.Errorf("without addresses %s is due, wait %v", a, wait)
	}
}

func TestGivenLinksOfManyStatesWhenAWantIsDividedThenItGoesToThoseThatCanAndAreMeant(t *testing.T) {
	whole := wire.Host{MAC: ours, LinkLocal: netip.MustParseAddr("fe80::1")}
	links := []link.Link{
		{Index: 1, Name: "lo", State: link.Loopback}, {Index: 2, Name: "eth0", State: link.Usable, Host: whole},
		{Index: 3, Name: "eth1", State: link.Usable, Host: wire.Host{MAC: second}}, {Index: 4, Name: "eth2", State: link.Down, Host: whole},
		{Index: 5, Name: "port", State: link.Member, Host: whole}, {Index: 6, Name: "veth7", State: link.Usable, Host: whole},
		{Index: 7, Name: "ifb", State: link.NoARP, Host: whole}, {Index: 8, Name: "tun", State: link.NoEthernet},
	}
	excluded := []*regexp.Regexp{regexp.MustCompile("^veth.*")}
	e := func(a netip.Addr, names ...string) announce.L2Entry {
		return announce.L2Entry{Address: a, Interfaces: names}
	}
	rows := map[string]struct {
		want     announce.L2Entry
		at       []place
		problems []string
	}{
		"IPv4 anywhere":              {e(four), []place{{2, true}, {3, true}}, []string{"eth2 is down"}},
		"IPv6 needs a local address": {e(six), []place{{2, false}}, []string{"eth1 has no usable IPv6 link-local address", "eth2 is down"}},
		"named links only":           {e(four, "eth1"), []place{{3, true}}, nil},
		"an excluded link":           {e(four, "veth7"), nil, []string{"veth7 is excluded by announcedInterfacesToExclude"}},
		"a bridge port":              {e(four, "port"), nil, []string{"port is part of a bond or bridge"}},
		"links of other sorts":       {e(four, "ifb", "lo", "tun"), nil, []string{"ifb does not resolve addresses", "lo is the loopback", "tun has no Ethernet address"}},
		"a missing link":             {e(four, "eth7"), nil, []string{"this node has no link eth7"}},
		"named and none":             {announce.L2Entry{Address: four, Interfaces: []string{}}, nil, []string{"this node has no link to answer on"}},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			r := New(Options{Excluded: excluded})
			if got := r.observe(row.want, nil).Problems; !slices.Equal(got, []string{"the links of this node are not known yet"}) {
				t.Errorf("before links are read the problems are %q", got)
			}
			r.links = links
			r.Apply([]announce.L2Entry{row.want})
			var at []place
			for p, addresses := range divide(r.want, links, excluded) {
				if !slices.Equal(addresses, []netip.Addr{row.want.Address}) {
					t.Errorf("%v has %v", p, addresses)
				}
				at = append(at, p)
			}
			slices.SortFunc(at, func(a, b place) int { return a.index - b.index })
			if !slices.Equal(at, row.at) {
				t.Errorf("answered at %v, want %v", at, row.at)
			}
			for _, p := range row.at { // those that can, are to be opened
				l, _ := r.byIndex(p.index)
				row.problems = append(row.problems, l.Name+": its socket is being opened")
			}
			slices.Sort(row.problems)
			if got := r.Observed(); len(got) != 1 || !slices.Equal(got[0].Problems, row.problems) {
				t.Errorf("observed %+v, want problems %q", got, row.problems)
			}
		})
	}
}

func TestGivenAWantWhenTheSameIsAppliedAgainThenNothingChanges(t *testing.T) {
	r := New(Options{})
	want := []announce.L2Entry{{Address: four}, {Address: six, Interfaces: []string{"eth0"}}}
	for i, row := range []struct {
		want    []announce.L2Entry
		changes bool
	}{
		{nil, false}, {want, true}, {slices.Clone(want), false}, {want[:1], true},
		{[]announce.L2Entry{{Address: four, Interfaces: []string{}}}, true},
	} {
		r.Apply(row.want)
		select {
		case <-r.Changed():
			if !row.changes {
				t.Errorf("step %d changes something, want nothing", i)
			}
		default:
			if row.changes {
				t.Errorf("step %d changes nothing", i)
			}
		}
	}
	if got := r.Counters(); len(got.Addresses) != 1 || len(got.Dropped) != len(Drops()) {
		t.Errorf("counters %+v, want those of one address and all reasons", got)
	}
}

// FuzzHear: whatever comes, only addresses that are held are answered for, and each answer can be made.
func FuzzHear(f *testing.F) {
	client := wire.Host{MAC: theirs, LinkLocal: his6}
	for _, a := range []netip.Addr{four, six} {
		frame, err := wire.Probe(client, a)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
		frames, err := wire.Announcements(client, a)
		if err != nil {
			f.Fatal(err)
		}
		for _, frame := range frames {
			f.Add(frame)
		}
	}
	keepers := map[bool]*keeper{true: holder(four), false: holder(six)}
	now := start
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := wire.Parse(frame)
		if err != nil {
			if !slices.Contains(Drops(), reason(err)) {
				t.Fatalf("%v is counted as %q, which is no reason", err, reason(err))
			}
			return
		}
		now = now.Add(time.Second)
		k := keepers[m.Target.Is4()]
		v := k.hear(m, now)
		if v.answer {
			reply, err := wire.Reply(us, m.Target, m)
			if err != nil || k.holdings[m.Target] == nil {
				t.Fatalf("answer %x to %+v, %v", reply, m, err)
			}
		}
		if (v.drop == "") == (!v.answer && !v.conflict) || v.news && !v.conflict {
			t.Fatalf("verdict %+v on %+v contradicts itself", v, m)
		}
		k.due(now)
	})
}
