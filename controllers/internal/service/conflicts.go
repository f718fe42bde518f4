package service

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/probe"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

const (
	// conflictMemory is how long an address that somebody was found to have is not tried again.
	conflictMemory = 10 * time.Minute
	// freeMemory is how long an address that nobody was found to have counts as free if nobody gets it meanwhile.
	freeMemory = time.Minute
)

// conflicts is what is known about addresses of pools that somebody else may have. But for arrived it belongs to the worker.
type conflicts struct {
	inbox  inbox
	prober asker

	// asking has who waits to hear about an address.
	asking map[netip.Addr]map[types.NamespacedName]bool
	// free has until when an address counts as free, found who was found to have one.
	free  map[netip.Addr]time.Time
	found map[netip.Addr]finding
	// foreign is what the ledger has been told: found, and what the configuration says.
	foreign map[netip.Addr]string

	mu      sync.Mutex
	arrived []probe.Answer
}

// finding is who has an address, in words, and until when that is believed.
type finding struct {
	who   string
	until time.Time
}

func newConflicts(in inbox, prober func(func(context.Context, probe.Answer)) asker) *conflicts {
	c := &conflicts{inbox: in, asking: map[netip.Addr]map[types.NamespacedName]bool{}, free: map[netip.Addr]time.Time{}, found: map[netip.Addr]finding{}}
	c.prober = prober(c.put)
	return c
}

// put takes an answer for the worker.
func (c *conflicts) put(ctx context.Context, a probe.Answer) {
	c.mu.Lock()
	c.arrived = append(c.arrived, a)
	c.mu.Unlock()
	c.inbox.put(ctx, answersWork)
}

func (c *conflicts) take() []probe.Answer {
	c.mu.Lock()
	defer c.mu.Unlock()
	arrived := c.arrived
	c.arrived = nil
	return arrived
}

// ask has the addresses looked for on behalf of a Service, those that are not being looked for already.
func (c *conflicts) ask(addrs []netip.Addr, service types.NamespacedName) {
	for _, addr := range addrs {
		if c.asking[addr] == nil {
			c.asking[addr] = map[types.NamespacedName]bool{}
			c.prober.Ask(addr)
		}
		c.asking[addr][service] = true
	}
}

// unproved returns those of the addresses decided on for a Service that may not be given to it before it is known that nobody else has them.
// An address that the API has shown on it, or shows on a Service that it shares with, is in use already, and by no stranger.
func (r *Reconciler) unproved(rec *record, addrs []netip.Addr) []netip.Addr {
	var list []netip.Addr
	for _, addr := range addrs {
		if r.ledger.NeedsProbe(addr) && !r.Now().Before(r.conflicts.free[addr]) && !r.owned(rec, addr) {
			list = append(list, addr)
		}
	}
	return list
}

// owned tells whether the Service or one that it shares with has had an address in the API since it was decided on.
func (r *Reconciler) owned(rec *record, addr netip.Addr) bool {
	if slices.Contains(rec.owned, addr) {
		return true
	}
	return slices.ContainsFunc(r.ledger.Holders(addr), func(s ipam.ServiceKey) bool {
		other := r.records[types.NamespacedName{Namespace: s.Namespace, Name: s.Name}]
		return other != nil && slices.Contains(other.owned, addr)
	})
}

// answers takes in what the speakers found out, and goes on with the Services that waited for it.
func (r *Reconciler) answers(ctx context.Context) {
	c, now := r.conflicts, r.Now()
	services := map[types.NamespacedName]bool{}
	conflict := false
	for _, a := range c.take() {
		waiting := c.asking[a.Address]
		delete(c.asking, a.Address)
		n, event := told(a)
		if a.Outcome == probe.InUse {
			conflict = true
			c.found[a.Address] = finding{who(a), now.Add(conflictMemory)}
			r.tellPool(ctx, a.Address, n)
		} else {
			c.free[a.Address] = now.Add(freeMemory)
		}
		for key := range waiting {
			services[key] = services[key] || a.Outcome == probe.InUse
			if rec := r.records[key]; rec != nil && event {
				r.publish(ctx, rec, []note{n})
			}
		}
	}
	maps.DeleteFunc(c.free, func(_ netip.Addr, until time.Time) bool { return !now.Before(until) })
	if conflict {
		if _, err := r.strangers(ctx); err != nil {
			r.Log.Error("internal error", "bug", "true", "error", err) // reading from a cache that is there
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(services), compareNames) {
		r.proceed(ctx, key, services[key])
	}
}

// proceed goes on with a Service of which an address was asked about. After a conflict it starts afresh from what the API has shown.
func (r *Reconciler) proceed(ctx context.Context, key types.NamespacedName, conflict bool) {
	rec := r.records[key]
	svc, err := r.find(ctx, key)
	if rec == nil || err != nil || svc == nil || svc.UID != rec.uid {
		return // what became of it is on the way
	}
	if claim, ok := r.ledger.Claim(rec.service()); ok && conflict {
		claim.Addresses = rec.owned
		rec.forgetHeld()
		rec.told = nil // that it was to have the address was never shown: what the API says may still be true
		if err := r.ledger.Assign(claim); err != nil {
			r.Log.Error("internal error: an address in use can't be given up", "bug", "true", "service", key.String(), "error", err)
			return
		}
		r.serveLater(ctx)
	}
	r.settle(ctx, svc)
}

// who says in words who has an address.
func who(a probe.Answer) string {
	text := a.HardwareAddress
	if text == "" {
		text = a.Message
	}
	if text == "" {
		text = "somebody"
	}
	text += ", seen by node " + a.Node
	if a.Interface != "" {
		text += " on " + a.Interface
	}
	return text
}

// told puts an answer into words, if there is something to tell.
func told(a probe.Answer) (n note, worth bool) {
	attrs := []slog.Attr{slog.String("event", "addressConflict"), slog.Any("ip", texts([]netip.Addr{a.Address})), slog.String("node", a.Node),
		slog.String("interface", a.Interface), slog.String("hardwareAddress", a.HardwareAddress)}
	switch a.Outcome {
	case probe.InUse:
		return note{warning: true, reason: "AddressConflict", message: fmt.Sprintf("%s is in use by %s; it is not given away", a.Address, who(a)),
			level: slog.LevelWarn, log: "address is in use by somebody else", attrs: attrs}, true
	case probe.Unknown:
		attrs[0] = slog.String("event", "conflictCheckSkipped")
		return note{warning: true, reason: "ConflictCheckSkipped", message: fmt.Sprintf("%s is given without knowing whether anybody has it: %s", a.Address, a.Message),
			level: slog.LevelWarn, log: "address is given without knowing whether anybody has it", attrs: append(attrs, slog.String("error", a.Message))}, true
	default:
		return note{}, false
	}
}

// tellPool publishes an event on the pool of an address.
func (r *Reconciler) tellPool(ctx context.Context, addr netip.Addr, n note) {
	name, ok := r.ledger.PoolOf(addr)
	if !ok {
		return
	}
	pool := &v1beta1.IPAddressPool{}
	if err := r.cached.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: name}, pool, client.UnsafeDisableDeepCopy); err != nil {
		return // deleted meanwhile
	}
	r.events.put(&corev1.ObjectReference{APIVersion: v1beta1.GroupVersion.String(), Kind: "IPAddressPool", Namespace: pool.Namespace, Name: pool.Name,
		UID: pool.UID}, n)
}

// strangers tells the ledger which addresses of pools that are checked belong to somebody else: to nodes, to routers that BGPPeers name, and
// to those that were found on the network. It returns of which addresses that has changed, sorted.
func (r *Reconciler) strangers(ctx context.Context) (changed []netip.Addr, err error) {
	c, now := r.conflicts, r.Now()
	checked := map[string]bool{}
	for i := range r.config.Pools {
		if p := &r.config.Pools[i]; p.Check != ipam.CheckNone {
			checked[p.Name] = true
		}
	}
	foreign := map[netip.Addr]string{}
	add := func(addr netip.Addr, who string) {
		if pool, ok := r.ledger.PoolOf(addr); ok && checked[pool] {
			foreign[addr] = who
		}
	}
	for addr, f := range c.found {
		if !now.Before(f.until) {
			delete(c.found, addr) // it may be tried again
			continue
		}
		r.alarm.set(strangersWork, f.until.Sub(now))
		add(addr, f.who)
	}
	if len(checked) > 0 {
		if err := r.neighbors(ctx, add); err != nil {
			return nil, err
		}
	}
	for _, known := range []map[netip.Addr]string{c.foreign, foreign} {
		for addr := range known {
			if c.foreign[addr] != foreign[addr] {
				changed = append(changed, addr)
			}
		}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	c.foreign = foreign
	r.ledger.SetForeign(foreign)
	r.signal()
	slices.SortFunc(changed, netip.Addr.Compare)
	return slices.Compact(changed), nil
}

// lookAtStrangers takes in what has become of strangers' addresses, for those that have one of them and those that wait for one.
func (r *Reconciler) lookAtStrangers(ctx context.Context) error {
	changed, err := r.strangers(ctx)
	if len(changed) == 0 {
		return err
	}
	for _, addr := range changed {
		for _, s := range r.ledger.Holders(addr) {
			svc, err := r.find(ctx, types.NamespacedName{Namespace: s.Namespace, Name: s.Name})
			if err == nil && svc != nil { // else an event is on the way
				r.settle(ctx, svc)
			}
		}
	}
	r.serveWaiting(ctx)
	return err
}

// neighbors calls add with the addresses of nodes and of routers that BGPPeers name.
func (r *Reconciler) neighbors(ctx context.Context, add func(netip.Addr, string)) error {
	var nodes corev1.NodeList
	if err := r.cached.List(ctx, &nodes, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Nodes in the cache: %w", err)
	}
	for i := range nodes.Items {
		for _, addr := range kubeview.NodeAddresses(&nodes.Items[i]) {
			add(addr, "node "+nodes.Items[i].Name)
		}
	}
	var peers v1beta2.BGPPeerList
	if err := r.cached.List(ctx, &peers, client.InNamespace(r.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing BGPPeers in the cache: %w", err)
	}
	for i := range peers.Items {
		// Whether the rest of the BGPPeer is valid does not matter: the router has the address.
		if addr, err := netip.ParseAddr(peers.Items[i].Spec.PeerAddress); err == nil {
			add(addr.Unmap(), "BGPPeer "+peers.Items[i].Name)
		}
	}
	return nil
}
