package members_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/memberlist"

	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// local is a member in this process, on an address of the loopback of its own.
type local struct {
	testing.TB
	*members.Members
	name string
}

const localPort = 17946

func localAddr(i int) netip.Addr { return netip.AddrFrom4([4]byte{127, 0, 79, byte(i)}) }

// startLocal starts member number i, which is told of peers 1 to n.
func startLocal(tb testing.TB, i, n int, o members.Options) *local {
	tb.Helper()
	logger, err := logging.New(tb.Output(), "warn")
	if err != nil {
		tb.Fatal(err)
	}
	o.Name, o.BindAddr, o.BindPort, o.Log = localName(i), localAddr(i), localPort, logger
	m, err := members.Start(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = m.Leave(context.Background()) })
	var peers []members.Peer
	for j := range n {
		peers = append(peers, members.Peer{Name: localName(j + 1), Addr: localAddr(j + 1)})
	}
	m.SetPeers(peers)
	return &local{tb, m, o.Name}
}

func localName(i int) string { return "m" + string(rune('a'+i-1)) }

func (l *local) names() string {
	var names []string
	for _, m := range l.Snapshot().Alive {
		names = append(names, m.Name)
	}
	return strings.Join(names, " ")
}

// await waits for the members to be these.
func (l *local) await(names string) {
	l.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for l.names() != names {
		select {
		case <-l.Changed():
		case <-limit.C:
			l.Fatalf("%s sees %q, want %q", l.name, l.names(), names)
		}
	}
}

func TestGivenASpeakerOfMetalLBWhenItHasTheSameSecretThenItIsAMemberWithUnknownLinks(t *testing.T) {
	const secret = "nVq0sO1zVJ3Yb3cKj2sX0v7zq1l1N0h3dJ5hHk2wS9uQ8mTqf4o="
	folder := t.TempDir()
	writeFile(t, filepath.Join(folder, "secretkey"), secret)
	own := startLocal(t, 1, 2, members.Options{SecretPath: folder, Links: []string{"eth0"}})
	// As MetalLB configures it: the settings for one network, and the beginning of the secret for a key.
	config := memberlist.DefaultLANConfig()
	config.Name, config.BindAddr, config.BindPort, config.AdvertisePort = localName(2), localAddr(2).String(), localPort, localPort
	config.SecretKey = []byte(secret[:32])
	config.Logger = log.New(io.Discard, "", 0)
	theirs, err := memberlist.Create(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = theirs.Shutdown() })
	own.await("ma mb")
	if alive := own.Snapshot().Alive; alive[1].Links != nil || !slices.Equal(alive[0].Links, []string{"eth0"}) {
		t.Errorf("members %+v, want unknown links of the other", alive)
	}
	if n := theirs.NumMembers(); n != 2 {
		t.Errorf("the other sees %d members, want 2", n)
	}
	if err := own.Leave(t.Context()); err != nil {
		t.Error(err)
	}
}

// awaitWord waits until this member sees that of a name with these links and that much withheld.
func (l *local) awaitWord(name string, links []string, withheld int) {
	l.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for {
		alive := l.Snapshot().Alive
		i := slices.IndexFunc(alive, func(m members.Member) bool { return m.Name == name })
		if i >= 0 && slices.Equal(alive[i].Links, links) && (alive[i].Links == nil) == (links == nil) && alive[i].Withheld == withheld {
			return
		}
		select {
		case <-l.Changed():
		case <-limit.C:
			l.Fatalf("%s sees %+v, want %s with the links %q and %d %% withheld", l.name, alive, name, links, withheld)
		}
	}
}

func TestGivenAMemberWhenItSpeaksOfItsNodeInManyWaysAtOnceThenInTheEndAllHaveHeardTheLastOfEach(t *testing.T) {
	first := startLocal(t, 1, 2, members.Options{Links: []string{"eth0"}, Withheld: 100})
	second := startLocal(t, 2, 2, members.Options{})
	second.awaitWord("ma", []string{"eth0"}, 100)
	first.awaitWord("mb", nil, 0)
	const steps = 5
	for round := range 5 {
		last := []string{fmt.Sprintf("eth%d", round)}
		var speakers sync.WaitGroup
		speakers.Go(func() {
			for step := range steps {
				first.SetWithheld(99 - round - step)
			}
		})
		speakers.Go(func() {
			for step := range steps - 1 {
				first.SetLinks([]string{fmt.Sprintf("vlan%d", step)})
			}
			first.SetLinks(last)
		})
		speakers.Wait()
		for _, m := range []*local{first, second} {
			m.awaitWord("ma", last, 99-round-(steps-1))
		}
	}
	first.SetWithheld(0)
	first.SetLinks(nil)
	for _, m := range []*local{first, second} {
		m.awaitWord("ma", nil, 0)
	}
}

func TestGivenAMemberThatSaysTheSameAgainWhenToldThenNobodyHearsOfIt(t *testing.T) {
	first := startLocal(t, 1, 2, members.Options{Links: []string{"eth0", "eth1"}})
	second := startLocal(t, 2, 2, members.Options{Withheld: 100})
	first.awaitWord("mb", nil, 100)
	second.awaitWord("ma", []string{"eth0", "eth1"}, 0)
	before := second.Snapshot()
	first.SetLinks([]string{"eth1", "eth0", "eth1"})
	first.SetWithheld(-5)
	second.SetWithheld(200)
	second.SetWithheld(99) // what was said before it has been heard when this is
	first.awaitWord("mb", nil, 99)
	second.awaitWord("mb", nil, 99)
	after := second.Snapshot()
	if before.Equal(after) {
		t.Errorf("%+v equals %+v", before, after)
	}
	after.Alive = slices.Clone(after.Alive) // a Snapshot does not change
	if after.Alive[1].Withheld = 100; !before.Equal(after) {
		t.Errorf("the others changed: before %+v, after %+v", before, after)
	}
}

func writeFile(tb testing.TB, path, content string) {
	tb.Helper()
	// In one step, as a mounted Secret changes.
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		tb.Fatal(err)
	}
}

func TestGivenThreeMembersWhenTheSecretChangesForEachAtAnotherTimeThenTheyNeverLoseEachOther(t *testing.T) {
	const grace = 2 * time.Second
	was, is := strings.Repeat("old-", 8), strings.Repeat("new-", 8)
	var all []*local
	var files []string
	for i := range 3 {
		files = append(files, filepath.Join(t.TempDir(), "secretkey"))
		writeFile(t, files[i], was)
		all = append(all, startLocal(t, i+1, 3, members.Options{SecretPath: files[i], Grace: grace}))
	}
	for _, m := range all {
		m.await("ma mb mc")
	}
	// From here on, nothing may change for the others: at each of the times below, none has had news.
	for _, m := range all {
		select {
		case <-m.Changed():
		default:
		}
	}
	tick := time.NewTicker(grace / 3)
	defer tick.Stop()
	for step := range 14 {
		if step < 3 {
			writeFile(t, files[step], is)
		}
		<-tick.C
		for _, m := range all {
			select {
			case <-m.Changed():
				t.Fatalf("in step %d %s saw a change: %+v", step, m.name, m.Snapshot())
			default:
			}
		}
	}
	// Now the new key is the only one.
	newcomer := filepath.Join(t.TempDir(), "secretkey")
	writeFile(t, newcomer, is)
	startLocal(t, 4, 3, members.Options{SecretPath: newcomer}).await("ma mb mc md")
	outdated := filepath.Join(t.TempDir(), "secretkey")
	writeFile(t, outdated, was)
	late := startLocal(t, 5, 3, members.Options{SecretPath: outdated})
	late.awaitAlone()
}

// awaitAlone waits until the member has tried to join the others in vain.
func (l *local) awaitAlone() {
	l.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	for !l.Snapshot().Quorate {
		select {
		case <-l.Changed():
		case <-limit.C:
			l.Fatalf("%s has not tried to join anybody: %+v", l.name, l.Snapshot())
		}
	}
	if l.names() != l.name {
		l.Errorf("%s sees %q, want itself only", l.name, l.names())
	}
}

func TestGivenAWrongTuningFileWhenStartedThenItIsReportedAndTheMemberWorks(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, path, `{"ProbeInterval": "never"}`)
	var out bytes.Buffer
	o := members.Options{Name: "ma", BindAddr: localAddr(1), BindPort: localPort, TuningPath: path, Log: slog.New(slog.NewTextHandler(&out, nil))}
	m, err := members.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Leave(t.Context()); err != nil {
		t.Error(err)
	}
	if !strings.Contains(out.String(), "ProbeInterval is") {
		t.Errorf("log %s lacks what is wrong", out.String())
	}
	if s := m.Snapshot(); len(s.Alive) != 1 || s.Quorate {
		t.Errorf("snapshot %+v, want the member alone and not yet claiming", s)
	}
}

// deafTo is a transport that reaches everybody but one.
type deafTo struct {
	*memberlist.NetTransport
	addr string
}

// WriteToAddress implements memberlist.NodeAwareTransport.
func (d *deafTo) WriteToAddress(b []byte, a memberlist.Address) (time.Time, error) {
	if strings.HasPrefix(a.Addr, d.addr+":") {
		return time.Now(), nil
	}
	return d.NetTransport.WriteToAddress(b, a)
}

// DialAddressTimeout implements memberlist.NodeAwareTransport.
func (d *deafTo) DialAddressTimeout(a memberlist.Address, timeout time.Duration) (net.Conn, error) {
	if strings.HasPrefix(a.Addr, d.addr+":") {
		return nil, errors.New("cut")
	}
	return d.NetTransport.DialAddressTimeout(a, timeout)
}

// syncBuffer is written by several goroutines.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func TestGivenAMemberThatDeclaresALivingOneDeadWhenTheOthersHearThenTheyKeepIt(t *testing.T) {
	var out syncBuffer
	second := startLocal(t, 2, 2, members.Options{})
	o := members.Options{Name: localName(1), BindAddr: localAddr(1), BindPort: localPort, Log: slog.New(slog.NewTextHandler(&out, nil))}
	m, err := members.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Leave(context.Background()) })
	m.SetPeers([]members.Peer{{Name: localName(2), Addr: localAddr(2)}})
	first := &local{t, m, localName(1)}
	first.await("ma mb")
	second.await("ma mb")

	quiet := log.New(io.Discard, "", 0)
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{localAddr(3).String()}, BindPort: localPort, Logger: quiet})
	if err != nil {
		t.Fatal(err)
	}
	config := memberlist.DefaultLANConfig()
	config.Name, config.BindAddr, config.BindPort, config.AdvertisePort = localName(3), localAddr(3).String(), localPort, localPort
	config.Transport, config.Logger = &deafTo{inner, localAddr(2).String()}, quiet
	config.ProbeInterval, config.ProbeTimeout, config.SuspicionMult, config.GossipInterval = 20*time.Millisecond, 5*time.Millisecond, 1, time.Millisecond
	config.IndirectChecks = 0
	liar, err := memberlist.Create(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = liar.Shutdown() })
	if _, err := liar.Join([]string{localAddr(1).String()}); err != nil {
		t.Fatal(err)
	}
	first.await("ma mb mc")
	limit := time.Now().Add(patience)
	for told := 0; told < 5; time.Sleep(time.Millisecond) {
		if first.names() != "ma mb mc" {
			t.Fatalf("it lost the living one: %q\n%s", first.names(), out.String())
		}
		told = strings.Count(out.String(), `"node name"=mb "node addr"=`+localAddr(2).String()+` "node event"=NodeLeave`)
		if time.Now().After(limit) {
			t.Fatalf("gossip said %d times that it is dead, want 5\n%s", told, out.String())
		}
	}
}
