package frrstate_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/vty"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// setup is a session between a node and a router that is set up in some way, and what is to be said of it. Every setup has a link of its own,
// and the routers whose bgpd is the same are one.
type setup struct {
	name string
	// node and router are lines about the neighbor: in them NBR stands for "neighbor" and its address. "no family" and "both families" are
	// about the families that are active: IPv4 without either.
	node, router []string
	// instance are lines of the router's BGP instance, "AS 64512" among them for another AS than 64513.
	instance []string
	// deaf: the router's bgpd does not listen. stranger: it has no such neighbor.
	deaf, stranger bool
	// address is what the router has instead of the address wanted; "none" for no link at all.
	address string
	// drop keeps what the router sends to the node from leaving it.
	drop bool
	// peer makes the BGPPeer say what the lines of the node do.
	peer   func(*intent.Peer)
	reason frrstate.Reason
	// says are texts that the message has, with ROUTER for the router's address.
	says []string
}

// setups are the ways in which two ends are set up wrongly, and the right one.
func setups() []setup {
	return []setup{
		{name: "right", reason: frrstate.ReasonNone},
		{
			name: "wrong peer AS", node: []string{"NBR remote-as 65002"}, peer: func(p *intent.Peer) { p.PeerASN = 65002 },
			reason: frrstate.ReasonPeerAS, says: []string{"the router at ROUTER says its AS is 64513; spec.peerASN of BGPPeer tor is 65002"},
		},
		{
			name: "external wanted, same AS there", node: []string{"NBR remote-as external"}, instance: []string{"AS 64512"},
			peer:   func(p *intent.Peer) { p.PeerASN, p.DynamicASN = 0, intent.DynamicASNExternal },
			reason: frrstate.ReasonPeerAS, says: []string{"says its AS is 64512; spec.dynamicASN of BGPPeer tor is external"},
		},
		{
			name: "wrong my AS", router: []string{"NBR remote-as 65001"},
			reason: frrstate.ReasonLocalAS, says: []string{"expects another AS of this node than 64512", "spec.myASN of BGPPeer tor"},
		},
		{
			name: "another password", node: []string{"NBR password one"}, router: []string{"NBR password two"},
			peer:   func(p *intent.Peer) { p.Password = intent.NewSecret("one") },
			reason: frrstate.ReasonPassword, says: []string{"does not answer TCP connections to port 179", "spec.passwordSecret of BGPPeer tor"},
		},
		{
			name: "password only here", node: []string{"NBR password one"}, peer: func(p *intent.Peer) { p.Password = intent.NewSecret("one") },
			reason: frrstate.ReasonPassword, says: []string{"the router has none for this neighbor"},
		},
		{
			name: "password only there", router: []string{"NBR password two"},
			reason: frrstate.ReasonNoAnswer, says: []string{"the router wants a password (BGPPeer tor has none)"},
		},
		{
			name: "another password, BFD up", node: []string{"NBR password one", "NBR bfd"}, router: []string{"NBR password two", "NBR bfd"},
			peer:   func(p *intent.Peer) { p.Password, p.BFDProfile = intent.NewSecret("one"), "fast" },
			reason: frrstate.ReasonPassword, says: []string{"although BFD sees it"},
		},
		{
			name: "nobody listens", deaf: true,
			reason: frrstate.ReasonRefused, says: []string{"refuses TCP connections on port 179", "spec.peerPort of BGPPeer tor"},
		},
		{
			name: "another port", node: []string{"NBR port 1790"}, peer: func(p *intent.Peer) { p.Port = 1790 },
			reason: frrstate.ReasonRefused, says: []string{"port 1790"},
		},
		{
			// Neighbor discovery gives up after 3 s.
			name: "no host", address: "9", node: []string{"NBR timers connect 6"},
			reason: frrstate.ReasonHostUnreachable, says: []string{"spec.peerAddress of BGPPeer tor"},
		},
		{
			name: "no route", address: "none",
			reason: frrstate.ReasonNoRoute, says: []string{"no usable route to the router at ROUTER", "spec.ebgpMultiHop"},
		},
		{
			name: "packets dropped", drop: true,
			reason: frrstate.ReasonNoAnswer, says: []string{"a packet filter drops them"},
		},
		{
			name: "no such neighbor", stranger: true,
			reason: frrstate.ReasonClosed, says: []string{"takes the TCP connection and ends it"},
		},
		{
			name: "shut down there", router: []string{"NBR shutdown"},
			reason: frrstate.ReasonClosed, says: []string{"or have it shut down"},
		},
		{
			name: "hold time too low for the router", node: []string{"NBR timers 1 3"}, instance: []string{"bgp minimum-holdtime 20"},
			reason: frrstate.ReasonHoldTime, says: []string{"does not accept this node's hold time of 3 s", "spec.holdTime of BGPPeer tor"},
		},
		{
			name: "other hold times", node: []string{"NBR timers 3 9"}, router: []string{"NBR timers 20 60"},
			reason: frrstate.ReasonNone, // the lower one is used
		},
		{
			// Between different AS the same one is no fault (RFC 6286).
			name: "same router ID", node: []string{"NBR remote-as 64512"}, instance: []string{"AS 64512", "bgp router-id 10.0.0.1"},
			peer:   func(p *intent.Peer) { p.PeerASN = 64512 },
			reason: frrstate.ReasonRouterID, says: []string{"(here 10.0.0.1, there 10.0.0.1)", "spec.routerID of BGPPeer tor"},
		},
		{
			name: "no family in common", router: []string{"no family"},
			reason: frrstate.ReasonFamily, says: []string{"no address family in common", "activate IPv4 unicast"},
		},
		{
			name: "one family of two", node: []string{"both families"}, peer: func(p *intent.Peer) { p.DualStack = true },
			reason: frrstate.ReasonFamily, says: []string{"the session is up", "IPv6 unicast", "spec.dualStackAddressFamily of BGPPeer tor"},
		},
		{
			name: "BFD only here", node: []string{"NBR bfd"}, peer: func(p *intent.Peer) { p.BFDProfile = "fast" },
			// FRR 8 opens the session, FRR 10 waits for BFD.
			reason: frrstate.ReasonBFD, says: []string{"must run BFD for this neighbor", "spec.bfdProfile of BGPPeer tor"},
		},
	}
}

// about writes the lines about one neighbor.
func about(neighbor string, remote int, lines []string) string {
	var b strings.Builder
	families := []string{"ipv4"}
	fmt.Fprintf(&b, " neighbor %s remote-as %d\n neighbor %s timers connect 2\n", neighbor, remote, neighbor)
	for _, line := range lines {
		switch line {
		case "no family":
			families = []string{"ipv6"} // without any, FRR does not answer at all
		case "both families":
			families = []string{"ipv4", "ipv6"}
		default:
			fmt.Fprintf(&b, " %s\n", strings.Replace(line, "NBR", "neighbor "+neighbor, 1))
		}
	}
	for _, family := range families {
		fmt.Fprintf(&b, " address-family %s unicast\n  neighbor %s activate\n exit-address-family\n", family, neighbor)
	}
	return b.String()
}

// begin writes what a frr.conf begins with.
func begin(as, id string, instance []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "log stdout informational\nip nht resolve-via-default\nrouter bgp %s\n bgp router-id %s\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n", as, id)
	for _, line := range instance {
		fmt.Fprintf(&b, " %s\n", line)
	}
	return b.String()
}

// kind names the router that a setup needs.
func (s *setup) kind() string { return fmt.Sprint(s.instance, s.deaf) }

// subnet returns the beginning of the addresses of a setup's link; the node has .1 and the router .2.
func subnet(i int) string { return fmt.Sprintf("10.1.%d.", i) }

// prepareRouters returns the routers that the setups need, by kind. Their FRR does not run yet.
func prepareRouters(t *testing.T, release frr.Release, all []setup) map[string]*frr.Instance {
	t.Helper()
	routers := map[string]*frr.Instance{}
	for _, one := range all {
		if routers[one.kind()] != nil {
			continue
		}
		as, instance := "64513", slices.Clone(one.instance)
		if len(instance) > 0 && strings.HasPrefix(instance[0], "AS ") {
			as, instance = strings.TrimPrefix(instance[0], "AS "), instance[1:]
		}
		conf := []string{begin(as, "10.0.0.2", instance)}
		for i, s := range all {
			if s.kind() == one.kind() && !s.stranger {
				conf = append(conf, about(subnet(i)+"1", 64512, append([]string{"NBR passive"}, s.router...)))
			}
		}
		routers[one.kind()] = frr.Start(t, frr.Options{Release: release, Name: "router" + strconv.Itoa(len(routers)), Listen: !one.deaf, Bare: true, Config: strings.Join(conf, "") + "exit\n"})
	}
	return routers
}

// traces are those of the neighbors of one node.
type traces struct {
	mu sync.Mutex
	of map[string]frrstate.Trace
}

func (tr *traces) follow(t *testing.T, node *frr.Instance) {
	t.Helper()
	monitor, err := vty.OpenMonitor(t.Context(), node.Path("/run/frr"), "bgpd", frrstate.CommandsEvents()...)
	if err != nil {
		t.Fatal(err)
	}
	var following sync.WaitGroup
	following.Go(func() {
		for {
			message, err := monitor.Next(t.Context())
			if err != nil {
				return
			}
			if e, ok := frrstate.ParseEvent(message.Text); ok {
				tr.mu.Lock()
				tr.of[e.Peer] = tr.of[e.Peer].After(e)
				tr.mu.Unlock()
			}
		}
	})
	t.Cleanup(func() {
		following.Wait()
		monitor.Close()
	})
}

func (tr *traces) get(peer string) frrstate.Trace {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	return tr.of[peer]
}

func TestGivenSessionsSetUpWronglyWhenRealDaemonsTryThenTheDiagnosisNamesTheFault(t *testing.T) {
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			all := setups()
			routers := prepareRouters(t, release, all)
			conf := []string{begin("64512", "10.0.0.1", nil)}
			for i, s := range all {
				conf = append(conf, about(subnet(i)+"2", 64513, s.node))
			}
			node := frr.Start(t, frr.Options{Release: release, Name: "node", Config: strings.Join(conf, "") + "exit\n", Bare: true})
			for i, s := range all {
				s.link(t, i, node, routers[s.kind()])
			}
			// FRR 8 may take minutes to try again where the other end was not ready at first.
			for _, router := range routers {
				router.StartFRR(t)
			}
			node.StartFRR(t)
			seen := &traces{of: map[string]frrstate.Trace{}}
			seen.follow(t, node)
			// All at once, so that what was found is known to stay.
			frr.Eventually(t, frr.Patience, func() error { return diagnosed(t, node, seen, all) })
		})
	}
}

// diagnosed compares the diagnosis of every setup with what it should be.
func diagnosed(t *testing.T, node *frr.Instance, seen *traces, all []setup) error {
	t.Helper()
	sessions, err := frrstate.ParseSessions([]byte(node.Vtysh(t, frrstate.CommandSessions)))
	if err != nil {
		return err
	}
	bfd, err := frrstate.ParseBFD([]byte(node.Vtysh(t, frrstate.CommandBFD)))
	if err != nil {
		return err
	}
	var wrong []error
	for i, s := range all {
		router := subnet(i) + "2"
		session := find(t, sessions, "", router)
		c := frrstate.Case{Wanted: s.wanted(router), Session: &session, Trace: seen.get(router)}
		for j := range bfd {
			if bfd[j].Peer == router && c.Wanted.BFDProfile != "" {
				c.BFD = &bfd[j]
			}
		}
		if err := s.check(&c, router); err != nil {
			wrong = append(wrong, fmt.Errorf("%s: %w; state %s, last reset %q, trace %+v", s.name, err, session.State, session.LastReset, c.Trace))
		}
	}
	return errors.Join(wrong...)
}

// wanted is what the BGPPeer says.
func (s *setup) wanted(router string) *announce.Neighbor {
	n := &announce.Neighbor{Peer: intent.Peer{Name: "tor", MyASN: 64512, PeerASN: 64513, Address: netip.MustParseAddr(router), Port: 179}}
	if s.peer != nil {
		s.peer(&n.Peer)
	}
	return n
}

// check compares the diagnosis with what it should be.
func (s *setup) check(c *frrstate.Case, router string) error {
	got := frrstate.Diagnose(*c)
	if got.Reason != s.reason || got.Reason == frrstate.ReasonNone && !c.Session.Established() {
		return fmt.Errorf("diagnosis %q %q, want %q", got.Reason, got.Message, s.reason)
	}
	for _, text := range s.says {
		if text = strings.ReplaceAll(text, "ROUTER", router); !strings.Contains(got.Message, text) {
			return fmt.Errorf("diagnosis %q says %q, want %q in it", got.Reason, got.Message, text)
		}
	}
	return nil
}

// link joins the two ends of a setup.
func (s *setup) link(t *testing.T, i int, node, router *frr.Instance) {
	t.Helper()
	if s.address == "none" {
		return
	}
	address := s.address
	if address == "" {
		address = "2"
	}
	frr.Link(t, node, router, fmt.Sprintf("link%d", i), []string{subnet(i) + "1/24"}, []string{subnet(i) + address + "/24"})
	if s.drop {
		if out, err := router.Run(t.Context(), "ip", "route", "add", "blackhole", subnet(i)+"1/32"); err != nil {
			t.Fatalf("drop packets: %v\n%s", err, out)
		}
	}
}
