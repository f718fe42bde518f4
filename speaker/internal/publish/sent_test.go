package publish

import (
	"net/netip"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/sent"
)

// routers answers for routers as a test says.
type routers map[string]map[string]sent.Answer

func (routers) News() <-chan struct{} { return nil }

func (r routers) Lookup(f func(of func(peer string, address netip.Addr) sent.Answer)) {
	f(func(peer string, address netip.Addr) sent.Answer { return r[peer][address.String()] })
}

func TestGivenWhatRoutersWereSentWhenReportedThenEachPeerHasWhatItGotAndWhyNotTheRest(t *testing.T) {
	up := time.Unix(50, 0)
	known := routers{
		"a": {"10.0.0.1": {State: sent.Sent, Router: "192.0.2.1", Since: up}, "2001:db8::1": {State: sent.NotSent, Router: "192.0.2.1", Since: up}},
		"b": {"10.0.0.1": {State: sent.Down, Router: "192.0.2.2"}, "2001:db8::1": {State: sent.Down, Router: "192.0.2.2"}},
	}
	n := verdicts(yes("web", "10.0.0.1", "a", "b", "c"), yes("web", "2001:db8::1", "a", "b"), yes("other", "10.0.0.9", "c"))
	all := routed(n)
	deliver(all, n.Verdicts, known)
	said := settleDeliveries(nil, all[svc("web")].sent, time.Unix(100, 0))
	at := func(v []v1beta1.BGPSent) (unix []int64) {
		for i := range v {
			if v[i].Since != nil {
				unix = append(unix, v[i].Since.Unix())
			}
			v[i].Since, v[i].Message = nil, ""
		}
		return unix
	}
	status := statusOf(said)
	if status[0].Message == "" || status[1].Message == "" {
		t.Errorf("status %+v lacks messages", status)
	}
	since := at(status)
	want := []v1beta1.BGPSent{{Peer: "a", Addresses: []string{"10.0.0.1"}, Reason: v1beta1.BGPSentNotSent}, {Peer: "b", Reason: v1beta1.BGPSentSessionDown}}
	if diff := gocmp.Diff(want, status); diff != "" || len(since) != 1 || since[0] != 100 {
		t.Errorf("since %v, status (-want +got):\n%s", since, diff)
	}
	if !delivered(said, all[svc("web")].sent) {
		t.Error("what was just said is out of date")
	}
	if later := settleDeliveries(said, all[svc("web")].sent, time.Unix(200, 0)); !gocmp.Equal(later, said, gocmp.AllowUnexported(delivery{})) {
		t.Errorf("later it is %+v, want %+v", later, said)
	}
	if !delivered(readDeliveries(statusOf(said)), all[svc("web")].sent) {
		t.Error("what is read back from the API is out of date")
	}
	if delivered(append(said, delivery{peer: "gone"}), all[svc("web")].sent) {
		t.Error("a peer that is no longer one is not removed")
	}
	if status := statusOf(settleDeliveries(nil, all[svc("other")].sent, up)); status != nil {
		t.Errorf("of a peer of which nothing is known: %+v", status)
	}
}

func TestGivenARangeWhenItsRoutersWereSentAnAddressThenTheStatusNamesThem(t *testing.T) {
	n := verdicts(yes("web", "10.0.0.1", "a"), yes("web", "10.0.0.2", "a"))
	answer := func(state sent.State, of string) sent.Answer {
		return sent.Answer{State: state, Router: of, Range: true, Since: time.Unix(50, 0)}
	}
	for name, c := range map[string]struct {
		first, second sent.Answer
		want          v1beta1.BGPSent
	}{
		"all were": {answer(sent.Sent, "203.0.113.1,203.0.113.2"), answer(sent.Sent, "203.0.113.1,203.0.113.2"),
			v1beta1.BGPSent{Peer: "a", Addresses: []string{"10.0.0.1", "10.0.0.2"}, Routers: []string{"203.0.113.1", "203.0.113.2"}}},
		"one was not": {answer(sent.Sent, "203.0.113.1,203.0.113.2"), answer(sent.NotSent, "203.0.113.2"),
			v1beta1.BGPSent{Peer: "a", Addresses: []string{"10.0.0.1"}, Reason: v1beta1.BGPSentNotSent}},
		"none is there": {answer(sent.Down, "any router of 203.0.113.0/24"), answer(sent.Down, "any router of 203.0.113.0/24"),
			v1beta1.BGPSent{Peer: "a", Reason: v1beta1.BGPSentSessionDown}},
	} {
		all := routed(n)
		deliver(all, n.Verdicts, routers{"a": {"10.0.0.1": c.first, "10.0.0.2": c.second}})
		told := settleDeliveries(nil, all[svc("web")].sent, time.Unix(100, 0))
		status := statusOf(told)
		if !delivered(readDeliveries(status), all[svc("web")].sent) {
			t.Errorf("%s: what is read back from the API is out of date", name)
		}
		status[0].Since, status[0].Message = nil, ""
		if diff := gocmp.Diff([]v1beta1.BGPSent{c.want}, status); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		fewer := all[svc("web")].sent
		fewer[0].routers = "203.0.113.1"
		if delivered(told, fewer) && c.want.Routers != nil {
			t.Errorf("%s: that a router has gone is no news", name)
		}
	}
}

func TestGivenAServiceThatNoNodeAnnouncesByBGPWhenTwoSpeakersFindSoThenOneEventSaysWhy(t *testing.T) {
	t.Parallel()
	c := newCluster(t)
	c.service("web", "elsewhere")
	for _, name := range []string{"n1", "n2"} {
		everywhere, here := no("web", "192.0.2.1", announce.ReasonNoAdvertisement), no("elsewhere", "192.0.2.2", announce.ReasonNoAdvertisement)
		everywhere.Service.Namespace, here.Service.Namespace = c.user(), c.user()
		everywhere.Everywhere = true
		c.start(name, "", newGossip("n1", "n2")).Publish(node.Report{Outcome: node.Applied, InForce: true, Node: verdicts(here, everywhere)})
	}
	c.awaitTold("web: Warning announceFailed x1: no node announces 192.0.2.1: because")
}
