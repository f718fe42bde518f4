package admission_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// service creates a Service of a load balancer class that has the address, as a controller would have left it.
func (c *cluster) service(tb testing.TB, namespace, name, from string, addresses ...string) {
	tb.Helper()
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{v1beta1.AnnotationAllocatedFromPool: from}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: new("example.com/any"), Ports: []corev1.ServicePort{{Port: 80}},
			AllocateLoadBalancerNodePorts: new(false)},
	}
	if len(addresses) > 1 {
		svc.Spec.IPFamilyPolicy = new(corev1.IPFamilyPolicyRequireDualStack)
	}
	c.create(tb, svc)
	for _, address := range addresses {
		svc.Status.LoadBalancer.Ingress = append(svc.Status.LoadBalancer.Ingress, corev1.LoadBalancerIngress{IP: address})
	}
	if err := c.Status().Update(tb.Context(), svc); err != nil {
		tb.Fatal(err)
	}
}

// edit changes the pool's spec as it is now.
func (c *cluster) edit(t *testing.T, name string, change func(*v1beta1.IPAddressPool)) error {
	t.Helper()
	var p v1beta1.IPAddressPool
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: lab, Name: name}, &p); err != nil {
		t.Fatal(err)
	}
	before := p.DeepCopy()
	change(&p)
	return c.Patch(t.Context(), &p, client.MergeFrom(before))
}

// wantRefused fails unless err is a refusal with all texts.
func wantRefused(t *testing.T, err error, texts ...string) {
	t.Helper()
	if !apierrors.IsForbidden(err) {
		t.Fatalf("not refused: %v", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("the refusal does not say %q: %v", text, err)
		}
	}
}

func wantAdmitted(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("refused: %v", err)
	}
}

// Given twelve Services with addresses of a pool, when the pool is edited or deleted, then what would take their addresses away is refused with
// the Services and the way to do it all the same, and everything else is admitted.
func TestLiveAddresses(t *testing.T) {
	c := newCluster(t, apiserver.Options{})
	c.serve(t)
	c.create(t, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "web", Labels: map[string]string{"team": "web"}}}, pool("public", "192.0.2.0/24", "2001:db8::/120"))
	for i := range 12 {
		c.service(t, "web", fmt.Sprintf("s%02d", i), "public", fmt.Sprintf("192.0.2.%d", i+1))
	}
	c.service(t, "default", "both", "public", "192.0.2.100", "2001:db8::1")
	c.service(t, "default", "stranger", "other", "198.51.100.1")
	addresses := func(list ...string) func(*v1beta1.IPAddressPool) {
		return func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = list }
	}
	serving := func(a *v1beta1.ServiceAllocation) func(*v1beta1.IPAddressPool) {
		return func(p *v1beta1.IPAddressPool) { p.Spec.ServiceAllocation = a }
	}
	all, both := []string{"192.0.2.0/24", "2001:db8::/120"}, "default/both (192.0.2.100, 2001:db8::1)"

	for name, change := range map[string]func(*v1beta1.IPAddressPool){
		"more addresses":       addresses(append(slices.Clone(all), "203.0.113.0/24")...),
		"in other words":       addresses("2001:db8::/120", "192.0.2.0-192.0.2.99", "192.0.2.100/30", "192.0.2.104-192.0.2.255"),
		"fewer, of the free":   addresses("192.0.2.0/25", "2001:db8::/126"),
		"drained":              func(p *v1beta1.IPAddressPool) { p.Spec.Disabled = true },
		"without buggy ones":   func(p *v1beta1.IPAddressPool) { p.Spec.AvoidBuggyIPs = true },
		"not by itself":        func(p *v1beta1.IPAddressPool) { p.Spec.AutoAssign = new(false) },
		"for all, explicitly":  serving(&v1beta1.ServiceAllocation{Priority: 7}),
		"for those who use it": serving(&v1beta1.ServiceAllocation{Namespaces: []string{"default"}, NamespaceSelectors: labeled("team", "web")}),
	} {
		t.Run("admitted/"+name, func(t *testing.T) {
			wantAdmitted(t, c.edit(t, "public", change))
			wantAdmitted(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec = pool("", all...).Spec }))
		})
	}
	for name, row := range map[string]struct {
		change func(*v1beta1.IPAddressPool)
		texts  []string
	}{
		"no IPv6 any more":   {addresses("192.0.2.0/24"), []string{"1 Service has an address that no pool would give it any more: default/both (2001:db8::1)."}},
		"most IPv4 gone":     {addresses("192.0.2.96/27", "2001:db8::/120"), []string{"12 Services have addresses", "web/s00 (192.0.2.1)", "web/s09 (192.0.2.10), and 2 more"}},
		"for others":         {serving(&v1beta1.ServiceAllocation{Namespaces: []string{"web"}}), []string{"1 Service", both}},
		"for others, label":  {serving(&v1beta1.ServiceAllocation{NamespaceSelectors: labeled("team", "web")}), []string{"1 Service", both}},
		"for other Services": {serving(&v1beta1.ServiceAllocation{ServiceSelectors: labeled("app", "dns")}), []string{"13 Services"}},
	} {
		t.Run("refused/"+name, func(t *testing.T) {
			wantRefused(t, c.edit(t, "public", row.change), append(row.texts, "IPAddressPool metallb-system/public can't be changed like this", "kubectl annotate --overwrite -n metallb-system ipaddresspools.metallb.io public metallb.io/allow-disruption=")...)
		})
	}
	t.Run("refused/deleted", func(t *testing.T) {
		wantRefused(t, c.Delete(t.Context(), pool("public")), "can't be deleted", "13 Services", "default/both (192.0.2.100, 2001:db8::1), web/s00 (192.0.2.1)")
	})
	t.Run("refused/deleted with others", func(t *testing.T) {
		wantRefused(t, c.DeleteAllOf(t.Context(), &v1beta1.IPAddressPool{}, client.InNamespace(lab)), "can't be deleted")
	})
	t.Run("leave", func(t *testing.T) { leave(t, c) })
}

// leave is what the annotation permits: one edit, or the deletion, and not the edits after it.
func leave(t *testing.T, c *cluster) {
	t.Helper()
	var p v1beta1.IPAddressPool
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: lab, Name: "public"}, &p); err != nil {
		t.Fatal(err)
	}
	annotate := func(generation int64) func(*v1beta1.IPAddressPool) {
		return func(p *v1beta1.IPAddressPool) { annotated(p, fmt.Sprint(generation)) }
	}
	shrink := func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/29"} }
	wantAdmitted(t, c.edit(t, "public", annotate(p.Generation-1)))
	wantRefused(t, c.edit(t, "public", shrink), "6 Services", fmt.Sprintf("allow-disruption=%d", p.Generation))
	wantAdmitted(t, c.edit(t, "public", annotate(p.Generation)))
	c.warnings.take()
	wantAdmitted(t, c.edit(t, "public", shrink))
	if said := strings.Join(c.warnings.take(), "\n"); !strings.Contains(said, "as metallb.io/allow-disruption allows: 6 Services") {
		t.Errorf("warnings: %s", said)
	}
	wantRefused(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/30"} }), "4 Services", fmt.Sprintf("allow-disruption=%d", p.Generation+1))
	wantRefused(t, c.Delete(t.Context(), &p), "7 Services")
	// In one step with the edit.
	wantAdmitted(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) {
		p.Spec.Addresses = []string{"192.0.2.0/30"}
		annotated(p, fmt.Sprint(p.Generation))
	}))
	wantAdmitted(t, c.edit(t, "public", annotate(p.Generation+2)))
	wantAdmitted(t, c.Delete(t.Context(), &p))
}
