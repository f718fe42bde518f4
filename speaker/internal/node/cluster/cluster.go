package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// Options say what a Cluster looks at.
type Options struct {
	// Namespace is the one with the configuration.
	Namespace string
	// Classes say which Services count.
	Classes kubeview.Classes
	// Layer2Exclude are the states of nodes in which they are the last to answer for addresses on layer 2: announce.NodeInfo.Impaired.
	Layer2Exclude []kubeview.Impairment
	// Drain is when a node gives up its BGP routes in order: announce.NodeInfo.Draining.
	Drain kubeview.DrainOn
	// Listens tells that the nodes accept BGP sessions which routers open.
	Listens bool
	// Trigger is pulled whenever a Gather may give something new.
	Trigger node.Trigger
}

// Cluster is a node.Source over informers and mirrors. Their events only say what to look at again; what is gathered is always made of the
// objects as they are then.
type Cluster struct {
	Options
	cache         cache.Cache
	registrations []toolscache.ResourceEventHandlerRegistration
	objects       *objects
	mirrors       []*mirror.Mirror

	updates atomic.Uint64
	mu      sync.Mutex
	pending pending

	// Owned by the goroutine that gathers.
	view     node.View
	services services
}

// pending is what changed since the last Gather.
type pending struct {
	config, nodes bool
	services      map[ipam.ServiceKey]struct{}
}

// New returns a Cluster over c, which has CacheOptions and is not started yet, and mirrors of its own. It returns when all informers exist;
// the first events come once the cache and the Cluster start.
func New(ctx context.Context, c cache.Cache, api mirror.API, o Options) (*Cluster, error) {
	cl := newCluster(o)
	cl.cache = c
	for _, kind := range append(ConfigKinds(), &corev1.Node{}, &corev1.Secret{}, &corev1.ConfigMap{}) {
		informer, err := c.GetInformer(ctx, kind, cache.BlockUntilSynced(false))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
		registration, err := informer.AddEventHandler(cl.handler(kind))
		if err != nil {
			return nil, fmt.Errorf("watch %T: %w", kind, err)
		}
		cl.registrations = append(cl.registrations, registration)
	}
	for _, m := range []struct {
		kind   mirror.Kind
		keeper mirror.Keeper
	}{
		{mirror.Kind{Object: &corev1.Service{}, Resource: "services", Slim: slimService}, asServices{cl.objects}},
		{mirror.Kind{Object: &discoveryv1.EndpointSlice{}, Resource: "endpointslices", Slim: slimEndpointSlice}, asSlices{cl.objects}},
	} {
		one, err := mirror.New(api, m.kind, m.keeper)
		if err != nil {
			return nil, fmt.Errorf("watch %s: %w", m.kind.Resource, err)
		}
		cl.mirrors = append(cl.mirrors, one)
	}
	return cl, nil
}

func newCluster(o Options) *Cluster {
	c := &Cluster{Options: o, pending: pending{config: true, nodes: true, services: map[ipam.ServiceKey]struct{}{}}}
	c.objects = newObjects(o.Classes, func() { c.updates.Add(1) }, func(key ipam.ServiceKey) {
		c.mark(func(p *pending) { p.services[key] = struct{}{} })
		c.Trigger.Pull()
	})
	return c
}

// Start follows Services and EndpointSlices until ctx ends.
func (c *Cluster) Start(ctx context.Context) error {
	var mirrors sync.WaitGroup
	for _, m := range c.mirrors {
		mirrors.Go(func() { m.Start(ctx) })
	}
	mirrors.Wait()
	return nil
}

// WaitForSync returns true once every object that existed at the start has been seen.
func (c *Cluster) WaitForSync(ctx context.Context) bool {
	return c.cache.WaitForCacheSync(ctx) && waitFor(ctx, c.HasSynced)
}

func waitFor(ctx context.Context, done func() bool) bool {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// HasSynced tells whether every object that existed at the start has been seen.
func (c *Cluster) HasSynced() bool {
	return !slices.ContainsFunc(c.registrations, func(r toolscache.ResourceEventHandlerRegistration) bool { return !r.HasSynced() }) &&
		!slices.ContainsFunc(c.mirrors, func(m *mirror.Mirror) bool { return !m.HasSynced() })
}

// Updates counts the events from the API so far.
func (c *Cluster) Updates() uint64 { return c.updates.Load() }

// Gather returns the present state. The work it takes grows with what changed since the last call, not with what exists.
func (c *Cluster) Gather(ctx context.Context) (node.View, error) {
	c.mu.Lock()
	todo := c.pending
	c.pending = pending{services: map[ipam.ServiceKey]struct{}{}}
	c.mu.Unlock()
	if err := c.gather(ctx, todo); err != nil {
		c.mark(func(p *pending) { // so that the next try looks at all of it again
			p.config, p.nodes = p.config || todo.config, p.nodes || todo.nodes
			for key := range todo.services {
				p.services[key] = struct{}{}
			}
		})
		return node.View{}, err
	}
	return c.view, nil
}

func (c *Cluster) gather(ctx context.Context, todo pending) error {
	view, news := c.view, false
	if todo.config || todo.nodes {
		objects, err := kubeview.ReadForNode(ctx, c.cache, c.Namespace)
		if err != nil {
			return err
		}
		news = true
		view.ConfigVersion++
		objects.Listens = c.Listens
		view.Raw = kubeview.Raw(objects)
		if todo.nodes {
			view.Nodes = c.nodes(objects.Nodes)
		}
	}
	if matters := c.services.refresh(c.objects, todo.services); news || matters {
		view.Version++
		view.Services = c.services
	}
	c.view = view
	return nil
}

func (c *Cluster) mark(what func(*pending)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	what(&c.pending)
}
