package operator

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// usualLook is how often it is looked which APIs the cluster has. That is one small request, which everybody may make; to watch definitions would take a
// right in the whole cluster.
const usualLook = 30 * time.Second

// discovered is what the cluster has of the API of the Prometheus operator.
type discovered struct {
	ask func() (manifests.Monitoring, error)

	mu    sync.Mutex
	known bool
	last  manifests.Monitoring
}

func newDiscovered(mgr manager.Manager) (*discovered, error) {
	clients, err := discovery.NewDiscoveryClientForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the discovery of APIs: %w", err)
	}
	return &discovered{ask: func() (manifests.Monitoring, error) { return ask(clients) }}, nil
}

// ask returns what there is now.
func ask(clients discovery.ServerResourcesInterface) (manifests.Monitoring, error) {
	list, err := clients.ServerResourcesForGroupVersion(manifests.MonitoringVersion.String())
	if apierrors.IsNotFound(err) {
		return manifests.Monitoring{}, nil
	}
	if err != nil {
		return manifests.Monitoring{}, fmt.Errorf("ask whether the cluster has %s: %w", manifests.MonitoringVersion, err)
	}
	var m manifests.Monitoring
	for _, resource := range list.APIResources {
		switch resource.Name {
		case "servicemonitors":
			m.ServiceMonitors = true
		case "podmonitors":
			m.PodMonitors = true
		case "prometheusrules":
			m.PrometheusRules = true
		}
	}
	return m, nil
}

// get returns what there was when it was looked last.
func (d *discovered) get() (manifests.Monitoring, error) {
	if d == nil {
		return manifests.Monitoring{}, nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.known {
		return d.last, nil
	}
	var err error
	d.last, err = d.ask()
	d.known = err == nil
	return d.last, err
}

// look asks anew and says whether something has changed.
func (d *discovered) look() (changed bool, err error) {
	now, err := d.ask()
	if err != nil {
		return false, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	changed = !d.known || d.last != now
	d.last, d.known = now, true
	return changed, nil
}

// follower looks for the API, and has the Reconciler called when it comes or goes, and whenever something of it changes while it is there.
type follower struct {
	*discovered
	cache        cache.Cache
	controller   controller.Controller
	every        time.Duration
	installation reconcile.Request
}

// Start looks until ctx ends. What fails is tried again the next time.
func (f *follower) Start(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	if err := f.controller.Watch(source.Func(func(ctx context.Context, q workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
		go func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-wake:
					q.Add(f.installation)
				}
			}
		}()
		return nil
	})); err != nil {
		return fmt.Errorf("follow the API of the Prometheus operator: %w", err)
	}
	watched := map[schema.GroupVersionKind]bool{}
	tick := time.NewTicker(f.every)
	defer tick.Stop()
	for {
		if err := f.follow(ctx, watched, wake); err != nil {
			log.FromContext(ctx).Error(err, "what is made for Prometheus is not looked after; trying again", "event", "monitoringFailed", "retryIn", f.every.String())
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// follow looks once.
func (f *follower) follow(ctx context.Context, watched map[schema.GroupVersionKind]bool, wake chan<- struct{}) error {
	changed, err := f.look()
	if err != nil {
		return err
	}
	now, _ := f.get()
	there := map[schema.GroupVersionKind]bool{}
	for _, kind := range now.Kinds() {
		there[kind] = true
		if watched[kind] {
			continue
		}
		// Metadata tells when an object is deleted, and by its generation when it is edited.
		if err := f.controller.Watch(source.Kind(f.cache, metadataOf(kind), handler.TypedEnqueueRequestsFromMapFunc(f.toInstallation))); err != nil {
			return fmt.Errorf("watch %s: %w", kind.Kind, err)
		}
		watched[kind] = true
	}
	for kind := range watched {
		if there[kind] {
			continue
		}
		if err := f.cache.RemoveInformer(ctx, metadataOf(kind)); err != nil {
			return fmt.Errorf("stop to watch %s: %w", kind.Kind, err)
		}
		delete(watched, kind)
	}
	if changed {
		select {
		case wake <- struct{}{}:
		default: // there is a call to come already
		}
	}
	return nil
}

func (f *follower) toInstallation(context.Context, *metav1.PartialObjectMetadata) []reconcile.Request {
	return []reconcile.Request{f.installation}
}

func metadataOf(kind schema.GroupVersionKind) *metav1.PartialObjectMetadata {
	o := &metav1.PartialObjectMetadata{}
	o.SetGroupVersionKind(kind)
	return o
}
