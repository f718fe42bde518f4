package l2

import (
	"maps"
	"net/netip"
	"sync"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// Reasons, besides those of wire.Drop, for which a frame is dropped that the kernel's filter let pass, or one of this node is not sent.
const (
	// DropUnrelated: the frame is about no address that this node answers for on the link. With more addresses than the filter compares, many are.
	DropUnrelated = "unrelated"
	// DropOwn: the frame is from this node itself.
	DropOwn = "own"
	// DropElsewhere: the frame was sent to another host, or came in a VLAN of the link.
	DropElsewhere = "elsewhere"
	// DropUnsent: the kernel did not take a frame of this node, as when the link's queue is full.
	DropUnsent = "unsent"
)

// Drops returns every reason, for counters by reason.
func Drops() []string {
	reasons := []string{DropUnrelated, DropOwn, DropElsewhere, DropUnsent}
	for _, d := range wire.Drops() {
		reasons = append(reasons, d.String())
	}
	return reasons
}

// Counts are what was done for one address since it was gained.
type Counts struct {
	// Requests are the questions for the address, Responses the answers, Gratuitous the announcements, in frames: an announcement of an IPv4
	// address has two, as request and as reply.
	Requests, Responses, Gratuitous uint64
}

// Counters are what was done. They only grow, but those of an address go with it and begin anew when it comes back.
type Counters struct {
	// Addresses has an entry for every address that is wanted.
	Addresses map[netip.Addr]Counts
	// Dropped counts frames by reason, and has an entry for each reason of Drops.
	Dropped map[string]uint64
}

// tally counts for all stations.
type tally struct {
	mu        sync.Mutex
	addresses map[netip.Addr]*Counts
	dropped   map[string]uint64
}

func newTally() *tally {
	t := &tally{addresses: map[netip.Addr]*Counts{}, dropped: map[string]uint64{}}
	for _, reason := range Drops() {
		t.dropped[reason] = 0
	}
	return t
}

// keep makes the addresses those that are counted for.
func (t *tally) keep(addresses map[netip.Addr]struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.addresses, func(a netip.Addr, _ *Counts) bool { _, ok := addresses[a]; return !ok })
	for a := range addresses {
		if t.addresses[a] == nil {
			t.addresses[a] = &Counts{}
		}
	}
}

// add counts for an address, and nothing for one that is not wanted any more.
func (t *tally) add(address netip.Addr, c Counts) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if have := t.addresses[address]; have != nil {
		have.Requests += c.Requests
		have.Responses += c.Responses
		have.Gratuitous += c.Gratuitous
	}
}

func (t *tally) drop(reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.dropped[reason]++
}

func (t *tally) read() Counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := Counters{Addresses: make(map[netip.Addr]Counts, len(t.addresses)), Dropped: maps.Clone(t.dropped)}
	for a, counts := range t.addresses {
		c.Addresses[a] = *counts
	}
	return c
}
