package configstatus

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

const namespace = "metallb-system"

// harness is a reconciler over a client in memory that counts its writes.
type harness struct {
	*reconciler
	client client.Client
	writes int
	// fail, if set, is the answer to the next write of a status.
	fail error
	now  time.Time
}

func newHarness(t *testing.T, objects ...client.Object) *harness {
	t.Helper()
	scheme := newScheme(t)
	h := &harness{now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	h.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1beta1.IPAddressPool{}, &v1beta2.BGPPeer{}, &v1beta1.BGPAdvertisement{}, &v1beta1.L2Advertisement{},
			&v1beta1.IPReservation{}, &v1beta1.AddressQuota{}, &v1beta1.BFDProfile{}, &v1beta1.Community{}, &v1beta1.FRRSnippet{}, &v1beta1.ConfigurationState{}).
		WithInterceptorFuncs(interceptor.Funcs{
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, o client.Object, p client.Patch, opts ...client.SubResourcePatchOption) error {
				h.writes++
				if err := h.fail; err != nil {
					h.fail = nil
					return err
				}
				return c.SubResource(sub).Patch(ctx, o, p, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, o client.Object, p client.Patch, opts ...client.PatchOption) error {
				h.writes++
				return c.Patch(ctx, o, p, opts...)
			},
			Create: func(ctx context.Context, c client.WithWatch, o client.Object, opts ...client.CreateOption) error {
				h.writes++
				return c.Create(ctx, o, opts...)
			},
		}).Build()
	h.reconciler = &reconciler{Options: Options{Namespace: namespace, PodName: "controller-0", Now: func() time.Time { return h.now }}, client: h.client, direct: h.client}
	return h
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func (h *harness) pass(t *testing.T) reconcile.Result {
	t.Helper()
	result, err := h.Reconcile(t.Context(), reconcile.Request{})
	if err != nil {
		t.Fatalf("Reconcile: %v", err)
	}
	return result
}

// conditions returns an object's conditions as the API has them.
func conditions(t *testing.T, c client.Reader, o client.Object) []metav1.Condition {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	switch o := o.(type) {
	case *v1beta1.IPAddressPool:
		return o.Status.Conditions
	case *v1beta2.BGPPeer:
		return o.Status.Conditions
	case *v1beta1.BGPAdvertisement:
		return o.Status.Conditions
	case *v1beta1.ConfigurationState:
		return o.Status.Conditions
	case *v1beta1.IPReservation:
		return o.Status.Conditions
	case *v1beta1.AddressQuota:
		return o.Status.Conditions
	case *v1beta1.FRRSnippet:
		return o.Status.Conditions
	}
	t.Fatalf("no conditions known of %T", o)
	return nil
}

// expect fails unless the condition has status and reason, and a message that contains text.
func expect(t *testing.T, have []metav1.Condition, kind string, status metav1.ConditionStatus, reason, text string) {
	t.Helper()
	c := meta.FindStatusCondition(have, kind)
	if c == nil || c.Status != status || c.Reason != reason || !strings.Contains(c.Message, text) {
		t.Errorf("condition %s is %+v, want %s, %s, %q", kind, c, status, reason, text)
	}
}

func named(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: namespace, Name: name, UID: types.UID("uid-" + name), Generation: 3}
}

func pool(name string, addresses ...string) *v1beta1.IPAddressPool {
	return &v1beta1.IPAddressPool{ObjectMeta: named(name), Spec: v1beta1.IPAddressPoolSpec{Addresses: addresses}}
}

func pod() *corev1.Pod { return &corev1.Pod{ObjectMeta: named("controller-0")} }

func TestGivenValidObjectsWhenReconciledThenTheyAreAcceptedAndASecondPassWritesNothing(t *testing.T) {
	p := pool("p", "192.0.2.0/24")
	p.Status.AssignedIPv4 = 7
	p.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionProgrammed, Status: metav1.ConditionTrue, Reason: "Programmed"}}
	ad := &v1beta1.BGPAdvertisement{ObjectMeta: named("a"), Spec: v1beta1.BGPAdvertisementSpec{IPAddressPools: []string{"p"}}}
	h := newHarness(t, p, ad, pod())
	h.pass(t)
	have := conditions(t, h.client, p)
	expect(t, have, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "valid and in force")
	expect(t, have, v1beta1.ConditionProgrammed, metav1.ConditionTrue, "Programmed", "")
	if accepted := meta.FindStatusCondition(have, v1beta1.ConditionAccepted); accepted.ObservedGeneration != 3 || !accepted.LastTransitionTime.Time.Equal(h.now) {
		t.Errorf("condition is %+v, want generation 3 and time %s", accepted, h.now)
	}
	if p.Status.AssignedIPv4 != 7 {
		t.Errorf("assignedIPv4 is %d, want the 7 of another writer", p.Status.AssignedIPv4)
	}
	if meta.FindStatusCondition(have, v1beta1.ConditionResolvedRefs) != nil {
		t.Errorf("a pool has ResolvedRefs though it refers to nothing")
	}
	expect(t, conditions(t, h.client, ad), v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")

	h.writes, h.now = 0, h.now.Add(time.Hour)
	h.pass(t)
	if h.writes != 0 {
		t.Errorf("a second pass writes %d times", h.writes)
	}
}

func TestGivenARunningPoolWhenItBreaksThenTheConditionSaysWhatStaysInForce(t *testing.T) {
	p := pool("p", "192.0.2.0/24")
	h := newHarness(t, p, pod())
	h.pass(t)
	if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(p), p); err != nil {
		t.Fatal(err)
	}
	p.Spec.Addresses, p.Generation = []string{"192.0.2.0/33"}, 4
	if err := h.client.Update(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	h.now = h.now.Add(time.Minute)
	h.pass(t)
	expect(t, conditions(t, h.client, p), v1beta1.ConditionAccepted, metav1.ConditionFalse, v1beta1.ReasonInvalid,
		`spec.addresses[0] is "192.0.2.0/33": wanted a prefix such as 192.0.2.0/24 or a range such as 192.0.2.10-192.0.2.20; what it said before stays in force`)
	state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "controller"}}
	expect(t, conditions(t, h.client, state), v1beta1.ConditionPoolReconcilerValid, metav1.ConditionFalse, v1beta1.ReasonConfigurationError, "IPAddressPool metallb-system/p: spec.addresses[0]")
	if state.Status.Result != v1beta1.ConfigurationInvalid || !strings.HasPrefix(state.Status.ErrorSummary, "IPAddressPool metallb-system/p: ") {
		t.Errorf("status is %+v, want Invalid with the pool's problem", state.Status)
	}
	if at := state.Status.Conditions[0].LastTransitionTime; !at.Time.Equal(h.now) {
		t.Errorf("last transition is %s, want %s", at, h.now)
	}
}

func TestGivenThingsThatAreMissingWhenReconciledThenResolvedRefsNamesThem(t *testing.T) {
	for name, row := range map[string]struct {
		change func(*v1beta2.BGPPeerSpec)
		more   []client.Object
		reason string
	}{
		"profile":     {func(s *v1beta2.BGPPeerSpec) { s.BFDProfile = "fast" }, nil, v1beta1.ReasonBFDProfileNotFound},
		"a port":      {func(s *v1beta2.BGPPeerSpec) { s.PeerAddress, s.ListenRange = "", "192.0.2.0/24" }, nil, v1beta1.ReasonNotListening},
		"secret":      {func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "tor" }, nil, v1beta1.ReasonSecretNotFound},
		"secret type": {func(s *v1beta2.BGPPeerSpec) { s.PasswordSecret.Name = "tor" }, []client.Object{&corev1.Secret{ObjectMeta: named("tor"), Type: corev1.SecretTypeOpaque}}, v1beta1.ReasonSecretInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			peer := &v1beta2.BGPPeer{ObjectMeta: named("tor"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1"}}
			row.change(&peer.Spec)
			h := newHarness(t, append(row.more, peer, pod())...)
			h.pass(t)
			have := conditions(t, h.client, peer)
			expect(t, have, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, row.reason, "no session is opened")
			expect(t, have, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
			state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "controller"}}
			expect(t, conditions(t, h.client, state), v1beta1.ConditionPoolReconcilerValid, metav1.ConditionTrue, v1beta1.ReasonReconciled, "")
		})
	}
}

func TestGivenNodesThatListenWhenAPeerIsARangeThenNothingIsMissing(t *testing.T) {
	peer := &v1beta2.BGPPeer{ObjectMeta: named("tor"), Spec: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, ListenRange: "192.0.2.0/24"}}
	h := newHarness(t, peer, pod())
	h.reconciler.Listens = true
	h.pass(t)
	expect(t, conditions(t, h.client, peer), v1beta1.ConditionResolvedRefs, metav1.ConditionTrue, v1beta1.ReasonResolvedRefs, "")
}

func TestGivenAReservationOrQuotaWhenReconciledThenItsConditionsSayWhatIsWrongAndThoseOfOthersStay(t *testing.T) {
	reserved := func(spec v1beta1.IPReservationSpec) client.Object {
		r := &v1beta1.IPReservation{ObjectMeta: named("r"), Spec: spec}
		r.Spec.Namespace = "shop"
		r.Status.Addresses = []string{"192.0.2.7"}
		r.Status.Conditions = []metav1.Condition{{Type: v1beta1.ConditionReserved, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonReserved}}
		return r
	}
	limited := func(spec v1beta1.AddressQuotaSpec) client.Object {
		return &v1beta1.AddressQuota{ObjectMeta: named("q"), Spec: spec}
	}
	older := &v1beta1.IPReservation{ObjectMeta: named("a"), Spec: v1beta1.IPReservationSpec{Namespace: "shop", Addresses: []string{"192.0.2.9"}}}
	for name, row := range map[string]struct {
		object             client.Object
		accepted, resolved string
		text               string
		state              v1beta1.ConfigurationResult
	}{
		"reservation": {reserved(v1beta1.IPReservationSpec{Addresses: []string{"192.0.2.7"}}), v1beta1.ReasonAccepted, v1beta1.ReasonResolvedRefs, "in force", v1beta1.ConfigurationValid},
		"invalid":     {reserved(v1beta1.IPReservationSpec{}), v1beta1.ReasonInvalid, v1beta1.ReasonResolvedRefs, "spec.addresses: give either", v1beta1.ConfigurationInvalid},
		"taken":       {reserved(v1beta1.IPReservationSpec{Addresses: []string{"192.0.2.9"}}), v1beta1.ReasonConflict, v1beta1.ReasonResolvedRefs, "older IPReservation metallb-system/a", v1beta1.ConfigurationInvalid},
		"no pool":     {reserved(v1beta1.IPReservationSpec{Pool: "x"}), v1beta1.ReasonAccepted, v1beta1.ReasonPoolNotFound, "there is no IPAddressPool metallb-system/x", v1beta1.ConfigurationInvalid},
		"address":     {reserved(v1beta1.IPReservationSpec{Addresses: []string{"10.0.0.1"}}), v1beta1.ReasonAccepted, v1beta1.ReasonAddressNotInPool, "10.0.0.1", v1beta1.ConfigurationInvalid},
		"family": {reserved(v1beta1.IPReservationSpec{Pool: "p", IPFamilies: []v1beta1.IPFamily{v1beta1.IPFamilyIPv6}}), v1beta1.ReasonAccepted, v1beta1.ReasonFamilyNotInPool,
			"has no IPv6 addresses", v1beta1.ConfigurationInvalid},
		"quota":         {limited(v1beta1.AddressQuotaSpec{IPv4: new(int32(1))}), v1beta1.ReasonAccepted, v1beta1.ReasonResolvedRefs, "in force", v1beta1.ConfigurationValid},
		"no limit":      {limited(v1beta1.AddressQuotaSpec{}), v1beta1.ReasonInvalid, v1beta1.ReasonResolvedRefs, "spec.ipv4: give at least one", v1beta1.ConfigurationInvalid},
		"quota of none": {limited(v1beta1.AddressQuotaSpec{IPv6: new(int32(1)), Pools: []string{"x"}}), v1beta1.ReasonAccepted, v1beta1.ReasonPoolNotFound, "nothing is limited", v1beta1.ConfigurationInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, row.object, older.DeepCopy(), pool("p", "192.0.2.0/24"), pod())
			h.pass(t)
			have := conditions(t, h.client, row.object)
			var texts []string
			for kind, reason := range map[string]string{v1beta1.ConditionAccepted: row.accepted, v1beta1.ConditionResolvedRefs: row.resolved} {
				well := reason == v1beta1.ReasonAccepted || reason == v1beta1.ReasonResolvedRefs
				expect(t, have, kind, map[bool]metav1.ConditionStatus{true: metav1.ConditionTrue, false: metav1.ConditionFalse}[well], reason, "")
				if c := meta.FindStatusCondition(have, kind); c != nil {
					texts = append(texts, c.Message)
				}
			}
			if !strings.Contains(strings.Join(texts, "\n"), row.text) {
				t.Errorf("conditions say %q, want %q", texts, row.text)
			}
			if r, ok := row.object.(*v1beta1.IPReservation); ok {
				expect(t, have, v1beta1.ConditionReserved, metav1.ConditionTrue, v1beta1.ReasonReserved, "")
				if len(r.Status.Addresses) != 1 {
					t.Errorf("status.addresses is %q, want what another writer wrote", r.Status.Addresses)
				}
			}
			state := &v1beta1.ConfigurationState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "controller"}}
			if conditions(t, h.client, state); state.Status.Result != row.state {
				t.Errorf("the controller's state is %+v, want %s", state.Status, row.state)
			}
			h.writes = 0
			if h.pass(t); h.writes != 0 {
				t.Errorf("a second pass writes %d times", h.writes)
			}
		})
	}
}

func TestGivenAnObjectThatOnlyGetsAWarningWhenReconciledThenItIsAcceptedAndSaysSo(t *testing.T) {
	p := pool("p", "192.0.2.7/24")
	h := newHarness(t, p, pod())
	h.pass(t)
	expect(t, conditions(t, h.client, p), v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "the whole prefix 192.0.2.0/24 is used")
}

func TestGivenTwoPoolsThatOverlapWhenReconciledThenTheNewerNamesTheOlder(t *testing.T) {
	older, newer := pool("z", "192.0.2.0/24"), pool("a", "192.0.2.9/32")
	older.CreationTimestamp = metav1.NewTime(time.Unix(1000, 0))
	newer.CreationTimestamp = metav1.NewTime(time.Unix(2000, 0))
	h := newHarness(t, older, newer, pod())
	h.pass(t)
	expect(t, conditions(t, h.client, older), v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	expect(t, conditions(t, h.client, newer), v1beta1.ConditionAccepted, metav1.ConditionFalse, v1beta1.ReasonConflict, "older IPAddressPool metallb-system/z")
}

func TestGivenNoObjectsWhenReconciledThenTheStateOfTheControllerIsValidAndBelongsToItsPod(t *testing.T) {
	h := newHarness(t, pod())
	h.pass(t)
	state := &v1beta1.ConfigurationState{}
	if err := h.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "controller"}, state); err != nil {
		t.Fatal(err)
	}
	if state.Status.Result != v1beta1.ConfigurationValid || state.Labels[v1beta1.LabelComponentType] != "controller" ||
		len(state.OwnerReferences) != 1 || state.OwnerReferences[0].UID != "uid-controller-0" {
		t.Errorf("state is %+v", state)
	}
	state.OwnerReferences[0].UID, state.Labels = "former", nil
	if err := h.client.Update(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	h.pass(t)
	if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(state), state); err != nil {
		t.Fatal(err)
	}
	if state.OwnerReferences[0].UID != "uid-controller-0" || state.Labels[v1beta1.LabelComponentType] != "controller" {
		t.Errorf("state is not mended: %+v", state.ObjectMeta)
	}
}

func TestGivenAnotherWriterWasFirstWhenWritingThenItLooksAgainSoon(t *testing.T) {
	p := pool("p", "192.0.2.0/24")
	h := newHarness(t, p, pod())
	h.fail = apierrors.NewConflict(schema.GroupResource{Resource: "ipaddresspools"}, "p", errors.New("changed"))
	if result := h.pass(t); result.RequeueAfter != again {
		t.Errorf("result is %+v, want another pass after %s", result, again)
	}
	if result := h.pass(t); result.RequeueAfter != 0 {
		t.Errorf("result is %+v, want nothing left to do", result)
	}
	expect(t, conditions(t, h.client, p), v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
}

func TestGivenOneWriteFailsWhenReconciledThenTheOthersAreWrittenAndTheErrorNamesTheObject(t *testing.T) {
	first, second := pool("p", "192.0.2.0/24"), pool("q", "198.51.100.0/24")
	h := newHarness(t, first, second, pod())
	h.fail = errors.New("no room")
	_, err := h.Reconcile(t.Context(), reconcile.Request{})
	if err == nil || err.Error() != "writing the conditions of IPAddressPool metallb-system/p: no room" {
		t.Errorf("error is %v", err)
	}
	expect(t, conditions(t, h.client, second), v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
}

func TestGivenVeryManyProblemsWhenSummarisedThenTheSummaryStaysShort(t *testing.T) {
	objects := []client.Object{pod()}
	for i := range 200 {
		objects = append(objects, pool("p"+strings.Repeat("x", i), strings.Repeat("y", 100)))
	}
	h := newHarness(t, objects...)
	h.pass(t)
	state := &v1beta1.ConfigurationState{}
	if err := h.client.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "controller"}, state); err != nil {
		t.Fatal(err)
	}
	if got := state.Status.ErrorSummary; len(got) > maxSummary+100 || !strings.HasSuffix(got, "see the conditions of the objects") {
		t.Errorf("summary of %d bytes ends with %q", len(got), got[max(0, len(got)-60):])
	}
}

func TestGivenAnL2AdvertisementThatAnEarlierVersionCalledUnsupportedWhenReportedThenThatGoesAndTheRestStays(t *testing.T) {
	ad := &v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Name: "lan", Namespace: namespace, UID: "l2"}, Spec: v1beta1.L2AdvertisementSpec{IPAddressPools: []string{"nowhere"}}}
	stranger := metav1.Condition{Type: "Approved", Status: metav1.ConditionTrue, Reason: "Somebody", LastTransitionTime: metav1.Now()}
	ad.Status.Conditions = []metav1.Condition{
		{Type: v1beta1.ConditionProgrammed, Status: metav1.ConditionFalse, Reason: v1beta1.ReasonUnsupported, LastTransitionTime: metav1.Now()},
		stranger,
	}
	h := newHarness(t, ad)
	h.pass(t)
	if err := h.client.Get(t.Context(), client.ObjectKeyFromObject(ad), ad); err != nil {
		t.Fatal(err)
	}
	if c := meta.FindStatusCondition(ad.Status.Conditions, v1beta1.ConditionProgrammed); c != nil {
		t.Errorf("condition Programmed is still there: %+v", c)
	}
	expect(t, ad.Status.Conditions, "Approved", metav1.ConditionTrue, "Somebody", "")
	expect(t, ad.Status.Conditions, v1beta1.ConditionAccepted, metav1.ConditionTrue, v1beta1.ReasonAccepted, "")
	expect(t, ad.Status.Conditions, v1beta1.ConditionResolvedRefs, metav1.ConditionFalse, v1beta1.ReasonPoolNotFound, "nowhere")
	writes := h.writes
	h.pass(t)
	if h.writes != writes {
		t.Errorf("a second pass made %d writes: wanted none", h.writes-writes)
	}
}

func TestGivenOnlyAnObsoleteConditionToTakeBackWhenReportedThenItIsTakenBack(t *testing.T) {
	h := newHarness(t, &v1beta1.L2Advertisement{ObjectMeta: metav1.ObjectMeta{Name: "lan", Namespace: namespace, UID: "l2"}})
	h.pass(t)
	ad, key := &v1beta1.L2Advertisement{}, client.ObjectKey{Namespace: namespace, Name: "lan"}
	if err := h.client.Get(t.Context(), key, ad); err != nil {
		t.Fatal(err)
	}
	before := slices.Clone(ad.Status.Conditions)
	ad.Status.Conditions = append(ad.Status.Conditions, metav1.Condition{Type: v1beta1.ConditionProgrammed, Status: metav1.ConditionFalse,
		Reason: v1beta1.ReasonUnsupported, LastTransitionTime: metav1.Now()})
	if err := h.client.Status().Update(t.Context(), ad); err != nil {
		t.Fatal(err)
	}
	h.pass(t)
	if err := h.client.Get(t.Context(), key, ad); err != nil || !reflect.DeepEqual(ad.Status.Conditions, before) {
		t.Errorf("conditions are %+v (%v), wanted %+v as before", ad.Status.Conditions, err, before)
	}
}
