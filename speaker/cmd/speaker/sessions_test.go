package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// sessions returns the BGPSessionState objects by the label that names the peer.
func (w *world) sessions() map[string]v1beta1.BGPSessionState {
	w.Helper()
	var list v1beta1.BGPSessionStateList
	if err := w.List(w.Context(), &list, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	found := map[string]v1beta1.BGPSessionState{}
	for _, o := range list.Items {
		found[o.Labels[v1beta1.LabelPeer]] = o
	}
	return found
}

// awaitSessionState waits until the object of the session with the router says what is wanted, and returns it.
func (w *world) awaitSessionState(check func(*v1beta1.BGPSessionStateStatus) error) v1beta1.BGPSessionState {
	w.Helper()
	var found v1beta1.BGPSessionState
	frrtest.Eventually(w, frrtest.Patience, func() error {
		o, ok := w.sessions()["192.0.2.2"]
		if !ok {
			return fmt.Errorf("there is no BGPSessionState")
		}
		found = o
		if err := check(&o.Status); err != nil {
			return fmt.Errorf("%w; BGPSessionState %s is %+v, diagnosis %+v", err, o.Name, o.Status, o.Status.Diagnosis)
		}
		return nil
	})
	return found
}

// isUp wants a session that is up, with so many prefixes sent.
func isUp(sent int64) func(s *v1beta1.BGPSessionStateStatus) error {
	return func(s *v1beta1.BGPSessionStateStatus) error {
		switch {
		case s.BGPStatus != "Established" || s.Diagnosis != nil || s.EstablishedAt == nil || s.Timers == nil || s.Timers.HoldTimeSeconds != 180:
			return fmt.Errorf("want a session that is up with a hold time of 180 s")
		case s.Node != "node1" || s.Peer != "192.0.2.2" || s.BGPPeer != "router" || s.BFDStatus != "N/A":
			return fmt.Errorf("want that of node1 and router 192.0.2.2")
		case len(s.Prefixes) != 1 || s.Prefixes[0].AddressFamily != "ipv4Unicast" || s.Prefixes[0].Sent != sent:
			return fmt.Errorf("want %d prefixes of IPv4 sent", sent)
		}
		return nil
	}
}

// isWrong wants a session that is down for a reason.
func isWrong(reason v1beta1.BGPSessionReason, words string) func(s *v1beta1.BGPSessionStateStatus) error {
	return func(s *v1beta1.BGPSessionStateStatus) error {
		if s.BGPStatus == "Established" || s.EstablishedAt != nil || s.Diagnosis == nil || s.Diagnosis.Reason != reason || !strings.Contains(s.Diagnosis.Message, words) {
			return fmt.Errorf("want a session that is down, reason %s with %q", reason, words)
		}
		return nil
	}
}

// events returns what events on the BGPPeer say.
func (w *world) peerEvents() []string {
	w.Helper()
	var list corev1.EventList
	if err := w.List(w.Context(), &list, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	var found []string
	for _, e := range list.Items {
		if e.InvolvedObject.Kind == "BGPPeer" && e.InvolvedObject.Name == "router" && e.InvolvedObject.UID != "" {
			found = append(found, e.Reason+" "+e.Message)
		}
	}
	return found
}

func (w *world) awaitPeerEvent(reason, words string) {
	w.Helper()
	frrtest.Eventually(w, frrtest.Patience, func() error {
		all := w.peerEvents()
		if slices.ContainsFunc(all, func(e string) bool { return strings.HasPrefix(e, reason+" ") && strings.Contains(e, words) }) {
			return nil
		}
		return fmt.Errorf("no event %s with %q among %q", reason, words, all)
	})
}

func TestGivenASessionWhenItComesUpGoesDownAndIsNotWantedAnyMoreThenItsObjectAndEventsSaySo(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, release)
			w.startSpeaker()
			w.configure()
			up := w.awaitSessionState(isUp(0))
			if up.Labels[v1beta1.LabelNode] != "node1" || up.Labels[v1beta1.LabelVRF] != "default" || len(up.OwnerReferences) != 1 || up.OwnerReferences[0].Name != "speaker-x" {
				t.Errorf("labels %v, owners %v, want those of node1's session and pod speaker-x", up.Labels, up.OwnerReferences)
			}
			w.awaitPeerEvent("sessionUp", `session of node "node1" with 192.0.2.2:179 is up`)
			w.service("web", "198.51.100.1")
			w.awaitSessionState(isUp(1))

			w.router.Vtysh(t, "configure terminal", "router bgp 64512", "neighbor 192.0.2.1 remote-as 64501")
			began := time.Now()
			w.awaitSessionState(func(s *v1beta1.BGPSessionStateStatus) error {
				if s.BGPStatus == "Established" {
					return fmt.Errorf("want it down")
				}
				return nil
			})
			t.Logf("the router ends the session to its object says so: %v", time.Since(began))
			down := w.awaitSessionState(isWrong(v1beta1.SessionLocalASMismatch, "than 64500: compare spec.myASN of BGPPeer router"))
			if n := down.Status.LastNotification; n == nil || n.Direction != v1beta1.NotificationReceived || down.Status.LastResetAt == nil || down.Status.LastResetReason == "" {
				t.Errorf("the last reset: %+v, %+v, want a NOTIFICATION that the router sent", down.Status.LastResetReason, n)
			}
			w.awaitPeerEvent("sessionDown", "is down")

			w.router.Vtysh(t, "configure terminal", "router bgp 64512", "neighbor 192.0.2.1 remote-as 64500")
			again := w.awaitSessionState(isUp(1))
			if again.UID != up.UID || again.Status.LastResetAt == nil {
				t.Errorf("object %s has UID %s, last reset %v, want the same object with its last reset", again.Name, again.UID, again.Status.LastResetAt)
			}

			w.node.Kill(t, "bgpd")
			w.awaitSessionState(isWrong(v1beta1.SessionFRRUnavailable, "FRR does not answer"))
			w.awaitSessionState(isUp(1))

			if err := w.Delete(w.Context(), &v1beta2.BGPPeer{ObjectMeta: named("router")}); err != nil {
				t.Fatal(err)
			}
			frrtest.Eventually(w, frrtest.Patience, func() error {
				if left := w.sessions(); len(left) > 0 {
					return fmt.Errorf("%d BGPSessionStates are left", len(left))
				}
				return nil
			})
		})
	}
}
