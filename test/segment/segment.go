// Package segment makes Ethernet segments for tests: hosts in network namespaces of their own, with real links to a switch. What is made
// goes with the test. It needs root.
package segment

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// bridge is the name of the switch in its namespace.
const bridge = "switch"

// made counts namespaces, so that each has a name of its own.
var made atomic.Uint64

// Host is a network namespace.
type Host struct {
	testing.TB
	// Handle speaks netlink inside.
	*netlink.Handle
	// Namespace is its name.
	Namespace string
}

// NewHost makes a host without links. Duplicate address detection is off, so that its addresses are usable at once.
func NewHost(tb testing.TB) *Host {
	tb.Helper()
	h := &Host{TB: tb, Namespace: fmt.Sprintf("seg%d-%d", os.Getpid(), made.Add(1))}
	if err := netns.Create(h.Namespace); err != nil {
		tb.Fatalf("%v (this needs root)", err)
	}
	tb.Cleanup(func() {
		if err := netns.Delete(h.Namespace); err != nil {
			tb.Error(err)
		}
	})
	handle, err := netns.Handle(h.Namespace)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(handle.Close)
	h.Handle = handle
	h.Sysctl("net/ipv6/conf/all/disable_ipv6", "0")
	h.Sysctl("net/ipv6/conf/default/disable_ipv6", "0")
	h.Sysctl("net/ipv6/conf/all/accept_dad", "0")
	h.Sysctl("net/ipv6/conf/default/accept_dad", "0")
	return h
}

// Sysctl changes a setting of the host.
func (h *Host) Sysctl(key, value string) {
	h.Helper()
	h.must(netns.Set(h.Namespace, netns.Sysctl{Key: key, Value: value}))
}

// Do runs f on a thread inside; what f opens stays there.
func (h *Host) Do(f func() error) {
	h.Helper()
	h.must(netns.Do(h.Namespace, f))
}

func (h *Host) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatalf("host %s: %v", h.Namespace, err)
	}
}

// Add makes a link of any kind and switches it on.
func (h *Host) Add(l netlink.Link) {
	h.Helper()
	h.must(h.LinkAdd(l))
	h.must(h.LinkSetUp(l))
}

// Get returns a link by its name.
func (h *Host) Get(name string) netlink.Link {
	h.Helper()
	l, err := h.LinkByName(name)
	h.must(err)
	return l
}

// Up switches a link on.
func (h *Host) Up(name string) { h.Helper(); h.must(h.LinkSetUp(h.Get(name))) }

// Down switches a link off.
func (h *Host) Down(name string) { h.Helper(); h.must(h.LinkSetDown(h.Get(name))) }

// Give adds addresses with prefix length to a link, usable at once.
func (h *Host) Give(name string, addresses ...string) {
	h.Helper()
	for _, text := range addresses {
		a, err := netlink.ParseAddr(text)
		h.must(err)
		if a.IP.To4() == nil {
			a.Flags = unix.IFA_F_NODAD
		}
		h.must(h.AddrAdd(h.Get(name), a))
		h.await("does not accept what is sent to "+text, func() bool {
			routes, err := h.RouteGet(a.IP)
			return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
		})
	}
}

// await waits for what the kernel does on its own time.
func (h *Host) await(what string, done func() bool) {
	h.Helper()
	for limit := time.Now().Add(patience); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			h.Fatalf("host %s: %s after %v", h.Namespace, what, patience)
		}
	}
}

// Route adds a route over a gateway.
func (h *Host) Route(destination, gateway string) {
	h.Helper()
	to, err := netlink.ParseIPNet(destination)
	h.must(err)
	via, err := netip.ParseAddr(gateway)
	h.must(err)
	h.must(h.RouteAdd(&netlink.Route{Dst: to, Gw: via.AsSlice()}))
}

// Segment is a switch and the hosts connected to it.
type Segment struct{ host *Host }

// New makes a switch.
func New(tb testing.TB) *Segment {
	tb.Helper()
	s := &Segment{host: NewHost(tb)}
	snooping := false
	l := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, MulticastSnooping: &snooping}
	s.host.must(s.host.LinkAdd(l))
	s.host.Do(func() error { return forwardAtOnce(l.Index) })
	s.host.must(s.host.LinkSetUp(l))
	return s
}

// Switch is the namespace of the switch; its ports there are "port" and a number each.
func (s *Segment) Switch() string { return s.host.Namespace }

// Host makes a host that is connected to the switch by its link eth0, which is up and has the addresses and a usable link-local one.
func (s *Segment) Host(addresses ...string) *Host {
	s.host.Helper()
	h := NewHost(s.host.TB)
	s.Connect(h, "eth0")
	h.Give("eth0", addresses...)
	h.await("has no usable link-local address", func() bool { return h.settled("eth0") })
	return h
}

// patience bounds how long the kernel may take to make a link-local address usable, or to accept what is sent to an address.
const patience = time.Minute

// settled tells whether the link has a link-local address, and no address that cannot be used yet.
func (h *Host) settled(name string) bool {
	h.Helper()
	addresses, err := h.AddrList(h.Get(name), netlink.FAMILY_V6)
	h.must(err)
	local := false
	for _, a := range addresses {
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return false
		}
		local = local || a.IP.IsLinkLocalUnicast()
	}
	return local
}

// Connect makes a link of a host that leads to the switch.
func (s *Segment) Connect(h *Host, name string) {
	h.Helper()
	ns, err := vnetns.GetFromName(s.host.Namespace)
	h.must(err)
	defer ns.Close()
	port := fmt.Sprintf("port%d", made.Add(1))
	h.must(h.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: name}, PeerName: port, PeerNamespace: netlink.NsFd(ns)}))
	s.host.must(errors.Join(s.host.LinkSetMaster(s.host.Get(port), s.host.Get(bridge)), s.host.LinkSetUp(s.host.Get(port))))
	h.Up(name)
}

// forwardAtOnce lets a bridge forward from the moment a port comes up; the kernel's default is to learn for 15 seconds.
func forwardAtOnce(index int) error {
	request := nl.NewNetlinkRequest(unix.RTM_NEWLINK, unix.NLM_F_ACK)
	message := nl.NewIfInfomsg(unix.AF_UNSPEC)
	message.Index = int32(index)
	request.AddData(message)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_FORWARD_DELAY, nl.Uint32Attr(0))
	request.AddData(info)
	_, err := request.Execute(unix.NETLINK_ROUTE, 0)
	return err
}
