package neighbors

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// sight returns a snapshot with this many members.
func sight(quorate bool, alive int) members.Snapshot {
	return members.Snapshot{Quorate: quorate, Alive: make([]members.Member, alive)}
}

func TestGivenANodeThatReturnsThenItWithholdsEverythingUntilItHasMetOthersAndATenthLessEveryThreeSeconds(t *testing.T) {
	start := time.Unix(1000, 0)
	var p pace
	var withheld int
	var wait time.Duration
	if p, withheld, wait = p.step(sight(false, 1), start); withheld != 100 || wait != 0 {
		t.Fatalf("before it has met anybody: %d %%, again in %v", withheld, wait)
	}
	met := start.Add(time.Minute)
	var seen []int
	for now := met; ; now = now.Add(wait) {
		if p, withheld, wait = p.step(sight(true, 3), now); wait == 0 {
			if withheld != 0 || now.Sub(met) != 30*time.Second {
				t.Fatalf("the return ends with %d %% after %v", withheld, now.Sub(met))
			}
			break
		}
		seen = append(seen, withheld)
	}
	if want := []int{100, 90, 80, 70, 60, 50, 40, 30, 20, 10}; !slices.Equal(seen, want) {
		t.Errorf("withheld %v, want %v", seen, want)
	}
	if _, withheld, _ = p.step(sight(true, 2), met.Add(time.Hour)); withheld != 0 {
		t.Errorf("after its return the node withholds %d %%", withheld)
	}
}

func TestGivenALateStepThenTheReturnCatchesUp(t *testing.T) {
	start := time.Unix(1000, 0)
	p, _, _ := pace{}.step(sight(true, 2), start)
	if _, withheld, wait := p.step(sight(true, 2), start.Add(10*time.Second)); withheld != 70 || wait != 2*time.Second {
		t.Errorf("after 10 s %d %%, again in %v, want 70 %% and 2 s", withheld, wait)
	}
}

func TestGivenNobodyElseThenNothingIsWithheldNowOrLater(t *testing.T) {
	start := time.Unix(1000, 0)
	for name, p := range map[string]pace{"at the start": {}, "while it returns": {since: start}} {
		p, withheld, _ := p.step(sight(true, 1), start.Add(time.Second))
		_, later, _ := p.step(sight(true, 3), start.Add(2*time.Second))
		if withheld != 0 || later != 0 {
			t.Errorf("%s: %d %%, and %d %% when others come", name, withheld, later)
		}
	}
}

func TestGivenErrorsOfTheGossipThenTheRemedyNamesThePortTheAddressOrTheFile(t *testing.T) {
	n := &Neighbors{Options: Options{Gossip: members.Options{BindAddr: netip.MustParseAddr("192.0.2.1"), BindPort: 7946, SecretPath: "/etc/ml_secret_key"}}}
	for want, err := range map[string]error{
		"sport = :7946":      fmt.Errorf("listen: %v", syscall.EADDRINUSE), //nolint:errorlint // memberlist does so
		"192.0.2.1":          fmt.Errorf("listen: %w", syscall.EADDRNOTAVAIL),
		"/etc/ml_secret_key": fmt.Errorf("read: %w", fs.ErrNotExist),
		"--ml-":              errors.New("anything else"),
	} {
		if got := n.remedy(err); !strings.Contains(got, want) {
			t.Errorf("the remedy for %v is %q, want something about %q", err, got, want)
		}
	}
}

// speakerPod is a pod as its kubelet leaves it.
func speakerPod(name, node string, addresses ...string) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}, Spec: corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{{Name: "frr"}, {Name: "speaker", Ready: true}}}}
	for _, a := range addresses {
		p.Status.PodIPs = append(p.Status.PodIPs, corev1.PodIP{IP: a})
		p.Status.PodIP = p.Status.PodIPs[0].IP
	}
	return p
}

func TestGivenPodsThenPeersAreThoseWithAnAddressOfTheFamilyThatHaveNotEnded(t *testing.T) {
	ending := speakerPod("ending", "c", "192.0.2.30")
	ending.DeletionTimestamp = new(metav1.Now())
	ended := speakerPod("ended", "d", "192.0.2.4")
	ended.Status.Phase = corev1.PodFailed
	list := []*corev1.Pod{
		speakerPod("both", "a", "2001:db8::1", "192.0.2.1"), speakerPod("four", "b", "192.0.2.2"), ending, speakerPod("new", "c", "192.0.2.3"), ended,
		speakerPod("pending", "e"), speakerPod("unscheduled", "", "192.0.2.6"), speakerPod("odd", "f", "node-f"),
	}
	for ipv4, want := range map[bool][]members.Peer{
		true:  {{Name: "a", Addr: netip.MustParseAddr("192.0.2.1")}, {Name: "b", Addr: netip.MustParseAddr("192.0.2.2")}, {Name: "c", Addr: netip.MustParseAddr("192.0.2.3")}},
		false: {{Name: "a", Addr: netip.MustParseAddr("2001:db8::1")}},
	} {
		p := newPods(ipv4)
		exist := map[types.NamespacedName]bool{}
		for _, one := range list {
			small, err := slim(one)
			if err != nil {
				t.Fatal(err)
			}
			p.Put(small.(*corev1.Pod))
			exist[types.NamespacedName{Namespace: "ns", Name: one.Name}] = true
		}
		if peers, known := p.peers(); known {
			t.Errorf("peers are %v before everything has been seen", peers)
		}
		p.Retain(exist, "1")
		if peers, known := p.peers(); !known || !slices.Equal(peers, want) {
			t.Errorf("peers are %v, %t, want %v", peers, known, want)
		}
	}
}

func TestGivenAPodThatEndsOrIsDeletedThenItIsNoPeer(t *testing.T) {
	p := newPods(true)
	p.Put(speakerPod("one", "a", "192.0.2.1"))
	p.Put(speakerPod("two", "b", "192.0.2.2"))
	p.Retain(map[types.NamespacedName]bool{{Namespace: "ns", Name: "one"}: true, {Namespace: "ns", Name: "two"}: true}, "1")
	p.Drop(types.NamespacedName{Namespace: "ns", Name: "one"})
	if peers, _ := p.peers(); len(peers) != 1 || peers[0].Name != "b" {
		t.Errorf("after the deletion peers are %v", peers)
	}
	over := speakerPod("two", "b", "192.0.2.2")
	over.Status.Phase = corev1.PodSucceeded
	p.Put(over)
	if peers, known := p.peers(); len(peers) != 0 || !known {
		t.Errorf("after the end peers are %v, %t", peers, known)
	}
}

func TestGivenPodsThenThoseNodesAreReadyWhoseSpeakersContainerIs(t *testing.T) {
	p := newPods(true)
	crashing := speakerPod("two", "b", "192.0.2.2")
	crashing.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "frr", Ready: true}, {Name: "speaker"}}
	p.Put(speakerPod("one", "a", "192.0.2.1"))
	p.Put(crashing)
	p.Put(speakerPod("three", "c", "192.0.2.3"))
	p.Retain(map[types.NamespacedName]bool{{Namespace: "ns", Name: "one"}: true, {Namespace: "ns", Name: "two"}: true, {Namespace: "ns", Name: "three"}: true}, "1")
	if got := p.ready([]string{"a", "b", "z"}); !slices.Equal(got, []string{"a"}) {
		t.Errorf("of a, b and z %v are ready, want a: b's speaker is not, and z has none", got)
	}
}
