// Package timing says when something is due, as the parts of the speaker tell it each other: as a time to wait, of which 0 means for ever.
package timing

import "time"

// Soonest is the lesser of two times to wait, of which 0 means for ever.
func Soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
