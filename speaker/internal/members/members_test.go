package members_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// withoutProbes lets gossip notice no death within an hour: what is noticed, the connections have told.
func withoutProbes(t *testing.T) func(*settings) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.json")
	writeFile(t, path, `{"ProbeInterval": "1h"}`)
	return func(s *settings) { s.TuningPath = path }
}

func TestGivenThreeMembersWhenOneIsKilledAndComesBackThenTheConnectionsTellTheOthersBoth(t *testing.T) {
	change := withoutProbes(t)
	c := newCluster(t, 3, change)
	killed := time.Now()
	if err := c.procs["n2"].cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.others("n2") {
		t.Logf("%s saw the killed member go after %v", p.name, time.Duration(p.awaitNames("n1 n3", true).At-killed.UnixNano()))
	}
	back := time.Now()
	c.launch(t, c.peers[1], change)
	for _, p := range c.procs {
		t.Logf("%s sees all again after %v", p.name, time.Duration(p.awaitNames("n1 n2 n3", true).At-back.UnixNano()))
	}
}

func TestGivenMembersWhenOneLeavesInOrderThenTheOthersKnowAtOnceAndForGood(t *testing.T) {
	c := newCluster(t, 3, withoutProbes(t))
	left := time.Now()
	c.procs["n1"].order("leave")
	for _, p := range c.others("n1") {
		t.Logf("%s knew of the leaving after %v", p.name, time.Duration(p.awaitNames("n2 n3", true).At-left.UnixNano()))
	}
	if err := c.procs["n1"].cmd.Wait(); err != nil {
		t.Errorf("the member that left ended with %v", err)
	}
	for _, p := range c.others("n1") {
		since := slices.DeleteFunc(p.seen(), func(v view) bool { return v.At < left.UnixNano() })
		if len(since) != 1 {
			t.Errorf("%s saw %d changes since, want one: %+v", p.name, len(since), since)
		}
	}
}

func TestGivenAMemberThatHangsWhenItsKernelStillAnswersThenItIsGivenUpUntilItGoesOn(t *testing.T) {
	c := newCluster(t, 3, nil)
	hung := time.Now()
	if err := c.procs["n3"].cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.others("n3") {
		t.Logf("%s gave up the hanging member after %v", p.name, time.Duration(p.awaitNames("n1 n2", true).At-hung.UnixNano()))
	}
	if err := c.procs["n3"].cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.procs {
		p.awaitNames("n1 n2 n3", true)
	}
}

func TestGivenMembersWhenTheLinksOfOneChangeThenTheOthersReadThem(t *testing.T) {
	c := newCluster(t, 3, nil)
	c.procs["n3"].order("links eth1,bond0.10")
	for _, p := range c.procs {
		p.await("the new links", func(v view) bool {
			i := slices.IndexFunc(v.Alive, func(m members.Member) bool { return m.Name == "n3" })
			return i >= 0 && slices.Equal(v.Alive[i].Links, []string{"bond0.10", "eth1"})
		})
	}
}

func TestGivenASplitWhenItHealsThenAllMeetAgainAndInBetweenEachSideKnewItself(t *testing.T) {
	c := newCluster(t, 3, nil)
	cut := time.Now()
	c.hosts["n3"].Down("eth0")
	for _, p := range c.others("n3") {
		t.Logf("%s saw the cut-off member go after %v", p.name, time.Duration(p.awaitNames("n1 n2", true).At-cut.UnixNano()))
	}
	// Nobody proves that the others live, so the side of one goes on, too: it might be the last one.
	c.procs["n3"].awaitNames("n3", true)
	healed := time.Now()
	c.hosts["n3"].Up("eth0")
	for _, p := range c.procs {
		t.Logf("%s sees all again after %v", p.name, time.Duration(p.awaitNames("n1 n2 n3", true).At-healed.UnixNano()))
	}
}

func TestGivenTwoThatCannotReachEachOtherWhenAThirdReachesBothThenNobodyIsLost(t *testing.T) {
	c := newCluster(t, 3, nil)
	cut := time.Now()
	c.cut("n1", "n3")
	<-time.After(4 * time.Second) // five times what it takes to give somebody up
	for _, p := range c.procs {
		if since := slices.DeleteFunc(p.seen(), func(v view) bool { return v.At < cut.UnixNano() }); len(since) > 0 {
			t.Errorf("%s saw changes: %+v", p.name, since)
		}
	}
}

func TestGivenHalvesCutFromEachOtherWhenTheyHealThenAllMeetAndStrictlyOnlyOneHadClaimed(t *testing.T) {
	for fencing, second := range map[members.Fencing]bool{members.FenceProven: true, members.FenceStrict: false} {
		c := newCluster(t, 4, func(s *settings) { s.Fencing = fencing })
		var mend []func()
		for _, a := range []string{"n1", "n2"} {
			for _, b := range []string{"n3", "n4"} {
				mend = append(mend, c.cut(a, b))
			}
		}
		for name, names := range map[string]string{"n1": "n1 n2", "n2": "n1 n2", "n3": "n3 n4", "n4": "n3 n4"} {
			c.procs[name].awaitNames(names, names == "n1 n2" || second)
		}
		for _, m := range mend {
			m()
		}
		healed := time.Now()
		for _, p := range c.procs {
			t.Logf("%s sees all again after %v", p.name, time.Duration(p.awaitNames("n1 n2 n3 n4", true).At-healed.UnixNano()))
		}
	}
}

func TestGivenStrictFencingWhenOneOfThreeIsCutOffThenOnlyItMustNotClaim(t *testing.T) {
	c := newCluster(t, 3, func(s *settings) { s.Fencing = members.FenceStrict })
	c.hosts["n1"].Down("eth0")
	v := c.procs["n1"].awaitNames("n1", false)
	if want := "cut off: 1 of 3 members are in sight; n2, n3 are missing"; v.Reason != want {
		t.Errorf("reason %q, want %q", v.Reason, want)
	}
	for _, p := range c.others("n1") {
		p.awaitNames("n2 n3", true)
	}
	c.hosts["n1"].Up("eth0")
	c.procs["n1"].awaitNames("n1 n2 n3", true)
}

func TestGivenAMemberThatNobodyToldOfOthersWhenItStartsThenItMustNotClaimUntilItIsJoined(t *testing.T) {
	c := newCluster(t, 2, func(s *settings) {
		if s.Name == "n1" {
			s.Peers = nil
		}
	})
	first := c.procs["n1"].seen()[0]
	if first.names() == "n1" && (first.Quorate || first.Reason == "") {
		t.Errorf("before it met anybody it saw %+v, want it not to claim, and a reason", first)
	}
}

func TestGivenAWitnessWhenItProvesThatTheOthersLiveThenWhoIsCutOffStopsClaimingUntilTheyMeet(t *testing.T) {
	witness := filepath.Join(t.TempDir(), "witness.json")
	giveSigns(t, witness, "n1", "n2", "n3")
	c := newCluster(t, 3, func(s *settings) { s.WitnessPath = witness })
	c.hosts["n2"].Down("eth0")
	for _, p := range c.others("n2") {
		p.awaitNames("n1 n3", true)
	}
	c.procs["n2"].awaitNames("n2", true)
	v := c.procs["n2"].awaitNames("n2", false)
	if want := "cut off: 1 of 3 members are in sight; n1, n3 live, as the API server says, and cannot be reached"; v.Reason != want {
		t.Errorf("reason %q, want %q", v.Reason, want)
	}
	c.hosts["n2"].Up("eth0")
	for _, p := range c.procs {
		p.awaitNames("n1 n2 n3", true)
	}
	for _, p := range c.others("n2") {
		if views := p.seen(); slices.ContainsFunc(views, func(v view) bool { return len(v.Alive) == 2 && !v.Quorate }) {
			t.Errorf("%s stopped claiming, too: %+v", p.name, views)
		}
	}
	// What was proved then says nothing of the next time.
	c.hosts["n2"].Down("eth0")
	c.procs["n2"].awaitNames("n2", true)
	c.procs["n2"].awaitNames("n2", false)
}

// giveSigns lets the witness report another sign of life of these nodes every 100 ms, until the test ends.
func giveSigns(t *testing.T, path string, nodes ...string) {
	t.Helper()
	write := func(sign int) {
		marks := map[string]string{}
		for _, n := range nodes {
			marks[n] = strconv.Itoa(sign)
		}
		text, err := json.Marshal(marks)
		if err != nil {
			t.Error(err)
		}
		writeFile(t, path, string(text))
	}
	write(0)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for sign := 1; ; sign++ {
			select {
			case <-tick.C:
				write(sign)
			case <-stop:
				return
			}
		}
	}()
	t.Cleanup(func() { close(stop); <-stopped })
}
