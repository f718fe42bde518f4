package node

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// stuck is how long a pass may take before the speaker counts as dead. It is above applyLimit, which bounds the slowest part.
const stuck = applyLimit + time.Minute

// health is what the probes look at.
type health struct {
	synced, ready atomic.Bool
	// since is when the running pass began, in nanoseconds of the Unix epoch; 0 between passes.
	since atomic.Int64
}

func (h *health) begin(now time.Time) { h.since.Store(now.UnixNano()) }
func (h *health) end()                { h.since.Store(0) }

// Healthy fails when a pass does not come to an end, so that restarting the speaker would help.
func (l *Loop) Healthy(*http.Request) error {
	since := l.health.since.Load()
	if since == 0 {
		return nil
	}
	if age := time.Since(time.Unix(0, since)); age > stuck {
		return fmt.Errorf("a pass runs since %v", age.Truncate(time.Second))
	}
	return nil
}

// Ready fails until all objects have been seen and FRR runs the configuration that was made of them. A node that is to announce nothing is
// ready without FRR. A speaker that was ready once stays so: what goes wrong later is in ConfigurationState, and no reason to take away what
// works.
func (l *Loop) Ready(*http.Request) error {
	switch {
	case !l.health.synced.Load():
		return errors.New("not all objects have been read from the API yet")
	case !l.health.ready.Load():
		return errors.New("FRR does not run the configuration yet")
	}
	return nil
}
