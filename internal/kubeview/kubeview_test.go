package kubeview_test

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

func TestGivenLabelSelectorsWhenParsedThenTheyMatchAsKubernetesDoes(t *testing.T) {
	labels := map[string]string{"rack": "a", "zone": "1"}
	for text, row := range map[string]struct {
		selector *metav1.LabelSelector
		matches  bool
	}{
		"<none>": {nil, false},
		"<all>":  {&metav1.LabelSelector{}, true},
		"rack=a": {&metav1.LabelSelector{MatchLabels: map[string]string{"rack": "a"}}, true},
		"rack=b": {&metav1.LabelSelector{MatchLabels: map[string]string{"rack": "b"}}, false},
		"rack=a,zone in (1,2)": {&metav1.LabelSelector{
			MatchLabels:      map[string]string{"rack": "a"},
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "zone", Operator: metav1.LabelSelectorOpIn, Values: []string{"2", "1"}}},
		}, true},
		"!rack": {&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "rack", Operator: metav1.LabelSelectorOpDoesNotExist}}}, false},
	} {
		s, err := kubeview.Selector(row.selector)
		if err != nil {
			t.Fatal(err)
		}
		if s.String() != text || s.Matches(labels) != row.matches {
			t.Errorf("selector %q matches is %v, want %q and %v", s, s.Matches(labels), text, row.matches)
		}
	}
}

func TestGivenASelectorThatIsNoneWhenParsedThenTheErrorNamesItsFault(t *testing.T) {
	_, err := kubeview.Selector(&metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "rack", Operator: "Near"}}})
	if err == nil || !strings.Contains(err.Error(), "Near") {
		t.Errorf("error is %v, want one that names the operator", err)
	}
}

func TestGivenBothPrefixesWhenAnAnnotationIsLookedUpThenTheNewOneWins(t *testing.T) {
	for _, row := range []struct {
		annotations map[string]string
		value, key  string
		ok          bool
	}{
		{nil, "", "", false},
		{map[string]string{"address-pool": "x"}, "", "", false},
		{map[string]string{"metallb.universe.tf/address-pool": "old"}, "old", "metallb.universe.tf/address-pool", true},
		{map[string]string{"metallb.io/address-pool": "", "metallb.universe.tf/address-pool": "old"}, "", "metallb.io/address-pool", true},
	} {
		value, key, ok := kubeview.Annotation(&metav1.ObjectMeta{Annotations: row.annotations}, "address-pool")
		if value != row.value || key != row.key || ok != row.ok {
			t.Errorf("of %v Annotation is %q, %q, %v", row.annotations, value, key, ok)
		}
	}
}

func TestA1GivenClassesWhenAServiceHasAnotherOrNoneThenItIsHandledOnlyWhereThatIsAskedFor(t *testing.T) {
	const lb, more, other = "example.com/lb", "example.com/more", "example.com/other"
	for _, row := range []struct {
		kind    corev1.ServiceType
		has     *string
		list    string
		also    bool
		handled bool
	}{
		{corev1.ServiceTypeLoadBalancer, nil, "", false, true},
		{corev1.ServiceTypeLoadBalancer, new(lb), "", false, false},
		{corev1.ServiceTypeLoadBalancer, new(""), "", false, false},
		{corev1.ServiceTypeLoadBalancer, nil, lb, false, false},
		{corev1.ServiceTypeLoadBalancer, new(lb), lb, false, true},
		{corev1.ServiceTypeLoadBalancer, new(other), lb, false, false},
		{corev1.ServiceTypeLoadBalancer, new(more), lb + ", " + more, false, true},
		{corev1.ServiceTypeLoadBalancer, new(other), lb + ", " + more, false, false},
		{corev1.ServiceTypeLoadBalancer, nil, lb + ", " + more, false, false},
		{corev1.ServiceTypeLoadBalancer, nil, lb + ", " + more, true, true},
		{corev1.ServiceTypeLoadBalancer, new(other), lb, true, false},
		{corev1.ServiceTypeLoadBalancer, new(lb), lb, true, true},
		{corev1.ServiceTypeLoadBalancer, nil, "", true, true},
		{corev1.ServiceTypeLoadBalancer, new(lb), "", true, false},
		{corev1.ServiceTypeClusterIP, nil, "", false, false},
		{corev1.ServiceTypeClusterIP, nil, lb, true, false},
	} {
		classes, err := kubeview.ParseClasses(row.list, row.also)
		if err != nil {
			t.Fatal(err)
		}
		svc := &corev1.Service{Spec: corev1.ServiceSpec{Type: row.kind, LoadBalancerClass: row.has}}
		if got := classes.Handle(svc); got != row.handled {
			t.Errorf("a program of classes %s handles %+v: %v, want %v", classes, svc.Spec, got, row.handled)
		}
	}
}

func TestA1GivenAListOfClassesWhenANameInItIsNoneThenTheErrorSaysWhich(t *testing.T) {
	for _, list := range []string{"example.com/lb,", "a/b/c", "example.com/lb,-x"} {
		if got, err := kubeview.ParseClasses(list, false); err == nil || !strings.Contains(err.Error(), "load balancer class is ") {
			t.Errorf("%q gives %+v, %v: want an error that names the class", list, got, err)
		}
	}
}

func TestGivenNodeConditionsWhenReadThenOnlyNetworkAndTheLabelMatter(t *testing.T) {
	node := &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"node.kubernetes.io/exclude-from-external-load-balancers": ""}},
		Spec:       corev1.NodeSpec{Unschedulable: true, Taints: []corev1.Taint{{Key: "x", Effect: corev1.TaintEffectNoExecute}}},
		Status: corev1.NodeStatus{Conditions: []corev1.NodeCondition{
			{Type: corev1.NodeReady, Status: corev1.ConditionFalse}, {Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue},
		}},
	}
	want := announce.NodeInfo{Name: "n", Labels: node.Labels, NetworkUnavailable: true, Excluded: true}
	if got := kubeview.NodeInfo(node); !reflect.DeepEqual(got, want) {
		t.Errorf("node is %+v, want %+v", got, want)
	}
	node.Labels, node.Status.Conditions[1].Status = nil, corev1.ConditionUnknown
	if got, want := kubeview.NodeInfo(node), (announce.NodeInfo{Name: "n"}); !reflect.DeepEqual(got, want) {
		t.Errorf("a node that is only not ready, tainted and cordoned is %+v, want %+v", got, want)
	}
}

func TestGivenAListOfImpairmentsWhenParsedThenEachIsOnceInItAndTheErrorNamesWhatIsNone(t *testing.T) {
	for list, want := range map[string][]kubeview.Impairment{
		"": nil, " ": nil, "NotReady": {kubeview.NotReady},
		"OutOfService, NotReady,OutOfService":                             {kubeview.OutOfService, kubeview.NotReady},
		"NotReady,OutOfService,Unschedulable,ShuttingDown,DrainRequested": kubeview.Impairments(),
	} {
		if got, err := kubeview.ParseImpairments(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q gives %v, %v, want %v", list, got, err, want)
		}
	}
	for list, found := range map[string]string{"NotReady,": `""`, "notready": `"notready"`, "NotReady,Cordoned": `"Cordoned"`} {
		_, err := kubeview.ParseImpairments(list)
		if want := found + ` in the list "` + list + `" is no state of a node: wanted NotReady, OutOfService, Unschedulable, ShuttingDown or DrainRequested`; err == nil || err.Error() != want {
			t.Errorf("%q gives the error %v, want %s", list, err, want)
		}
	}
}

func TestGivenANodeWhenItIsInBadStateThenItIsImpairedByWhatTheUserNamedAndTheWordsSayHow(t *testing.T) {
	node := func(ready corev1.ConditionStatus, unschedulable bool, taints ...string) *corev1.Node {
		n := &corev1.Node{Spec: corev1.NodeSpec{Unschedulable: unschedulable}}
		if n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeMemoryPressure, Status: corev1.ConditionTrue}}; ready != "" {
			n.Status.Conditions = append(n.Status.Conditions, corev1.NodeCondition{Type: corev1.NodeReady, Status: ready})
		}
		for _, key := range taints {
			n.Spec.Taints = append(n.Spec.Taints, corev1.Taint{Key: key, Effect: corev1.TaintEffectNoExecute})
		}
		return n
	}
	const shutDown = "node.kubernetes.io/out-of-service"
	all := kubeview.Impairments()
	for _, row := range []struct {
		node *corev1.Node
		by   []kubeview.Impairment
		want string
	}{
		{node(corev1.ConditionFalse, true, shutDown), nil, ""},
		{node(corev1.ConditionTrue, false, "node.kubernetes.io/unschedulable", "other"), all, ""},
		{node(corev1.ConditionFalse, true, shutDown), []kubeview.Impairment{kubeview.NotReady}, "is not Ready"},
		{node(corev1.ConditionUnknown, false), all, "is not Ready"},
		{node("", false), all, "is not Ready"},
		{node(corev1.ConditionTrue, false, shutDown), all, "has the taint " + shutDown},
		{node(corev1.ConditionTrue, true), all, "is unschedulable"},
		{node(corev1.ConditionFalse, true, shutDown), []kubeview.Impairment{kubeview.Unschedulable, kubeview.NotReady}, "is not Ready and is unschedulable"},
	} {
		if got := kubeview.Impaired(row.node, row.by); got != row.want {
			t.Errorf("%+v, %+v is by %v impaired: %q, want %q", row.node.Spec, row.node.Status.Conditions, row.by, got, row.want)
		}
	}
}

// endpoint is one endpoint; ready and serving are nil where the condition is not given.
func endpoint(address, node string, ready, serving *bool, pod string) discoveryv1.Endpoint {
	e := discoveryv1.Endpoint{Addresses: []string{address}, Conditions: discoveryv1.EndpointConditions{Ready: ready, Serving: serving}}
	if node != "" {
		e.NodeName = &node
	}
	if pod != "" {
		e.TargetRef = &corev1.ObjectReference{Kind: "Pod", Namespace: "x", Name: pod}
	}
	return e
}

func TestGivenEndpointSlicesWhenReadThenOnlyEndpointsThatServeCountOnce(t *testing.T) {
	yes, no := new(true), new(false)
	four := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{
		endpoint("10.0.0.1", "n1", yes, yes, "a"),
		endpoint("10.0.0.2", "n1", nil, nil, "b"),       // Unknown is ready.
		endpoint("10.0.0.3", "n2", no, yes, "c"),        // Terminating, but still serving.
		endpoint("10.0.0.4", "n2", no, no, "d"),         // Out of service.
		endpoint("10.0.0.5", "n3", no, nil, "e"),        // Not ready, and nothing known of serving.
		endpoint("192.0.2.9", "", yes, nil, ""),         // Outside of the cluster.
		endpoint("192.0.2.10", "", yes, nil, "outside"), // Without a node.
	}}
	six := &discoveryv1.EndpointSlice{AddressType: discoveryv1.AddressTypeIPv6, Endpoints: []discoveryv1.Endpoint{
		endpoint("2001:db8::1", "n1", yes, yes, "a"),
	}}
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "x", Name: "web", Labels: map[string]string{"app": "web"}, Annotations: map[string]string{"metallb.universe.tf/allow-shared-ip": "key"}},
		Spec:       corev1.ServiceSpec{ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal},
		Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{
			{IP: "2001:db8::9"}, {IP: "192.0.2.1"}, {Hostname: "lb.example.com"}, {IP: "fe80::1%eth0"}, {IP: "nonsense"},
		}}},
	}
	got := kubeview.Service(svc, []*discoveryv1.EndpointSlice{four, six})
	if want := []netip.Addr{netip.MustParseAddr("2001:db8::9"), netip.MustParseAddr("192.0.2.1")}; !slices.Equal(got.Addresses, want) {
		t.Errorf("addresses are %v, want %v", got.Addresses, want)
	}
	if want := (announce.Endpoints{Serving: 5, OnNode: map[string]int{"n1": 2, "n2": 1}}); !reflect.DeepEqual(got.Endpoints, want) {
		t.Errorf("endpoints are %+v, want %+v", got.Endpoints, want)
	}
	if got.Key.String() != "x/web" || !got.Local || got.SharingKey != "key" || got.Labels["app"] != "web" {
		t.Errorf("service is %+v", got)
	}
}

func TestGivenAServiceWithoutSlicesWhenReadThenNothingServes(t *testing.T) {
	if got := kubeview.Service(&corev1.Service{}, nil); got.Endpoints.Serving != 0 || got.Local || len(got.Addresses) != 0 {
		t.Errorf("service is %+v", got)
	}
}

func TestGivenAServiceThatAsksForAttributesWhenReadThenItsWordsAreThere(t *testing.T) {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{
		"metallb.io/bgp-communities": "no-export,blue", "metallb.io/bgp-as-path-prepend": "2", "metallb.io/bgp-med": "7", "metallb.io/bgp-local-pref": "x",
	}}}
	want := announce.Asked{Communities: "no-export,blue", ASPathPrepend: "2", MED: "7", LocalPref: "x"}
	if got := kubeview.Service(svc, nil).Asked; got != want {
		t.Errorf("asked is %+v, wanted %+v", got, want)
	}
}
