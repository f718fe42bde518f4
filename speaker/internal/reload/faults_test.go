package reload_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// sh runs a shell command inside the instance.
func (n *node) sh(t *testing.T, command string) {
	t.Helper()
	if out, err := n.Run(t.Context(), "sh", "-c", command); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
}

func TestGivenAFullDiskWhenAConfigurationIsAppliedThenFRRRunsItAllTheSameAndTheLackIsReported(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			before := s.conf()
			stay := sessionsStay(t, n, "192.0.2.100")
			n.stop()
			n.startReloader(t, 200*time.Millisecond)
			frrtest.Eventually(t, frrtest.Patience, func() error { return hashIs(t, n, before) })
			n.Resize(t, "/etc/frr", "64k")
			n.sh(t, "dd if=/dev/zero of=/etc/frr/filler bs=1k 2>/dev/null || true")

			s.prefixes["10.1.0.7/32"] = []int{1}
			_, err := n.client.Apply(t.Context(), []byte(s.conf()))
			if !errors.Is(err, frr.ErrUnavailable) || !strings.Contains(err.Error(), "no space left") {
				t.Errorf("apply: %v, want an error that says what is lacking and that it may be tried again", err)
			}
			if n.onDisk(t) != before {
				t.Error("the file on disk is not the one before, whole")
			}
			awaitRoute(t, router, "10.1.0.7/32", withCommunities("no-advertise"))

			// Whoever looks after FRR meanwhile holds it to what it was told last, not to what is on disk.
			f := follow(t, n)
			n.Vtysh(t, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", "network 10.9.9.9/32 route-map ml-set[1]")
			frrtest.Eventually(t, frrtest.Patience, func() error { return f.repaired("10.9.9.9/32") })
			awaitNoRoute(t, router, "10.9.9.9/32")
			awaitShown(t, n, "  network 10.1.0.7/32 route-map ml-set[1]")

			n.sh(t, "rm /etc/frr/filler")
			if ack := n.apply(t, s.conf()); ack.How != frr.Unchanged {
				t.Errorf("apply with room on the disk: %+v, want nothing left to do", ack)
			}
			if n.onDisk(t) != s.conf() {
				t.Error("the configuration is not on disk, where FRR finds it when it starts")
			}
			stay()
		})
	}
}

// repaired says whether a drift with those words was put right.
func (f *follower) repaired(words string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, ev := range f.events {
		if (ev.Kind == frr.DriftRepaired || ev.Kind == frr.DriftRemains) && strings.Contains(ev.Detail, words) {
			return nil
		}
	}
	return fmt.Errorf("no repair of %s among %v", words, f.events)
}

func TestGivenADaemonThatHangsWhenAConfigurationIsAppliedThenThatIsToldAndItIsThereOnceTheDaemonAnswersAgain(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			f := follow(t, n)
			pid, err := n.DaemonPID("bgpd")
			if err != nil {
				t.Fatal(err)
			}
			n.sh(t, "kill -STOP "+strconv.Itoa(pid))
			s.prefixes["10.1.0.7/32"] = []int{1}
			var applying sync.WaitGroup
			applying.Go(func() {
				if ack, err := n.client.Apply(t.Context(), []byte(s.conf())); err != nil || ack.Hash != hashOf(s.conf()) {
					t.Errorf("apply: %+v, %v", ack, err)
				}
			})
			// Its socket takes connections and gives no answer.
			f.await(t, frr.DaemonDown, "bgpd")
			if ev := f.first("bgpd"); ev.Detail != "does not answer" {
				t.Errorf("what is told of it is %q", ev.Detail)
			}
			frrtest.Eventually(t, frrtest.Patience, func() error { return statusIs(t, n, "FRR's bgpd to answer") })
			late := follow(t, n)
			late.await(t, frr.DaemonDown, "bgpd") // who comes later is told, too
			n.sh(t, "kill -CONT "+strconv.Itoa(pid))
			applying.Wait()
			f.await(t, frr.DaemonUp, "bgpd")
			awaitRoute(t, router, "10.1.0.7/32", withCommunities("no-advertise"))
			awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
			frrtest.Eventually(t, frrtest.Patience, func() error { return statusIs(t, n, "") })
		})
	}
}

func TestGivenAppliedConfigurationWhenAPersonChangesANeighborInVtyshThenItIsPutRightAndReportedAndOthersStay(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			n.stop()
			n.startReloader(t, 200*time.Millisecond)
			frrtest.Eventually(t, frrtest.Patience, func() error { return hashIs(t, n, s.conf()) })
			stay := sessionsStay(t, n, "2001:db8::100")
			for _, change := range []struct{ by, found string }{
				{"neighbor 192.0.2.100 shutdown", "neighbor 192.0.2.100 shutdown"},
				{"neighbor 192.0.2.100 remote-as 64999", "neighbor 192.0.2.100 remote-as 64513"},
				{"no neighbor 192.0.2.100", "neighbor 192.0.2.100 remote-as 64513"},
			} {
				f := follow(t, n)
				n.Vtysh(t, "configure terminal", "router bgp 64512", change.by)
				frrtest.Eventually(t, frrtest.Patience, func() error { return f.repaired(change.found) })
				n.AwaitSession(t, "192.0.2.100")
				awaitRoute(t, router, "10.1.0.1/32", withCommunities("no-advertise"))
				if ack := n.apply(t, s.conf()); ack.How != frr.Unchanged {
					t.Errorf("after %q: %+v, want nothing left to do", change.by, ack)
				}
			}
			stay()
		})
	}
}
