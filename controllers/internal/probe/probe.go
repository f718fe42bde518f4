// Package probe finds out whether somebody on the network has an address already: it asks the speaker of a node that is likely to be on the
// address's network, by an AddressProbe, and reports what the speaker answers.
package probe

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

const (
	// gather is how long a question waits for others that go to the same node: one object takes many addresses.
	gather = 10 * time.Millisecond
	// maxAddresses is how many addresses one AddressProbe takes, and maxProbes how many of them are under way at a time.
	maxAddresses = 64
	maxProbes    = 16
	// doubt is how long after an answer that somebody has an address that is asked again, before it is believed: a speaker may still have answered
	// for an address that its Service has just lost.
	doubt = time.Second
	// requestTimeout bounds one request to the API server.
	requestTimeout = 4 * time.Second
)

// Outcome says whether an address may be given away.
type Outcome uint8

// The outcomes.
const (
	// Free: nobody answered; or the address is of no network of the nodes asked, so that it is routed and nobody could answer.
	Free Outcome = iota + 1
	// InUse: somebody has the address, asked for it twice.
	InUse
	// Unknown: no speaker could say.
	Unknown
)

// Answer is what became of the question about one address.
type Answer struct {
	Address netip.Addr
	Outcome Outcome
	// Node is the node whose speaker said so, Interface the link it was answered on, and HardwareAddress whose answer it was; "" where not known.
	Node, Interface, HardwareAddress string
	// Message says more, in particular why the outcome is Unknown.
	Message string
}

// Options are what a Prober needs.
type Options struct {
	// Namespace is the one that the configuration is in, and the AddressProbes.
	Namespace string
	// Patience is how long a speaker has to answer.
	Patience time.Duration
	Log      *slog.Logger
	// Cache has Nodes and the AddressProbes of Namespace; Live reads from the API server.
	Cache  cache.Cache
	Live   client.Reader
	Client client.Client
	// Answer takes the answers, one for each address asked about. It may be called from several goroutines.
	Answer func(context.Context, Answer)
}

// Prober asks. It works on behalf of the leader only.
type Prober struct {
	Options
	wake    chan struct{}
	slots   chan struct{}
	watched bool // owned by Start

	mu    sync.Mutex
	queue []question
	// waiting has, by name of AddressProbe, who waits for it to change.
	waiting map[string]chan struct{}
}

// question is an address with how many nodes could not ask about it.
type question struct {
	address netip.Addr
	asked   int
	// found tells that somebody was found to have it once.
	found bool
}

// New returns a Prober, which works while Start does.
func New(o Options) *Prober {
	return &Prober{Options: o, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxProbes), waiting: map[string]chan struct{}{}}
}

// Ask has an address looked for. It does not wait; Options.Answer is called later.
func (p *Prober) Ask(addr netip.Addr) { p.put(question{address: addr}) }

func (p *Prober) put(questions ...question) {
	p.mu.Lock()
	p.queue = append(p.queue, questions...)
	p.mu.Unlock()
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// NeedLeaderElection makes the manager start it only on the leader.
func (p *Prober) NeedLeaderElection() bool { return true }

// Start asks until ctx ends, and returns when nothing is under way any more.
func (p *Prober) Start(ctx context.Context) error {
	var running sync.WaitGroup
	defer running.Wait()
	p.clean(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-p.wake:
		}
		timer := time.NewTimer(gather)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		p.mu.Lock()
		questions := p.queue
		p.queue = nil
		p.mu.Unlock()
		p.distribute(ctx, questions, &running)
	}
}

// distribute asks the nodes that the questions go to, in as few AddressProbes as there can be.
func (p *Prober) distribute(ctx context.Context, questions []question, running *sync.WaitGroup) {
	var nodes corev1.NodeList
	err := p.watch(ctx)
	if err == nil {
		err = p.Cache.List(ctx, &nodes, client.UnsafeDisableDeepCopy)
	}
	if err != nil {
		p.unknown(ctx, questions, fmt.Sprintf("the cluster can't be read: %v", err))
		return
	}
	groups := map[string][]question{}
	var order []string
	for _, q := range questions {
		names := candidates(q.address, nodes.Items)
		switch {
		case len(names) == 0:
			p.unknown(ctx, []question{q}, "no node is ready to ask")
			continue
		case q.asked >= len(names):
			p.Answer(ctx, Answer{Address: q.address, Outcome: Free, Message: "no node is on a network that has the address"})
			continue
		}
		node := names[q.asked]
		if groups[node] == nil {
			order = append(order, node)
		}
		groups[node] = append(groups[node], q)
	}
	for _, node := range order {
		for group := groups[node]; len(group) > 0; group = group[min(maxAddresses, len(group)):] {
			some := group[:min(maxAddresses, len(group))]
			running.Go(func() {
				select {
				case p.slots <- struct{}{}:
				case <-ctx.Done():
					return
				}
				defer func() { <-p.slots }()
				p.probe(ctx, node, some)
			})
		}
	}
}

// watch has this program told of AddressProbes, from the first question on: where no pool is checked none of this costs anything.
func (p *Prober) watch(ctx context.Context) error {
	if p.watched {
		return nil
	}
	// Who may not read AddressProbes waits for them in vain.
	limited, cancel := context.WithTimeout(ctx, p.Patience)
	defer cancel()
	informer, err := p.Cache.GetInformer(limited, &v1beta1.AddressProbe{})
	if err != nil {
		return fmt.Errorf("watching AddressProbes: %w", err)
	}
	changed := func(o any) {
		if probe, ok := o.(*v1beta1.AddressProbe); ok {
			p.changed(probe.Name)
		}
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc: changed, UpdateFunc: func(_, o any) { changed(o) }, DeleteFunc: changed,
	}); err != nil {
		return fmt.Errorf("watching AddressProbes: %w", err)
	}
	p.watched = true
	return nil
}

func (p *Prober) changed(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case p.waiting[name] <- struct{}{}:
	default: // nobody waits, or is told already
	}
}

func (p *Prober) unknown(ctx context.Context, questions []question, why string) {
	for _, q := range questions {
		p.Answer(ctx, Answer{Address: q.address, Outcome: Unknown, Message: why})
	}
}
