package reload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// neighbor is what FRR shows of a session.
type neighbor struct {
	State          string `json:"bgpState"`
	RemoteRouterID string `json:"remoteRouterId"`
	RemoteAS       int64  `json:"remoteAs"`
	HostForeign    string `json:"hostForeign"`
	PortForeign    int    `json:"portForeign"`
	PortLocal      int    `json:"portLocal"`
	HoldMS         int    `json:"bgpTimerHoldTimeMsecs"`
	KeepaliveMS    int    `json:"bgpTimerKeepAliveIntervalMsecs"`
	ConnectRetry   int    `json:"connectRetryTimer"`
	MaxHops        int    `json:"externalBgpNbrMaxHopsAway"`
	Established    int    `json:"connectionsEstablished"`
	Messages       struct {
		OpensSent int `json:"opensSent"`
	} `json:"messageStats"`
	Restart struct {
		Local  string `json:"localGrMode"`
		Remote string `json:"remoteGrMode"`
	} `json:"gracefulRestartInfo"`
	BFD struct {
		Type   string `json:"type"`
		Status string `json:"status"`
	} `json:"peerBfdInfo"`
}

// sessionCase is one kind of session, on a cable of its own between the node and a router. In its texts % stands for its place among all, which
// is the number of the cable's networks: the node is 10.%.0.1 and 2001:db8:%::1 there, the router 10.%.0.2 and 2001:db8:%::2.
type sessionCase struct {
	name string
	// spec is the BGPPeer's, but for myASN.
	spec string
	// from is how the router knows the node, and to how the node knows the router.
	from, to string
	// inside: the router is the one of the node's own AS.
	inside bool
	// remote is the router's remote-as for the node, and lines are more that it says of the neighbor.
	remote string
	lines  []string
	// prefixes are those that arrive, and path is their AS path.
	prefixes []string
	path     string
	// check looks at what both ends show of the session.
	check func(router, node neighbor) error
}

// all of v4, v6 and both.
var (
	only4 = []string{service4}
	only6 = []string{service6}
	both  = []string{service4, service6}
)

// oddPort is where the router of another AS listens.
const oddPort = 1790

// password is longer than what fits one block of MD5, and has what could be taken for syntax.
const password = `pa|ss!"'#?word-0123456789-0123456789-0123456789-0123456789-0123456789-0123`

func want[T comparable](what string, got, wanted T) error {
	if got != wanted {
		return fmt.Errorf("%s is %v, want %v", what, got, wanted)
	}
	return nil
}

// sessionCases are sessions that together use every field of BGPPeer, once each and, where values differ in kind, with each.
func sessionCases() []sessionCase {
	const (
		four  = "peerAddress: 10.%.0.2, peerASN: 64513, peerPort: 1790, connectTime: 3s"
		six   = "peerAddress: '2001:db8:%::2', peerASN: 64513, peerPort: 1790, connectTime: 3s"
		from4 = "10.%.0.1"
		to4   = "10.%.0.2"
	)
	port := func(_, n neighbor) error { return want("the port of the router", n.PortForeign, oddPort) }
	return []sessionCase{
		{name: "plain", spec: four + ", disableMP: true, routerID: 192.0.2.77", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(r, n neighbor) error {
				return errors.Join(port(r, n), want("router ID", r.RemoteRouterID, "192.0.2.77"), want("hold time", r.HoldMS, 180_000), want("keepalive", r.KeepaliveMS, 60_000),
					want("connect timer", n.ConnectRetry, 3), want("graceful restart", strings.TrimSuffix(r.Restart.Remote, "*"), "Helper"))
			}},
		{name: "six", spec: six, from: "2001:db8:%::1", to: "2001:db8:%::2", remote: "64512", prefixes: only6, path: "64512", check: port},
		{name: "dual", spec: four + ", dualStackAddressFamily: true, holdTime: 9s, keepaliveTime: 3s", from: from4, to: to4, remote: "64512", prefixes: both, path: "64512",
			check: func(r, _ neighbor) error {
				return errors.Join(want("hold time", r.HoldMS, 9_000), want("keepalive", r.KeepaliveMS, 3_000))
			}},
		{name: "no-keepalives", spec: four + ", holdTime: 0s", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(r, _ neighbor) error {
				return errors.Join(want("hold time", r.HoldMS, 0), want("keepalive", r.KeepaliveMS, 0))
			}},
		{name: "keepalive-alone", spec: four + ", keepaliveTime: 7s", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(r, _ neighbor) error { return want("hold time", r.HoldMS, 21_000) }},
		{name: "local-as", spec: four + ", localASN: 65010", from: from4, to: to4, remote: "65010", prefixes: only4, path: "65010",
			check: func(r, _ neighbor) error { return want("AS number of the node", r.RemoteAS, 65010) }},
		{name: "external", spec: "peerAddress: 10.%.0.2, dynamicASN: external, peerPort: 1790, connectTime: 3s", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("AS number of the router", n.RemoteAS, 64513) }},
		{name: "unnumbered", spec: "interface: c%, dynamicASN: external, peerPort: 1790, connectTime: 3s", from: "c%", to: "c%", remote: "external", prefixes: both, path: "64512"},
		{name: "password", spec: four + ", passwordSecret: {name: key}", from: from4, to: to4, remote: "64512", lines: []string{"password " + password}, prefixes: only4, path: "64512"},
		{name: "clear", spec: six + ", password: in-the-object", from: "2001:db8:%::1", to: "2001:db8:%::2", remote: "64512", lines: []string{"password in-the-object"}, prefixes: only6, path: "64512"},
		{name: "source", spec: four + ", sourceAddress: 10.%.0.11", from: "10.%.0.11", to: to4, remote: "64512", prefixes: only4, path: "64512"},
		{name: "sources", spec: four + ", sourceAddress: 10.%.0.11, sourceAddresses: [{nodeName: n2, address: 10.%.0.1}, {nodeSelector: {matchLabels: {kubernetes.io/hostname: n1}}, address: 10.%.0.12}]",
			from: "10.%.0.12", to: to4, remote: "64512", prefixes: only4, path: "64512"},
		{name: "from-lo", spec: four + ", sourceInterface: lo, ebgpMultiHop: true", from: "10.255.0.1", to: to4, remote: "64512", lines: []string{"ebgp-multihop"}, prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("hops", n.MaxHops, 255) }},
		{name: "far", spec: "peerAddress: 10.254.0.%, peerASN: 64513, peerPort: 1790, connectTime: 3s, ebgpMultiHopTTL: 2", from: from4, to: "10.254.0.%", remote: "64512",
			lines: []string{"update-source 10.254.0.%", "ebgp-multihop"}, prefixes: only4, path: "64512",
			check: func(_, n neighbor) error { return want("hops", n.MaxHops, 2) }},
		{name: "guarded", spec: four + ", ttlSecurityHops: 1", from: from4, to: to4, remote: "64512", lines: []string{"ttl-security hops 1"}, prefixes: only4, path: "64512"},
		{name: "guarded-six", spec: six + ", ttlSecurityHops: 1", from: "2001:db8:%::1", to: "2001:db8:%::2", remote: "64512", lines: []string{"ttl-security hops 1"}, prefixes: only6, path: "64512"},
		{name: "restart", spec: four + ", enableGracefulRestart: true", from: from4, to: to4, remote: "64512", prefixes: only4, path: "64512",
			check: func(r, _ neighbor) error {
				return want("graceful restart", strings.TrimSuffix(r.Restart.Remote, "*"), "Restart")
			}},
		{name: "watched", spec: four + ", bfdProfile: near", from: from4, to: to4, remote: "64512", lines: []string{"bfd"}, prefixes: only4, path: "64512",
			check: func(_, n neighbor) error {
				return errors.Join(want("BFD", n.BFD.Status, "Up"), want("kind of BFD", n.BFD.Type, "single hop"))
			}},
		{name: "inside", inside: true, spec: "peerAddress: 10.%.0.2, peerASN: 64512, connectTime: 3s, nodeSelectors: [{matchLabels: {kubernetes.io/hostname: n1}}]", from: from4, to: to4, remote: "64512", prefixes: only4, path: "Local",
			check: func(_, n neighbor) error { return want("the port of the router", n.PortForeign, 179) }},
		{name: "inside-six", inside: true, spec: "peerAddress: '2001:db8:%::2', dynamicASN: internal, peerPort: 179, connectTime: 3s, dualStackAddressFamily: true",
			from: "2001:db8:%::1", to: "2001:db8:%::2", remote: "64512", prefixes: both, path: "Local"},
		{name: "inside-guarded", inside: true, spec: "peerAddress: 10.%.0.2, peerASN: 64512, connectTime: 3s, ttlSecurityHops: 1", from: from4, to: to4, remote: "64512",
			lines: []string{"ttl-security hops 1"}, prefixes: only4, path: "Local"},
	}
}

// first is the number of the first sessionCase's networks.
const first = 101

// numbered puts the number of a session into its texts.
func (k sessionCase) numbered(i int) sessionCase {
	n := fmt.Sprint(first + i)
	for _, text := range []*string{&k.spec, &k.from, &k.to} {
		*text = strings.ReplaceAll(*text, "%", n)
	}
	k.lines = slices.Clone(k.lines)
	for j := range k.lines {
		k.lines[j] = strings.ReplaceAll(k.lines[j], "%", n)
	}
	k.spec = "{myASN: 64512, " + k.spec + "}"
	return k
}

// conf is the configuration of a router with its side of the sessions that are its own.
func routerOf(inside bool, all []sessionCase) string {
	var b, v4, v6 strings.Builder
	as := map[bool]string{true: "64512", false: "64513"}[inside]
	fmt.Fprintf(&b, "hostname router%s\nrouter bgp %s\n bgp router-id 10.0.0.100\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n", as, as)
	for _, k := range all {
		if k.inside != inside {
			continue
		}
		if strings.HasPrefix(k.from, "c") {
			fmt.Fprintf(&b, " neighbor %s interface remote-as %s\n", k.from, k.remote)
		} else {
			fmt.Fprintf(&b, " neighbor %s remote-as %s\n neighbor %s timers connect 60\n", k.from, k.remote, k.from)
		}
		for _, line := range k.lines {
			fmt.Fprintf(&b, " neighbor %s %s\n", k.from, line)
		}
		if slices.Contains(k.prefixes, service4) {
			fmt.Fprintf(&v4, "  neighbor %s activate\n", k.from)
		}
		if slices.Contains(k.prefixes, service6) {
			fmt.Fprintf(&v6, "  neighbor %s activate\n", k.from)
		}
	}
	fmt.Fprintf(&b, " address-family ipv4 unicast\n%s exit-address-family\n address-family ipv6 unicast\n%s exit-address-family\nexit\n", v4.String(), v6.String())
	return b.String()
}

// cable lays the cable of a session.
func (k sessionCase) cable(t *testing.T, i int, n *node, router *frrtest.Instance) {
	t.Helper()
	c := first + i
	here := []string{fmt.Sprintf("10.%d.0.1/24", c), fmt.Sprintf("10.%d.0.11/24", c), fmt.Sprintf("10.%d.0.12/24", c), fmt.Sprintf("2001:db8:%d::1/64", c)}
	there := []string{fmt.Sprintf("10.%d.0.2/24", c), fmt.Sprintf("2001:db8:%d::2/64", c)}
	if k.name == "unnumbered" {
		here, there = nil, nil
	}
	frrtest.Link(t, n.Instance, router, fmt.Sprintf("c%d", c), here, there)
	switch k.name {
	case "from-lo":
		ip(t, n.Instance, "addr add 10.255.0.1/32 dev lo")
		ip(t, router, fmt.Sprintf("route add 10.255.0.1/32 via 10.%d.0.1", c))
	case "far":
		ip(t, router, fmt.Sprintf("addr add 10.254.0.%d/32 dev lo", c))
		ip(t, n.Instance, fmt.Sprintf("route add 10.254.0.%d/32 via 10.%d.0.2", c, c))
	}
}

// usable waits until the addresses that the kernel gave the links itself may be used: bgpd 8.4 opens no IPv6 session on a link of which it
// does not know a link-local address, and it does not hear of all where many links come at once.
func usable(t *testing.T, n *node, router *frrtest.Instance) {
	t.Helper()
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if left := ip(t, n.Instance, "-6 addr show tentative") + ip(t, router, "-6 addr show tentative"); left != "" {
			return fmt.Errorf("addresses are not usable yet:\n%s", left)
		}
		return nil
	})
}

// neighborOf is what FRR shows of a session, nothing of one that it does not have.
func neighborOf(t *testing.T, i *frrtest.Instance, name string) neighbor {
	t.Helper()
	var found neighbor
	if raw := shown[map[string]json.RawMessage](t, i, "show bgp neighbors "+name+" json")[name]; raw != nil {
		if err := json.Unmarshal(raw, &found); err != nil {
			t.Fatalf("read what FRR shows of %s: %v", name, err)
		}
	}
	return found
}

// look compares what a session came to with what is asked for.
func (k sessionCase) look(t *testing.T, n *node, router *frrtest.Instance) error {
	t.Helper()
	there, here := neighborOf(t, router, k.from), neighborOf(t, n.Instance, k.to)
	if there.State != "Established" || here.State != "Established" {
		return fmt.Errorf("%s: the session is %q at the router and %q at the node", k.name, there.State, here.State)
	}
	if k.check != nil {
		if err := k.check(there, here); err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
	}
	for _, prefix := range both {
		paths := pathsFrom(t, router, prefix)
		got, arrived := paths[k.from]
		if !arrived { // FRR names the path of an unnumbered session by the address behind the interface
			for peer, p := range paths {
				if k.name == "unnumbered" && strings.HasPrefix(peer, "fe80:") {
					got, arrived = p, true
				}
			}
		}
		if wanted := slices.Contains(k.prefixes, prefix); wanted != arrived || got.AsPath != k.path && arrived {
			return fmt.Errorf("%s: the router has %s: %v, with the AS path %q; want %v and %q (of %v)", k.name, prefix, arrived, got.AsPath, wanted, k.path, paths)
		}
	}
	return nil
}

// silent and silentFar are routers that nobody is at: what is asked there is what bfdd was told, not what comes of it.
const (
	silent    = "10.101.0.99"
	silentFar = "10.254.0.250"
)

// bfdProfiles set every field to what is not the default.
func bfdProfiles() map[string]string {
	return map[string]string{
		"near": "{receiveInterval: 210, transmitInterval: 220, detectMultiplier: 5}",
		"far":  "{receiveInterval: 230, transmitInterval: 240, detectMultiplier: 4, minimumTtl: 250}",
		"echo": "{echoInterval: 70, echoMode: true, passiveMode: true}",
	}
}

// bfdPeer is what bfdd has of a session.
type bfdPeer struct {
	Peer             string `json:"peer"`
	Multihop         bool   `json:"multihop"`
	MinimumTTL       int    `json:"minimum-ttl"`
	Passive          bool   `json:"passive-mode"`
	Receive          int    `json:"receive-interval"`
	Transmit         int    `json:"transmit-interval"`
	Multiplier       int    `json:"detect-multiplier"`
	EchoReceive      int    `json:"echo-receive-interval"`
	EchoTransmit     int    `json:"echo-transmit-interval"`
	RemoteMultiplier int    `json:"remote-detect-multiplier"`
	RemoteReceive    int    `json:"remote-receive-interval"`
	RemoteTransmit   int    `json:"remote-transmit-interval"`
	Status           string `json:"status"`
}

func bfdOf(t *testing.T, i *frrtest.Instance, peer string) bfdPeer {
	t.Helper()
	for _, p := range shown[[]bfdPeer](t, i, "show bfd peers json") {
		if p.Peer == peer {
			return p
		}
	}
	return bfdPeer{}
}

func TestGivenEveryFieldOfAPeerWhenConfiguredThenTheRouterSeesIt(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := &node{Instance: frrtest.Start(t, frrtest.Options{Release: release, Bare: true})}
			s := site{peers: map[string]string{}, profiles: bfdProfiles(), secrets: map[string]string{"key": password}}
			all := sessionCases()
			for i := range all {
				all[i] = all[i].numbered(i)
				s.peers[all[i].name] = all[i].spec
			}
			s.peers["silent"] = "{myASN: 64512, peerASN: 64513, peerAddress: " + silent + ", bfdProfile: echo}"
			s.peers["silent-far"] = "{myASN: 64512, peerASN: 64513, peerAddress: " + silentFar + ", sourceAddress: 10.101.0.1, ebgpMultiHopTTL: 2, bfdProfile: far}"
			routers := map[bool]*frrtest.Instance{
				true:  frrtest.Start(t, frrtest.Options{Release: release, Name: "inside", Config: routerOf(true, all), Listen: true, Bare: true}),
				false: frrtest.Start(t, frrtest.Options{Release: release, Name: "outside", Config: routerOf(false, all), Listen: true, Port: oddPort, Bare: true}),
			}
			for i, k := range all {
				k.cable(t, i, n, routers[k.inside])
			}
			for _, router := range routers {
				usable(t, n, router)
				router.StartFRR(t)
			}
			ip(t, n.Instance, "route add "+silentFar+"/32 via 10.101.0.2")
			n.StartFRR(t)
			n.startReloader(t, time.Hour)
			if ack := n.apply(t, s.rendered(t)); ack.How != frr.Delta {
				t.Errorf("apply: %+v, want a delta", ack)
			}
			for _, k := range all {
				frrtest.Eventually(t, frrtest.Patience, func() error { return k.look(t, n, routers[k.inside]) })
			}
			checkBFD(t, n, routers[false], all)
			turnKey(t, n, routers[false], s, all)
		})
	}
}

// checkBFD finds every field of the profiles at bfdd, and what bfdd tells the router at the router.
func checkBFD(t *testing.T, n *node, router *frrtest.Instance, all []sessionCase) {
	t.Helper()
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if got := bfdOf(t, n.Instance, silent); got.EchoReceive != 70 || got.EchoTransmit != 70 || !got.Passive {
			return fmt.Errorf("a passive session with echo is %+v, want 70 ms both ways", got)
		}
		far := bfdOf(t, n.Instance, silentFar)
		if !far.Multihop || far.MinimumTTL != 250 || far.Receive != 230 || far.Transmit != 240 || far.Multiplier != 4 || far.Passive {
			return fmt.Errorf("a multi-hop session is %+v, want a minimum TTL of 250, 230 and 240 ms, 4 packets", far)
		}
		return nil
	})
	watched := all[slices.IndexFunc(all, func(k sessionCase) bool { return k.name == "watched" })]
	wanted := bfdPeer{Peer: watched.to, Receive: 210, Transmit: 220, Multiplier: 5, EchoReceive: 50, RemoteMultiplier: 3, RemoteReceive: 300, RemoteTransmit: 300, Status: "up"}
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if diff := cmp.Diff(wanted, bfdOf(t, n.Instance, watched.to)); diff != "" {
			return fmt.Errorf("at the node's bfdd (-want +got):\n%s", diff)
		}
		there := bfdOf(t, router, watched.from)
		return errors.Join(want("multiplier at the router", there.RemoteMultiplier, 5), want("receive interval at the router", there.RemoteReceive, 210),
			want("transmit interval at the router", there.RemoteTransmit, 220))
	})
}

// turnKey changes the Secret of one session, then the router's password: the session comes back by itself, and no other one is touched.
func turnKey(t *testing.T, n *node, router *frrtest.Instance, s site, all []sessionCase) {
	t.Helper()
	at := slices.IndexFunc(all, func(k sessionCase) bool { return k.name == "password" })
	var others []string
	for i, k := range all {
		if i != at {
			others = append(others, k.to)
		}
	}
	stay := sessionsStay(t, n, others...)
	before := n.Session(t, all[at].to).Established
	s.secrets = map[string]string{"key": "another"}
	if ack := n.apply(t, s.rendered(t)); ack.How != frr.Delta {
		t.Errorf("another password: %+v, want a delta", ack)
	}
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if state := n.Session(t, all[at].to).State; state == "Established" {
			return fmt.Errorf("the session with another password is %s", state)
		}
		return nil
	})
	router.Vtysh(t, "configure terminal", "router bgp 64513", "neighbor "+all[at].from+" password another")
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if err := all[at].look(t, n, router); err != nil {
			return err
		}
		return want("sessions with the new password beyond the one before", n.Session(t, all[at].to).Established > before, true)
	})
	stay()
}
