package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// reserve creates an IPReservation for the Services of the test's namespace; edit may change it before.
func (w *world) reserve(tb testing.TB, name string, edit func(*v1beta1.IPReservationSpec)) {
	tb.Helper()
	r := &v1beta1.IPReservation{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.name}, Spec: v1beta1.IPReservationSpec{Namespace: w.name}}
	edit(&r.Spec)
	if err := w.Create(tb.Context(), r); err != nil {
		tb.Fatal(err)
	}
}

// expectReservation waits until the status of an IPReservation has the addresses and Services, and its condition begins with text.
func (w *world) expectReservation(tb testing.TB, name string, addresses, services []string, text string) *v1beta1.IPReservation {
	tb.Helper()
	r := &v1beta1.IPReservation{}
	eventually(tb, fmt.Sprintf("IPReservation %s keeps %v for %v: %s", name, addresses, services, text), func() (bool, string) {
		if err := w.Get(tb.Context(), client.ObjectKey{Namespace: w.name, Name: name}, r); err != nil {
			tb.Fatal(err)
		}
		said := ""
		if c := meta.FindStatusCondition(r.Status.Conditions, v1beta1.ConditionReserved); c != nil {
			said = fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
		return slices.Equal(r.Status.Addresses, addresses) && slices.Equal(r.Status.Services, services) && strings.HasPrefix(said, text),
			fmt.Sprintf("%+v", r.Status)
	})
	return r
}

func (w *world) delete(tb testing.TB, o client.Object) {
	tb.Helper()
	if err := w.Delete(tb.Context(), o); err != nil {
		tb.Fatal(err)
	}
}

func TestA22GivenAReservationByNameWhenTheServiceIsDeletedThenItsAddressWaitsForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/30"})
	w.reserve(t, "web", func(s *v1beta1.IPReservationSpec) { s.ServiceName, s.Addresses = "web", []string{"192.0.2.2"} })
	p := w.controller(t)
	w.expectReservation(t, "web", []string{"192.0.2.2"}, nil, "True Reserved")
	w.create(t, "a")
	w.create(t, "thief", annotated("metallb.io/loadBalancerIPs", "192.0.2.2"))
	w.expect(t, "a", "192.0.2.0")
	w.expectCondition(t, "thief", "False AddressReserved")
	web := w.create(t, "web")
	w.expect(t, "web", "192.0.2.2")
	w.expectReservation(t, "web", []string{"192.0.2.2"}, []string{"web"}, "True Reserved")
	w.delete(t, web)
	if r := w.expectReservation(t, "web", []string{"192.0.2.2"}, nil, "True Reserved"); r.Status.UnusedSince == nil {
		t.Error("status.unusedSince is not set")
	}
	p.stop(t)
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.2")
	eventually(t, "the pool counts only what is in use", func() (bool, string) {
		s := w.poolStatus(t, "p")
		return s.AssignedIPv4 == 2 && s.AssignedServices == 2, fmt.Sprint(s)
	})
	w.delete(t, &v1beta1.IPReservation{ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: w.name}})
	w.delete(t, w.get(t, "web"))
	w.expect(t, "thief", "192.0.2.2")
}

func TestGivenAReservationOfAnyAddressWhenTheControllerIsKilledThenItIsTheSameAddressAfterwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/29", "2001:db8::/120"})
	p := w.controller(t, "--pod-name=c")
	w.create(t, "first")
	w.expect(t, "first", "192.0.2.0")
	w.reserve(t, "gold", func(s *v1beta1.IPReservationSpec) {
		s.Pool = "p"
		s.ServiceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"tier": "gold"}}
	})
	w.expectReservation(t, "gold", []string{"192.0.2.1", "2001:db8::"}, nil, "True Reserved")
	p.kill(t)
	w.reserve(t, "a-later", func(s *v1beta1.IPReservationSpec) {
		s.Pool, s.IPFamilies, s.ServiceName = "p", []v1beta1.IPFamily{v1beta1.IPFamilyIPv4}, "x"
	})
	w.reserve(t, "too-late", func(s *v1beta1.IPReservationSpec) { s.Addresses, s.ServiceName = []string{"192.0.2.1"}, "y" })
	w.controller(t, "--pod-name=c")
	w.expectReservation(t, "a-later", []string{"192.0.2.2"}, nil, "True Reserved")
	w.expectReservation(t, "too-late", nil, nil, "False AddressInUse: in use: 192.0.2.1 by IPReservation gold")
	w.create(t, "plain")
	w.expect(t, "plain", "192.0.2.3")
	w.create(t, "golden", func(svc *corev1.Service) { svc.Labels = map[string]string{"tier": "gold"} })
	w.expect(t, "golden", "192.0.2.1")
	w.expectReservation(t, "gold", []string{"192.0.2.1", "2001:db8::"}, []string{"golden"}, "True Reserved")
}

func TestGivenARetentionWhenItHasPassedThenTheAddressIsForEverybodyAndTheStatusSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/31"})
	w.controller(t)
	w.reserve(t, "r", func(s *v1beta1.IPReservationSpec) { s.ServiceName, s.Pool, s.RetainAfterDelete = "web", "p", "2s" })
	w.expectReservation(t, "r", []string{"192.0.2.0"}, nil, "True Reserved")
	web := w.create(t, "web")
	w.expect(t, "web", "192.0.2.0")
	w.expectReservation(t, "r", []string{"192.0.2.0"}, []string{"web"}, "True Reserved")
	w.create(t, "a")
	w.expect(t, "a", "192.0.2.1")
	w.create(t, "waits")
	w.expectCondition(t, "waits", "False PoolExhausted")
	w.delete(t, web)
	w.expect(t, "waits", "192.0.2.0")
	w.expectReservation(t, "r", nil, nil, "False Expired: no Service has had any of the addresses for 2s")
}

func TestGivenAnAddressOfAStrangerWhenItIsReservedThenHeKeepsItAndItIsKeptOnceItIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	stranger := w.create(t, "stranger")
	w.expect(t, "stranger", "192.0.2.0")
	w.reserve(t, "r", func(s *v1beta1.IPReservationSpec) { s.ServiceName, s.Addresses = "later", []string{"192.0.2.0"} })
	w.expectReservation(t, "r", nil, nil, "False AddressInUse: in use: 192.0.2.0 by "+w.name+"/stranger")
	w.expect(t, "stranger", "192.0.2.0")
	w.delete(t, stranger)
	w.expectReservation(t, "r", []string{"192.0.2.0"}, nil, "True Reserved")
	w.create(t, "other")
	w.expect(t, "other", "192.0.2.1")
}

func TestGivenAStatusOfAReservationWhenOthersWriteConditionsThenNeitherUndoesTheOther(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.reserve(t, "r", func(s *v1beta1.IPReservationSpec) { s.Addresses = []string{"192.0.2.1", "198.51.100.1"} })
	eventually(t, "the IPReservation has the conditions of both writers", func() (bool, string) {
		r := w.expectReservation(t, "r", []string{"192.0.2.1", "198.51.100.1"}, nil, "True Reserved: 198.51.100.1 is kept, but is in no pool")
		accepted, resolved := meta.FindStatusCondition(r.Status.Conditions, v1beta1.ConditionAccepted), meta.FindStatusCondition(r.Status.Conditions, v1beta1.ConditionResolvedRefs)
		return accepted != nil && accepted.Status == "True" && resolved != nil && resolved.Status == "False", fmt.Sprint(r.Status.Conditions)
	})
	r := w.expectReservation(t, "r", []string{"192.0.2.1", "198.51.100.1"}, nil, "True")
	r.Status.Addresses = []string{"203.0.113.1"}
	if err := w.Status().Update(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	w.expectReservation(t, "r", []string{"192.0.2.1", "198.51.100.1"}, nil, "True Reserved")
}

func TestGivenAQuotaWhenItIsReachedThenTheServiceSaysSoAndTheQuotaNamesTheNamespaceUntilOneIsFree(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/29"})
	limit := int32(2)
	quota := &v1beta1.AddressQuota{ObjectMeta: metav1.ObjectMeta{Name: "two", Namespace: w.name},
		Spec: v1beta1.AddressQuotaSpec{Namespaces: []string{w.name}, IPv4: &limit}}
	if err := w.Create(t.Context(), quota); err != nil {
		t.Fatal(err)
	}
	w.controller(t)
	one := w.create(t, "one")
	w.expect(t, "one", "192.0.2.0")
	w.create(t, "two")
	w.expect(t, "two", "192.0.2.1")
	w.create(t, "three")
	w.expectCondition(t, "three", "False QuotaExceeded")
	atLimit := func(want ...string) {
		eventually(t, fmt.Sprint("the quota is reached by ", want), func() (bool, string) {
			if err := w.Get(t.Context(), client.ObjectKeyFromObject(quota), quota); err != nil {
				t.Fatal(err)
			}
			return slices.Equal(quota.Status.AtLimit, want), fmt.Sprint(quota.Status.AtLimit)
		})
	}
	atLimit(w.name)
	w.delete(t, one)
	w.expect(t, "three", "192.0.2.0")
	w.delete(t, w.get(t, "three"))
	atLimit()
}
