package publish

import (
	"fmt"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/l2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

func assignedTo(service, node string) string {
	return service + ": Normal nodeAssigned x1: announcing from node \"" + node + "\" with protocol \"layer2\""
}

// quiet is longer than anything that a Publisher waits for before it writes.
const quiet = 10*layer2Calm + grace

// atRest fails the test if anything is written for a while.
func (c *cluster) atRest(speakers ...*speaker) {
	c.Helper()
	for _, s := range speakers {
		s.writes.take()
	}
	time.Sleep(quiet) // that nothing happens is no event
	for _, s := range speakers {
		if got := s.writes.take(); len(got) > 0 {
			c.Errorf("at rest node %s wrote %v", s.Node, got)
		}
	}
}

func TestGivenAnAddressThatMovesWhenBothNodesLiveThenEachWritesOnlyWhatChangedOfItsOwn(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web", "other")
	c.pod("speaker-1")
	c.pod("speaker-2")
	alive := newGossip("n1", "n2")
	one, two := c.start("n1", "speaker-1", alive), c.start("n2", "speaker-2", alive)
	decide := func(web string) {
		for _, s := range []*speaker{one, two} {
			s.decide([]*announce.Verdict{c.verdict(s.Node, "other", "192.0.2.9", "n1"), c.verdict(s.Node, "web", "192.0.2.1", web)})
		}
	}
	decide("n1")
	other := l2Status{Node: "n1", Service: "other", Pod: "speaker-1"}
	c.awaitStatuses(other, l2Status{Node: "n1", Service: "web", Pod: "speaker-1"})
	c.awaitTold(assignedTo("other", "n1"), assignedTo("web", "n1"))
	if diff := gocmp.Diff(map[string]int{"POST servicel2statuses": 2, "PATCH servicel2statuses/status": 2}, one.writes.take()); diff != "" {
		t.Errorf("writes for two Services (-want +got):\n%s", diff)
	}
	if got := two.writes.take(); len(got) > 0 {
		t.Errorf("a node that answers for nothing wrote %v", got)
	}
	c.atRest(one, two)

	start := time.Now()
	decide("n2")
	c.awaitStatuses(other, l2Status{Node: "n2", Service: "web", Pod: "speaker-2"})
	t.Logf("ownership changed to status: %v", time.Since(start))
	c.awaitTold(assignedTo("other", "n1"), assignedTo("web", "n1"), assignedTo("web", "n2"))
	if diff := gocmp.Diff(map[string]int{"DELETE servicel2statuses": 1}, one.writes.take()); diff != "" {
		t.Errorf("writes of the old owner (-want +got):\n%s", diff)
	}
	if diff := gocmp.Diff(map[string]int{"POST servicel2statuses": 1, "PATCH servicel2statuses/status": 1}, two.writes.take()); diff != "" {
		t.Errorf("writes of the new owner (-want +got):\n%s", diff)
	}
	c.atRest(one, two)
}

func TestGivenAnAddressThatFlapsWithinAMomentWhenItSettlesThenNothingWasWritten(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	s := c.start("n1", "", newGossip("n1", "n2"))
	mine := []*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n1")}
	s.decide(mine)
	c.awaitStatuses(l2Status{Node: "n1", Service: "web"})
	c.awaitTold(assignedTo("web", "n1"))
	s.writes.take()
	for range 5 {
		s.decide([]*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n2")})
		s.decide(mine)
	}
	c.atRest(s)
	c.awaitTold(assignedTo("web", "n1"))
}

func TestGivenASpeakerThatRestartsWhenItKeepsItsAddressesThenItTakesOverTheObjectsAndTellsNothingAgain(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	c.pod("speaker-1")
	c.pod("speaker-1b")
	alive := newGossip("n1")
	verdicts := []*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n1")}
	first := c.start("n1", "speaker-1", alive)
	first.decide(verdicts)
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Pod: "speaker-1"})
	c.awaitTold(assignedTo("web", "n1"))
	first.stop()

	// As the one before, but it has not met the others at first, and then its sockets are not open yet.
	second := c.start("n1", "speaker-1b", alive)
	unknown := c.verdict("n1", "web", "192.0.2.1", "")
	unknown.Reason.Code = announce.ReasonNotQuorate
	second.decide([]*announce.Verdict{unknown})
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Pod: "speaker-1b"})
	second.decide(verdicts)
	second.edge.set(l2.Observed{Address: verdicts[0].Address, Problems: []string{"eth0: its socket is being opened"}})
	time.Sleep(grace / 2) // less than after which it counts as a failure
	second.decide(verdicts)
	if diff := gocmp.Diff(map[string]int{"PATCH servicel2statuses": 1}, second.writes.take()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
	c.atRest(second)
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Pod: "speaker-1b"})
	c.awaitTold(assignedTo("web", "n1"))
}

func TestGivenANodeThatIsLostWhenItsAddressIsTakenOverThenWhatItSaidIsRemovedForItAndNothingElse(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("other", "web")
	one, two, three := newGossip("n1", "n2", "n3"), newGossip("n1", "n2", "n3"), newGossip("n1", "n2", "n3")
	dead, heir := c.start("n1", "", one), c.start("n2", "", two)
	witness := c.start("n3", "", three)
	decide := func(s *speaker, other, web string) {
		s.decide([]*announce.Verdict{c.verdict(s.Node, "other", "192.0.2.9", other), c.verdict(s.Node, "web", "192.0.2.1", web)})
	}
	for _, s := range []*speaker{dead, heir, witness} {
		decide(s, "n1", "n1")
	}
	c.awaitStatuses(l2Status{Node: "n1", Service: "other"}, l2Status{Node: "n1", Service: "web"})
	dead.stop()
	two.alive("n2", "n3")
	three.alive("n2", "n3")
	for _, s := range []*speaker{heir, witness} {
		decide(s, "n1", "n2") // "other" has not moved yet
	}
	c.awaitStatuses(l2Status{Node: "n1", Service: "other"}, l2Status{Node: "n2", Service: "web"})
	want := map[string]int{"POST servicel2statuses": 1, "PATCH servicel2statuses/status": 1, "DELETE servicel2statuses": 1}
	if diff := gocmp.Diff(want, heir.writes.take()); diff != "" {
		t.Errorf("writes of the new owner (-want +got):\n%s", diff)
	}
	if got := witness.writes.take(); len(got) > 0 {
		t.Errorf("a node that took nothing over wrote %v", got)
	}
}

func TestGivenServicesTakenFromOthersWhenAskedForThoseOfTheDeadThenThoseOfTheLivingAndTheLostAgainAreLeftOut(t *testing.T) {
	taken := func(service, from string) *line {
		return &line{service: svc(service), protocol: announce.ProtocolLayer2, from: from}
	}
	var l lost
	for _, t := range []*line{
		taken("a", "dead"), taken("b", "dead"), taken("c", "alive"), taken("new", ""),
		{service: svc("d"), protocol: announce.ProtocolBGP, from: "dead"},
		{service: svc("b"), protocol: announce.ProtocolLayer2, reason: announce.ReasonNotOwner},
	} {
		l.note(t)
	}
	want := map[string]map[ipam.ServiceKey]bool{"dead": {svc("a"): true}}
	if diff := gocmp.Diff(want, l.of(newGossip("alive").Snapshot().Alive)); diff != "" {
		t.Errorf("of the dead (-want +got):\n%s", diff)
	}
	l.settled("dead", svc("a"))
	if got := l.of(nil); len(got) != 0 {
		t.Errorf("later there are %v, want none: who was alive took back what he said himself", got)
	}
}

func TestGivenAPodThatIsDeletedWhenItsNodeIsGoneThenTheGarbageCollectorRemovesWhatItSaid(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	c.pod("speaker-1")
	s := c.start("n1", "speaker-1", newGossip("n1"))
	s.decide([]*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n1")})
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Pod: "speaker-1"})
	s.stop()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: c.namespace, Name: "speaker-1"}}
	if err := c.Delete(t.Context(), pod); err != nil {
		t.Fatal(err)
	}
	c.awaitStatuses()
}

func TestGivenAnAdvertisementThatNamesInterfacesWhenLinksComeAndGoThenTheStatusListsThoseThatAnswer(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	s := c.start("n1", "", newGossip("n1"))
	verdicts := []*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n1")}
	s.decide(verdicts, "eth0", "eth1")
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Interfaces: []string{"eth0", "eth1"}})
	address := verdicts[0].Address
	s.edge.set(l2.Observed{Address: address, Links: []l2.Answering{{Name: "eth0"}}, Problems: []string{"eth1 is down"}})
	c.awaitStatuses(l2Status{Node: "n1", Service: "web", Interfaces: []string{"eth0"}})
	s.decide(verdicts)
	c.awaitStatuses(l2Status{Node: "n1", Service: "web"})
	c.awaitTold(assignedTo("web", "n1"))
	want := map[string]int{"POST servicel2statuses": 1, "PATCH servicel2statuses/status": 3}
	if diff := gocmp.Diff(want, s.writes.take()); diff != "" {
		t.Errorf("writes (-want +got):\n%s", diff)
	}
}

func TestGivenANodeThatCannotAnswerWhenItIsToThenItSaysSoOnceAndClaimsNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	s := c.start("n1", "", newGossip("n1"))
	verdicts := []*announce.Verdict{c.verdict("n1", "web", "192.0.2.1", "n1")}
	broken := l2.Observed{Address: verdicts[0].Address, Problems: []string{"eth0: listen: operation not permitted"}}
	s.decide(verdicts)
	s.edge.set(broken)
	failed := `web: Warning announceFailed x1: node "n1" is to answer for 192.0.2.1 and cannot: eth0: listen: operation not permitted`
	c.awaitTold(failed)
	if got := c.statuses(); len(got) > 0 {
		t.Errorf("ServiceL2Status %+v, want none", got)
	}
	s.edge.set(broken)
	s.decide(verdicts) // it works now
	c.awaitStatuses(l2Status{Node: "n1", Service: "web"})
	c.awaitTold(assignedTo("web", "n1"), failed)
}

func TestGivenTheSameNewsAgainWhenItIsToldThenTheEventCountsUntilItIsTooMuch(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web")
	s := c.start("n1", "", newGossip("n1"))
	n := note{service: c.verdict("n1", "web", "192.0.2.1", "").Service, reason: "aReason", message: "something"}
	deleted, logged := n, n
	deleted.service.Name, logged.logged = "deleted", true
	s.events.put(n, deleted, logged, n)
	c.awaitTold("web: Normal aReason x2: something")
	s.events.put(slices.Repeat([]note{n}, 100)...)
	// Events are sent one after the other, so those have been when this one is.
	c.service("last")
	last := n
	last.service.Name = "last"
	s.events.put(last)
	c.eventually(func() error {
		if told := c.told(); !slices.Contains(told, "last: Normal aReason x1: something") {
			return fmt.Errorf("events %q", told)
		}
		return nil
	})
	c.awaitTold("last: Normal aReason x1: something", "web: Normal aReason x25: something")
}

func TestGivenASpeakerThatRestartsWhenFRRHasNotAnsweredYetThenWhatItAnnouncedByBGPStays(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	alive := newGossip("n1")
	routes := announce.Node{Verdicts: []*announce.Verdict{yes("web", "192.0.2.1", "tor")}}
	await := func(want ...[]string) {
		t.Helper()
		c.eventually(func() error {
			var list v1beta1.ServiceBGPStatusList
			if err := c.List(t.Context(), &list, client.InNamespace(c.namespace)); err != nil {
				return err
			}
			var got [][]string
			for _, o := range list.Items {
				got = append(got, o.Status.Peers)
			}
			if diff := gocmp.Diff(want, got); diff != "" {
				return fmt.Errorf("peers of each ServiceBGPStatus (-want +got):\n%s", diff)
			}
			return nil
		})
	}
	first := c.start("n1", "", alive)
	first.Publish(node.Report{Node: routes, Outcome: node.Applied, InForce: true})
	await([]string{"tor"})
	first.stop()

	second := c.start("n1", "", alive)
	second.Publish(node.Report{Node: routes, Outcome: node.Pending})
	time.Sleep(3 * calm) // that nothing happens is no event
	if got := second.writes.take(); len(got) > 0 {
		t.Errorf("before FRR has answered it wrote %v", got)
	}
	second.Publish(node.Report{Outcome: node.Applied, InForce: true})
	await()
}
