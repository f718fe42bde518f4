// Package mirror follows the API's objects of one kind for somebody who keeps only what matters of each. An informer would keep every object
// whole, with indexes beside it; of kinds that there are thousands of, on every node, that is most of a speaker's memory.
package mirror

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
)

// Keeper keeps what matters of the objects of one kind. Its methods are called by one goroutine.
type Keeper interface {
	// Put takes in an object as it is now.
	Put(client.Object)
	// Drop forgets an object that is gone.
	Drop(types.NamespacedName)
	// Retain forgets the objects that are not among those that exist, as of a resource version.
	Retain(exist map[types.NamespacedName]bool, resourceVersion string)
}

// Kind is a kind of objects to follow, or a part of it.
type Kind struct {
	// Object is an empty object of the kind, and Resource the name that its path in the API has.
	Object   client.Object
	Resource string
	// Namespace is the one to follow, "" for all. Labels select the objects, "" for all.
	Namespace, Labels string
	// Slim drops what the Keeper does not look at, so that little is held while a list is on its way. It may be given an object twice.
	Slim toolscache.TransformFunc
}

// Mirror follows a Kind.
type Mirror struct {
	reflector *toolscache.Reflector
	store     *store
}

// API is how to reach the API.
type API struct {
	Config *rest.Config
	// HTTP is shared by all Mirrors, so that they share a connection.
	HTTP   *http.Client
	Scheme *runtime.Scheme
}

// New returns a Mirror that does not follow yet.
func New(api API, kind Kind, keeper Keeper) (*Mirror, error) {
	gvk, err := apiutil.GVKForObject(kind.Object, api.Scheme)
	if err != nil {
		return nil, fmt.Errorf("name the kind of %T: %w", kind.Object, err)
	}
	c, err := apiutil.RESTClientForGVK(gvk, false, false, api.Config, serializer.NewCodecFactory(api.Scheme), api.HTTP)
	if err != nil {
		return nil, fmt.Errorf("make a client for %s: %w", kind.Resource, err)
	}
	selected := func(o *metav1.ListOptions) { o.LabelSelector = kind.Labels }
	s := &store{kind: kind, keeper: keeper}
	from := toolscache.NewFilteredListWatchFromClient(c, kind.Resource, kind.Namespace, selected)
	return &Mirror{store: s, reflector: toolscache.NewReflectorWithOptions(from, kind.Object, s, toolscache.ReflectorOptions{Name: kind.Resource})}, nil
}

// Start follows until ctx ends. While the API is away, the Keeper keeps what it has.
func (m *Mirror) Start(ctx context.Context) { m.reflector.RunWithContext(ctx) }

// HasSynced tells whether the Keeper has been given everything that existed at the start.
func (m *Mirror) HasSynced() bool { return m.store.synced.Load() }

// store is what a Reflector fills.
type store struct {
	kind   Kind
	keeper Keeper
	synced atomic.Bool
}

var _ toolscache.TransformingStore = (*store)(nil)

// Add implements toolscache.ReflectorStore.
func (s *store) Add(obj any) error { return s.Update(obj) }

// Update implements toolscache.ReflectorStore.
func (s *store) Update(obj any) error {
	slim, err := s.kind.Slim(obj)
	if err != nil {
		return fmt.Errorf("take what matters of one of %s: %w", s.kind.Resource, err)
	}
	o, ok := slim.(client.Object)
	if !ok {
		return fmt.Errorf("%T among %s is no object", obj, s.kind.Resource)
	}
	s.keeper.Put(o)
	return nil
}

// Delete implements toolscache.ReflectorStore.
func (s *store) Delete(obj any) error {
	o, ok := obj.(client.Object)
	if !ok {
		return fmt.Errorf("%T among %s is no object", obj, s.kind.Resource)
	}
	s.keeper.Drop(client.ObjectKeyFromObject(o))
	return nil
}

// Replace implements toolscache.ReflectorStore: list is everything there is.
func (s *store) Replace(list []any, resourceVersion string) error {
	exist := make(map[types.NamespacedName]bool, len(list))
	for _, obj := range list {
		if err := s.Update(obj); err != nil {
			return err
		}
		if o, ok := obj.(client.Object); ok {
			exist[client.ObjectKeyFromObject(o)] = true
		}
	}
	s.keeper.Retain(exist, resourceVersion)
	s.synced.Store(true)
	return nil
}

// Resync implements toolscache.ReflectorStore.
func (s *store) Resync() error { return nil }

// Transformer implements toolscache.TransformingStore.
func (s *store) Transformer() toolscache.TransformFunc { return s.kind.Slim }
