package announced

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// cluster is a client of a real API server on whose Services a running manager reports.
type cluster struct {
	client.Client
	t *testing.T
}

// start runs a manager, with objects that are there before it begins.
func start(t *testing.T, before ...client.Object) *cluster {
	t.Helper()
	api := apiserver.Run(t, apiserver.Options{})
	if _, err := envtest.InstallCRDs(api.Config(), envtest.CRDInstallOptions{Paths: []string{"../../../config/crd/bases"}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(api.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	cl := &cluster{Client: c, t: t}
	for _, name := range []string{namespace, "shop"} {
		cl.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
	}
	for _, o := range before {
		cl.create(o)
	}
	skip := true
	mgr, err := manager.New(api.Config(), manager.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, Controller: config.Controller{SkipNameValidation: &skip},
		Cache: cache.Options{ByObject: service.Cached(), DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	soon := pace{settle: 20 * time.Millisecond, bad: 300 * time.Millisecond, detail: 300 * time.Millisecond, rate: 1000,
		calm: time.Millisecond, patience: time.Second, poll: time.Millisecond}
	if err := SetupWithManager(mgr, Options{Namespace: namespace, pace: soon}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	})
	return cl
}

// create creates an object, and its status too if it has one that only programs write.
func (c *cluster) create(o client.Object) {
	c.t.Helper()
	said := o.DeepCopyObject().(client.Object)
	if err := c.Create(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
	switch said := said.(type) {
	case *v1beta1.ServiceBGPStatus, *v1beta1.ServiceL2Status, *v1beta1.BGPSessionState, *corev1.Service:
		said.SetResourceVersion(o.GetResourceVersion())
		if svc, ok := said.(*corev1.Service); ok {
			svc.Spec = o.(*corev1.Service).Spec
		}
		if err := c.Status().Update(c.t.Context(), said); err != nil {
			c.t.Fatal(err)
		}
		o.SetResourceVersion(said.GetResourceVersion())
		if route, ok := o.(*v1beta1.ServiceBGPStatus); ok {
			route.Status = said.(*v1beta1.ServiceBGPStatus).Status
		}
	}
}

func (c *cluster) remove(o client.Object) {
	c.t.Helper()
	if err := c.Delete(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
}

// await waits until the condition of a Service has status and reason, a message that contains text, and speaks of the present generation.
func (c *cluster) await(name string, status metav1.ConditionStatus, reason, text string) *corev1.Service {
	c.t.Helper()
	svc := &corev1.Service{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(time.Minute)
	for {
		if err := c.Get(c.t.Context(), types.NamespacedName{Namespace: "shop", Name: name}, svc); err != nil {
			c.t.Fatal(err)
		}
		have := shown(svc)
		if status == "" && have == nil || have != nil && have.Status == status && have.Reason == reason && strings.Contains(have.Message, text) && have.ObservedGeneration == svc.Generation {
			return svc
		}
		select {
		case <-limit:
			c.t.Fatalf("the condition of %s is %+v, want %s, %s, %q", name, have, status, reason, text)
		case <-tick.C:
		}
	}
}

func localService(name, address string) *corev1.Service {
	svc := balanced(name, address)
	svc.UID, svc.Generation = "", 0
	svc.Spec.Ports = []corev1.ServicePort{{Port: 80}}
	svc.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal
	for i := range svc.Status.Conditions {
		svc.Status.Conditions[i].LastTransitionTime = metav1.Now()
	}
	return svc
}

func TestGivenARealAPIServerWhenServicesAreAnnouncedAndNotThenTheySaySo(t *testing.T) {
	c := start(t)
	for _, o := range network() {
		c.create(o)
	}
	c.create(localService("web", "192.0.2.1"))
	c.await("web", metav1.ConditionFalse, "NoMatchingAdvertisement", "there is neither a BGPAdvertisement nor an L2Advertisement")
	ad := &v1beta1.BGPAdvertisement{ObjectMeta: ours("ad")}
	c.create(ad)
	c.await("web", metav1.ConditionFalse, "NoMatchingPeer", "there is no BGPPeer")
	c.create(advertised()[0])
	c.await("web", metav1.ConditionFalse, "NoLocalEndpoints", "no serving endpoint, on node n1 or elsewhere")
	endpoints := slice("web")
	endpoints.AddressType = discoveryv1.AddressTypeIPv4
	c.create(endpoints)
	c.await("web", metav1.ConditionUnknown, "Pending", "node n1 is to announce it and does not report it yet")
	route := announcing("n1", "web", v1beta1.BGPSent{Peer: "tor", Reason: v1beta1.BGPSentSessionDown, Message: "the session is down"})
	c.create(route)
	c.await("web", metav1.ConditionFalse, "SessionDown", "BGPPeer tor: the session is down")
	session := &v1beta1.BGPSessionState{ObjectMeta: ours("n1-tor"), Status: v1beta1.BGPSessionStateStatus{Node: "n1", BGPPeer: "tor",
		Diagnosis: &v1beta1.BGPSessionDiagnosis{Reason: v1beta1.SessionNoRoute, Message: "no way"}}}
	c.create(session)
	c.await("web", metav1.ConditionFalse, "SessionDown", "BGPPeer tor: the session is not Established: NoRoute: no way")
	route.Status.Sent = []v1beta1.BGPSent{delivered("192.0.2.1")}
	if err := c.Status().Update(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	svc := c.await("web", metav1.ConditionTrue, "Announced", "announced by BGP from node n1 to BGPPeer tor")
	if len(svc.Status.Conditions) != 3 || reason(svc, service.ConditionAllocated) != "Allocated" || reason(svc, "example.com/Other") != "Mine" {
		t.Errorf("what others wrote has changed: %+v", svc.Status.Conditions)
	}

	// At rest nothing is written: events that change nothing, and another Service that gets its condition in the meantime.
	route.Labels = map[string]string{"touched": "yes"}
	if err := c.Update(t.Context(), route); err != nil {
		t.Fatal(err)
	}
	n := node("n1")
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(n), n); err != nil {
		t.Fatal(err)
	}
	n.Labels = map[string]string{"zone": "a"}
	if err := c.Update(t.Context(), n); err != nil {
		t.Fatal(err)
	}
	c.create(localService("late", "192.0.2.2"))
	c.await("late", metav1.ConditionFalse, "NoLocalEndpoints", "")
	if again := c.await("web", metav1.ConditionTrue, "Announced", ""); again.ResourceVersion != svc.ResourceVersion {
		t.Errorf("Service web was written again: %+v", shown(again))
	}

	// The last endpoint goes.
	c.remove(endpoints)
	c.remove(route)
	gone := c.await("web", metav1.ConditionFalse, "NoLocalEndpoints", "no serving endpoint, on node n1 or elsewhere")
	if shown(gone).LastTransitionTime.Before(&shown(svc).LastTransitionTime) {
		t.Errorf("the last transition was at %s, before the one to True at %s", shown(gone).LastTransitionTime, shown(svc).LastTransitionTime)
	}
	answer := &v1beta1.ServiceL2Status{ObjectMeta: ours("l2-n1-web"), Status: v1beta1.ServiceL2StatusStatus{Node: "n1", ServiceName: "web", ServiceNamespace: "shop"}}
	c.create(answer)
	c.await("web", metav1.ConditionTrue, "Announced", "answered for on layer 2 by node n1")

	// A Service that is no load balancer any more has no such condition.
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(gone), gone); err != nil {
		t.Fatal(err)
	}
	gone.Spec.Type, gone.Spec.ExternalTrafficPolicy = corev1.ServiceTypeClusterIP, ""
	if err := c.Update(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	c.await("web", "", "", "")
}

func TestGivenTwoWritersOfAServiceWhenBothWriteAtOnceThenEachFindsItsOwnAndTheOthers(t *testing.T) {
	endpoints := slice("web")
	endpoints.AddressType = discoveryv1.AddressTypeIPv4
	c := start(t, append(append(network(), advertised()...), localService("web", "192.0.2.1"), endpoints)...)
	c.await("web", metav1.ConditionUnknown, "Pending", "") // it was there before
	for i := range 10 {
		route := announcing("n1", "web", delivered("192.0.2.1"))
		c.create(route)
		// The other one writes its condition the way allocation does.
		body := fmt.Sprintf(`{"status":{"conditions":[{"type":%q,"status":"True","reason":"R%d","message":"","lastTransitionTime":"2026-01-01T00:00:00Z"}]}}`, service.ConditionAllocated, i)
		svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "web"}}
		if err := c.Status().Patch(t.Context(), svc, client.RawPatch(types.StrategicMergePatchType, []byte(body))); err != nil {
			t.Fatal(err)
		}
		c.await("web", metav1.ConditionTrue, "Announced", "")
		c.remove(route)
		svc = c.await("web", metav1.ConditionUnknown, "Pending", "")
		if got := reason(svc, service.ConditionAllocated); got != fmt.Sprint("R", i) {
			t.Errorf("the other's condition has the reason %q, want R%d", got, i)
		}
	}
}
