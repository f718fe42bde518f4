package configstatus_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/configstatus"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/ledgerstatus"
	keeps "github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

const namespace = "metallb-system"

// cluster is a client of a real API server whose configuration a running manager reports on.
type cluster struct {
	client.Client
	t *testing.T
}

func start(t *testing.T) cluster {
	t.Helper()
	api := apiserver.Run(t, apiserver.Options{})
	if _, err := envtest.InstallCRDs(api.Config(), envtest.CRDInstallOptions{Paths: []string{"../../../config/crd/bases"}, ErrorIfPathMissing: true}); err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(api.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	created := cluster{Client: c, t: t}
	created.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
	skip := true
	mgr, err := manager.New(api.Config(), manager.Options{
		Scheme: scheme, Metrics: server.Options{BindAddress: "0"}, Cache: cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Controller: config.Controller{SkipNameValidation: &skip},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := configstatus.SetupWithManager(mgr, configstatus.Options{Namespace: namespace, PodName: "controller-0"}); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the manager ended with %v", err)
		}
	})
	return created
}

func (c cluster) create(o client.Object) {
	c.t.Helper()
	if err := c.Create(c.t.Context(), o); err != nil {
		c.t.Fatal(err)
	}
}

// await waits for a condition of an object to have the status and reason, and a message with text.
func (c cluster) await(o client.Object, conditions *[]metav1.Condition, kind string, status metav1.ConditionStatus, reason, text string) {
	c.t.Helper()
	c.eventually(func() error {
		if err := c.Get(c.t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		have := meta.FindStatusCondition(*conditions, kind)
		if have == nil || have.Status != status || have.Reason != reason || !strings.Contains(have.Message, text) || have.ObservedGeneration != o.GetGeneration() {
			return fmt.Errorf("condition %s of %s is %+v, want %s, %s, %q", kind, o.GetName(), have, status, reason, text)
		}
		return nil
	})
}

func (c cluster) eventually(check func() error) {
	c.t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Minute)
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-limit:
			c.t.Fatal(err)
		case <-tick.C:
		}
	}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name}
}

func TestGivenARealAPIServerWhenObjectsBreakAndHealThenTheirConditionsFollow(t *testing.T) {
	c := start(t)
	c.eventually(func() error {
		state := &v1beta1.ConfigurationState{}
		if err := c.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "controller"}, state); err != nil {
			return err
		}
		if state.Status.Result != v1beta1.ConfigurationValid {
			return fmt.Errorf("the state without any object is %+v", state.Status)
		}
		return nil
	})

	pool := &v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}}
	c.create(pool)
	c.await(pool, &pool.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	overlap := &v1beta1.IPAddressPool{ObjectMeta: named("z-overlap"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.9/32"}}}
	c.create(overlap)
	c.await(overlap, &overlap.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionFalse, v1beta1.ReasonConflict, "older IPAddressPool metallb-system/pool")

	peer := &v1beta2.BGPPeer{ObjectMeta: named("tor"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1", PasswordSecret: corev1.SecretReference{Name: "tor"}}}
	c.create(peer)
	c.await(peer, &peer.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonSecretNotFound, "there is no Secret metallb-system/tor")
	ad := &v1beta1.BGPAdvertisement{ObjectMeta: named("ad"), Spec: v1beta1.BGPAdvertisementSpec{Communities: []string{"stay-here"}, Peers: []string{"tor"}}}
	c.create(ad)
	c.await(ad, &ad.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonCommunityNotFound, "no Community object defines this alias")

	c.create(&corev1.Secret{ObjectMeta: named("tor"), Type: corev1.SecretTypeBasicAuth, StringData: map[string]string{"password": "hunter2"}})
	c.await(peer, &peer.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")
	community := &v1beta1.Community{ObjectMeta: named("community"), Spec: v1beta1.CommunitySpec{Communities: []v1beta1.CommunityAlias{{Name: "stay-here", Value: "65535:65281"}}}}
	c.create(community)
	c.await(community, &community.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	c.await(ad, &ad.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")

	profile := &v1beta1.BFDProfile{ObjectMeta: named("fast")}
	c.create(profile)
	c.await(profile, &profile.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	layer2 := &v1beta1.L2Advertisement{ObjectMeta: named("l2"), Spec: v1beta1.L2AdvertisementSpec{IPAddressPools: []string{"nowhere"}}}
	c.create(layer2)
	c.await(layer2, &layer2.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonPoolNotFound, "nowhere")

	reservation := &v1beta1.IPReservation{ObjectMeta: named("r"), Spec: v1beta1.IPReservationSpec{Namespace: "shop", Addresses: []string{"192.0.2.7"}}}
	c.create(reservation)
	c.await(reservation, &reservation.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")
	quota := &v1beta1.AddressQuota{ObjectMeta: named("q"), Spec: v1beta1.AddressQuotaSpec{IPv4: new(int32(3)), Pools: []string{"pool"}}}
	c.create(quota)
	c.await(quota, &quota.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")
	pool.Annotations = map[string]string{v1beta1.AnnotationAllowDisruption: "soon"}
	if err := c.Update(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	c.await(pool, &pool.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, `is "soon": has no effect`)

	if err := c.Delete(t.Context(), pool); err != nil {
		t.Fatal(err)
	}
	c.await(reservation, &reservation.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonAddressNotInPool, "192.0.2.7")
	c.await(quota, &quota.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonPoolNotFound, "nothing is limited")
	c.await(overlap, &overlap.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
}

func TestGivenARealAPIServerWhenSpeakersReportThenProgrammedFollowsAndOneBadPeerStopsNoOther(t *testing.T) {
	c := start(t)
	c.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n1"}})
	c.create(&v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}})
	good := &v1beta2.BGPPeer{ObjectMeta: named("good"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1"}}
	bad := &v1beta2.BGPPeer{ObjectMeta: named("bad"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.2", PasswordSecret: corev1.SecretReference{Name: "none"}}}
	ad := &v1beta1.BGPAdvertisement{ObjectMeta: named("ad")}
	profile := &v1beta1.BFDProfile{ObjectMeta: named("fast")}
	community := &v1beta1.Community{ObjectMeta: named("community"), Spec: v1beta1.CommunitySpec{Communities: []v1beta1.CommunityAlias{{Name: "a", Value: "1:2"}}}}
	for _, o := range []client.Object{good, bad, ad, profile, community} {
		c.create(o)
	}
	programmed := func(o client.Object, conditions *[]metav1.Condition, status metav1.ConditionStatus, reason, text string) {
		t.Helper()
		c.await(o, conditions, v1beta1.ConditionProgrammed, status, reason, text)
	}
	programmed(good, &good.Status.Conditions, metav1.ConditionUnknown, v1beta1.ReasonPending, "node n1")

	state := &v1beta1.ConfigurationState{ObjectMeta: named("speaker-n1")}
	state.Labels = map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentSpeaker}
	c.create(state)
	report := func(status metav1.ConditionStatus, words string, objects ...v1beta1.AppliedObject) {
		t.Helper()
		state.Status = v1beta1.ConfigurationStateStatus{Result: v1beta1.ConfigurationValid, Objects: objects, Conditions: []metav1.Condition{
			{Type: v1beta1.ConditionProgrammed, Status: status, Reason: "Any", Message: words, LastTransitionTime: metav1.Now()},
		}}
		if err := c.Status().Update(t.Context(), state); err != nil {
			t.Fatal(err)
		}
	}
	of := func(kind, name string, generation int64) v1beta1.AppliedObject {
		return v1beta1.AppliedObject{Kind: kind, Name: name, Generation: generation}
	}
	others := []v1beta1.AppliedObject{of("BGPAdvertisement", "ad", 1), of("BFDProfile", "fast", 1), of("Community", "community", 1)}
	report(metav1.ConditionTrue, "", append(others, of("BGPPeer", "good", 1))...)
	programmed(good, &good.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	programmed(ad, &ad.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	programmed(profile, &profile.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	programmed(community, &community.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	programmed(bad, &bad.Status.Conditions, metav1.ConditionFalse, v1beta1.ReasonNotAccepted, "ResolvedRefs")

	good.Spec.MyASN = 64999
	if err := c.Update(t.Context(), good); err != nil {
		t.Fatal(err)
	}
	programmed(good, &good.Status.Conditions, metav1.ConditionFalse, v1beta1.ReasonPending, "not in force yet on node n1")
	report(metav1.ConditionFalse, "FRR refuses the configuration: % No", append(others, of("BGPPeer", "good", 1))...)
	programmed(good, &good.Status.Conditions, metav1.ConditionFalse, v1beta1.ReasonApplyFailed, "node n1: FRR refuses the configuration: % No")
	programmed(ad, &ad.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	report(metav1.ConditionTrue, "", append(others, of("BGPPeer", "good", 2))...)
	programmed(good, &good.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")

	snippet := &v1beta1.FRRSnippet{ObjectMeta: named("snippet"), Spec: v1beta1.FRRSnippetSpec{RawConfig: "surprise\n"}}
	c.create(snippet)
	c.await(snippet, &snippet.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	programmed(snippet, &snippet.Status.Conditions, metav1.ConditionFalse, v1beta1.ReasonPending, "not in force yet on node n1")
	refused := of("FRRSnippet", "snippet", 1)
	refused.Failure = `FRR refuses line 1 "surprise": % Unknown command`
	report(metav1.ConditionTrue, "", append(others, of("BGPPeer", "good", 2), refused)...)
	programmed(snippet, &snippet.Status.Conditions, metav1.ConditionFalse, v1beta1.ReasonApplyFailed, "node n1: "+refused.Failure)
	programmed(good, &good.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	report(metav1.ConditionTrue, "", append(others, of("BGPPeer", "good", 2), of("FRRSnippet", "snippet", 1))...)
	programmed(snippet, &snippet.Status.Conditions, metav1.ConditionTrue, v1beta1.ReasonProgrammed, "")
	if err := c.Delete(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	programmed(good, &good.Status.Conditions, metav1.ConditionUnknown, v1beta1.ReasonPending, "no speaker reports")
}

func TestGivenTwoWritersOfAStatusWhenBothWriteAtOnceThenEachFindsItsOwnAndTheOthers(t *testing.T) {
	c := start(t)
	c.create(&v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}})
	reservation := &v1beta1.IPReservation{ObjectMeta: named("r"), Spec: v1beta1.IPReservationSpec{Namespace: "shop", Addresses: []string{"10.0.0.1"}}}
	c.create(reservation)
	for i := range 20 {
		// The user's edit wakes the one writer.
		c.eventually(func() error {
			if err := c.Get(t.Context(), client.ObjectKeyFromObject(reservation), reservation); err != nil {
				return err
			}
			reservation.Spec.Addresses = []string{[]string{"192.0.2.7", "10.0.0.1"}[i%2]}
			return c.Update(t.Context(), reservation)
		})
		// The other one does not wait for it, and does not look at the version.
		err := ledgerstatus.ApplyReservation(t.Context(), c.Status(), &v1beta1.IPReservation{ObjectMeta: named("r")}, &keeps.Status{
			Services: []string{fmt.Sprint(i)},
			Verdict: metav1.Condition{Type: v1beta1.ConditionReserved, Status: condition.Is(i%2 == 0), Reason: v1beta1.ReasonReserved, Message: fmt.Sprint(i),
				ObservedGeneration: reservation.Generation, LastTransitionTime: metav1.Now()},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	c.await(reservation, &reservation.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonAddressNotInPool, "10.0.0.1")
	c.await(reservation, &reservation.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	c.await(reservation, &reservation.Status.Conditions, v1beta1.ConditionReserved, metav1.ConditionFalse, v1beta1.ReasonReserved, "19")
	if len(reservation.Status.Services) != 1 || reservation.Status.Services[0] != "19" {
		t.Errorf("status.services is %q, want the last that the other writer wrote", reservation.Status.Services)
	}
	if err := ledgerstatus.ApplyReservation(t.Context(), c.Status(), &v1beta1.IPReservation{ObjectMeta: named("r")}, &keeps.Status{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(reservation), reservation); err != nil {
		t.Fatal(err)
	}
	if len(reservation.Status.Conditions) != 2 || meta.FindStatusCondition(reservation.Status.Conditions, v1beta1.ConditionReserved) != nil || reservation.Status.Services != nil {
		t.Errorf("after the other writer took back all of its own there is %+v, want Accepted and ResolvedRefs", reservation.Status)
	}
}

func TestGivenASettledConfigurationWhenOnlyStatusChangesThenNothingIsReconciled(t *testing.T) {
	c := start(t)
	pool := &v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"192.0.2.0/24"}}}
	c.create(pool)
	c.await(pool, &pool.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	before := passes(t)
	const updates = 50
	for i := range updates {
		body := fmt.Appendf(nil, `{"status":{"assignedIPv4":%d}}`, i)
		if err := c.Status().Patch(t.Context(), pool, client.RawPatch(types.MergePatchType, body)); err != nil {
			t.Fatal(err)
		}
	}
	// The watch delivers in order: once the next pool has its condition, the events before it were seen.
	last := &v1beta1.IPAddressPool{ObjectMeta: named("last"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"198.51.100.0/24"}}}
	c.create(last)
	c.await(last, &last.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	if got := passes(t) - before; got >= updates/2 {
		t.Errorf("%v passes for %d updates of a status and one new pool", got, updates)
	}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(pool), pool); err != nil || pool.Status.AssignedIPv4 != updates-1 {
		t.Errorf("assignedIPv4 is %d (%v), want the %d that another writer wrote", pool.Status.AssignedIPv4, err, updates-1)
	}
}

// passes returns how often the reconciler of this process has run.
func passes(t *testing.T) float64 {
	t.Helper()
	families, err := metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != "controller_runtime_reconcile_total" {
			continue
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if label.GetName() == "controller" && label.GetValue() == "configstatus" {
					sum += m.GetCounter().GetValue()
				}
			}
		}
	}
	return sum
}
