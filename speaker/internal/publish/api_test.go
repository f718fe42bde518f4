package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-logr/logr"
	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// limit bounds what a test waits for, on a busy machine.
const limit = 60 * time.Second

// server is the API server that the tests of this package share, started by the first that needs it. Each has namespaces of its own.
var server = sync.OnceValues(func() (*apiserver.Server, error) {
	s, err := apiserver.Start(context.Background(), apiserver.Options{ControllerManager: true})
	if err != nil {
		return nil, err
	}
	started.Store(s)
	return s, install(s)
})

var started atomic.Pointer[apiserver.Server]

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	code := m.Run()
	if s := started.Load(); s != nil {
		if err := s.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "stop the API server:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func newScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	return scheme, errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1beta1.AddToScheme(scheme))
}

// install defines the kinds.
func install(s *apiserver.Server) error {
	scheme, err := newScheme()
	if err != nil {
		return err
	}
	c, err := client.New(s.Config(), client.Options{Scheme: scheme})
	if err != nil {
		return err
	}
	definitions, err := crd.Definitions()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	for _, d := range definitions {
		if err := c.Create(ctx, d); err != nil {
			return err
		}
	}
	for _, d := range definitions {
		for !slices.ContainsFunc(d.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
		}) {
			time.Sleep(20 * time.Millisecond)
			if err := c.Get(ctx, client.ObjectKeyFromObject(d), d); err != nil {
				return err
			}
		}
	}
	return nil
}

// cluster is an API server, and a namespace of it that status objects are written to; Services are in one called like it with "-user".
type cluster struct {
	*testing.T
	client.Client
	config    *rest.Config
	scheme    *runtime.Scheme
	namespace string
}

var namespaces atomic.Int32

func newCluster(t *testing.T) *cluster {
	t.Helper()
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{T: t, config: s.Config(), namespace: fmt.Sprintf("system-%d", namespaces.Add(1))}
	if c.scheme, err = newScheme(); err != nil {
		t.Fatal(err)
	}
	if c.Client, err = client.New(c.config, client.Options{Scheme: c.scheme}); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{c.namespace, c.user()} {
		c.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		c.eventually(func() error { // made by the controller manager; pods need it
			return c.Get(t.Context(), client.ObjectKey{Namespace: name, Name: "default"}, &corev1.ServiceAccount{})
		})
	}
	return c
}

func (c *cluster) user() string { return c.namespace + "-user" }

func (c *cluster) create(o client.Object) {
	c.Helper()
	if err := c.Create(c.Context(), o); err != nil {
		c.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

func (c *cluster) eventually(check func() error) {
	c.Helper()
	var err error
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if err = check(); err == nil {
			return
		}
	}
	c.Fatalf("after %s: %v", limit, err)
}

// service creates Services.
func (c *cluster) service(names ...string) {
	c.Helper()
	for _, name := range names {
		c.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: c.user(), Name: name},
			Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	}
}

func (c *cluster) pod(name string) {
	c.Helper()
	c.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: name},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "speaker", Image: "speaker"}}}})
}

// verdict is the one on a Service's address by layer 2, of which owner is the node that has it as this one sees it.
func (c *cluster) verdict(node, service, address, owner string) *announce.Verdict {
	v := &announce.Verdict{Service: svc(service), Address: netip.MustParseAddr(address), Pool: "pool", Protocol: announce.ProtocolLayer2,
		Announce: owner == node, Owner: owner}
	v.Service.Namespace = c.user()
	switch owner {
	case node:
	case "":
		v.Reason = announce.Reason{Code: announce.ReasonInterfaceMissing, Detail: "node " + node + ": interface eth1 is missing"}
	default:
		v.Reason = announce.Reason{Code: announce.ReasonNotOwner, Detail: "node " + owner + " announces it: hash"}
	}
	return v
}

// l2Status is what matters to users of a ServiceL2Status.
type l2Status struct {
	Node, Service string
	Interfaces    []string
	Pod           string
}

// statuses returns what the ServiceL2Status objects say, sorted by Service and node.
func (c *cluster) statuses() []l2Status {
	c.Helper()
	var list v1beta1.ServiceL2StatusList
	if err := c.List(c.Context(), &list, client.InNamespace(c.namespace)); err != nil {
		c.Fatal(err)
	}
	var all []l2Status
	for i := range list.Items {
		o := &list.Items[i]
		s := l2Status{Node: o.Status.Node, Service: o.Status.ServiceName}
		for _, i := range o.Status.Interfaces {
			s.Interfaces = append(s.Interfaces, i.Name)
		}
		if len(o.OwnerReferences) == 1 {
			s.Pod = o.OwnerReferences[0].Name
		}
		all = append(all, s)
		if o.Status.ServiceName != "" && (!strings.HasPrefix(o.Name, "l2-") || o.Status.ServiceNamespace != c.user() || o.Labels[v1beta1.LabelNode] != s.Node ||
			o.Labels[v1beta1.LabelServiceName] != s.Service || o.Labels[v1beta1.LabelServiceNamespace] != c.user()) {
			c.Errorf("ServiceL2Status %s has labels %v and says %+v", o.Name, o.Labels, o.Status)
		}
	}
	slices.SortFunc(all, func(a, b l2Status) int { return strings.Compare(a.Service+" "+a.Node, b.Service+" "+b.Node) })
	return all
}

func (c *cluster) awaitStatuses(want ...l2Status) {
	c.Helper()
	c.eventually(func() error {
		if diff := gocmp.Diff(want, c.statuses()); diff != "" {
			return fmt.Errorf("ServiceL2Status (-want +got):\n%s", diff)
		}
		return nil
	})
}

// told returns the events on Services as "service: type reason xcount: message", sorted.
func (c *cluster) told() []string {
	c.Helper()
	var list corev1.EventList
	if err := c.List(c.Context(), &list, client.InNamespace(c.user())); err != nil {
		c.Fatal(err)
	}
	var all []string
	for i := range list.Items {
		e := &list.Items[i]
		all = append(all, fmt.Sprintf("%s: %s %s x%d: %s", e.InvolvedObject.Name, e.Type, e.Reason, e.Count, e.Message))
		var about corev1.Service
		if err := c.Get(c.Context(), client.ObjectKey{Namespace: c.user(), Name: e.InvolvedObject.Name}, &about); err != nil || about.UID != e.InvolvedObject.UID {
			c.Errorf("event %s is about %+v, which is no Service: %v", e.Name, e.InvolvedObject, err)
		}
	}
	slices.Sort(all)
	return all
}

func (c *cluster) awaitTold(want ...string) {
	c.Helper()
	c.eventually(func() error {
		if diff := gocmp.Diff(want, c.told()); diff != "" {
			return fmt.Errorf("events (-want +got):\n%s", diff)
		}
		return nil
	})
}

// speaker is a Publisher that runs, with what it is told by the rest of a speaker.
type speaker struct {
	*Publisher
	edge *edge
	// stop ends it, as the end of the program does.
	stop func()
	// writes are those of the Publisher, by verb and resource.
	writes *writes
}

func (c *cluster) start(nodeName, pod string, membership Membership) *speaker {
	c.Helper()
	log, err := logging.New(c.Output(), "info")
	if err != nil {
		c.Fatal(err)
	}
	s := &speaker{edge: newEdge(), writes: &writes{counts: map[string]int{}}}
	counted := rest.CopyConfig(c.config)
	counted.QPS = -1
	counted.Wrap(s.writes.wrap)
	writer, err := client.New(counted, client.Options{Scheme: c.scheme})
	if err != nil {
		c.Fatal(err)
	}
	watched, err := cache.New(c.config, cache.Options{Scheme: c.scheme, ByObject: ByObject(nodeName, c.namespace)})
	if err != nil {
		c.Fatal(err)
	}
	api := mirror.API{Config: c.config, Scheme: c.scheme}
	if api.HTTP, err = rest.HTTPClientFor(c.config); err != nil {
		c.Fatal(err)
	}
	ctx, cancel := context.WithCancel(c.Context())
	o := Options{Node: nodeName, Namespace: c.namespace, Pod: pod, Client: writer, Cache: watched, API: api, Layer2: s.edge, Membership: membership,
		Metrics: NewMetrics(nodeName, func() uint64 { return 0 }), Log: log.With(slog.String("node", nodeName))}
	if s.Publisher, err = New(ctx, o); err != nil {
		c.Fatal(err)
	}
	var tasks sync.WaitGroup
	tasks.Go(func() { _ = watched.Start(ctx) })
	tasks.Go(func() { _ = s.Start(ctx) })
	s.stop = sync.OnceFunc(func() { cancel(); tasks.Wait() })
	c.Cleanup(s.stop)
	return s
}

// decide has the speaker carry out a decision: what is to be answered for is, on the links given.
func (s *speaker) decide(verdicts []*announce.Verdict, links ...string) {
	n := announce.Node{Verdicts: verdicts}
	var observed []l2.Observed
	for _, v := range verdicts {
		if v.Announce {
			n.L2 = append(n.L2, announce.L2Entry{Address: v.Address, Interfaces: links})
			o := l2.Observed{Address: v.Address, Links: []l2.Answering{{Name: "eth0"}}}
			if links != nil {
				o.Links = nil
				for _, l := range links {
					o.Links = append(o.Links, l2.Answering{Name: l})
				}
			}
			observed = append(observed, o)
		}
	}
	s.edge.set(observed...)
	s.Publish(node.Report{Node: n, Outcome: node.Pending})
}

// edge is a Layer2 that does what a test says.
type edge struct {
	changed chan struct{}

	mu       sync.Mutex
	observed []l2.Observed
	counters l2.Counters
}

func newEdge() *edge { return &edge{changed: make(chan struct{}, 1)} }

func (e *edge) set(observed ...l2.Observed) {
	e.mu.Lock()
	e.observed = observed
	e.mu.Unlock()
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func (e *edge) Observed() []l2.Observed {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.observed)
}

func (e *edge) Counters() l2.Counters    { return e.counters }
func (e *edge) Changed() <-chan struct{} { return e.changed }

// gossip is a Membership that says what a test does.
type gossip struct {
	atomic.Pointer[members.Snapshot]
}

func newGossip(alive ...string) *gossip {
	g := &gossip{}
	g.alive(alive...)
	return g
}

func (g *gossip) alive(names ...string) {
	s := &members.Snapshot{Quorate: true}
	for _, name := range names {
		s.Alive = append(s.Alive, members.Member{Name: name})
	}
	g.Store(s)
}

func (g *gossip) Snapshot() members.Snapshot { return *g.Load() }

// writes counts requests that change something.
type writes struct {
	mu     sync.Mutex
	counts map[string]int
}

func (w *writes) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		if parts := strings.Split(r.URL.Path, "/"); r.Method != http.MethodGet {
			from := slices.Index(parts, "namespaces") + 2
			what := parts[from]
			if last := parts[len(parts)-1]; last == "status" {
				what += "/status"
			}
			w.mu.Lock()
			w.counts[r.Method+" "+what]++
			w.mu.Unlock()
		}
		return next.RoundTrip(r)
	})
}

// take returns what was counted since the last take, but for events.
func (w *writes) take() map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts := w.counts
	w.counts = map[string]int{}
	maps.DeleteFunc(counts, func(what string, _ int) bool { return strings.HasSuffix(what, " events") })
	return counts
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
