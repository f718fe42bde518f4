// Package addressprobe answers AddressProbe objects: the controller's questions to this node whether anybody on its networks has an address.
package addressprobe

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
)

const (
	// atOnce is how many objects are worked on at the same time: each takes less than a second and up to two sockets for every link.
	atOnce = 16
	// firstPause and lastPause are between attempts to write an answer, growing while they fail.
	firstPause = 100 * time.Millisecond
	lastPause  = 10 * time.Second
)

// Options are what an Answerer works with.
type Options struct {
	// Node is the name of this node.
	Node string
	// Cache watches the objects that ByObject selects. It is not started yet.
	Cache cache.Cache
	// Client writes the answers.
	Client client.Client
	// Ask finds out about addresses, as probe.Ask does.
	Ask func(context.Context, []netip.Addr) []probe.Result
	Log *slog.Logger
}

// ByObject selects the questions to a node, for a cache to watch: no node hears of those to others.
func ByObject(node, namespace string) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1beta1.AddressProbe{}: {
			Namespaces: map[string]cache.Config{namespace: {}},
			Field:      fields.OneTermEqualSelector("spec.node", node),
			Transform:  cache.TransformStripManagedFields(),
		},
	}
}

// Answerer answers each question once. Without questions it does nothing.
type Answerer struct {
	Options
	slots chan struct{}

	mu sync.Mutex
	// taken are the questions that exist and that this Answerer has noticed: their answers are not its concern any more, also before the
	// watch shows them.
	taken map[types.UID]struct{}
	// waiting are those of them that nobody works on yet.
	waiting []*v1beta1.AddressProbe
	news    chan struct{}
}

// New returns an Answerer that notices questions from the start of the cache on, and answers them while Start runs.
func New(ctx context.Context, o Options) (*Answerer, error) {
	a := &Answerer{Options: o, slots: make(chan struct{}, atOnce), taken: map[types.UID]struct{}{}, news: make(chan struct{}, 1)}
	informer, err := o.Cache.GetInformer(ctx, &v1beta1.AddressProbe{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch AddressProbes: %w", err)
	}
	_, err = informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    a.notice,
		UpdateFunc: func(_, now any) { a.notice(now) },
		DeleteFunc: a.forget,
	})
	if err != nil {
		return nil, fmt.Errorf("watch AddressProbes: %w", err)
	}
	return a, nil
}

func (a *Answerer) notice(obj any) {
	o, ok := obj.(*v1beta1.AddressProbe)
	if !ok || o.Spec.Node != a.Node || o.Status.CompletedAt != nil || o.DeletionTimestamp != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if _, ok := a.taken[o.UID]; ok {
		return
	}
	a.taken[o.UID] = struct{}{}
	a.waiting = append(a.waiting, o)
	select {
	case a.news <- struct{}{}:
	default:
	}
}

func (a *Answerer) forget(obj any) {
	if tombstone, ok := obj.(toolscache.DeletedFinalStateUnknown); ok {
		obj = tombstone.Obj
	}
	if o, ok := obj.(*v1beta1.AddressProbe); ok {
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.taken, o.UID)
	}
}

// Start answers until ctx ends, and returns when nothing is being asked any more. A question that is not answered by then is one for the next
// speaker of the node.
func (a *Answerer) Start(ctx context.Context) error {
	var tasks sync.WaitGroup
	defer tasks.Wait()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.news:
		}
		a.mu.Lock()
		begin := a.waiting
		a.waiting = nil
		a.mu.Unlock()
		for _, o := range begin {
			tasks.Go(func() { a.answer(ctx, o) })
		}
	}
}

func (a *Answerer) answer(ctx context.Context, o *v1beta1.AddressProbe) {
	select {
	case <-ctx.Done():
		return
	case a.slots <- struct{}{}:
	}
	results := resultsOf(ctx, o.Spec.Addresses, a.Ask)
	<-a.slots
	if ctx.Err() != nil {
		return
	}
	level := slog.LevelDebug
	for _, r := range results {
		if r.State == v1beta1.AddressProbeInUse || r.State == v1beta1.AddressProbeFailed {
			level = slog.LevelInfo
		}
	}
	a.Log.Log(ctx, level, "asked for addresses", "op", "addressProbe", "addressProbe", o.Name, "results", summary(results))
	a.write(ctx, o, v1beta1.AddressProbeStatus{CompletedAt: new(metav1.Now()), Results: results})
}

// write stores an answer, trying until that is done or nobody wants it any more.
func (a *Answerer) write(ctx context.Context, o *v1beta1.AddressProbe, status v1beta1.AddressProbeStatus) {
	// It must not get into another object that has the name by now. The UID in a merge patch of a status is overlooked.
	content, err := json.Marshal([]map[string]any{
		{"op": "test", "path": "/metadata/uid", "value": o.UID},
		{"op": "add", "path": "/status", "value": status},
	})
	if err != nil {
		a.Log.ErrorContext(ctx, "cannot encode the answer to an AddressProbe", "op", "addressProbe", "addressProbe", o.Name, "error", err)
		return
	}
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		to := &v1beta1.AddressProbe{ObjectMeta: metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name}}
		err := a.Client.Status().Patch(ctx, to, client.RawPatch(types.JSONPatchType, content))
		switch {
		case err == nil, ctx.Err() != nil, apierrors.IsNotFound(err):
			return
		case apierrors.IsInvalid(err): // as well when the object is another one
			a.Log.WarnContext(ctx, "the answer to an AddressProbe is refused", "op", "addressProbe", "addressProbe", o.Name, "error", err)
			return
		case pause == firstPause:
			a.Log.WarnContext(ctx, "cannot write the answer to an AddressProbe; trying again", "op", "addressProbe", "addressProbe", o.Name, "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}
