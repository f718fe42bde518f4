package kubeview

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// allowSharedIP is the name of the annotation with the sharing key.
const allowSharedIP = "allow-shared-ip"

// Service returns what announcing needs to know of a Service: its addresses from status, its policy, and where its endpoints are.
// slices are the EndpointSlices of the Service. Addresses in status that do not parse are left out: only the controller writes them, and
// the zero address must not reach a router.
func Service(svc *corev1.Service, slices []*discoveryv1.EndpointSlice) announce.Service {
	key, _, _ := Annotation(svc, allowSharedIP)
	pool, _, _ := Annotation(svc, allocatedFromPool)
	return announce.Service{
		Key:        ipam.ServiceKey{Namespace: svc.Namespace, Name: svc.Name},
		Labels:     svc.Labels,
		Addresses:  ingress(svc),
		Pool:       pool,
		Local:      svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal,
		SharingKey: key,
		Asked: announce.Asked{
			Communities:   svc.Annotations[v1beta1.AnnotationBGPCommunities],
			ASPathPrepend: svc.Annotations[v1beta1.AnnotationBGPASPathPrepend],
			MED:           svc.Annotations[v1beta1.AnnotationBGPMED],
			LocalPref:     svc.Annotations[v1beta1.AnnotationBGPLocalPref],
		},
		Endpoints: endpoints(slices),
	}
}

func ingress(svc *corev1.Service) []netip.Addr {
	var addresses []netip.Addr
	for i := range svc.Status.LoadBalancer.Ingress {
		addr, err := netip.ParseAddr(svc.Status.LoadBalancer.Ingress[i].IP)
		if err != nil || addr.Zone() != "" {
			continue
		}
		addresses = append(addresses, addr.Unmap())
	}
	return addresses
}

func endpoints(slices []*discoveryv1.EndpointSlice) announce.Endpoints {
	serving := make([][]Endpoint, len(slices))
	for i, slice := range slices {
		serving[i] = Serving(slice)
	}
	return Count(serving...)
}

// Endpoint is an endpoint that can serve. A dual-stack Service has one slice per family with the same pods in both, so it is known by the
// object it stands for or else by its address, and is the same over several slices.
type Endpoint struct{ node, object, address string }

// Serving returns the endpoints of a slice that can serve (rule N1: ready, or at least serving).
func Serving(slice *discoveryv1.EndpointSlice) []Endpoint {
	var all []Endpoint
	for i := range slice.Endpoints {
		if e := &slice.Endpoints[i]; serves(e.Conditions) {
			all = append(all, endpointOf(e))
		}
	}
	return all
}

// Count counts endpoints, each once however many slices have it.
func Count(slices ...[]Endpoint) announce.Endpoints {
	count := announce.Endpoints{OnNode: map[string]int{}}
	seen := map[Endpoint]bool{}
	for _, slice := range slices {
		for _, e := range slice {
			if seen[e] {
				continue
			}
			seen[e] = true
			count.Serving++
			if e.node != "" {
				count.OnNode[e.node]++
			}
		}
	}
	return count
}

// serves is rule N1. publishNotReadyAddresses shows in these conditions too (rule N2).
func serves(c discoveryv1.EndpointConditions) bool {
	return c.Ready == nil || *c.Ready || (c.Serving != nil && *c.Serving)
}

func endpointOf(e *discoveryv1.Endpoint) Endpoint {
	var out Endpoint
	if e.NodeName != nil {
		out.node = *e.NodeName
	}
	switch {
	case e.TargetRef != nil && e.TargetRef.Name != "":
		out.object = e.TargetRef.Kind + "/" + e.TargetRef.Namespace + "/" + e.TargetRef.Name
	case len(e.Addresses) > 0:
		out.address = e.Addresses[0]
	}
	return out
}
