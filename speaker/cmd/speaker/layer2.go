package main

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/neighbors"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// leaveWithin bounds how long leaving the other speakers may take. They hear of it at once; the rest is courtesy.
const leaveWithin = time.Second

// layer2 is the part of the speaker that answers for addresses and knows who else does.
type layer2 struct {
	responder *l2.Responder
	// neighbors are nil when the speakers do not gossip.
	neighbors *neighbors.Neighbors
	excluded  *excluded
	speaker   *speaker
}

// newLayer2 sets up layer 2, which begins to gossip once synced returns true, and pulls the trigger when who is alive changes.
func (s *speaker) newLayer2(ctx context.Context, api mirror.API, synced func(context.Context) bool, trigger node.Trigger) (*layer2, error) {
	file := newExcluded(ctx, s.ExcludedPath, s.log)
	l := &layer2{speaker: s, excluded: file, responder: l2.New(l2.Options{Excluded: file.inForce, Interval: s.AnnounceInterval, Log: s.log})}
	if s.Members == nil {
		return l, nil
	}
	var err error
	l.neighbors, err = neighbors.New(neighbors.Options{
		Namespace: s.Namespace, Labels: s.MemberLabels, API: api, Leases: s.answers,
		Gossip: *s.Members, Links: l.responder, Await: synced, Changed: trigger.Pull, Log: s.log,
	})
	return l, err
}

// membership returns who is alive, nil when the speakers do not gossip.
func (l *layer2) membership() node.Membership {
	if l.neighbors == nil {
		return nil
	}
	return l.neighbors
}

// Start works until ctx ends. The others are to be told by leave before that.
func (l *layer2) Start(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { l.responder.Run(ctx); return nil })
	tasks.Go(func() error { l.excluded.follow(ctx, l.responder.SetExcluded); return nil })
	if l.neighbors != nil {
		tasks.Go(func() error { return l.neighbors.Start(ctx) })
	}
	return tasks.Wait()
}

// leave makes the others take over, after this node has given up everything.
func (l *layer2) leave(ctx context.Context) {
	if l.neighbors == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveWithin)
	defer cancel()
	if err := l.neighbors.Leave(ctx); err != nil {
		l.speaker.log.WarnContext(ctx, "the other speakers may take a moment longer to take over", "op", "shutdown", "error", err)
	}
}

// ready fails until this speaker may claim addresses, if that depends on others.
func (l *layer2) ready() error {
	if l.neighbors == nil {
		return nil
	}
	return l.neighbors.Ready()
}
