package reload_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// follower collects the events of a reloader.
type follower struct {
	mu     sync.Mutex
	events []frr.Event
}

// follow returns when the reloader has begun to send events.
func follow(t *testing.T, n *node) *follower {
	t.Helper()
	f := &follower{}
	ctx, cancel := context.WithCancel(t.Context())
	next := n.client.Events(ctx)
	var running sync.WaitGroup
	running.Go(func() {
		for ev, err := range next {
			if err != nil {
				return
			}
			f.mu.Lock()
			f.events = append(f.events, ev)
			f.mu.Unlock()
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return f
}

func (f *follower) await(t *testing.T, kind frr.EventKind, daemon string) {
	t.Helper()
	frrtest.Eventually(t, 60*time.Second, func() error {
		f.mu.Lock()
		defer f.mu.Unlock()
		for _, ev := range f.events {
			if ev.Kind == kind && ev.Daemon == daemon {
				return nil
			}
		}
		return fmt.Errorf("no event %s %s among %v", kind, daemon, f.events)
	})
}

// first is the first event of a daemon.
func (f *follower) first(daemon string) frr.Event {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(f.events, func(ev frr.Event) bool { return ev.Daemon == daemon })
	return f.events[i]
}

func TestGivenAppliedConfigurationWhenADaemonIsKilledThenItComesBackWithTheConfiguration(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			router.Vtysh(t, "configure terminal", "router bgp 64513", "neighbor 192.0.2.1 bfd")
			s.neighbors[0] += "/p"
			s.profiles = map[string]string{"p": "200"}
			n.applyDelta(t, s)
			for _, daemon := range n.Daemons() {
				f := follow(t, n)
				frrtest.Eventually(t, frrtest.Patience, func() error { return statusIs(t, n, "") })
				n.Kill(t, daemon)
				f.await(t, frr.DaemonDown, daemon)
				if ev := f.first(daemon); ev.Detail != "has ended" {
					t.Errorf("what is told of %s is %q", daemon, ev.Detail)
				}
				f.await(t, frr.DaemonUp, daemon)
				if ack := n.apply(t, s.conf()); ack.How != frr.Unchanged {
					t.Errorf("after %s came back: %+v, want nothing left to do", daemon, ack)
				}
				awaitShown(t, n, "receive-interval 200")
			}
			n.AwaitSession(t, "192.0.2.100")
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
		})
	}
}

func statusIs(t *testing.T, n *node, waiting string) error {
	t.Helper()
	s, err := n.client.Status(t.Context())
	if err != nil {
		return err
	}
	if s.Waiting != waiting {
		return fmt.Errorf("waiting for %q, want %q", s.Waiting, waiting)
	}
	return nil
}

func TestGivenAppliedConfigurationWhenAPersonChangesItInVtyshThenItIsPutRightAndReported(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100")
			n.stop()
			n.startReloader(t, 200*time.Millisecond)
			f := follow(t, n)
			frrtest.Eventually(t, frrtest.Patience, func() error { return hashIs(t, n, s.conf()) })
			n.Vtysh(t, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", "no network 10.1.0.1/32", "network 10.9.9.9/32")
			n.Vtysh(t, "configure terminal", "route-map ml-out-192.0.2.100 permit 10", "no set community")
			f.await(t, frr.DriftRepaired, "")
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
			awaitNoRoute(t, router, "10.9.9.9/32")
			stay()
		})
	}
}

func hashIs(t *testing.T, n *node, conf string) error {
	t.Helper()
	s, err := n.client.Status(t.Context())
	if err != nil {
		return err
	}
	if s.Hash != hashOf(conf) {
		return fmt.Errorf("hash %q, want that of the configuration", s.Hash)
	}
	return nil
}

func TestGivenAppliedConfigurationWhenTheReloaderIsRestartedThenItKnowsWhatRunsAndChangesNothing(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, _ := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100", "2001:db8::100")
			n.stop()
			if _, err := n.client.Apply(t.Context(), []byte(s.conf())); !errors.Is(err, frr.ErrUnavailable) {
				t.Errorf("without a reloader: %v, want ErrUnavailable", err)
			}
			n.startReloader(t, time.Hour)
			frrtest.Eventually(t, frrtest.Patience, func() error { return hashIs(t, n, s.conf()) })
			if ack := n.apply(t, s.conf()); ack.How != frr.Unchanged || ack.Commands != 0 {
				t.Errorf("after the restart: %+v, want nothing done", ack)
			}
			stay()
		})
	}
}

func TestGivenHalfAppliedConfigurationWhenTheReloaderComesBackThenTheNextApplyCompletesIt(t *testing.T) {
	t.Parallel()
	n, router := startPair(t, frrtest.Bookworm, pair())
	n.stop()
	// What a reloader that was killed in the middle leaves: some of the new, some of the old.
	n.Vtysh(t, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", "network 10.1.0.5/32 route-map ml-set[1]", "no network 10.1.0.1/32")
	n.startReloader(t, time.Hour)
	s := pair()
	s.prefixes["10.1.0.6/32"] = []int{2}
	n.applyDelta(t, s)
	awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
	awaitRoute(t, router, "10.1.0.6/32", withCommunities("64512:7"))
	awaitNoRoute(t, router, "10.1.0.5/32")
}

func TestGivenManyAppliesAtOnceWhenTheyAreServedThenTheLastOneRunsAndEveryoneIsAnswered(t *testing.T) {
	t.Parallel()
	n := startNode(t, frrtest.Bookworm)
	s := pair()
	n.apply(t, s.conf())
	var callers sync.WaitGroup
	acks := make(chan frr.Ack, 50)
	for i := range 50 {
		conf := pair()
		conf.prefixes[fmt.Sprintf("10.2.0.%d/32", i)] = []int{1}
		callers.Go(func() {
			ack, err := n.client.Apply(t.Context(), []byte(conf.conf()))
			if err != nil {
				t.Errorf("apply %d: %v", i, err)
			}
			acks <- ack
		})
	}
	callers.Wait()
	close(acks)
	status, err := n.client.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	last := false
	for ack := range acks {
		last = last || ack.Hash == status.Hash
	}
	if !last || hashOf(n.onDisk(t)) != status.Hash {
		t.Errorf("nobody was told of %s, which is said to run and has to be on disk", status.Hash)
	}
}

func TestGivenFRRThatIsNotUpWhenAConfigurationIsAppliedThenItWaitsAndSaysFor(t *testing.T) {
	t.Parallel()
	n := &node{Instance: frrtest.Start(t, frrtest.Options{Bare: true})}
	n.startReloader(t, time.Hour)
	var applying sync.WaitGroup
	defer applying.Wait()
	conf := pair().conf()
	applying.Go(func() {
		if ack, err := n.client.Apply(t.Context(), []byte(conf)); err != nil || ack.How != frr.Delta {
			t.Errorf("apply: %+v, %v, want a delta once FRR is up", ack, err)
		}
	})
	frrtest.Eventually(t, frrtest.Patience, func() error { return statusIs(t, n, "FRR's zebra, bgpd, bfdd to answer") })
	n.StartFRR(t)
}

func TestGivenPersonInConfigurationModeWhenAnApplyRunsThenNeitherHindersTheOther(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			n.apply(t, pair().conf())
			person := n.Command(t.Context(), "vtysh")
			in, err := person.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := person.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := in.Write([]byte("configure terminal\nrouter bgp 64512\n")); err != nil {
				t.Fatal(err)
			}
			s := pair()
			s.prefixes["10.1.0.3/32"] = []int{1}
			n.applyDelta(t, s)
			if _, err := in.Write([]byte("neighbor 192.0.2.100 description typed\nend\nexit\n")); err != nil {
				t.Fatal(err)
			}
			in.Close()
			if err := person.Wait(); err != nil {
				t.Errorf("the person's vtysh: %v", err)
			}
			awaitShown(t, n, "neighbor 192.0.2.100 description typed")
			awaitShown(t, n, "network 10.1.0.3/32 route-map ml-set[1]")
		})
	}
}

func TestGivenPasswordWhenItIsAppliedRefusedOrShownAsAPlanThenNobodyReadsItInWords(t *testing.T) {
	t.Parallel()
	n := startNode(t, frrtest.Bookworm)
	conf := strings.Replace(pair().conf(), "timers connect 1\n", "timers connect 1\n neighbor 192.0.2.100 password s3cret\n", 1)
	n.apply(t, conf)
	awaitShown(t, n, "neighbor 192.0.2.100 password s3cret")
	_, err := n.client.Apply(t.Context(), []byte(strings.Replace(conf, "password s3cret", "password s3cret and more", 1)))
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v, want a refusal without the password", err)
	}
}

func TestGivenRouterWhenItsASNumberAndSettingsChangeThenItRunsAsWanted(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			s := pair()
			n.apply(t, s.conf())
			for _, change := range [][2]string{
				{"router bgp 64512", "router bgp 64999"},
				{" no bgp default ipv4-unicast\n", ""},
				{" no bgp ebgp-requires-policy\n", " bgp graceful-restart\n timers bgp 5 15\n"},
				{"router-id 10.0.0.1", "router-id 10.0.0.2"},
			} {
				conf := strings.Replace(s.conf(), change[0], change[1], 1)
				if ack := n.apply(t, conf); ack.How != frr.Delta {
					t.Errorf("%q: got %+v, want a delta", change, ack)
				}
			}
			awaitShown(t, n, " bgp router-id 10.0.0.2")
		})
	}
}

func TestGivenRunningFRRWhenAskedThroughTheClientThenItShowsAndOnlyShows(t *testing.T) {
	t.Parallel()
	n := startNode(t, frrtest.Bookworm)
	n.apply(t, pair().conf())
	out, err := n.client.Show(t.Context(), "bgpd", "show bgp summary json")
	if err != nil || !strings.Contains(string(out), "192.0.2.100") {
		t.Errorf("show: %v\n%s", err, out)
	}
	for _, wrong := range [][2]string{{"bgpd", "clear bgp *"}, {"sshd", "show version"}, {"bgpd", "show nonsense"}} {
		if out, err := n.client.Show(t.Context(), wrong[0], wrong[1]); err == nil {
			t.Errorf("%v: got %s, want an error", wrong, out)
		}
	}
	status, err := n.client.Status(t.Context())
	if err != nil || status.Version != "8.4.4" || !status.Daemons["bgpd"] || status.LastAck == nil {
		t.Errorf("status %+v, %v", status, err)
	}
}
