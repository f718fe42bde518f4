package announced

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

// shown returns the condition that a Service has, nil for none.
func shown(svc *corev1.Service) *metav1.Condition {
	return meta.FindStatusCondition(svc.Status.Conditions, service.ConditionAnnounced)
}

// reasonOf is a code in the form that reasons of conditions have: the word that events, metrics and the log have, with a capital.
func reasonOf(code announce.ReasonCode) string {
	text := string(code)
	return strings.ToUpper(text[:1]) + text[1:]
}

// unannounced tells whether a reason is that not everything is announced, undelivered whether it is about sessions.
func unannounced(reason string) bool { return reason != reasonOf(announce.ReasonAnnounced) }

func undelivered(reason string) bool {
	return reason == reasonOf(announce.ReasonSessionDown) || reason == reasonOf(announce.ReasonNotSent)
}

// conditionOf puts an assessment into a condition. It has no time yet.
func conditionOf(a *announce.Assessment, svc *corev1.Service) metav1.Condition {
	c := metav1.Condition{Type: service.ConditionAnnounced, Reason: reasonOf(a.Code), Message: a.Detail}
	switch a.Announced {
	case announce.Yes:
		c.Status = metav1.ConditionTrue
	case announce.No:
		c.Status = metav1.ConditionFalse
	case announce.Unknown:
		c.Status = metav1.ConditionUnknown
	}
	fit, _ := condition.Apply(nil, svc.Generation, time.Time{}, c)
	return fit[0]
}

// kindOf tells differences apart by how much they matter.
type kindOf int

const (
	// same: there is nothing to write.
	same kindOf = iota
	// detail: the message differs, or the generation that it is about.
	detail
	// bad: not all is announced, and the condition does not say so, or says another reason.
	bad
	// good: all is announced, and the condition does not say so.
	good
)

// urgency is a difference between what a Service shows and what it is to show. Two are equal if it is to show the same status and reason.
type urgency struct {
	kind   kindOf
	status metav1.ConditionStatus
	reason string
}

// nothing is the urgency of no difference.
var nothing = urgency{}

// compare returns how what is shown, nil for nothing, differs from what is to be.
func compare(have, want *metav1.Condition) urgency {
	u := urgency{status: want.Status, reason: want.Reason}
	switch {
	case have != nil && have.Status == want.Status && have.Reason == want.Reason:
		if have.Message == want.Message && have.ObservedGeneration == want.ObservedGeneration {
			return nothing
		}
		u.kind = detail
	case !unannounced(want.Reason):
		u.kind = good
	default:
		u.kind = bad
	}
	return u
}

// patchOf returns the strategic merge patch for the status of a Service that sets the condition and touches no other. The UID makes it fail if
// the Service has been replaced by another one of the same name.
func patchOf(svc *corev1.Service, want metav1.Condition, now time.Time) ([]byte, error) {
	var have []metav1.Condition
	if c := shown(svc); c != nil {
		have = append(have, *c)
	}
	dated, _ := condition.Apply(have, want.ObservedGeneration, now, want)
	return encode(svc.UID, dated[0])
}

// removal returns the patch that takes the condition away.
func removal(svc *corev1.Service) ([]byte, error) {
	return encode(svc.UID, map[string]any{"$patch": "delete", "type": service.ConditionAnnounced})
}

func encode(uid types.UID, one any) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": uid}, "status": map[string]any{"conditions": []any{one}}})
	if err != nil {
		return nil, fmt.Errorf("composing the patch of a Service's condition: %w", err)
	}
	return body, nil
}
