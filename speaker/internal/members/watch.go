package members

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/memberlist"
)

// watch is the goroutine that knows all evidence and judges it.
type watch struct {
	*Members
	timing timing
	nodes  map[string]*node
	// lost are members that were alive and are not, and have not said goodbye, with their addresses.
	lost map[string]netip.Addr
	// proofs are what the witness said, at proofsAt; asking is true while it is asked.
	proofs   proofs
	proofsAt time.Time
	asking   bool
	answers  chan map[string]string
	lines    sync.WaitGroup
}

// node is another member.
type node struct {
	evidence
	Member
	alive bool
	line  *line
	stop  context.CancelFunc
	// heardAt is when it last answered over the connection.
	heardAt time.Time
}

// timingFor returns what is to be waited for with these settings of memberlist.
func timingFor(c *memberlist.Config) timing {
	return timing{reach: max(250*time.Millisecond, c.ProbeTimeout), hang: 3 * time.Second, doubt: max(5*time.Second, 5*c.ProbeInterval)}
}

// askWitness is how often the witness is asked while members are missing.
const askWitness = 5 * time.Second

func newWatch(m *Members, t timing) *watch {
	return &watch{Members: m, timing: t, nodes: map[string]*node{}, lost: map[string]netip.Addr{}, answers: make(chan map[string]string, 1)}
}

// run judges whenever there is something new.
func (w *watch) run(ctx context.Context) {
	defer w.lines.Wait()
	witness := time.NewTicker(askWitness)
	defer witness.Stop()
	check := time.NewTimer(0)
	defer check.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.dirty:
		case <-check.C:
		case r := <-w.reports:
			w.take(r)
		case name := <-w.port.doubts:
			if n := w.nodes[name]; n != nil {
				n.question(time.Now(), w.timing.reach/2)
			}
		case marks := <-w.answers:
			w.asking = false
			if marks != nil {
				w.proofsAt = time.Now()
				w.proofs = w.proofs.learn(marks, w.missing(), w.proofsAt)
			}
		case <-witness.C:
			w.ask(ctx)
		}
		now := time.Now()
		w.look(ctx, now)
		if next := w.judge(now); !next.IsZero() {
			check.Reset(next.Sub(now))
		}
		w.forget()
		w.publish(w.snapshot())
	}
}

// look compares the nodes with those of memberlist.
func (w *watch) look(ctx context.Context, now time.Time) {
	seen := map[string]bool{w.options.Name: true}
	w.mu.Lock()
	gossiping := maps.Clone(w.heard)
	w.mu.Unlock()
	for name, one := range gossiping {
		seen[name] = true
		if name != w.options.Name {
			w.see(ctx, name, one, now)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for name, n := range w.nodes {
		if !seen[name] && n.gossip {
			n.gossip, n.gossipAt = false, now
		}
		n.ackAt = w.acks[name]
	}
	maps.DeleteFunc(w.acks, func(name string, _ time.Time) bool { return w.nodes[name] == nil })
	maps.DeleteFunc(w.lost, func(name string, _ netip.Addr) bool {
		_, wanted := w.peers[name]
		return w.peers != nil && !wanted
	})
}

// see takes in a node that gossips.
func (w *watch) see(ctx context.Context, name string, seen heard, now time.Time) {
	says, own := decode([]byte(seen.meta))
	n := w.nodes[name]
	if n != nil && n.Addr != seen.addr.Addr() {
		n.stop()
		n = nil
	}
	if n == nil {
		n = &node{Member: Member{Name: name, Addr: seen.addr.Addr()}, stop: func() {}}
		w.nodes[name] = n
	}
	n.Links, n.Withheld = says.links, says.withheld
	if !n.gossip {
		n.gossip, n.gossipAt = true, now
	}
	if own && n.line == nil {
		w.connect(ctx, n, seen.addr)
	}
}

// connect keeps a line to the node until the node is forgotten.
func (w *watch) connect(ctx context.Context, n *node, addr netip.AddrPort) {
	ctx, n.stop = context.WithCancel(ctx)
	l := &line{name: n.Name, addr: addr}
	l.say = func(r lineReport) {
		select {
		case w.reports <- nodeReport{l, r}:
		case <-ctx.Done():
		}
	}
	n.line = l
	w.lines.Go(func() { l.run(ctx) })
}

// take notes what a line has found out.
func (w *watch) take(r nodeReport) {
	n := w.nodes[r.line.name]
	switch {
	case n == nil || n.line != r.line:
	case r.answered:
		n.heardAt, n.askedAt = r.at, time.Time{}
	case n.evidence.line != r.state:
		n.evidence.line, n.lineAt, n.askedAt = r.state, r.at, time.Time{}
	}
}

// question asks over the connection whether the other one is there, unless it has not answered yet or just has.
func (n *node) question(now time.Time, pause time.Duration) {
	if n.evidence.line == lineOpen && n.askedAt.IsZero() && now.Sub(n.heardAt) >= pause {
		n.askedAt = now
		n.line.ask()
	}
}

// judge decides who is alive, forgets who is not any more, and returns when to look again.
func (w *watch) judge(now time.Time) time.Time {
	var next time.Time
	for name, n := range w.nodes {
		n.reached = !n.gossip && n.line != nil && n.line.reached()
		alive, check := n.evidence.alive(now, w.timing)
		if alive != n.alive {
			w.log.Info("member", "op", "memberDiscovery", "node name", name, "alive", alive, "gossip", n.gossip, "connection", n.evidence.line.String())
		}
		switch {
		case alive:
			delete(w.lost, name)
		case n.alive && n.evidence.line != lineBye:
			w.lost[name] = n.Addr
		}
		n.alive = alive
		if !alive && !n.gossip {
			n.stop()
			delete(w.nodes, name)
		}
		if alive && !n.gossip {
			n.question(now, w.timing.reach/2)
		}
		if !check.IsZero() && (next.IsZero() || check.Before(next)) {
			next = check
		}
	}
	w.mu.Lock()
	w.gone = maps.Clone(w.lost)
	w.mu.Unlock()
	return next
}

// missing are those that should be there and are not, sorted.
func (w *watch) missing() []string {
	names := map[string]bool{}
	for name := range w.lost {
		names[name] = true
	}
	w.mu.Lock()
	for name := range w.peers {
		names[name] = true
	}
	w.mu.Unlock()
	for name, n := range w.nodes {
		if n.alive || n.evidence.line == lineBye {
			delete(names, name)
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// forget forgets the proofs about members that are back: what proved that one lived while it was lost says nothing when it is lost again.
func (w *watch) forget() {
	if len(w.proofs) == 0 {
		return
	}
	missing := w.missing()
	maps.DeleteFunc(w.proofs, func(name string, _ proof) bool { return !slices.Contains(missing, name) })
}

// ask asks the witness about those that are missing, unless nobody is.
func (w *watch) ask(ctx context.Context) {
	missing := w.missing()
	if w.options.Witness == nil || w.asking || len(missing) == 0 {
		return
	}
	w.asking = true
	w.lines.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, askWitness)
		defer cancel()
		marks, err := w.options.Witness(ctx, missing)
		if err != nil {
			w.log.DebugContext(ctx, "the witness does not answer", "op", "memberDiscovery", "error", err)
			marks = nil
		} else if marks == nil {
			marks = map[string]string{}
		}
		w.answers <- marks // there is room for the only one under way
	})
}

// snapshot is what the others of this program see.
func (w *watch) snapshot() Snapshot {
	w.mu.Lock()
	heard, met := w.about.heard(), w.met
	w.mu.Unlock()
	// All members must see the same, so this one is what the others make of its words.
	self := Member{Name: w.options.Name, Addr: w.options.BindAddr, Links: heard.links, Withheld: heard.withheld}
	s := Snapshot{Alive: []Member{self}}
	names := []string{self.Name}
	for _, n := range w.nodes {
		if n.alive {
			s.Alive = append(s.Alive, n.Member)
			names = append(names, n.Name)
		}
	}
	slices.SortFunc(s.Alive, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	if !met && len(names) == 1 {
		s.Reason = "the other speakers have not been asked yet"
		return s
	}
	var lost []absent
	for _, name := range w.missing() {
		lost = append(lost, absent{name, w.proofs.proven(name, w.proofsAt)})
	}
	s.Quorate, s.Reason = quorate(w.options.Fencing, names, lost)
	return s
}
