package node

import (
	"context"
	"log/slog"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// DrainOptions say how this node gives up its BGP routes when the View says that it drains. The zero value is for a node that never does.
type DrainOptions struct {
	// Wait is how long the routes are announced as the last to be chosen before they are withdrawn.
	Wait time.Duration
	// WithdrawLast withdraws even what no other node can announce.
	WithdrawLast bool
}

// Drain is how far this node is with giving up its BGP routes.
type Drain struct {
	Stage announce.Drain
	// Why are words that follow "node n1 "; empty when the node does not drain.
	Why string
}

// drain is what the Loop knows of its node's drain. It belongs to the goroutine that runs passes.
type drain struct {
	DrainOptions
	Drain
	// known is true once the node has been looked at, and since when the drain began, by this machine's clock.
	known bool
	since time.Time
}

// look takes in what the node is like now. It returns whether the stage is another one, and when to look again, 0 for never.
//
// A speaker that sees the drain begin counts from there. One that finds the node draining when it starts goes by what the API says of the
// beginning, so that a restart does not announce anew what was withdrawn; where the API does not say, it begins with the first stage.
func (d *drain) look(nodes []announce.NodeInfo, self string, now time.Time) (changed bool, due time.Duration) {
	var info announce.NodeInfo
	if i := slices.IndexFunc(nodes, func(n announce.NodeInfo) bool { return n.Name == self }); i >= 0 {
		info = nodes[i]
	}
	before := d.Stage
	switch {
	case info.Draining == "":
		d.Stage, d.since = announce.DrainNone, time.Time{}
	case d.since.IsZero():
		d.Stage, d.since = announce.DrainYielding, now
		if !d.known && !info.DrainingSince.IsZero() && info.DrainingSince.Before(now) {
			d.since = info.DrainingSince
		}
	}
	d.known, d.Why = true, info.Draining
	if d.Stage != announce.DrainNone {
		if due = d.since.Add(d.Wait).Sub(now); due <= 0 {
			d.Stage, due = announce.DrainWithdrawn, 0
		}
	}
	return d.Stage != before, due
}

// log says what the drain comes to.
func (d *drain) log(ctx context.Context, log *slog.Logger, self string) {
	switch d.Stage {
	case announce.DrainNone:
		log.InfoContext(ctx, "the node does not drain any more: its routes are announced as ever", "event", "drainEnded", "node", self)
	case announce.DrainYielding:
		log.InfoContext(ctx, "the node drains: its routes are announced as the last to be chosen, and withdrawn after the wait", "event", "drainBegan",
			"node", self, "reason", d.Why, "wait", d.Wait.String())
	case announce.DrainWithdrawn:
		log.InfoContext(ctx, "the node drains: what another node can announce is withdrawn", "event", "drainWithdraws", "node", self, "reason", d.Why)
	}
}
