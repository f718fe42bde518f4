package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// notProgrammed returns a check whether the state says that FRR does not run what is wanted, in these words.
func notProgrammed(words ...string) func(v1beta1.ConfigurationStateStatus) error {
	return func(s v1beta1.ConfigurationStateStatus) error {
		c := meta.FindStatusCondition(s.Conditions, v1beta1.ConditionProgrammed)
		valid := meta.FindStatusCondition(s.Conditions, v1beta1.ConditionConfigReconcilerValid)
		if c == nil || c.Status != metav1.ConditionFalse || s.Result != v1beta1.ConfigurationUnknown || valid.Reason != v1beta1.ReasonInfraError {
			return fmt.Errorf("ConfigurationState is %+v, want Unknown and not Programmed", s)
		}
		for _, w := range words {
			if !strings.Contains(c.Message, w) || !strings.Contains(s.ErrorSummary, w) {
				return fmt.Errorf("ConfigurationState says %q, want it to say %q", c.Message, w)
			}
		}
		return nil
	}
}

// awaitEvent waits for an event on the ConfigurationState.
func (w *world) awaitEvent(reason, words string) {
	w.Helper()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		var list corev1.EventList
		if err := w.List(w.Context(), &list, client.InNamespace(namespace)); err != nil {
			return err
		}
		var told []string
		for _, e := range list.Items {
			if e.InvolvedObject.Kind != "ConfigurationState" || e.InvolvedObject.Name != "speaker-node1" {
				continue
			}
			told = append(told, e.Reason+": "+e.Message)
			if e.Reason == reason && strings.Contains(e.Message, words) {
				return nil
			}
		}
		return fmt.Errorf("no event %s %q among %q", reason, words, told)
	})
}

// awaitCount waits until the speaker has counted n of something, under a label with that value.
func (w *world) awaitCount(name, label string, n float64) {
	w.Helper()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		families, err := w.registry.(prometheus.Gatherer).Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && len(m.GetLabel()) == 1 && m.GetLabel()[0].GetValue() == label {
					if got := m.GetCounter().GetValue(); got != n {
						return fmt.Errorf("%s of %s is %v, want %v", name, label, got, n)
					}
					return nil
				}
			}
		}
		return fmt.Errorf("there is no %s of %s", name, label)
	})
}

// Everything that happens here happens to one node, one after the other, as starting another takes longer than any of it.
func TestGivenAnAnnouncedServiceWhenFRRAndWhatSurroundsItFailThenThatIsToldAndHealsByItself(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, release)
			w.startSpeaker()
			w.configure()
			w.router.AwaitSession(w, "192.0.2.1")
			w.service("steady", "198.51.100.1")
			w.awaitRoute("198.51.100.1", true)
			w.awaitState(isValid)

			pid, err := w.node.DaemonPID("bgpd")
			if err != nil {
				t.Fatal(err)
			}
			w.sh(fmt.Sprintf("kill -STOP %d", pid))
			w.service("meanwhile", "198.51.100.2")
			w.awaitState(notProgrammed("bgpd does not answer"))
			w.sh(fmt.Sprintf("kill -CONT %d", pid))
			w.awaitState(isValid)
			w.awaitRoute("198.51.100.2", true)
			w.awaitEvent("daemonDown", "bgpd does not answer")
			w.awaitEvent("daemonUp", "bgpd is back")
			w.awaitCount("metallb_speaker_frr_daemon_ended_total", "bgpd", 1)
			if got := w.router.Session(w, "192.0.2.1"); got.Established != 1 {
				t.Errorf("the session came up %d times, want once", got.Established)
			}

			w.node.Kill(w, "zebra")
			w.awaitEvent("daemonDown", "zebra has ended")
			w.awaitEvent("daemonUp", "zebra is back")
			w.awaitState(isValid)
			w.awaitRoute("198.51.100.1", true)

			w.node.Vtysh(w, "configure terminal", "router bgp 64500", "no neighbor 192.0.2.2")
			w.awaitEvent("driftRepaired", "neighbor 192.0.2.2 remote-as 64512")
			w.awaitCount("metallb_speaker_frr_drift_total", "repaired", 1)
			w.awaitRoute("198.51.100.1", true)
			w.awaitState(isValid)

			w.node.Resize(w, "/etc/frr", "64k")
			w.sh("dd if=/dev/zero of=/etc/frr/filler bs=1k 2>/dev/null || true")
			w.service("unkept", "198.51.100.3")
			w.awaitState(notProgrammed("no space left on device"))
			w.awaitRoute("198.51.100.3", true) // FRR runs it, and would only not start with it
			w.sh("rm /etc/frr/filler")
			w.node.Resize(w, "/etc/frr", "8m")
			w.awaitState(isValid)

			// So much that it is on its way when the reloader is killed, and it stays away for long enough for that to be told.
			for i := range 100 {
				w.service(fmt.Sprintf("many-%d", i), fmt.Sprintf("198.51.100.%d", 100+i))
			}
			w.killReloader()
			w.service("late", "198.51.100.4")
			w.awaitState(notProgrammed("FRR cannot be given the configuration", "reloader is not available"))
			w.awaitRoute("198.51.100.1", true)
			w.runReloader()
			w.awaitState(isValid)
			for _, address := range []string{"198.51.100.4", "198.51.100.100", "198.51.100.199"} {
				w.awaitRoute(address, true)
			}
		})
	}
}
