package reload_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// TestGivenTwoThousandRoutesThatARouterKeepsWhenTheNextPodAnnouncesThemThenNoneIsMissingInBetween watches the router's kernel. Were a session to open
// before bgpd knows all prefixes, End-of-RIB would come after some of them, and the router would drop the others for a moment.
func TestGivenTwoThousandRoutesThatARouterKeepsWhenTheNextPodAnnouncesThemThenNoneIsMissingInBetween(t *testing.T) {
	t.Parallel()
	const many = 2000
	s := pair()
	s.neighbors = []string{"192.0.2.100"}
	s.prefixes = map[string][]int{}
	for i := range many {
		s.prefixes[fmt.Sprintf("10.1.%d.%d/32", i/250, i%250)] = []int{1}
	}
	conf := strings.Replace(s.conf(), " neighbor 192.0.2.100 timers connect 1\n", " neighbor 192.0.2.100 timers connect 1\n neighbor 192.0.2.100 graceful-restart\n", 1)
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := startNode(t, release)
			router := startRouter(t, n)
			n.apply(t, conf)
			inKernel := func() error {
				out, err := router.Run(t.Context(), "ip", "-4", "route", "show", "proto", "bgp")
				if err != nil {
					return fmt.Errorf("ask the router's kernel: %w: %s", err, out)
				}
				if lines := strings.Count(out, "\n"); lines != many {
					return fmt.Errorf("the router's kernel has %d routes, want %d", lines, many)
				}
				return nil
			}
			frrtest.Eventually(t, frrtest.Patience, inKernel)
			n.stop()

			events := watchKernel(t, router)
			n.StopFRR(t)
			if err := os.Remove(n.Path("/etc/frr/frr.conf")); err != nil {
				t.Fatal(err)
			}
			n.StartFRR(t)
			n.startReloader(t, time.Hour)
			n.apply(t, conf)
			frrtest.Eventually(t, frrtest.Patience, func() error { return allAgain(t, router) })
			if err := inKernel(); err != nil {
				t.Error(err)
			}
			if lost := strings.Count(events(), "Deleted 10.1."); lost > 0 {
				t.Errorf("%d routes were missing in between", lost)
			}
		})
	}
}

// watchKernel returns what happened to a router's IPv4 routes since it was called.
func watchKernel(t *testing.T, router *frrtest.Instance) (events func() string) {
	t.Helper()
	shell := func(command string) {
		if out, err := router.Run(t.Context(), "sh", "-c", command); err != nil {
			t.Fatalf("%s: %v\n%s", command, err, out)
		}
	}
	shell("ip -o -4 monitor route >/tmp/monitor 2>&1 &")
	events = func() string {
		text, err := os.ReadFile(router.Path("/tmp/monitor"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	frrtest.Eventually(t, frrtest.Patience, func() error {
		shell("ip route replace blackhole 198.51.100.250; ip route del blackhole 198.51.100.250")
		if !strings.Contains(events(), "198.51.100.250") {
			return errors.New("the watch has not begun")
		}
		return nil
	})
	return events
}

// allAgain fails until the router has been told that it has all routes of the node's new session.
func allAgain(t *testing.T, router *frrtest.Instance) error {
	t.Helper()
	var answer map[string]struct {
		State   string `json:"bgpState"`
		Ups     int    `json:"connectionsEstablished"`
		Restart struct {
			Received map[string]bool `json:"endOfRibRecv"`
		} `json:"gracefulRestartInfo"`
	}
	if err := json.Unmarshal([]byte(router.Vtysh(t, "show bgp neighbors 192.0.2.1 json")), &answer); err != nil {
		t.Fatal(err)
	}
	if now := answer["192.0.2.1"]; now.State != "Established" || now.Ups < 2 || !now.Restart.Received["ipv4Unicast"] {
		return fmt.Errorf("the router's session: %+v, want it up again and End-of-RIB received", now)
	}
	return nil
}
