// Package condition is the only way the project sets conditions: the time of the last transition changes only with the status, and what
// did not change is not written.
package condition

import (
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// maxMessage is the longest message the API server accepts in a metav1.Condition.
const maxMessage = 32768

// Is returns True or False.
func Is(yes bool) metav1.ConditionStatus {
	if yes {
		return metav1.ConditionTrue
	}
	return metav1.ConditionFalse
}

// Apply returns have with each of want set, and whether that differs from have. have itself is not changed, so it may belong to a cache.
// Conditions of other types are kept. The generation is the one of the object that want was computed from. LastTransitionTime is now where
// the status changes, else it stays; that of want is disregarded. A message longer than the API allows is cut.
func Apply(have []metav1.Condition, generation int64, now time.Time, want ...metav1.Condition) ([]metav1.Condition, bool) {
	out, changed := slices.Clone(have), false
	for _, c := range want {
		c.ObservedGeneration = generation
		c.Message = cut(c.Message)
		// metav1.Time has a resolution of one second in JSON.
		c.LastTransitionTime = metav1.NewTime(now.Truncate(time.Second))
		if old := meta.FindStatusCondition(out, c.Type); old != nil && !old.LastTransitionTime.IsZero() && old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		changed = meta.SetStatusCondition(&out, c) || changed
	}
	return out, changed
}

// cut shortens message to what the API accepts, at the end of a whole rune.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	const more = " …"
	end := maxMessage - len(more)
	for end > 0 && message[end]&0xC0 == 0x80 {
		end--
	}
	return message[:end] + more
}
