package condition

import (
	"errors"
	"time"
)

// Stalled is an error that lasts until a user changes something: retrying does not help.
type Stalled struct {
	// Reason is the CamelCase word for a condition.
	Reason string
	Err    error
}

// Error returns the text of Err.
func (e *Stalled) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Stalled) Unwrap() error { return e.Err }

// Waiting is an error that is expected to go away by itself: something does not exist or is not ready yet.
type Waiting struct {
	// Reason is the CamelCase word for a condition.
	Reason string
	// After is when to look again; 0 when an event will tell.
	After time.Duration
	Err   error
}

// Error returns the text of Err.
func (e *Waiting) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *Waiting) Unwrap() error { return e.Err }

// Reason returns the reason that a Stalled or Waiting error in err's chain carries, fallback for any other error.
func Reason(err error, fallback string) string {
	if stalled, ok := errors.AsType[*Stalled](err); ok {
		return stalled.Reason
	}
	if waiting, ok := errors.AsType[*Waiting](err); ok {
		return waiting.Reason
	}
	return fallback
}

// Retry tells a reconciler what to do after err: give up until something changes (a Stalled error), look again after a while (a Waiting
// error with After), wait for an event (a Waiting error without), or return an error for the queue's own back-off (any other).
func Retry(err error) (after time.Duration, rest error) {
	if _, ok := errors.AsType[*Stalled](err); ok {
		return 0, nil
	}
	if waiting, ok := errors.AsType[*Waiting](err); ok {
		return waiting.After, nil
	}
	return 0, err
}
