package frr

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// errAbsent is what whoever asks an FRR that is not there is told.
var errAbsent = errors.New("this pod has no FRR")

// Absent stands for the reloader where there is no FRR: nothing can be applied
// or shown, and nothing ever happens.
type Absent struct{}

// Apply fails.
func (Absent) Apply(context.Context, []byte) (Ack, error) {
	return Ack{}, fmt.Errorf("apply FRR configuration: %w: %w", ErrUnavailable, errAbsent)
}

// Show fails.
func (Absent) Show(_ context.Context, daemon, command string) ([]byte, error) {
	return nil, fmt.Errorf("%s: %q: %w: %w", daemon, command, ErrUnavailable, errAbsent)
}

// Events yields nothing and returns when the context ends.
func (Absent) Events(ctx context.Context) iter.Seq2[Event, error] { return silent[Event](ctx) }

// SessionEvents yields nothing and returns when the context ends.
func (Absent) SessionEvents(ctx context.Context) iter.Seq2[SessionEvent, error] {
	return silent[SessionEvent](ctx)
}

// Close does nothing.
func (Absent) Close() {}

func silent[T any](ctx context.Context) iter.Seq2[T, error] {
	return func(func(T, error) bool) { <-ctx.Done() }
}
