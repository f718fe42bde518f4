package lab_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab"
)

// askOnTheSegment lets a host beside the nodes ask with real tools who has a node's addresses, and compares with what the switch heard.
func askOnTheSegment(t *testing.T, l *lab.Lab) {
	t.Helper()
	if err := l.AddHost(t.Context(), lab.Host{Name: "station", Host: 8}); err != nil {
		t.Fatal(err)
	}
	wire, err := l.Tap()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := wire.Close(); err != nil {
			t.Error(err)
		}
	}()
	mac, err := l.MAC("n1")
	if err != nil {
		t.Fatal(err)
	}
	n1 := lab.NodeAddresses(1)
	for address, command := range map[netip.Addr][]string{
		n1.IPv4: {"arping", "-b", "-c", "1", "-I", "eth0", n1.IPv4.String()},
		n1.IPv6: {"ndisc6", "-1", n1.IPv6.String(), "eth0"},
	} {
		began := time.Now()
		said, err := l.Exec(t.Context(), "station", command...)
		if err != nil || !strings.Contains(strings.ToLower(said), mac) {
			t.Errorf("%v: %q, error %v, want hardware address %s", command, said, err, mac)
		}
		if got := wire.Claimants(address, began); len(got) != 1 || got["n1"] == 0 {
			t.Errorf("the switch heard %v claim %s, want n1 alone", got, address)
		}
	}
}

// split stops gossip alone, then everything, between two nodes, and heals them.
func split(t *testing.T, l *lab.Lab) {
	t.Helper()
	call := func(port string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		conn, err := l.Dialer("n1")(ctx, "tcp", lab.NodeAddresses(2).IPv4.String()+":"+port)
		if err == nil {
			err = conn.Close()
		}
		return err
	}
	const gossip, kubelet = "7946", "10250"
	check := func(state string, gossiping, talking bool) {
		t.Helper()
		// Nobody listens on the gossip's port here: refused means that the call got through.
		if got := errors.Is(call(gossip), syscall.ECONNREFUSED); got != gossiping {
			t.Errorf("%s: a call to the gossip's port gets through: %v, want %v", state, got, gossiping)
		}
		if got := call(kubelet) == nil; got != talking {
			t.Errorf("%s: the other node can be called: %v, want %v", state, got, talking)
		}
	}
	node2 := netip.AddrPortFrom(lab.NodeAddresses(2).IPv4, 9)
	check("before", true, true)
	for _, step := range []struct {
		state              string
		act                func() error
		gossiping, talking bool
	}{
		{"gossip stopped", func() error { return l.Partition(t.Context(), lab.Gossip, []string{"n1"}, []string{"n2"}) }, false, true},
		{"all stopped", func() error { return l.Partition(t.Context(), lab.All, []string{"n1"}, []string{"n2"}) }, false, false},
		{"healed", func() error { return l.Heal(t.Context()) }, true, true},
		{"healed again", func() error { return l.Heal(t.Context()) }, true, true},
	} {
		if err := step.act(); err != nil {
			t.Fatal(err)
		}
		check(step.state, step.gossiping, step.talking)
	}
	// Nobody listens there, and n2 says so: whoever asks knows of each request that it met nobody.
	asking := l.Ask("n1", node2)
	eventually(t, "five requests to have an end", func(context.Context) error {
		if n := len(asking.Answers()); n < 5 {
			return errors.New("too few")
		}
		return nil
	})
	if all := asking.Stop(); all.Lost() != len(all) || !errors.Is(all[0].Err, syscall.ECONNREFUSED) {
		t.Errorf("%s, the first: %v, want all refused", all, all[0].Err)
	}
}
