package kubeview_test

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// asking returns a dual-stack Service that edit may change.
func asking(edit ...func(*corev1.Service)) *corev1.Service {
	policy := corev1.IPFamilyPolicyPreferDualStack
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "web", Labels: map[string]string{"a": "b"}, Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeLoadBalancer, ClusterIP: "10.96.0.1", ClusterIPs: []string{"10.96.0.1", "fd00::1"},
			IPFamilyPolicy: &policy, Selector: map[string]string{"b": "2", "a": "1"},
			Ports: []corev1.ServicePort{{Port: 80}, {Port: 53, Protocol: corev1.ProtocolUDP}},
		},
	}
	for _, e := range edit {
		e(svc)
	}
	return svc
}

func annotation(key, value string) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Annotations[key] = value }
}

func TestRequestSaysWhatTheServiceSays(t *testing.T) {
	ports := []ipam.Port{{Protocol: "TCP", Number: 80}, {Protocol: "UDP", Number: 53}}
	base := ipam.Request{
		Service:  ipam.ServiceKey{Namespace: "ns", Name: "web"},
		Labels:   map[string]string{"a": "b"},
		Families: []ipam.Family{ipam.IPv4, ipam.IPv6},
		Policy:   ipam.PreferDualStack,
		Sharing:  ipam.Sharing{Ports: ports},
	}
	for _, c := range []struct {
		name string
		svc  *corev1.Service
		want func(*ipam.Request)
	}{
		{"nothing special", asking(), func(*ipam.Request) {}},
		{"pool", asking(annotation("metallb.io/address-pool", "p")), func(r *ipam.Request) { r.Pool = "p" }},
		{"pool by the old prefix", asking(annotation("metallb.universe.tf/address-pool", "p")), func(r *ipam.Request) { r.Pool = "p" }},
		{"new prefix wins", asking(annotation("metallb.universe.tf/address-pool", "old"), annotation("metallb.io/address-pool", "new")),
			func(r *ipam.Request) { r.Pool = "new" }},
		{"addresses", asking(annotation("metallb.io/loadBalancerIPs", "192.0.2.1, 2001:db8::1")), func(r *ipam.Request) {
			r.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
		}},
		{"address in the spec", asking(func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" }), func(r *ipam.Request) {
			r.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")}
		}},
		{"addresses in both", asking(annotation("metallb.io/loadBalancerIPs", "192.0.2.1"), func(s *corev1.Service) { s.Spec.LoadBalancerIP = "192.0.2.1" }),
			func(r *ipam.Request) {
				r.Invalid = "service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP"
			}},
		{"no address", asking(annotation("metallb.io/loadBalancerIPs", "192.0.2.1,web")), func(r *ipam.Request) {
			r.Invalid = `invalid metallb.io/loadBalancerIPs "192.0.2.1,web": wanted IP addresses separated by commas`
		}},
		{"two of a family", asking(annotation("metallb.io/loadBalancerIPs", "192.0.2.1,192.0.2.2")), func(r *ipam.Request) {
			r.Invalid = `invalid metallb.io/loadBalancerIPs "192.0.2.1,192.0.2.2": wanted at most one IPv4 address`
		}},
		{"count", asking(annotation("metallb.io/l2-external-ips-count", "3")), func(r *ipam.Request) { r.Count = 3 }},
		{"count by the key of Deckhouse", asking(annotation("network.deckhouse.io/l2-load-balancer-external-ips-count", " 64 ")),
			func(r *ipam.Request) { r.Count = 64 }},
		{"own key wins", asking(annotation("network.deckhouse.io/l2-load-balancer-external-ips-count", "5"), annotation("metallb.io/l2-external-ips-count", "2")),
			func(r *ipam.Request) { r.Count = 2 }},
		{"count of nothing", asking(annotation("metallb.io/l2-external-ips-count", "0"), annotation("metallb.io/loadBalancerIPs", "192.0.2.1,192.0.2.2")),
			func(r *ipam.Request) {
				r.Count = 64
				r.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")}
				r.Invalid = `invalid metallb.io/l2-external-ips-count "0": wanted a whole number from 1 to 64`
			}},
		{"count too high", asking(annotation("network.deckhouse.io/l2-load-balancer-external-ips-count", "65")), func(r *ipam.Request) {
			r.Count = 64
			r.Invalid = `invalid network.deckhouse.io/l2-load-balancer-external-ips-count "65": wanted a whole number from 1 to 64`
		}},
		{"count in words", asking(annotation("metallb.io/l2-external-ips-count", "two")), func(r *ipam.Request) {
			r.Count = 64
			r.Invalid = `invalid metallb.io/l2-external-ips-count "two": wanted a whole number from 1 to 64`
		}},
		{"as many addresses as counted", asking(annotation("metallb.io/l2-external-ips-count", "2"), annotation("metallb.io/loadBalancerIPs", "192.0.2.1,192.0.2.2,2001:db8::1")),
			func(r *ipam.Request) {
				r.Count = 2
				r.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2"), netip.MustParseAddr("2001:db8::1")}
			}},
		{"more addresses than counted", asking(annotation("metallb.io/l2-external-ips-count", "2"), annotation("metallb.io/loadBalancerIPs", "192.0.2.1,192.0.2.2,192.0.2.3")),
			func(r *ipam.Request) {
				r.Count = 2
				r.Invalid = `invalid metallb.io/loadBalancerIPs "192.0.2.1,192.0.2.2,192.0.2.3": wanted at most 2 IPv4 addresses`
			}},
		{"one address twice", asking(annotation("metallb.io/l2-external-ips-count", "2"), annotation("metallb.io/loadBalancerIPs", "192.0.2.1,192.0.2.1")),
			func(r *ipam.Request) {
				r.Count = 2
				r.Invalid = `invalid metallb.io/loadBalancerIPs "192.0.2.1,192.0.2.1": found 192.0.2.1 twice, wanted each address once`
			}},
		{"sharing with some", asking(annotation("metallb.io/share-with", "b, a,b")), func(r *ipam.Request) { r.Sharing.With = []string{"a", "b"} }},
		{"sharing with all", asking(annotation("metallb.io/share-with", "*")), func(*ipam.Request) {}},
		{"sharing with none", asking(annotation("metallb.io/share-with", "")), func(r *ipam.Request) { r.Sharing.With = []string{} }},
		{"sharing with nonsense", asking(annotation("metallb.io/share-with", "a,Team A")), func(r *ipam.Request) {
			r.Sharing.With = []string{"a"}
			r.Invalid = `invalid metallb.io/share-with "a,Team A": found "Team A", wanted names of namespaces separated by commas, or *`
		}},
		{"two faults", asking(annotation("metallb.io/l2-external-ips-count", "x"), annotation("metallb.io/loadBalancerIPs", "web")), func(r *ipam.Request) {
			r.Count = 64
			r.Invalid = `invalid metallb.io/l2-external-ips-count "x": wanted a whole number from 1 to 64; ` +
				`invalid metallb.io/loadBalancerIPs "web": wanted IP addresses separated by commas`
		}},
		{"no address in the spec", asking(func(s *corev1.Service) { s.Spec.LoadBalancerIP = "fe80::1%eth0" }), func(r *ipam.Request) {
			r.Invalid = `invalid spec.loadBalancerIP "fe80::1%eth0": wanted an IP address`
		}},
		{"sharing", asking(annotation("metallb.io/allow-shared-ip", "k")), func(r *ipam.Request) { r.Sharing.Key = "k" }},
		{"local traffic", asking(func(s *corev1.Service) { s.Spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyLocal }),
			func(r *ipam.Request) { r.Sharing.Backend = "a=1,b=2" }},
		{"single stack", asking(func(s *corev1.Service) {
			policy := corev1.IPFamilyPolicySingleStack
			s.Spec.IPFamilyPolicy, s.Spec.ClusterIPs = &policy, []string{"fd00::1"}
		}), func(r *ipam.Request) { r.Policy, r.Families = ipam.SingleStack, []ipam.Family{ipam.IPv6} }},
		{"no cluster IPs yet", asking(func(s *corev1.Service) { s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil }),
			func(r *ipam.Request) { r.Families = nil }},
	} {
		t.Run(c.name, func(t *testing.T) {
			want := base
			c.want(&want)
			if diff := cmp.Diff(want, kubeview.Request(c.svc, nil), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDeprecatedAnnotationsAreNamedUnlessTheNewOneIsThereToo(t *testing.T) {
	svc := asking(annotation("metallb.universe.tf/address-pool", "p"), annotation("metallb.io/address-pool", "p"),
		annotation("metallb.universe.tf/allow-shared-ip", "k"), annotation("metallb.universe.tf/loadBalancerIPs", "192.0.2.1"))
	want := []string{"metallb.universe.tf/allow-shared-ip", "metallb.universe.tf/loadBalancerIPs"}
	if diff := cmp.Diff(want, kubeview.Deprecated(svc)); diff != "" {
		t.Error(diff)
	}
}

func TestHeldIsWhatStatusAndAnnotationSay(t *testing.T) {
	svc := asking(annotation("metallb.universe.tf/ip-allocated-from-pool", "p"))
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}, {Hostname: "example.com"}, {IP: "2001:db8::1"}}
	addresses, pool := kubeview.Held(svc)
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}
	if diff := cmp.Diff(want, addresses, cmpopts.EquateComparable(netip.Addr{})); diff != "" || pool != "p" {
		t.Errorf("pool %q, addresses %s", pool, diff)
	}
}
