package departure_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/departure"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

const running = `Building configuration...

Current configuration:
!
frr version 8.4.4
hostname n1
!
router bgp 64512
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64513
 !
 address-family ipv4 unicast
  network 198.51.100.1/32 route-map ml-set-1
 exit-address-family
exit
!
router bgp 64520 vrf red
 bgp graceful-shutdown
 neighbor eth1 interface remote-as external
exit
!
end
`

// session is one that is up unless its State is changed, and whose neighbor was sent so many routes.
func session(vrf, peer string, sent int64, restartable bool) frrstate.Session {
	return frrstate.Session{
		Key: frrstate.Key{VRF: vrf, Peer: peer}, State: "Established", Restartable: restartable,
		Families: []frrstate.Family{{Name: "ipv4Unicast", Sent: sent}},
	}
}

// dynamic is the session of a router that connected by itself.
func dynamic(peer, group string) frrstate.Session {
	s := session("", peer, 1, false)
	s.Group = group
	return s
}

func restartable(s frrstate.Session) frrstate.Session {
	s.Restartable = true
	return s
}

func down(s frrstate.Session) frrstate.Session {
	s.State = "Active"
	return s
}

func TestGivenSessionsWhenFRRIsAboutToEndThenThoseWithoutGracefulRestartAreClosedInOrder(t *testing.T) {
	const words = " message " + departure.Message
	const first, red = "router bgp 64512", "router bgp 64520 vrf red"
	for name, row := range map[string]struct {
		sessions     []frrstate.Session
		closeAll     bool
		yield, close []string
		closed, kept string
	}{
		"none at all":                            {},
		"none that is up":                        {sessions: []frrstate.Session{down(session("", "192.0.2.1", 0, false))}},
		"one that has routes":                    {sessions: []frrstate.Session{session("", "192.0.2.1", 1, false)}, yield: []string{first + "|bgp graceful-shutdown"}, close: []string{first + "|bgp shutdown" + words}, closed: "192.0.2.1"},
		"one that has none: nothing to wait for": {sessions: []frrstate.Session{session("", "192.0.2.1", 0, false)}, close: []string{first + "|bgp shutdown" + words}, closed: "192.0.2.1"},
		"graceful restart":                       {sessions: []frrstate.Session{session("", "192.0.2.1", 1, true)}, kept: "192.0.2.1"},
		"graceful restart, all to be closed": {sessions: []frrstate.Session{session("", "192.0.2.1", 1, true)}, closeAll: true,
			yield: []string{first + "|bgp graceful-shutdown"}, close: []string{first + "|bgp shutdown" + words}, closed: "192.0.2.1"},
		"both in one router": {sessions: []frrstate.Session{session("", "192.0.2.1", 1, true), session("", "192.0.2.2", 1, false), down(session("", "192.0.2.3", 0, false))},
			yield: []string{first + "|bgp graceful-shutdown"}, close: []string{first + "|neighbor 192.0.2.2 shutdown" + words}, closed: "192.0.2.2", kept: "192.0.2.1"},
		"routers that came by themselves, beside graceful restart": {
			sessions: []frrstate.Session{session("", "192.0.2.1", 1, true), dynamic("192.0.2.8", "listen:a"), dynamic("192.0.2.9", "listen:a"), dynamic("192.0.2.200", "listen:b")},
			yield:    []string{first + "|bgp graceful-shutdown"}, close: []string{first + "|neighbor listen:a shutdown" + words, first + "|neighbor listen:b shutdown" + words},
			closed: "192.0.2.200 192.0.2.8 192.0.2.9", kept: "192.0.2.1",
		},
		"routers of one range, of which one did not agree": {
			sessions: []frrstate.Session{restartable(dynamic("192.0.2.8", "listen:a")), dynamic("192.0.2.9", "listen:a"), restartable(dynamic("192.0.2.200", "listen:b"))},
			yield:    []string{first + "|bgp graceful-shutdown"}, close: []string{first + "|neighbor listen:a shutdown" + words},
			closed: "192.0.2.8 192.0.2.9", kept: "192.0.2.200",
		},
		"both in two routers": {sessions: []frrstate.Session{session("", "192.0.2.1", 1, true), session("red", "eth1", 1, false)},
			yield: []string{red + "|bgp graceful-shutdown"}, close: []string{red + "|bgp shutdown" + words}, closed: "eth1", kept: "192.0.2.1"},
		"routes in one of two routers": {sessions: []frrstate.Session{session("", "192.0.2.1", 0, false), session("red", "eth1", 7, false)},
			yield: []string{red + "|bgp graceful-shutdown"}, close: []string{first + "|bgp shutdown" + words, red + "|bgp shutdown" + words}, closed: "192.0.2.1 eth1"},
	} {
		t.Run(name, func(t *testing.T) {
			o := departure.Decide(running, row.sessions, row.closeAll)
			lines := map[string][]string{"yield": nil, "close": nil}
			for _, s := range o.Yield {
				lines["yield"] = append(lines["yield"], strings.Join(s.Lines[:2], "|"))
			}
			for _, s := range o.Close {
				lines["close"] = append(lines["close"], strings.Join(s.Lines[:2], "|"))
			}
			if diff := cmp.Diff(map[string][]string{"yield": row.yield, "close": row.close}, lines); diff != "" {
				t.Errorf("orders (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{row.closed, row.kept}, []string{peers(o.Closed), peers(o.Kept)}); diff != "" {
				t.Errorf("closed and kept (-want +got):\n%s", diff)
			}
		})
	}
}

func peers(keys []frrstate.Key) string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Peer)
	}
	return strings.Join(names, " ")
}

func TestGivenOrdersToYieldWhenSomebodyTakesThemBackThenThatIsSeen(t *testing.T) {
	first := departure.Decide(running, []frrstate.Session{session("", "192.0.2.1", 1, false)}, false)
	second := departure.Decide(running, []frrstate.Session{session("red", "eth1", 1, false)}, false)
	if first.Yields(running) || !second.Yields(running) {
		t.Errorf("the first router yields: %t, the second: %t, want the second alone", first.Yields(running), second.Yields(running))
	}
}
