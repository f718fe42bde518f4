package publish

import (
	"fmt"
	"slices"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func TestGivenLinksThatComeAndGoWhenReportedThenTheConfigurationStateNamesThemAndOnlyChangesAreWritten(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	g := newGossip("n1")
	s := c.start("n1", "", g)
	report := func(links ...string) {
		g.Store(&members.Snapshot{Quorate: true, Alive: []members.Member{{Name: "n0", Links: []string{"theirs"}}, {Name: "n1", Links: links}}})
		s.Publish(node.Report{Outcome: node.Applied, InForce: true})
	}
	await := func(want ...string) {
		t.Helper()
		c.eventually(func() error {
			var state v1beta1.ConfigurationState
			if err := c.Get(t.Context(), client.ObjectKey{Namespace: c.namespace, Name: stateName("n1")}, &state); err != nil {
				return err
			}
			if !slices.Equal(state.Status.Links, want) || state.Status.Result != v1beta1.ConfigurationValid {
				return fmt.Errorf("status is %+v, want the links %v and Valid", state.Status, want)
			}
			return nil
		})
	}
	report("eth1", "eth0")
	await("eth0", "eth1")
	report("eth0", "eth1")
	c.atRest(s)
	report("eth0")
	await("eth0")
	var many []string
	for i := range 2 * maxLinks {
		many = append(many, fmt.Sprintf("vlan%04d", i))
	}
	report(many...)
	await(many[:maxLinks]...)
	report()
	await()
}
