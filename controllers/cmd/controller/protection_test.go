package main

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// editPool changes a pool.
func (w *world) editPool(tb testing.TB, p *v1beta1.IPAddressPool, change func(*v1beta1.IPAddressPool)) {
	tb.Helper()
	before := p.DeepCopy()
	change(p)
	if err := w.Patch(tb.Context(), p, client.MergeFrom(before)); err != nil {
		tb.Fatal(err)
	}
}

// allow lets the next edit of a pool take live addresses away.
func allow(p *v1beta1.IPAddressPool) {
	if p.Annotations == nil {
		p.Annotations = map[string]string{}
	}
	p.Annotations[v1beta1.AnnotationAllowDisruption] = fmt.Sprint(p.Generation)
}

func TestA18GivenAPoolEditThatItsUserAllowsToDisruptWhenAnAddressIsOutsideThenAnotherIsGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.0")
	w.editPool(t, p, func(p *v1beta1.IPAddressPool) {
		allow(p)
		p.Spec.Addresses = []string{"198.51.100.0/30"}
	})
	w.expect(t, "web", "198.51.100.0")
	eventually(t, "the loss is explained", func() (bool, string) {
		got := w.events(t, "web")
		return strings.Contains(got, "ClearAssignment") && strings.Contains(got, "its user allowed"), got
	})
	// The leave was for one edit.
	w.editPool(t, p, func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"203.0.113.0/30"} })
	w.editPool(t, p, func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"203.0.113.0/29"} })
	w.expectCondition(t, "web", "True PoolMismatch: 198.51.100.0 is kept")
	// Afterwards it may still be given, for what the pool says now.
	w.editPool(t, p, allow)
	w.expect(t, "web", "203.0.113.0")
}

func TestA19GivenTheLastPoolWhenItIsDeletedThenAddressesStayUnlessItsUserAllowedTheirLoss(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.0")
	w.delete(t, p)
	w.expectCondition(t, "web", "True PoolMismatch: 192.0.2.0 is kept")
	w.expect(t, "web", "192.0.2.0")
	p = w.pool(t, "p", []string{"192.0.2.0/30"})
	w.expectCondition(t, "web", "True Allocated")
	// Permission and deletion follow one another at once.
	w.editPool(t, p, allow)
	w.delete(t, p)
	w.expect(t, "web")
	w.expectCondition(t, "web", "False NoPool")
}

func TestA1GivenSeveralClassesAndNoneWhenServicesAreCreatedThenOnlyThoseAreServedAndOthersNeverTouched(t *testing.T) {
	// Not in parallel: Services without a class are everybody's.
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/28"})
	w.controller(t, "--lb-class="+w.class()+","+w.class()+"-2", "--lb-class-also-unclassed")
	of := func(class string) func(*corev1.Service) {
		return func(svc *corev1.Service) {
			svc.Spec.LoadBalancerClass = nil
			if class != "" {
				svc.Spec.LoadBalancerClass = &class
			}
		}
	}
	other := w.create(t, "other", of(w.class()+"-3"))
	other.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.1"}}
	if err := w.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	for i, class := range []string{w.class(), w.class() + "-2", ""} {
		name := fmt.Sprint("s", i)
		w.create(t, name, of(class))
		svc := w.expect(t, name, fmt.Sprint("192.0.2.", i))
		t.Cleanup(func() { _ = w.Delete(t.Context(), svc) })
	}
	w.delete(t, w.get(t, "s2"))
	if got := w.get(t, "other"); got.ResourceVersion != other.ResourceVersion {
		t.Errorf("the Service of another class was written: %v", got)
	}
}

func TestA15GivenSharersOfSeveralNamespacesWhenOneLimitsWithWhomThenOnlyThatNamespaceJoins(t *testing.T) {
	t.Parallel()
	w, friend, foe := newWorld(t), newWorld(t), newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/28"})
	w.controller(t)
	key := annotated(v1beta1.AnnotationAllowSharedIP, "k")
	create := func(in *world, name string, port int32, with string) {
		svc := w.service(name, key, annotated(v1beta1.AnnotationShareWith, with))
		svc.Namespace, svc.Spec.Ports[0].Port = in.name, port
		if err := w.Create(t.Context(), svc); err != nil {
			t.Fatal(err)
		}
	}
	create(w, "holder", 80, friend.name)
	w.expect(t, "holder", "192.0.2.0")
	create(friend, "joins", 81, w.name)
	friend.expect(t, "joins", "192.0.2.0")
	create(foe, "may-not", 82, "*")
	foe.expect(t, "may-not", "192.0.2.1")
	create(friend, "does-not-want-to", 83, friend.name)
	friend.expect(t, "does-not-want-to", "192.0.2.2")
}

func TestGivenACountWhenItIsRaisedAndLoweredThenAddressesAreAddedAndGivenUpAndTheFirstStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.create(t, "web", annotated(v1beta1.AnnotationDeckhouseExternalIPsCount, "2"))
	w.expect(t, "web", "192.0.2.0", "192.0.2.1")
	w.create(t, "other")
	w.expect(t, "other", "192.0.2.2")
	w.edit(t, "web", annotated(v1beta1.AnnotationExternalIPsCount, "4"))
	w.expect(t, "web", "192.0.2.0", "192.0.2.1", "192.0.2.3")
	w.expectCondition(t, "web", "True AddressesMissing: 3 of 4 IPv4 addresses")
	w.edit(t, "web", annotated(v1beta1.AnnotationExternalIPsCount, "1"))
	w.expect(t, "web", "192.0.2.0")
	w.expectCondition(t, "web", "True Allocated")
}

func TestGivenADrainedPoolWhenServicesAskForAddressesThenTheyGetNoneOfItAndThoseThatHaveSomeKeepThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.0")
	w.create(t, "waits", annotated(v1beta1.AnnotationLoadBalancerIPs, "192.0.2.9"))
	w.expectCondition(t, "waits", "False ")
	// One that waits shows when the controller knows of the edit: a Service that it hears of before gets an address.
	w.editPool(t, p, func(p *v1beta1.IPAddressPool) { p.Spec.Disabled, p.Spec.Addresses = true, []string{"192.0.2.0/28"} })
	w.expectCondition(t, "waits", "False PoolDisabled")
	w.create(t, "auto")
	w.expectCondition(t, "auto", "False ")
	w.create(t, "asks", annotated(v1beta1.AnnotationLoadBalancerIPs, "192.0.2.1"))
	w.expectCondition(t, "asks", "False PoolDisabled")
	w.editPool(t, p, func(p *v1beta1.IPAddressPool) { p.Spec.Disabled = false })
	w.expect(t, "auto", "192.0.2.2")
	w.expect(t, "asks", "192.0.2.1")
	w.expect(t, "web", "192.0.2.0")
}
