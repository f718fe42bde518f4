package ipam

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Code says in one word what a Reason is about. Where MetalLB has a word for the same thing in its logs or events it is that word.
type Code string

// Codes of Decision.GivenUp: why a Service loses an address.
const (
	// NoClusterIPs: the Service has no cluster IP any more.
	NoClusterIPs Code = "noClusterIPs"
	// DifferentPoolRequested: the Service now asks for another pool.
	DifferentPoolRequested Code = "differentPoolRequested"
	// DifferentIPRequested: the Service now asks for other addresses.
	DifferentIPRequested Code = "differentIPRequested"
	// FamilyChanged: the Service no longer has the family of the address.
	FamilyChanged Code = "nolbIPsIPFamily"
	// SharingChanged: the Service was changed so that it may no longer share the address with the others that have it.
	SharingChanged Code = "sharingChanged"
	// CountReduced: the Service now wants fewer addresses.
	CountReduced Code = "countReduced"
)

// Codes of Decision.Problems.
const (
	// InvalidRequest: the request contradicts itself or can't be read.
	InvalidRequest Code = "InvalidRequest"
	// NotEnoughClusterIPs: dual stack is required of a Service with cluster IPs of one family.
	NotEnoughClusterIPs Code = "NotEnoughClusterIPs"
	// NoPool: there are no pools.
	NoPool Code = "NoPool"
	// PoolNotFound: the pool that the Service asks for does not exist.
	PoolNotFound Code = "PoolNotFound"
	// PoolNotAllowed: the pool's serviceAllocation does not admit the Service.
	PoolNotAllowed Code = "PoolNotAllowed"
	// AddressNotInPool: no pool, or not the requested one, has the requested address.
	AddressNotInPool Code = "AddressNotInPool"
	// AddressInUse: the requested address belongs to a Service that does not share it with this one.
	AddressInUse Code = "AddressInUse"
	// Exhausted: none of the pools that the Service may use has a free address.
	Exhausted Code = "PoolExhausted"
	// SecondFamilyMissing: the Service has an address of one family, and no pool gave it one of the other.
	SecondFamilyMissing Code = "SecondFamilyMissing"
	// PoolMismatch: the Service keeps an address that it would not get today: no pool has it any more, or the pool does not admit the
	// Service. As a reason to give an address up: the same, and the user allowed it to be lost.
	PoolMismatch Code = "PoolMismatch"
	// AddressesMissing: the Service has some, but not all of the addresses of a family that it wants.
	AddressesMissing Code = "AddressesMissing"
	// AddressReserved: an IPReservation keeps the requested address for other Services.
	AddressReserved Code = "AddressReserved"
	// AddressForeign: an address belongs to somebody who is no Service. The Service does not get it, or has it and keeps it.
	AddressForeign Code = "AddressForeign"
	// PoolDisabled: the pool that the Service asks for gives nothing away.
	PoolDisabled Code = "PoolDisabled"
	// PoolFenced: the Service may not use the pool because a strict pool admits it and this one has no serviceAllocation.
	PoolFenced Code = "PoolFenced"
	// QuotaExceeded: the Services of the namespace have as many addresses as an AddressQuota allows.
	QuotaExceeded Code = "QuotaExceeded"
)

// Reason explains a decision: a code for programs, and words for people, with names and numbers.
type Reason struct {
	Code   Code
	Detail string
}

// String returns the words.
func (r Reason) String() string { return r.Detail }

// attempt is why one pool gave no address of a family.
type attempt struct {
	pool   string
	family Family
	count  Count
	// inTheWay is the quota that kept the Service from what the pool has; its quota is nil if the pool has nothing.
	inTheWay limit
}

// String says it with the numbers.
func (a attempt) String() string {
	switch {
	case a.inTheWay.quota != nil:
		return a.inTheWay.describe(a.family)
	case a.count.Total == 0:
		return fmt.Sprintf("pool %s: no %s addresses", a.pool, a.family)
	}
	text := fmt.Sprintf("pool %s: %d of %d %s addresses in use", a.pool, a.count.Used, a.count.Total, a.family)
	if a.count.Reserved > 0 {
		text += fmt.Sprintf(", %d reserved", a.count.Reserved)
	}
	if a.count.Foreign > 0 {
		text += fmt.Sprintf(", %d known to belong to others", a.count.Foreign)
	}
	return text
}

// maxAttempts is how many pools a message names.
const maxAttempts = 5

// attempts collects why pools gave no address.
type attempts struct {
	list []attempt
	// others counts pools that serve other Services only, unasked those that serve only who asks for them, disabled those that give nothing,
	// and fenced those that the strict pool fence keeps the Service from.
	others, unasked, disabled, fenced int
	fence                             string
}

// reason says all of it. A quota is the reason if more could be had without it.
func (a *attempts) reason() Reason {
	code := Exhausted
	var parts []string
	more := 0
	for _, attempt := range a.list {
		if attempt.inTheWay.quota != nil {
			code = QuotaExceeded
		}
		text := attempt.String()
		switch {
		case slices.Contains(parts, text): // one quota for several pools
		case len(parts) == maxAttempts:
			more++
		default:
			parts = append(parts, text)
		}
	}
	if more > 0 {
		parts = append(parts, fmt.Sprintf("%d more pools have none either", more))
	}
	if a.others > 0 {
		parts = append(parts, counted(a.others, "pool serves", "pools serve")+" other namespaces or Services only")
	}
	if a.unasked > 0 {
		parts = append(parts, counted(a.unasked, "pool has", "pools have")+" autoAssign false and must be asked for")
	}
	if a.disabled > 0 {
		parts = append(parts, counted(a.disabled, "pool is", "pools are")+" disabled")
	}
	if a.fenced > 0 {
		parts = append(parts, counted(a.fenced, "pool", "pools")+" without serviceAllocation may not be used, since pool "+a.fence+" is strict")
	}
	return Reason{code, "no available IPs: " + strings.Join(parts, "; ")}
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// quoted formats addresses as MetalLB's events do: ["192.0.2.1" "2001:db8::1"].
func quoted(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, addr := range addrs {
		texts[i] = addr.String()
	}
	return fmt.Sprintf("%q", texts)
}
