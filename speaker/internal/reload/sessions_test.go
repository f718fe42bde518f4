package reload_test

import (
	"context"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// awaitEvent reads session events until one is as wanted, and returns those before it.
func awaitEvent(t *testing.T, client *frr.Client, wanted func(frr.SessionEvent) bool) (before []frr.SessionEvent) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), frrtest.Patience)
	defer cancel()
	for e, err := range client.SessionEvents(ctx) {
		switch {
		case err != nil:
			t.Fatalf("follow the sessions: %v; came so far: %+v", err, before)
		case wanted(e):
			return before
		}
		before = append(before, e)
	}
	t.Fatal("the events end")
	return nil
}

func went(peer, to string) func(frr.SessionEvent) bool {
	return func(e frr.SessionEvent) bool {
		return e.Event != nil && e.Event.Kind == frrstate.EventState && e.Event.Peer == peer && e.Event.To == to
	}
}

func kind(k frr.SessionEventKind) func(frr.SessionEvent) bool {
	return func(e frr.SessionEvent) bool { return e.Kind == k }
}

func TestGivenSessionsWhenTheyComeUpAndBgpdEndsThenWhoFollowsThemIsToldAndWhoComesLaterToo(t *testing.T) {
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			startRouter(t, n)
			conf := speaker{neighbors: []string{"192.0.2.100"}}.conf()
			n.apply(t, conf)
			awaitEvent(t, n.client, went("192.0.2.100", "Established"))
			// Whoever comes later is told what was last.
			before := awaitEvent(t, n.client, went("192.0.2.100", "Established"))
			if len(before) == 0 || before[0].Kind != frr.SessionsFollowed {
				t.Errorf("told first: %+v, want that bgpd is followed", before)
			}
			if !slices.ContainsFunc(before, func(e frr.SessionEvent) bool {
				return e.Event != nil && e.Event.Kind == frrstate.EventOpen && e.Event.AS == 64513 && e.Event.RouterID == "10.0.0.100"
			}) {
				t.Errorf("told: %+v, want the router's OPEN message with AS 64513", before)
			}
			// What is switched on to learn of it is no part of the configuration.
			if ack := n.apply(t, conf); ack.How != frr.Unchanged {
				t.Errorf("applying the same again is %s, want unchanged", ack.How)
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				lost := false
				awaitEvent(t, n.client, func(e frr.SessionEvent) bool {
					lost = lost || e.Kind == frr.SessionsLost
					return lost && went("192.0.2.100", "Established")(e)
				})
			}()
			n.Kill(t, "bgpd")
			<-done
			n.stop()
			n.startReloader(t, frrtest.Patience)
			awaitEvent(t, n.client, kind(frr.SessionsFollowed))
		})
	}
}
