// Package members tells which other speakers are alive, and what they say of their nodes. It asks nobody but them: memberlist's gossip, on the
// port and with the key of MetalLB's speakers, and a connection to each peer that ends at the moment its process does. It knows no Kubernetes;
// who should be there is told by SetPeers.
package members

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"
)

// Options are what a member needs to know.
type Options struct {
	// Name is the name of the node.
	Name string
	// BindAddr is the address to gossip on, which the others must be able to reach: that of the pod. BindPort is the port, UDP and TCP, the same
	// on all nodes.
	BindAddr netip.Addr
	BindPort int
	// SecretPath is a file with the secret, or a folder with the file secretkey; "" gossips without encryption. When the file changes, so does
	// the key, without a split.
	SecretPath string
	// Grace is how long a new key is only read with before it is written with. It must be longer than kubelets take to update a mounted
	// Secret; zero is 2 minutes, which is enough for their default of one.
	Grace time.Duration
	// WAN takes memberlist's settings for far networks: a dead node is then noticed within half a minute.
	WAN bool
	// TuningPath is a JSON file with settings of memberlist, "" for none. It need not exist.
	TuningPath string
	// Links are the names of the node's usable links, nil when unknown; SetLinks changes them.
	Links []string
	// Withheld is what the first word of this member to the others says of that, see Member.Withheld; SetWithheld changes it. A node that comes
	// back starts with 100 and so gets nothing before it asks for it.
	Withheld int
	// Fencing says when to stop claiming, see Snapshot.Quorate. Witness may be nil, and then nothing is ever proven.
	Fencing Fencing
	Witness Witness
	Log     *slog.Logger
}

// Witness tells of the speakers of these nodes by another way than gossip: for each that is running a mark that changes whenever its node gives
// a sign of life, as the renewal time of its Lease does. It is asked every few seconds, and only while members are missing. Nodes without a
// running speaker are left out.
type Witness func(ctx context.Context, nodes []string) (map[string]string, error)

// Peer is a speaker that should be there.
type Peer struct {
	// Name is the name of its node.
	Name string
	Addr netip.Addr
}

// Member is a speaker that is alive.
type Member struct {
	// Name is the name of its node.
	Name string
	Addr netip.Addr
	// Links are the names of the links that can carry layer 2, sorted; nil when unknown.
	Links []string
	// Withheld is how much of its balanced placement the node leaves to the others as yet, in percent (announce.NodeInfo.Withheld).
	Withheld int
}

// Snapshot is what is known at one moment.
type Snapshot struct {
	// Alive are the living members, this one among them, sorted by name.
	Alive []Member
	// Quorate is false when this member must not claim addresses, because it has not met the others yet or may be the one that is cut off.
	Quorate bool
	// Reason is why not, for people.
	Reason string
}

// Equal compares two snapshots.
func (s Snapshot) Equal(o Snapshot) bool {
	return s.Quorate == o.Quorate && s.Reason == o.Reason && slices.EqualFunc(s.Alive, o.Alive, func(a, b Member) bool {
		return a.Name == b.Name && a.Addr == b.Addr && a.Withheld == b.Withheld && slices.Equal(a.Links, b.Links) && (a.Links == nil) == (b.Links == nil)
	})
}

// Members is this speaker among the others.
type Members struct {
	options  Options
	list     *memberlist.Memberlist
	port     *transport
	log      *slog.Logger
	snapshot atomic.Pointer[Snapshot]
	changed  chan struct{}
	// dirty says that gossip or the wanted peers have changed, join that there may be somebody to join.
	dirty, join chan struct{}
	reports     chan nodeReport
	stop        context.CancelFunc
	tasks       sync.WaitGroup
	leave       sync.Once

	// telling is held while the others are told about this node, so that what is said last is what is true last.
	telling sync.Mutex

	mu sync.Mutex
	// about is this node; heard is what memberlist has of all that gossip, this node among them. Its own nodes must not be read without its locks.
	about about
	heard map[string]heard
	// peers are those that should be there, nil until the first SetPeers; gone are members that have been lost.
	peers, gone map[string]netip.Addr
	// acks are the times when answered probes were sent.
	acks map[string]time.Time
	// met is true once this member has joined another one, or has tried all peers in vain.
	met bool
}

// nodeReport is a report of the line to a node.
type nodeReport struct {
	line *line
	lineReport
}

// leaveWithin bounds how long leaving takes.
const leaveWithin = time.Second

// Start opens the port and gossips until Leave is called. A speaker should start when it is ready to announce: from then on the others count on
// it. When ctx ends before Leave, the port is closed without a word, and to the others this member has died: who stops in order gives up what
// it claims, calls Leave, and ends ctx.
func Start(ctx context.Context, o Options) (*Members, error) {
	if o.Grace == 0 {
		o.Grace = 2 * time.Minute
	}
	config, err := o.configure()
	if err != nil {
		// A wrong setting must not take a node out of service.
		o.Log.ErrorContext(ctx, "some of the tuning is not in force", "op", "startup", "error", err)
	}
	key, err := readKey(o.SecretPath)
	if err != nil {
		return nil, err
	}
	m := &Members{
		options: o, log: o.Log, changed: make(chan struct{}, 1), dirty: make(chan struct{}, 1), join: make(chan struct{}, 1),
		reports: make(chan nodeReport), about: about{slices.Clone(o.Links), o.Withheld}, heard: map[string]heard{}, acks: map[string]time.Time{},
	}
	if key == nil {
		o.Log.WarnContext(ctx, "the members gossip without encryption", "op", "startup")
	} else if config.Keyring, err = memberlist.NewKeyring(nil, key); err != nil {
		return nil, fmt.Errorf("set up the key of the members: %w", err)
	}
	logger := newLogger(o.Log)
	inner, err := memberlist.NewNetTransport(&memberlist.NetTransportConfig{BindAddrs: []string{o.BindAddr.String()}, BindPort: o.BindPort, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("listen for the members on %s: %w", netip.AddrPortFrom(o.BindAddr, uint16(o.BindPort)), err)
	}
	m.port = newTransport(inner, o.Name)
	config.Name, config.BindAddr, config.BindPort, config.AdvertisePort = o.Name, o.BindAddr.String(), o.BindPort, o.BindPort
	config.Transport, config.Logger = m.port, logger
	config.Delegate, config.Events, config.Ping = (*delegate)(m), (*delegate)(m), (*delegate)(m)
	if m.list, err = memberlist.Create(config); err != nil {
		return nil, errors.Join(fmt.Errorf("start to gossip: %w", err), m.port.Shutdown())
	}
	m.start(ctx, config, key)
	return m, nil
}

// start starts what runs beside memberlist.
func (m *Members) start(ctx context.Context, config *memberlist.Config, key []byte) {
	context.AfterFunc(ctx, func() { m.leave.Do(func() { _ = m.close() }) })
	ctx, m.stop = context.WithCancel(ctx)
	w := newWatch(m, timingFor(config))
	m.publish(w.snapshot())
	m.tasks.Go(func() { w.run(ctx) })
	m.tasks.Go(func() { m.joinAll(ctx) })
	if key != nil {
		m.tasks.Go(func() { m.turnKeys(ctx, config.Keyring, ring{primary: key}) })
	}
}

// Snapshot returns what is known now. It does not change; the next one is another value.
func (m *Members) Snapshot() Snapshot { return *m.snapshot.Load() }

// Changed has something to read after Snapshot has changed. It is for one reader.
func (m *Members) Changed() <-chan struct{} { return m.changed }

// SetPeers says who should be there: all speakers but this one, which may be among them. They are joined, and joined again when they are missing. Members
// that are not named but gossip are members none the less; lost ones that are not named are forgotten. Who cannot know, because the API server is
// away, does not call: then nothing changes.
func (m *Members) SetPeers(peers []Peer) {
	wanted := make(map[string]netip.Addr, len(peers))
	for _, p := range peers {
		if p.Name != m.options.Name && p.Addr.IsValid() {
			wanted[p.Name] = p.Addr
		}
	}
	m.mu.Lock()
	m.peers = wanted
	m.mu.Unlock()
	poke(m.dirty)
	poke(m.join)
}

// SetLinks tells the others which links of this node can carry layer 2; nil means that any may.
func (m *Members) SetLinks(links []string) {
	links = slices.Clone(links)
	m.tell(func(a *about) { a.links = links })
}

// SetWithheld tells the others how much of its balanced placement this node leaves to them as yet, in percent (Member.Withheld): 100 is all
// of it, 0 nothing. Less than 0 is 0, and more than 100 is 100.
func (m *Members) SetWithheld(percentage int) {
	m.tell(func(a *about) { a.withheld = percentage })
}

// tell changes what this member says of its node, and has the others told if that makes a difference to them. It does not wait for them.
func (m *Members) tell(change func(*about)) {
	m.mu.Lock()
	before := m.about.encode()
	change(&m.about)
	same := bytes.Equal(before, m.about.encode())
	m.mu.Unlock()
	if same {
		return
	}
	m.telling.Lock()
	defer m.telling.Unlock()
	// memberlist asks NodeMeta, and queues the answer before it waits, which is of no use here. It loses the answer when it refutes a rumour about
	// this node at that very moment.
	for try := 0; try < 3 && !m.told(); try++ {
		if err := m.list.UpdateNode(time.Millisecond); err != nil {
			m.log.Debug("the members are being told about this node", "op", "memberDiscovery", "error", err)
		}
	}
	poke(m.dirty)
}

// told says whether memberlist has what this member says of its node.
func (m *Members) told() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.heard[m.options.Name].meta == string(m.about.encode())
}

// Leave tells the others that this member is leaving, so that they take over at once, and closes the port. What this member claims it must have
// given up before. Without Leave, the others find out by themselves.
func (m *Members) Leave(ctx context.Context) error {
	var err error
	m.leave.Do(func() {
		m.port.bye()
		within := leaveWithin
		if deadline, ok := ctx.Deadline(); ok {
			within = max(min(within, time.Until(deadline)), time.Millisecond)
		}
		err = errors.Join(m.list.Leave(within), m.close())
	})
	if err != nil {
		return fmt.Errorf("leave the members: %w", err)
	}
	return nil
}

// close ends everything without a word to the others.
func (m *Members) close() error {
	m.stop()
	err := m.list.Shutdown()
	m.tasks.Wait()
	return err
}

// publish makes a snapshot the current one.
func (m *Members) publish(s Snapshot) {
	if old := m.snapshot.Load(); old != nil && old.Equal(s) {
		return
	}
	m.snapshot.Store(&s)
	poke(m.changed)
}

// poke says that there is something to do; once is enough.
func poke(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// delegate is what memberlist calls. It calls while it holds its locks: nothing here may wait.
type delegate Members

// NodeMeta implements memberlist.Delegate.
func (d *delegate) NodeMeta(int) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.about.encode()
}

// NotifyMsg implements memberlist.Delegate; there are no messages.
func (*delegate) NotifyMsg([]byte) {}

// GetBroadcasts implements memberlist.Delegate.
func (*delegate) GetBroadcasts(int, int) [][]byte { return nil }

// LocalState implements memberlist.Delegate.
func (*delegate) LocalState(bool) []byte { return nil }

// MergeRemoteState implements memberlist.Delegate.
func (*delegate) MergeRemoteState([]byte, bool) {}

// NotifyJoin implements memberlist.EventDelegate.
func (d *delegate) NotifyJoin(n *memberlist.Node) { d.hear(n); d.note(n, "NodeJoin") }

// NotifyLeave implements memberlist.EventDelegate.
func (d *delegate) NotifyLeave(n *memberlist.Node) {
	d.mu.Lock()
	delete(d.heard, n.Name)
	d.mu.Unlock()
	d.note(n, "NodeLeave")
}

// NotifyUpdate implements memberlist.EventDelegate.
func (d *delegate) NotifyUpdate(n *memberlist.Node) { d.hear(n); d.note(n, nodeUpdate) }

// heard is a node that gossips: what it says of itself, and where.
type heard struct {
	meta string
	addr netip.AddrPort
}

// hear keeps what matters of a node: later, without memberlist's locks, it must not be read from n.
func (d *delegate) hear(n *memberlist.Node) {
	d.mu.Lock()
	defer d.mu.Unlock()
	ip, _ := netip.AddrFromSlice(n.Addr)
	d.heard[n.Name] = heard{meta: string(n.Meta), addr: netip.AddrPortFrom(ip.Unmap(), n.Port)}
}

// nodeUpdate is the event that a member says something else of its node.
const nodeUpdate = "NodeUpdate"

func (d *delegate) note(n *memberlist.Node, event string) {
	if n.Name != d.options.Name {
		level := slog.LevelInfo
		if event == nodeUpdate { // every few seconds while a node takes its part back
			level = slog.LevelDebug
		}
		d.log.Log(context.Background(), level, "node event - forcing sync", "op", "memberDiscovery", "node name", n.Name, "node addr", n.Addr.String(), "node event", event)
	}
	poke(d.dirty)
}

// AckPayload implements memberlist.PingDelegate.
func (*delegate) AckPayload() []byte { return nil }

// NotifyPingComplete implements memberlist.PingDelegate: a probe was answered.
func (d *delegate) NotifyPingComplete(n *memberlist.Node, rtt time.Duration, _ []byte) {
	d.mu.Lock()
	d.acks[n.Name] = time.Now().Add(-rtt)
	d.mu.Unlock()
}
