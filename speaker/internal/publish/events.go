package publish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Reasons of events on Services. The first two are those that MetalLB's users know.
const (
	eventAssigned      = "nodeAssigned"
	eventFailed        = "announceFailed"
	eventConflict      = "addressConflict"
	eventConflictEnded = "addressConflictEnded"
)

const (
	// component is what events say they come from.
	component = "metallb-speaker"
	// maxEvents is how many events wait at most; beyond it the oldest are dropped. What they say is in the log.
	maxEvents = 5000
	// eventPatience is how long an event waits at most for status objects to be written, eventPoll how often it looks.
	eventPatience = 20 * time.Second
	eventPoll     = 50 * time.Millisecond
	// eventAge is how long it is tried to send an event.
	eventAge = 5 * time.Minute
	// maxMessage is the longest message of an event, in bytes.
	maxMessage = 1024
)

// note is what an event on a Service tells, or one on a ConfigurationState.
type note struct {
	service ipam.ServiceKey
	// state names the ConfigurationState that it is about; then there is no service.
	state           types.NamespacedName
	warning         bool
	reason, message string
	// protocol is for the log; "" is layer 2.
	protocol announce.Protocol
	// logged says that it is for the log alone.
	logged bool
}

// eventSender sends notes as events, one after the other, when there is nothing more urgent to write. The same again within a while is counted in the
// event that there is, and who has very much to say about one Service is cut short, as client-go does it.
type eventSender struct {
	client     client.Client
	node       string
	log        *slog.Logger
	correlator *record.EventCorrelator
	// busy tells whether there is something more urgent.
	busy func() bool

	mu    sync.Mutex
	queue []pending
	wake  chan struct{}
}

// object is what the note is about.
func (n *note) object() (kind schema.GroupVersionKind, key types.NamespacedName) {
	if n.state != (types.NamespacedName{}) {
		return v1beta1.GroupVersion.WithKind("ConfigurationState"), n.state
	}
	return corev1.SchemeGroupVersion.WithKind("Service"), types.NamespacedName{Namespace: n.service.Namespace, Name: n.service.Name}
}

// pending is a note that waits to be sent.
type pending struct {
	note
	since time.Time
	// event is what to send, nil before that is known; patch the change that makes it of the one there is.
	event *corev1.Event
	patch []byte
}

func newEventSender(c client.Client, node string, log *slog.Logger) *eventSender {
	return &eventSender{
		client: c, node: node, log: log, correlator: record.NewEventCorrelatorWithOptions(record.CorrelatorOptions{}),
		wake: make(chan struct{}, 1),
	}
}

// put has notes sent.
func (e *eventSender) put(notes ...note) {
	e.mu.Lock()
	for _, n := range notes {
		if !n.logged {
			e.queue = append(e.queue, pending{note: n, since: time.Now()})
		}
	}
	e.queue = e.queue[max(0, len(e.queue)-maxEvents):]
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

func (e *eventSender) take() (pending, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		e.queue = nil
		return pending{}, false
	}
	n := e.queue[0]
	e.queue = e.queue[1:]
	return n, true
}

// run sends until ctx ends.
func (e *eventSender) run(ctx context.Context) {
	for {
		n, ok := e.take()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-e.wake:
			}
			continue
		}
		for pause := firstPause; ; pause = min(2*pause, lastPause) {
			if !e.await(ctx, n.since) {
				return
			}
			err := e.send(ctx, &n)
			if err == nil || ctx.Err() != nil {
				break
			}
			if time.Since(n.since) > eventAge || !again(err) {
				kind, key := n.object()
				e.log.WarnContext(ctx, "cannot write an event", "op", "publish", "kind", kind.Kind, "object", key.String(), "reason", n.reason, "error", err)
				break
			}
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}
}

// await returns true once there is nothing more urgent, or an event as old as that has waited for long enough; false when ctx ends.
func (e *eventSender) await(ctx context.Context, since time.Time) bool {
	for e.busy() && time.Since(since) < eventPatience {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(eventPoll):
		}
	}
	return ctx.Err() == nil
}

// again tells whether it is worth trying again after an error.
func again(err error) bool {
	return !apierrors.IsForbidden(err) && !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err)
}

// send writes one event, unless there is nobody to tell because the object is gone, or too much was told.
func (e *eventSender) send(ctx context.Context, n *pending) error {
	if n.event == nil {
		if wanted, err := e.prepare(ctx, n); err != nil || !wanted {
			return err
		}
	}
	var err error
	if n.patch != nil {
		err = e.client.Patch(ctx, n.event, client.RawPatch(types.StrategicMergePatchType, n.patch))
	}
	if n.patch == nil || apierrors.IsNotFound(err) { // the first, or the one before has expired
		n.patch, n.event.ResourceVersion = nil, ""
		err = e.client.Create(ctx, n.event)
	}
	if err != nil {
		kind, key := n.object()
		return fmt.Errorf("write an event on %s %s: %w", kind.Kind, key, err)
	}
	e.correlator.UpdateState(n.event)
	return nil
}

// prepare finds out what to send, and whether anything.
func (e *eventSender) prepare(ctx context.Context, n *pending) (wanted bool, err error) {
	kind, key := n.object()
	about := &metav1.PartialObjectMetadata{}
	about.SetGroupVersionKind(kind)
	// Who shows the events of an object looks for its UID.
	err = e.client.Get(ctx, key, about)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s %s, which an event is about: %w", kind.Kind, key, err)
	}
	result, err := e.correlator.EventCorrelate(e.event(n, about))
	if err != nil {
		return false, fmt.Errorf("compare an event on %s %s with earlier ones: %w", kind.Kind, key, err)
	}
	if result.Skip {
		return false, nil
	}
	if n.event = result.Event; n.event.Count > 1 {
		n.patch = result.Patch
	}
	return true, nil
}

func (e *eventSender) event(n *pending, about *metav1.PartialObjectMetadata) *corev1.Event {
	level := corev1.EventTypeNormal
	if n.warning {
		level = corev1.EventTypeWarning
	}
	kind, key := n.object()
	at := metav1.NewTime(n.since)
	return &corev1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: fmt.Sprintf("%s.%x", key.Name, time.Now().UnixNano())},
		InvolvedObject: corev1.ObjectReference{
			APIVersion: kind.GroupVersion().String(), Kind: kind.Kind, Namespace: key.Namespace, Name: key.Name, UID: about.UID,
			ResourceVersion: about.ResourceVersion,
		},
		Type: level, Reason: n.reason, Message: cut(n.message, maxMessage),
		FirstTimestamp: at, LastTimestamp: at, Count: 1,
		Source: corev1.EventSource{Component: component, Host: e.node}, ReportingController: component, ReportingInstance: e.node,
	}
}
