package neighbors

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// patience is how long a test waits for what has to happen.
const patience = time.Minute

// cluster is an API server with speakers' pods.
type cluster struct {
	*testing.T
	client.Client
	api  mirror.API
	port int
}

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(m.Run())
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	server := apiserver.Run(t, apiserver.Options{})
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c := &cluster{T: t}
	var err error
	if c.Client, err = client.New(server.Config(), client.Options{Scheme: scheme}); err != nil {
		t.Fatal(err)
	}
	c.api = mirror.API{Config: server.Config(), Scheme: scheme}
	if c.api.HTTP, err = rest.HTTPClientFor(c.api.Config); err != nil {
		t.Fatal(err)
	}
	c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "ns"}})
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address("a").String()+":0")
	if err != nil {
		t.Fatal(err)
	}
	c.port = l.Addr().(*net.TCPAddr).Port
	l.Close()
	return c
}

// address is that of a node on the loopback, a letter long.
func address(node string) netip.Addr { return netip.AddrFrom4([4]byte{127, 9, 46, node[0]}) }

func (c *cluster) create(o client.Object) {
	c.Helper()
	if err := c.Create(c.Context(), o); err != nil {
		c.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

// pod creates the pod of a node's speaker.
func (c *cluster) pod(node string, ready bool) {
	c.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "speaker-" + node, Labels: map[string]string{"component": "speaker"}},
		Spec: corev1.PodSpec{NodeName: node, Containers: []corev1.Container{{Name: "speaker", Image: "speaker"}}}}
	c.create(p)
	p.Status = speakerPod("", node, address(node).String()).Status
	p.Status.ContainerStatuses[1].Ready = ready
	if err := c.Status().Update(c.Context(), p); err != nil {
		c.Fatal(err)
	}
}

func (c *cluster) deletePod(node string) {
	c.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "speaker-" + node}}
	if err := c.Delete(c.Context(), p, client.GracePeriodSeconds(0)); err != nil {
		c.Fatal(err)
	}
}

// links are those of a node.
type links struct {
	mu      sync.Mutex
	names   []string
	changed chan struct{}
}

func newLinks(names ...string) *links { return &links{names: names, changed: make(chan struct{}, 1)} }

func (l *links) Links() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.names
}

func (l *links) LinksChanged() <-chan struct{} { return l.changed }

func (l *links) set(names ...string) {
	l.mu.Lock()
	l.names = append([]string{}, names...)
	l.mu.Unlock()
	l.changed <- struct{}{}
}

// speaker is one of a node, whose news has something after a change.
type speaker struct {
	*Neighbors
	*links
	news chan struct{}
	end  func()
}

// speaker starts the one of a node, which is ready to announce when ready is closed.
func (c *cluster) speaker(node string, l *links, ready <-chan struct{}) *speaker {
	c.Helper()
	s := &speaker{links: l, news: make(chan struct{}, 1)}
	selector, err := labels.Parse("component=speaker")
	if err != nil {
		c.Fatal(err)
	}
	s.Neighbors, err = New(Options{
		Namespace: "ns", Labels: selector, API: c.api, Leases: c.Client, Links: l, Log: slog.New(slog.DiscardHandler),
		Gossip: members.Options{Name: node, BindAddr: address(node), BindPort: c.port},
		Await: func(ctx context.Context) bool {
			select {
			case <-ready:
				return true
			case <-ctx.Done():
				return false
			}
		},
		Changed: func() {
			select {
			case s.news <- struct{}{}:
			default:
			}
		},
	})
	if err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Start(ctx) }()
	s.end = sync.OnceFunc(func() {
		if err := s.Leave(context.Background()); err != nil {
			c.Errorf("%s: %v", node, err)
		}
		cancel()
		if err := <-ended; err != nil {
			c.Errorf("%s: %v", node, err)
		}
	})
	c.Cleanup(s.end)
	return s
}

// await waits until what is known is as it should be.
func (s *speaker) await(t *testing.T, what string, is func(members.Snapshot) bool) {
	t.Helper()
	for limit := time.After(patience); ; {
		if is(s.Snapshot()) {
			return
		}
		select {
		case <-s.news:
		case <-limit:
			t.Fatalf("never %s; last it was %+v", what, s.Snapshot())
		}
	}
}

func sees(names ...string) func(members.Snapshot) bool {
	return func(s members.Snapshot) bool {
		return s.Quorate && slices.EqualFunc(s.Alive, names, func(m members.Member, name string) bool { return m.Name == name })
	}
}

func closed() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

func TestGivenASpeakerThatIsNotReadyToAnnounceThenItDoesNotGossipAndClaimsNothing(t *testing.T) {
	c := newCluster(t)
	c.pod("a", false)
	ready, l := make(chan struct{}), newLinks()
	a := c.speaker("a", l, ready)
	if s := a.Snapshot(); s.Quorate || s.Reason == "" || len(s.Alive) != 1 || a.Ready() == nil {
		t.Errorf("before the start %+v, ready %v", s, a.Ready())
	}
	close(ready)
	a.await(t, "waiting for its links", func(s members.Snapshot) bool { return strings.Contains(s.Reason, "links of this node") })
	port, err := new(net.ListenConfig).Listen(t.Context(), "tcp", netip.AddrPortFrom(address("a"), uint16(c.port)).String())
	if err != nil {
		t.Fatalf("the port is open already: %v", err)
	}
	l.set("eth0")
	a.await(t, "told that the port is taken", func(s members.Snapshot) bool {
		return !s.Quorate && strings.Contains(s.Reason, "address already in use")
	})
	if err := a.Ready(); err == nil || !strings.Contains(err.Error(), "address already in use") {
		t.Errorf("readiness says %v", err)
	}
	port.Close()
	a.await(t, "alone and in charge", sees("a"))
	if err := a.Ready(); err != nil {
		t.Error(err)
	}
}

func TestGivenSpeakersWhosePodsTheAPIShowsThenTheyMeetTellOfTheirLinksAndPartInOrder(t *testing.T) {
	c := newCluster(t)
	c.pod("a", true)
	a := c.speaker("a", newLinks("eth0"), closed())
	a.await(t, "alone, with all that is its", func(s members.Snapshot) bool { return sees("a")(s) && s.Alive[0].Withheld == 0 })
	b := c.speaker("b", newLinks("eth1", "eth2"), closed())
	c.pod("b", true)
	a.await(t, "together with b", sees("a", "b"))
	b.await(t, "together with a", sees("a", "b"))
	member := func(s members.Snapshot, name string) members.Member {
		return s.Alive[slices.IndexFunc(s.Alive, func(m members.Member) bool { return m.Name == name })]
	}
	if m := member(a.Snapshot(), "b"); !slices.Equal(m.Links, []string{"eth1", "eth2"}) || m.Withheld < 90 {
		t.Errorf("b joins as %+v, want its links, and that it withholds its part as yet", m)
	}
	b.await(t, "told that a has all that is its", func(s members.Snapshot) bool { return sees("a", "b")(s) && member(s, "a").Withheld == 0 })
	b.set()
	a.await(t, "told that b has lost its links", func(s members.Snapshot) bool {
		return len(s.Alive) == 2 && s.Alive[1].Links != nil && len(s.Alive[1].Links) == 0
	})
	a.await(t, "told that b takes a part back", func(s members.Snapshot) bool { return sees("a", "b")(s) && member(s, "b").Withheld == 90 })
	b.end()
	a.await(t, "alone again", sees("a"))
	c.deletePod("b")
	awaitPeers(t, a, "a")
}

// awaitPeers waits until the peers are those.
func awaitPeers(t *testing.T, s *speaker, names ...string) {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		peers, known := s.pods.peers()
		if known && slices.EqualFunc(peers, names, func(p members.Peer, name string) bool { return p.Name == name }) {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("peers are %v, %t, want %v", peers, known, names)
		}
	}
}

func TestGivenLeasesThenTheWitnessTellsOfTheNodesWithAReadySpeaker(t *testing.T) {
	c := newCluster(t)
	if err := c.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: corev1.NamespaceNodeLease}}); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err) // the API server makes it itself, a moment after its start
	}
	renewed := metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC))
	for node, ready := range map[string]bool{"a": true, "b": true, "c": false, "d": true, "e": true} {
		c.pod(node, ready)
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: corev1.NamespaceNodeLease, Name: node}, Spec: coordinationv1.LeaseSpec{RenewTime: &renewed}}
		switch node {
		case "d":
			lease.Spec.RenewTime = nil
		case "e":
			continue // its kubelet has never made one
		}
		c.create(lease)
	}
	s := c.speaker("a", newLinks("eth0"), nil)
	awaitPeers(t, s, "a", "b", "c", "d", "e")
	frozen := func() string {
		marks, err := s.witness(t.Context(), []string{"b", "c", "d", "e", "f"})
		return fmt.Sprint(marks, err)
	}
	if got, want := frozen(), "map[b:2026-01-02T03:04:05.000006Z] <nil>"; got != want {
		t.Errorf("the witness says %s, want %s", got, want)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if marks, err := s.witness(ended, []string{"b"}); err == nil || !strings.Contains(err.Error(), "Lease of node b") {
		t.Errorf("a witness that cannot ask says %v, %v", marks, err)
	}
}
