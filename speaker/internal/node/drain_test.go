package node_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// nodes makes these the nodes of the cluster.
func (s *source) nodes(all ...announce.NodeInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.view.Version++
	s.view.ConfigVersion++
	s.view.Nodes, s.view.Raw.Nodes = all, nil
	for _, n := range all {
		s.view.Raw.Nodes = append(s.view.Raw.Nodes, intent.RawNode{Name: n.Name})
	}
	s.trigger.Pull()
}

const yields = " bgp graceful-shutdown\n"

// says tells what a configuration says: the address is announced, and all that is announced is so as the last to be chosen.
func says(conf string) (announced, yielding bool) {
	return has(conf, "10.0.0.1"), strings.Contains(conf, yields)
}

// check compares the stage that was reported, and what FRR was given last, with what is wanted.
func (b *bench) check(t *testing.T, when string, stage announce.Drain, announced bool) {
	t.Helper()
	synctest.Wait()
	confs := b.got()
	if got, yielding := says(confs[len(confs)-1]); got != announced || yielding != (stage != announce.DrainNone) {
		t.Errorf("%s: announced %t, yielding %t, want %t and the stage %v", when, got, yielding, announced, stage)
	}
	if r := b.last(t); r.Drain.Stage != stage || r.Outcome != node.Applied {
		t.Errorf("%s: reported %+v with outcome %v, want the stage %v applied", when, r.Drain, r.Outcome, stage)
	}
}

func cordoned(name string) announce.NodeInfo {
	return announce.NodeInfo{Name: name, Draining: "is unschedulable"}
}

func plain(name string) announce.NodeInfo { return announce.NodeInfo{Name: name} }

// draining sets up a node that waits for 30 s when it drains.
func draining(b *bench) {
	b.drain.Wait = 30 * time.Second
	b.nodes(plain("n1"), plain("n2"))
	b.announce("10.0.0.1")
	close(b.synced)
}

func TestGivenANodeThatDrainsWhenTimePassesThenItYieldsWaitsAndWithdrawsAndAllIsUndoneAtOnce(t *testing.T) {
	run(t, draining, func(b *bench) {
		b.check(t, "at first", announce.DrainNone, true)
		b.nodes(cordoned("n1"), plain("n2"))
		b.check(t, "cordoned", announce.DrainYielding, true)
		given := len(b.got())
		time.Sleep(30*time.Second - time.Millisecond)
		b.check(t, "within the wait", announce.DrainYielding, true)
		if n := len(b.got()); n != given {
			t.Errorf("FRR was given %d configurations during the wait, want none", n-given)
		}
		time.Sleep(time.Millisecond)
		b.check(t, "after the wait", announce.DrainWithdrawn, false)
		b.announce("10.0.0.2")
		b.check(t, "with a new Service", announce.DrainWithdrawn, false)
		if last := b.got()[len(b.got())-1]; has(last, "10.0.0.2") {
			t.Error("a new Service is announced by a node that has withdrawn")
		}
		b.nodes(cordoned("n1"), cordoned("n2"))
		b.check(t, "the other drains too", announce.DrainWithdrawn, true)
		b.nodes(cordoned("n1"), plain("n2"))
		b.check(t, "the other is back", announce.DrainWithdrawn, false)
		start := time.Now()
		b.nodes(plain("n1"), plain("n2"))
		b.check(t, "uncordoned", announce.DrainNone, true)
		if waited := time.Since(start); waited != 0 {
			t.Errorf("undone after %v", waited)
		}
		time.Sleep(time.Second) // all of this was one burst
		b.nodes(cordoned("n1"), plain("n2"))
		b.check(t, "cordoned again", announce.DrainYielding, true)
		time.Sleep(29 * time.Second)
		b.check(t, "within the second wait", announce.DrainYielding, true)
		b.nodes(plain("n1"), plain("n2"))
		time.Sleep(time.Hour)
		b.check(t, "uncordoned before the wait was over", announce.DrainNone, true)
	})
}

func TestGivenASpeakerThatStartsOnADrainingNodeWhenTheAPISaysSinceWhenThenItGoesOnFromThere(t *testing.T) {
	for name, row := range map[string]struct {
		ago  time.Duration
		want announce.Drain
		// after is how much longer the routes stay.
		after time.Duration
	}{
		"long ago":                {time.Hour, announce.DrainWithdrawn, 0},
		"a moment ago":            {20 * time.Second, announce.DrainYielding, 10 * time.Second},
		"by a clock that is fast": {-time.Hour, announce.DrainYielding, 30 * time.Second},
		"not said":                {0, announce.DrainYielding, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(b *bench) {
				draining(b)
				n := cordoned("n1")
				if row.ago != 0 {
					n.DrainingSince = time.Now().Add(-row.ago)
				}
				b.nodes(n, plain("n2"))
			}, func(b *bench) {
				b.check(t, "at first", row.want, row.want == announce.DrainYielding)
				if row.after > 0 {
					time.Sleep(row.after - time.Millisecond)
					b.check(t, "within the wait", announce.DrainYielding, true)
					time.Sleep(time.Millisecond)
				}
				b.check(t, "after the wait", announce.DrainWithdrawn, false)
				if row.want == announce.DrainWithdrawn && len(b.got()) != 1 {
					t.Errorf("FRR was given %d configurations, want only the one that it had before the restart", len(b.got()))
				}
			})
		})
	}
}

func TestGivenANodeThatHasWithdrawnWhenTheOtherSpeakerDiesThenItAnnouncesAgainUntilThatIsBack(t *testing.T) {
	sight := &others{}
	see := func(names ...string) {
		sight.mu.Lock()
		defer sight.mu.Unlock()
		sight.seen = members.Snapshot{Quorate: true}
		for _, name := range names {
			sight.seen.Alive = append(sight.seen.Alive, members.Member{Name: name})
		}
	}
	see("n1", "n2")
	run(t, func(b *bench) { b.membership = sight; draining(b) }, func(b *bench) {
		b.nodes(cordoned("n1"), plain("n2"))
		time.Sleep(time.Minute)
		b.check(t, "drained", announce.DrainWithdrawn, false)
		see("n1")
		b.trigger.Pull()
		b.check(t, "the other speaker is dead", announce.DrainWithdrawn, true)
		if r := b.last(t); r.Node.Verdicts[0].Despite.Code != announce.ReasonLastAnnouncer {
			t.Errorf("verdict %+v, want the last announcer's", r.Node.Verdicts[0])
		}
		see("n1", "n2")
		b.trigger.Pull()
		b.check(t, "the other speaker is back", announce.DrainWithdrawn, false)
	})
}

func TestGivenANodeThatIsToWithdrawEvenTheLastWhenItDrainsThenItDoes(t *testing.T) {
	run(t, func(b *bench) { draining(b); b.drain.WithdrawLast = true }, func(b *bench) {
		b.nodes(cordoned("n1"), cordoned("n2"))
		time.Sleep(time.Minute)
		b.check(t, "after the wait", announce.DrainWithdrawn, false)
	})
}
