package service

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// fullService uses everything that a decision looks at, and something that none does.
func fullService() *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "shop", Name: "web", UID: "u", ResourceVersion: "7", Generation: 4, CreationTimestamp: metav1.Unix(1, 0), Labels: map[string]string{"app": "web"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "kubectl"}}, Finalizers: []string{"f"},
			Annotations: map[string]string{
				v1beta1.AnnotationAddressPool: "p", v1beta1.DeprecatedAnnotationAllowSharedIP: "k", v1beta1.AnnotationShareWith: "other",
				v1beta1.AnnotationDeckhouseExternalIPsCount: "2", v1beta1.AnnotationAllocatedFromPool: "p", "kubectl.kubernetes.io/last-applied": "long",
			},
		},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new("example.com/lb"), ClusterIP: "10.96.0.1", ClusterIPs: []string{"10.96.0.1", "fd00::1"},
			IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack), ExternalTrafficPolicy: corev1.ServiceExternalTrafficPolicyLocal,
			Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Name: "http", Protocol: corev1.ProtocolTCP, Port: 80, NodePort: 30080}},
		},
		Status: corev1.ServiceStatus{
			LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: "192.0.2.1", IPMode: new(corev1.LoadBalancerIPModeVIP)}}},
			Conditions: []metav1.Condition{{Type: "other"}, {Type: ConditionAllocated, Status: "True", Reason: ReasonAllocated, Message: "m"},
				{Type: ConditionAnnounced, Status: "False", Reason: "NoEndpoints", Message: "n", ObservedGeneration: 4, LastTransitionTime: metav1.Unix(2, 0)}},
		},
	}
}

func TestGivenAServiceWhenTrimmedForTheCacheThenItAsksForAndShowsTheSame(t *testing.T) {
	o, err := new(trimmer).service(fullService())
	if err != nil {
		t.Fatal(err)
	}
	lean, full := o.(*corev1.Service), fullService()
	if got, want := kubeview.Request(lean, nil), kubeview.Request(full, nil); !reflect.DeepEqual(got, want) {
		t.Errorf("request %+v, want %+v", got, want)
	}
	if got, want := observe(lean), observe(full); !reflect.DeepEqual(got, want) {
		t.Errorf("shown %+v, want %+v", got, want)
	}
	classes := kubeview.Classes{Names: []string{"example.com/lb"}}
	if !classes.Handle(lean) || lean.UID != full.UID || lean.ResourceVersion != full.ResourceVersion || !lean.CreationTimestamp.Equal(&full.CreationTimestamp) {
		t.Errorf("the Service lost what it is known by: %+v", lean)
	}
	if got, want := lean.Status.Conditions, full.Status.Conditions[1:]; !reflect.DeepEqual(got, want) || lean.Generation != 4 {
		t.Errorf("conditions %+v of generation %d, want %+v of 4: what is written is compared with them", got, lean.Generation, want)
	}
	if lean.ManagedFields != nil || len(lean.Annotations) != 5 || lean.Spec.Ports[0].NodePort != 0 {
		t.Errorf("kept too much: %+v", lean)
	}
}

func TestGivenANodeWhenTrimmedForTheCacheThenItAnnouncesAndAsksAsBefore(t *testing.T) {
	full := func() *corev1.Node {
		return &corev1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{v1beta1.NodeLabelExcludeBalancers: ""}, Annotations: map[string]string{"a": "b"}},
			Spec:       corev1.NodeSpec{PodCIDR: "10.0.0.0/24"},
			Status: corev1.NodeStatus{
				Addresses: []corev1.NodeAddress{{Type: corev1.NodeInternalIP, Address: "192.0.2.1"}}, Images: []corev1.ContainerImage{{SizeBytes: 1}},
				Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionUnknown, Message: "m"}, {Type: corev1.NodeMemoryPressure},
					{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}},
			},
		}
	}
	o, err := trimNode(full())
	if err != nil {
		t.Fatal(err)
	}
	lean := o.(*corev1.Node)
	if got, want := kubeview.NodeInfo(lean), kubeview.NodeInfo(full()); !reflect.DeepEqual(got, want) || !want.NetworkUnavailable || !kubeview.Lost(lean) {
		t.Errorf("announces as %+v, lost %t; want %+v, lost", got, kubeview.Lost(lean), want)
	}
	if !slices.Equal(kubeview.NodeAddresses(lean), kubeview.NodeAddresses(full())) || len(lean.Status.Conditions) != 2 || lean.Status.Images != nil || lean.Spec.PodCIDR != "" {
		t.Errorf("kept too much or too little: %+v", lean)
	}
}

func TestGivenManyServicesOfOnePoolWhenTrimmedThenTheyShareTheirAnnotations(t *testing.T) {
	trim := new(trimmer)
	first := trim.annotations(map[string]string{v1beta1.AnnotationAllocatedFromPool: "p", "a": "b"})
	second := trim.annotations(map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"})
	if reflect.ValueOf(first).Pointer() != reflect.ValueOf(second).Pointer() || !maps.Equal(first, map[string]string{v1beta1.AnnotationAllocatedFromPool: "p"}) {
		t.Errorf("annotations %v and %v are two maps, want one", first, second)
	}
}
