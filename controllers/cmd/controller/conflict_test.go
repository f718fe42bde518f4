package main

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// node creates a Node that is ready and has an address; it is deleted with the test.
func (w *world) node(tb testing.TB, name, address string) string {
	tb.Helper()
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: w.name + "-" + name}}
	if err := w.Create(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = w.Delete(context.WithoutCancel(tb.Context()), n) })
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: address}}
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}
	if err := w.Status().Update(tb.Context(), n); err != nil {
		tb.Fatal(err)
	}
	return n.Name
}

// speakers answer every AddressProbe of the test's namespace as a network would in which the given addresses are somebody's. Networks has the
// network of each node; a node without one does not answer.
type speakers struct {
	networks map[string]netip.Prefix
	taken    map[netip.Addr]string
	// leaving are answered for once more: their Services have just lost them, and the speaker that announced them had not heard.
	leaving map[netip.Addr]string

	mu    sync.Mutex
	asked []string // "node address"
}

func (w *world) speakers(tb testing.TB, s *speakers) *speakers {
	tb.Helper()
	events, err := w.Watch(tb.Context(), &v1beta1.AddressProbeList{}, client.InNamespace(w.name))
	if err != nil {
		tb.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for e := range events.ResultChan() {
			probe, ok := e.Object.(*v1beta1.AddressProbe)
			if _, answers := s.networks[probeNode(probe)]; ok && answers && probe.Status.CompletedAt == nil {
				s.answer(probe)
				if err := w.Status().Update(tb.Context(), probe); client.IgnoreNotFound(err) != nil && tb.Context().Err() == nil {
					tb.Error(err)
				}
			}
		}
	})
	tb.Cleanup(func() {
		events.Stop()
		running.Wait()
	})
	return s
}

func probeNode(p *v1beta1.AddressProbe) string {
	if p == nil {
		return ""
	}
	return p.Spec.Node
}

func (s *speakers) answer(probe *v1beta1.AddressProbe) {
	s.mu.Lock()
	defer s.mu.Unlock()
	probe.Status.CompletedAt = new(metav1.Now())
	for _, text := range probe.Spec.Addresses {
		s.asked = append(s.asked, probe.Spec.Node+" "+text)
		addr := netip.MustParseAddr(text)
		r := v1beta1.AddressProbeResult{Address: text, State: v1beta1.AddressProbeFree, Interface: "eth0"}
		if mac, taken := s.taken[addr]; taken {
			r.State, r.HardwareAddress = v1beta1.AddressProbeInUse, mac
		}
		if mac, leaving := s.leaving[addr]; leaving {
			r.State, r.HardwareAddress = v1beta1.AddressProbeInUse, mac
			delete(s.leaving, addr)
		}
		if !s.networks[probe.Spec.Node].Contains(addr) {
			r = v1beta1.AddressProbeResult{Address: text, State: v1beta1.AddressProbeNotOnLink}
		}
		probe.Status.Results = append(probe.Status.Results, r)
	}
}

func (s *speakers) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.asked)
}

func check(how v1beta1.ConflictCheck) func(*v1beta1.IPAddressPool) {
	return func(p *v1beta1.IPAddressPool) { p.Spec.ConflictCheck = how }
}

// expectConflictFree waits until the condition ConflictFree of pool p contains text, or is not there for "".
func (w *world) expectConflictFree(tb testing.TB, text string) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("pool p says %q", text), func() (bool, string) {
		status := w.poolStatus(tb, "p")
		c := meta.FindStatusCondition(status.Conditions, v1beta1.ConditionConflictFree)
		if c == nil {
			return text == "", "no condition ConflictFree"
		}
		got := fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		return text != "" && strings.Contains(got, text), got
	})
}

// expectNoProbes waits until no AddressProbe is left.
func (w *world) expectNoProbes(tb testing.TB) {
	tb.Helper()
	eventually(tb, "no AddressProbe is left", func() (bool, string) {
		var list v1beta1.AddressProbeList
		if err := w.List(tb.Context(), &list, client.InNamespace(w.name)); err != nil {
			tb.Fatal(err)
		}
		return len(list.Items) == 0, fmt.Sprint(list.Items)
	})
}

func TestA11GivenNodesAndRoutersInAPoolWhenItChecksForKnownConflictsThenTheirAddressesAreLeftOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	node := w.node(t, "n", "10.61.0.1")
	peer := &v1beta2.BGPPeer{ObjectMeta: metav1.ObjectMeta{Name: "tor", Namespace: w.name},
		Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "10.61.0.0"}}
	if err := w.Create(t.Context(), peer); err != nil {
		t.Fatal(err)
	}
	p := w.pool(t, "p", []string{"10.61.0.0/29"}, check(v1beta1.ConflictCheckKnown))
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "10.61.0.2")
	w.create(t, "asks", annotated(v1beta1.AnnotationLoadBalancerIPs, "10.61.0.1"))
	w.expectCondition(t, "asks", "False AddressForeign")
	w.expectConflictFree(t, "False ConflictFound: 10.61.0.0 is in use by BGPPeer tor; 10.61.0.1 is in use by node "+node)
	w.editPool(t, p, check(v1beta1.ConflictCheckNone))
	w.expect(t, "asks", "10.61.0.1")
	w.expectConflictFree(t, "")
}

func TestGivenAnAddressInUseOnTheNetworkWhenAServiceIsToGetItThenItGetsTheNextOneAndEverybodyIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	near, far := w.node(t, "near", "10.62.0.250"), w.node(t, "far", "10.99.0.1")
	s := w.speakers(t, &speakers{
		networks: map[string]netip.Prefix{near: netip.MustParsePrefix("10.62.0.0/24"), far: netip.MustParsePrefix("10.99.0.0/24")},
		taken:    map[netip.Addr]string{netip.MustParseAddr("10.62.0.0"): "02:42:00:00:00:07"},
	})
	w.pool(t, "p", []string{"10.62.0.0/28"}, check(v1beta1.ConflictCheckProbe))
	p := w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "10.62.0.1")
	const words = "10.62.0.0 is in use by 02:42:00:00:00:07, seen by node %s on eth0"
	w.expectConflictFree(t, "False ConflictFound: "+fmt.Sprintf(words, near))
	for _, about := range []string{"web", "p"} {
		eventually(t, "an event on "+about, func() (bool, string) {
			got := w.events(t, about)
			return strings.Contains(got, "Warning AddressConflict "+fmt.Sprintf(words, near)), got
		})
	}
	if got, want := s.log(), []string{near + " 10.62.0.0", near + " 10.62.0.0", near + " 10.62.0.1"}; !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v: one node, one address after the other, and twice for the one that is taken", got, want)
	}
	if got := strings.Count(p.text(), `"event":"ipAllocated"`); got != 1 {
		t.Errorf("%d lines say that an address is assigned, want 1, of the one that is", got)
	}
	w.create(t, "asks", annotated(v1beta1.AnnotationLoadBalancerIPs, "10.62.0.0"))
	w.expectCondition(t, "asks", "False AddressForeign")
	w.expectNoProbes(t)
	eventually(t, "the address of a stranger counts as not available", func() (bool, string) {
		st := w.poolStatus(t, "p")
		return st.AssignedIPv4 == 1 && st.AvailableIPv4 == 14, fmt.Sprint(st)
	})
}

func TestGivenAnAddressThatASpeakerHasNotGivenUpYetWhenItIsLookedForThenThatIsNoConflict(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	near := w.node(t, "near", "10.66.0.250")
	s := w.speakers(t, &speakers{
		networks: map[string]netip.Prefix{near: netip.MustParsePrefix("10.66.0.0/24")},
		leaving:  map[netip.Addr]string{netip.MustParseAddr("10.66.0.0"): "02:42:00:00:00:08"},
	})
	w.pool(t, "p", []string{"10.66.0.0/28"}, check(v1beta1.ConflictCheckProbe))
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "10.66.0.0")
	w.expectConflictFree(t, "True NoConflict")
	if got, want := s.log(), []string{near + " 10.66.0.0", near + " 10.66.0.0"}; !slices.Equal(got, want) {
		t.Errorf("asked %v, want %v", got, want)
	}
}

func TestGivenManyServicesAtOnceWhenTheirAddressesAreLookedForThenTheyShareAddressProbesAndAllAreServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	near := w.node(t, "near", "10.63.0.250")
	s := w.speakers(t, &speakers{networks: map[string]netip.Prefix{near: netip.MustParsePrefix("10.63.0.0/24")}})
	const count = 40
	for i := range count {
		w.create(t, fmt.Sprint("s", i))
	}
	// An earlier controller asked this, and nobody waits for the answer.
	old := &v1beta1.AddressProbe{ObjectMeta: metav1.ObjectMeta{Name: "old", Namespace: w.name, Labels: map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentController}},
		Spec: v1beta1.AddressProbeSpec{Node: "gone", Addresses: []string{"10.63.0.9"}}}
	if err := w.Create(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	w.pool(t, "p", []string{"10.63.0.0/26"}, check(v1beta1.ConflictCheckProbe))
	w.controller(t)
	seen := map[string]bool{}
	for i := range count {
		eventually(t, fmt.Sprint("s", i, " has an address"), func() (bool, string) {
			got := addresses(w.get(t, fmt.Sprint("s", i)))
			if len(got) == 1 {
				seen[got[0]] = true
			}
			return len(got) == 1, fmt.Sprint(got)
		})
	}
	if len(seen) != count || len(s.log()) != count {
		t.Errorf("%d addresses, %d questions: want %d of each", len(seen), len(s.log()), count)
	}
	w.expectNoProbes(t)
	w.expectConflictFree(t, "True NoConflict")
}

func TestGivenAddressesOfNoNetworkOrNoSpeakerWhenAServiceWantsOneThenItGetsItAllTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	s := w.speakers(t, &speakers{networks: map[string]netip.Prefix{}})
	for i, network := range []string{"10.64.1.0/24", "10.64.2.0/24", "10.64.3.0/24"} {
		prefix := netip.MustParsePrefix(network)
		s.networks[w.node(t, fmt.Sprint("routed-", i), prefix.Addr().String())] = prefix
	}
	w.node(t, "silent", "10.65.0.250")
	w.pool(t, "routed", []string{"10.64.0.0/28"}, check(v1beta1.ConflictCheckProbe))
	w.pool(t, "silent", []string{"10.65.0.0/28"}, check(v1beta1.ConflictCheckProbe))
	w.controller(t)
	w.create(t, "routed", annotated(v1beta1.AnnotationAddressPool, "routed"))
	w.create(t, "silent", annotated(v1beta1.AnnotationAddressPool, "silent"))
	w.expect(t, "routed", "10.64.0.0")
	if got := s.log(); len(got) != 3 {
		t.Errorf("asked %v, want each of the three nearest nodes once", got)
	}
	w.expect(t, "silent", "10.65.0.0")
	eventually(t, "an event says that nobody could be asked", func() (bool, string) {
		got := w.events(t, "silent")
		return strings.Contains(got, "Warning ConflictCheckSkipped 10.65.0.0 is given without knowing") && strings.Contains(got, "did not answer within 5s"), got
	})
	w.expectNoProbes(t)
}
