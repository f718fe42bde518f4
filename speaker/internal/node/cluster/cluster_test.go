package cluster

import (
	"reflect"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func fullService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "default", Name: "web", UID: "u", Labels: map[string]string{"app": "web"},
			Annotations: map[string]string{v1beta1.DeprecatedAnnotationAllowSharedIP: "key", v1beta1.AnnotationBGPCommunities: "no-export", v1beta1.AnnotationBGPMED: "7",
				v1beta1.AnnotationBGPASPathPrepend: "2", v1beta1.AnnotationBGPLocalPref: "9", "kubectl.kubernetes.io/last-applied-configuration": "long"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}},
		},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new("c"), Ports: []corev1.ServicePort{{Port: 80}},
			ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "10.0.0.1"}, {IP: "2001:db8::1"}}}},
	}
}

func fullSlices() []*discoveryv1.EndpointSlice {
	slice := func(name, node, address string, ready, serving *bool) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: "web", "other": "x"}},
			Endpoints: []discoveryv1.Endpoint{
				{Addresses: []string{address}, NodeName: &node, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving},
					TargetRef: &corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p1", UID: "x"}},
				{Addresses: []string{"10.9.9.9"}},
			},
			Ports: []discoveryv1.EndpointPort{{Port: new(int32(80))}},
		}
	}
	return []*discoveryv1.EndpointSlice{
		slice("v4", "n1", "10.1.0.1", new(true), new(true)), slice("v6", "n1", "fd00::1", new(true), nil), slice("gone", "n2", "10.1.0.2", new(false), new(false)),
	}
}

func slim[T any](t *testing.T, transform toolscache.TransformFunc, o T) T {
	t.Helper()
	out, err := transform(o)
	if err != nil {
		t.Fatal(err)
	}
	return out.(T)
}

func TestGivenFullObjectsWhenSlimmedThenTheValuesMadeOfThemStayTheSame(t *testing.T) {
	want := kubeview.Service(fullService(), fullSlices())
	var slices []*discoveryv1.EndpointSlice
	for _, s := range fullSlices() {
		slices = append(slices, slim(t, slimEndpointSlice, s))
	}
	svc := slim(t, slimService, fullService())
	if got := kubeview.Service(svc, slices); !reflect.DeepEqual(got, want) {
		t.Errorf("value %+v, want %+v", got, want)
	}
	for _, classes := range []kubeview.Classes{{}, {Names: []string{"c"}}, {Names: []string{"d"}}} {
		if got, want := classes.Handle(svc), classes.Handle(fullService()); got != want {
			t.Errorf("handled by classes %s: %t, want %t", classes, got, want)
		}
	}
	if svc.ManagedFields != nil || svc.Spec.Ports != nil || len(svc.Annotations) != 5 || slices[0].Ports != nil {
		t.Errorf("kept too much: %+v, %+v", svc, slices[0])
	}
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{v1beta1.NodeLabelExcludeBalancers: ""}, Annotations: map[string]string{"a": "b", v1beta1.NodeAnnotationDrain: "true"}},
		Spec: corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "other", TimeAdded: &metav1.Time{Time: time.Unix(7, 0)}}, {Key: corev1.TaintNodeOutOfService, Value: "v", Effect: corev1.TaintEffectNoExecute}}},
		Status: corev1.NodeStatus{Images: []corev1.ContainerImage{{}}, Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionFalse, Message: "node is shutting down", LastTransitionTime: metav1.Time{Time: time.Unix(9, 0)}},
			{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}}}}
	lean := slim(t, slimNode, n.DeepCopy())
	if got, want := kubeview.NodeInfo(lean), kubeview.NodeInfo(n); !reflect.DeepEqual(got, want) {
		t.Errorf("node %+v, want %+v", got, want)
	}
	for _, by := range kubeview.Impairments() {
		one := []kubeview.Impairment{by}
		if got, want := kubeview.Impaired(lean, one), kubeview.Impaired(n, one); got != want || got == "" {
			t.Errorf("node is impaired by %s: %q, want %q", by, got, want)
		}
	}
	for _, on := range []kubeview.DrainOn{{States: kubeview.Impairments()}, {Taints: []string{"other"}}} {
		words, since := kubeview.Draining(lean, on)
		if want, at := kubeview.Draining(n, on); words != want || words == "" || !since.Equal(at) || since.IsZero() {
			t.Errorf("node drains because it %q since %v, want %q, %v", words, since, want, at)
		}
	}
	if len(lean.Annotations) != 1 {
		t.Errorf("kept the annotations %v", lean.Annotations)
	}
	secret := slim(t, slimSecret, &corev1.Secret{Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"password": []byte("p"), "tls.key": []byte("k")}})
	if len(secret.Data) != 1 || string(secret.Data["password"]) != "p" || secret.Type != corev1.SecretTypeBasicAuth {
		t.Errorf("secret %+v, want its type and password only", secret)
	}
	extras := slim(t, slimExtras, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{"a": "b"}}, Data: map[string]string{"extras": "x", "other": "y"}})
	if len(extras.Data) != 1 || extras.Data[v1beta1.ExtrasConfigMapKey] != "x" || extras.Annotations != nil {
		t.Errorf("ConfigMap %+v, want its extras only", extras)
	}
}

func TestGivenEventsWhenTheyComeThenOnlyWhatMattersIsLookedAtAgain(t *testing.T) {
	pool := func(generation int64, label string) *v1beta1.IPAddressPool {
		return &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: "p", UID: "u", Generation: generation, Labels: map[string]string{"l": label}}}
	}
	aNode := func(rack string, ready corev1.ConditionStatus) *corev1.Node {
		return &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"rack": rack}},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: ready}}}}
	}
	secret := func(password string) *corev1.Secret {
		return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "s"}, Data: map[string][]byte{"password": []byte(password)}}
	}
	extras := func(text string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: v1beta1.ExtrasConfigMap}, Data: map[string]string{v1beta1.ExtrasConfigMapKey: text}}
	}
	none := map[ipam.ServiceKey]struct{}{}
	rows := map[string]struct {
		kind     client.Object
		old, now any
		want     pending
		pulled   bool
	}{
		"a spec of the configuration":   {&v1beta1.IPAddressPool{}, pool(1, "a"), pool(2, "a"), pending{config: true, services: none}, true},
		"a label of the configuration":  {&v1beta1.IPAddressPool{}, pool(1, "a"), pool(1, "b"), pending{config: true, services: none}, true},
		"a status of the configuration": {&v1beta1.IPAddressPool{}, pool(1, "a"), pool(1, "a"), pending{services: none}, false},
		"a peer gone unseen":            {&v1beta2.BGPPeer{}, toolscache.DeletedFinalStateUnknown{Key: "ns/p", Obj: &v1beta2.BGPPeer{}}, nil, pending{config: true, services: none}, true},
		"a peer that is gone":           {&v1beta2.BGPPeer{}, &v1beta2.BGPPeer{}, nil, pending{config: true, services: none}, true},
		"a node's heartbeat":            {&corev1.Node{}, aNode("a", corev1.ConditionTrue), aNode("a", corev1.ConditionFalse), pending{services: none}, false},
		"a node's label":                {&corev1.Node{}, aNode("a", corev1.ConditionTrue), aNode("b", corev1.ConditionTrue), pending{nodes: true, services: none}, true},
		"a password":                    {&corev1.Secret{}, secret("a"), secret("b"), pending{config: true, services: none}, true},
		"raw configuration":             {&corev1.ConfigMap{}, extras("a"), extras("b"), pending{config: true, services: none}, true},
		"the same raw configuration":    {&corev1.ConfigMap{}, extras("a"), extras("a"), pending{services: none}, false},
		"raw configuration that goes":   {&corev1.ConfigMap{}, extras("a"), nil, pending{config: true, services: none}, true},
		"the same password":             {&corev1.Secret{}, secret("a"), secret("a"), pending{services: none}, false},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			c := &Cluster{Options: Options{Classes: kubeview.Classes{Names: []string{"c"}}, Trigger: node.NewTrigger()}, pending: pending{services: map[ipam.ServiceKey]struct{}{}}}
			h := c.handler(row.kind)
			switch {
			case row.old == nil:
				h.OnAdd(row.now, false)
			case row.now == nil:
				h.OnDelete(row.old)
			default:
				h.OnUpdate(row.old, row.now)
			}
			if !reflect.DeepEqual(c.pending, row.want) || (len(c.Trigger) == 1) != row.pulled || c.Updates() != 1 {
				t.Errorf("pending %+v, pulled %t, %d updates, want %+v, %t", c.pending, len(c.Trigger) == 1, c.Updates(), row.want, row.pulled)
			}
		})
	}
}

func TestGivenStatesOfNodesThatAreAskedForWhenAnEventComesThenOnlyAChangeOfTheirsIsLookedAt(t *testing.T) {
	aNode := func(change func(*corev1.Node)) *corev1.Node {
		n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1", ResourceVersion: "1"},
			Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue}}}}
		change(n)
		return n
	}
	same := func(*corev1.Node) {}
	events := map[string]struct {
		before, after func(*corev1.Node)
		// by is what makes the event matter.
		by kubeview.Impairment
	}{
		"a heartbeat": {same, func(n *corev1.Node) {
			n.ResourceVersion, n.Status.Conditions[0].LastHeartbeatTime, n.Status.Conditions[0].Reason = "2", metav1.Now(), "KubeletReady"
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeDiskPressure, Status: corev1.ConditionTrue})
			n.Status.Images = []corev1.ContainerImage{{}}
		}, ""},
		"no more news": {same, func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown }, kubeview.NotReady},
		"unknown, then not ready": {func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionUnknown },
			func(n *corev1.Node) { n.Status.Conditions[0].Status = corev1.ConditionFalse }, ""},
		"cordoned":           {same, func(n *corev1.Node) { n.Spec.Unschedulable = true }, kubeview.Unschedulable},
		"shut down":          {same, func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeOutOfService}} }, kubeview.OutOfService},
		"asked for":          {same, func(n *corev1.Node) { n.Annotations = map[string]string{v1beta1.NodeAnnotationDrain: "true"} }, kubeview.DrainRequested},
		"another annotation": {same, func(n *corev1.Node) { n.Annotations = map[string]string{"a": "b"} }, ""},
		"another taint":      {same, func(n *corev1.Node) { n.Spec.Taints = []corev1.Taint{{Key: corev1.TaintNodeUnreachable}} }, ""},
	}
	for name, e := range events {
		for _, asked := range append(kubeview.Impairments(), "") {
			o := Options{Trigger: node.NewTrigger()}
			if asked != "" {
				o.Layer2Exclude = []kubeview.Impairment{asked}
			}
			c := newCluster(o)
			c.pending = pending{}
			before, after := slim(t, slimNode, aNode(e.before)), slim(t, slimNode, aNode(e.after))
			c.handler(&corev1.Node{}).OnUpdate(before, after)
			want := e.by != "" && e.by == asked
			drains := newCluster(Options{Trigger: node.NewTrigger(), Drain: kubeview.DrainOn{States: o.Layer2Exclude}})
			drains.pending = pending{}
			drains.handler(&corev1.Node{}).OnUpdate(before, after)
			if words := drains.nodes([]corev1.Node{*after})[0].Draining; drains.pending.nodes != want || want && words == "" {
				t.Errorf("%s, asked for a drain by %q: looked at %t, want %t; drains because it %q", name, asked, drains.pending.nodes, want, words)
			}
			if c.pending.nodes != want || (len(c.Trigger) == 1) != want {
				t.Errorf("%s, asked for %q: looked at %t, pulled %t, want %t", name, asked, c.pending.nodes, len(c.Trigger) == 1, want)
			}
			wantWords := ""
			if want {
				wantWords = kubeview.Impaired(aNode(e.after), o.Layer2Exclude)
			}
			if got := c.nodes([]corev1.Node{*after})[0].Impaired; want && (got == "" || got != wantWords) || asked == "" && got != "" {
				t.Errorf("%s, asked for %q: impaired is %q, want %q", name, asked, got, wantWords)
			}
		}
	}
}
