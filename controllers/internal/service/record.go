package service

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// record is what the worker knows about one Service beside the ledger.
type record struct {
	key     types.NamespacedName
	uid     types.UID
	created time.Time
	// have is what the API shows as of version, a resource version.
	have    shown
	version string
	// want is what was last decided, if decided is set. writing tells that it has been handed to the writer, and that the outcome is not
	// known yet.
	want    shown
	decided bool
	writing bool
	// notes are to be published when the API shows want, held those that wait until it is known that nobody else has the addresses.
	notes, held []note
	// unproved are the addresses decided on that nobody may have before it is known that they are free.
	unproved []netip.Addr
	// owned are the addresses decided on that the API has shown here: nobody has to be asked about them.
	owned []netip.Addr
	// told is the verdict that was last told of, once there was one.
	told *verdictText
	// asks tells that the Service asks for certain addresses.
	asks bool
	// waits is the request of a Service that does not have all it asks for.
	waits *ipam.Request
}

func newRecord(svc *corev1.Service) *record {
	return &record{
		key:     types.NamespacedName{Namespace: svc.Namespace, Name: svc.Name},
		uid:     svc.UID,
		created: svc.CreationTimestamp.Time,
		have:    observe(svc),
		version: svc.ResourceVersion,
	}
}

// verdictText is what of a verdict is worth telling of when it changes.
type verdictText struct{ reason, message string }

// tell returns whether a verdict has not been told of yet, and notes that it is now.
func (rec *record) tell(v *metav1.Condition) bool {
	known := verdictText{rec.have.verdict.Reason, rec.have.verdict.Message}
	if rec.told != nil {
		known = *rec.told
	}
	rec.told = &verdictText{v.Reason, v.Message}
	return known != *rec.told
}

// forgetHeld drops what was to be told of addresses that the Service does not get after all.
func (rec *record) forgetHeld() {
	rec.held = slices.DeleteFunc(rec.held, func(n note) bool { return n.reason == eventAllocated })
}

// own notes which of the addresses decided on the API has shown.
func (rec *record) own(decided []netip.Addr) {
	rec.owned = slices.DeleteFunc(slices.Clone(rec.have.addresses), func(a netip.Addr) bool { return !slices.Contains(decided, a) })
}

// service is the Service's name in the ledger.
func (rec *record) service() ipam.ServiceKey {
	return ipam.ServiceKey{Namespace: rec.key.Namespace, Name: rec.key.Name}
}

// look takes in what the API shows, unless it is older than what is known already: the cache lags behind this program's own writes.
func (rec *record) look(svc *corev1.Service) {
	if rec.newer(svc) {
		return
	}
	rec.have, rec.version = observe(svc), svc.ResourceVersion
}

// newer tells whether what is known is newer than svc.
func (rec *record) newer(svc *corev1.Service) bool {
	order, err := resourceversion.CompareResourceVersion(svc.ResourceVersion, rec.version)
	return err == nil && order < 0
}

// mayShow tells whether the API may show an address on the Service, now or after a write that is under way.
func (rec *record) mayShow(addr netip.Addr) bool {
	return rec.writing || slices.Contains(rec.have.addresses, addr)
}

// before orders Services by who is served first (rule A21): those that have addresses, then those that ask for certain ones, since nothing
// else will do for them, then by age.
func before(a, b *turn) int {
	return cmp.Or(
		compareBool(a.holds, b.holds),
		compareBool(a.asks, b.asks),
		a.created.Compare(b.created),
		compareNames(a.key, b.key),
	)
}

// turn is a Service in line to be decided on.
type turn struct {
	key         types.NamespacedName
	holds, asks bool
	created     time.Time
}

// compareNames orders Services by namespace, then name.
func compareNames(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// compareBool puts true first.
func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	default:
		return 1
	}
}
