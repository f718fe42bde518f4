// Package reservation decides what an IPReservation keeps: which addresses, for how long, and what its status says. It is pure; the worker of
// package service, which owns the ledger, calls it and has the outcome written.
package reservation

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Status is the part of an IPReservation's status that says what is kept. What the API shows of it is the only memory there is.
type Status struct {
	// Addresses are kept at present, in the order of the spec, or, where they are chosen, IPv4 first.
	Addresses []netip.Addr
	// Services are the names of the Services that have one of them, sorted.
	Services []string
	// UnusedSince is when the last Service that had one lost it; zero while one has, and before any had. It has a resolution of one second.
	UnusedSince time.Time
	// Verdict is the condition Reserved, without its time.
	Verdict metav1.Condition
}

// Equal tells whether the API shows the same for both.
func (s *Status) Equal(o *Status) bool {
	a, b := s.Verdict, o.Verdict
	a.LastTransitionTime, b.LastTransitionTime = metav1.Time{}, metav1.Time{}
	return slices.Equal(s.Addresses, o.Addresses) && slices.Equal(s.Services, o.Services) && s.UnusedSince.Equal(o.UnusedSince) && a == b
}

// Read returns what the API shows on an IPReservation. An address that does not parse is left out: only this program writes them.
func Read(r *v1beta1.IPReservation) Status {
	s := Status{Services: r.Status.Services}
	for _, text := range r.Status.Addresses {
		if addr, err := netip.ParseAddr(text); err == nil {
			s.Addresses = append(s.Addresses, addr.Unmap())
		}
	}
	if r.Status.UnusedSince != nil {
		s.UnusedSince = r.Status.UnusedSince.Time
	}
	for _, c := range r.Status.Conditions {
		if c.Type == v1beta1.ConditionReserved {
			s.Verdict = c
		}
	}
	return s
}

// Ledger is what is asked of ipam.Ledger.
type Ledger interface {
	PoolOf(addr netip.Addr) (pool string, ok bool)
	Holders(addr netip.Addr) []ipam.ServiceKey
	// PickReserved finds an address of a pool to keep; after it has, that address is nobody else's.
	PickReserved(pool string, f ipam.Family) (netip.Addr, bool)
}

// Reservation is an IPReservation at work.
type Reservation struct {
	intent.Reservation
	// Generation is the object's.
	Generation int64
	// Status is what was last decided, or what the API shows of an object seen for the first time.
	Status Status
	// Other returns the name of another IPReservation that has chosen an address before this one named it, "" for none.
	Other func(netip.Addr) string
	// Entitled tells whether the addresses are for a Service that has one of them.
	Entitled func(ipam.ServiceKey) bool
}

// Outcome is what an IPReservation keeps from now on.
type Outcome struct {
	Status
	// Reserve are the addresses that go to nobody else, including those that a stranger still has.
	Reserve []netip.Addr
	// First tells that the API must show the outcome before it is relied on: an address was chosen, which otherwise would be another one after
	// a restart; or the addresses are for everybody again, which otherwise would be kept once more.
	First bool
	// Recheck is when to decide again though nothing has happened; zero if that is never necessary.
	Recheck time.Time
}

// Decide says what a reservation keeps, given who has what. An address that was chosen once stays, whatever becomes of the pool, until the
// spec is changed so that it does not fit any more.
func Decide(r Reservation, l Ledger, now time.Time) Outcome {
	now = now.Truncate(time.Second)
	had := r.Status
	edited := had.Verdict.Type != "" && had.Verdict.ObservedGeneration != r.Generation
	var o Outcome
	var lacks []ipam.Family
	if r.Pool == "" {
		o.Reserve = slices.Clone(r.Addresses)
	} else {
		o.Reserve = r.chosen(l, edited)
		lacks = r.missing(o.Reserve)
	}
	strangers := r.holders(&o, l)
	o.UnusedSince = had.UnusedSince
	switch {
	case len(o.Services) > 0:
		o.UnusedSince = time.Time{}
	case edited && had.Verdict.Reason == v1beta1.ReasonExpired:
		o.UnusedSince = time.Time{} // what the user has changed may want the addresses once more
	case len(had.Services) > 0:
		o.UnusedSince = now
	}
	ends := o.UnusedSince.Add(r.Retain)
	switch {
	case r.Retain == 0 || o.UnusedSince.IsZero():
	case now.Before(ends):
		o.Recheck = ends
	default:
		o.Reserve, o.Addresses = nil, nil
		o.First = len(had.Addresses) > 0
		o.Verdict = r.verdict(false, v1beta1.ReasonExpired, fmt.Sprintf("no Service has had any of the addresses for %s: they are for everybody again", r.Retain))
		return o
	}
	o.First = r.choose(&o, l, &lacks)
	o.Verdict = r.judge(&o, l, strangers, lacks)
	return o
}

// chosen returns those of the addresses chosen before that stay.
func (r *Reservation) chosen(l Ledger, edited bool) []netip.Addr {
	var kept []netip.Addr
	for _, addr := range r.Status.Addresses {
		if edited {
			pool, ok := l.PoolOf(addr)
			if !ok || pool != r.Pool || r.Families != nil && !slices.Contains(r.Families, ipam.FamilyOf(addr)) {
				continue
			}
		}
		kept = append(kept, addr)
	}
	return kept
}

// missing returns the families of which there is no address yet.
func (r *Reservation) missing(have []netip.Addr) []ipam.Family {
	return slices.DeleteFunc(slices.Clone(r.Families), func(f ipam.Family) bool {
		return slices.ContainsFunc(have, func(addr netip.Addr) bool { return ipam.FamilyOf(addr) == f })
	})
}

// holders finds who has the addresses, puts those that are kept into the status and the Services that they are for, and returns who else has
// one, in words.
func (r *Reservation) holders(o *Outcome, l Ledger) (strangers []string) {
	for _, addr := range o.Reserve {
		kept := true
		if other := r.Other(addr); r.Pool == "" && other != "" {
			strangers = append(strangers, fmt.Sprintf("%s by IPReservation %s", addr, other))
			continue
		}
		for _, service := range l.Holders(addr) {
			if r.Entitled(service) {
				o.Services = append(o.Services, service.Name)
				continue
			}
			strangers = append(strangers, fmt.Sprintf("%s by %s", addr, service))
			// What was chosen is remembered nowhere else.
			kept = r.Pool != ""
		}
		if kept {
			o.Addresses = append(o.Addresses, addr)
		}
	}
	slices.Sort(o.Services)
	o.Services = slices.Compact(o.Services)
	return strangers
}

// choose takes an address of each of the families, leaving those of which the pool has none, and tells whether it took any.
func (r *Reservation) choose(o *Outcome, l Ledger, families *[]ipam.Family) (picked bool) {
	*families = slices.DeleteFunc(*families, func(f ipam.Family) bool {
		addr, ok := l.PickReserved(r.Pool, f)
		if ok {
			o.Reserve, o.Addresses, picked = append(o.Reserve, addr), append(o.Addresses, addr), true
		}
		return ok
	})
	byFamily := func(a, b netip.Addr) int { return cmp.Compare(ipam.FamilyOf(a), ipam.FamilyOf(b)) }
	if picked {
		slices.SortStableFunc(o.Reserve, byFamily)
		slices.SortStableFunc(o.Addresses, byFamily)
	}
	return picked
}

// judge puts the outcome into the condition.
func (r *Reservation) judge(o *Outcome, l Ledger, strangers []string, lacks []ipam.Family) metav1.Condition {
	switch {
	case len(strangers) > 0:
		return r.verdict(false, v1beta1.ReasonAddressInUse,
			fmt.Sprintf("in use: %s; who has an address keeps it, and once it is free it is kept", strings.Join(strangers, ", ")))
	case len(lacks) > 0:
		parts := make([]string, len(lacks))
		for i, f := range lacks {
			parts[i] = fmt.Sprintf("pool %s has no free %s address", r.Pool, f)
		}
		return r.verdict(false, v1beta1.ReasonPoolExhausted, strings.Join(parts, "; "))
	case len(o.Reserve) == 0:
		return r.verdict(false, v1beta1.ReasonPoolExhausted, fmt.Sprintf("pool %s is not in force, or has no address of the families asked for", r.Pool))
	}
	var parts []string
	for _, addr := range o.Reserve {
		pool, ok := l.PoolOf(addr)
		switch {
		case !ok:
			parts = append(parts, fmt.Sprintf("%s is kept, but is in no pool", addr))
		case r.Pool != "" && pool != r.Pool:
			parts = append(parts, fmt.Sprintf("%s is kept, but is in pool %s now", addr, pool))
		}
	}
	if len(parts) > 0 {
		return r.verdict(true, v1beta1.ReasonReserved, strings.Join(parts, "; "))
	}
	return r.verdict(true, v1beta1.ReasonReserved, "all addresses are kept")
}

func (r *Reservation) verdict(is bool, reason, message string) metav1.Condition {
	return metav1.Condition{Type: v1beta1.ConditionReserved, Status: condition.Is(is), Reason: reason, Message: message, ObservedGeneration: r.Generation}
}
