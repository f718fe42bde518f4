package service

import (
	"context"
	"sync"
	"time"

	"k8s.io/client-go/util/workqueue"
)

// alarm brings Work to the worker after a delay. Of the same Work set several times the earliest counts, so that what many events ask for is
// done once.
type alarm struct {
	queue workqueue.TypedDelayingInterface[Work]
	inbox inbox
}

func newAlarm(in inbox) *alarm {
	return &alarm{queue: workqueue.NewTypedDelayingQueue[Work](), inbox: in}
}

// set has w done in d, or earlier if that is set already.
func (a *alarm) set(w Work, d time.Duration) { a.queue.AddAfter(w, d) }

// Start passes on what is due until ctx ends.
func (a *alarm) Start(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(func() {
		for a.next(ctx) {
		}
	})
	<-ctx.Done()
	a.queue.ShutDown()
	running.Wait()
	return nil
}

// NeedLeaderElection makes the manager start it only on the leader.
func (a *alarm) NeedLeaderElection() bool { return true }

func (a *alarm) next(ctx context.Context) bool {
	w, shutdown := a.queue.Get()
	if shutdown {
		return false
	}
	a.queue.Done(w)
	a.inbox.put(ctx, w)
	return true
}
