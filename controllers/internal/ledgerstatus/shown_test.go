package ledgerstatus

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

func TestGivenStrangersInAPoolWhenTheConditionIsMadeThenItNamesTheFirstAndCountsTheRest(t *testing.T) {
	p := &Pool{Checked: true}
	if c := p.conflictFree(); c.Status != metav1.ConditionTrue || c.Reason != v1beta1.ReasonNoConflict {
		t.Errorf("condition %+v of a pool without strangers", c)
	}
	addr := netip.MustParseAddr("192.0.2.0")
	for i := range 12 {
		p.Strangers = append(p.Strangers, Stranger{addr, fmt.Sprint("node n", i)})
		addr = addr.Next()
	}
	c := p.conflictFree()
	if c.Status != metav1.ConditionFalse || c.Reason != v1beta1.ReasonConflictFound || !strings.HasPrefix(c.Message, "192.0.2.0 is in use by node n0; ") ||
		!strings.HasSuffix(c.Message, "192.0.2.9 is in use by node n9; 2 more addresses are somebody else's") {
		t.Errorf("condition %+v", c)
	}
}
