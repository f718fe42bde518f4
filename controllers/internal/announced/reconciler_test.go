package announced

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

const namespace = "metallb-system"

// harness is a reconciler over a client in memory.
type harness struct {
	*reconciler
	t *testing.T
	// writes are the times of all writes, since the harness began.
	writes []time.Duration
	began  time.Time
	// stale, if set, is what the cache has of Services.
	stale *corev1.Service
	fail  error
	busy  bool
}

func newHarness(t *testing.T, objects ...client.Object) *harness {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	h := &harness{t: t, began: time.Now()}
	c := fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).WithStatusSubresource(&corev1.Service{}).WithInterceptorFuncs(interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
			if err := h.fail; err != nil {
				h.fail = nil
				return err
			}
			h.writes = append(h.writes, time.Since(h.began))
			return c.SubResource(sub).Patch(ctx, o, p, opts...)
		},
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, o client.Object, opts ...client.GetOption) error {
			if svc, ok := o.(*corev1.Service); ok && h.stale != nil {
				h.stale.DeepCopyInto(svc)
				return nil
			}
			return c.Get(ctx, key, o, opts...)
		},
	}).Build()
	h.reconciler = newReconciler(Options{Namespace: namespace, Classes: kubeview.Classes{}, Idle: func() bool { return !h.busy }}, c)
	h.ready = func() bool { return true }
	h.sweep = func(context.Context, func(string) bool) error { return nil }
	nobody := func(ipam.ServiceKey) {}
	h.routes = newReports(readRoute, sameRoute, nobody)
	h.answering = newReports(readAnswering, sameText, nobody)
	h.sessions = newReports(readSession, sameText, func(announce.Session) {})
	h.endpoints = newReports(readEndpoints, slices.Equal[[]kubeview.Endpoint], nobody)
	return h
}

// look reconciles the Service of that name once.
func (h *harness) look(name string) reconcile.Result {
	h.t.Helper()
	result, err := h.Reconcile(h.t.Context(), reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: name}})
	if err != nil {
		h.t.Fatal(err)
	}
	return result
}

// until looks as often as it is asked to, for no longer than that.
func (h *harness) until(name string, limit time.Duration) {
	h.t.Helper()
	for end := time.Now().Add(limit); ; {
		wait := h.look(name).RequeueAfter
		if wait == 0 || time.Now().Add(wait).After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(wait)
	}
}

// all looks at the Services s0, s1 and so on until none of them is to be looked at again.
func (h *harness) all(count int) {
	h.t.Helper()
	due := map[string]time.Time{}
	for i := range count {
		due[fmt.Sprint("s", i)] = time.Now()
	}
	for len(due) > 0 {
		next := slices.MinFunc(slices.Collect(maps.Keys(due)), func(a, b string) int { return cmp.Or(due[a].Compare(due[b]), cmp.Compare(a, b)) })
		time.Sleep(time.Until(due[next]))
		if wait := h.look(next).RequeueAfter; wait > 0 {
			due[next] = time.Now().Add(wait)
		} else {
			delete(due, next)
		}
	}
}

// expect compares a Service's condition with one in the form "True Announced: ...", of which it is to contain each part.
func (h *harness) expect(name string, parts ...string) {
	h.t.Helper()
	text := ""
	svc := h.stored(name)
	if c := shown(svc); c != nil {
		text = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) || part == "" && text != "" {
			h.t.Errorf("after %s and %d writes the condition is %q, want %q", time.Since(h.began), len(h.writes), text, part)
		}
	}
}

func (h *harness) stored(name string) *corev1.Service {
	h.t.Helper()
	svc := &corev1.Service{}
	if err := h.client.Get(h.t.Context(), types.NamespacedName{Namespace: "shop", Name: name}, svc); err != nil {
		h.t.Fatal(err)
	}
	return svc
}

// reason is that of a Service's condition, "" for none.
func reason(svc *corev1.Service, kind string) string {
	if c := meta.FindStatusCondition(svc.Status.Conditions, kind); c != nil {
		return c.Reason
	}
	return ""
}

func balanced(name, address string) *corev1.Service {
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("uid-" + name), Generation: 2},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer},
		Status: corev1.ServiceStatus{Conditions: []metav1.Condition{
			{Type: service.ConditionAllocated, Status: metav1.ConditionTrue, Reason: "Allocated"}, {Type: "example.com/Other", Status: metav1.ConditionTrue, Reason: "Mine"},
		}},
	}
	if address != "" {
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	}
	return svc
}

func node(name string) *corev1.Node { return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}} }

func ours(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }

// network is a cluster of one node with a speaker and an address to give, without an advertisement.
func network() []client.Object {
	state := &v1beta1.ConfigurationState{ObjectMeta: ours("speaker-n1")}
	state.Labels = map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentSpeaker}
	return []client.Object{node("n1"), state, &v1beta1.IPAddressPool{ObjectMeta: ours("lab"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}}}
}

func advertised() []client.Object {
	return []client.Object{
		&v1beta2.BGPPeer{ObjectMeta: ours("tor"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "198.51.100.1"}},
		&v1beta1.BGPAdvertisement{ObjectMeta: ours("ad")},
	}
}

func slice(serviceName string) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: serviceName + "-1", Labels: map[string]string{discoveryv1.LabelServiceName: serviceName}},
		Endpoints:  []discoveryv1.Endpoint{{Addresses: []string{"10.1.0.1"}, NodeName: new("n1")}},
	}
}

// announcing is what the speaker of a node says of a Service.
func announcing(nodeName, serviceName string, sent ...v1beta1.BGPSent) *v1beta1.ServiceBGPStatus {
	return &v1beta1.ServiceBGPStatus{ObjectMeta: ours("bgp-" + nodeName + "-" + serviceName), Status: v1beta1.ServiceBGPStatusStatus{
		Node: nodeName, ServiceName: serviceName, ServiceNamespace: "shop", Peers: []string{"tor"}, Sent: sent,
	}}
}

func delivered(addresses ...string) v1beta1.BGPSent {
	return v1beta1.BGPSent{Peer: "tor", Addresses: addresses}
}

func TestGivenAServiceThatNobodyAnnouncesWhenThatLastsThenItSaysWhyOnceAndWhenAnnouncedThatAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(network(), balanced("web", "192.0.2.1"))...)
		if wait := h.look("web").RequeueAfter; wait != usual.bad || len(h.writes) != 0 {
			t.Errorf("looks again after %s, having written %d times; want %s, none", wait, len(h.writes), usual.bad)
		}
		h.until("web", time.Minute)
		h.expect("web", "False NoMatchingAdvertisement: no node announces 192.0.2.1: there is neither a BGPAdvertisement nor an L2Advertisement")
		svc := h.stored("web")
		if c := shown(svc); c.ObservedGeneration != 2 || !c.LastTransitionTime.Time.Equal(h.began.Add(h.writes[0]).Truncate(time.Second)) {
			t.Errorf("the condition is %+v, want it of generation 2 and as of its writing, %s after %s", c, h.writes[0], h.began)
		}
		if len(svc.Status.Conditions) != 3 || reason(svc, service.ConditionAllocated) != "Allocated" || reason(svc, "example.com/Other") != "Mine" || svc.Status.LoadBalancer.Ingress[0].IP != "192.0.2.1" {
			t.Errorf("what others wrote has changed: %+v", svc.Status)
		}
		h.until("web", time.Hour)
		if len(h.writes) != 1 {
			t.Errorf("written %d times, want once: at rest there is nothing to write", len(h.writes))
		}
		for _, o := range advertised() {
			if err := h.client.Create(t.Context(), o); err != nil {
				t.Fatal(err)
			}
		}
		h.reread()
		h.endpoints.Put(slice("web"))
		h.routes.Put(announcing("n1", "web", delivered("192.0.2.1")))
		before := time.Now()
		h.until("web", time.Second)
		h.expect("web", "True Announced: announced by BGP from node n1 to BGPPeer tor")
		if c := shown(h.stored("web")); c.LastTransitionTime.Time.Before(before.Truncate(time.Second)) {
			t.Errorf("the last transition was at %s, before %s", c.LastTransitionTime, before)
		}
	})
}

// stale2 has the configuration read anew.
func (h *harness) reread() {
	if _, err := h.Reconcile(h.t.Context(), everything); err != nil {
		h.t.Fatal(err)
	}
}

func TestGivenSpeakersThatAreReplacedOneAfterTheOtherWhenAllAreBackThenNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(append(network(), advertised()...), balanced("web", "192.0.2.1"))...)
		h.endpoints.Put(slice("web"))
		for _, n := range []string{"n1", "n2"} {
			h.routes.Put(announcing(n, "web", delivered("192.0.2.1")))
		}
		h.until("web", time.Minute)
		h.expect("web", "True Announced", "from 2 nodes")
		began := len(h.writes)
		for _, n := range []string{"n1", "n2"} {
			h.routes.Drop(types.NamespacedName{Namespace: namespace, Name: "bgp-" + n + "-web"})
			h.until("web", usual.detail-time.Second)
			h.routes.Put(announcing(n, "web", delivered("192.0.2.1")))
			h.until("web", time.Minute)
		}
		// All of them at once, but not for long.
		for _, n := range []string{"n1", "n2"} {
			h.routes.Drop(types.NamespacedName{Namespace: namespace, Name: "bgp-" + n + "-web"})
		}
		h.until("web", usual.bad-time.Second)
		for _, n := range []string{"n1", "n2"} {
			h.routes.Put(announcing(n, "web", delivered("192.0.2.1")))
		}
		h.until("web", time.Hour)
		if len(h.writes) != began {
			t.Errorf("written at %v, want nothing after the first", h.writes)
		}
		h.routes.Drop(types.NamespacedName{Namespace: namespace, Name: "bgp-n2-web"})
		h.until("web", time.Minute)
		h.expect("web", "True Announced", "from node n1 ")
		h.routes.Put(announcing("n1", "web", v1beta1.BGPSent{Peer: "tor", Reason: v1beta1.BGPSentSessionDown, Message: "the session is down"}))
		h.until("web", time.Minute)
		h.expect("web", "False SessionDown: no node announces 192.0.2.1: node n1, BGPPeer tor: the session is down")
	})
}

func TestGivenManyServicesAndMoreUrgentWritesWhenAllAreNewThenConditionsWaitAndAreSpread(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := append(network(), advertised()...)
		const count = 100
		for i := range count {
			objects = append(objects, balanced(fmt.Sprint("s", i), fmt.Sprint("192.0.2.", i)))
		}
		h := newHarness(t, objects...)
		for i := range count {
			h.endpoints.Put(slice(fmt.Sprint("s", i)))
			h.routes.Put(announcing("n1", fmt.Sprint("s", i), delivered(fmt.Sprint("192.0.2.", i))))
		}
		h.busy = true
		time.AfterFunc(10*time.Second, func() { h.busy = false })
		h.all(count)
		for i := range count {
			h.expect(fmt.Sprint("s", i), "True Announced")
		}
		if len(h.writes) != count || h.writes[0] < 10*time.Second {
			t.Errorf("%d writes, the first after %s; want %d after 10 s, when nothing else was to be written", len(h.writes), h.writes[0], count)
		}
		if took, least := h.writes[count-1]-h.writes[0], (count-1)*time.Second/time.Duration(usual.rate); took < least || took > least+time.Second {
			t.Errorf("%d writes within %s, want %v a second", count, took, usual.rate)
		}
		h.busy = true
		if err := h.client.Create(t.Context(), balanced("late", "192.0.2.200")); err != nil {
			t.Fatal(err)
		}
		h.routes.Put(announcing("n1", "late", delivered("192.0.2.200")))
		h.until("late", 3*usual.patience)
		h.expect("late", "True Announced") // who is always busy does not silence it
	})
}

func TestGivenACacheThatLagsBehindTheOwnWriteWhenLookedAtThenNothingIsWrittenTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(network(), balanced("web", "192.0.2.1"))...)
		old := h.stored("web")
		h.until("web", time.Minute)
		h.stale = old
		h.until("web", time.Hour)
		if len(h.writes) != 1 {
			t.Errorf("written at %v, want once", h.writes)
		}
		// A Service that was created anew meanwhile is another one.
		h.stale = balanced("web", "192.0.2.1")
		h.stale.UID, h.stale.ResourceVersion = "another", "1"
		if wait := h.look("web").RequeueAfter; wait != usual.bad {
			t.Errorf("the new Service is looked at again after %s, want %s", wait, usual.bad)
		}
	})
}

func TestGivenAWriteThatFailsWhenReconciledThenItIsTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(network(), balanced("web", "192.0.2.1"))...)
		h.look("web")
		time.Sleep(usual.bad)
		h.fail = errors.New("no route")
		request := reconcile.Request{NamespacedName: types.NamespacedName{Namespace: "shop", Name: "web"}}
		if _, err := h.Reconcile(t.Context(), request); err == nil || !strings.Contains(err.Error(), "Service shop/web: no route") {
			t.Errorf("the error is %v, want one that names the Service", err)
		}
		h.look("web")
		h.expect("web", "False NoMatchingAdvertisement")
	})
}

func TestGivenServicesThatAreNotServedWhenLookedAtThenTheyAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		theirs, plain, before := balanced("theirs", "192.0.2.1"), balanced("plain", ""), balanced("before", "192.0.2.3")
		theirs.Spec.LoadBalancerClass = new("example.com/lb")
		old := metav1.Condition{Type: service.ConditionAnnounced, Status: metav1.ConditionTrue, Reason: "Announced"}
		theirs.Status.Conditions = append(theirs.Status.Conditions, old)
		plain.Spec.Type, before.Spec.Type = corev1.ServiceTypeClusterIP, corev1.ServiceTypeClusterIP
		before.Status.Conditions = append(before.Status.Conditions, old)
		h := newHarness(t, append(network(), theirs, plain, before)...)
		for _, name := range []string{"theirs", "plain", "before", "gone"} {
			h.until(name, time.Minute)
		}
		if len(h.writes) != 1 || shown(h.stored("before")) != nil || len(h.stored("before").Status.Conditions) != 2 {
			t.Errorf("%d writes, and what was a load balancer has %+v; want its condition alone taken back", len(h.writes), h.stored("before").Status.Conditions)
		}
		h.expect("theirs", "True Announced")
	})
}

func TestGivenAnAddressThatServicesShareWhenOneLacksAnEndpointThenTheOtherNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, other := balanced("one", "192.0.2.1"), balanced("other", "192.0.2.1")
		for _, svc := range []*corev1.Service{one, other} {
			svc.Annotations = map[string]string{v1beta1.AnnotationAllowSharedIP: "key"}
			svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
		}
		h := newHarness(t, append(network(), one, other, node("n2"), &v1beta1.L2Advertisement{ObjectMeta: ours("l2")})...)
		h.endpoints.Put(slice("one"))
		elsewhere := slice("other")
		elsewhere.Endpoints[0].NodeName = new("n2")
		h.endpoints.Put(elsewhere)
		h.until("one", time.Minute)
		h.expect("one", "False NoLocalEndpoints", "node n1: no serving endpoint of Service shop/other, whose externalTrafficPolicy is Local")
	})
}

func TestGivenASessionThatIsDownWhenItsDiagnosisIsKnownThenTheServiceSaysItToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(append(network(), advertised()...), balanced("web", "192.0.2.1"))...)
		h.endpoints.Put(slice("web"))
		h.routes.Put(announcing("n1", "web", v1beta1.BGPSent{Peer: "tor", Reason: v1beta1.BGPSentSessionDown, Message: "the session is down"}))
		h.until("web", time.Minute)
		h.expect("web", "False SessionDown", "BGPPeer tor: the session is down")
		state := &v1beta1.BGPSessionState{ObjectMeta: ours("n1-tor"), Status: v1beta1.BGPSessionStateStatus{Node: "n1", BGPPeer: "tor",
			Diagnosis: &v1beta1.BGPSessionDiagnosis{Reason: v1beta1.SessionConnecting}}}
		h.sessions.Put(state)
		h.until("web", time.Minute)
		if len(h.writes) != 1 {
			t.Errorf("that the session is being opened was written at %v", h.writes)
		}
		state.Status.Diagnosis = &v1beta1.BGPSessionDiagnosis{Reason: v1beta1.SessionPeerASMismatch, Message: "the router has AS 64514"}
		h.sessions.Put(state)
		h.until("web", time.Minute)
		h.expect("web", "False SessionDown: no node announces 192.0.2.1: node n1, BGPPeer tor: the session is not Established: PeerASMismatch: the router has AS 64514")
	})
}

func TestGivenANodeThatIsLostWhenItsReportsStayThenTheyDoNotCountUnlessAllAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, append(append(network(), advertised()...), node("n2"), balanced("web", "192.0.2.1"))...)
		h.endpoints.Put(slice("web"))
		h.routes.Put(announcing("n1", "web", delivered("192.0.2.1")))
		h.until("web", time.Minute)
		h.expect("web", "True Announced")
		lose := func(name string, status corev1.ConditionStatus) {
			t.Helper()
			n := node(name)
			if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
				t.Fatal(err)
			}
			n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status}}
			if err := h.client.Status().Update(t.Context(), n); err != nil {
				t.Fatal(err)
			}
			if _, err := h.Reconcile(t.Context(), nodes); err != nil {
				t.Fatal(err)
			}
			h.until("web", time.Minute)
		}
		lose("n2", corev1.ConditionUnknown)
		h.expect("web", "True Announced")
		lose("n1", corev1.ConditionUnknown)
		h.expect("web", "True Announced") // Kubernetes has not heard from anybody
		if len(h.writes) != 1 {
			t.Errorf("written at %v, want once", h.writes)
		}
		lose("n2", corev1.ConditionTrue)
		h.expect("web", "Unknown NodeLost: no node announces 192.0.2.1: node n1 is to announce it, and Kubernetes has not heard from that node for a while; "+
			"node n2 is to announce it, and no speaker reports from there")
		lose("n1", corev1.ConditionFalse)
		h.expect("web", "True Announced")
	})
}

func TestGivenNodesWithoutTheLinkThatIsAskedForWhenNobodyAnswersThenTheServiceNamesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		objects := append(network(), &v1beta1.L2Advertisement{ObjectMeta: ours("l2"), Spec: v1beta1.L2AdvertisementSpec{Interfaces: []string{"eth7"}}}, balanced("web", "192.0.2.1"))
		objects[1].(*v1beta1.ConfigurationState).Status.Links = []string{"eth0"}
		h := newHarness(t, objects...)
		h.endpoints.Put(slice("web"))
		h.until("web", time.Minute)
		h.expect("web", "False InterfaceMissing: no node answers for 192.0.2.1: node n1: interface eth7 missing")
	})
}

func TestReportsOfObjectsThatComeChangeMoveAndGo(t *testing.T) {
	var touched []string
	r := newReports(readRoute, sameRoute, func(key ipam.ServiceKey) { touched = append(touched, key.Name) })
	a, b := ipam.ServiceKey{Namespace: "shop", Name: "a"}, ipam.ServiceKey{Namespace: "shop", Name: "b"}
	step := func(what string, wantTouched []string, onA, onB int) {
		t.Helper()
		if !slices.Equal(touched, wantTouched) || len(r.about(a)) != onA || len(r.about(b)) != onB {
			t.Errorf("%s: touched %v, %d and %d reports; want %v, %d and %d", what, touched, len(r.about(a)), len(r.about(b)), wantTouched, onA, onB)
		}
		touched = nil
	}
	fresh := announcing("n1", "a")
	fresh.Status = v1beta1.ServiceBGPStatusStatus{}
	r.Put(fresh)
	step("an object without a status", nil, 0, 0)
	r.Put(announcing("n1", "a"))
	step("a report", []string{"a"}, 1, 0)
	r.Put(announcing("n1", "a"))
	step("the same again", nil, 1, 0)
	since := delivered("192.0.2.1")
	r.Put(announcing("n1", "a", since))
	step("something sent", []string{"a"}, 1, 0)
	since.Since = new(metav1.Now())
	r.Put(announcing("n1", "a", since))
	step("since another time", nil, 1, 0)
	if got := r.about(a)[0]; got.Node != "n1" || !slices.Equal(got.Peers, []string{"tor"}) || !slices.Equal(got.Sent[0].Addresses, []netip.Addr{netip.MustParseAddr("192.0.2.1")}) {
		t.Errorf("the report is %+v", got)
	}
	r.Put(announcing("n2", "a", v1beta1.BGPSent{Peer: "tor", Reason: v1beta1.BGPSentNotSent, Message: "m"}))
	step("another node", []string{"a"}, 2, 0)
	if got := r.about(a)[1].Sent[0].Missing; got != (announce.Reason{Code: announce.ReasonNotSent, Detail: "m"}) {
		t.Errorf("the reason is %+v", got)
	}
	moved := announcing("n1", "b")
	moved.Name = "bgp-n1-a"
	r.Put(moved)
	step("about another Service", []string{"a", "b"}, 1, 1)
	r.Retain(map[types.NamespacedName]bool{{Namespace: namespace, Name: "bgp-n1-a"}: true}, "")
	step("gone while nobody looked", []string{"a"}, 0, 1)
	r.Drop(types.NamespacedName{Namespace: namespace, Name: "bgp-n1-a"})
	r.Drop(types.NamespacedName{Namespace: namespace, Name: "bgp-n1-a"})
	step("gone", []string{"b"}, 0, 0)
}
