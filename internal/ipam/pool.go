// Package ipam decides which address a Service gets: ranges, pools, sharing, the ledger of what is in use, and the decision itself.
// It is pure: it knows no clock, no I/O and no Kubernetes types.
package ipam

import (
	"net/netip"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// ServiceKey names a Service in the cluster.
type ServiceKey struct {
	Namespace, Name string
}

// String returns namespace/name.
func (k ServiceKey) String() string { return k.Namespace + "/" + k.Name }

// Range is a run of addresses of one family, First and Last included, First not after Last.
type Range struct {
	First, Last netip.Addr
}

// Contains tells whether addr lies in the range. Addresses of the other family never do.
func (r Range) Contains(addr netip.Addr) bool {
	return addr.BitLen() == r.First.BitLen() && r.First.Compare(addr) <= 0 && addr.Compare(r.Last) <= 0
}

// Pool is a valid IPAddressPool: its ranges overlap neither each other nor another pool's.
type Pool struct {
	Name string
	// Ranges in the order in which the user listed them, which is the order they are used in (rule A8).
	Ranges []Range
	// AutoAssign is false for a pool that serves only Services that ask for it.
	AutoAssign bool
	// AvoidBuggyIPs keeps IPv4 addresses that end in .0 or .255 unused (rule A9).
	AvoidBuggyIPs bool
	// Allocation restricts who may use the pool; nil means everybody.
	Allocation *Allocation
	// Disabled drains the pool: what Services have of it they keep, and nobody gets anything more, also not who asks for it.
	Disabled bool
	// Check is what has to be known of an address before it is given away.
	Check ConflictCheck
	// Disruptive tells that the user allowed live addresses to be lost to this version of the pool: those that were given from it and are in
	// no pool any more, and those that it no longer gives to the Services that have them.
	Disruptive bool
}

// ConflictCheck says what of an address is looked at before it is given away (rule A11).
type ConflictCheck uint8

// The conflict checks. The zero value is what MetalLB does.
const (
	// CheckNone: nothing.
	CheckNone ConflictCheck = iota
	// CheckKnown: it must not be known to belong to somebody else, see Ledger.SetForeign.
	CheckKnown
	// CheckProbe: that, and nobody on its network must answer to it. Asking is the caller's part, see Ledger.NeedsProbe.
	CheckProbe
)

// Allocation is a pool's serviceAllocation: who may use it, and how early it is tried (rule A5).
type Allocation struct {
	// Priority orders pinned pools: lower first, 0 last.
	Priority int
	// Namespaces and NamespaceSelectors are OR-ed; both empty means every namespace.
	Namespaces         []string
	NamespaceSelectors selector.Set
	// ServiceSelectors are AND-ed with the namespace rule; empty means every Service.
	ServiceSelectors selector.Set
	// Strict keeps the Services that the pool admits from all pools without an Allocation, also when they ask for one by name (rule A6).
	Strict bool
}

// Contains tells whether addr lies in one of the pool's ranges, whatever AvoidBuggyIPs says of it.
func (p *Pool) Contains(addr netip.Addr) bool {
	for _, r := range p.Ranges {
		if r.Contains(addr) {
			return true
		}
	}
	return false
}
