package frr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Machine is whatever has a network namespace of its own: an Instance, or a
// router of another kind.
type Machine interface {
	// PID is the id, on the machine that runs the tests, of a process inside.
	PID() int
}

var _ Machine = (*Instance)(nil)

// Link joins two machines by a cable. Each end gets the name and the addresses
// given for it, with their prefix lengths, usable at once.
func Link(tb testing.TB, a, b Machine, name string, addrsA, addrsB []string) {
	tb.Helper()
	if err := link(a, b, name, name, addrsA, addrsB); err != nil {
		tb.Fatalf("link two machines by %s: %v", name, err)
	}
}

func link(a, b Machine, nameA, nameB string, addrsA, addrsB []string) error {
	nsA, err := namespaceOf(a)
	if err != nil {
		return err
	}
	defer nsA.Close()
	nsB, err := namespaceOf(b)
	if err != nil {
		return err
	}
	defer nsB.Close()
	inA, err := netlink.NewHandleAt(nsA)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer inA.Close()
	inB, err := netlink.NewHandleAt(nsB)
	if err != nil {
		return fmt.Errorf("open netlink: %w", err)
	}
	defer inB.Close()
	veth := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: nameA}, PeerName: nameB, PeerNamespace: netlink.NsFd(nsB)}
	if err := inA.LinkAdd(veth); err != nil {
		return fmt.Errorf("make the cable: %w", err)
	}
	return errors.Join(address(inA, nameA, addrsA), address(inB, nameB, addrsB))
}

func namespaceOf(m Machine) (netns.NsHandle, error) {
	ns, err := netns.GetFromPath(filepath.Join("/proc", strconv.Itoa(m.PID()), "ns/net"))
	if err != nil {
		return 0, fmt.Errorf("open the machine's network namespace: %w", err)
	}
	return ns, nil
}

// Within calls a function in the instance's network namespace. Sockets that it opens stay there, also when they are used elsewhere.
func (i *Instance) Within(f func() error) error {
	runtime.LockOSThread()
	before, err := netns.Get()
	if err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("find the network namespace: %w", err)
	}
	defer before.Close()
	there, err := namespaceOf(i)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer there.Close()
	if err := netns.Set(there); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter the instance's network namespace: %w", err)
	}
	err = f()
	if back := netns.Set(before); back != nil {
		// The thread stays locked, so that it ends with the goroutine and nobody else gets it.
		return errors.Join(fmt.Errorf("leave the instance's network namespace: %w", back), err)
	}
	runtime.UnlockOSThread()
	return err
}

func address(in *netlink.Handle, name string, addrs []string) error {
	l, err := in.LinkByName(name)
	if err != nil {
		return fmt.Errorf("find %s: %w", name, err)
	}
	for _, text := range addrs {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return fmt.Errorf("read address %s: %w", text, err)
		}
		if addr.IP.To4() == nil {
			addr.Flags = 0x02 // IFA_F_NODAD: usable at once
		}
		if err := in.AddrAdd(l, addr); err != nil {
			return fmt.Errorf("add address %s: %w", text, err)
		}
	}
	if err := in.LinkSetUp(l); err != nil {
		return fmt.Errorf("set %s up: %w", name, err)
	}
	return nil
}

// Route is the best path an instance has for a prefix, as its bgpd knows it.
type Route struct {
	// Communities and LargeCommunities are as FRR prints them ("no-advertise
	// 64512:7"), empty for none.
	Communities, LargeCommunities string
	// LocalPref is the local preference, 0 where there is none.
	LocalPref int
	// ASPath is as FRR prints it ("64512 64512"), empty for a route of the own AS;
	// FRR says "Local" for that.
	ASPath string
}

// Prefixes returns the prefixes in an instance's BGP table, both families.
func (i *Instance) Prefixes(tb testing.TB) map[netip.Prefix]bool {
	tb.Helper()
	found := map[netip.Prefix]bool{}
	for _, family := range []string{"ipv4", "ipv6"} {
		var table struct{ Routes map[string]json.RawMessage }
		i.vtyshJSON(tb, "show bgp "+family+" unicast json", &table)
		for text := range table.Routes {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				tb.Fatalf("read a prefix of the BGP table: %v", err)
			}
			found[prefix] = true
		}
	}
	return found
}

// Route returns the best path for a prefix, and whether there is one.
func (i *Instance) Route(tb testing.TB, prefix netip.Prefix) (Route, bool) {
	tb.Helper()
	family := "ipv4"
	if prefix.Addr().Is6() {
		family = "ipv6"
	}
	var answer struct {
		Paths []struct {
			Community      struct{ String string }
			LargeCommunity struct{ String string }
			ASPath         struct{ String string }
			LocPrf         int
			LocalPref      int
			BestPath       struct{ Overall bool }
		}
	}
	i.vtyshJSON(tb, fmt.Sprintf("show bgp %s unicast %s json", family, prefix), &answer)
	for _, p := range answer.Paths {
		if p.BestPath.Overall {
			return Route{
				Communities:      p.Community.String,
				LargeCommunities: p.LargeCommunity.String,
				LocalPref:        max(p.LocPrf, p.LocalPref),
				ASPath:           strings.TrimPrefix(p.ASPath.String, "Local"),
			}, true
		}
	}
	return Route{}, false
}

// Session is the state of a BGP session.
type Session struct {
	// State is "Established" when it is up.
	State string
	// Established counts how often the session has come up.
	Established int
}

// Session returns the state of the session with a neighbor.
func (i *Instance) Session(tb testing.TB, neighbor string) Session {
	tb.Helper()
	var answer map[string]json.RawMessage
	i.vtyshJSON(tb, "show bgp neighbors "+neighbor+" json", &answer)
	var s struct {
		BGPState               string `json:"bgpState"`
		ConnectionsEstablished int    `json:"connectionsEstablished"`
	}
	if raw, ok := answer[neighbor]; ok {
		if err := json.Unmarshal(raw, &s); err != nil {
			tb.Fatalf("read the state of the session with %s: %v", neighbor, err)
		}
	}
	return Session{State: s.BGPState, Established: s.ConnectionsEstablished}
}

// AwaitSession waits until the session with a neighbor is up.
func (i *Instance) AwaitSession(tb testing.TB, neighbor string) {
	tb.Helper()
	Eventually(tb, Patience, func() error {
		if s := i.Session(tb, neighbor); s.State != "Established" {
			return fmt.Errorf("session with %s is %q", neighbor, s.State)
		}
		return nil
	})
}

func (i *Instance) vtyshJSON(tb testing.TB, command string, into any) {
	tb.Helper()
	out := i.Vtysh(tb, command)
	if strings.TrimSpace(out) == "" {
		out = "{}"
	}
	if err := json.Unmarshal([]byte(out), into); err != nil {
		tb.Fatalf("read the answer to %q: %v\n%s", command, err, out)
	}
}

// RouteVia gives a machine a route to a prefix by a gateway.
func RouteVia(tb testing.TB, m Machine, prefix, gateway string) {
	tb.Helper()
	dst, err := netlink.ParseIPNet(prefix)
	if err != nil {
		tb.Fatalf("read the prefix of a route: %v", err)
	}
	ns, err := namespaceOf(m)
	if err != nil {
		tb.Fatal(err)
	}
	defer ns.Close()
	in, err := netlink.NewHandleAt(ns)
	if err != nil {
		tb.Fatalf("open netlink: %v", err)
	}
	defer in.Close()
	if err := in.RouteAdd(&netlink.Route{Dst: dst, Gw: netip.MustParseAddr(gateway).AsSlice()}); err != nil {
		tb.Fatalf("add a route to %s by %s: %v", prefix, gateway, err)
	}
}
