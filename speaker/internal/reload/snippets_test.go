package reload_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrsnippet"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// with returns the configuration with raw configuration, given as pairs of a
// section's name and its text.
func (s speaker) with(texts ...string) string {
	var sections []frrsnippet.Section
	for i := 0; i < len(texts); i += 2 {
		sections = append(sections, frrsnippet.Section{Name: texts[i], Text: texts[i+1]})
	}
	return string(frrsnippet.Join([]byte(s.conf()), sections))
}

const (
	// goodLists is nothing that commands are known for, and as FRR prints it.
	goodLists = "ip prefix-list people seq 5 permit 10.0.0.0/8 le 32\nip prefix-list people seq 10 permit 172.16.0.0/12\n"
	// goodGroup is what a daemon takes in this order only: its second line would do by command, but needs the first.
	goodGroup = "router bgp 64512\n neighbor fabric peer-group\n neighbor fabric remote-as 64999\n neighbor fabric timers 1 3\n neighbor 192.0.2.77 peer-group fabric\n"
	// goodKnown is what commands are known for.
	goodKnown = "route-map people permit 10\n set community 64512:77 additive\nexit\n"
)

func hasLines(t *testing.T, n *node, lines ...string) {
	t.Helper()
	for _, line := range lines {
		awaitShown(t, n, line)
	}
}

// lacks waits until a text is gone: what vtysh shows of daemons that it does not concern is put in step after the acknowledgement.
func lacks(t *testing.T, n *node, text string) {
	t.Helper()
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if shown := n.Vtysh(t, "show running-config"); strings.Contains(shown, text) {
			return fmt.Errorf("running configuration has %q:\n%s", text, shown)
		}
		return nil
	})
}

func TestGivenRawConfigurationWhenServicesComeAndGoThenTheyTakeCommandsAlone(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			stay := sessionsStay(t, n, "192.0.2.100", "2001:db8::100")
			raw := []string{"ConfigMap a/bgpextras", goodLists, "FRRSnippet a/group", goodGroup, "FRRSnippet a/map", goodKnown}
			if ack := n.apply(t, s.with(raw...)); ack.How != frr.FullReload || len(ack.LeftOut) > 0 {
				t.Errorf("got %+v, want a full reload that leaves nothing out", ack)
			}
			hasLines(t, n, "ip prefix-list people seq 10 permit 172.16.0.0/12", " neighbor fabric peer-group", " neighbor fabric timers 1 3", " neighbor 192.0.2.77 peer-group fabric",
				" set community 64512:77 additive")
			if ack := n.apply(t, s.with(raw...)); ack.How != frr.Unchanged {
				t.Errorf("the same again: %+v, want nothing done", ack)
			}
			s.prefixes["10.1.0.3/32"] = []int{1}
			if ack := n.apply(t, s.with(raw...)); ack.How != frr.Delta || ack.Commands > 5 {
				t.Errorf("a prefix more: %+v, want a delta of one step", ack)
			}
			awaitRoute(t, router, "10.1.0.3/32", withCommunities("no-advertise"))
			delete(s.prefixes, "10.1.0.3/32")
			if ack := n.apply(t, s.with(raw...)); ack.How != frr.Delta {
				t.Errorf("a prefix less: %+v, want a delta", ack)
			}
			if on := n.onDisk(t); on != s.with(raw...) {
				t.Errorf("on disk:\n%s\nwant:\n%s", on, s.with(raw...))
			}
			if ack := n.apply(t, s.with(raw[:4]...)); ack.How != frr.Delta {
				t.Errorf("without what commands are known for: %+v, want a delta", ack)
			}
			n.apply(t, s.conf())
			for _, text := range []string{"people", "fabric", "192.0.2.77"} {
				lacks(t, n, text)
			}
			stay()
		})
	}
}

func TestGivenRawConfigurationWhenSelfRepairLooksThenItTakesOnlyForDriftWhatAPersonChanged(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n := startNode(t, release)
			n.stop()
			n.startReloader(t, 50*time.Millisecond)
			conf := s.with("FRRSnippet a/lists", goodLists, "FRRSnippet a/group", goodGroup)
			n.apply(t, conf)
			seen := follow(t, n)
			// A person's change is put right, and by then every look before it has found nothing to do.
			frrtest.Eventually(t, frrtest.Patience, func() error { // with FRR 10 the configuration may be locked for a moment
				_, err := n.Run(t.Context(), "vtysh", "-c", "configure terminal", "-c", "no ip prefix-list people")
				return err
			})
			seen.await(t, frr.DriftRepaired, "")
			awaitShown(t, n, "ip prefix-list people seq 5 permit 10.0.0.0/8 le 32")
			seen.mu.Lock()
			if first := seen.events[0]; len(seen.events) != 1 || !strings.Contains(first.Detail, "prefix-list people") {
				t.Errorf("events are %+v, want one about what the person removed", seen.events)
			}
			seen.mu.Unlock()
			if ack := n.apply(t, conf); ack.How != frr.Unchanged {
				t.Errorf("after the repair: %+v, want nothing to do", ack)
			}
			n.Kill(t, "bgpd")
			seen.await(t, frr.DaemonUp, "bgpd")
			hasLines(t, n, " neighbor fabric timers 1 3", "ip prefix-list people seq 5 permit 10.0.0.0/8 le 32")
			if ack := n.apply(t, conf); ack.How != frr.Unchanged {
				t.Errorf("after bgpd was killed: %+v, want nothing to do", ack)
			}
		})
	}
}

// bad is raw configuration that FRR refuses, each in another way.
var bad = map[string]frr.LeftOut{
	"FRRSnippet a/unknown": {Line: "surprise surprise", LineNumber: 2, Words: "Unknown command"},
	"FRRSnippet a/daemon":  {Line: "neighbor 192.0.2.99 description nobody", LineNumber: 2, Words: "Specify remote-as or peer-group commands first"},
	"FRRSnippet a/exit":    {Words: "exit"},
	"FRRSnippet a/shape":   {Words: "show running-config does"},
}

func badTexts() []string {
	return []string{
		"ConfigMap a/bgpextras", goodLists,
		"FRRSnippet a/unknown", "ip prefix-list half seq 5 permit any\nsurprise surprise\nipv6 prefix-list half seq 5 permit any\n",
		"FRRSnippet a/daemon", "router bgp 64512\n neighbor 192.0.2.99 description nobody\nexit\nip prefix-list other-half seq 5 permit any\n",
		"FRRSnippet a/exit", "router bgp 64512\nexit\nexit\n",
		"FRRSnippet a/shape", "router bgp 64512\n address-family ipv4 unicast\n  neighbor 192.0.2.100 maximum-prefix 00100\n",
		"FRRSnippet a/group", goodGroup,
	}
}

func checkLeftOut(t *testing.T, ack frr.Ack, names ...string) {
	t.Helper()
	if len(ack.LeftOut) != len(names) {
		t.Errorf("left out is %+v, want %q", ack.LeftOut, names)
		return
	}
	for i, got := range ack.LeftOut {
		want := bad[names[i]]
		if got.Section != names[i] || got.Line != want.Line && want.Line != "" || got.LineNumber != want.LineNumber && want.LineNumber != 0 || !strings.Contains(got.Words, want.Words) {
			t.Errorf("left out is %+v, want %s, %+v", got, names[i], want)
		}
	}
}

func TestGivenRawConfigurationThatFRRRefusesWhenAppliedThenItIsNamedAndAllElseRuns(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n, router := startPair(t, release, s)
			n.apply(t, s.with("FRRSnippet a/group", goodGroup))
			stay := sessionsStay(t, n, "192.0.2.100", "2001:db8::100")
			refused := []string{"FRRSnippet a/unknown", "FRRSnippet a/daemon", "FRRSnippet a/exit", "FRRSnippet a/shape"}

			// A prefix that comes at the same time is announced.
			s.prefixes["10.1.0.3/32"] = []int{1}
			ack := n.apply(t, s.with(badTexts()...))
			checkLeftOut(t, ack, refused...)
			awaitRoute(t, router, "10.1.0.3/32", withCommunities("no-advertise"))
			good := func() {
				t.Helper()
				hasLines(t, n, "ip prefix-list people seq 5 permit 10.0.0.0/8 le 32", " neighbor fabric timers 1 3")
				for _, text := range []string{"half", "192.0.2.99", "maximum-prefix"} {
					lacks(t, n, text)
				}
				if want := s.with("ConfigMap a/bgpextras", goodLists, "FRRSnippet a/group", goodGroup); n.onDisk(t) != want {
					t.Errorf("on disk:\n%s\nwant:\n%s", n.onDisk(t), want)
				}
			}
			good()

			s.prefixes["10.1.0.4/32"] = []int{1}
			ack = n.apply(t, s.with(badTexts()...))
			if ack.How != frr.Delta {
				t.Errorf("a prefix more: %+v, want a delta", ack)
			}
			checkLeftOut(t, ack, refused...)
			awaitRoute(t, router, "10.1.0.4/32", withCommunities("no-advertise"))

			// Whoever begins anew comes to the same.
			n.stop()
			n.startReloader(t, time.Hour)
			checkLeftOut(t, n.apply(t, s.with(badTexts()...)), refused...)
			good()

			// The neighbor that one of them is about comes into being.
			s.neighbors = append(s.neighbors, "192.0.2.99")
			checkLeftOut(t, n.apply(t, s.with(badTexts()...)), "FRRSnippet a/unknown", "FRRSnippet a/exit", "FRRSnippet a/shape")
			hasLines(t, n, " neighbor 192.0.2.99 description nobody", "ip prefix-list other-half seq 5 permit any")
			stay()
		})
	}
}

func TestGivenASecretInRawConfigurationThatFRRRefusesWhenReportedThenItIsNotSaid(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			s := pair()
			n := startNode(t, release)
			const secret = "hunter2"
			ack := n.apply(t, s.with(
				"FRRSnippet a/syntax", "router bgp 64512\n neighbor 192.0.2.100 password one "+secret+"\n",
				"FRRSnippet a/daemon", "router bgp 64512\n neighbor 192.0.2.99 password "+secret+"\n",
			))
			if len(ack.LeftOut) != 2 || strings.Contains(fmt.Sprintf("%+v", ack), secret) {
				t.Errorf("got %+v, want both left out and no %q", ack, secret)
			}
		})
	}
}
