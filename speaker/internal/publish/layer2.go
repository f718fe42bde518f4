package publish

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// watchPause is the least time between two looks at what is done on layer 2: with thousands of addresses each takes a while, in which nothing
// can be begun.
const watchPause = 100 * time.Millisecond

// watch compares what is decided on layer 2 with what is done until ctx ends, tells users, and has status objects written.
func (p *Publisher) watch(ctx context.Context) {
	var changed <-chan struct{}
	if p.Layer2 != nil {
		changed = p.Layer2.Changed()
	}
	v := newVigil(p.Node)
	for {
		var due time.Duration
		if decided, version := p.decided.get(); version > 0 {
			var notes []note
			notes, due = v.look(decided, p.circumstances(decided))
			p.tell(ctx, notes)
			want := v.answered(decided)
			p.layer2.wishes.put(func() wishes { return want })
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchPause):
		}
		var later <-chan time.Time
		if due > 0 {
			later = time.After(due)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.decided.news:
		case <-changed:
		case <-later:
		}
	}
}

func (p *Publisher) circumstances(decided announce.Node) circumstances {
	c := circumstances{now: time.Now(), blind: p.Layer2 == nil, quorate: true, alone: p.Membership == nil}
	if !c.blind && len(decided.L2) > 0 {
		c.observed = p.Layer2.Observed()
	}
	if p.Membership != nil {
		s := p.Membership.Snapshot()
		c.quorate = s.Quorate
		c.spokesman = s.Quorate && len(s.Alive) > 0 && s.Alive[0].Name == p.Node
	}
	return c
}

// links are those of this node that can carry layer 2, sorted; nil when there is no gossip that would tell.
func (p *Publisher) links() []string {
	if p.Membership == nil {
		return nil
	}
	alive := p.Membership.Snapshot().Alive
	i := slices.IndexFunc(alive, func(m members.Member) bool { return m.Name == p.Node })
	if i < 0 || len(alive[i].Links) == 0 {
		return nil
	}
	return slices.Compact(slices.Sorted(slices.Values(alive[i].Links)))
}

// tell logs notes and sends them as events.
func (p *Publisher) tell(ctx context.Context, notes []note) {
	for _, n := range notes {
		level := slog.LevelInfo
		if n.warning {
			level = slog.LevelWarn
		}
		p.Log.Log(ctx, level, n.message, "event", n.reason, "service", n.service.String(), "protocol", cmp.Or(n.protocol, announce.ProtocolLayer2))
	}
	p.events.put(notes...)
}

// assigned tells that this node answers for a Service from now on. That it did not before is known from its status object, which outlives a
// speaker: a restart of the program is no news.
func (p *Publisher) assigned(service ipam.ServiceKey) {
	p.events.put(note{service: service, reason: eventAssigned, message: fmt.Sprintf("announcing from node %q with protocol %q", p.Node, announce.ProtocolLayer2)})
}

// writeLayer2 writes the ServiceL2Status objects that do not say what is wanted.
func (p *Publisher) writeLayer2(ctx context.Context) error {
	if err := p.layer2.write(ctx); err != nil {
		return err
	}
	return p.bury(ctx)
}

// lost are the Services that this node took over from others, by those: when their speakers have died, what they wrote is not true any more, and
// they cannot take it back.
type lost struct {
	mu       sync.Mutex
	services map[string]map[ipam.ServiceKey]bool
}

// note takes in a transition.
func (l *lost) note(t *line) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if t.protocol != announce.ProtocolLayer2 {
		return
	}
	if t.reason != announce.ReasonNone {
		for _, services := range l.services {
			delete(services, t.service)
		}
		return
	}
	if t.from == "" {
		return
	}
	if l.services == nil {
		l.services = map[string]map[ipam.ServiceKey]bool{}
	}
	if l.services[t.from] == nil {
		l.services[t.from] = map[ipam.ServiceKey]bool{}
	}
	l.services[t.from][t.service] = true
}

// of returns the Services of those nodes that are not alive, and forgets the rest.
func (l *lost) of(alive []members.Member) map[string]map[ipam.ServiceKey]bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	dead := map[string]map[ipam.ServiceKey]bool{}
	for node, services := range l.services {
		if len(services) == 0 || slices.ContainsFunc(alive, func(m members.Member) bool { return m.Name == node }) {
			delete(l.services, node)
		} else {
			dead[node] = maps.Clone(services)
		}
	}
	return dead
}

// settled forgets a Service of a node.
func (l *lost) settled(node string, service ipam.ServiceKey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.services[node], service)
}

// bury deletes the status objects of dead nodes for the Services that this one has taken over, once it has written its own. The garbage collector
// does so when their pods are gone, which for a node that lost its power is when somebody deletes it.
func (p *Publisher) bury(ctx context.Context) error {
	if p.Membership == nil {
		return nil
	}
	lost := p.lost.of(p.Membership.Snapshot().Alive)
	if len(lost) == 0 {
		return nil
	}
	mine := map[ipam.ServiceKey]bool{}
	for _, o := range p.layer2.objects.all() {
		mine[o.service] = true
	}
	for node, services := range lost {
		maps.DeleteFunc(services, func(s ipam.ServiceKey, _ bool) bool { return !mine[s] })
		if len(services) == 0 {
			continue
		}
		if err := p.buryOf(ctx, node, services); err != nil {
			return err
		}
	}
	return nil
}

// buryOf deletes what a dead node says of some Services.
func (p *Publisher) buryOf(ctx context.Context, node string, services map[ipam.ServiceKey]bool) error {
	var list v1beta1.ServiceL2StatusList
	if err := p.Client.List(ctx, &list, client.InNamespace(p.Namespace), client.MatchingLabels{v1beta1.LabelNode: LabelValue(node)}); err != nil {
		return fmt.Errorf("list what node %s reported before it was lost: %w", node, err)
	}
	for i := range list.Items {
		o := &list.Items[i]
		if !services[serviceOf(o)] {
			continue
		}
		same := client.Preconditions{UID: &o.UID, ResourceVersion: &o.ResourceVersion}
		if err := p.Client.Delete(ctx, o, same); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete ServiceL2Status %s of node %s, which is lost: %w", o.Name, node, err)
		}
	}
	for service := range services {
		p.lost.settled(node, service)
	}
	return nil
}
