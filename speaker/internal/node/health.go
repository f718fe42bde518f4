package node

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// stuck is how long a pass, or giving FRR a configuration, may take before the speaker counts as dead. It is above applyLimit, which bounds the
// slowest part.
const stuck = applyLimit + time.Minute

// health is what the probes look at.
type health struct {
	synced, ready atomic.Bool
	// since is when the running pass began, giving when FRR began to be given a configuration, in nanoseconds of the Unix epoch; 0 otherwise.
	since, giving atomic.Int64
}

func (h *health) begin(now time.Time) { h.since.Store(now.UnixNano()) }
func (h *health) end()                { h.since.Store(0) }

func (h *health) give(now time.Time) { h.giving.Store(now.UnixNano()) }
func (h *health) given()             { h.giving.Store(0) }

// Healthy fails when a pass does not come to an end, or FRR's taking a configuration does not, so that restarting the speaker would help.
func (l *Loop) Healthy(*http.Request) error {
	for what, since := range map[string]int64{"a pass runs": l.health.since.Load(), "FRR is being given a configuration": l.health.giving.Load()} {
		if age := time.Since(time.Unix(0, since)); since != 0 && age > stuck {
			return fmt.Errorf("%s since %v", what, age.Truncate(time.Second))
		}
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
