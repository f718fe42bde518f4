package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

const fromPool = "metallb.io/ip-allocated-from-pool"

func TestA23GivenAPoolWhenAServiceIsCreatedThenItGetsTheLowestAddressAndAnAccountOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "first", []string{"192.0.2.8-192.0.2.11"})
	p := w.controller(t)
	w.create(t, "web")
	svc := w.expect(t, "web", "192.0.2.8")
	if got := svc.Annotations[fromPool]; got != "first" {
		t.Errorf("%s is %q: wanted first", fromPool, got)
	}
	if mode := svc.Status.LoadBalancer.Ingress[0].IPMode; mode == nil || *mode != corev1.LoadBalancerIPModeVIP {
		t.Errorf("ipMode is %v: wanted the API server's default", mode)
	}
	if got := allocatedCondition(svc); !strings.HasPrefix(got, "True Allocated") {
		t.Errorf("condition is %q", got)
	}
	eventually(t, "the event that users look for", func() (bool, string) {
		got := w.events(t, "web")
		return strings.Contains(got, `Normal IPAllocated Assigned IP ["192.0.2.8"]`), got
	})
	line := allocatedLine(t, p)
	for key, want := range map[string]any{"level": "info", "event": "ipAllocated", "ip": []any{"192.0.2.8"}, "msg": "IP address assigned by controller", "service": w.name + "/web"} {
		if !reflect.DeepEqual(line[key], want) {
			t.Errorf("%q of the line in the log is %v, want %v", key, line[key], want)
		}
	}
	if caller, _ := line["caller"].(string); len(line) != 7 || !strings.Contains(caller, ".go:") || line["ts"] == nil {
		t.Errorf("the line in the log is %v: want ts, caller, level, msg, event, ip and service", line)
	}
	if ports := svc.Status.LoadBalancer.Ingress[0].Ports; ports != nil {
		t.Errorf("status.loadBalancer.ingress[0].ports is %v: wanted none", ports)
	}
	eventually(t, "the pool counts the address", func() (bool, string) {
		s := w.poolStatus(t, "first")
		return s.AssignedIPv4 == 1 && s.AvailableIPv4 == 3 && s.AssignedIPv6 == 0 && s.AvailableIPv6 == 0 && s.AssignedServices == 1, fmt.Sprint(s)
	})
}

// allocatedLine returns the line of the log that says that an address is assigned.
func allocatedLine(tb testing.TB, p *process) map[string]any {
	tb.Helper()
	var line map[string]any
	eventually(tb, "an ipAllocated line in the log", func() (bool, string) {
		for text := range strings.Lines(p.text()) {
			if strings.Contains(text, `"event":"ipAllocated","ip":[`) {
				return true, fmt.Sprint(json.Unmarshal([]byte(text), &line))
			}
		}
		return false, p.text()
	})
	return line
}

func (w *world) poolStatus(tb testing.TB, name string) v1beta1.IPAddressPoolStatus {
	tb.Helper()
	p := &v1beta1.IPAddressPool{}
	if err := w.Get(tb.Context(), client.ObjectKey{Namespace: w.name, Name: name}, p); err != nil {
		tb.Fatal(err)
	}
	return p.Status
}

// events returns the events on a Service, one on a line.
func (w *world) events(tb testing.TB, service string) string {
	tb.Helper()
	c, err := kubernetes.NewForConfig(cluster.server.Config())
	if err != nil {
		tb.Fatal(err)
	}
	var list *eventsv1.EventList
	if list, err = c.EventsV1().Events(w.name).List(tb.Context(), metav1.ListOptions{}); err != nil {
		tb.Fatal(err)
	}
	var text strings.Builder
	for _, e := range list.Items {
		if e.Regarding.Name == service {
			fmt.Fprintf(&text, "%s %s %s\n", e.Type, e.Reason, e.Note)
		}
	}
	return text.String()
}

func TestA22GivenAnExhaustedPoolWhenAnAddressFreesThenTheServiceThatWaitsGetsItAndUntilThenSaysWhyNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "small", []string{"192.0.2.1/32"})
	w.controller(t)
	w.create(t, "one")
	w.expect(t, "one", "192.0.2.1")
	two := w.create(t, "two")
	w.expectCondition(t, "two", "pool small: 1 of 1 IPv4 addresses in use")
	if err := w.Delete(t.Context(), w.get(t, "one")); err != nil {
		t.Fatal(err)
	}
	w.expect(t, two.Name, "192.0.2.1")
	w.expectCondition(t, "two", "True Allocated")
	eventually(t, "the failure was an event", func() (bool, string) {
		got := w.events(t, "two")
		return strings.Contains(got, "Warning AllocationFailed Failed to allocate IP for"), got
	})
}

func dualStack(policy corev1.IPFamilyPolicy) func(*corev1.Service) {
	return func(svc *corev1.Service) { svc.Spec.IPFamilyPolicy = &policy }
}

func TestA12GivenAPoolOfBothFamiliesWhenADualStackServiceIsCreatedThenItGetsBoth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "both", []string{"192.0.2.0/29", "2001:db8::10-2001:db8::1f"})
	w.controller(t)
	w.create(t, "require", dualStack(corev1.IPFamilyPolicyRequireDualStack))
	w.expect(t, "require", "192.0.2.0", "2001:db8::10")
}

func TestA12GivenASingleStackServiceWithAnAddressWhenItBecomesDualStackThenItKeepsTheFirstAndGetsASecondOfTheSamePool(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "a", []string{"198.51.100.0/30", "2001:db8:a::/124"})
	w.pool(t, "b", []string{"2001:db8:b::/124"})
	w.controller(t)
	w.create(t, "web", dualStack(corev1.IPFamilyPolicySingleStack))
	w.expect(t, "web", "198.51.100.0")
	w.edit(t, "web", func(svc *corev1.Service) {
		dualStack(corev1.IPFamilyPolicyPreferDualStack)(svc)
		svc.Spec.IPFamilies = append(svc.Spec.IPFamilies, corev1.IPv6Protocol)
	})
	w.expect(t, "web", "198.51.100.0", "2001:db8:a::")
}

func TestA14GivenServicesOfOneSharingKeyWhenTheirPortsDifferThenTheyShareOneAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.16/28"})
	w.controller(t)
	port := func(number int32) func(*corev1.Service) {
		return func(svc *corev1.Service) { svc.Spec.Ports[0].Port = number }
	}
	key := annotated("metallb.io/allow-shared-ip", "k")
	w.create(t, "http", key, port(80))
	w.expect(t, "http", "192.0.2.16")
	w.create(t, "https", key, port(443))
	w.create(t, "alone", port(443))
	w.create(t, "http-too", key, port(80))
	w.expect(t, "https", "192.0.2.16")
	for _, name := range []string{"alone", "http-too"} {
		eventually(t, name+" has an address of its own", func() (bool, string) {
			got := fmt.Sprint(addresses(w.get(t, name)))
			return got == "[192.0.2.17]" || got == "[192.0.2.18]", got
		})
	}
}

func TestA3GivenARequestedAddressWhenTheServiceIsCreatedThenItGetsThatOneEvenFromAPoolThatGivesNoOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "manual", []string{"192.0.2.0/24"}, func(p *v1beta1.IPAddressPool) { p.Spec.AutoAssign = new(false) })
	w.controller(t)
	w.create(t, "new-prefix", annotated("metallb.io/loadBalancerIPs", "192.0.2.77"))
	w.create(t, "old-prefix", annotated("metallb.universe.tf/loadBalancerIPs", "192.0.2.78"))
	w.create(t, "field", func(svc *corev1.Service) { svc.Spec.LoadBalancerIP = "192.0.2.79" })
	w.create(t, "both", annotated("metallb.io/loadBalancerIPs", "192.0.2.80"), func(svc *corev1.Service) { svc.Spec.LoadBalancerIP = "192.0.2.80" })
	w.create(t, "none")
	w.expect(t, "new-prefix", "192.0.2.77")
	w.expect(t, "old-prefix", "192.0.2.78")
	w.expect(t, "field", "192.0.2.79")
	w.expectCondition(t, "both", "False InvalidRequest: service can not have both metallb.io/loadBalancerIPs and svc.Spec.LoadBalancerIP")
	w.expectCondition(t, "none", "1 pool has autoAssign false and must be asked for")
	w.edit(t, "new-prefix", annotated("metallb.io/loadBalancerIPs", "192.0.2.90"))
	w.expect(t, "new-prefix", "192.0.2.90")
	eventually(t, "the change is explained", func() (bool, string) {
		got := w.events(t, "new-prefix")
		return strings.Contains(got, "ClearAssignment") && strings.Contains(got, `["192.0.2.90"] is requested`), got
	})
}

func TestA18GivenLiveAddressesWhenPoolsAreEditedOrDeletedThenNothingIsTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	p := w.pool(t, "p", []string{"192.0.2.0/30"})
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.0")
	before := p.DeepCopy()
	p.Spec.Addresses = []string{"198.51.100.0/30"}
	if err := w.Patch(t.Context(), p, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	w.expectCondition(t, "web", "True PoolMismatch: 192.0.2.0 is kept, but is in no pool any more; it was given from pool p")
	w.create(t, "next")
	w.expect(t, "next", "198.51.100.0")
	if err := w.Delete(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	w.expectCondition(t, "next", "True PoolMismatch")
	w.expect(t, "web", "192.0.2.0")
	w.expect(t, "next", "198.51.100.0")
	w.pool(t, "back", []string{"192.0.2.0/30", "198.51.100.0/30"})
	for name, address := range map[string]string{"web": "192.0.2.0", "next": "198.51.100.0"} {
		w.expectCondition(t, name, "True Allocated")
		if svc := w.expect(t, name, address); svc.Annotations[fromPool] != "back" {
			t.Errorf("Service %s: %s is %q: wanted back", name, fromPool, svc.Annotations[fromPool])
		}
	}
}

func TestA21GivenServicesWithAddressesWhenTheControllerRestartsThenItWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.pool(t, "p", []string{"10.1.0.0/24"})
	w.pool(t, "q", []string{"2001:db8::/64"}, func(p *v1beta1.IPAddressPool) { p.Spec.AutoAssign = new(false) })
	p := w.controller(t)
	const count = 300
	for i := range count {
		w.create(t, fmt.Sprintf("s%03d", i))
	}
	for i := range count {
		if i < 256 {
			continue
		}
		w.expectCondition(t, fmt.Sprintf("s%03d", i), "256 of 256")
	}
	eventually(t, "the pool counts all", func() (bool, string) {
		s := w.poolStatus(t, "p")
		return s.AssignedIPv4 == 256 && s.AvailableIPv4 == 0 && w.poolStatus(t, "q").AvailableIPv6 == 1<<63-1, fmt.Sprint(s)
	})
	eventually(t, "all events are written", func() (bool, string) {
		got := strings.Count(p.text(), "ipAllocated")
		return got == 256 && strings.Contains(w.events(t, "s299"), "AllocationFailed"), fmt.Sprint(got)
	})
	for i := range count {
		w.expectAnnounced(t, fmt.Sprintf("s%03d", i))
	}
	p.kill(t)
	before := writes(t, "services", "events", "ipaddresspools")
	w.controller(t)
	// The Lease of a controller that was killed runs out first.
	w.create(t, "asks", annotated("metallb.io/loadBalancerIPs", "2001:db8::7"), func(svc *corev1.Service) { svc.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol} })
	w.expect(t, "asks", "2001:db8::7")
	eventually(t, "the event of the new Service is written", func() (bool, string) {
		got := w.events(t, "asks")
		return strings.Contains(got, "IPAllocated"), got
	})
	eventually(t, "the new address is counted", func() (bool, string) {
		s := w.poolStatus(t, "q")
		return s.AssignedIPv6 == 1, fmt.Sprint(s)
	})
	w.expectAnnounced(t, "asks")
	// The new Service's creation, its status, its condition that nobody announces it, and its event; the status of its pool; and the event that there
	// is a new leader.
	if got := writes(t, "services", "events", "ipaddresspools") - before; got != 6 {
		t.Errorf("%d writes: wanted 6, none of them for the Services that were there", got)
	}
}

func TestA24GivenTwoControllersWhenTheLeaderStopsThenTheOtherContinuesWithoutGivingAnAddressTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"10.2.0.0/24"})
	first := w.controller(t)
	w.create(t, "s0")
	w.expect(t, "s0", "10.2.0.0")
	w.controller(t)
	for i := 1; i <= 60; i++ {
		w.create(t, fmt.Sprint("s", i))
		if i == 30 {
			first.stop(t)
		}
	}
	seen := map[string]string{}
	for i := range 61 {
		name := fmt.Sprint("s", i)
		eventually(t, name+" has an address", func() (bool, string) {
			got := addresses(w.get(t, name))
			return len(got) == 1, fmt.Sprint(got)
		})
		addr := addresses(w.get(t, name))[0]
		if other, taken := seen[addr]; taken {
			t.Errorf("%s and %s both have %s", name, other, addr)
		}
		seen[addr] = name
	}
}

func TestA24GivenAPodWhenItsControllerCrashesThenTheNextOneInThePodLeadsWithoutWaitingForTheLease(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/24"})
	first := w.controller(t, "--pod-name=controller-0")
	w.create(t, "one")
	w.expect(t, "one", "192.0.2.0")
	first.kill(t)
	w.controller(t, "--pod-name=controller-0")
	w.create(t, "two")
	w.expect(t, "two", "192.0.2.1")
	lease := &coordinationv1.Lease{}
	if err := w.Get(t.Context(), client.ObjectKey{Namespace: w.name, Name: leaseName}, lease); err != nil {
		t.Fatal(err)
	}
	if n := lease.Spec.LeaseTransitions; *lease.Spec.HolderIdentity != "controller-0" || n != nil && *n != 0 {
		t.Errorf("the Lease is held by %s after %v transitions: wanted controller-0 after none", *lease.Spec.HolderIdentity, n)
	}
}

func TestA17GivenAServiceWhenItStopsBeingALoadBalancerThenItsAddressIsFreeAndTheAnnotationGone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.1/32"})
	w.controller(t)
	w.create(t, "web")
	w.expect(t, "web", "192.0.2.1")
	w.edit(t, "web", func(svc *corev1.Service) {
		svc.Spec.Type = corev1.ServiceTypeClusterIP
		svc.Spec.LoadBalancerClass, svc.Spec.AllocateLoadBalancerNodePorts = nil, nil
	})
	w.create(t, "next")
	w.expect(t, "next", "192.0.2.1")
	eventually(t, "nothing is left on the Service", func() (bool, string) {
		svc := w.get(t, "web")
		_, annotated := svc.Annotations[fromPool]
		return !annotated && len(addresses(svc)) == 0 && allocatedCondition(svc) == "", fmt.Sprint(svc.Annotations, svc.Status)
	})
	w.edit(t, "web", func(svc *corev1.Service) { w.service("web").Spec.DeepCopyInto(&svc.Spec) })
	w.expectCondition(t, "web", "1 of 1")
	w.delete(t, w.get(t, "next"))
	w.expect(t, "web", "192.0.2.1")
}

func TestA21GivenServicesThatWaitWhenTheControllerStartsThenThoseThatAskForAnAddressComeBeforeOlderOnesThatDoNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/31"})
	w.create(t, "older")
	w.create(t, "asks", annotated("metallb.io/loadBalancerIPs", "192.0.2.0"))
	w.controller(t)
	w.expect(t, "asks", "192.0.2.0")
	w.expect(t, "older", "192.0.2.1")
}

func TestGivenAnAddressWhenSomebodyElseOverwritesTheStatusThenItIsRestored(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.1/32"})
	w.controller(t)
	w.create(t, "web")
	svc := w.expect(t, "web", "192.0.2.1")
	svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
	if err := w.Status().Update(t.Context(), svc); err != nil {
		t.Fatal(err)
	}
	w.create(t, "thief")
	w.expectCondition(t, "thief", "1 of 1")
	w.expect(t, "web", "192.0.2.1")
}

func TestA1GivenServicesOfNoOrAnotherClassWhenTheyHaveForeignAddressesThenTheyAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pool(t, "p", []string{"192.0.2.0/24"})
	w.controller(t)
	foreign := w.create(t, "foreign", func(svc *corev1.Service) { svc.Spec.LoadBalancerClass = nil })
	foreign.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "203.0.113.9"}}
	if err := w.Status().Update(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	w.create(t, "ours")
	w.expect(t, "ours", "192.0.2.0")
	if got := w.get(t, "foreign"); got.ResourceVersion != foreign.ResourceVersion {
		t.Errorf("the foreign Service was written: %v", got)
	}
}

func TestA5GivenPinnedPoolsWhenNamespacesAndServicesMatchThenTheyAreTriedByPriorityBeforeTheOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pinned := func(priority int, label string) func(*v1beta1.IPAddressPool) {
		return func(p *v1beta1.IPAddressPool) {
			p.Spec.ServiceAllocation = &v1beta1.ServiceAllocation{Priority: priority,
				NamespaceSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"team": "red"}}},
				ServiceSelectors:   []metav1.LabelSelector{{MatchLabels: map[string]string{"tier": label}}}}
		}
	}
	w.pool(t, "a-open", []string{"192.0.2.0/30"})
	w.pool(t, "b-last", []string{"198.51.100.0/32"}, pinned(0, "gold"))
	w.pool(t, "c-first", []string{"203.0.113.0/32"}, pinned(10, "gold"))
	w.controller(t)
	gold := func(svc *corev1.Service) { svc.Labels = map[string]string{"tier": "gold"} }
	w.create(t, "before", gold)
	w.expect(t, "before", "192.0.2.0")
	ns := &corev1.Namespace{}
	if err := w.Get(t.Context(), client.ObjectKey{Name: w.name}, ns); err != nil {
		t.Fatal(err)
	}
	ns.Labels["team"] = "red"
	if err := w.Update(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	// The controller learns of the label in its own time; a Service that may only use a pinned pool tells when.
	w.create(t, "probe", gold, annotated("metallb.io/address-pool", "b-last"))
	w.expect(t, "probe", "198.51.100.0")
	if err := w.Delete(t.Context(), w.get(t, "probe")); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"203.0.113.0", "198.51.100.0", "192.0.2.1"} {
		name := fmt.Sprint("s", i)
		w.create(t, name, gold)
		w.expect(t, name, want)
	}
	w.expect(t, "before", "192.0.2.0")
}
