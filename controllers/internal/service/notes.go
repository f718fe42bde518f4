package service

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// eventAllocated is the reason of the event that tells which addresses a Service got.
const eventAllocated = "IPAllocated"

// note is one event on a Service together with its line in the log, published when what it tells of has become true in the API.
type note struct {
	warning bool
	// reason is that of the event; "" for a line in the log only.
	reason, message string
	level           slog.Level
	log             string
	attrs           []slog.Attr
}

// notesOn returns what is to be told about a decision. before is the verdict that the Service had, so that an unchanged problem is not told
// again.
func notesOn(d *ipam.Decision, had bool, changed bool) []note {
	var notes []note
	for _, g := range d.GivenUp {
		notes = append(notes, note{
			reason:  "ClearAssignment",
			message: fmt.Sprintf("current IP %q for %q not kept: %s", g.Address, d.Service, g.Reason.Detail),
			log:     "IP address given up: " + g.Reason.Detail,
			attrs: []slog.Attr{slog.String("event", "clearAssignment"), slog.String("reason", string(g.Reason.Code)),
				slog.Any("ip", texts([]netip.Addr{g.Address}))},
		})
	}
	if len(d.Added) > 0 {
		notes = append(notes, allocated(d, had && len(d.Added) < len(d.Addresses)))
	}
	if !changed {
		return notes
	}
	for _, p := range d.Problems {
		notes = append(notes, problem(d, p))
	}
	return notes
}

func allocated(d *ipam.Decision, additional bool) note {
	n := note{
		reason:  eventAllocated,
		message: fmt.Sprintf("Assigned IP %q", texts(d.Added)),
		log:     "IP address assigned by controller",
		attrs:   []slog.Attr{slog.String("event", "ipAllocated"), slog.Any("ip", texts(d.Added))},
	}
	if additional {
		n.message = fmt.Sprintf("Assigned additional IP %q", texts(d.Added))
		n.log = "Additional IP address assigned by controller"
	}
	return n
}

// problem tells in MetalLB's words what is wrong; kinds of problems that MetalLB does not know have their code as reason.
func problem(d *ipam.Decision, p ipam.Reason) note {
	n := note{
		warning: true,
		reason:  "AllocationFailed",
		message: fmt.Sprintf("Failed to allocate IP for %q: %s", d.Service, p.Detail),
		level:   slog.LevelError,
		log:     "IP allocation failed",
		attrs:   []slog.Attr{slog.String("op", "allocateIPs"), slog.String("error", p.Detail)},
	}
	switch p.Code {
	case ipam.NotEnoughClusterIPs:
		n.reason = "not enough clusterips"
		n.message = p.Detail
	case ipam.InvalidRequest:
		n.reason = "LoadBalancerFailed"
		n.message = "invalid request: " + p.Detail
		n.attrs[0] = slog.String("event", "loadbalancerIP")
	case ipam.PoolMismatch:
		n.concerns(p, "IP address kept though its pool no longer gives it", "poolMismatch")
	default:
		switch {
		case !d.Allocated():
		case p.Code == ipam.AddressForeign:
			n.concerns(p, "IP address belongs to somebody who is no Service", "addressConflict")
		default:
			n.warning = false
			n.reason = "AdditionalAssignFailed"
			n.message = "cannot assign additional IP: " + p.Detail
			n.level = slog.LevelInfo
			n.log = "no additional IP address"
			n.attrs[0] = slog.String("event", "tryAssignAdditionalIP")
		}
	}
	return n
}

// concerns makes n tell of an address that the Service would not get today.
func (n *note) concerns(p ipam.Reason, log, event string) {
	n.reason, n.message = string(p.Code), p.Detail
	n.level, n.log = slog.LevelWarn, log
	n.attrs[0] = slog.String("event", event)
}

// deprecated tells that a Service uses annotations of the old prefix.
func deprecated(keys []string) []note {
	var notes []note
	for _, key := range keys {
		notes = append(notes, note{
			warning: true,
			reason:  "deprecatedAnnotation",
			message: fmt.Sprintf("Service uses deprecated annotation %q", key),
			level:   slog.LevelWarn,
			log:     "service uses a deprecated annotation",
			attrs:   []slog.Attr{slog.String("event", "deprecatedAnnotation"), slog.String("annotation", key)},
		})
	}
	return notes
}

func texts(addrs []netip.Addr) []string {
	out := make([]string, len(addrs))
	for i, addr := range addrs {
		out[i] = addr.String()
	}
	return out
}

// publish logs the notes and passes those that are events on.
func (r *Reconciler) publish(ctx context.Context, rec *record, notes []note) {
	for _, n := range notes {
		attrs := append(n.attrs[:len(n.attrs):len(n.attrs)], slog.String("service", rec.key.String()))
		r.Log.LogAttrs(ctx, n.level, n.log, attrs...)
		if n.reason != "" {
			r.events.put(rec.reference(), n)
		}
	}
}

func (rec *record) reference() *corev1.ObjectReference {
	return &corev1.ObjectReference{APIVersion: "v1", Kind: "Service", Namespace: rec.key.Namespace, Name: rec.key.Name, UID: rec.uid}
}
