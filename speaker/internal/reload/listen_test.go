package reload_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// quickly makes a router try again soon, and not when its kernel does, which is after 1, 3 and 7 s: FRR loses sight of a router that gives up one
// connection while it opens another.
const quickly = "timers connect 2"

// listenCases are sessions that routers open, each from a range of its own, with every field that a BGPPeer may have beside listenRange; and last
// one that the node opens.
func listenCases() []sessionCase {
	const (
		four  = "listenRange: 10.%.0.0/24, peerASN: 64513"
		six   = "listenRange: '2001:db8:%::/64', peerASN: 64513"
		from4 = "10.%.0.1"
		from6 = "2001:db8:%::1"
		to4   = "10.%.0.2"
		to6   = "2001:db8:%::2"
	)
	opened := func(_, n neighbor) error {
		return want("the node's port, by which it is seen who connected", n.PortLocal, 179)
	}
	cases := []sessionCase{
		{name: "plain", spec: four + ", routerID: 192.0.2.77", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512", check: func(r, n neighbor) error {
			return errors.Join(opened(r, n), want("router ID", r.RemoteRouterID, "192.0.2.77"), want("hold time", r.HoldMS, 180_000))
		}},
		{name: "six", spec: six, from: from6, to: to6, remote: "64512", prefixes: only6, path: "64512", check: opened},
		{name: "dual", spec: four + ", dualStackAddressFamily: true, holdTime: 9s, keepaliveTime: 3s", from: from4, to: to4, remote: "64512", prefixes: both, path: "64512",
			check: func(r, _ neighbor) error {
				return errors.Join(want("hold time", r.HoldMS, 9_000), want("keepalive", r.KeepaliveMS, 3_000))
			}},
		{name: "local-as", spec: four + ", localASN: 65010", from: from4, to: to4, remote: "65010", prefixes: only4, path: "65010",
			check: func(r, _ neighbor) error { return want("AS number of the node", r.RemoteAS, 65010) }},
		{name: "external", spec: "listenRange: 10.%.0.0/30, dynamicASN: external", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("AS number of the router", n.RemoteAS, 64513) }},
		{name: "password", spec: four + ", passwordSecret: {name: key}", from: from4, to: to4, remote: "64512", lines: []string{"password " + password}, prefixes: only4, path: "64512"},
		{name: "clear", spec: six + ", password: in-the-object", from: from6, to: to6, remote: "64512", lines: []string{"password in-the-object"}, prefixes: only6, path: "64512"},
		{name: "far", spec: "listenRange: 10.254.0.%/32, peerASN: 64513, ebgpMultiHopTTL: 2", from: from4, to: "10.254.0.%", remote: "64512",
			lines: []string{"update-source 10.254.0.%", "ebgp-multihop"}, prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("hops", n.MaxHops, 2) }},
		{name: "guarded", spec: four + ", ttlSecurityHops: 1", from: from4, to: to4, remote: "64512", lines: []string{"ttl-security hops 1"}, prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("hops", n.MaxHops, 1) }},
		{name: "guarded-six", spec: six + ", ttlSecurityHops: 1", from: from6, to: to6, remote: "64512", lines: []string{"ttl-security hops 1"}, prefixes: only6, path: "64512"},
		{name: "watched", spec: four + ", bfdProfile: near", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(_, n neighbor) error {
				return errors.Join(want("BFD", n.BFD.Status, "Up"), want("kind of BFD", n.BFD.Type, "single hop"))
			}},
		{name: "inside", inside: true, spec: "listenRange: 10.%.0.0/24, peerASN: 64512", from: from4, to: to4, remote: "64512", prefixes: only4, path: "Local"},
		{name: "inside-six", inside: true, spec: "listenRange: '2001:db8:%::/64', dynamicASN: internal, dualStackAddressFamily: true", from: from6, to: to6, remote: "64512", prefixes: both, path: "Local"},
		{name: "inside-guarded", inside: true, spec: "listenRange: 10.%.0.0/24, peerASN: 64512, ttlSecurityHops: 1", from: from4, to: to4, remote: "64512", lines: []string{"ttl-security hops 1"}, prefixes: only4, path: "Local"},
	}
	// This router's address is in a range as well, of routers of another AS: see startListeners.
	cases = append(cases, sessionCase{name: "named", spec: "peerAddress: 10.%.0.2, peerASN: 64513, peerPort: 1790, connectTime: 60s", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512"})
	for i := range cases {
		cases[i].lines = append(cases[i].lines, quickly)
	}
	return append(cases, sessionCase{name: "ordinary", spec: "peerAddress: 10.%.0.2, peerASN: 64513, peerPort: 1790, connectTime: 1s", from: from4, to: to4, remote: "64512", lines: []string{"passive"},
		prefixes: only4, path: "64512", check: func(_, n neighbor) error { return want("the port of the router", n.PortForeign, oddPort) }})
}

// listeners are a node that listens and two routers, of its AS and of another, with the sessions of cases.
type listeners struct {
	*node
	site
	all     []sessionCase
	routers map[bool]*frrtest.Instance
}

// startListeners returns when all sessions are as they should be.
func startListeners(t *testing.T, release frrtest.Release, cases []sessionCase) *listeners {
	t.Helper()
	l := &listeners{
		node: &node{Instance: frrtest.Start(t, frrtest.Options{Release: release, Bare: true, Listen: true})},
		site: site{peers: map[string]string{}, profiles: bfdProfiles(), secrets: map[string]string{"key": password}},
		all:  cases,
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("output of the node's FRR:\n%s", l.Output())
		}
	})
	for i := range l.all {
		l.all[i] = l.all[i].numbered(i)
		l.peers[l.all[i].name] = l.all[i].spec
		if l.all[i].name == "named" {
			l.peers["around"] = fmt.Sprintf("{myASN: 64512, peerASN: 65000, listenRange: 10.%d.0.0/24}", first+i)
		}
	}
	l.routers = map[bool]*frrtest.Instance{
		true:  frrtest.Start(t, frrtest.Options{Release: release, Name: "inside", Config: routerOf(true, l.all), Bare: true}),
		false: frrtest.Start(t, frrtest.Options{Release: release, Name: "outside", Config: routerOf(false, l.all), Listen: true, Port: oddPort, Bare: true}),
	}
	for i, k := range l.all {
		k.cable(t, i, l.node, l.routers[k.inside])
	}
	for _, router := range l.routers {
		usable(t, l.node, router)
		router.StartFRR(t)
	}
	l.StartFRR(t)
	l.startReloader(t, time.Hour)
	// A router's FRR of 10.x that has BFD among the settings of the neighbor opens no session before BFD is up; the node's begins with the session.
	k := l.session("watched")
	l.routers[false].Vtysh(t, "configure terminal", "bfd", "peer "+k.from+" interface "+k.link())
	l.give(t)
	for _, k := range l.all {
		l.await(t, k)
	}
	return l
}

// give applies what is wanted now, which must be possible by commands.
func (l *listeners) give(t *testing.T) {
	t.Helper()
	if ack := l.apply(t, l.rendered(t)); ack.How != frr.Delta {
		t.Errorf("apply: %+v, want a delta", ack)
	}
}

func (l *listeners) await(t *testing.T, k sessionCase) {
	t.Helper()
	frrtest.Eventually(t, frrtest.Patience, func() error { return k.look(t, l.node, l.routers[k.inside]) })
}

// but are the node's names of all sessions but those named.
func (l *listeners) but(names ...string) []string {
	var out []string
	for _, k := range l.all {
		if !slices.Contains(names, k.name) {
			out = append(out, k.to)
		}
	}
	return out
}

func (l *listeners) session(name string) sessionCase {
	return l.all[slices.IndexFunc(l.all, func(k sessionCase) bool { return k.name == name })]
}

// link is the name of the session's cable.
func (k sessionCase) link() string { return "c" + strings.Split(k.from, ".")[1] }

func TestGivenRoutersThatConnectWhenEveryFieldOfAPeerIsUsedThenTheySeeItAndChangesTouchNoOther(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			l := startListeners(t, release, listenCases())
			if ack := l.apply(t, l.rendered(t)); ack.How != frr.Unchanged {
				t.Errorf("again: %+v, want nothing done", ack)
			}
			l.seenByState(t)
			l.changes(t)
			l.others(t)
			l.limit(t)
		})
	}
}

// TestGivenRoutersThatConnectWhenThePodEndsThenTheirSessionsCloseAndThatWithGracefulRestartStays has a session that the node opens, with graceful
// restart, beside those of the routers, which can have none.
func TestGivenRoutersThatConnectWhenThePodEndsThenTheirSessionsCloseAndThatWithGracefulRestartStays(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			cases := slices.DeleteFunc(listenCases(), func(k sessionCase) bool {
				return !slices.Contains([]string{"plain", "six", "watched", "inside", "ordinary"}, k.name)
			})
			cases[len(cases)-1].spec += ", enableGracefulRestart: true"
			l := startListeners(t, release, cases)
			stay := sessionsStay(t, l.node, l.session("ordinary").to)
			if err := l.leave(t.Context(), t, 0, false); err != nil {
				t.Errorf("leave: %v", err)
			}
			stay()
			for _, k := range l.all {
				if k.name == "ordinary" {
					continue
				}
				if s := l.Session(t, k.to); s.State != "" {
					t.Errorf("%s: the session is %+v, want none", k.name, s)
				}
				frrtest.Eventually(t, frrtest.Patience, func() error {
					if there := neighborOf(t, l.routers[k.inside], k.from); there.State == "Established" {
						return fmt.Errorf("%s: the router holds the session to be up", k.name)
					}
					return nil
				})
			}
		})
	}
}

// changes are those that no session notices.
func (l *listeners) changes(t *testing.T) {
	t.Helper()
	stay := sessionsStay(t, l.node, l.but()...)
	// set changes the spec of a BGPPeer for good.
	set := func(name, field string) {
		before, _, _ := strings.Cut(strings.TrimSuffix(l.peers[name], "}"), ", toReceive")
		l.peers[name] = before + ", " + field + "}"
		l.give(t)
	}
	set("plain", "holdTime: 30s")
	l.all[slices.IndexFunc(l.all, func(k sessionCase) bool { return k.name == "plain" })].check = nil // another hold time counts when it opens again
	set("six", "listenLimit: 64")
	set("plain", "toReceive: {allowed: {mode: all}}")
	outside := l.routers[false]
	awaitRouteOf := func(there bool) {
		t.Helper()
		frrtest.Eventually(t, frrtest.Patience, func() error {
			if _, is := l.Route(t, netip.MustParsePrefix("172.16.0.0/12")); is != there {
				return fmt.Errorf("the node has the router's route: %v, want %v", is, there)
			}
			return nil
		})
	}
	outside.Vtysh(t, "configure terminal", "router bgp 64513", "no bgp network import-check", "address-family ipv4 unicast", "network 172.16.0.0/12")
	awaitRouteOf(true)
	set("plain", "toReceive: {allowed: {prefixes: [{prefix: 10.0.0.0/8}]}}")
	awaitRouteOf(false)

	l.extra = map[string]string{"dear": "{ipAddressPools: [pool], peers: [plain, six, inside], communities: ['64512:7']}"}
	l.give(t)
	for _, name := range []string{"plain", "inside"} {
		k := l.session(name)
		frrtest.Eventually(t, frrtest.Patience, func() error {
			if got := communitiesFrom(t, l.routers[k.inside], service4)[k.from]; got != "64512:7" {
				return fmt.Errorf("%s: the router has communities %q, want 64512:7", name, got)
			}
			return nil
		})
	}
	if got := communitiesFrom(t, outside, service4)[l.session("dual").from]; got != "" {
		t.Errorf("a router of another range has the communities %q", got)
	}
	l.extra = nil
	l.give(t)
	frrtest.Eventually(t, frrtest.Patience, func() error {
		k := l.session("plain")
		return want("communities", communitiesFrom(t, outside, service4)[k.from], "")
	})
	stay()
}

// others are changes that end the sessions of one range, which come back by themselves; those of the others stay.
func (l *listeners) others(t *testing.T) {
	t.Helper()
	outside := l.routers[false]
	for _, c := range []struct {
		name   string
		change func(sessionCase) sessionCase
		// router is what the router is told once the node has the change.
		router string
	}{
		{"plain", func(k sessionCase) sessionCase { // another range
			l.peers["plain"] = strings.Replace(l.peers["plain"], ".0.0/24", ".0.0/29", 1)
			return k
		}, ""},
		{"plain", func(k sessionCase) sessionCase { // another BGPPeer for the same range
			l.peers["renamed"] = l.peers["plain"]
			delete(l.peers, "plain")
			return k
		}, ""},
		{"external", func(k sessionCase) sessionCase {
			l.peers["external"] = strings.Replace(l.peers["external"], "dynamicASN: external", "peerASN: 64513", 1)
			return k
		}, ""},
		{"dual", func(k sessionCase) sessionCase {
			l.peers["dual"] = strings.Replace(l.peers["dual"], "dualStackAddressFamily: true", "dualStackAddressFamily: false", 1)
			k.prefixes = only4
			return k
		}, ""},
		{"password", func(k sessionCase) sessionCase {
			l.secrets["key"] = "another"
			return k
		}, "password another"},
		{"clear", func(k sessionCase) sessionCase {
			l.peers["clear"] = strings.Replace(l.peers["clear"], ", password: in-the-object", "", 1)
			return k
		}, "no password"},
		{"guarded", func(k sessionCase) sessionCase {
			l.peers["guarded"] = strings.Replace(l.peers["guarded"], ", ttlSecurityHops: 1", "", 1)
			k.check = nil
			return k
		}, "no ttl-security hops 1"},
	} {
		stay := sessionsStay(t, l.node, l.but(c.name)...)
		k := l.session(c.name)
		before := neighborOf(t, l.routers[k.inside], k.from).Established
		k = c.change(k)
		l.give(t)
		if line, no := strings.CutPrefix(c.router, "no "); c.router != "" {
			line = "neighbor " + k.from + " " + line
			if no {
				line = "no " + line
			}
			outside.Vtysh(t, "configure terminal", "router bgp 64513", line)
		}
		frrtest.Eventually(t, frrtest.Patience, func() error {
			if now := neighborOf(t, l.routers[k.inside], k.from).Established; now <= before {
				return fmt.Errorf("%s: the session came up %d times and before the change %d", c.name, now, before)
			}
			return k.look(t, l.node, l.routers[k.inside])
		})
		stay()
	}
}

// limit has room for no router more, and then for one.
func (l *listeners) limit(t *testing.T) {
	t.Helper()
	outside, k := l.routers[false], l.session("plain")
	another := strings.TrimSuffix(k.to, "2") + "3"
	count := len(l.all) - 2 // but those with peerAddress
	l.peers["six"] = strings.Replace(l.peers["six"], "listenLimit: 64", fmt.Sprintf("listenLimit: %d", count), 1)
	stay := sessionsStay(t, l.node, l.but()...)
	l.give(t)
	cable := k.link()
	ip(t, outside, "addr add "+another+"/24 dev "+cable)
	// The same router from another address: to bgpd of the node it is one router more.
	ip(t, l.Instance, "addr add "+strings.TrimSuffix(k.from, "1")+"4/24 dev "+cable)
	from := strings.TrimSuffix(k.from, "1") + "4"
	outside.Vtysh(t, "configure terminal", "router bgp 64513", "neighbor "+from+" remote-as 64512", "neighbor "+from+" update-source "+another, "neighbor "+from+" "+quickly,
		"address-family ipv4 unicast", "neighbor "+from+" activate")
	frrtest.Eventually(t, frrtest.Patience, func() error {
		// Each time that it connects it sends its OPEN message, and then it is disconnected.
		if there := neighborOf(t, outside, from); there.State == "Established" || there.Messages.OpensSent < 2 {
			return fmt.Errorf("the router that is one too many is %q after %d OPEN messages, want it turned away twice", there.State, there.Messages.OpensSent)
		}
		return nil
	})
	if s := l.Session(t, another); s.State != "" {
		t.Errorf("a router beyond the limit: %+v", s)
	}
	l.peers["six"] = strings.Replace(l.peers["six"], fmt.Sprintf("listenLimit: %d", count), fmt.Sprintf("listenLimit: %d", count+1), 1)
	l.give(t)
	l.AwaitSession(t, another)
	// Room for fewer ends no session that is up.
	l.peers["six"] = strings.Replace(l.peers["six"], fmt.Sprintf("listenLimit: %d", count+1), "listenLimit: 1", 1)
	l.give(t)
	if s := l.Session(t, another); s.State != "Established" {
		t.Errorf("with a smaller limit the session is %+v", s)
	}
	stay()
}

// seenByState reads the sessions as the speaker does.
func (l *listeners) seenByState(t *testing.T) {
	t.Helper()
	sessions, err := frrstate.ParseSessions([]byte(l.Vtysh(t, frrstate.CommandSessions)))
	if err != nil {
		t.Fatal(err)
	}
	if len(sessions) != len(l.all) {
		t.Errorf("%d sessions, want %d: %+v", len(sessions), len(l.all), sessions)
	}
	for _, k := range l.all {
		group := "listen:" + k.name
		if !strings.Contains(k.spec, "listenRange") {
			group = ""
		}
		at := slices.IndexFunc(sessions, func(s frrstate.Session) bool { return s.Peer == k.to })
		if at < 0 || sessions[at].Group != group || sessions[at].Address != k.to || !sessions[at].Established() {
			t.Errorf("session of %s with %s: want one that is up and of group %q among %+v", k.name, k.to, group, sessions)
		}
	}
}

// communitiesFrom are the communities of a router's paths for a prefix, by the neighbor that they came from.
func communitiesFrom(t *testing.T, router *frrtest.Instance, prefix string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, p := range shown[struct {
		Paths []struct {
			Community struct{ String string }
			Peer      struct {
				PeerID string `json:"peerId"`
			}
		}
	}](t, router, "show bgp ipv4 unicast "+prefix+" json").Paths {
		found[p.Peer.PeerID] = p.Community.String
	}
	return found
}
