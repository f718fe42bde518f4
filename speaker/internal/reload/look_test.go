package reload

import (
	"testing"
	"time"
)

func TestGivenADaemonThatDoesNotAnswerWhenItIsNotOneOfThisFRRsThenItIsLookedForSeldom(t *testing.T) {
	for _, c := range []struct {
		daemon  string
		seen    bool
		looking time.Duration
		seldom  bool
	}{
		{"mgmtd", false, time.Second, false}, {"mgmtd", false, time.Minute, true}, {"mgmtd", true, time.Minute, false}, {"bgpd", false, time.Hour, false},
	} {
		if wait := lookAgain(c.daemon, c.seen, c.looking); wait > time.Second || wait >= time.Second != c.seldom {
			t.Errorf("%+v: looked for again after %v", c, wait)
		}
	}
}
