// Package neighbors makes this speaker one among the others: it starts the gossip, tells it from the API which speakers there should be, and
// which links this node has, and takes the node's part of the work back step by step. The gossip itself is in package members.
package neighbors

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// Links tells which links of this node can carry layer 2; *l2.Responder is one.
type Links interface {
	// Links returns their names, nil before they are known.
	Links() []string
	// LinksChanged is signaled when they have changed.
	LinksChanged() <-chan struct{}
}

// Options are what Neighbors work with.
type Options struct {
	// Namespace and Labels select the pods of the speakers.
	Namespace string
	Labels    labels.Selector
	// API is for watching the pods, Leases reads those of the nodes, without a cache.
	API    mirror.API
	Leases client.Reader
	// Gossip is how to gossip. What it says of links, of what is withheld, of the witness and of the log is set here.
	Gossip members.Options
	Links  Links
	// Await returns true once this speaker is ready to announce, false when ctx ends first: from then on the others count on it.
	Await func(ctx context.Context) bool
	// Changed is called when Snapshot has changed. It must not block.
	Changed func()
	Log     *slog.Logger
}

// beginPause is between attempts to begin to gossip.
const beginPause = 3 * time.Second

// Neighbors are the other speakers. Their Snapshot lets nobody claim anything before the gossip has begun.
type Neighbors struct {
	Options
	pods   *pods
	mirror *mirror.Mirror
	// members is nil and before is the Snapshot until the gossip has begun. met says that this speaker could claim addresses at least once.
	members atomic.Pointer[members.Members]
	before  atomic.Pointer[members.Snapshot]
	met     atomic.Bool

	// mu keeps Leave from missing a gossip that is just beginning.
	mu   sync.Mutex
	left bool
}

// New returns Neighbors that have not started.
func New(o Options) (*Neighbors, error) {
	n := &Neighbors{Options: o, pods: newPods(o.Gossip.BindAddr.Is4())}
	n.Gossip.Witness, n.Gossip.Log, n.Gossip.Withheld = n.witness, o.Log, 100
	n.wait("the gossip among the speakers has not begun")
	var err error
	n.mirror, err = mirror.New(o.API, mirror.Kind{Object: &corev1.Pod{}, Resource: "pods", Namespace: o.Namespace, Labels: o.Labels.String(), Slim: slim}, n.pods)
	if err != nil {
		return nil, fmt.Errorf("watch the pods of the speakers: %w", err)
	}
	return n, nil
}

// Snapshot returns which speakers are alive.
func (n *Neighbors) Snapshot() members.Snapshot {
	if m := n.members.Load(); m != nil {
		return m.Snapshot()
	}
	return *n.before.Load()
}

// Ready fails until this speaker could claim addresses once. It stays ready afterwards: who is cut off later is not to be restarted.
func (n *Neighbors) Ready() error {
	if s := n.Snapshot(); s.Quorate {
		n.met.Store(true)
	} else if !n.met.Load() {
		return fmt.Errorf("no address may be claimed on layer 2 yet: %s", s.Reason)
	}
	return nil
}

// Start works until ctx ends. The gossip goes on until Leave is called: who ends gives up what he claims in between.
func (n *Neighbors) Start(ctx context.Context) error {
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { n.mirror.Start(ctx); return nil })
	tasks.Go(func() error {
		if m := n.begin(ctx); m != nil {
			n.tell(ctx, m)
		}
		return nil
	})
	return tasks.Wait()
}

// Leave tells the others that this speaker is leaving, so that they take over at once, and ends the gossip for good, within the time that ctx
// leaves. What this speaker claims it must have given up before.
func (n *Neighbors) Leave(ctx context.Context) error {
	n.mu.Lock()
	n.left = true
	n.mu.Unlock()
	if m := n.members.Load(); m != nil {
		return m.Leave(ctx)
	}
	return nil
}

// begin begins to gossip once this speaker is ready to announce and knows its links. It tries until that succeeds, and returns nil when ctx ends
// or Leave is called first.
func (n *Neighbors) begin(ctx context.Context) *members.Members {
	if !n.Await(ctx) {
		return nil
	}
	for n.Links.Links() == nil {
		n.wait("the links of this node are not known yet")
		select {
		case <-ctx.Done():
			return nil
		case <-n.Links.LinksChanged():
		}
	}
	for told := ""; ; {
		m, err := n.try(ctx)
		if err == nil {
			return m
		}
		if text := err.Error(); text != told {
			n.Log.ErrorContext(ctx, "cannot gossip with the other speakers, so this node announces nothing on layer 2; BGP goes on; trying again",
				"op", "memberDiscovery", "error", err, "remedy", n.remedy(err))
			told = text
		}
		n.wait("cannot gossip with the other speakers: " + err.Error())
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(beginPause):
		}
	}
}

// try begins to gossip, and returns nil without error when Leave has been called.
func (n *Neighbors) try(ctx context.Context) (*members.Members, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.left {
		return nil, nil
	}
	o := n.Gossip
	o.Links = n.Links.Links()
	m, err := members.Start(context.WithoutCancel(ctx), o)
	if err != nil {
		return nil, err
	}
	n.members.Store(m)
	return m, nil
}

// remedy says what somebody can do about an error.
func (n *Neighbors) remedy(err error) string {
	switch {
	case is(err, syscall.EADDRINUSE):
		return fmt.Sprintf("another program on this node has port %[1]d, TCP or UDP: `ss -lnptu 'sport = :%[1]d'` names it; stop it, or give all speakers another --ml-bindport", n.Gossip.BindPort)
	case is(err, syscall.EADDRNOTAVAIL):
		return fmt.Sprintf("%s is not an address of this node: --ml-bindaddr is to be that of the pod", n.Gossip.BindAddr)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission):
		return fmt.Sprintf("the key of the gossip is to be at %s (--ml-secret-key-path), from the Secret memberlist", n.Gossip.SecretPath)
	}
	return "see the flags --ml-… in docs/speaker.md"
}

// is tells whether an error comes from that one of the kernel. memberlist keeps its words only.
func is(err error, number syscall.Errno) bool {
	return errors.Is(err, number) || strings.Contains(err.Error(), number.Error())
}

// wait makes it known why there are no neighbors yet.
func (n *Neighbors) wait(reason string) {
	s := members.Snapshot{Alive: []members.Member{{Name: n.Gossip.Name, Addr: n.Gossip.BindAddr}}, Reason: reason}
	if old := n.before.Swap(&s); old != nil && !old.Equal(s) {
		n.Changed()
	}
}

// tell tells the members what they do not find out by themselves, and the caller what they do, until ctx ends.
func (n *Neighbors) tell(ctx context.Context, m *members.Members) {
	n.Changed()
	timer := time.NewTimer(0)
	defer timer.Stop()
	var homecoming pace
	var peers []members.Peer
	told := false
	for {
		if now, known := n.pods.peers(); known && (!told || !slices.Equal(now, peers)) {
			m.SetPeers(now)
			peers, told = now, true
		}
		m.SetLinks(n.Links.Links())
		var withheld int
		var wait time.Duration
		homecoming, withheld, wait = homecoming.step(m.Snapshot(), time.Now())
		m.SetWithheld(withheld)
		timer.Stop()
		if wait > 0 {
			timer.Reset(wait)
		}
		select {
		case <-ctx.Done():
			return
		case <-n.pods.changed:
		case <-n.Links.LinksChanged():
		case <-timer.C:
		case <-m.Changed():
			n.Changed()
		}
	}
}
