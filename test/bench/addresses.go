package bench

import (
	"context"
	"fmt"
	"maps"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
)

// Addressed is a Service's first address and when its status was seen with it.
type Addressed struct {
	Address netip.Addr
	Time    time.Time
}

// Addresses are the addresses of the Services of a namespace, as a watch tells of them.
type Addresses struct {
	mu sync.Mutex
	// exist are all Services, have those with an address.
	exist  map[string]bool
	have   map[string]Addressed
	err    error
	wakeup wakeup
}

// FollowAddresses follows the Services of a namespace, which has none yet, until ctx ends.
func FollowAddresses(ctx context.Context, c kubernetes.Interface, namespace string) (*Addresses, error) {
	// From what the API server has in its cache on, as informers do: asked for the latest state, a watch waits for etcd's next change.
	list, err := c.CoreV1().Services(namespace).List(ctx, metav1.ListOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("list Services: %w", err)
	}
	a := &Addresses{exist: map[string]bool{}, have: map[string]Addressed{}, wakeup: newWakeup()}
	go a.follow(ctx, c, namespace, list.ResourceVersion)
	return a, nil
}

// follow takes events from a version on. The API server ends watches whose readers a busy machine keeps from reading; they begin again
// with the version that they had come to.
func (a *Addresses) follow(ctx context.Context, c kubernetes.Interface, namespace, version string) {
	for ctx.Err() == nil {
		w, err := c.CoreV1().Services(namespace).Watch(ctx, metav1.ListOptions{ResourceVersion: version, AllowWatchBookmarks: true})
		if err != nil {
			a.fail(fmt.Errorf("watch Services: %w", err))
			return
		}
		for event := range w.ResultChan() {
			svc, ok := event.Object.(*corev1.Service)
			if !ok {
				a.fail(fmt.Errorf("the watch of Services says %s: %v", event.Type, event.Object))
				w.Stop()
				return
			}
			version = svc.ResourceVersion
			a.take(event.Type, svc, time.Now())
		}
	}
}

func (a *Addresses) take(what watch.EventType, svc *corev1.Service, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	defer a.wakeup.wake()
	if what == watch.Bookmark {
		return
	}
	if what == watch.Deleted {
		delete(a.exist, svc.Name)
		delete(a.have, svc.Name)
		return
	}
	a.exist[svc.Name] = true
	if _, known := a.have[svc.Name]; known || len(svc.Status.LoadBalancer.Ingress) == 0 {
		return
	}
	address, err := netip.ParseAddr(svc.Status.LoadBalancer.Ingress[0].IP)
	if err != nil {
		a.err = fmt.Errorf("status of Service %s: %w", svc.Name, err)
		return
	}
	a.have[svc.Name] = Addressed{address, at}
}

func (a *Addresses) fail(err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.err = err
	a.wakeup.wake()
}

func (a *Addresses) until(ctx context.Context, what string, holds func() bool) error {
	for {
		a.mu.Lock()
		done, err, changed := holds(), a.err, a.wakeup.changed
		exist, have := len(a.exist), len(a.have)
		a.mu.Unlock()
		if done || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s, with %d Services of which %d have one: %w", what, exist, have, context.Cause(ctx))
		}
	}
}

// Of waits until the Service has an address.
func (a *Addresses) Of(ctx context.Context, service string) (at Addressed, err error) {
	err = a.until(ctx, "the address of "+service, func() bool {
		var ok bool
		at, ok = a.have[service]
		return ok
	})
	return at, err
}

// Count waits until n Services exist and all of them have an address.
func (a *Addresses) Count(ctx context.Context, n int) error {
	return a.until(ctx, fmt.Sprintf("%d addresses", n), func() bool { return len(a.have) == n && len(a.exist) == n })
}

// Gone waits until the Service does not exist, or none does where the name is "".
func (a *Addresses) Gone(ctx context.Context, service string) error {
	return a.until(ctx, "the end of Services", func() bool { return !a.exist[service] && (service != "" || len(a.exist) == 0) })
}

// Times returns when each Service was seen to have its address.
func (a *Addresses) Times() map[string]Addressed {
	a.mu.Lock()
	defer a.mu.Unlock()
	return maps.Clone(a.have)
}
