package service

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// ConditionAllocated is the type of the condition on a Service that says whether it has the addresses it asks for.
const ConditionAllocated = "metallb.io/Allocated"

// ConditionAnnounced is the type of the condition on a Service that says whether the network is told of its addresses. Package announced writes it.
const ConditionAnnounced = "metallb.io/Announced"

// ReasonAllocated is the reason of ConditionAllocated when all is well; otherwise the reason is an ipam.Code.
const ReasonAllocated = "Allocated"

// shown is everything this program writes on one Service, as the API shows it or is to show it.
type shown struct {
	addresses []netip.Addr
	// pool is the annotation ip-allocated-from-pool, "" for none.
	pool string
	// oldPool tells that the annotation of the deprecated prefix is there; it is never wanted.
	oldPool bool
	// verdict is the condition, without its time; its Type is "" for none.
	verdict metav1.Condition
}

// observe returns what the API shows on a Service.
func observe(svc *corev1.Service) shown {
	var s shown
	s.addresses, _ = kubeview.Held(svc)
	s.pool = svc.Annotations[v1beta1.AnnotationAllocatedFromPool]
	_, s.oldPool = svc.Annotations[v1beta1.DeprecatedAnnotationAllocatedFromPool]
	if c := meta.FindStatusCondition(svc.Status.Conditions, ConditionAllocated); c != nil {
		s.verdict = *c
	}
	return s
}

// wanted returns what the API is to show after a decision.
func wanted(d *ipam.Decision) shown {
	s := shown{addresses: d.Addresses, verdict: verdict(d)}
	if d.Allocated() {
		s.pool = d.Pool
	}
	return s
}

// verdict puts a decision into a condition: allocated or not, and with what reservations.
func verdict(d *ipam.Decision) metav1.Condition {
	c := metav1.Condition{Type: ConditionAllocated, Status: condition.Is(d.Allocated()), Reason: ReasonAllocated}
	if len(d.Problems) == 0 {
		c.Message = "the Service has the addresses it asks for"
		return c
	}
	c.Reason = string(d.Problems[0].Code)
	for i, p := range d.Problems {
		if i > 0 {
			c.Message += "; "
		}
		c.Message += p.Detail
	}
	return c
}

// difference says how far what is shown is from what is wanted.
type difference uint8

const (
	same difference = iota
	// minor: only what explains an address differs. It can wait.
	minor
	// major: the addresses differ.
	major
)

// compare returns how s, which the API shows, differs from want. An address without a condition is left as it is as long as there is
// nothing to report: taking over the Services of another installation, or of an older version, writes nothing.
func (s *shown) compare(want *shown) difference {
	switch {
	case !slices.Equal(s.addresses, want.addresses):
		return major
	case s.pool != want.pool || s.oldPool != want.oldPool:
		return minor
	case s.verdict.Type == "" && (want.verdict.Type == "" || want.verdict.Reason == ReasonAllocated):
		return same
	case s.verdict.Type != want.verdict.Type, s.verdict.Status != want.verdict.Status,
		s.verdict.Reason != want.verdict.Reason, s.verdict.Message != want.verdict.Message:
		return minor
	}
	return same
}

// date gives the verdict, which is wanted, its time: that of the one shown as long as it says the same, else now.
func (s *shown) date(have *shown, now time.Time) {
	if s.verdict.Type == "" {
		return
	}
	var old []metav1.Condition
	if have.verdict.Type != "" {
		old = []metav1.Condition{have.verdict}
	}
	dated, _ := condition.Apply(old, 0, now, s.verdict)
	s.verdict = dated[0]
}

// patch returns the strategic merge patch for the status of a Service that makes the API show want, whatever it shows now: one write for
// annotation, addresses and condition together, since the API server takes changes of metadata along with those of the status. The UID
// makes the write fail if the Service has been replaced by another one of the same name.
func patch(uid types.UID, have, want *shown) ([]byte, error) {
	type ingress struct {
		IP string `json:"ip"`
	}
	var change struct {
		Metadata struct {
			UID types.UID `json:"uid"`
			// What is null is removed.
			Annotations map[string]*string `json:"annotations"`
		} `json:"metadata"`
		Status struct {
			LoadBalancer struct {
				Ingress []ingress `json:"ingress"`
			} `json:"loadBalancer"`
			Conditions any `json:"conditions,omitempty"`
		} `json:"status"`
	}
	change.Metadata.UID = uid
	change.Metadata.Annotations = map[string]*string{v1beta1.AnnotationAllocatedFromPool: nil}
	if want.pool != "" {
		change.Metadata.Annotations[v1beta1.AnnotationAllocatedFromPool] = &want.pool
	}
	if have.oldPool {
		change.Metadata.Annotations[v1beta1.DeprecatedAnnotationAllocatedFromPool] = nil
	}
	for _, addr := range want.addresses {
		change.Status.LoadBalancer.Ingress = append(change.Status.LoadBalancer.Ingress, ingress{addr.String()})
	}
	switch {
	case want.verdict.Type != "":
		change.Status.Conditions = []metav1.Condition{want.verdict}
	case have.verdict.Type != "":
		change.Status.Conditions = []any{map[string]any{"$patch": "delete", "type": ConditionAllocated}}
	}
	body, err := json.Marshal(&change)
	if err != nil {
		return nil, fmt.Errorf("composing the patch of a Service's status: %w", err)
	}
	return body, nil
}
