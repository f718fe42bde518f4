package service

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/events"
)

const (
	// eventRate and eventBurst limit how many events are sent in a second: an event is a write like any other for the API server.
	eventRate  = 100
	eventBurst = 10
	// eventPatience is how long an event waits at most for the writes of addresses to be through, eventCalm how long these must have been
	// through, and eventPoll how often it looks.
	eventPatience = time.Minute
	eventCalm     = 300 * time.Millisecond
	eventPoll     = 50 * time.Millisecond
	// maxEvents is how many events wait at most; beyond it the oldest are dropped. Their lines are in the log.
	maxEvents = 20000
)

// eventSender sends events when there is nothing more urgent to write.
type eventSender struct {
	recorder events.EventRecorder
	// idle tells that there is nothing more urgent.
	idle  func() bool
	limit *rate.Limiter
	// calm is how long there has been nothing more urgent, as far as the sender has looked.
	calm time.Duration

	mu    sync.Mutex
	queue []pendingEvent
	wake  chan struct{}
}

type pendingEvent struct {
	about *corev1.ObjectReference
	note  note
	since time.Time
}

func newEventSender(recorder events.EventRecorder, idle func() bool) *eventSender {
	return &eventSender{recorder: recorder, idle: idle, limit: rate.NewLimiter(eventRate, eventBurst), wake: make(chan struct{}, 1)}
}

// put has a note sent as an event on an object.
func (s *eventSender) put(about *corev1.ObjectReference, n note) {
	n.log, n.attrs = "", nil // they have been logged
	s.mu.Lock()
	if len(s.queue) >= maxEvents {
		s.queue = s.queue[1:]
	}
	s.queue = append(s.queue, pendingEvent{about, n, time.Now()})
	s.mu.Unlock()
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Start sends events until ctx ends.
func (s *eventSender) Start(ctx context.Context) error {
	for {
		e, ok := s.take()
		if !ok {
			select {
			case <-ctx.Done():
				return nil
			case <-s.wake:
			}
			continue
		}
		if err := s.quiet(ctx, e.since); err != nil {
			return nil //nolint:nilerr // the end of ctx is the regular end
		}
		kind := corev1.EventTypeNormal
		if e.note.warning {
			kind = corev1.EventTypeWarning
		}
		s.recorder.Eventf(e.about, nil, kind, e.note.reason, "AllocateAddress", "%s", e.note.message)
	}
}

// NeedLeaderElection makes the manager start it only on the leader.
func (s *eventSender) NeedLeaderElection() bool { return true }

func (s *eventSender) take() (pendingEvent, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.queue = nil
		return pendingEvent{}, false
	}
	e := s.queue[0]
	s.queue = s.queue[1:]
	return e, true
}

// quiet waits until an event of the given age may be sent. The error is that of ctx.
func (s *eventSender) quiet(ctx context.Context, since time.Time) error {
	if err := s.limit.Wait(ctx); err != nil {
		return err
	}
	for time.Since(since) < eventPatience {
		if !s.idle() {
			s.calm = 0
		} else if s.calm >= eventCalm {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(eventPoll):
			s.calm += eventPoll
		}
	}
	return nil
}
