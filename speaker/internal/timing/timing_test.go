package timing_test

import (
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/timing"
)

func TestGivenTwoTimesToWaitWhenOneIsForEverThenTheOtherCounts(t *testing.T) {
	for _, c := range []struct{ a, b, want time.Duration }{{0, 0, 0}, {0, time.Second, time.Second}, {time.Minute, time.Second, time.Second}} {
		if got, turned := timing.Soonest(c.a, c.b), timing.Soonest(c.b, c.a); got != c.want || turned != c.want {
			t.Errorf("of %v and %v: %v, and %v the other way round, want %v", c.a, c.b, got, turned, c.want)
		}
	}
}

func TestGivenWhatTakesLongWhenItIsLeftAloneThenItTakesATwentiethOfTheTimeAndNothingWaitsForEver(t *testing.T) {
	for _, c := range []struct{ took, want time.Duration }{
		{0, 0}, {time.Millisecond, 19 * time.Millisecond}, {100 * time.Millisecond, 1900 * time.Millisecond}, {time.Minute, 5 * time.Second},
	} {
		if got := timing.Rest(c.took); got != c.want {
			t.Errorf("after %v: %v, want %v", c.took, got, c.want)
		}
	}
}
