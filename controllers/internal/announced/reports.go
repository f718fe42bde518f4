package announced

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"unique"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
)

// reports are what objects of one kind say of their subjects, such as Services: there may be several for each, and an object speaks of one.
type reports[K comparable, T any] struct {
	// read returns what an object says, and of what; ok is false for one that says nothing.
	read func(client.Object) (about K, says T, ok bool)
	// equal tells whether two objects say the same.
	equal func(a, b T) bool
	// changed is called when something else is said of a subject. It must not wait.
	changed func(K)

	mu      sync.Mutex
	objects map[types.NamespacedName]report[K, T]
	of      map[K]map[types.NamespacedName]bool
}

type report[K comparable, T any] struct {
	subject K
	says    T
}

func newReports[K comparable, T any](read func(client.Object) (K, T, bool), equal func(a, b T) bool, changed func(K)) *reports[K, T] {
	return &reports[K, T]{
		read: read, equal: equal, changed: changed,
		objects: map[types.NamespacedName]report[K, T]{}, of: map[K]map[types.NamespacedName]bool{},
	}
}

// about returns what is said of a subject, in the order of the objects' names.
func (r *reports[K, T]) about(key K) []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := slices.SortedFunc(maps.Keys(r.of[key]), func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	all := make([]T, len(names))
	for i, name := range names {
		all[i] = r.objects[name].says
	}
	return all
}

// Put implements mirror.Keeper.
func (r *reports[K, T]) Put(o client.Object) {
	name := client.ObjectKeyFromObject(o)
	key, says, ok := r.read(o)
	if !ok {
		r.Drop(name)
		return
	}
	r.mu.Lock()
	was, known := r.objects[name]
	if known && was.subject != key {
		r.unlink(name, was.subject)
	}
	if r.of[key] == nil {
		r.of[key] = map[types.NamespacedName]bool{}
	}
	r.of[key][name] = true
	r.objects[name] = report[K, T]{key, says}
	r.mu.Unlock()
	if known && was.subject != key {
		r.changed(was.subject)
	}
	if !known || was.subject != key || !r.equal(was.says, says) {
		r.changed(key)
	}
}

// Drop implements mirror.Keeper.
func (r *reports[K, T]) Drop(name types.NamespacedName) {
	r.mu.Lock()
	was, known := r.objects[name]
	if known {
		delete(r.objects, name)
		r.unlink(name, was.subject)
	}
	r.mu.Unlock()
	if known {
		r.changed(was.subject)
	}
}

func (r *reports[K, T]) unlink(name types.NamespacedName, key K) {
	delete(r.of[key], name)
	if len(r.of[key]) == 0 {
		delete(r.of, key)
	}
}

// Retain implements mirror.Keeper.
func (r *reports[K, T]) Retain(exist map[types.NamespacedName]bool, _ string) {
	r.mu.Lock()
	known := slices.Collect(maps.Keys(r.objects))
	r.mu.Unlock()
	for _, name := range known {
		if !exist[name] {
			r.Drop(name)
		}
	}
}

var _ mirror.Keeper = (*reports[string, string])(nil)

func intern(s string) string { return unique.Make(s).Value() }

// readRoute reads a ServiceBGPStatus.
func readRoute(o client.Object) (key ipam.ServiceKey, route announce.Route, ok bool) {
	s, is := o.(*v1beta1.ServiceBGPStatus)
	if !is || s.Status.Node == "" || s.Status.ServiceName == "" {
		return key, route, false
	}
	key = ipam.ServiceKey{Namespace: intern(s.Status.ServiceNamespace), Name: s.Status.ServiceName}
	route.Node = intern(s.Status.Node)
	for _, peer := range s.Status.Peers {
		route.Peers = append(route.Peers, intern(peer))
	}
	for i := range s.Status.Sent {
		from := &s.Status.Sent[i]
		d := announce.Delivery{Peer: intern(from.Peer)}
		for _, text := range from.Addresses {
			if addr, err := netip.ParseAddr(text); err == nil {
				d.Addresses = append(d.Addresses, addr.Unmap())
			}
		}
		switch from.Reason {
		case v1beta1.BGPSentSessionDown:
			d.Missing = announce.Reason{Code: announce.ReasonSessionDown, Detail: intern(from.Message)}
		case "":
		default: // BGPSentNotSent, and what a newer speaker may say
			d.Missing = announce.Reason{Code: announce.ReasonNotSent, Detail: intern(from.Message)}
		}
		route.Sent = append(route.Sent, d)
	}
	return key, route, true
}

func sameRoute(a, b announce.Route) bool {
	return a.Node == b.Node && slices.Equal(a.Peers, b.Peers) && slices.EqualFunc(a.Sent, b.Sent, func(x, y announce.Delivery) bool {
		return x.Peer == y.Peer && x.Missing == y.Missing && slices.Equal(x.Addresses, y.Addresses)
	})
}

// readAnswering reads a ServiceL2Status: the node that answers.
func readAnswering(o client.Object) (key ipam.ServiceKey, node string, ok bool) {
	s, is := o.(*v1beta1.ServiceL2Status)
	if !is || s.Status.Node == "" || s.Status.ServiceName == "" {
		return key, "", false
	}
	return ipam.ServiceKey{Namespace: intern(s.Status.ServiceNamespace), Name: s.Status.ServiceName}, intern(s.Status.Node), true
}

// readSession reads a BGPSessionState: what is wrong with the session. That it is being opened is not.
func readSession(o client.Object) (key announce.Session, diagnosis string, ok bool) {
	s, is := o.(*v1beta1.BGPSessionState)
	if !is || s.Status.Diagnosis == nil || s.Status.Diagnosis.Reason == v1beta1.SessionConnecting || s.Status.BGPPeer == "" {
		return key, "", false
	}
	d := s.Status.Diagnosis
	text := string(d.Reason)
	if d.Message != "" {
		text += ": " + d.Message
	}
	return announce.Session{Node: s.Status.Node, Peer: s.Status.BGPPeer}, text, true
}

func sameText(a, b string) bool { return a == b }

// readEndpoints reads an EndpointSlice: what can serve.
func readEndpoints(o client.Object) (key ipam.ServiceKey, serving []kubeview.Endpoint, ok bool) {
	s, is := o.(*discoveryv1.EndpointSlice)
	if !is || s.Labels[discoveryv1.LabelServiceName] == "" {
		return key, nil, false
	}
	return ipam.ServiceKey{Namespace: intern(s.Namespace), Name: s.Labels[discoveryv1.LabelServiceName]}, kubeview.Serving(s), true
}

// slim drops of the objects, of which there are very many, what nobody here reads.
func slim(in any) (any, error) {
	o, ok := in.(client.Object)
	if !ok {
		return in, nil
	}
	o.SetManagedFields(nil)
	o.SetAnnotations(nil)
	o.SetFinalizers(nil)
	o.SetOwnerReferences(nil)
	if s, ok := in.(*discoveryv1.EndpointSlice); ok {
		s.Ports = nil
		for i := range s.Endpoints {
			e := &s.Endpoints[i]
			e.Zone, e.Hints, e.Hostname, e.DeprecatedTopology = nil, nil, nil, nil
			if e.NodeName != nil {
				e.NodeName = new(intern(*e.NodeName))
			}
		}
	}
	return in, nil
}
