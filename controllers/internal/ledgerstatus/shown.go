// Package ledgerstatus shows what the ledger of addresses says on the objects that users wrote: numbers and strangers' addresses on
// IPAddressPools, what is kept on IPReservations, and who is at the limit on AddressQuotas.
package ledgerstatus

import (
	"fmt"
	"net/netip"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Shown is what is to be shown. Whoever returns one does not change it any more.
type Shown struct {
	Pools        []Pool
	Reservations []Reservation
	Quotas       []Quota
}

// Pool is the account of an IPAddressPool.
type Pool struct {
	ipam.Usage
	// Checked tells that addresses of the pool are looked at before they are given away; Strangers are those that were found to be somebody
	// else's, sorted by address.
	Checked   bool
	Strangers []Stranger
}

// Stranger is an address that belongs to somebody who is no Service, and to whom, in words.
type Stranger struct {
	Address netip.Addr
	Who     string
}

// Reservation is what an IPReservation keeps.
type Reservation struct {
	Name   string
	UID    types.UID
	Status reservation.Status
}

// Quota is where an AddressQuota is reached.
type Quota struct {
	Name string
	// AtLimit are namespaces, sorted.
	AtLimit []string
}

// maxStrangers is how many addresses a condition names.
const maxStrangers = 10

// conflictFree is the condition of a pool that is checked.
func (p *Pool) conflictFree() metav1.Condition {
	c := metav1.Condition{Type: v1beta1.ConditionConflictFree, Status: condition.Is(len(p.Strangers) == 0), Reason: v1beta1.ReasonNoConflict,
		Message: "no address of the pool is known to be somebody else's"}
	if len(p.Strangers) == 0 {
		return c
	}
	var parts []string
	for i, s := range p.Strangers {
		if i == maxStrangers {
			parts = append(parts, fmt.Sprintf("%d more addresses are somebody else's", len(p.Strangers)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%s is in use by %s", s.Address, s.Who))
	}
	c.Reason, c.Message = v1beta1.ReasonConflictFound, strings.Join(parts, "; ")
	return c
}
