package node

import (
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

func TestGivenVerdictsOnLayer2WhenReportedThenOnlyWhatIsCarriedOutIsLeft(t *testing.T) {
	bgp, layer2 := &announce.Verdict{Protocol: announce.ProtocolBGP}, &announce.Verdict{Protocol: announce.ProtocolLayer2}
	given := []*announce.Verdict{layer2, bgp, layer2}
	if got := carriedOut(given); len(got) != 1 || got[0] != bgp {
		t.Errorf("left are %v, want the verdict on BGP alone", got)
	}
	if given[0] != layer2 || given[1] != bgp || given[2] != layer2 {
		t.Errorf("the decider's own list was changed: %v", given)
	}
}
