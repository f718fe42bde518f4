package l2

import (
	"container/heap"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// How often an address is announced after it was gained. MetalLB announces five times, 1.1 s apart: more than the second in which Linux takes
// no second update of a neighbor (locktime). The one in between is for the frame that gets lost when everything moves at once: whoever missed
// the first one is right again after 150 ms.
var pauses = [...]time.Duration{150 * time.Millisecond, 950 * time.Millisecond, 1100 * time.Millisecond, 1100 * time.Millisecond, 1100 * time.Millisecond}

// What a link is given of announcements, for each family. They go to everybody on the segment, and switches throttle ARP, so a thousand
// addresses must not be one burst: 200 IPv4 addresses (two frames each) are announced at once, a thousand within 0.8 s. First announcements
// go before repeated ones, so that nobody waits for the burst of others.
const (
	framesPerSecond = 2000
	framesAtOnce    = 400
)

// turn is when an address is announced next.
type turn struct {
	address netip.Addr
	due     time.Time
	// sent is how often it has been announced since it was gained, 0 for an address that waits for its first.
	sent int
	// at is the place in the queue, -1 for none.
	at int
}

// turns say which address is to be announced when, and that not too much is sent.
type turns struct {
	queue queue
	// interval is between announcements after those of pauses, 0 for no more.
	interval time.Duration
	budget   *rate.Limiter
	// cost is how many frames an announcement has.
	cost int
}

func newTurns(ipv4 bool, interval time.Duration) turns {
	cost := 1
	if ipv4 {
		cost = 2
	}
	return turns{interval: interval, cost: cost, budget: rate.NewLimiter(framesPerSecond, framesAtOnce)}
}

// soon gives an address a turn at once, ahead of all but those that were not announced at all.
func (t *turns) soon(n *turn, now time.Time) {
	n.due = now
	if n.at >= 0 {
		heap.Fix(&t.queue, n.at)
		return
	}
	heap.Push(&t.queue, n)
}

// forget takes away an address's turn.
func (t *turns) forget(n *turn) {
	if n.at >= 0 {
		heap.Remove(&t.queue, n.at)
	}
}

// next returns the address to announce now; or none, and how long until there may be one, negative for as long as nothing changes.
func (t *turns) next(now time.Time) (netip.Addr, time.Duration) {
	if len(t.queue) == 0 {
		return netip.Addr{}, -1
	}
	n := t.queue[0]
	if n.sent > 0 && n.due.After(now) {
		return netip.Addr{}, n.due.Sub(now)
	}
	if !t.budget.AllowN(now, t.cost) {
		missing := float64(t.cost) - t.budget.TokensAt(now)
		return netip.Addr{}, max(time.Duration(missing/framesPerSecond*float64(time.Second)), time.Millisecond)
	}
	// The next turn counts from now, not from when this one was due: who is late does not catch up by sending faster.
	n.sent++
	switch {
	case n.sent <= len(pauses):
		n.due = now.Add(pauses[n.sent-1])
	case t.interval > 0:
		n.due = now.Add(t.interval)
	default:
		heap.Pop(&t.queue)
		return n.address, 0
	}
	heap.Fix(&t.queue, 0)
	return n.address, 0
}

// queue is a heap of turns: first those that were never announced, then by time.
type queue []*turn

// Len implements heap.Interface, as the others do.
func (q queue) Len() int { return len(q) }

func (q queue) Less(i, j int) bool {
	a, b := q[i], q[j]
	if (a.sent == 0) != (b.sent == 0) {
		return a.sent == 0
	}
	return a.due.Before(b.due)
}

func (q queue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

// Push adds a turn, for package heap.
func (q *queue) Push(x any) {
	n := x.(*turn)
	n.at = len(*q)
	*q = append(*q, n)
}

// Pop takes away the last turn, for package heap.
func (q *queue) Pop() any {
	last := len(*q) - 1
	n := (*q)[last]
	n.at = -1
	*q = (*q)[:last]
	return n
}
