// Package timing says when something is due, as the parts of the speaker tell it each other: as a time to wait, of which 0 means for ever.
package timing

import "time"

// longestRest is as long as one leaves a thing alone that takes very long, or does not end.
const longestRest = 5 * time.Second

// Rest is how long to leave a thing alone that took so long, for it to take a twentieth of the time at most, however often there is cause for it; of
// what takes longer than a quarter of a second a larger part, as nothing waits for more than five seconds.
func Rest(took time.Duration) time.Duration { return min(19*took, longestRest) }

// Soonest is the lesser of two times to wait, of which 0 means for ever.
func Soonest(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}
