package service

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/util/workqueue"
)

const (
	// writers is how many writes are under way at a time: enough to keep an API server busy during a burst.
	writers = 12
	// writeTimeout is less than the time between the moment when this program stops to lead and the moment when another one may begin, so
	// that no write of the old leader comes after one of the new.
	writeTimeout = 4 * time.Second
	// minorDelay is how long a write that changes no address waits: what is undone within that time is never written.
	minorDelay = time.Second
	// minorRate is how many writes that change no address are made in a second, so that they do not get in the way of those that do.
	minorRate = 200
)

// write is one write of a Service's status.
type write struct {
	uid   types.UID
	patch []byte
}

// result is how a write ended: the resource version that it led to, or an error.
type result struct {
	version string
	err     error
}

// patcher has the API server change a Service by a strategic merge patch for its status, and returns the resource version that this led to.
type patcher func(ctx context.Context, key types.NamespacedName, patch []byte) (version string, err error)

// patchThrough returns a patcher that uses a client for metadata: of the answer only that is asked for, and of that only the resource
// version used. The client of the manager would look the kind up in the API's mapping each time.
func patchThrough(c metadata.Interface) patcher {
	services := c.Resource(corev1.SchemeGroupVersion.WithResource("services"))
	return func(ctx context.Context, key types.NamespacedName, patch []byte) (string, error) {
		answer, err := services.Namespace(key.Namespace).Patch(ctx, key.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
		if err != nil {
			return "", err
		}
		return answer.ResourceVersion, nil
	}
}

// writer makes writes beside the worker, at most one at a time for each Service; of several wanted for one Service meanwhile only the
// last is made.
type writer struct {
	patch patcher
	done  inbox
	queue workqueue.TypedDelayingInterface[types.NamespacedName]
	minor *rate.Limiter

	mu      sync.Mutex
	jobs    map[types.NamespacedName]write
	results map[types.NamespacedName]result
	busy    int
}

func newWriter(patch patcher, done inbox) *writer {
	return &writer{
		patch:   patch,
		done:    done,
		queue:   workqueue.NewTypedDelayingQueue[types.NamespacedName](),
		minor:   rate.NewLimiter(minorRate, 1),
		jobs:    map[types.NamespacedName]write{},
		results: map[types.NamespacedName]result{},
	}
}

// put has a write made: at once, or some time later for a minor one. It replaces any that has not begun.
func (w *writer) put(key types.NamespacedName, job write, how difference) {
	w.mu.Lock()
	w.jobs[key] = job
	delete(w.results, key)
	w.mu.Unlock()
	if how == major {
		w.queue.Add(key)
		return
	}
	w.queue.AddAfter(key, minorDelay+w.minor.Reserve().Delay())
}

// drop forgets a write that has not begun, and the result of one that has ended. It returns whether there was one to forget.
func (w *writer) drop(key types.NamespacedName) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, waiting := w.jobs[key]
	delete(w.jobs, key)
	delete(w.results, key)
	return waiting
}

// result returns, once, how the last write of a Service ended, if it has.
func (w *writer) result(key types.NamespacedName) (result, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	res, ok := w.results[key]
	delete(w.results, key)
	return res, ok
}

// idle tells that no write of addresses is under way or waiting.
func (w *writer) idle() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.busy == 0 && w.queue.Len() == 0
}

// Start makes writes until ctx ends, and returns when the last one has ended.
func (w *writer) Start(ctx context.Context) error {
	var running sync.WaitGroup
	for range writers {
		running.Go(func() {
			for w.next(ctx) {
			}
		})
	}
	<-ctx.Done()
	w.queue.ShutDown()
	running.Wait()
	return nil
}

// NeedLeaderElection makes the manager start it only on the leader.
func (w *writer) NeedLeaderElection() bool { return true }

func (w *writer) next(ctx context.Context) bool {
	key, shutdown := w.queue.Get()
	if shutdown {
		return false
	}
	defer w.queue.Done(key)
	w.mu.Lock()
	job, ok := w.jobs[key]
	delete(w.jobs, key)
	if ok {
		w.busy++
	}
	w.mu.Unlock()
	if !ok || ctx.Err() != nil {
		return true
	}
	res := w.make(ctx, key, job)
	w.mu.Lock()
	w.busy--
	if _, again := w.jobs[key]; !again {
		w.results[key] = res
	}
	w.mu.Unlock()
	w.done.put(ctx, serviceWork(key))
	return true
}

// make carries out one write; one that has begun is not broken off, so that its outcome is known.
func (w *writer) make(ctx context.Context, key types.NamespacedName, job write) result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	version, err := w.patch(ctx, key, job.patch)
	return result{version: version, err: err}
}
