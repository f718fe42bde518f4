package frrstate_test

import (
	"flag"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

var update = flag.Bool("update", false, "rewrite testdata with what the FRR daemons print now")

// nodeConf has a session of every kind: one to come up with BFD, one that nobody answers, an unnumbered one and one in a VRF.
const nodeConf = `hostname node
bfd
 profile fast
  detect-multiplier 3
 exit
exit
router bgp 64512
 no bgp ebgp-requires-policy
 no bgp network import-check
 no bgp default ipv4-unicast
 neighbor 192.0.2.2 remote-as 64513
 neighbor 192.0.2.2 timers 10 30
 neighbor 192.0.2.2 timers connect 1
 neighbor 192.0.2.2 bfd
 neighbor 192.0.2.2 bfd profile fast
 neighbor 192.0.2.9 remote-as 64514
 neighbor 192.0.2.9 port 1179
 neighbor link0 interface remote-as external
 address-family ipv4 unicast
  network 198.51.100.1/32
  network 198.51.100.2/32
  neighbor 192.0.2.2 activate
  neighbor 192.0.2.9 activate
  neighbor link0 activate
 exit-address-family
exit
router bgp 64512 vrf red
 no bgp ebgp-requires-policy
 neighbor 2001:db8::2 remote-as 64513
exit
`

const routerConf = `hostname router
router bgp 64513
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor 192.0.2.1 remote-as 64512
 neighbor 192.0.2.1 timers connect 1
 neighbor 192.0.2.1 bfd
 address-family ipv4 unicast
  network 203.0.113.0/24
 exit-address-family
exit
`

func connect(t *testing.T, instances ...*frr.Instance) {
	t.Helper()
	line := fmt.Sprintf("link add link0 netns %d type veth peer name link0 netns %d", instances[0].PID(), instances[1].PID())
	if out, err := exec.CommandContext(t.Context(), "ip", strings.Fields(line)...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", line, err, out)
	}
	for i, in := range instances {
		for _, line := range []string{"addr add 192.0.2." + strconv.Itoa(i+1) + "/24 dev link0", "link set link0 up"} {
			if out, err := in.Run(t.Context(), "ip", strings.Fields(line)...); err != nil {
				t.Fatalf("ip %s: %v\n%s", line, err, out)
			}
		}
	}
}

// show runs a show command and keeps its output as testdata if asked to.
func show(t *testing.T, i *frr.Instance, name, command string) []byte {
	t.Helper()
	out := []byte(i.Vtysh(t, command))
	if *update {
		if err := os.WriteFile(filepath.Join("testdata", string(i.Release)+"-"+name+".json"), out, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

func find(t *testing.T, sessions []frrstate.Session, vrf, peer string) frrstate.Session {
	t.Helper()
	for _, s := range sessions {
		if s.Key == (frrstate.Key{VRF: vrf, Peer: peer}) {
			return s
		}
	}
	t.Fatalf("no session with %s in VRF %q among %+v", peer, vrf, sessions)
	return frrstate.Session{}
}

func TestGivenSessionsOfEveryKindWhenFRRShowsThemThenTheirStateIsRead(t *testing.T) {
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			node := frr.Start(t, frr.Options{Release: release, Name: "node", Config: nodeConf})
			router := frr.Start(t, frr.Options{Release: release, Name: "router", Config: routerConf, Listen: true})
			connect(t, node, router)
			frr.Eventually(t, 90*time.Second, func() error { return settled(t, node) })
		})
	}
}

func settled(t *testing.T, node *frr.Instance) error {
	t.Helper()
	sessions, err := frrstate.ParseSessions(show(t, node, "sessions", frrstate.CommandSessions))
	if err != nil {
		return err
	}
	if len(sessions) != 4 {
		return fmt.Errorf("%d sessions, want 4: %+v", len(sessions), sessions)
	}
	up := find(t, sessions, "", "192.0.2.2")
	if !up.Established() || up.Sent() != 3 || up.Accepted() != 1 || up.HoldTime != 30*time.Second || time.Since(up.UpSince) > time.Hour {
		return fmt.Errorf("session with the router: %+v, want it Established with 3 prefixes sent, its own included, and 1 accepted", up)
	}
	if m := up.Messages; m.OpensSent == 0 || m.UpdatesSent == 0 || m.UpdatesReceived == 0 || m.TotalSent < m.OpensSent+m.UpdatesSent {
		return fmt.Errorf("messages: %+v, want opens and updates counted", m)
	}
	if err := sent(t, node); err != nil {
		return err
	}
	for _, key := range []frrstate.Key{{Peer: "192.0.2.9"}, {Peer: "link0"}, {VRF: "red", Peer: "2001:db8::2"}} {
		if s := find(t, sessions, key.VRF, key.Peer); s.Established() || s.State == "" || !s.UpSince.IsZero() {
			return fmt.Errorf("session %+v, want it down", s)
		}
	}
	bfd, err := frrstate.ParseBFD(show(t, node, "bfd", frrstate.CommandBFD))
	if err != nil {
		return err
	}
	if len(bfd) != 1 || bfd[0].Key != up.Key || !bfd[0].Up() || bfd[0].Transmit != 300*time.Millisecond {
		return fmt.Errorf("BFD: %+v, want one session up with the router", bfd)
	}
	counters, err := frrstate.ParseBFDCounters(show(t, node, "bfd-counters", frrstate.CommandBFDCounters))
	if err != nil {
		return err
	}
	if len(counters) != 1 || counters[0].Key != up.Key || counters[0].Ups == 0 || counters[0].ControlIn == 0 {
		return fmt.Errorf("BFD counters: %+v, want packets of one session", counters)
	}
	return nil
}

// sent checks what the node's sessions were sent, once that can be seen.
func sent(t *testing.T, node *frr.Instance) error {
	t.Helper()
	prefix := netip.MustParsePrefix("198.51.100.1/32")
	to, err := frrstate.ParseAdvertisedTo(show(t, node, "advertised-to", frrstate.CommandAdvertisedTo("", prefix)))
	if err != nil || !slices.Equal(to, []string{"192.0.2.2"}) {
		return fmt.Errorf("%s is advertised to %q, %w, want the router alone", prefix, to, err)
	}
	unknown := netip.MustParsePrefix("198.51.100.99/32")
	if to, err := frrstate.ParseAdvertisedTo(show(t, node, "advertised-to-nobody", frrstate.CommandAdvertisedTo("", unknown))); err != nil || len(to) > 0 {
		return fmt.Errorf("%s is advertised to %q, %w, want nobody", unknown, to, err)
	}
	for _, row := range []struct {
		name string
		key  frrstate.Key
		ipv6 bool
		want string
	}{
		{"advertised", frrstate.Key{Peer: "192.0.2.2"}, false, "[198.51.100.1/32 198.51.100.2/32 203.0.113.0/24]"}, // its own comes back, too
		{"advertised-none", frrstate.Key{Peer: "192.0.2.9"}, false, "[]"},
		{"advertised-interface", frrstate.Key{Peer: "link0"}, false, "[]"},
		{"advertised-no-family", frrstate.Key{Peer: "192.0.2.2"}, true, "[]"},
		{"advertised-vrf", frrstate.Key{VRF: "red", Peer: "2001:db8::2"}, true, "[]"},
		{"advertised-nobody", frrstate.Key{Peer: "192.0.2.77"}, false, "[]"},
	} {
		have, err := frrstate.ParseAdvertised(show(t, node, row.name, frrstate.CommandAdvertised(row.key, row.ipv6)))
		if err != nil || fmt.Sprint(have) != row.want {
			return fmt.Errorf("%v was sent %v, %w, want %s", row.key, have, err, row.want)
		}
	}
	return nil
}

func TestGivenNoConfigurationWhenFRRShowsItsStateThenThereIsNone(t *testing.T) {
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			node := frr.Start(t, frr.Options{Release: release})
			sessions, err := frrstate.ParseSessions(show(t, node, "no-sessions", frrstate.CommandSessions))
			if err != nil || len(sessions) > 0 {
				t.Errorf("sessions %+v, error %v, want neither", sessions, err)
			}
			bfd, err := frrstate.ParseBFD(show(t, node, "no-bfd", frrstate.CommandBFD))
			if err != nil || len(bfd) > 0 {
				t.Errorf("BFD sessions %+v, error %v, want neither", bfd, err)
			}
			counters, err := frrstate.ParseBFDCounters(show(t, node, "no-bfd-counters", frrstate.CommandBFDCounters))
			if err != nil || len(counters) > 0 {
				t.Errorf("BFD counters %+v, error %v, want neither", counters, err)
			}
		})
	}
}
