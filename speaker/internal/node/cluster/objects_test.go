package cluster

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// api is what exists in an API, and what a model makes of it.
type api struct {
	services map[types.NamespacedName]*corev1.Service
	slices   map[types.NamespacedName]*discoveryv1.EndpointSlice
}

func drawKey(t *rapid.T, kind string) types.NamespacedName {
	return types.NamespacedName{Namespace: fmt.Sprintf("ns%d", rapid.IntRange(0, 1).Draw(t, "namespace")), Name: fmt.Sprintf("%s%d", kind, rapid.IntRange(0, 3).Draw(t, "name"))}
}

func drawAPIService(t *rapid.T, key types.NamespacedName) *corev1.Service {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	svc.Spec.Type = rapid.SampledFrom([]corev1.ServiceType{corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeClusterIP}).Draw(t, "type")
	if rapid.Bool().Draw(t, "address") {
		svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "10.0.0.1"}}
	}
	return svc
}

func drawAPISlice(t *rapid.T, key types.NamespacedName) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if owner := rapid.IntRange(-1, 3).Draw(t, "owner"); owner >= 0 {
		slice.Labels = map[string]string{discoveryv1.LabelServiceName: fmt.Sprintf("svc%d", owner)}
	}
	for range rapid.IntRange(0, 2).Draw(t, "endpoints") {
		node := rapid.SampledFrom([]string{"n1", "n2"}).Draw(t, "node")
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{NodeName: &node, Addresses: []string{fmt.Sprintf("10.1.0.%d", rapid.IntRange(1, 3).Draw(t, "endpoint"))},
			Conditions: discoveryv1.EndpointConditions{Ready: new(rapid.Bool().Draw(t, "ready"))}})
	}
	return slice
}

// value is what is to be known of a Service.
func (a api) value(key ipam.ServiceKey) *announce.Service {
	svc := a.services[types.NamespacedName{Namespace: key.Namespace, Name: key.Name}]
	if svc == nil || !(kubeview.Classes{}).Handle(svc) {
		return nil
	}
	var ends []*discoveryv1.EndpointSlice
	for _, name := range slices.SortedFunc(maps.Keys(a.slices), func(a, b types.NamespacedName) int { return strings.Compare(a.String(), b.String()) }) {
		if name.Namespace == key.Namespace && a.slices[name].Labels[discoveryv1.LabelServiceName] == key.Name {
			ends = append(ends, a.slices[name])
		}
	}
	one := kubeview.Service(svc, ends)
	return &one
}

func (a api) values() map[ipam.ServiceKey]*announce.Service {
	all := map[ipam.ServiceKey]*announce.Service{}
	for n := range 2 {
		for s := range 4 {
			key := ipam.ServiceKey{Namespace: fmt.Sprintf("ns%d", n), Name: fmt.Sprintf("svc%d", s)}
			all[key] = a.value(key)
		}
	}
	return all
}

// step changes the API and tells o of it: an event, or after a broken watch everything that there is.
func (a api) step(t *rapid.T, o *objects) {
	svc, slice := drawKey(t, "svc"), drawKey(t, "slice")
	switch rapid.IntRange(0, 5).Draw(t, "step") {
	case 0:
		a.services[svc] = drawAPIService(t, svc)
		asServices{o}.Put(a.services[svc])
	case 1:
		delete(a.services, svc)
		asServices{o}.Drop(svc)
	case 2, 3:
		a.slices[slice] = drawAPISlice(t, slice)
		asSlices{o}.Put(a.slices[slice])
	case 4:
		delete(a.slices, slice)
		asSlices{o}.Drop(slice)
	default:
		a.services[svc] = drawAPIService(t, svc)
		delete(a.services, drawKey(t, "svc"))
		a.slices[slice] = drawAPISlice(t, slice)
		delete(a.slices, drawKey(t, "slice"))
		replace(asServices{o}, a.services)
		replace(asSlices{o}, a.slices)
	}
}

func replace[T client.Object](keeper mirror.Keeper, list map[types.NamespacedName]T) {
	exist := map[types.NamespacedName]bool{}
	for key, o := range list {
		keeper.Put(o)
		exist[key] = true
	}
	keeper.Retain(exist, "1")
}

func TestGivenAnyHistoryOfEventsWhenTakenInThenEachServiceIsAsTheAPIHasItAndNoChangeGoesUnnoticed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		changed := map[ipam.ServiceKey]bool{}
		a := api{services: map[types.NamespacedName]*corev1.Service{}, slices: map[types.NamespacedName]*discoveryv1.EndpointSlice{}}
		o := newObjects(kubeview.Classes{}, func() {}, func(key ipam.ServiceKey) { changed[key] = true })
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			before := a.values()
			clear(changed)
			a.step(t, o)
			for key, want := range a.values() {
				if got := o.service(key); !reflect.DeepEqual(got, want) {
					t.Fatalf("Service %s is %+v, wanted %+v", key, got, want)
				}
				if !reflect.DeepEqual(before[key], want) && !changed[key] {
					t.Fatalf("Service %s changed from %+v to %+v, and nobody was told", key, before[key], want)
				}
			}
		}
		for _, names := range o.of {
			if len(names) == 0 {
				t.Fatalf("an index entry without names is left: %v", o.of)
			}
		}
	})
}

func TestGivenServicesOfOthersWhenTheyOrTheirEndpointsChangeThenTheLoopIsNotWoken(t *testing.T) {
	c := newCluster(Options{Trigger: node.NewTrigger()})
	svc, slice := fullService(), fullSlices()[0]
	svc.Spec.LoadBalancerClass = new("somebody else's")
	asServices{c.objects}.Put(svc)
	asSlices{c.objects}.Put(slice)
	asSlices{c.objects}.Drop(types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name})
	if len(c.Trigger) != 0 || c.Updates() != 3 {
		t.Errorf("pulled %t, %d updates, wanted none and 3", len(c.Trigger) == 1, c.Updates())
	}
}

func TestGivenANewServiceWhenItHasNoAddressYetThenTheViewStaysAsItIsUntilItHasOne(t *testing.T) {
	c := newCluster(Options{Trigger: node.NewTrigger()})
	c.pending = pending{services: map[ipam.ServiceKey]struct{}{}} // the configuration is not this test's
	gather := func(what func(*corev1.Service)) node.View {
		svc := fullService()
		svc.Spec.LoadBalancerClass = nil
		what(svc)
		asServices{c.objects}.Put(svc)
		view, err := c.Gather(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return view
	}
	first := gather(func(svc *corev1.Service) { svc.Status.LoadBalancer.Ingress = nil })
	if first.Version != 0 || len(first.Services) != 0 {
		t.Errorf("version %d with %d Services, wanted what was before", first.Version, len(first.Services))
	}
	second := gather(func(*corev1.Service) {})
	if second.Version != 1 || len(second.Services) != 1 || len(second.Services[0].Addresses) != 2 {
		t.Errorf("version %d, %+v, wanted the next with the Service", second.Version, second.Services)
	}
	if third := gather(func(svc *corev1.Service) { svc.Annotations["x"] = "y" }); third.Version != 1 || third.Services[0] != second.Services[0] {
		t.Errorf("version %d, wanted the same and the same Service", third.Version)
	}
	if fourth := gather(func(svc *corev1.Service) { svc.Status.LoadBalancer.Ingress = nil }); fourth.Version != 2 || len(fourth.Services[0].Addresses) != 0 {
		t.Errorf("version %d, %+v, wanted the next without address", fourth.Version, fourth.Services)
	}
}
