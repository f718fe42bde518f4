package kubeview

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// DrainOn is when a node gives up its BGP routes in order. The zero value is never: by itself nothing of it counts (rule N5).
type DrainOn struct {
	// States are the impairments with which it does, and Taints the keys of taints.
	States []Impairment
	Taints []string
}

// ParseTaints reads a list of keys of taints separated by commas, as a flag has it; "" is an empty list. The error says what was found and what
// would be right.
func ParseTaints(list string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var found []string
	for key := range strings.SplitSeq(list, ",") {
		key = strings.TrimSpace(key)
		if wrong := validation.IsQualifiedName(key); len(wrong) > 0 {
			return nil, fmt.Errorf("%q in the list %q is no key of a taint: %s", key, list, strings.Join(wrong, "; "))
		}
		if !slices.Contains(found, key) {
			found = append(found, key)
		}
	}
	return found, nil
}

// Draining says why the node drains, in words that follow "node n1 ", such as "is unschedulable"; "" when it does not. since is when that
// began as far as the object tells, and zero when it does not tell: Kubernetes notes it for taints, which a cordon brings about as well, and
// for the condition Ready, but not for annotations.
func Draining(n *corev1.Node, on DrainOn) (words string, since time.Time) {
	why, begin := []string{}, func(t time.Time) {
		if !t.IsZero() && (since.IsZero() || t.Before(since)) {
			since = t.UTC()
		}
	}
	for _, i := range Impairments() {
		if slices.Contains(on.States, i) && i.of(n) {
			why = append(why, i.words())
			begin(i.since(n))
		}
	}
	for _, key := range on.Taints {
		if has, added := taint(n, key); has {
			why = append(why, "has the taint "+key)
			begin(added)
		}
	}
	return strings.Join(why, " and "), since
}

// since is when the node, which has the impairment, came to have it; zero when that is not known.
func (i Impairment) since(n *corev1.Node) (at time.Time) {
	switch i {
	case NotReady, ShuttingDown:
		if c := ready(n); c != nil {
			at = c.LastTransitionTime.Time
		}
	case OutOfService:
		_, at = taint(n, corev1.TaintNodeOutOfService)
	case Unschedulable:
		_, at = taint(n, corev1.TaintNodeUnschedulable)
	case DrainRequested:
	}
	return at
}

// taint tells whether the node has a taint with that key, and since when: the earliest that is known, where several have it.
func taint(n *corev1.Node, key string) (has bool, since time.Time) {
	for i := range n.Spec.Taints {
		t := &n.Spec.Taints[i]
		if t.Key != key {
			continue
		}
		has = true
		if t.TimeAdded != nil && (since.IsZero() || t.TimeAdded.Time.Before(since)) {
			since = t.TimeAdded.Time
		}
	}
	return has, since
}
