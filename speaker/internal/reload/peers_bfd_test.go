package reload_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// profile is the node's.
var profile = intent.BFDProfile{Name: "steady", ReceiveInterval: uint32(steady.Interval), TransmitInterval: uint32(steady.Interval),
	DetectMultiplier: uint32(steady.Multiplier)}

// journey is how a node and a router reach each other.
type journey struct {
	// routed says that a router without a protocol lies between them, and the session needs ebgpMultiHop.
	routed bool
	asn    uint32
}

// across joins a node to a router of the kind, with BFD on both sides, and returns when both sessions and their routes are there.
func across(t *testing.T, k routerKind, release frrtest.Release, way journey) (*party, *frrtest.Switch) {
	t.Helper()
	// FRR is started when its links are there: over one that comes later it may open no session for minutes.
	p := &party{node: &node{Instance: frrtest.Start(t, frrtest.Options{Release: release, Name: "n1", Bare: true})}, peers: map[string]*intent.Peer{}, profiles: []intent.BFDProfile{profile}, wanted: map[string]*announcement{
		"plain": {v4: "10.1.0.1", v6: "2001:db8:1::1"}}}
	own := []string{"198.51.100.2", "2001:db8:100::2"}
	if way.routed {
		own = []string{"198.51.101.2", "2001:db8:101::2"}
	}
	t.Cleanup(func() {
		if t.Failed() {
			ctx := context.WithoutCancel(t.Context())
			out, err := p.Run(ctx, "vtysh", "-c", "show bfd peers", "-c", "show bgp neighbors")
			t.Logf("the node at the end: %v\n%s", err, out)
		}
	})
	f := far{name: string(k), inside: way.asn == nodeASN, sessions: []peering{
		{own: netip.MustParseAddr(own[0]), node: netip.MustParseAddr("198.51.100.1"), bfd: true, far: way.routed},
		{own: netip.MustParseAddr(own[1]), node: netip.MustParseAddr("2001:db8:100::1"), bfd: true, far: way.routed},
	}}
	f.router = startRouterOf(t, k, release, way.asn, f.sessions...)
	p.routers = []far{f}
	var between *frrtest.Switch
	if way.routed {
		between = frrtest.NewForwarder(t)
		between.Plug(t, p.node, []string{"198.51.100.1/24", "2001:db8:100::1/64"}, "198.51.100.254/24", "2001:db8:100::fe/64")
		between.Plug(t, f, []string{own[0] + "/24", own[1] + "/64"}, "198.51.101.254/24", "2001:db8:101::fe/64")
		frrtest.RouteVia(t, p.node, "198.51.101.0/24", "198.51.100.254")
		frrtest.RouteVia(t, p.node, "2001:db8:101::/64", "2001:db8:100::fe")
		frrtest.RouteVia(t, f, "198.51.100.0/24", "198.51.101.254")
		frrtest.RouteVia(t, f, "2001:db8:100::/64", "2001:db8:101::fe")
	} else {
		between = frrtest.NewSwitch(t)
		between.Plug(t, p.node, []string{"198.51.100.1/24", "2001:db8:100::1/64"})
		between.Plug(t, f, []string{own[0] + "/24", own[1] + "/64"})
	}
	f.plugged(t)
	p.StartFRR(t)
	p.startReloader(t, time.Hour)
	for i, s := range f.sessions {
		p.peers[f.peer(i)] = &intent.Peer{Name: f.peer(i), MyASN: nodeASN, PeerASN: way.asn, Address: s.own, Port: 179, ConnectTime: time.Second,
			BFDProfile: profile.Name, EBGPMultiHop: way.routed && !f.inside}
	}
	p.give(t)
	p.awaitBFD(t)
	p.awaitEverywhere(t)
	return p, between
}

// awaitBFD waits until BFD says at both ends of every session that the other is there. Only what was up can go down.
func (p *party) awaitBFD(t *testing.T) {
	t.Helper()
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if here, there := bfdUp(t, p.Instance), p.routers[0].bfdUp(t); here != len(p.peers) || there != len(p.peers) {
			return fmt.Errorf("%d BFD sessions are up as the node sees it and %d as the router does, want %d", here, there, len(p.peers))
		}
		return nil
	})
}

// lastReset is why the node's session with a neighbor ended last, in FRR's words: why, and what it told the router where it told it.
func (p *party) lastReset(t *testing.T, neighbor netip.Addr) string {
	t.Helper()
	var answer map[string]struct{ LastResetDueTo, LastNotificationReason string }
	if err := json.Unmarshal([]byte(p.Vtysh(t, "show bgp neighbors "+neighbor.String()+" json")), &answer); err != nil {
		t.Fatal(err)
	}
	return answer[neighbor.String()].LastResetDueTo + ", " + answer[neighbor.String()].LastNotificationReason
}

func TestGivenBFDWhenNothingComesThroughAnyMoreThenItEndsTheSessionAndLetsItComeBack(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		// Not FRR as the router: now and then it keeps a session closed for minutes before BFD has begun, as docs/bfd.md says.
		for _, k := range []routerKind{kindBIRD} {
			for name, way := range map[string]journey{
				"on one link":                {asn: outsideASN},
				"on one link, in one AS":     {asn: nodeASN},
				"several hops away":          {asn: outsideASN, routed: true},
				"several hops away in an AS": {asn: nodeASN, routed: true},
			} {
				t.Run(fmt.Sprintf("%s with %s %s", release, k, name), func(t *testing.T) {
					t.Parallel()
					p, between := across(t, k, release, way)
					f := p.routers[0]
					cut, mend := func() { between.Cut(t, f) }, func() { between.Mend(t, f) }
					if way.routed {
						cut, mend = func() { between.Forward(t, false) }, func() { between.Forward(t, true) }
					}
					cut()
					// The hold time is FRR's default of 180 s: more than the patience, so only BFD can be what ends the sessions.
					frrtest.Eventually(t, frrtest.Patience, func() error {
						for _, s := range f.sessions {
							if up, _ := f.up(t, s.node); up || len(f.paths(t, s.node)) > 0 {
								return fmt.Errorf("the router holds the session with %s to be up: %v, and has %v", s.node, up, f.paths(t, s.node))
							}
							if on := p.Session(t, s.own.String()); on.State == "Established" {
								return fmt.Errorf("the node holds the session with %s to be up", s.own)
							}
						}
						return nil
					})
					for _, s := range f.sessions {
						if why := p.lastReset(t, s.own); !strings.Contains(why, "BFD") {
							t.Errorf("the session with %s ended by %q", s.own, why)
						}
					}
					mend()
					p.awaitEverywhere(t)
					p.awaitBFD(t)
				})
			}
		}
	}
}
