package reload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// grammar draws a configuration of all statements that are known, valid in
// itself but in no way sensible.
type grammar struct {
	t *rapid.T
	b strings.Builder
}

func (g *grammar) p(format string, args ...any) { fmt.Fprintf(&g.b, format+"\n", args...) }

func (g *grammar) maybe(format string, args ...any) bool {
	if rapid.Bool().Draw(g.t, format) {
		g.p(format, args...)
		return true
	}
	return false
}

func (g *grammar) pick(label string, from ...string) string {
	return rapid.SampledFrom(from).Draw(g.t, label)
}

// some draws a subset, in random order.
func (g *grammar) some(label string, from ...string) []string {
	all := rapid.Permutation(from).Draw(g.t, label)
	return all[:rapid.IntRange(0, len(all)).Draw(g.t, label+" count")]
}

func (g *grammar) number(label string, low, high int) int {
	return rapid.IntRange(low, high).Draw(g.t, label)
}

var (
	mapNames  = []string{"m1", "m2", "m3"}
	listNames = []string{"l1", "l2"}
	profiles  = []string{"p1", "p2"}
)

func (g *grammar) communities(label string) string {
	return strings.Join(append(g.some(label, "1:1", "64512:7", "65535:65281", "65535:65282", "no-peer", "2:2"), "3:3"), " ")
}

func (g *grammar) large(label string) string {
	return strings.Join(append(g.some(label, "4294967295:1:1", "4294967295:1:2", "5:5:5"), "1:1:1"), " ")
}

func (g *grammar) config() string {
	g.p("frr defaults traditional\nhostname n1")
	g.p("log stdout %s", g.pick("log", "informational", "debugging", "errors"))
	g.maybe("log timestamp precision %d", g.number("precision", 0, 6))
	g.p("ip nht resolve-via-default")
	g.maybe("bgp route-map delay-timer %d", g.number("delay", 0, 9))
	for _, debug := range g.some("debug", "debug bgp neighbor-events", "debug bgp updates", "debug bgp keepalives", "debug bgp nht", "debug bgp zebra",
		"debug bfd peer", "debug bfd zebra", "debug bfd network", "debug zebra events", "debug zebra kernel", "debug zebra rib", "debug zebra nexthop", "debug zebra nht detailed") {
		g.p("%s", debug)
	}
	for _, name := range g.some("lists", listNames...) {
		for _, value := range g.some("list "+name, "1:1", "64512:7", "no-export", "65535:666") {
			g.p("bgp community-list standard c%s permit %s", name, value)
		}
		for _, value := range g.some("large list "+name, "4294967295:1:1", "4294967295:1:2", "4294967295:1:3") {
			g.p("bgp large-community-list standard %s permit %s", name, value)
		}
		if rapid.Bool().Draw(g.t, "expanded") {
			g.p("bgp large-community-list expanded x%s seq %d permit ^4294967295:%d", name, g.number("seq", 1, 3), g.number("part", 1, 2))
		}
	}
	for _, family := range []string{"ip", "ipv6"} {
		g.prefixLists(family)
	}
	for _, name := range mapNames {
		for _, seq := range g.some("entries "+name, "10", "20", "30", "40") {
			g.entry(name, seq)
		}
	}
	g.router("router bgp 64512", g.some("neighbors", "192.0.2.100", "192.0.2.101", "2001:db8::100", "eth7"))
	if rapid.Bool().Draw(g.t, "vrf") {
		g.router("router bgp 64512 vrf red", g.some("vrf neighbors", "198.51.100.1"))
	}
	g.bfd()
	return g.b.String()
}

// prefixLists draws entries with and without numbers, each at most once in a list as FRR wants it.
func (g *grammar) prefixLists(family string) {
	entries := map[string][]string{
		"ip":   {"any", "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/8 le 32", "10.0.0.0/8 ge 9", "10.0.0.0/8 ge 16 le 24", "192.0.2.7/32"},
		"ipv6": {"any", "::/0", "2001:db8::/32 le 64", "2001:db8::/32 ge 48", "2001:db8::/32"},
	}[family]
	for _, name := range []string{"q1", "q2"} {
		for i, entry := range g.some(family+" list "+name, entries...) {
			g.p("%s prefix-list %s seq %d %s %s", family, name, 3*i+g.number("place", 1, 3), g.pick("verdict", "permit", "deny"), entry)
		}
	}
}

func (g *grammar) entry(name, seq string) {
	action := g.pick("action", "permit", "deny")
	g.p("route-map %s %s %s", name, action, seq)
	g.maybe(" description drawn %d", g.number("text", 1, 3))
	g.maybe(" match large-community %s", g.pick("list", listNames...))
	g.maybe(" match community c%s", g.pick("list", listNames...))
	g.maybe(" match ip address prefix-list q%d", g.number("prefix list", 1, 2))
	g.maybe(" match ipv6 address prefix-list q%d", g.number("IPv6 prefix list", 1, 2))
	g.maybe(" set community %s%s", g.communities("set"), g.pick("additive", "", " additive"))
	g.maybe(" set large-community %s%s", g.large("set large"), g.pick("additive", "", " additive"))
	g.maybe(" set large-comm-list %s delete", g.pick("list", "l1", "l2", "xl1"))
	g.maybe(" set comm-list c%s delete", g.pick("list", listNames...))
	g.maybe(" set local-preference %d", g.number("preference", 0, 300))
	g.maybe(" set metric %d", g.number("metric", 0, 300))
	g.maybe(" set weight %d", g.number("weight", 1, 300))
	g.maybe(" set origin %s", g.pick("origin", "igp", "incomplete"))
	g.maybe(" set as-path prepend %d", g.number("as", 1, 9))
	if action == "permit" { // FRR allows it nowhere else
		g.maybe(" on-match next")
	}
	g.maybe(" call %s", g.pick("call", "m8", "m9"))
	g.p("exit")
}

func (g *grammar) router(opener string, neighbors []string) {
	g.p("%s", opener)
	g.maybe(" bgp router-id 10.0.0.%d", g.number("router id", 1, 3))
	for _, line := range g.some("settings", "no bgp ebgp-requires-policy", "no bgp default ipv4-unicast", "no bgp network import-check",
		"no bgp suppress-duplicates", "bgp graceful-restart preserve-fw-state", "bgp log-neighbor-changes", "bgp graceful-restart", "timers bgp 7 21") {
		g.p(" %s", line)
	}
	for _, name := range neighbors {
		g.neighbor(name)
	}
	groups := g.some("groups", "listen:a", "listen:b")
	for _, name := range groups {
		g.group(name)
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		g.p(" address-family %s unicast", family)
		prefixes := map[string][]string{
			"ipv4": {"10.1.0.1/32", "10.1.0.2/32", "10.1.0.0/24", "0.0.0.0/0", "10.0.0.0/8"},
			"ipv6": {"2001:db8:1::1/128", "2001:db8:1::/64", "2001:DB8:0002:0::5/128"},
		}[family]
		for _, prefix := range g.some("prefixes "+family, prefixes...) {
			g.p("  network %s%s", prefix, g.pick("network map", "", " route-map m1", " route-map m2"))
		}
		for _, name := range slices.Concat(neighbors, groups) {
			g.inFamily(name)
		}
		g.p(" exit-address-family")
	}
	g.maybe(" bgp listen limit %d", g.number("limit", 99, 102))
	for i, name := range groups {
		for _, from := range g.some("ranges", "10.9.%d.0/24", "2001:db8:9:%d::/64", "10.10.%d.7/32") {
			g.p(" bgp listen range "+from+" peer-group %s", g.number("range", 2*i, 2*i+1), name)
		}
	}
	g.p("exit")
}

// group draws what a neighbor that is a group of routers which connect by themselves may have.
func (g *grammar) group(name string) {
	remote := g.pick("remote", "64513", "64512", "external", "internal")
	g.p(" neighbor %s peer-group\n neighbor %s remote-as %s", name, name, remote)
	if remote == "64513" || remote == "external" {
		if !g.maybe(" neighbor %s ebgp-multihop%s", name, g.pick("hops", "", " 255", " 5")) {
			g.maybe(" neighbor %s ttl-security hops %s", name, g.pick("security", "1", "7", "254"))
		}
		g.maybe(" neighbor %s local-as %s", name, g.pick("local as", "65001", "65001 no-prepend", "65001 no-prepend replace-as"))
		g.maybe(" neighbor %s disable-connected-check", name)
	}
	g.maybe(" neighbor %s password word%d", name, g.number("password", 1, 2))
	g.maybe(" neighbor %s description it is %s", name, g.pick("description", "lab", "a  router"))
	g.maybe(" neighbor %s timers %s", name, g.pick("timers", "3 9", "60 180", "0 0"))
	if !g.maybe(" neighbor %s bfd profile %s", name, g.pick("profile", profiles...)) {
		g.maybe(" neighbor %s bfd", name)
	}
}

func (g *grammar) neighbor(name string) {
	remote := g.pick("remote", "64513", "64512", "external", "internal", "65000")
	external := remote != "64512" && remote != "internal"
	if name == "eth7" {
		g.p(" neighbor eth7 interface remote-as %s", remote)
	} else {
		g.p(" neighbor %s remote-as %s", name, remote)
		g.maybe(" neighbor %s password word%d", name, g.number("password", 1, 2))
		g.maybe(" neighbor %s port %s", name, g.pick("port", "179", "1179"))
		g.maybe(" neighbor %s disable-connected-check", name)
		g.maybe(" neighbor %s capability extended-nexthop", name)
		g.maybe(" neighbor %s update-source %s", name, g.pick("source", "lo", "eth9"))
		if external {
			if !g.maybe(" neighbor %s ebgp-multihop%s", name, g.pick("hops", "", " 255", " 5")) {
				g.maybe(" neighbor %s ttl-security hops %s", name, g.pick("security", "1", "7", "254"))
			}
		}
	}
	if external {
		g.maybe(" neighbor %s local-as %s", name, g.pick("local as", "65001", "65001 no-prepend", "65001 no-prepend replace-as"))
	}
	g.maybe(" neighbor %s description it is %s", name, g.pick("description", "lab", "a  router"))
	g.maybe(" neighbor %s timers %s", name, g.pick("timers", "3 9", "60 180", "0 0"))
	g.maybe(" neighbor %s timers connect %d", name, g.number("connect", 1, 120))
	g.maybe(" neighbor %s advertisement-interval %d", name, g.number("interval", 0, 5))
	g.maybe(" neighbor %s passive", name)
	g.maybe(" neighbor %s shutdown", name)
	g.maybe(" neighbor %s %s", name, g.pick("restart", "graceful-restart", "graceful-restart-helper", "graceful-restart-disable"))
	if !g.maybe(" neighbor %s bfd profile %s", name, g.pick("profile", profiles...)) {
		g.maybe(" neighbor %s bfd", name)
	}
}

func (g *grammar) inFamily(name string) {
	switch g.pick("active", "yes", "no", "unsaid") {
	case "yes":
		g.p("  neighbor %s activate", name)
	case "no":
		g.p("  no neighbor %s activate", name)
	}
	g.maybe("  neighbor %s route-map %s in", name, g.pick("in", "m1", "m3"))
	g.maybe("  neighbor %s route-map %s out", name, g.pick("out", "m2", "m3"))
	g.maybe("  neighbor %s next-hop-self%s", name, g.pick("force", "", " force"))
	g.maybe("  neighbor %s soft-reconfiguration inbound", name)
	g.maybe("  neighbor %s maximum-prefix %d", name, g.number("maximum", 1, 9))
	g.maybe("  no neighbor %s send-community all", name)
}

func (g *grammar) bfd() {
	names := g.some("profiles", profiles...)
	if len(names) == 0 {
		return
	}
	g.p("bfd")
	for _, name := range slices.Sorted(slices.Values(names)) {
		g.p(" profile %s", name)
		g.maybe("  detect-multiplier %d", g.number("multiplier", 2, 5))
		g.maybe("  receive-interval %s", g.pick("receive", "100", "300"))
		g.maybe("  transmit-interval %s", g.pick("transmit", "100", "300"))
		g.maybe("  echo transmit-interval %s", g.pick("echo", "50", "70"))
		g.maybe("  echo receive-interval %s", g.pick("echo", "50", "70", "disabled"))
		g.maybe("  minimum-ttl %s", g.pick("ttl", "254", "1"))
		g.maybe("  echo-mode")
		g.maybe("  passive-mode")
		g.p(" exit")
	}
	g.p("exit")
}

func TestGivenAnyRunningConfigurationWhenAnyOtherIsAppliedThenCommandsAloneLeadToItAndAgainDoNothing(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			rapid.Check(t, func(rt *rapid.T) {
				for _, conf := range []string{"hostname n1\n", (&grammar{t: rt}).config(), (&grammar{t: rt}).config()} {
					ack, err := n.client.Apply(t.Context(), []byte(conf))
					if err != nil {
						rt.Fatalf("apply: %v\n%s", err, conf)
					}
					if ack.How == frr.FullReload {
						rt.Fatalf("got a full reload: %s\n%s\n%s", ack.Reason, ack.Difference, conf)
					}
					if again, err := n.client.Apply(t.Context(), []byte(conf)); err != nil || again.How != frr.Unchanged {
						rt.Fatalf("again: %+v, %v, want nothing done\n%s", again, err, conf)
					}
				}
			})
		})
	}
}
