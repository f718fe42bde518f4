package node

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
)

// Layer2 answers for addresses; *l2.Responder is one. Apply makes the entries those that are answered for. When it returns, nothing else is
// answered any more.
type Layer2 interface {
	Apply(entries []announce.L2Entry)
}

// Membership tells which speakers are alive; *members.Members is one.
type Membership interface {
	Snapshot() members.Snapshot
}

// handover is how long an address that moves between two living nodes is left to the old one. Both decide by themselves, each when it hears of
// what makes the address move, and the loser is to stop before the winner starts. Who has the old one's hardware address goes on reaching it; who
// asks for it meanwhile is answered by the winner's announcement.
const handover = 100 * time.Millisecond

// homecoming is the same for a speaker that begins to know who has what: that it is there, the others hear by gossip, which takes longer than an
// event from the API.
const homecoming = time.Second

// layer2 is what the Loop does and knows of layer 2. It belongs to the goroutine that runs passes, but for release.
type layer2 struct {
	edge       Layer2
	membership Membership
	node       string
	around     surroundings

	// want and verdicts are the last decision, quorate whether it was one of a member that may claim.
	want     []announce.L2Entry
	verdicts []*announce.Verdict
	quorate  bool
	// held are the wanted addresses that others have had until now, and when they are to be answered for.
	held map[netip.Addr]time.Time

	mu       sync.Mutex
	released bool
}

// surroundings are what speakers say of themselves and each other. They have another version whenever they differ.
type surroundings struct {
	snapshot members.Snapshot
	gossip   bool
	version  uint64
	ranks    announce.Ranks
}

// tell adds to the input what is known from gossip.
func (s *surroundings) tell(in *announce.Input) {
	in.Ranks = &s.ranks
	if !s.gossip {
		in.Quorate = true
		return
	}
	in.Quorate, in.Members = s.snapshot.Quorate, make([]string, 0, len(s.snapshot.Alive))
	in.Nodes = slices.Clone(in.Nodes)
	for _, m := range s.snapshot.Alive {
		in.Members = append(in.Members, m.Name)
		if i := slices.IndexFunc(in.Nodes, func(n announce.NodeInfo) bool { return n.Name == m.Name }); i >= 0 {
			in.Nodes[i].Links, in.Nodes[i].Withheld = m.Links, m.Withheld
		}
	}
}

// alive tells whether a speaker is in sight. Without gossip all are taken to be.
func (s *surroundings) alive(node string) bool {
	return !s.gossip || slices.ContainsFunc(s.snapshot.Alive, func(m members.Member) bool { return m.Name == node })
}

// alone tells whether no other speaker is in sight.
func (s *surroundings) alone() bool { return s.gossip && len(s.snapshot.Alive) < 2 }

// look takes in what is known of the others, and answers for addresses whose handover is over. It returns whether something has to be decided
// anew, and when to look again, 0 for never.
func (l *layer2) look(now time.Time) (moved bool, due time.Duration) {
	if l.membership != nil {
		if s := l.membership.Snapshot(); l.around.version == 0 || !s.Equal(l.around.snapshot) {
			l.around.snapshot, l.around.gossip, moved = s, true, true
			l.around.version++
		}
	}
	return moved, l.answer(now, false)
}

// concerned tells whether layer 2 is wanted, or was until now.
func (l *layer2) concerned(c *intent.Snapshot) bool {
	return len(c.L2Advertisements) > 0 || len(l.want) > 0
}

// carryOut makes the decision the one that is carried out. It returns when to look again, 0 for never.
func (l *layer2) carryOut(decided *announce.Node, now time.Time) time.Duration {
	gained := gains(l.want, decided.L2)
	changed := len(gained) > 0 || !slices.EqualFunc(l.want, decided.L2, sameEntry)
	pause := handover
	if !l.quorate {
		pause = homecoming
	}
	for _, a := range l.others(gained) {
		if l.held == nil {
			l.held = map[netip.Addr]time.Time{}
		}
		l.held[a] = now.Add(pause)
	}
	l.want, l.verdicts = decided.L2, decided.Verdicts
	l.quorate = !l.around.gossip || l.around.snapshot.Quorate
	for a := range l.held {
		if !slices.ContainsFunc(l.want, func(e announce.L2Entry) bool { return e.Address == a }) {
			delete(l.held, a)
		}
	}
	return l.answer(now, changed)
}

// others returns which of the gained addresses a living node has had until now, as far as is known here. A speaker that did not know takes it
// that somebody had them.
func (l *layer2) others(gained []netip.Addr) []netip.Addr {
	switch {
	case len(gained) == 0 || l.around.alone():
		return nil
	case !l.quorate: // nothing was decided, or nothing that says who has what
		return gained
	}
	var had []netip.Addr
	for _, v := range l.verdicts {
		if v.Protocol != announce.ProtocolLayer2 || v.Owner == "" || v.Owner == l.node || !l.around.alive(v.Owner) {
			continue
		}
		if _, ok := slices.BinarySearchFunc(gained, v.Address, netip.Addr.Compare); ok {
			had = append(had, v.Address)
		}
	}
	return had
}

// answer has what is wanted and not held answered for, if that changed. It returns when the next handover is over, 0 for never.
func (l *layer2) answer(now time.Time, changed bool) time.Duration {
	var due time.Duration
	for a, at := range l.held {
		if wait := at.Sub(now); wait > 0 {
			due = timing.Soonest(due, wait)
			continue
		}
		delete(l.held, a)
		changed = true
	}
	if !changed || l.edge == nil {
		return due
	}
	entries := l.want
	if len(l.held) > 0 {
		entries = slices.DeleteFunc(slices.Clone(entries), func(e announce.L2Entry) bool { _, held := l.held[e.Address]; return held })
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.released {
		l.edge.Apply(entries)
	}
	return due
}

// release gives up everything, now and from now on.
func (l *layer2) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.released = true
	if l.edge != nil {
		l.edge.Apply(nil)
	}
}

// gains returns the addresses of the second list that are not in the first; both are sorted, and so is the result.
func gains(before, after []announce.L2Entry) []netip.Addr {
	var gained []netip.Addr
	for _, e := range after {
		for len(before) > 0 && before[0].Address.Less(e.Address) {
			before = before[1:]
		}
		if len(before) == 0 || before[0].Address != e.Address {
			gained = append(gained, e.Address)
		}
	}
	return gained
}

func sameEntry(a, b announce.L2Entry) bool {
	return a.Address == b.Address && slices.Equal(a.Interfaces, b.Interfaces) && (a.Interfaces == nil) == (b.Interfaces == nil)
}
