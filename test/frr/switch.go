package frr

import (
	"fmt"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// Switch is an Ethernet switch, or a router between networks, to which machines are plugged. A cable that is cut at the switch leaves both ends with a
// carrier: nothing tells the machines but what they do not hear any more.
type Switch struct {
	*Instance
	handle *netlink.Handle
	ports  int
	bridge *netlink.Bridge
	cables map[int]netlink.Link // by PID
}

// NewSwitch makes a switch that joins all its ports.
func NewSwitch(tb testing.TB) *Switch {
	tb.Helper()
	s := newSwitch(tb)
	s.bridge = &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
	if err := s.handle.LinkAdd(s.bridge); err != nil {
		tb.Fatalf("make the switch: %v", err)
	}
	if err := s.handle.LinkSetUp(s.bridge); err != nil {
		tb.Fatalf("set the switch up: %v", err)
	}
	return s
}

// NewForwarder makes a router that has no routing protocol: each of its ports is a network of its own.
func NewForwarder(tb testing.TB) *Switch {
	tb.Helper()
	s := newSwitch(tb)
	s.Forward(tb, true)
	return s
}

func newSwitch(tb testing.TB) *Switch {
	tb.Helper()
	s := &Switch{Instance: Start(tb, Options{Bare: true, Name: "switch"}), cables: map[int]netlink.Link{}}
	ns, err := namespaceOf(s)
	if err != nil {
		tb.Fatal(err)
	}
	defer ns.Close()
	if s.handle, err = netlink.NewHandleAt(ns); err != nil {
		tb.Fatalf("open netlink: %v", err)
	}
	tb.Cleanup(s.handle.Close)
	return s
}

// Plug joins a machine to the switch. The machine's end is called eth0 and gets the addresses given; those of a Forwarder's end are given after them.
func (s *Switch) Plug(tb testing.TB, m Machine, addrs []string, own ...string) {
	tb.Helper()
	s.ports++
	port := fmt.Sprintf("port%d", s.ports)
	if err := link(s, m, port, "eth0", own, addrs); err != nil {
		tb.Fatalf("plug into %s: %v", port, err)
	}
	if s.bridge == nil {
		return
	}
	end, err := s.handle.LinkByName(port)
	if err != nil {
		tb.Fatalf("find %s: %v", port, err)
	}
	s.cables[m.PID()] = end
	s.Mend(tb, m)
}

// Cut takes the machine's port out of the switch.
func (s *Switch) Cut(tb testing.TB, m Machine) {
	tb.Helper()
	if err := s.handle.LinkSetNoMaster(s.cables[m.PID()]); err != nil {
		tb.Fatalf("cut the cable: %v", err)
	}
}

// Mend puts the machine's port back.
func (s *Switch) Mend(tb testing.TB, m Machine) {
	tb.Helper()
	if err := s.handle.LinkSetMaster(s.cables[m.PID()], s.bridge); err != nil {
		tb.Fatalf("mend the cable: %v", err)
	}
}

// Forward says whether a Forwarder passes packets on. What it does not pass on it drops without a word.
func (s *Switch) Forward(tb testing.TB, on bool) {
	tb.Helper()
	value := "0"
	if on {
		value = "1"
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		out, err := s.Run(tb.Context(), "sh", "-c", "echo "+value+" >/proc/sys/net/"+family+"/conf/all/forwarding")
		if err != nil {
			tb.Fatalf("switch forwarding: %v\n%s", err, strings.TrimSpace(out))
		}
	}
}
