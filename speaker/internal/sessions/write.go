package sessions

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	klabels "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// How often the object of one session is written at most. What somebody waits for, that a session is up or what is wrong with it, is written at
// once writtenBurst times and then once every writtenEvery; the rest, such as counts of prefixes and the states that a session goes through while
// it cannot be opened, detailBurst times and then once every detailEvery. What is held back is written as it is then.
const (
	writtenBurst = 10
	writtenEvery = 5 * time.Second
	detailBurst  = 4
	detailEvery  = 30 * time.Second
	// writePause is between attempts to write that fail.
	writePause = time.Second
)

// ByObject selects the objects that this node's Reporter writes, for a cache to watch.
func ByObject(nodeName, namespace string) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1beta1.BGPSessionState{}: {
			Namespaces: map[string]cache.Config{namespace: {}},
			Label:      klabels.SelectorFromSet(klabels.Set{v1beta1.LabelNode: label(nodeName)}),
		},
	}
}

// objects are those of this node as the API has them: as its watch tells, or as the answer to a write told earlier.
type objects struct {
	mu     sync.Mutex
	byName map[string]*v1beta1.BGPSessionState
	// gone are those that were deleted here, until the watch tells so.
	gone map[types.UID]bool
	news chan struct{}
}

// put takes in an object unless a newer one is known.
func (o *objects) put(object *v1beta1.BGPSessionState) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.gone[object.UID] {
		return
	}
	if have := o.byName[object.Name]; have != nil && have.UID == object.UID {
		if order, err := resourceversion.CompareResourceVersion(have.ResourceVersion, object.ResourceVersion); err == nil && order >= 0 {
			return
		}
	}
	o.byName[object.Name] = object
	wake(o.news)
}

// drop takes in that an object is deleted; told is true when the watch says so, which it does after everything else about it.
func (o *objects) drop(name string, uid types.UID, told bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if told {
		delete(o.gone, uid)
	} else {
		o.gone[uid] = true
	}
	if have := o.byName[name]; have != nil && have.UID == uid {
		delete(o.byName, name)
		wake(o.news)
	}
}

// all returns them by name.
func (o *objects) all() map[string]*v1beta1.BGPSessionState {
	o.mu.Lock()
	defer o.mu.Unlock()
	return maps.Clone(o.byName)
}

// limits are those of one object.
type limits struct{ written, detail *rate.Limiter }

// writer writes the objects. It belongs to one goroutine.
type writer struct {
	*Reporter
	objects *objects
	owner   []metav1.OwnerReference
	limits  map[string]limits
}

// Write keeps the objects as they should be until ctx ends. The cache watches what ByObject selects, and is started by the caller.
func (r *Reporter) Write(ctx context.Context, watched cache.Cache) error {
	w := &writer{
		Reporter: r, limits: map[string]limits{},
		objects: &objects{byName: map[string]*v1beta1.BGPSessionState{}, gone: map[types.UID]bool{}, news: r.news},
	}
	informer, err := watched.GetInformer(ctx, &v1beta1.BGPSessionState{}, cache.BlockUntilSynced(false))
	if err != nil {
		return fmt.Errorf("watch BGPSessionState: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    w.put,
		UpdateFunc: func(_, now any) { w.put(now) },
		DeleteFunc: func(gone any) {
			if unknown, ok := gone.(toolscache.DeletedFinalStateUnknown); ok {
				gone = unknown.Obj
			}
			if object, ok := gone.(*v1beta1.BGPSessionState); ok {
				w.objects.drop(object.Name, object.UID, true)
			}
		},
	})
	if err != nil {
		return fmt.Errorf("watch BGPSessionState: %w", err)
	}
	if !toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		return nil
	}
	w.run(ctx)
	return nil
}

func (w *writer) put(object any) {
	if o, ok := object.(*v1beta1.BGPSessionState); ok {
		w.objects.put(o)
	}
}

func (w *writer) run(ctx context.Context) {
	failing := false
	for {
		due, err := w.write(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			if due = writePause; !failing {
				w.Log.WarnContext(ctx, "cannot report on BGP sessions; trying again", "op", "publish", "error", err)
			}
		}
		failing = err != nil
		var later <-chan time.Time
		if due > 0 {
			later = time.After(due)
		}
		select {
		case <-ctx.Done():
			return
		case <-w.news:
		case <-later:
		}
	}
}

// write writes what is not as it should be, and returns when to come back for what has to wait, 0 for never.
func (w *writer) write(ctx context.Context) (time.Duration, error) {
	views, seen := w.shown()
	if !seen {
		return 0, nil
	}
	if err := w.findOwner(ctx); err != nil {
		return 0, err
	}
	have := w.objects.all()
	var due time.Duration
	for i := range views {
		v := &views[i]
		called := name(w.Node, v.key)
		wait, err := w.bring(ctx, called, v, have[called])
		if err != nil {
			return 0, err
		}
		if wait > 0 && (due == 0 || wait < due) {
			due = wait
		}
		delete(have, called)
	}
	for _, called := range slices.Sorted(maps.Keys(have)) {
		if err := client.IgnoreNotFound(w.Client.Delete(ctx, have[called])); err != nil {
			return 0, fmt.Errorf("delete BGPSessionState %s: %w", called, err)
		}
		w.objects.drop(called, have[called].UID, false)
		delete(w.limits, called)
	}
	return due, nil
}

// findOwner finds the speaker's pod, once: it keeps its UID.
func (w *writer) findOwner(ctx context.Context) error {
	if w.Pod == "" || w.owner != nil {
		return nil
	}
	var pod corev1.Pod
	err := w.Client.Get(ctx, types.NamespacedName{Namespace: w.Namespace, Name: w.Pod}, &pod)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read pod %s, the owner of status objects: %w", w.Pod, err)
	}
	w.owner = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}
	return nil
}

// bring makes the object of a session say what there is to say, and returns how long that has to wait, 0 for not.
func (w *writer) bring(ctx context.Context, called string, v *view, have *v1beta1.BGPSessionState) (time.Duration, error) {
	limits := w.limitsOf(called)
	if have == nil {
		if wait := reserve(limits.written); wait > 0 {
			return wait, nil
		}
		have = &v1beta1.BGPSessionState{ObjectMeta: metav1.ObjectMeta{
			Namespace: w.Namespace, Name: called, Labels: labels(w.Node, v.key), OwnerReferences: w.owner,
		}}
		if err := w.create(ctx, have); err != nil {
			return 0, err
		}
	}
	have, err := w.adopt(ctx, have, labels(w.Node, v.key))
	if err != nil {
		return 0, err
	}
	status := v.status(w.Node, &have.Status)
	if equality.Semantic.DeepEqual(status, have.Status) {
		return 0, nil
	}
	limit := limits.written
	if says(&status, &have.Status) {
		limit = limits.detail
	}
	if wait := reserve(limit); wait > 0 {
		return wait, nil
	}
	next := have.DeepCopy()
	next.Status = status
	if err := w.Client.Status().Patch(ctx, next, client.MergeFrom(have)); err != nil {
		return 0, w.failed(err, have)
	}
	w.objects.put(next)
	return 0, nil
}

// create creates an object. One that has lost the labels by which it is watched is there already.
func (w *writer) create(ctx context.Context, object *v1beta1.BGPSessionState) error {
	err := w.Client.Create(ctx, object)
	if apierrors.IsAlreadyExists(err) {
		err = w.Client.Get(ctx, client.ObjectKeyFromObject(object), object)
	}
	if err != nil {
		return fmt.Errorf("create BGPSessionState %s: %w", object.Name, err)
	}
	w.objects.put(object)
	return nil
}

// adopt gives the object of an earlier pod of this node this one as owner, and returns what it is then.
func (w *writer) adopt(ctx context.Context, have *v1beta1.BGPSessionState, labels map[string]string) (*v1beta1.BGPSessionState, error) {
	next := have.DeepCopy()
	if len(w.owner) > 0 {
		next.OwnerReferences = w.owner
	}
	if next.Labels == nil {
		next.Labels = map[string]string{}
	}
	maps.Copy(next.Labels, labels)
	if equality.Semantic.DeepEqual(have, next) {
		return have, nil
	}
	if err := w.Client.Patch(ctx, next, client.MergeFrom(have)); err != nil {
		return nil, w.failed(err, have)
	}
	w.objects.put(next)
	return next, nil
}

// failed says what went wrong. An object that is gone is made anew.
func (w *writer) failed(err error, have *v1beta1.BGPSessionState) error {
	if apierrors.IsNotFound(err) {
		w.objects.drop(have.Name, have.UID, false)
	}
	return fmt.Errorf("write BGPSessionState %s: %w", have.Name, err)
}

func (w *writer) limitsOf(called string) limits {
	l, ok := w.limits[called]
	if !ok {
		l = limits{rate.NewLimiter(rate.Every(writtenEvery), writtenBurst), rate.NewLimiter(rate.Every(detailEvery), detailBurst)}
		w.limits[called] = l
	}
	return l
}

// reserve takes one of what a limit allows, or returns when there is one.
func reserve(l *rate.Limiter) time.Duration {
	r := l.Reserve()
	wait := r.Delay()
	if wait > 0 {
		r.Cancel()
	}
	return wait
}
