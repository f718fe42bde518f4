package reload_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/bird"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/gobgp"
	birdconf "github.com/seed-551707bd/metallb-operator/test/lab/bird"
	gobgpconf "github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
)

func TestMain(m *testing.M) {
	gobgp.Main()
	os.Exit(m.Run())
}

// nodeASN is the node's AS number, and outsideASN that of peers that are not of the same one.
const nodeASN, outsideASN = 64512, 64513

// steady is what both ends of a BFD session agree on: milliseconds, and packets lost. It is not as quick as users have it, because on a machine that runs
// many tests at once quick BFD loses sessions that nobody cut.
var steady = struct{ Interval, Multiplier int }{200, 10}

// routerKind is a program that routers run.
type routerKind string

const (
	kindFRR   routerKind = "frr"
	kindGoBGP routerKind = "gobgp"
	kindBIRD  routerKind = "bird"
)

// peering is one session as a router's configuration has it.
type peering struct {
	own, node netip.Addr
	password  string
	bfd       bool
	// far says that the node is not on the same link.
	far bool
}

// router is a router of some kind, to ask for what it was sent.
type router interface {
	frrtest.Machine
	// up says whether the session with the node's address is established, and what is another each time that it comes up.
	up(tb testing.TB, node netip.Addr) (established bool, since string)
	// paths lists what the router holds of the node.
	paths(tb testing.TB, node netip.Addr) map[netip.Prefix]attributes
	// bfdUp counts the BFD sessions that are up as the router sees it.
	bfdUp(tb testing.TB) int
	// plugged is told when the router has its addresses.
	plugged(tb testing.TB)
}

// attributes are what a router was sent with a prefix. LocalPref is told on internal sessions only.
type attributes struct {
	ASPath, Communities, LargeCommunities string
	LocalPref                             uint32
}

// startRouterOf runs a router of the kind with AS number asn. All of them keep the paths of a neighbor that announced that it comes back.
func startRouterOf(tb testing.TB, k routerKind, release frrtest.Release, asn uint32, sessions ...peering) router {
	tb.Helper()
	switch k {
	case kindFRR:
		return &frrRouter{frrtest.Start(tb, frrtest.Options{Release: release, Name: "tor", Listen: true}), frrRouterConf(asn, sessions), asn == nodeASN}
	case kindBIRD:
		c := birdconf.Config{RouterID: netip.MustParseAddr("10.0.0.100"), BFDInterval: steady.Interval, BFDMultiplier: steady.Multiplier}
		names := map[netip.Addr]string{}
		for i, s := range sessions {
			names[s.node] = fmt.Sprintf("node%d", i)
			c.Neighbors = append(c.Neighbors, birdconf.Neighbor{Name: names[s.node], Local: s.own, Address: s.node, LocalASN: asn, ASN: nodeASN,
				Password: s.password, BFD: s.bfd, Multihop: s.far})
		}
		return &birdRouter{bird.Start(tb, bird.Options{Config: birdconf.Config{RouterID: c.RouterID}.String()}), c, names, asn == nodeASN}
	case kindGoBGP:
		c := gobgpconf.Config{ASN: asn, RouterID: netip.MustParseAddr("10.0.0.100")}
		for _, s := range sessions {
			c.Neighbors = append(c.Neighbors, gobgpconf.Neighbor{Address: s.node, ASN: nodeASN, Password: s.password, Passive: true, GracefulRestart: true})
		}
		return &gobgpRouter{gobgp.Start(tb, c)}
	}
	tb.Fatalf("kind %q of router", k)
	return nil
}

type frrRouter struct {
	*frrtest.Instance
	conf   string
	inside bool
}

func frrRouterConf(asn uint32, sessions []peering) string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("bfd\n profile steady\n  detect-multiplier %d\n  transmit-interval %d\n  receive-interval %[2]d\n exit\nexit", steady.Multiplier, steady.Interval)
	p("router bgp %d\n bgp router-id 10.0.0.100\n no bgp ebgp-requires-policy\n no bgp default ipv4-unicast", asn)
	for _, s := range sessions {
		p(" neighbor %s remote-as %d\n neighbor %[1]s shutdown\n neighbor %[1]s passive\n neighbor %[1]s graceful-restart-helper", s.node, nodeASN)
		if s.password != "" {
			p(" neighbor %s password %s", s.node, s.password)
		}
		if s.bfd {
			p(" neighbor %s bfd profile steady", s.node)
		}
		if s.far && asn != nodeASN {
			p(" neighbor %s ebgp-multihop 255", s.node)
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		p(" address-family %s unicast", family)
		for _, s := range sessions {
			if s.node.Is4() == (family == "ipv4") {
				p("  neighbor %s activate", s.node)
			}
		}
		p(" exit-address-family")
	}
	for _, s := range sessions { // whole, not as the lines come
		p(" no neighbor %s shutdown", s.node)
	}
	p("exit")
	return b.String()
}

// plugged gives FRR its sessions only now: one that has no path to a neighbor refuses its connections for up to a minute, even when it has one later.
func (r *frrRouter) plugged(tb testing.TB) {
	tb.Helper()
	if err := os.WriteFile(r.Path("/tmp/tor.conf"), []byte(r.conf), 0o644); err != nil {
		tb.Fatal(err)
	}
	if out, err := r.Run(tb.Context(), "vtysh", "-f", "/tmp/tor.conf"); err != nil {
		tb.Fatalf("configure the router: %v\n%s", err, out)
	}
}

func (r *frrRouter) up(tb testing.TB, node netip.Addr) (bool, string) {
	tb.Helper()
	s := r.Session(tb, node.String())
	return s.State == "Established", strconv.Itoa(s.Established)
}

func (r *frrRouter) bfdUp(tb testing.TB) int {
	tb.Helper()
	return bfdUp(tb, r.Instance)
}

// bfdUp counts the BFD sessions that are up as an FRR sees it.
func bfdUp(tb testing.TB, i *frrtest.Instance) int {
	tb.Helper()
	var peers []struct{ Status string }
	if err := json.Unmarshal([]byte(i.Vtysh(tb, "show bfd peers json")), &peers); err != nil {
		tb.Fatal(err)
	}
	up := 0
	for _, p := range peers {
		if p.Status == "up" {
			up++
		}
	}
	return up
}

func (r *frrRouter) paths(tb testing.TB, node netip.Addr) map[netip.Prefix]attributes {
	tb.Helper()
	found := map[netip.Prefix]attributes{}
	for prefix := range r.Prefixes(tb) {
		if prefix.Addr().Is4() != node.Is4() {
			continue // each family comes over its own session
		}
		route, ok := r.Route(tb, prefix)
		if !ok {
			continue // gone meanwhile
		}
		a := attributes{route.ASPath, sorted(route.Communities), sorted(route.LargeCommunities), 0}
		if r.inside {
			a.LocalPref = uint32(route.LocalPref)
		}
		found[prefix] = a
	}
	return found
}

type birdRouter struct {
	*bird.Instance
	conf   birdconf.Config
	names  map[netip.Addr]string
	inside bool
}

// plugged gives BIRD its sessions only now: it opens the sockets of BFD once, and does without where they cannot be bound to the addresses.
func (r *birdRouter) plugged(tb testing.TB) {
	tb.Helper()
	r.Configure(tb, r.conf.String())
}

func (r *birdRouter) up(tb testing.TB, node netip.Addr) (bool, string) {
	tb.Helper()
	s := r.Session(tb, r.names[node])
	return s.State == "Established", s.Since
}

func (r *birdRouter) bfdUp(tb testing.TB) int {
	tb.Helper()
	out, err := r.Birdc(tb.Context(), "show bfd sessions")
	if err != nil {
		tb.Fatalf("%v\n%s", err, out)
	}
	return strings.Count(out, " Up ")
}

func (r *birdRouter) paths(tb testing.TB, node netip.Addr) map[netip.Prefix]attributes {
	tb.Helper()
	found := map[netip.Prefix]attributes{}
	for _, route := range r.Routes(tb) {
		if route.Neighbor != r.names[node] {
			continue
		}
		a := attributes{words(route.ASPath), strings.Join(route.Communities, " "), strings.Join(route.LargeCommunities, " "), 0}
		if r.inside {
			a.LocalPref = route.LocalPref
		}
		found[route.Prefix] = a
	}
	return found
}

type gobgpRouter struct{ *gobgp.Instance }

func (r *gobgpRouter) plugged(testing.TB) {}

func (r *gobgpRouter) bfdUp(testing.TB) int { return 0 } // GoBGP has no BFD

func (r *gobgpRouter) up(tb testing.TB, node netip.Addr) (bool, string) {
	tb.Helper()
	sessions, err := r.Sessions(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	for _, s := range sessions {
		if s.Neighbor == node {
			return s.Established, s.Since.Format(time.RFC3339)
		}
	}
	tb.Fatalf("GoBGP does not know %s", node)
	return false, ""
}

func (r *gobgpRouter) paths(tb testing.TB, node netip.Addr) map[netip.Prefix]attributes {
	tb.Helper()
	all, err := r.Paths(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	found := map[netip.Prefix]attributes{}
	for _, p := range all {
		if p.Neighbor != node {
			continue
		}
		a := attributes{words(p.ASPath), strings.Join(p.Communities, " "), strings.Join(p.LargeCommunities, " "), 0}
		if p.LocalPref != nil {
			a.LocalPref = *p.LocalPref
		}
		found[p.Prefix] = a
	}
	return found
}

func words[T any](all []T) string { return strings.Trim(fmt.Sprint(all), "[]") }

// sorted is a list of communities in the order in which the other kinds have it, by number throughout.
func sorted(list string) string {
	all := strings.Fields(strings.NewReplacer("no-export", "65535:65281", "no-advertise", "65535:65282").Replace(list))
	slices.Sort(all)
	return strings.Join(all, " ")
}

// refusedByMD5 counts the segments that a machine's kernel dropped because their TCP-MD5 signature was missing, wrong or not expected.
func refusedByMD5(tb testing.TB, m frrtest.Machine) int {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(m.PID()), "net/netstat"))
	if err != nil {
		tb.Fatal(err)
	}
	total := 0
	lines := strings.Split(string(text), "\n")
	for i := 0; i+1 < len(lines); i += 2 { // names, then values
		names, values := strings.Fields(lines[i]), strings.Fields(lines[i+1])
		for j, name := range names {
			if strings.HasPrefix(name, "TCPMD5") {
				n, err := strconv.Atoi(values[j])
				if err != nil {
					tb.Fatal(err)
				}
				total += n
			}
		}
	}
	return total
}
