package publish

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func TestGivenFRRThatDoesNotRunWhatIsWantedWhenScrapedThenThatIsSaidUntilItDoes(t *testing.T) {
	m := NewMetrics("n1", func() uint64 { return 7 })
	for i, step := range []struct {
		outcome node.Outcome
		failing float64
	}{{node.Applied, 0}, {node.Refused, 1}, {node.Pending, 1}, {node.Unreachable, 1}, {node.Applied, 0}, {node.Pending, 0}} {
		m.observe(node.Report{Outcome: step.outcome}, announce.Node{})
		if got := testutil.ToFloat64(m.refused); got != step.failing {
			t.Errorf("step %d, outcome %v: failing is %v, want %v", i, step.outcome, got, step.failing)
		}
	}
}

func TestGivenAddressesThatAreAnsweredWhenScrapedThenSinceWhenOnTheFirstLink(t *testing.T) {
	e := newEdge()
	began := time.Unix(1_700_000_000, 500_000_000)
	e.set(
		l2.Observed{Address: netip.MustParseAddr("10.0.0.1"), Links: []l2.Answering{{Name: "eth0", Since: began.Add(time.Minute)}, {Name: "eth1", Since: began}}},
		l2.Observed{Address: netip.MustParseAddr("10.0.0.2"), Problems: []string{"eth0 is down"}},
	)
	const want = `
# HELP metallb_layer2_answering_since_seconds When this node began to answer for the address on the link where it has done so for longest, in seconds since 1970.
# TYPE metallb_layer2_answering_since_seconds gauge
metallb_layer2_answering_since_seconds{ip="10.0.0.1"} 1.7000000005e+09
`
	if err := testutil.CollectAndCompare(NewLayer2Metrics(e, nil), strings.NewReader(want), "metallb_layer2_answering_since_seconds"); err != nil {
		t.Error(err)
	}
}
