package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
	"github.com/seed-551707bd/metallb-operator/test/segment"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

var web = netip.MustParseAddr("192.0.2.50")

func TestGivenTwoSpeakersWhenTheOwnerIsTerminatedThenItStopsFirstAndTheOtherAnswersAtOnce(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1", "node2")
	l.service("web", web.String())
	speakers := map[string]*process{"node1": l.speaker("node1"), "node2": l.speaker("node2")}
	for _, p := range speakers {
		p.awaitReady()
	}
	first := l.client.mustAsk(web)
	owner := speakers[l.owner(first.mac)]
	if owner == nil {
		t.Fatalf("%s answers, want a node", first.mac)
	}
	l.alone(first.mac)

	start := time.Now()
	took := make(chan time.Duration, 1)
	go func() { took <- owner.signal(syscall.SIGTERM) }()
	second := l.client.mustAsk(web, first.mac)
	if other := l.owner(second.mac); speakers[other] == nil || other == owner.node {
		t.Fatalf("%s answers after the end of %s", other, owner.node)
	}
	t.Logf("SIGTERM to the other node's first packet: %v", second.at.Sub(start))
	if ended := <-took; ended > 5*time.Second || owner.cmd.ProcessState.ExitCode() != 0 {
		t.Errorf("the speaker ended after %v with %v, want well below the 10 s that a pod has", ended, owner.cmd.ProcessState)
	}
	l.client.mustAsk(web, first.mac)
	for _, c := range l.client.claims(web, second.at) {
		if c.mac == first.mac {
			t.Errorf("%s claims the address %v after the other node", owner.node, c.at.Sub(second.at))
		}
	}
}

func TestGivenASpeakerWithoutFRRWhenABGPPeerComesThenItGoesOnAnsweringAndSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1")
	l.service("web", web.String())
	l.speaker("node1", "--without-frr").awaitReady()
	first := l.client.mustAsk(web)
	l.awaitState(isValid)
	l.create(&v1beta2.BGPPeer{ObjectMeta: named("router"), Spec: v1beta2.BGPPeerSpec{MyASN: 64500, PeerASN: 64512, PeerAddress: "192.0.2.200"}})
	l.awaitState(func(s v1beta1.ConfigurationStateStatus) error {
		if s.Result != v1beta1.ConfigurationUnknown || !strings.Contains(s.ErrorSummary, "started without FRR") {
			return fmt.Errorf("ConfigurationState is %+v", s)
		}
		return nil
	})
	if again := l.client.mustAsk(web); again.mac != first.mac {
		t.Errorf("%s answers, before it was %s", again.mac, first.mac)
	}
}

// alone fails when somebody else than the owner of this hardware address answers, too.
func (l *lan) alone(mac wire.MAC) {
	l.Helper()
	since := time.Now()
	for range 5 {
		l.client.mustAsk(web)
	}
	for _, c := range l.client.claims(web, since) {
		if c.mac != mac {
			l.Fatalf("%s claims the address beside %s", l.owner(c.mac), l.owner(mac))
		}
	}
}

func TestGivenASpeakerThatIsKilledThenAnotherTakesOverAndNothingIsLeftOnTheNode(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1", "node2")
	before := map[string][]string{"node1": network(l.nodes["node1"]), "node2": network(l.nodes["node2"])}
	l.service("web", web.String())
	speakers := map[string]*process{"node1": l.speaker("node1"), "node2": l.speaker("node2")}
	for _, p := range speakers {
		p.awaitReady()
	}
	first := l.client.mustAsk(web)
	owner := speakers[l.owner(first.mac)]
	start := time.Now()
	owner.signal(syscall.SIGKILL)
	second := l.client.mustAsk(web, first.mac)
	t.Logf("SIGKILL to the other node's first packet: %v", second.at.Sub(start))
	l.alone(second.mac)
	if now := network(l.nodes[owner.node]); !slices.Equal(now, before[owner.node]) {
		t.Errorf("%s is left with %v, had %v", owner.node, now, before[owner.node])
	}
	// The address comes back: the hash wants it there, and its owner has said nothing that would forbid it.
	again := l.speaker(owner.node)
	again.awaitReady()
	if c := l.client.mustAsk(web, second.mac); c.mac != first.mac {
		t.Errorf("%s answers after the return of %s", l.owner(c.mac), owner.node)
	}
	speakers[l.owner(second.mac)].signal(syscall.SIGTERM)
	again.signal(syscall.SIGKILL)
	if c, err := l.client.ask(web, 200*time.Millisecond); err == nil {
		t.Errorf("%s answers after the death of all", l.owner(c.mac))
	}
}

func TestGivenNoAPIServerWhenTheOwnerIsTerminatedThenTheOtherAnswersAtOnceAndTheOwnerEndsInTime(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1", "node2")
	l.service("web", web.String())
	speakers := map[string]*process{"node1": l.speaker("node1"), "node2": l.speaker("node2")}
	for _, p := range speakers {
		p.awaitReady()
	}
	first := l.client.mustAsk(web)
	l.loseAPI()
	l.alone(first.mac)
	start := time.Now()
	took := speakers[l.owner(first.mac)].signal(syscall.SIGTERM)
	second := l.client.mustAsk(web, first.mac)
	t.Logf("the owner ended after %v, the other node answered before %v", took, second.at.Sub(start))
	if took > 5*time.Second {
		t.Errorf("without an API server the speaker ended after %v, want well below the 10 s that a pod has", took)
	}
	l.alone(second.mac)
}

// network are the addresses of a host on all links, and the groups that it listens to.
func network(h *segment.Host) []string {
	h.Helper()
	addresses, err := h.AddrList(nil, netlink.FAMILY_ALL)
	if err != nil {
		h.Fatal(err)
	}
	var list []string
	for _, a := range addresses {
		list = append(list, a.IPNet.String())
	}
	h.Do(func() error {
		// The thread's own: /proc/net is that of the process.
		groups, err := os.ReadFile("/proc/thread-self/net/igmp6")
		for line := range strings.Lines(string(groups)) {
			if field := strings.Fields(line); field[1] == "eth0" {
				list = append(list, field[2])
			}
		}
		return err
	})
	slices.Sort(list)
	return list
}

func TestGivenAPortThatIsTakenWhenTheSpeakerStartsThenItClaimsNothingSaysWhatToDoAndBeginsWhenThePortIsFree(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1")
	l.service("web", web.String())
	var squatter net.Listener
	l.nodes["node1"].Do(func() error {
		var err error
		squatter, err = new(net.ListenConfig).Listen(t.Context(), "tcp", "192.0.2.1:7946")
		return err
	})
	defer squatter.Close()
	p := l.speaker("node1")
	frrtest.Eventually(t, frrtest.Patience, func() error {
		code, body, err := p.probe("/readyz?verbose")
		if log := p.log.String(); err == nil && (code == http.StatusOK || !strings.Contains(log, "address already in use") || !strings.Contains(log, "sport = :7946")) {
			err = fmt.Errorf("readiness is %d: %s; the log has no error that names the port and what to do", code, body)
		}
		return err
	})
	if code, body, err := p.probe("/healthz"); err != nil || code != http.StatusOK {
		t.Errorf("health is %d %s, %v: a restart would not help", code, body, err)
	}
	if c, err := l.client.ask(web, 200*time.Millisecond); err == nil {
		t.Errorf("%s answers without knowing who else does", l.owner(c.mac))
	}
	squatter.Close()
	l.client.mustAsk(web)
	p.awaitReady()
}

func TestGivenNoGossipWhenASpeakerIsTerminatedThenItAnswersUntilThen(t *testing.T) {
	t.Parallel()
	l := newLAN(t, "node1")
	l.service("web", web.String())
	p := l.speaker("node1", "--ml-bindport=0")
	l.client.mustAsk(web)
	p.signal(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("the speaker ended with %d", code)
	}
	if c, err := l.client.ask(web, 200*time.Millisecond); err == nil {
		t.Errorf("%s still answers", l.owner(c.mac))
	}
}
