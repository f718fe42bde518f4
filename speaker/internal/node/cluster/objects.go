package cluster

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
)

// objects are the Services that count and the EndpointSlices of all Services, as far as they matter: there are many, on every node.
type objects struct {
	classes kubeview.Classes
	// counted is called once for each event, changed with a Service that counts or counted and that may be another now.
	counted func()
	changed func(ipam.ServiceKey)

	mu sync.Mutex
	// services have no Endpoints.
	services map[ipam.ServiceKey]*announce.Service
	slices   map[types.NamespacedName]endpoints
	// of are the names of the EndpointSlices of each Service, sorted.
	of map[ipam.ServiceKey][]string
}

// endpoints is an EndpointSlice: the Service it belongs to, in its own namespace, and what can serve.
type endpoints struct {
	service string
	serving []kubeview.Endpoint
}

func newObjects(classes kubeview.Classes, counted func(), changed func(ipam.ServiceKey)) *objects {
	return &objects{classes: classes, counted: counted, changed: changed, services: map[ipam.ServiceKey]*announce.Service{},
		slices: map[types.NamespacedName]endpoints{}, of: map[ipam.ServiceKey][]string{}}
}

// service returns a Service that counts, nil where there is none of that name.
func (o *objects) service(key ipam.ServiceKey) *announce.Service {
	o.mu.Lock()
	defer o.mu.Unlock()
	have := o.services[key]
	if have == nil {
		return nil
	}
	one, serving := *have, make([][]kubeview.Endpoint, 0, 1)
	for _, name := range o.of[key] {
		serving = append(serving, o.slices[types.NamespacedName{Namespace: key.Namespace, Name: name}].serving)
	}
	one.Endpoints = kubeview.Count(serving...)
	return &one
}

// setService takes in a Service, nil where there is none of that name, or none that counts, any more.
func (o *objects) setService(key ipam.ServiceKey, now *announce.Service) {
	o.counted()
	o.mu.Lock()
	was := o.services[key]
	if now == nil {
		delete(o.services, key)
	} else {
		o.services[key] = now
	}
	o.mu.Unlock()
	if (was != nil || now != nil) && !reflect.DeepEqual(was, now) {
		o.changed(key)
	}
}

// setSlice takes in an EndpointSlice; without a Service it is none of anybody's. A slice does not move from one Service to another, but
// nothing forbids it.
func (o *objects) setSlice(key types.NamespacedName, now endpoints) {
	o.counted()
	o.mu.Lock()
	was := o.slices[key]
	if was.service != now.service {
		o.unlink(key, was.service)
		o.link(key, now.service)
	}
	if now.service == "" {
		delete(o.slices, key)
	} else {
		o.slices[key] = now
	}
	var touched []ipam.ServiceKey
	if was.service != now.service || !slices.Equal(was.serving, now.serving) {
		for _, name := range slices.Compact([]string{was.service, now.service}) {
			if key := (ipam.ServiceKey{Namespace: key.Namespace, Name: name}); o.services[key] != nil {
				touched = append(touched, key)
			}
		}
	}
	o.mu.Unlock()
	for _, key := range touched {
		o.changed(key)
	}
}

func (o *objects) link(key types.NamespacedName, service string) {
	if service == "" {
		return
	}
	owner := ipam.ServiceKey{Namespace: key.Namespace, Name: service}
	names := o.of[owner]
	at, _ := slices.BinarySearch(names, key.Name)
	o.of[owner] = slices.Insert(names, at, key.Name)
}

func (o *objects) unlink(key types.NamespacedName, service string) {
	owner := ipam.ServiceKey{Namespace: key.Namespace, Name: service}
	names := o.of[owner]
	if at, ok := slices.BinarySearch(names, key.Name); ok {
		names = slices.Delete(names, at, at+1)
	}
	if len(names) == 0 {
		delete(o.of, owner)
	} else {
		o.of[owner] = names
	}
}

// asServices and asSlices take in either kind.
type (
	asServices struct{ *objects }
	asSlices   struct{ *objects }
)

var (
	_ mirror.Keeper = asServices{}
	_ mirror.Keeper = asSlices{}
)

// Put implements mirror.Keeper.
func (o asServices) Put(obj client.Object) {
	svc, ok := obj.(*corev1.Service)
	if !ok {
		return
	}
	key := ipam.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}
	if !o.classes.Handle(svc) {
		o.setService(key, nil)
		return
	}
	one := kubeview.Service(svc, nil)
	one.Endpoints = announce.Endpoints{}
	o.setService(key, &one)
}

// Drop implements mirror.Keeper.
func (o asServices) Drop(key types.NamespacedName) {
	o.setService(ipam.ServiceKey{Namespace: key.Namespace, Name: key.Name}, nil)
}

// Retain implements mirror.Keeper.
func (o asServices) Retain(exist map[types.NamespacedName]bool, _ string) {
	o.mu.Lock()
	known := slices.Collect(maps.Keys(o.services))
	o.mu.Unlock()
	for _, key := range known {
		if key := (types.NamespacedName{Namespace: key.Namespace, Name: key.Name}); !exist[key] {
			o.Drop(key)
		}
	}
}

// Put implements mirror.Keeper.
func (o asSlices) Put(obj client.Object) {
	if slice, ok := obj.(*discoveryv1.EndpointSlice); ok {
		o.setSlice(client.ObjectKeyFromObject(slice), endpoints{service: slice.Labels[discoveryv1.LabelServiceName], serving: kubeview.Serving(slice)})
	}
}

// Drop implements mirror.Keeper.
func (o asSlices) Drop(key types.NamespacedName) { o.setSlice(key, endpoints{}) }

// Retain implements mirror.Keeper.
func (o asSlices) Retain(exist map[types.NamespacedName]bool, _ string) {
	o.mu.Lock()
	known := slices.Collect(maps.Keys(o.slices))
	o.mu.Unlock()
	for _, key := range known {
		if !exist[key] {
			o.Drop(key)
		}
	}
}
