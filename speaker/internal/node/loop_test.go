package node_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// source is a cluster that a test changes.
type source struct {
	trigger node.Trigger
	synced  chan struct{}

	mu       sync.Mutex
	view     node.View
	gathered int
	err      error
}

func newSource(trigger node.Trigger) *source {
	created := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	meta := func(name string) intent.Meta {
		return intent.Meta{Namespace: "ns", Name: name, UID: name, Generation: 1, Created: created}
	}
	return &source{trigger: trigger, synced: make(chan struct{}), view: node.View{
		Version: 1, ConfigVersion: 1,
		Raw: intent.Raw{
			Namespace:         "ns",
			Pools:             []intent.RawPool{{Meta: meta("pool"), Addresses: []string{"10.0.0.0/8"}, AutoAssign: true}},
			Peers:             []intent.RawPeer{{Meta: meta("router"), MyASN: 64500, PeerASN: 64512, PeerAddress: "192.0.2.2"}},
			BGPAdvertisements: []intent.RawBGPAdvertisement{{Meta: meta("all")}},
			Nodes:             []intent.RawNode{{Name: "n1"}},
		},
		Nodes: []announce.NodeInfo{{Name: "n1"}},
	}}
}

func (s *source) WaitForSync(ctx context.Context) bool {
	select {
	case <-s.synced:
		return true
	case <-ctx.Done():
		return false
	}
}

func (s *source) Gather(context.Context) (node.View, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gathered++
	return s.view, s.err
}

// announce gives the cluster one more Service.
func (s *source) announce(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Version++
	one := &announce.Service{
		Key:       ipam.ServiceKey{Namespace: "default", Name: "at-" + address},
		Addresses: []netip.Addr{netip.MustParseAddr(address)},
		Endpoints: announce.Endpoints{Serving: 1, OnNode: map[string]int{"n1": 1}},
	}
	at, _ := slices.BinarySearchFunc(s.view.Services, one, func(a, b *announce.Service) int { return strings.Compare(a.Key.Name, b.Key.Name) })
	s.view.Services = slices.Insert(slices.Clone(s.view.Services), at, one)
	s.trigger.Pull()
}

// peer gives the configuration one more peer, or takes the last one away again when the address is empty.
func (s *source) peer(address string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Version++
	s.view.ConfigVersion++
	peers := s.view.Raw.Peers
	if address == "" {
		s.view.Raw.Peers = peers[:len(peers)-1]
	} else {
		s.view.Raw.Peers = append(peers[:len(peers):len(peers)], intent.RawPeer{
			Meta:  intent.Meta{Namespace: "ns", Name: "at-" + address, UID: address, Generation: 1, Created: peers[0].Created},
			MyASN: 64500, PeerASN: 64512, PeerAddress: address,
		})
	}
	s.trigger.Pull()
}

// reloader notes what it is given and answers as a test says.
type reloader struct {
	// takes is how long an Apply takes, answer what it ends with; nil takes everything.
	takes  time.Duration
	answer func(conf string) error
	// leftOut is what it says of every configuration.
	leftOut []frr.LeftOut
	events  chan frr.Event

	mu    sync.Mutex
	confs []string
	at    []time.Time
}

func (r *reloader) Apply(ctx context.Context, conf []byte) (frr.Ack, error) {
	r.mu.Lock()
	r.confs, r.at = append(r.confs, string(conf)), append(r.at, time.Now())
	r.mu.Unlock()
	select {
	case <-ctx.Done():
		return frr.Ack{}, fmt.Errorf("%w: %w", frr.ErrUnavailable, ctx.Err())
	case <-time.After(r.takes):
	}
	if r.answer != nil {
		if err := r.answer(string(conf)); err != nil {
			return frr.Ack{}, err
		}
	}
	return frr.Ack{Hash: frrconf.Hash(conf), How: frr.Delta, LeftOut: r.leftOut}, nil
}

func (r *reloader) Events(ctx context.Context) iter.Seq2[frr.Event, error] {
	return func(yield func(frr.Event, error) bool) {
		for {
			select {
			case <-ctx.Done():
				yield(frr.Event{}, ctx.Err())
				return
			case e := <-r.events:
				if !yield(e, nil) {
					return
				}
			}
		}
	}
}

// got returns what was applied so far.
func (r *reloader) got() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.confs
}

type publisher struct {
	mu      sync.Mutex
	reports []node.Report
}

func (p *publisher) Publish(r node.Report) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reports = append(p.reports, r)
}

func (p *publisher) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.reports)
}

func (p *publisher) last(t *testing.T) node.Report {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.reports) == 0 {
		t.Fatal("nothing was reported")
	}
	return p.reports[len(p.reports)-1]
}

type bench struct {
	*source
	*reloader
	*publisher
	loop *node.Loop
	// drain, membership and observe are the loop's.
	drain      node.DrainOptions
	membership node.Membership
	observe    func(frr.Event)
	// alone leaves the loop without FRR.
	alone bool
}

// run runs a loop in a bubble of its own time; then is called once the loop waits for the source to have synced.
func run(t *testing.T, setUp func(*bench), then func(*bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		trigger := node.NewTrigger()
		b := &bench{source: newSource(trigger), reloader: &reloader{events: make(chan frr.Event)}, publisher: &publisher{}}
		if setUp != nil {
			setUp(b)
		}
		o := node.Options{
			Node: "n1", Conf: frrconf.Options{Hostname: "n1"}, Trigger: trigger,
			Source: b.source, FRR: b.reloader, Publisher: b.publisher, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
			Drain: b.drain, Membership: b.membership, Observe: b.observe,
		}
		if b.alone {
			o.FRR = nil
		}
		b.loop = node.New(o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- b.loop.Start(ctx) }()
		synctest.Wait()
		then(b)
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the loop ended with %v", err)
		}
	})
}

func has(conf, address string) bool { return strings.Contains(conf, "network "+address+"/32") }

func TestGivenASourceThatHasNotSyncedWhenChangesComeThenNothingIsDecided(t *testing.T) {
	run(t, nil, func(b *bench) {
		b.announce("10.0.0.1")
		time.Sleep(time.Hour)
		synctest.Wait()
		if b.gathered > 0 || len(b.got()) > 0 {
			t.Errorf("gathered %d times, applied %d times before the first sync", b.gathered, len(b.got()))
		}
		if b.loop.Ready(nil) == nil {
			t.Error("ready before the first sync")
		}
		close(b.synced)
		synctest.Wait()
		if got := b.got(); len(got) != 1 || !has(got[0], "10.0.0.1") {
			t.Errorf("applied %q, want one configuration with everything", got)
		}
		if err := b.loop.Ready(nil); err != nil {
			t.Errorf("not ready after FRR acknowledged: %v", err)
		}
	})
}

func TestGivenAnIdleLoopWhenOneChangeComesThenItIsAppliedAtOnce(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		time.Sleep(time.Hour)
		start := time.Now()
		b.announce("10.0.0.1")
		synctest.Wait()
		if got := b.got(); len(got) != 2 || !has(got[1], "10.0.0.1") || b.at[1].Sub(start) != 0 {
			t.Errorf("%d configurations applied, the last after %v, want 2 and no wait", len(got), b.at[len(got)-1].Sub(start))
		}
		if r := b.last(t); r.Outcome != node.Applied || !r.InForce || len(r.Node.Verdicts) != 1 {
			t.Errorf("reported %+v, want it applied", r)
		}
	})
}

func TestGivenARunningPassWhenABurstComesThenOneMorePassTakesItAll(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		b.takes = time.Second
		b.announce("10.0.0.1")
		synctest.Wait() // the first of the burst is on its way
		for i := range 100 {
			b.announce(fmt.Sprintf("10.0.1.%d", i))
		}
		time.Sleep(time.Minute)
		got := b.got()
		if len(got) != 3 {
			t.Fatalf("%d configurations applied, want the empty one, the first change and the rest", len(got))
		}
		if !has(got[1], "10.0.0.1") || has(got[1], "10.0.1.0") || !has(got[2], "10.0.1.0") || !has(got[2], "10.0.1.99") {
			t.Error("the first change did not go alone, or the last pass has not all of the rest")
		}
	})
}

func TestGivenChangesThatComeOneByOneInABurstWhenAppliedThenTheyAreTakenInSteps(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		b.takes = 40 * time.Millisecond
		time.Sleep(time.Second)
		for i := range 80 { // for 0.8 s
			b.announce(fmt.Sprintf("10.0.1.%d", i))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Second)
		got := b.got()
		if last := got[len(got)-1]; !has(last, "10.0.1.79") {
			t.Error("the last change is not in the last configuration")
		}
		if len(got) < 8 || len(got) > 14 {
			t.Errorf("%d configurations applied: wanted the empty one, a few at once and one every 100 ms", len(got))
		}
	})
}

func TestGivenNothingNewWhenTheLoopIsWokenThenFRRIsLeftAlone(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		for range 10 {
			b.trigger.Pull()
			synctest.Wait()
		}
		if len(b.got()) != 1 || b.publisher.count() != 1 {
			t.Errorf("applied %d, reported %d times, want once", len(b.got()), b.publisher.count())
		}
	})
}

func TestGivenAChangeThatLeadsToTheSameConfigurationWhenItComesThenItIsReportedButNotApplied(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		b.announce("203.0.113.1") // in no pool
		synctest.Wait()
		if len(b.got()) != 1 {
			t.Errorf("applied %d times, want once", len(b.got()))
		}
		if v := b.last(t).Node.Verdicts; len(v) != 1 || v[0].Reason.Code != announce.ReasonNotAllowed {
			t.Errorf("verdicts %+v, want the reason", v)
		}
	})
}

func TestGivenAnUnreadableClusterWhenTheLoopIsWokenThenNothingChanges(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		b.announce("10.0.0.1")
		synctest.Wait()
		b.mu().Lock()
		b.err, b.view.Services = errors.New("the API is away"), nil
		b.mu().Unlock()
		b.trigger.Pull()
		time.Sleep(time.Hour)
		if got := b.got(); len(got) != 2 {
			t.Errorf("applied %d times, want nothing after the API was gone", len(got))
		}
	})
}

func (b *bench) mu() *sync.Mutex { return &b.source.mu }

func TestGivenAReloaderThatIsAwayWhenItComesBackThenTheLatestIsAppliedSoonAndNobodyWasAlarmedEarly(t *testing.T) {
	var back atomic.Bool
	run(t, func(b *bench) {
		b.answer = func(string) error {
			if !back.Load() {
				return fmt.Errorf("connect: %w", frr.ErrUnavailable)
			}
			return nil
		}
		close(b.synced)
	}, func(b *bench) {
		time.Sleep(9 * time.Second)
		if n := b.publisher.count(); n > 0 {
			t.Errorf("reported %d times while the reloader may just be starting", n)
		}
		time.Sleep(10 * time.Second)
		if r := b.last(t); r.Outcome != node.Unreachable || r.InForce {
			t.Errorf("reported %+v, want it unreachable", r)
		}
		if tries := len(b.got()); tries < 8 || tries > 20 {
			t.Errorf("%d attempts in 19 s, want pauses from 50 ms to 2 s", tries)
		}
		b.announce("10.0.0.1")
		back.Store(true)
		time.Sleep(2 * time.Second)
		got := b.got()
		if r := b.last(t); r.Outcome != node.Applied || !has(got[len(got)-1], "10.0.0.1") {
			t.Errorf("reported %+v, want the latest applied", r)
		}
		time.Sleep(time.Hour)
		if len(b.got()) != len(got) {
			t.Error("applied again although nothing changed")
		}
	})
}

func TestGivenARefusedConfigurationWhenTheNodeIsDrainedThenTheLastGoodOneSeesIt(t *testing.T) {
	run(t, func(b *bench) { b.answer = refusing("192.0.2.66"); close(b.synced) }, func(b *bench) {
		b.announce("10.0.0.1")
		synctest.Wait()
		b.peer("192.0.2.66")
		synctest.Wait()
		b.mu().Lock()
		b.view.Version++
		b.view.ConfigVersion++
		b.view.Nodes = []announce.NodeInfo{{Name: "n1", NetworkUnavailable: true}}
		b.mu().Unlock()
		b.trigger.Pull()
		synctest.Wait()
		got := b.got()
		if last := got[len(got)-1]; has(last, "10.0.0.1") || strings.Contains(last, "192.0.2.66") {
			t.Errorf("applied\n%s\nwanted the last good configuration without prefixes", last)
		}
	})
}

func refusing(address string) func(string) error {
	return func(conf string) error {
		if strings.Contains(conf, "neighbor "+address+" ") {
			return fmt.Errorf("apply: %w", &frr.Refused{Refusal: frr.Refusal{Words: "% No", Line: " neighbor " + address, LineNumber: 7}})
		}
		return nil
	}
}

func TestGivenAConfigurationThatFRRRefusesWhenServicesChangeThenTheyGoOnUnderTheLastGoodOne(t *testing.T) {
	run(t, func(b *bench) { b.answer = refusing("192.0.2.66"); close(b.synced) }, func(b *bench) {
		b.announce("10.0.0.1")
		synctest.Wait()
		b.peer("192.0.2.66")
		synctest.Wait()
		if r := b.last(t); r.Outcome != node.Refused || !r.InForce || !strings.Contains(r.Words, "% No") || !strings.Contains(r.Words, "line 7") {
			t.Errorf("reported %+v, want FRR's words and line", r)
		}
		tried := len(b.got())
		b.announce("10.0.0.2")
		synctest.Wait()
		got := b.got()
		if len(got) != tried+1 || !has(got[tried], "10.0.0.2") || strings.Contains(got[tried], "192.0.2.66") {
			t.Errorf("applied %d more, want one with the new Service under the old configuration", len(got)-tried)
		}
		if r := b.last(t); r.Outcome != node.Refused || !r.InForce || len(r.Node.Verdicts) != 2 {
			t.Errorf("reported %+v, want both Services in force and the refusal", r)
		} else if len(r.Objects) != 2 || slices.ContainsFunc(r.Objects, func(a intent.Applied) bool { return a.Generation != 1 }) {
			t.Errorf("reported objects %+v, want the two that FRR took", r.Objects)
		}
		time.Sleep(61 * time.Second)
		if again := b.got()[tried+1]; !strings.Contains(again, "192.0.2.66") {
			t.Error("the refused configuration was not tried again after a minute")
		}
		b.peer("")
		synctest.Wait()
		if r := b.last(t); r.Outcome != node.Applied {
			t.Errorf("reported %+v, want it applied once the peer is gone", r)
		}
	})
}

func TestGivenAFirstConfigurationThatFRRRefusesWhenServicesChangeThenItIsNotTriedWithEachOfThem(t *testing.T) {
	run(t, func(b *bench) { b.answer = refusing("192.0.2.2"); close(b.synced) }, func(b *bench) {
		if b.loop.Ready(nil) == nil {
			t.Error("ready although FRR never took a configuration")
		}
		for i := range 50 {
			b.announce(fmt.Sprintf("10.0.0.%d", i))
			synctest.Wait()
		}
		if n := len(b.got()); n != 1 {
			t.Errorf("tried %d times, want once", n)
		}
		time.Sleep(2 * time.Hour)
		if n := len(b.got()); n < 4 || n > 12 {
			t.Errorf("tried %d times in two hours, want pauses from a minute to half an hour", n)
		}
	})
}

func TestGivenAnAcknowledgedConfigurationWhenFRRWasRepairedThenItIsAppliedAgain(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		b.events <- frr.Event{Kind: frr.DaemonDown, Daemon: "bgpd"}
		synctest.Wait()
		if len(b.got()) != 1 {
			t.Error("applied while the daemon is down")
		}
		b.events <- frr.Event{Kind: frr.DaemonUp, Daemon: "bgpd"}
		synctest.Wait()
		if len(b.got()) != 2 {
			t.Errorf("applied %d times, want once more after bgpd came back", len(b.got()))
		}
	})
}

func TestGivenADaemonThatIsAwayWhenThatIsToldThenItIsReportedAtOnceAndUntilItIsBack(t *testing.T) {
	var observed atomic.Int32
	run(t, func(b *bench) { close(b.synced); b.observe = func(frr.Event) { observed.Add(1) } }, func(b *bench) {
		away := func(want string, outcome node.Outcome) {
			t.Helper()
			synctest.Wait()
			if r := b.last(t); r.Away != want || r.Outcome != outcome {
				t.Errorf("reported away %q with outcome %d, want %q and %d", r.Away, r.Outcome, want, outcome)
			}
		}
		down := frr.Event{Time: time.Now(), Kind: frr.DaemonDown, Daemon: "bgpd", Detail: "does not answer"}
		b.events <- down
		away("bgpd does not answer", node.Applied)
		before := b.publisher.count()
		b.events <- down // as to who asks again
		synctest.Wait()
		if observed.Load() != 1 || b.publisher.count() != before {
			t.Errorf("the same was observed %d times and reported %d times more", observed.Load(), b.publisher.count()-before)
		}
		// FRR is being given something, which does not come about.
		b.takes = time.Hour
		b.announce("10.0.0.1")
		b.events <- frr.Event{Time: time.Now(), Kind: frr.DaemonDown, Daemon: "bfdd", Detail: "has ended"}
		away("bfdd has ended, bgpd does not answer", node.Pending)
		b.events <- frr.Event{Time: time.Now(), Kind: frr.DaemonUp, Daemon: "bgpd"}
		away("bfdd has ended", node.Pending)
		b.events <- frr.Event{Time: time.Now(), Kind: frr.DaemonUp, Daemon: "bfdd"}
		away("", node.Pending)
	})
}

func TestGivenAnnouncedServicesWhenTheSpeakerEndsThenNothingIsWithdrawn(t *testing.T) {
	var b *bench
	run(t, func(n *bench) { b = n; close(n.synced) }, func(b *bench) {
		b.announce("10.0.0.1")
		synctest.Wait()
	})
	got := b.got()
	if len(got) != 2 || !has(got[1], "10.0.0.1") {
		t.Errorf("the last of %d configurations lacks the Service", len(got))
	}
}

func TestGivenANodeWithoutPeersWhenItStartsThenItIsReadyEvenWithoutFRRAndStillTriesToApply(t *testing.T) {
	run(t, func(b *bench) {
		b.view.Raw.Peers = nil
		b.answer = func(string) error { return frr.ErrUnavailable }
		close(b.synced)
	}, func(b *bench) {
		if err := b.loop.Ready(nil); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if len(b.got()) == 0 {
			t.Error("the empty configuration was not applied: peers of an earlier one would stay")
		}
	})
}

func TestGivenASpeakerWithoutFRRWhenAPeerComesThenItIsReadyBeforeAndSaysWhatIsMissingAfter(t *testing.T) {
	run(t, func(b *bench) {
		b.alone = true
		b.view.Raw.Peers = nil
		close(b.synced)
	}, func(b *bench) {
		if err := b.loop.Ready(nil); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if r := b.last(t); r.Outcome != node.Applied || !r.InForce {
			t.Errorf("without a peer: %+v", r)
		}
		b.source.mu.Lock()
		b.view.Raw.Peers = []intent.RawPeer{{Meta: intent.Meta{Namespace: "ns", Name: "router", UID: "1", Generation: 1}, MyASN: 64500, PeerASN: 64512, PeerAddress: "192.0.2.2"}}
		b.view.Version++
		b.view.ConfigVersion++
		b.source.mu.Unlock()
		b.trigger.Pull()
		synctest.Wait()
		if r := b.last(t); r.Outcome != node.Absent || r.InForce {
			t.Errorf("with a peer: %+v", r)
		}
		if err := b.loop.Ready(nil); err != nil {
			t.Errorf("what worked is taken away: %v", err)
		}
	})
}

func TestGivenAPassThatDoesNotEndWhenAskedThenTheSpeakerIsUnhealthy(t *testing.T) {
	run(t, func(b *bench) { close(b.synced) }, func(b *bench) {
		stuck := make(chan struct{})
		b.answer = func(string) error { <-stuck; return nil }
		b.announce("10.0.0.1")
		time.Sleep(3 * time.Minute)
		if err := b.loop.Healthy(nil); err != nil {
			t.Errorf("unhealthy within the time an apply may take: %v", err)
		}
		time.Sleep(2 * time.Minute)
		if b.loop.Healthy(nil) == nil {
			t.Error("healthy although a pass hangs")
		}
		close(stuck)
		synctest.Wait()
		if err := b.loop.Healthy(nil); err != nil {
			t.Errorf("unhealthy after the pass ended: %v", err)
		}
	})
}

func TestGivenRawConfigurationThatFRRLeavesOutWhenAppliedThenItIsReportedOnItsObjectAndNothingIsTriedAgain(t *testing.T) {
	left := frr.LeftOut{Section: "FRRSnippet ns/bad", Words: "% Unknown command", Line: "surprise", LineNumber: 2}
	run(t, func(b *bench) {
		b.leftOut = []frr.LeftOut{left}
		for _, name := range []string{"bad", "good"} {
			b.view.Raw.Snippets = append(b.view.Raw.Snippets, intent.RawSnippet{Meta: intent.Meta{Namespace: "ns", Name: name, UID: name, Generation: 7}, RawConfig: name + "\n"})
		}
		close(b.synced)
	}, func(b *bench) {
		check := func() {
			t.Helper()
			r := b.last(t)
			if r.Outcome != node.Applied || !r.InForce || len(r.LeftOut) != 1 || r.LeftOut[0] != left {
				t.Errorf("reported %+v, want it in force without the bad one", r)
			}
			found := 0
			for _, o := range r.Objects {
				if want := map[string]string{"bad": left.String()}[o.Name]; o.Kind == intent.KindSnippet && o.Generation == 7 {
					found++
					if o.Failure != want {
						t.Errorf("failure of %s is %q, want %q", o.Name, o.Failure, want)
					}
				}
			}
			if found != 2 {
				t.Errorf("objects are %+v, want both snippets", r.Objects)
			}
		}
		check()
		if conf := b.got()[0]; !strings.Contains(conf, "\nbad\n") || !strings.Contains(conf, "\ngood\n") {
			t.Errorf("applied\n%s\nwanted both texts: FRR decides", conf)
		}
		b.announce("10.0.0.1")
		time.Sleep(time.Second)
		check()
		time.Sleep(time.Hour)
		if n := len(b.got()); n != 2 {
			t.Errorf("applied %d times, want once, and once for the Service", n)
		}
	})
}
