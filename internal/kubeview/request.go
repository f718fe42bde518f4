package kubeview

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// The names of the annotations with which a Service asks for addresses, and of the one that tells where they are from.
const (
	addressPool       = "address-pool"
	loadBalancerIPs   = "loadBalancerIPs"
	allocatedFromPool = "ip-allocated-from-pool"
)

// Request returns what a Service of type LoadBalancer asks for. namespaceLabels are those of its namespace.
func Request(svc *corev1.Service, namespaceLabels map[string]string) ipam.Request {
	r := ipam.Request{
		Service:         ipam.ServiceKey{Namespace: svc.Namespace, Name: svc.Name},
		Labels:          svc.Labels,
		NamespaceLabels: namespaceLabels,
		Families:        families(svc),
		Policy:          familyPolicy(svc),
	}
	r.Pool, _, _ = Annotation(svc, addressPool)
	var countErr, addressErr, sharingErr error
	r.Count, countErr = count(svc)
	r.Addresses, addressErr = requested(svc, max(1, r.Count))
	r.Sharing, sharingErr = sharing(svc)
	var invalid []string
	for _, err := range []error{countErr, addressErr, sharingErr} {
		if err != nil {
			invalid = append(invalid, err.Error())
		}
	}
	r.Invalid = strings.Join(invalid, "; ")
	return r
}

// maxCount is how many addresses of one family a Service may ask for: more than nodes that anybody spreads one Service over, and few enough for
// a status that every node watches.
const maxCount = 64

// count returns how many addresses of each family a Service wants, 0 if it does not say. If it can't be read it is maxCount, the number that
// speaks against nothing else in the Service.
func count(svc *corev1.Service) (int, error) {
	for _, key := range [...]string{v1beta1.AnnotationExternalIPsCount, v1beta1.AnnotationDeckhouseExternalIPsCount} {
		text, ok := svc.Annotations[key]
		if !ok {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > maxCount {
			return maxCount, fmt.Errorf("invalid %s %q: wanted a whole number from 1 to %d", key, text, maxCount)
		}
		return n, nil
	}
	return 0, nil
}

// Held returns the addresses in a Service's status and the pool that its annotation says they are from, "" if there is no annotation.
func Held(svc *corev1.Service) (addresses []netip.Addr, pool string) {
	pool, _, _ = Annotation(svc, allocatedFromPool)
	return ingress(svc), pool
}

// Deprecated returns the annotations of the old prefix that a Service asks for addresses with, sorted.
func Deprecated(svc *corev1.Service) []string {
	var found []string
	for _, name := range []string{addressPool, allowSharedIP, loadBalancerIPs} {
		if _, key, ok := Annotation(svc, name); ok && strings.HasPrefix(key, v1beta1.DeprecatedAnnotationPrefix) {
			found = append(found, key)
		}
	}
	return found
}

// families returns the families of the Service's cluster IPs in their order, the first being the primary one.
func families(svc *corev1.Service) []ipam.Family {
	texts := svc.Spec.ClusterIPs
	if len(texts) == 0 {
		texts = []string{svc.Spec.ClusterIP}
	}
	var found []ipam.Family
	for _, text := range texts {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue // "None", or not given yet
		}
		if f := ipam.FamilyOf(addr); !slices.Contains(found, f) {
			found = append(found, f)
		}
	}
	return found
}

func familyPolicy(svc *corev1.Service) ipam.FamilyPolicy {
	if svc.Spec.IPFamilyPolicy == nil {
		return ipam.SingleStack
	}
	switch *svc.Spec.IPFamilyPolicy {
	case corev1.IPFamilyPolicyPreferDualStack:
		return ipam.PreferDualStack
	case corev1.IPFamilyPolicyRequireDualStack:
		return ipam.RequireDualStack
	default:
		return ipam.SingleStack
	}
}

// sharing returns what decides with whom a Service may share an address (rules A14, A15). With an error it is as narrow as what could be read.
func sharing(svc *corev1.Service) (s ipam.Sharing, err error) {
	s.Key, _, _ = Annotation(svc, allowSharedIP)
	if svc.Spec.ExternalTrafficPolicy == corev1.ServiceExternalTrafficPolicyLocal {
		s.Backend = selectorText(svc.Spec.Selector)
	}
	for _, p := range svc.Spec.Ports {
		protocol := p.Protocol
		if protocol == "" {
			protocol = corev1.ProtocolTCP
		}
		s.Ports = append(s.Ports, ipam.Port{Protocol: string(protocol), Number: uint16(p.Port)})
	}
	s.With, err = shareWith(svc)
	return s, err
}

// shareWith returns the namespaces with whose Services a Service shares, sorted, nil for all. An empty annotation lists none: the Service
// shares within its own namespace only.
func shareWith(svc *corev1.Service) ([]string, error) {
	list, ok := svc.Annotations[v1beta1.AnnotationShareWith]
	if !ok {
		return nil, nil
	}
	namespaces := []string{}
	var faulty string
	for name := range strings.SplitSeq(list, ",") {
		switch name = strings.TrimSpace(name); {
		case name == "*":
			return nil, nil
		case name == "": // an empty list, or a comma at its end
		case len(validation.IsDNS1123Label(name)) > 0:
			faulty = name
		default:
			namespaces = append(namespaces, name)
		}
	}
	slices.Sort(namespaces)
	namespaces = slices.Compact(namespaces)
	if faulty != "" {
		return namespaces, fmt.Errorf("invalid %s %q: found %q, wanted names of namespaces separated by commas, or *", v1beta1.AnnotationShareWith, list, faulty)
	}
	return namespaces, nil
}

func selectorText(selector map[string]string) string {
	pairs := make([]string, 0, len(selector))
	for _, key := range slices.Sorted(maps.Keys(selector)) {
		pairs = append(pairs, key+"="+selector[key])
	}
	return strings.Join(pairs, ",")
}

// requested returns the addresses that a Service asks for by name, of each family at most atMost.
func requested(svc *corev1.Service, atMost int) ([]netip.Addr, error) {
	list, key, _ := Annotation(svc, loadBalancerIPs)
	switch {
	case list != "" && svc.Spec.LoadBalancerIP != "":
		return nil, fmt.Errorf("service can not have both %s and svc.Spec.LoadBalancerIP", key)
	case svc.Spec.LoadBalancerIP != "":
		addr, err := parseAddress(svc.Spec.LoadBalancerIP)
		if err != nil {
			return nil, fmt.Errorf("invalid spec.loadBalancerIP %q: wanted an IP address", svc.Spec.LoadBalancerIP)
		}
		return []netip.Addr{addr}, nil
	case list == "":
		return nil, nil
	}
	var addresses []netip.Addr
	of := map[ipam.Family]int{}
	for text := range strings.SplitSeq(list, ",") {
		addr, err := parseAddress(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("invalid %s %q: wanted IP addresses separated by commas", key, list)
		}
		f := ipam.FamilyOf(addr)
		switch of[f]++; {
		case of[f] > atMost && atMost == 1:
			return nil, fmt.Errorf("invalid %s %q: wanted at most one %s address", key, list, f)
		case of[f] > atMost:
			return nil, fmt.Errorf("invalid %s %q: wanted at most %d %s addresses", key, list, atMost, f)
		case slices.Contains(addresses, addr):
			return nil, fmt.Errorf("invalid %s %q: found %s twice, wanted each address once", key, list, addr)
		}
		addresses = append(addresses, addr)
	}
	return addresses, nil
}

func parseAddress(text string) (netip.Addr, error) {
	addr, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}, err
	}
	if addr.Zone() != "" {
		return netip.Addr{}, fmt.Errorf("%q has a zone", text)
	}
	return addr.Unmap(), nil
}
