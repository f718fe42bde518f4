package mirror_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// notes keeps one value of each ConfigMap.
type notes struct {
	mu    sync.Mutex
	value map[string]string
}

func (n *notes) Put(o client.Object) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.value[o.GetName()] = o.(*corev1.ConfigMap).Data["value"]
}

func (n *notes) Drop(key types.NamespacedName) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.value, key.Name)
}

func (n *notes) Retain(exist map[types.NamespacedName]bool, _ string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	maps.DeleteFunc(n.value, func(name, _ string) bool {
		return !exist[types.NamespacedName{Namespace: "default", Name: name}]
	})
}

func (n *notes) all() map[string]string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return maps.Clone(n.value)
}

// slim keeps the value alone.
func slim(in any) (any, error) {
	o, ok := in.(*corev1.ConfigMap)
	if !ok {
		return in, nil
	}
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name, ResourceVersion: o.ResourceVersion, Annotations: o.Annotations},
		Data: map[string]string{"value": o.Data["value"]}}, nil
}

func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: no %s", what)
		}
	}
}

func TestGivenObjectsInARealAPIWhenTheyComeChangeAndGoThenTheKeeperFollows(t *testing.T) {
	server := apiserver.Run(t, apiserver.Options{})
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	object := func(name, kind, value string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{"kind": kind}}, Data: map[string]string{"value": value}}
	}
	create := func(name, kind, value string) {
		t.Helper()
		if err := c.Create(t.Context(), object(name, kind, value)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 20 {
		create(fmt.Sprintf("early-%02d", i), "note", "1")
	}
	create("stranger", "other", "1")
	client, err := rest.HTTPClientFor(server.Config())
	if err != nil {
		t.Fatal(err)
	}
	keeper := &notes{value: map[string]string{"left over": "0"}}
	m, err := mirror.New(mirror.API{Config: server.Config(), HTTP: client, Scheme: scheme},
		mirror.Kind{Object: &corev1.ConfigMap{}, Resource: "configmaps", Namespace: "default", Labels: "kind=note", Slim: slim}, keeper)
	if err != nil {
		t.Fatal(err)
	}
	if m.HasSynced() {
		t.Error("synced before it began")
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); m.Start(ctx) }()
	await(t, "first sync", m.HasSynced)
	if got := keeper.all(); len(got) != 20 || got["early-07"] != "1" {
		t.Fatalf("once synced the keeper has %v, wanted the 20 that existed", slices.Sorted(maps.Keys(got)))
	}
	create("late", "note", "1")
	await(t, "new object", func() bool { return keeper.all()["late"] == "1" })
	if err := c.Update(t.Context(), object("early-07", "note", "2")); err != nil {
		t.Fatal(err)
	}
	await(t, "change", func() bool { return keeper.all()["early-07"] == "2" })
	if err := c.Delete(t.Context(), object("early-08", "note", "")); err != nil {
		t.Fatal(err)
	}
	if err := c.Update(t.Context(), object("early-09", "other", "1")); err != nil {
		t.Fatal(err)
	}
	await(t, "end of what was deleted and of what is no longer selected", func() bool { return len(keeper.all()) == 19 })
	cancel()
	<-ended
}
