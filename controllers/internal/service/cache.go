package service

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
	"unique"

	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Cached returns how the objects that this package reads are to be cached: whole clusters' worth of Services and namespaces, of each only
// what decisions need.
func Cached() map[client.Object]cache.ByObject {
	// An empty map means all namespaces. One that names all of them would have the kind looked up with the API's mapping in every read.
	everywhere := map[string]cache.Config{}
	return map[client.Object]cache.ByObject{
		&corev1.Service{}: {Namespaces: everywhere, Transform: new(trimmer).service},
		namespaceKind():   {Transform: trimMetadata},
		&corev1.Node{}:    {Transform: trimNode},
	}
}

// Ready returns a check of whether the objects of the cluster have been read.
func Ready(c cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the objects of the cluster have not all been read yet")
		}
		return nil
	}
}

func trimMetadata(o any) (any, error) {
	m, ok := o.(metav1.Object)
	if !ok {
		return o, nil
	}
	m.SetManagedFields(nil)
	m.SetAnnotations(nil)
	return o, nil
}

// trimNode leaves of a node what node selectors look at, its addresses, whether it is ready to be asked about others, and what keeps it from
// announcing.
func trimNode(o any) (any, error) {
	node, ok := o.(*corev1.Node)
	if !ok {
		return nil, fmt.Errorf("trimming a Node for the cache: found %T", o)
	}
	node.ManagedFields, node.Annotations = nil, nil
	status := corev1.NodeStatus{Addresses: node.Status.Addresses}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady || c.Type == corev1.NodeNetworkUnavailable {
			status.Conditions = append(status.Conditions, corev1.NodeCondition{Type: c.Type, Status: c.Status})
		}
	}
	node.Spec, node.Status = corev1.NodeSpec{}, status
	return node, nil
}

// trimmer makes objects smaller before they are cached. It may be used by several goroutines.
type trimmer struct {
	// pools has, by name of a pool, the annotations of the Services that have only that of the pool: most of them, and a map is large.
	pools sync.Map
}

// service drops what nothing in this program looks at, and keeps once what many Services have in common: there may be tens of thousands of
// them. Cached Services are never written back: writes are patches.
func (t *trimmer) service(o any) (any, error) {
	svc, ok := o.(*corev1.Service)
	if !ok {
		return nil, fmt.Errorf("trimming a Service for the cache: found %T", o)
	}
	meta, spec, status := svc.ObjectMeta, svc.Spec, svc.Status
	svc.ObjectMeta = metav1.ObjectMeta{
		Namespace: intern(meta.Namespace), Name: meta.Name, UID: meta.UID, ResourceVersion: meta.ResourceVersion,
		Generation: meta.Generation, CreationTimestamp: meta.CreationTimestamp, Annotations: t.annotations(meta.Annotations),
	}
	svc.Spec, svc.Status = corev1.ServiceSpec{Type: spec.Type}, corev1.ServiceStatus{}
	svc.Status.Conditions = ourConditions(status.Conditions)
	if spec.Type != corev1.ServiceTypeLoadBalancer {
		return svc, nil
	}
	svc.Labels = meta.Labels
	if spec.LoadBalancerClass != nil {
		svc.Spec.LoadBalancerClass = new(intern(*spec.LoadBalancerClass))
	}
	svc.Spec.LoadBalancerIP = spec.LoadBalancerIP
	svc.Spec.ClusterIP, svc.Spec.ClusterIPs = spec.ClusterIP, spec.ClusterIPs
	svc.Spec.IPFamilyPolicy = spec.IPFamilyPolicy
	svc.Spec.ExternalTrafficPolicy = spec.ExternalTrafficPolicy
	if spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		svc.Spec.Selector = spec.Selector
	}
	for _, p := range spec.Ports {
		svc.Spec.Ports = append(svc.Spec.Ports, corev1.ServicePort{Protocol: corev1.Protocol(intern(string(p.Protocol))), Port: p.Port})
	}
	for _, in := range status.LoadBalancer.Ingress {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: in.IP})
	}
	return svc, nil
}

// ourConditions returns the conditions of a Service that this program writes, alone.
func ourConditions(conditions []metav1.Condition) []metav1.Condition {
	var ours []metav1.Condition
	for _, kind := range []string{ConditionAllocated, ConditionAnnounced} {
		c := apimeta.FindStatusCondition(conditions, kind)
		if c == nil {
			continue
		}
		one := *c
		one.Type, one.Status = kind, metav1.ConditionStatus(intern(string(c.Status)))
		one.Reason, one.Message = intern(c.Reason), intern(c.Message)
		ours = append(ours, one)
	}
	return ours
}

// annotations returns those that this project reads or writes. The same map may belong to many objects: nobody changes what is cached.
func (t *trimmer) annotations(annotations map[string]string) map[string]string {
	var kept map[string]string
	for key, value := range annotations {
		if !strings.HasPrefix(key, v1beta1.AnnotationPrefix) && !strings.HasPrefix(key, v1beta1.DeprecatedAnnotationPrefix) &&
			key != v1beta1.AnnotationDeckhouseExternalIPsCount {
			continue
		}
		if kept == nil {
			kept = map[string]string{}
		}
		kept[intern(key)] = intern(value)
	}
	if pool, ok := kept[v1beta1.AnnotationAllocatedFromPool]; ok && len(kept) == 1 {
		shared, _ := t.pools.LoadOrStore(pool, kept)
		return shared.(map[string]string)
	}
	return kept
}

func intern(s string) string { return unique.Make(s).Value() }
