package neighbors

import (
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// A node that joins others takes its part of the balanced addresses back in steps: each moves a tenth of them, so that clients that lose a packet
// to a move do not all lose it at once, and a node that fails again within the half minute has not moved everything twice. The first step is
// long after the speaker has met the others, so it knows what they have.
const (
	stepAfter = 3 * time.Second
	steps     = 10
)

// pace is how far the return of this node has got.
type pace struct {
	// since is when it met others, zero before that.
	since time.Time
	over  bool
}

// step returns how far the return has got now, what the node withholds of its balanced placement, in percent, and when to step again, 0 for when
// the members change.
func (p pace) step(s members.Snapshot, now time.Time) (next pace, withheld int, wait time.Duration) {
	switch {
	case p.over:
		return p, 0, 0
	case !s.Quorate && p.since.IsZero():
		return p, 100, 0
	case len(s.Alive) < 2: // nobody else could have them
		return pace{over: true}, 0, 0
	case p.since.IsZero():
		p.since = now
	}
	done := int(now.Sub(p.since) / stepAfter)
	if done >= steps {
		return pace{over: true}, 0, 0
	}
	return p, 100 - done*100/steps, p.since.Add(time.Duration(done+1) * stepAfter).Sub(now)
}
