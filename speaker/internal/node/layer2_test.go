package node_test

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// wire is what a node answers for, with when each want came.
type wire struct {
	mu   sync.Mutex
	want []string
	at   time.Time
	told int
}

func (w *wire) Apply(entries []announce.L2Entry) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.want, w.at = nil, time.Now()
	w.told++
	for _, e := range entries {
		w.want = append(w.want, e.Address.String())
	}
}

func (w *wire) answers() (string, time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.want, " "), w.at
}

// others are the members that a test says there are.
type others struct {
	mu   sync.Mutex
	seen members.Snapshot
}

func (o *others) Snapshot() members.Snapshot {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.seen
}

// segment is a node n1 beside others, with an L2Advertisement instead of the one for BGP.
type segment struct {
	*testing.T
	*bench
	*wire
	*others
}

// see changes who is alive.
func (s *segment) see(quorate bool, alive ...members.Member) {
	s.others.mu.Lock()
	s.seen = members.Snapshot{Alive: alive, Quorate: quorate}
	s.others.mu.Unlock()
	s.trigger.Pull()
}

func member(name string) members.Member { return members.Member{Name: name} }

// answered fails the test unless exactly these addresses are answered for.
func (s *segment) answered(when, want string) {
	s.Helper()
	synctest.Wait()
	if got, _ := s.answers(); got != want {
		s.Errorf("%s: answers for %q, want %q", when, got, want)
	}
}

// change changes the view as the API would.
func (s *segment) change(how func(*node.View)) {
	s.bench.mu().Lock()
	s.view.Version++
	s.view.ConfigVersion++
	how(&s.view)
	s.bench.mu().Unlock()
	s.trigger.Pull()
}

func runLayer2(t *testing.T, then func(*segment)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		trigger := node.NewTrigger()
		s := &segment{T: t, bench: &bench{source: newSource(trigger), reloader: &reloader{events: make(chan frr.Event)}, publisher: &publisher{}},
			wire: &wire{}, others: &others{seen: members.Snapshot{Alive: []members.Member{member("n1")}, Quorate: true}}}
		raw := &s.view.Raw
		raw.L2Advertisements = []intent.RawL2Advertisement{{Meta: raw.BGPAdvertisements[0].Meta}}
		raw.Nodes = []intent.RawNode{{Name: "n1"}, {Name: "n2"}}
		s.view.Nodes = []announce.NodeInfo{{Name: "n1"}, {Name: "n2"}}
		s.bench.loop = node.New(node.Options{
			Node: "n1", Conf: frrconf.Options{Hostname: "n1"}, Trigger: trigger, Source: s.source, FRR: s.reloader, Layer2: s.wire, Membership: s.others,
			Publisher: s.publisher, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
		})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		close(s.synced)
		go func() { ended <- s.loop.Start(ctx) }()
		synctest.Wait()
		then(s)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
}

// Addresses of which the hash (rule L3) gives the one to n1 and the other to n2.
const ofN1, ofN2 = "10.0.0.2", "10.0.0.1"

func TestGivenAServiceWhenItAppearsThenItIsAnsweredForAtOnceAndReportedWithoutWaitingForFRR(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.takes = time.Hour // FRR is at work
		s.announce(ofN1)
		start := time.Now()
		s.answered("alone", ofN1)
		if _, at := s.answers(); at != start {
			s.Errorf("answered after %v, want at once", at.Sub(start))
		}
		s.announce(ofN2)
		s.answered("while FRR is being given the first", ofN2+" "+ofN1)
		r := s.last(s.T)
		if r.Outcome != node.Pending || r.InForce {
			s.Errorf("reported %v, in force %t, want Pending", r.Outcome, r.InForce)
		}
		if n := len(r.Node.L2); n != 2 {
			s.Errorf("reported %d addresses on layer 2, want 2", n)
		}
	})
}

func TestGivenTwoMembersWhenOneDiesThenItsAddressesAreAnsweredForAtOnce(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.see(true, member("n1"), member("n2"))
		s.announce(ofN1)
		s.announce(ofN2)
		s.answered("both alive", ofN1)
		start := time.Now()
		s.see(true, member("n1"))
		s.answered("the other is dead", ofN2+" "+ofN1)
		if _, at := s.answers(); at != start {
			s.Errorf("took over after %v, want at once", at.Sub(start))
		}
		told := s.told
		s.trigger.Pull()
		s.see(true, member("n1"))
		s.answered("nothing new", ofN2+" "+ofN1)
		if s.told != told {
			s.Error("layer 2 was told although nothing changed")
		}
	})
}

func TestGivenALivingOwnerWhenItsAddressMovesHereThenItIsLeftToItForTheHandover(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.see(true, member("n1"), member("n2"))
		s.announce(ofN2)
		s.answered("the other's", "")
		start := time.Now()
		s.change(func(v *node.View) { v.Nodes = []announce.NodeInfo{{Name: "n1"}, {Name: "n2", Excluded: true}} })
		s.answered("at the moment of the move", "")
		time.Sleep(time.Second)
		s.answered("later", ofN2)
		if _, at := s.answers(); at.Sub(start) != 100*time.Millisecond {
			s.Errorf("answered after %v, want 100 ms", at.Sub(start))
		}
		s.change(func(v *node.View) { v.Nodes = []announce.NodeInfo{{Name: "n1"}, {Name: "n2"}} })
		gone := time.Now()
		s.answered("it moves back", "")
		if _, at := s.answers(); at != gone {
			s.Errorf("given up after %v, want at once", at.Sub(gone))
		}
	})
}

func TestGivenAHandoverWhenTheOldOwnerDiesOrTheAddressGoesThenItsEndIsWaitedForAndNothingWrongIsAnswered(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.see(true, member("n1"), member("n2"))
		s.announce(ofN2)
		s.change(func(v *node.View) { v.Nodes = []announce.NodeInfo{{Name: "n1"}, {Name: "n2", Excluded: true}} })
		synctest.Wait()
		s.change(func(v *node.View) { v.Services = nil })
		time.Sleep(time.Second)
		s.answered("the Service was deleted during the handover", "")
	})
}

func TestGivenASpeakerThatStartsBesideOthersWhenItMayClaimThenItLeavesThemTheTimeToStop(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.see(false, member("n1"))
		s.announce(ofN1)
		s.answered("before it met the others", "")
		if r := s.last(s.T); !slices.ContainsFunc(r.Node.Verdicts, func(v *announce.Verdict) bool { return v.Reason.Code == announce.ReasonNotQuorate }) {
			s.Errorf("verdicts %+v, want the reason", r.Node.Verdicts)
		}
		start := time.Now()
		s.see(true, member("n1"), member("n2"))
		s.answered("it just met them", "")
		time.Sleep(2 * time.Second)
		s.answered("after they had time to hear of it", ofN1)
		if _, at := s.answers(); at.Sub(start) != time.Second {
			s.Errorf("answered after %v, want 1 s", at.Sub(start))
		}
		s.announce("10.0.0.3")
		now := time.Now()
		s.answered("with a new Service", ofN1+" 10.0.0.3")
		if _, at := s.answers(); at != now {
			s.Errorf("a new Service is answered for after %v, want at once", at.Sub(now))
		}
	})
}

func TestGivenAReleaseWhenAnythingChangesThenNothingIsAnsweredForAnyMore(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.announce(ofN1)
		s.answered("before", ofN1)
		s.loop.Release()
		s.answered("released", "")
		s.announce(ofN2)
		s.see(true, member("n1"), member("n2"))
		time.Sleep(time.Second)
		s.answered("after changes", "")
	})
}

func TestGivenAConfigurationThatFRRRefusesWhenServicesChangeThenLayer2FollowsThePresentOne(t *testing.T) {
	runLayer2(t, func(s *segment) {
		s.answer = refusing("192.0.2.66")
		s.announce(ofN1)
		s.answered("before", ofN1)
		s.peer("192.0.2.66")
		s.change(func(v *node.View) { v.Raw.L2Advertisements = nil })
		s.answered("the advertisement is gone in the refused configuration", "")
		time.Sleep(time.Second)
		r := s.last(s.T)
		if r.Outcome != node.Refused || !r.InForce || len(r.Node.L2) != 0 {
			s.Errorf("reported %v, in force %t, %d addresses on layer 2: want BGP under the last good configuration, layer 2 under the present", r.Outcome, r.InForce, len(r.Node.L2))
		}
		for _, v := range r.Node.Verdicts {
			if v.Protocol == announce.ProtocolLayer2 {
				s.Errorf("verdict %+v: want none on layer 2", v)
			}
		}
		if !slices.IsSortedFunc(r.Node.Verdicts, func(a, b *announce.Verdict) int { return a.Compare(b) }) {
			s.Error("verdicts are not sorted")
		}
	})
}

func TestGivenNoGossipWhenANodeIsThereThenItCountsAsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		trigger := node.NewTrigger()
		src, w := newSource(trigger), &wire{}
		src.view.Raw.L2Advertisements = []intent.RawL2Advertisement{{Meta: src.view.Raw.BGPAdvertisements[0].Meta}}
		src.view.Nodes = []announce.NodeInfo{{Name: "n1"}, {Name: "n2"}}
		close(src.synced)
		loop := node.New(node.Options{Node: "n1", Conf: frrconf.Options{Hostname: "n1"}, Trigger: trigger, Source: src, FRR: sink{}, Layer2: w,
			Publisher: &publisher{}, Log: slog.New(slog.DiscardHandler)})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- loop.Start(ctx) }()
		synctest.Wait()
		src.announce(ofN1)
		src.announce(ofN2)
		time.Sleep(2 * time.Second)
		if got, _ := w.answers(); got != ofN1 {
			t.Errorf("answers for %q, want its own address alone", got)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
}
