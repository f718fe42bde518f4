package netns_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

func create(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("t%d-%d", os.Getpid(), time.Now().UnixNano()%1e6)
	if err := netns.Create(name); err != nil {
		t.Fatalf("%v (this test needs root)", err)
	}
	t.Cleanup(func() {
		if err := netns.Delete(name); err != nil {
			t.Error(err)
		}
		if exists, err := netns.Exists(name); exists || err != nil {
			t.Errorf("after delete: exists %v, error %v", exists, err)
		}
	})
	return name
}

// listen opens a listener on the loopback address inside the namespace.
func listen(tb testing.TB, ns string) net.Listener {
	tb.Helper()
	var listener net.Listener
	if err := netns.Do(ns, func() (err error) {
		listener, err = (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
		return err
	}); err != nil {
		tb.Fatal(err)
	}
	return listener
}

func TestGivenAListenerInsideWhenDialedFromOutsideThenOnlyTheDialerOfTheNamespaceReachesIt(t *testing.T) {
	ns := create(t)
	listener := listen(t, ns)
	defer listener.Close()
	address := listener.Addr().String()
	conn, err := netns.Dialer(ns)(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if plain, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address); err == nil {
		plain.Close()
		t.Errorf("%s is reachable without entering the namespace", address)
	}
}

func TestGivenASubscriptionWhenARouteComesAndGoesThenBothAreSeenInOrder(t *testing.T) {
	ns := create(t)
	h, err := netns.Handle(ns)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	lo, err := h.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	events, err := netns.WatchRoutes(ctx, ns)
	if err != nil {
		t.Fatal(err)
	}
	want := netip.MustParsePrefix("192.0.2.0/24")
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Protocol: netns.BGP,
		Dst: &net.IPNet{IP: want.Addr().AsSlice(), Mask: net.CIDRMask(want.Bits(), 32)}}
	before := time.Now()
	if err := h.RouteAdd(route); err != nil {
		t.Fatal(err)
	}
	if routes, err := netns.Routes(ns); err != nil || len(routes) != 1 || routes[0].Prefix != want || routes[0].Protocol != netns.BGP {
		t.Errorf("routes %v, error %v; want only %s from BGP", routes, err, want)
	}
	if err := h.RouteDel(route); err != nil {
		t.Fatal(err)
	}
	var got []netns.RouteEvent
	for e, err := range events {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, e); len(got) == 2 {
			break
		}
	}
	if len(got) != 2 || got[0].Deleted || !got[1].Deleted || got[0].Route.Prefix != want || got[1].Route.Prefix != want {
		t.Fatalf("events %+v, want %s added, then deleted", got, want)
	}
	if got[0].Time.Before(before) || got[1].Time.Before(got[0].Time) {
		t.Errorf("events at %v and %v, want them after %v and in order", got[0].Time, got[1].Time, before)
	}
}

func TestGivenASettingOfTheWholeMachineWhenSetInANamespaceThenItIsRefused(t *testing.T) {
	ns := create(t)
	if err := netns.Set(ns, netns.Sysctl{Key: "kernel/panic", Value: "0"}); err == nil {
		t.Error("kernel/panic was written")
	}
	if err := netns.Set(ns, netns.Sysctl{Key: "net/ipv4/ip_forward", Value: "1"}); err != nil {
		t.Error(err)
	}
	if err := netns.Do(ns, func() error {
		got, err := os.ReadFile("/proc/sys/net/ipv4/ip_forward")
		if err == nil && string(got) != "1\n" {
			t.Errorf("ip_forward is %q, want 1", got)
		}
		return err
	}); err != nil {
		t.Error(err)
	}
}

func BenchmarkDial(b *testing.B) {
	name := fmt.Sprintf("b%d", os.Getpid())
	if err := netns.Create(name); err != nil {
		b.Fatalf("%v (this benchmark needs root)", err)
	}
	b.Cleanup(func() { _ = netns.Delete(name) })
	listener := listen(b, name)
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return // the listener was closed: the benchmark is over
			}
			conn.Close()
		}
	}()
	dial := netns.Dialer(name)
	for b.Loop() {
		conn, err := dial(b.Context(), "tcp", listener.Addr().String())
		if err != nil {
			b.Fatal(err)
		}
		conn.Close()
	}
}
