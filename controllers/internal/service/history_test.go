package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/probe"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// instantQueue is a queue of which a delay is no time, so that a test need not wait.
type instantQueue struct {
	workqueue.TypedInterface[types.NamespacedName]
}

func (q instantQueue) AddAfter(key types.NamespacedName, _ time.Duration) { q.Add(key) }

// handQueue keeps the Work that the alarm is to bring until the test says that its time has come.
type handQueue struct {
	workqueue.TypedInterface[Work]
	due map[Work]time.Duration
}

func (q handQueue) AddAfter(w Work, d time.Duration) {
	if had, ok := q.due[w]; !ok || d < had {
		q.due[w] = d
	}
}

// story is a controller at work on a fakeAPI, step by step.
type story struct {
	*fakeAPI
	r *Reconciler
	// work is what the controller's queue holds, alarms what comes to it later.
	work   map[Work]bool
	alarms map[Work]time.Duration
	answer func(context.Context, probe.Answer)
}

func newStory(t *rapid.T) *story {
	s := &story{fakeAPI: &fakeAPI{
		T: t, version: 1,
		services: map[types.NamespacedName]*corev1.Service{}, cache: map[types.NamespacedName]*corev1.Service{},
		pools: map[string]*v1beta1.IPAddressPool{}, reservations: map[string]*v1beta1.IPReservation{},
		strangers: map[netip.Addr]bool{}, used: map[netip.Addr]bool{},
		calm: map[types.NamespacedName]bool{},
	}}
	s.start()
	return s
}

// start begins a new life of the controller.
func (s *story) start() {
	s.r = newReconciler(Options{Namespace: "config", Log: slog.New(slog.DiscardHandler), Now: s.now}, edges{
		cached: reader{s.fakeAPI, false}, live: reader{s.fakeAPI, true}, patch: s.patchService, status: s.fakeAPI, recorder: &events.FakeRecorder{},
		prober: func(answer func(context.Context, probe.Answer)) asker {
			s.answer = answer
			return s.fakeAPI
		},
	})
	s.asked, s.proved = nil, map[netip.Addr]bool{}
	s.r.writer.queue = instantQueue{workqueue.NewTyped[types.NamespacedName]()}
	s.alarms = map[Work]time.Duration{}
	s.r.alarm.queue = handQueue{due: s.alarms}
	s.work = map[Work]bool{configWork: true}
}

// step has the controller do one piece of work, if there is any.
func (s *story) step(t *rapid.T) {
	if len(s.work) == 0 {
		return
	}
	list := slices.SortedFunc(maps.Keys(s.work), func(a, b Work) int {
		return strings.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
	work := rapid.SampledFrom(list).Draw(t, "work")
	delete(s.work, work)
	s.fate = ""
	if s.reservations["chosen"] != nil {
		s.fate = rapid.SampledFrom([]string{"", "", "", lost, answerLost}).Draw(t, "outcome of a write of a reservation")
	}
	if _, err := s.r.Reconcile(context.Background(), work); err != nil {
		s.work[work] = true
	}
	s.drain()
}

// reply answers one of the controller's questions about addresses.
func (s *story) reply(t *rapid.T) {
	if len(s.asked) == 0 {
		return
	}
	i := rapid.IntRange(0, len(s.asked)-1).Draw(t, "question")
	addr := s.asked[i]
	s.asked = slices.Delete(s.asked, i, i+1)
	a := probe.Answer{Address: addr, Outcome: rapid.SampledFrom([]probe.Outcome{probe.Free, probe.Free, probe.Unknown}).Draw(t, "outcome")}
	if s.strangers[addr] {
		a.Outcome = probe.InUse
	}
	s.proved[addr] = a.Outcome != probe.InUse
	s.answer(context.Background(), a)
	s.drain()
}

// ring brings the controller what it wants to look at later: what is due soon, or after so much time that all of it is.
func (s *story) ring(all bool) {
	if all {
		s.elapsed += time.Hour
	}
	for w, d := range s.alarms {
		if all || d < time.Minute {
			delete(s.alarms, w)
			s.work[w] = true
		}
	}
}

// stranger comes to the network, or goes.
func (s *story) stranger(t *rapid.T) {
	addr := netip.MustParseAddr(rapid.SampledFrom([]string{"10.0.2.0", "10.0.2.1", "10.0.2.2"}).Draw(t, "address"))
	s.strangers[addr] = !s.strangers[addr]
}

// reserve creates or deletes an IPReservation.
func (s *story) reserve(t *rapid.T) {
	name := rapid.SampledFrom([]string{"named", "chosen"}).Draw(t, "reservation")
	if s.reservations[name] != nil {
		delete(s.reservations, name)
	} else {
		s.uids++
		r := &v1beta1.IPReservation{ObjectMeta: metav1.ObjectMeta{Namespace: "config", Name: name, UID: types.UID(fmt.Sprint("uid-", s.uids)), Generation: 1},
			Spec: v1beta1.IPReservationSpec{Namespace: "ns", ServiceName: s.drawKey(t).Name, Addresses: []string{"10.0.1.1"}}}
		if name == "chosen" {
			r.Spec.Addresses, r.Spec.Pool = nil, "p"
			r.Spec.RetainAfterDelete = rapid.SampledFrom([]string{"", "10m"}).Draw(t, "retention")
		}
		s.reservations[name] = r
	}
	s.work[configWork] = true
}

// write has the controller make one of the writes that wait, if there are any.
func (s *story) write(t *rapid.T) {
	if s.r.writer.queue.Len() == 0 {
		return
	}
	s.T = t
	s.r.writer.next(context.Background())
	s.drain()
}

func (s *story) drain() {
	for {
		select {
		case e := <-s.r.inbox:
			s.work[e.Object] = true
		default:
			return
		}
	}
}

// deliver brings the cache up to date on one Service.
func (s *story) deliver(key types.NamespacedName) {
	svc, ok := s.services[key]
	if !ok {
		delete(s.cache, key)
	} else {
		trimmed, err := new(trimmer).service(svc.DeepCopy())
		if err != nil {
			s.Fatal(err)
		}
		s.cache[key] = trimmed.(*corev1.Service)
	}
	s.work[serviceWork(key)] = true
}

func (s *story) drawKey(t *rapid.T) types.NamespacedName {
	return types.NamespacedName{Namespace: "ns", Name: rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"}).Draw(t, "Service")}
}

// create makes a Service, in place of an earlier one of the name.
func (s *story) create(t *rapid.T) {
	key := s.drawKey(t)
	s.uids++
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name, UID: types.UID(fmt.Sprint("uid-", s.uids)),
			CreationTimestamp: metav1.Unix(int64(s.uids), 0), Annotations: map[string]string{}},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.96.0.1"},
			Ports: []corev1.ServicePort{{Port: rapid.Int32Range(80, 81).Draw(t, "port")}}},
	}
	if rapid.Bool().Draw(t, "shares") {
		svc.Annotations[v1beta1.AnnotationAllowSharedIP] = "k"
	}
	s.put(svc)
	delete(s.calm, key)
}

func (s *story) edit(t *rapid.T) {
	key := s.drawKey(t)
	svc, ok := s.services[key]
	if !ok {
		return
	}
	svc = svc.DeepCopy()
	switch rapid.SampledFrom([]string{"address", "pool", "none", "type"}).Draw(t, "what") {
	case "address":
		svc.Annotations[v1beta1.AnnotationLoadBalancerIPs] = rapid.SampledFrom([]string{"10.0.0.0", "10.0.0.1", "10.0.1.1", "10.0.2.1", "10.9.9.9"}).Draw(t, "address")
	case "pool":
		svc.Annotations[v1beta1.AnnotationAddressPool] = rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "pool")
	case "none":
		delete(svc.Annotations, v1beta1.AnnotationLoadBalancerIPs)
		delete(svc.Annotations, v1beta1.AnnotationAddressPool)
	case "type":
		if svc.Spec.Type == corev1.ServiceTypeClusterIP {
			svc.Spec.Type = corev1.ServiceTypeLoadBalancer
		} else {
			svc.Spec.Type = corev1.ServiceTypeClusterIP
			svc.Status.LoadBalancer = corev1.LoadBalancerStatus{} // as the API server does
		}
	}
	s.put(svc)
	delete(s.calm, key)
}

func (s *story) editPools(t *rapid.T) {
	s.pools = map[string]*v1beta1.IPAddressPool{}
	for i, name := range []string{"p", "q", "r"} {
		ranges := rapid.SampledFrom([][]string{nil, {"10.0.%d.0/31"}, {"10.0.%d.0/30"}}).Draw(t, "ranges of "+name)
		if ranges == nil {
			continue
		}
		s.pools[name] = &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Namespace: "config", Name: name, UID: types.UID(name)},
			Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{fmt.Sprintf(ranges[0], i)}}}
		if name == "r" {
			s.pools[name].Spec.ConflictCheck = v1beta1.ConflictCheckProbe
		}
	}
	s.work[configWork] = true
}

// settleAll lets everything arrive and be done, and judges the outcome.
func (s *story) settleAll(t *rapid.T) {
	s.T = t
	for key := range s.cache {
		s.deliver(key)
	}
	for key := range s.services {
		s.deliver(key)
	}
	for round := 0; !s.quiet(); round++ {
		if round > 5000 {
			t.Fatalf("the controller does not come to rest: %v", s.work)
		}
		s.step(t)
		s.write(t)
		s.reply(t)
		if s.quiet() {
			s.ring(false)
			for key, svc := range s.services {
				if s.cache[key] == nil || s.cache[key].ResourceVersion != svc.ResourceVersion {
					s.deliver(key)
				}
			}
		}
	}
	s.judgeRest(t)
	clear(s.proved)
	clear(s.used)
	for key, svc := range s.services {
		s.calm[key] = true
		held, _ := kubeview.Held(svc)
		for _, addr := range held {
			s.used[addr] = true
		}
	}
}

// quiet tells that the controller has nothing to do.
func (s *story) quiet() bool {
	return len(s.work) == 0 && s.r.writer.queue.Len() == 0 && len(s.asked) == 0
}

// judgeRest compares, at rest, the API with the ledger, and the ledger with one that is built from the API.
func (s *story) judgeRest(t *rapid.T) {
	rebuilt := ipam.NewLedger(nil)
	var pools []ipam.Pool
	for _, p := range s.r.config.Pools {
		pools = append(pools, p.Pool)
	}
	rebuilt.SetPools(pools)
	rebuilt.SetReservations(s.r.reserved)
	rebuilt.SetForeign(s.r.conflicts.foreign)
	for key, svc := range s.services {
		held, pool := kubeview.Held(svc)
		claim, _ := s.r.ledger.Claim(ipam.ServiceKey{Namespace: key.Namespace, Name: key.Name})
		if !slices.Equal(held, claim.Addresses) || len(claim.Leaving) > 0 {
			t.Fatalf("%s shows %v: the ledger says %+v", key, held, claim)
		}
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			if pool != "" || len(svc.Status.Conditions) > 0 {
				t.Fatalf("%s is no LoadBalancer any more and still says %v, %v", key, svc.Annotations, svc.Status.Conditions)
			}
			continue
		}
		sharing := kubeview.Request(svc, nil).Sharing
		if err := rebuilt.Assign(ipam.Claim{Service: claim.Service, Addresses: held, Pool: pool, Sharing: sharing}); err != nil {
			t.Fatalf("the API has one address twice: %v", err)
		}
		if len(svc.Status.Conditions) != 1 || (svc.Status.Conditions[0].Status == metav1.ConditionTrue) != (len(held) > 0) {
			t.Fatalf("%s has %v and says %v", key, held, svc.Status.Conditions)
		}
	}
	for key, svc := range s.services {
		if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
			continue
		}
		if d := ipam.Decide(rebuilt, kubeview.Request(svc, nil)); len(d.Added)+len(d.GivenUp) > 0 {
			t.Fatalf("%s was left with less than there is: %+v", key, d)
		}
	}
	if got, want := s.r.ledger.Usage(), rebuilt.Usage(); !slices.Equal(got, want) {
		t.Fatalf("usage is %+v: wanted %+v", got, want)
	}
}

func TestHistoriesWithLateCachesLostWritesAndRestartsKeepEveryPromise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newStory(t)
		t.Repeat(map[string]func(*rapid.T){
			"create":     s.create,
			"edit":       s.edit,
			"edit pools": s.editPools,
			"delete": func(t *rapid.T) {
				key := s.drawKey(t)
				delete(s.services, key)
				delete(s.calm, key)
			},
			"overwrite the status": func(t *rapid.T) {
				key := s.drawKey(t)
				if svc, ok := s.services[key]; ok {
					svc = svc.DeepCopy()
					svc.Status.LoadBalancer = corev1.LoadBalancerStatus{}
					s.put(svc)
				}
			},
			"deliver":  func(t *rapid.T) { s.deliver(s.drawKey(t)) },
			"work":     s.step,
			"write":    s.write,
			"reserve":  s.reserve,
			"stranger": s.stranger,
			"reply":    s.reply,
			"soon":     func(*rapid.T) { s.ring(false) },
			"later":    func(*rapid.T) { s.ring(true) },
			"restart":  func(*rapid.T) { s.start() },
			"rest":     s.settleAll,
		})
		s.settleAll(t)
	})
}
