// Package publish tells the world what the speaker does: status objects, metrics and logs. It writes on transitions only, paced, and never
// keeps the speaker's loop waiting.
package publish

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// Options are what a Publisher works with.
type Options struct {
	// Node is the name of the node, Namespace the one that status objects are written to, Pod the name of the speaker's pod there: the owner
	// of what is written, "" for none.
	Node, Namespace, Pod string
	// Client reads and writes the API directly, limited to a modest rate.
	Client client.Client
	// Cache watches the objects that ByObject selects, API is for those of which there are many.
	Cache cache.Cache
	API   mirror.API
	// Layer2 tells how addresses are answered for, nil when nothing is done on layer 2; Membership which speakers are alive, nil when they do
	// not gossip.
	Layer2     Layer2
	Membership Membership
	// Sent knows what routers were sent; nil when that is not read back.
	Sent Sent
	// Metrics counts how passes went.
	Metrics *Metrics
	Log     *slog.Logger
}

// ByObject selects the object that this node's Publisher writes once, for a cache to watch.
func ByObject(nodeName, namespace string) map[client.Object]cache.ByObject {
	return map[client.Object]cache.ByObject{
		&v1beta1.ConfigurationState{}: {Namespaces: map[string]cache.Config{namespace: {}}, Field: fields.OneTermEqualSelector("metadata.name", stateName(nodeName))},
	}
}

// LabelValue returns the label value that stands for a node: its name, or a hash where the name is too long for a label.
func LabelValue(nodeName string) string {
	if len(validation.IsValidLabelValue(nodeName)) == 0 {
		return nodeName
	}
	sum := sha256.Sum256([]byte(nodeName))
	return hex.EncodeToString(sum[:16])
}

// Publisher is a node.Publisher. Its Start does the writing.
type Publisher struct {
	Options
	owner *owner
	// bgp keeps the ServiceBGPStatus objects, layer2 the ServiceL2Status ones.
	bgp, layer2 *register
	// verdict is what ConfigurationState is to say.
	verdict *mailbox[verdict]
	// standing belongs to who publishes; news has it for digest, and decided what is in force for watch.
	standing standing
	news     *mailbox[standing]
	decided  *mailbox[announce.Node]
	events   *eventSender
	lost     lost
	synced   []func() bool
	// away are FRR's daemons that were told to be down; it belongs to who calls Observe.
	away map[string]bool
}

// New returns a Publisher. The cache is not started yet.
func New(ctx context.Context, o Options) (*Publisher, error) {
	p := &Publisher{
		Options: o, owner: &owner{pod: types.NamespacedName{Namespace: o.Namespace, Name: o.Pod}},
		verdict: newMailbox[verdict](), news: newMailbox[standing](), decided: newMailbox[announce.Node](), events: newEventSender(o.Client, o.Node, o.Log),
		away: map[string]bool{},
	}
	var err error
	if p.bgp, err = newRegister(o, p.owner, bgpStatus, func(ipam.ServiceKey) {}); err != nil {
		return nil, err
	}
	if p.layer2, err = newRegister(o, p.owner, layer2Status, p.assigned); err != nil {
		return nil, err
	}
	p.events.busy = func() bool { return p.bgp.busy.Load() || p.layer2.busy.Load() }
	informer, err := o.Cache.GetInformer(ctx, &v1beta1.ConfigurationState{}, cache.BlockUntilSynced(false))
	if err != nil {
		return nil, fmt.Errorf("watch ConfigurationState: %w", err)
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(any, any) { p.verdict.wake() },
		DeleteFunc: func(any) { p.verdict.wake() },
	})
	if err != nil {
		return nil, fmt.Errorf("watch ConfigurationState: %w", err)
	}
	p.synced = []func() bool{p.bgp.mirror.HasSynced, p.layer2.mirror.HasSynced, registration.HasSynced}
	return p, nil
}

// Publish implements node.Publisher.
func (p *Publisher) Publish(r node.Report) {
	p.standing = p.standing.after(r)
	p.Metrics.observe(r, p.standing.node)
	p.news.put(p.standing)
}

// Start writes until ctx ends. What was written stays: whoever starts next on this node takes it over.
func (p *Publisher) Start(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { p.bgp.mirror.Start(ctx); return nil })
	tasks.Go(func() error { p.layer2.mirror.Start(ctx); return nil })
	tasks.Go(func() error { p.digest(ctx); return nil })
	tasks.Go(func() error { p.watch(ctx); return nil })
	tasks.Go(func() error { p.events.run(ctx); return nil })
	tasks.Go(func() error { p.watchSent(ctx); return nil })
	tasks.Go(func() error { p.retry(ctx, p.verdict.news, 0, p.writeState); return nil })
	tasks.Go(func() error { p.retry(ctx, p.bgp.wishes.news, calm, p.bgp.write); return nil })
	tasks.Go(func() error { p.retry(ctx, p.layer2.wishes.news, layer2Calm, p.writeLayer2); return nil })
	return tasks.Wait()
}

// watchSent has the objects compared when what routers were sent may have changed.
func (p *Publisher) watchSent(ctx context.Context) {
	if p.Sent == nil {
		return
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.Sent.News():
			p.bgp.wishes.touch()
		}
	}
}

// NeedLeaderElection implements controller-runtime's LeaderElectionRunnable: every node reports for itself.
func (p *Publisher) NeedLeaderElection() bool { return false }

// digest turns reports into log lines and into what the other tasks write.
func (p *Publisher) digest(ctx context.Context) {
	var inForce announce.Node
	var problems []string
	var said verdict
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.news.news:
		}
		now, _ := p.news.get()
		problems = p.logProblems(ctx, problems, now.report.Problems)
		if now.report.Outcome != 0 || now.report.Away != "" {
			v := judge(now)
			v.drain = now.drain(p.Node)
			v.links = p.links()
			if !v.equal(said) { // with the same, there is nothing to write
				p.verdict.put(v)
				said = v
			}
		}
		for _, l := range transitions(inForce, now.node) {
			l.log(ctx, p.Log)
			p.lost.note(&l)
		}
		logHeld(ctx, p.Log, inForce, now.node)
		p.remark(ctx, inForce, now.node)
		if kept := keptNotes(inForce, now.node); len(kept) > 0 {
			p.events.put(kept...)
		}
		inForce = now.node
		if now.routed {
			p.bgp.wishes.put(func() wishes {
				all := routed(now.node)
				deliver(all, now.node.Verdicts, p.Sent)
				return all
			})
		}
		p.decided.put(now.node)
	}
}

const (
	// firstPause and lastPause are between attempts to write, growing while they fail.
	firstPause = time.Second
	lastPause  = time.Minute
	// calm is how long nothing must change before status objects are written: during a burst, the API server's time belongs to addresses.
	calm = time.Second
	// layer2Calm is the same for layer 2: whoever looks for the node that answers now looks when it has just changed.
	layer2Calm = calm / 4
)

// retry calls write whenever there is news, once that has settled, and again after a pause when it failed.
func (p *Publisher) retry(ctx context.Context, news <-chan struct{}, calm time.Duration, write func(context.Context) error) {
	if !p.waitForSync(ctx) {
		return
	}
	pause := firstPause
	var again <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-news:
			settle(ctx, news, calm)
		case <-again:
		}
		err := write(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause, again = firstPause, nil
			continue
		}
		if again == nil { // the first failure of a series
			p.Log.WarnContext(ctx, "cannot report; trying again", "op", "publish", "error", err)
		}
		again = time.After(pause)
		pause = min(2*pause, lastPause)
	}
}

// settle returns when there was no news for the time given, or when there was some for ten times as long.
func settle(ctx context.Context, news <-chan struct{}, calm time.Duration) {
	if calm == 0 {
		return
	}
	limit := time.After(10 * calm)
	for {
		select {
		case <-ctx.Done():
			return
		case <-limit:
			return
		case <-time.After(calm):
			return
		case <-news:
		}
	}
}

func (p *Publisher) waitForSync(ctx context.Context) bool {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for slices.ContainsFunc(p.synced, func(done func() bool) bool { return !done() }) {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
	return true
}

// owner is the speaker's pod, the owner of status objects: they go when it is gone for good.
type owner struct {
	pod types.NamespacedName
	// found is set once; a pod keeps its UID.
	found []metav1.OwnerReference
	mu    sync.Mutex
}

// references returns the pod as owner, none when there is no such pod.
func (o *owner) references(ctx context.Context, c client.Client) ([]metav1.OwnerReference, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pod.Name == "" || o.found != nil {
		return o.found, nil
	}
	var pod corev1.Pod
	err := c.Get(ctx, o.pod, &pod)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read pod %s, the owner of status objects: %w", o.pod, err)
	}
	o.found = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}
	return o.found, nil
}
