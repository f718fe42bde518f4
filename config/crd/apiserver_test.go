package crd

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// warnings collects what the API server warns about.
type warnings struct {
	mutex sync.Mutex
	texts []string
}

// HandleWarningHeader keeps one warning.
func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.texts = append(w.texts, text)
}

func (w *warnings) all() string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return strings.Join(w.texts, "\n")
}

// serve starts an API server, gives it the definitions and waits until it
// serves them.
func serve(t *testing.T, warned *warnings) (client.Client, *rest.Config) {
	t.Helper()
	config := rest.CopyConfig(apiserver.Run(t, apiserver.Options{}).Config())
	config.WarningHandler = warned
	config.QPS, config.Burst = -1, -1
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, apiextensionsv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	c, err := client.New(config, client.Options{Scheme: scheme, FieldValidation: metav1.FieldValidationStrict})
	if err != nil {
		t.Fatal(err)
	}
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range definitions {
		if err := c.Create(t.Context(), definition); err != nil {
			t.Fatalf("create the definition %s: %v", definition.Name, err)
		}
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "metallb-system"}}
	if err := c.Create(t.Context(), namespace); err != nil {
		t.Fatal(err)
	}
	for _, definition := range definitions {
		waitServed(t, c, definition)
	}
	return c, config
}

// waitServed waits until the API server serves every version of the definition
// and fails if it finds fault with the schema.
func waitServed(t *testing.T, c client.Client, definition *apiextensionsv1.CustomResourceDefinition) {
	t.Helper()
	served := func(ctx context.Context) (bool, error) {
		if err := c.Get(ctx, client.ObjectKeyFromObject(definition), definition); err != nil {
			return false, err
		}
		established := false
		for _, condition := range definition.Status.Conditions {
			if condition.Type == apiextensionsv1.NonStructuralSchema && condition.Status == apiextensionsv1.ConditionTrue {
				return false, fmt.Errorf("schema of %s: %s", definition.Name, condition.Message)
			}
			established = established || condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue
		}
		if !established {
			return false, nil
		}
		for _, version := range definition.Spec.Versions {
			list := &unstructured.UnstructuredList{}
			list.SetAPIVersion(definition.Spec.Group + "/" + version.Name)
			list.SetKind(definition.Spec.Names.ListKind)
			if err := c.List(ctx, list); err != nil {
				return false, nil //nolint:nilerr // not served yet
			}
		}
		return true, nil
	}
	if err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, served); err != nil {
		t.Fatalf("wait for %s: %v", definition.Name, err)
	}
}

// complaints turns an answer into what rows are judged by.
func complaints(err error) []string {
	if err == nil {
		return nil
	}
	return []string{err.Error()}
}

func TestAPIServer(t *testing.T) {
	warned := &warnings{}
	c, config := serve(t, warned)
	ctx := t.Context()

	t.Run("judges every row as the schema test does", func(t *testing.T) {
		for i, r := range rows() {
			t.Run(r.kind+"/"+r.name, func(t *testing.T) {
				r.judge(t, complaints(c.Create(ctx, r.object(t, fmt.Sprintf("row-%d", i)), client.DryRunAll)))
			})
		}
	})
	t.Run("judges every change as the schema test does", func(t *testing.T) {
		for i, change := range changes() {
			t.Run(change.kind+"/"+change.name, func(t *testing.T) { judgeChange(t, c, change, fmt.Sprintf("change-%d", i)) })
		}
	})
	t.Run("stores every sample as written", func(t *testing.T) {
		for name, object := range samples(t) {
			written := object.DeepCopy()
			object.SetName(strings.NewReplacer(".yaml/", "-").Replace(name))
			if err := c.Create(ctx, object); err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			spec, _ := object.Object["spec"].(map[string]any)
			wrote, _ := written.Object["spec"].(map[string]any)
			for field, value := range wrote {
				if difference := cmp.Diff(value, spec[field]); difference != "" {
					t.Errorf("%s: spec.%s changed (-wrote +stored):\n%s", name, field, difference)
				}
			}
		}
	})
	t.Run("reads every sample into the Go types", func(t *testing.T) { readTyped(t, c) })
	t.Run("prints what a user wants to know of an IPReservation", func(t *testing.T) { printReservation(t, c, config) })
	t.Run("BGPPeer loses nothing on its way through v1beta1", func(t *testing.T) { roundTrip(t, c) })
	t.Run("BGPPeer written as v1beta1 keeps unset times unset", func(t *testing.T) { unsetStaysUnset(t, c) })
	t.Run("BGPPeer with port 0 from v1beta1 may be changed as v1beta2", func(t *testing.T) {
		object := row{kind: "BGPPeer v1beta1", spec: `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, peerPort: 0}`}.object(t, "port-zero")
		if err := c.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
		object.SetAPIVersion("metallb.io/v1beta2")
		if err := unstructured.SetNestedField(object.Object, "fast", "spec", "bfdProfile"); err != nil {
			t.Fatal(err)
		}
		if err := c.Update(ctx, object); err != nil {
			t.Fatal(err)
		}
		if port, _, _ := unstructured.NestedInt64(object.Object, "spec", "peerPort"); port != 0 {
			t.Errorf("spec.peerPort became %d, want 0 as stored", port)
		}
	})
	t.Run("warns that BGPPeer v1beta1 is deprecated", func(t *testing.T) {
		if got := warned.all(); !strings.Contains(got, "metallb.io/v1beta1 BGPPeer is deprecated; use metallb.io/v1beta2") {
			t.Errorf("warnings were: %s", got)
		}
	})
}

// judgeChange makes the change on the API server, in the spec or through the
// status subresource.
func judgeChange(t *testing.T, c client.Client, change change, name string) {
	t.Helper()
	ctx := t.Context()
	object := change.object(t, change.from, name)
	status := object.Object["status"]
	if err := c.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	update := c.Update
	if change.part == "status" {
		update = func(ctx context.Context, object client.Object, _ ...client.UpdateOption) error {
			return c.Status().Update(ctx, object)
		}
		object.Object["status"] = status
		if err := update(ctx, object); err != nil {
			t.Fatalf("write the first status: %v", err)
		}
	}
	object.Object[change.part] = change.object(t, change.to, name).Object[change.part]
	row{want: change.want}.judge(t, complaints(update(ctx, object)))
}

func readTyped(t *testing.T, c client.Client) {
	t.Helper()
	lists := []client.ObjectList{
		&v1beta1.MetalLBList{}, &v1beta1.IPAddressPoolList{}, &v1beta1.L2AdvertisementList{}, &v1beta1.BGPAdvertisementList{},
		&v1beta1.IPReservationList{}, &v1beta1.AddressQuotaList{}, &v1beta1.AddressProbeList{},
		&v1beta1.BGPPeerList{}, &v1beta2.BGPPeerList{}, &v1beta1.BFDProfileList{}, &v1beta1.CommunityList{}, &v1beta1.FRRSnippetList{},
	}
	for _, list := range lists {
		if err := c.List(t.Context(), list); err != nil {
			t.Errorf("%T: %v", list, err)
		}
		if meta.LenList(list) == 0 {
			t.Errorf("%T is empty", list)
		}
	}
}

// printReservation compares the row that kubectl shows of an IPReservation, without its age.
func printReservation(t *testing.T, c client.Client, config *rest.Config) {
	t.Helper()
	ctx := t.Context()
	reservation := &v1beta1.IPReservation{
		ObjectMeta: metav1.ObjectMeta{Namespace: "metallb-system", Name: "printed"},
		Spec:       v1beta1.IPReservationSpec{Namespace: "shop", ServiceName: "front", Pool: "public", RetainAfterDelete: "24h"},
	}
	if err := c.Create(ctx, reservation); err != nil {
		t.Fatal(err)
	}
	reservation.Status = v1beta1.IPReservationStatus{
		Addresses: []string{"192.0.2.7", "2001:db8::7"}, Services: []string{"front"},
		Conditions: []metav1.Condition{{Type: v1beta1.ConditionReserved, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonReserved, LastTransitionTime: metav1.Now()}},
	}
	if err := c.Status().Update(ctx, reservation); err != nil {
		t.Fatal(err)
	}
	httpClient, err := rest.HTTPClientFor(config)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+"/apis/metallb.io/v1beta1/namespaces/metallb-system/ipreservations/printed", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io")
	response, err := httpClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	table := metav1.Table{}
	if err := json.NewDecoder(response.Body).Decode(&table); err != nil || len(table.Rows) != 1 {
		t.Fatalf("the table has %d rows, error %v", len(table.Rows), err)
	}
	got := map[string]any{}
	for i, column := range table.ColumnDefinitions {
		got[column.Name] = table.Rows[0].Cells[i]
	}
	delete(got, "Age")
	want := map[string]any{
		"Name": "printed", "For Namespace": "shop", "For Service": "front", "Reserved": "True", "Reason": "Reserved",
		"Addresses": `["192.0.2.7","2001:db8::7"]`, "In Use By": `["front"]`, "Pool": "public", "Retain": "24h", "Unused Since": nil,
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("row (-want +got):\n%s", difference)
	}
}

// roundTrip changes the metadata of every stored BGPPeer by reading and writing
// v1beta1, with the Go type and without, and expects spec and status as before.
func roundTrip(t *testing.T, c client.Client) {
	t.Helper()
	ctx := t.Context()
	peers := &v1beta2.BGPPeerList{}
	if err := c.List(ctx, peers); err != nil {
		t.Fatal(err)
	}
	for _, peer := range peers.Items {
		peer.Status.Conditions = []metav1.Condition{{
			Type: v1beta1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonAccepted,
			ObservedGeneration: peer.Generation, LastTransitionTime: metav1.Unix(1_700_000_000, 0),
		}}
		if err := c.Status().Update(ctx, &peer); err != nil {
			t.Fatal(err)
		}
		key := client.ObjectKeyFromObject(&peer)
		t.Run(peer.Name+"/untyped", func(t *testing.T) { roundTripUntyped(t, c, key) })
		t.Run(peer.Name+"/typed", func(t *testing.T) { roundTripTyped(t, c, key) })
	}
}

// roundTripUntyped expects the stored text of the object not to change.
func roundTripUntyped(t *testing.T, c client.Client, key client.ObjectKey) {
	t.Helper()
	get := func(version string) *unstructured.Unstructured {
		object := &unstructured.Unstructured{}
		object.SetAPIVersion("metallb.io/" + version)
		object.SetKind("BGPPeer")
		if err := c.Get(t.Context(), key, object); err != nil {
			t.Fatal(err)
		}
		return object
	}
	before, old := get("v1beta2"), get("v1beta1")
	old.SetAnnotations(map[string]string{"touched": "untyped"})
	if err := c.Update(t.Context(), old); err != nil {
		t.Fatalf("write back v1beta1: %v", err)
	}
	after := get("v1beta2")
	if after.GetAnnotations()["touched"] != "untyped" {
		t.Errorf("the write through v1beta1 did not arrive: %v", after.GetAnnotations())
	}
	for _, part := range []string{"spec", "status"} {
		if difference := cmp.Diff(before.Object[part], after.Object[part]); difference != "" {
			t.Errorf("%s changed (-before +after):\n%s", part, difference)
		}
	}
	if before.GetGeneration() != after.GetGeneration() {
		t.Errorf("generation went from %d to %d", before.GetGeneration(), after.GetGeneration())
	}
}

// roundTripTyped expects what a Go program reads not to change.
func roundTripTyped(t *testing.T, c client.Client, key client.ObjectKey) {
	t.Helper()
	before, after := &v1beta2.BGPPeer{}, &v1beta2.BGPPeer{}
	old := &v1beta1.BGPPeer{} //nolint:staticcheck // the deprecated version is what is tested
	for _, object := range []client.Object{before, old} {
		if err := c.Get(t.Context(), key, object); err != nil {
			t.Fatal(err)
		}
	}
	old.Labels = map[string]string{"touched": "typed"}
	if err := c.Update(t.Context(), old); err != nil {
		t.Fatalf("write back v1beta1: %v", err)
	}
	if err := c.Get(t.Context(), key, after); err != nil {
		t.Fatal(err)
	}
	if after.Labels["touched"] != "typed" {
		t.Errorf("the write through v1beta1 did not arrive: %v", after.Labels)
	}
	if before.Spec.PeerPort == 0 { // stands for the default, and Go leaves zeros out
		before.Spec.PeerPort = v1beta2.DefaultPeerPort
	}
	if difference := cmp.Diff(before.Spec, after.Spec); difference != "" {
		t.Errorf("spec changed (-before +after):\n%s", difference)
	}
	if difference := cmp.Diff(before.Status, after.Status); difference != "" {
		t.Errorf("status changed (-before +after):\n%s", difference)
	}
}

func unsetStaysUnset(t *testing.T, c client.Client) {
	t.Helper()
	ctx := t.Context()
	key := types.NamespacedName{Namespace: "metallb-system", Name: "bare"}
	bare := &v1beta1.BGPPeer{ //nolint:staticcheck // the deprecated version is what is tested
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name},
		Spec:       v1beta1.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1"},
	}
	if err := c.Create(ctx, bare); err != nil {
		t.Fatal(err)
	}
	got := &v1beta2.BGPPeer{}
	if err := c.Get(ctx, key, got); err != nil {
		t.Fatal(err)
	}
	want := v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1", PeerPort: 179}
	if difference := cmp.Diff(want, got.Spec); difference != "" {
		t.Errorf("spec (-want +got):\n%s", difference)
	}
}
