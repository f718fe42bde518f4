package reload_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/departure"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/reload"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// leave does what the container of FRR does before it is stopped, with nothing of the pod but FRR.
func (n *node) leave(ctx context.Context, t *testing.T, wait time.Duration, closeAll bool) error {
	t.Helper()
	return reload.Leave(ctx, reload.LeaveOptions{
		RunDir: n.Path("/run/frr"), Wait: wait, CloseAll: closeAll, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
}

// bothPrefixes are announced to every router of a party: one with attributes, one without.
func bothPrefixes(p *party) {
	p.wanted["plain"] = &announcement{v4: "10.1.0.1", v6: "2001:db8:1::1"}
	p.wanted["marked"] = &announcement{v4: "10.1.0.2", v6: "2001:db8:1::2"}
	p.wanted["marked"].ad.LocalPref = 300
}

// awaitYielding waits until every router holds all routes of its sessions with that index as the last to be chosen.
func (p *party) awaitYielding(t *testing.T, session int) {
	t.Helper()
	for _, f := range p.routers {
		frrtest.Eventually(t, frrtest.Patience, func() error {
			paths := f.paths(t, f.sessions[session].node)
			for prefix := range p.expected(f, session) {
				a, ok := paths[prefix]
				if marked := strings.Contains(a.Communities, "65535:0") || strings.Contains(a.Communities, "graceful-shutdown"); !ok || !marked || f.inside && a.LocalPref != 0 {
					return fmt.Errorf("%s holds %s: %t, as %+v", f.peer(session), prefix, ok, a)
				}
			}
			return nil
		})
	}
}

// awaitNothing waits until no router holds anything of its sessions with that index.
func (p *party) awaitNothing(t *testing.T, session int) {
	t.Helper()
	for _, f := range p.routers {
		frrtest.Eventually(t, frrtest.Patience, func() error {
			if paths := f.paths(t, f.sessions[session].node); len(paths) > 0 {
				return fmt.Errorf("%s holds %v", f.peer(session), paths)
			}
			return nil
		})
	}
}

// awaitTold waits until a router says why a session ended. Between two FRRs the words are in a Hard Reset (RFC 8538), of which FRR shows the kind
// alone. GoBGP keeps nothing of it.
func awaitTold(t *testing.T, f far, session int) {
	t.Helper()
	node := f.sessions[session].node
	frrtest.Eventually(t, frrtest.Patience, func() error {
		var text, want string
		switch r := f.router.(type) {
		case *frrRouter:
			text, want = r.Vtysh(t, "show bgp neighbors "+node.String()), "Administrative Shutdown"
		case *birdRouter:
			out, err := r.Birdc(t.Context(), "show protocols all "+r.names[node])
			if err != nil {
				return fmt.Errorf("ask BIRD: %w: %s", err, out)
			}
			text, want = out, departure.Message
		}
		if !strings.Contains(text, want) {
			return fmt.Errorf("%s shows no %q:\n%s", f.peer(session), want, text)
		}
		return nil
	})
}

// TestGivenRoutersOfEveryKindWhenThePodEndsThenSessionsCloseInOrderAndThoseWithGracefulRestartLoseNothing has graceful restart on IPv4 sessions and
// not on those of IPv6.
func TestGivenRoutersOfEveryKindWhenThePodEndsThenSessionsCloseInOrderAndThoseWithGracefulRestartLoseNothing(t *testing.T) {
	t.Parallel()
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			p := startParty(t, release)
			bothPrefixes(p)
			for _, f := range p.routers {
				p.peers[f.peer(1)].GracefulRestart = false
			}
			p.give(t)
			p.awaitEverywhere(t)
			p.stop()

			waiting, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- p.leave(waiting, t, time.Hour, false) }()
			p.awaitYielding(t, 1)
			// A reloader that ends in the middle of an apply may take it back.
			p.Vtysh(t, "configure terminal", "router bgp 64512", "no bgp graceful-shutdown")
			frrtest.Eventually(t, frrtest.Patience, func() error {
				if shown := p.Vtysh(t, "show running-config bgpd"); !strings.Contains(shown, "\n bgp graceful-shutdown\n") {
					return fmt.Errorf("the routes do not yield again:\n%s", shown)
				}
				return nil
			})
			p.awaitYielding(t, 1)
			cancel()
			if err := <-done; !errors.Is(err, context.Canceled) {
				t.Fatalf("leave that is interrupted: %v", err)
			}

			var kept []string
			for _, f := range p.routers {
				kept = append(kept, f.sessions[0].own.String())
			}
			stay := sessionsStay(t, p.node, kept...)
			if err := p.leave(t.Context(), t, time.Millisecond, false); err != nil {
				t.Fatal(err)
			}
			p.awaitNothing(t, 1)
			for _, f := range p.routers {
				awaitTold(t, f, 1)
			}
			stay()
			t.Run("and routers keep the routes until the next pod announces them again", p.comesBack)
			t.Run("and give them up where all sessions are closed", p.closesAll)
		})
	}
}

// comesBack ends FRR as a container's end does, and starts the next pod, which has nothing of the one before.
func (p *party) comesBack(t *testing.T) {
	p.StopFRR(t)
	p.holds(t)
	for _, f := range p.routers {
		frrtest.Eventually(t, frrtest.Patience, func() error {
			if up, _ := f.up(t, f.sessions[0].node); up {
				return fmt.Errorf("%s is still up", f.peer(0))
			}
			return nil
		})
	}
	p.holds(t)
	for _, old := range []string{"/etc/frr/frr.conf", "/run/frr/*.vty"} {
		files, err := filepath.Glob(p.Path(old))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
	}
	p.StartFRR(t)
	p.startReloader(t, time.Hour)
	p.give(t)
	frrtest.Eventually(t, frrtest.Patience, func() error {
		p.holds(t)
		for _, f := range p.routers {
			if up, _ := f.up(t, f.sessions[0].node); !up {
				return fmt.Errorf("%s is not up again", f.peer(0))
			}
		}
		return nil
	})
	p.awaitEverywhere(t)
	p.holds(t)
}

// holds fails the test where a router has lost a route that it was to keep.
func (p *party) holds(t *testing.T) {
	t.Helper()
	for _, f := range p.routers {
		paths := f.paths(t, f.sessions[0].node)
		for prefix := range p.expected(f, 0) {
			if _, ok := paths[prefix]; !ok {
				t.Fatalf("%s lost %s", f.peer(0), prefix)
			}
		}
	}
}

func (p *party) closesAll(t *testing.T) {
	p.stop()
	if err := p.leave(t.Context(), t, 0, true); err != nil {
		t.Fatal(err)
	}
	for session := range 2 {
		p.awaitNothing(t, session)
	}
	if err := p.leave(t.Context(), t, time.Hour, true); err != nil {
		t.Errorf("leave again: %v, want nothing left to do and nothing to wait for", err)
	}
}

func TestGivenARouterThatConnectedByItselfBesideOneWithGracefulRestartWhenThePodEndsThenItAloneIsClosed(t *testing.T) {
	t.Parallel()
	const config = `router bgp 64512
 bgp router-id 10.0.0.1
 no bgp ebgp-requires-policy
 bgp graceful-restart preserve-fw-state
 no bgp network import-check
 neighbor range peer-group
 neighbor range remote-as 64513
 neighbor 198.51.101.2 remote-as 64513
 neighbor 198.51.101.2 timers connect 1
 neighbor 198.51.101.2 graceful-restart
 bgp listen range 198.51.100.0/24 peer-group range
 address-family ipv4 unicast
  network 10.1.0.1/32
 exit-address-family
exit
`
	const router = "router bgp 64513\n bgp router-id 10.0.0.%d\n no bgp ebgp-requires-policy\n neighbor %s remote-as 64512\n neighbor %[2]s timers connect 1\nexit\n"
	for _, release := range frrtest.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			n := &node{Instance: frrtest.Start(t, frrtest.Options{Release: release, Config: config, Listen: true, Bare: true})}
			var far []*frrtest.Instance
			for i, own := range []string{"198.51.100", "198.51.101"} {
				far = append(far, frrtest.Start(t, frrtest.Options{Release: release, Name: "tor", Listen: true, Bare: true, Config: fmt.Sprintf(router, 100+i, own+".1")}))
				frrtest.Link(t, n, far[i], fmt.Sprintf("eth%d", i), []string{own + ".1/24"}, []string{own + ".2/24"})
			}
			n.StartFRR(t)
			for i, r := range far {
				r.StartFRR(t)
				r.AwaitSession(t, fmt.Sprintf("198.51.%d.1", 100+i))
				awaitRoute(t, r, "10.1.0.1/32", func(frrtest.Route) error { return nil })
			}
			stay := sessionsStay(t, n, "198.51.101.2")
			if err := n.leave(t.Context(), t, 0, false); err != nil {
				t.Fatal(err)
			}
			awaitNoRoute(t, far[0], "10.1.0.1/32")
			if s := far[0].Session(t, "198.51.100.1"); s.State == "Established" {
				t.Errorf("the session of the router that connected: %+v, want it closed", s)
			}
			stay()
		})
	}
}

func TestGivenADaemonThatHangsWhenItIsToBeLeftThenThePodIsNotKeptFromEnding(t *testing.T) {
	t.Parallel()
	n := startNode(t, frrtest.Bookworm)
	pid, err := n.DaemonPID("bgpd")
	if err != nil {
		t.Fatal(err)
	}
	n.sh(t, "kill -STOP "+strconv.Itoa(pid))
	if err := n.leave(t.Context(), t, time.Hour, false); err == nil || !strings.Contains(err.Error(), "no answer within") {
		t.Errorf("leave: %v, want that bgpd does not answer", err)
	}
}

func TestGivenNoFRRWhenItIsToBeLeftThenThatIsSaidAtOnce(t *testing.T) {
	t.Parallel()
	err := reload.Leave(t.Context(), reload.LeaveOptions{RunDir: t.TempDir(), Wait: time.Hour, Log: slog.New(slog.DiscardHandler)})
	if err == nil || !strings.Contains(err.Error(), "bgpd") {
		t.Errorf("leave: %v, want an error that names bgpd", err)
	}
}
