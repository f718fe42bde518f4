package reload_test

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

const (
	// cutServices is how many addresses both nodes announce; requests go to the first of them.
	cutServices = 100
	cutPort     = 7777
	bgpProtocol = 186 // of a route in the kernel (RTPROT_BGP)
)

// cutRouter is the router's configuration: two nodes with BFD, 100 ms × 3.
const cutRouter = `hostname tor
router bgp 64512
 no bgp default ipv4-unicast
 neighbor 192.0.2.1 remote-as 64512
 neighbor 192.0.2.1 passive
 neighbor 192.0.2.1 bfd profile fast
 neighbor 192.0.2.2 remote-as 64512
 neighbor 192.0.2.2 passive
 neighbor 192.0.2.2 bfd profile fast
 address-family ipv4 unicast
  neighbor 192.0.2.1 activate
  neighbor 192.0.2.2 activate
 exit-address-family
exit
bfd
 profile fast
  detect-multiplier 3
  receive-interval 100
  transmit-interval 100
 exit
exit
`

// cut is a router with a host behind it and two nodes on a switch, so that the router keeps its link when a node loses its own.
type cut struct {
	router, host, segment *frrtest.Instance
	nodes                 [2]*node
	routes                chan netlink.RouteUpdate
}

func run(tb testing.TB, i *frrtest.Instance, line string) {
	tb.Helper()
	if out, err := i.Run(tb.Context(), "sh", "-c", line); err != nil {
		tb.Fatalf("%s: %v\n%s", line, err, out)
	}
}

func startCut(tb testing.TB, release frrtest.Release) *cut {
	tb.Helper()
	c := &cut{
		router:  frrtest.Start(tb, frrtest.Options{Release: release, Name: "tor", Config: cutRouter, Listen: true}),
		host:    frrtest.Start(tb, frrtest.Options{Release: release, Name: "host", Bare: true}),
		segment: frrtest.Start(tb, frrtest.Options{Release: release, Name: "segment", Bare: true}),
	}
	frrtest.Link(tb, c.router, c.segment, "eth0", []string{"192.0.2.100/24"}, nil)
	frrtest.Link(tb, c.router, c.host, "eth9", []string{"198.51.100.1/24"}, []string{"198.51.100.2/24"})
	run(tb, c.router, "echo 1 >/proc/sys/net/ipv4/ip_forward")
	run(tb, c.host, "ip route add default via 198.51.100.1")
	run(tb, c.segment, "ip link add br0 type bridge && ip link set br0 up && ip link set eth0 master br0")
	for i := range c.nodes {
		c.nodes[i] = startNode(tb, release)
		port := fmt.Sprintf("eth%d", i+1)
		frrtest.Link(tb, c.nodes[i].Instance, c.segment, port, []string{fmt.Sprintf("192.0.2.%d/24", i+1)}, nil)
		run(tb, c.segment, "ip link set "+port+" master br0")
		run(tb, c.nodes[i].Instance, "ip route add default via 192.0.2.100 && ip address add "+serviceAddress(0).String()+" dev lo")
		c.nodes[i].apply(tb, cutSite(i).conf(tb))
	}
	c.watch(tb)
	return c
}

// cutSite is what node i announces: the first with the higher preference.
func cutSite(i int) *scene {
	s := newSite(cutServices, 1)
	s.Config.BFDProfiles = []intent.BFDProfile{{Name: "fast", ReceiveInterval: 100, TransmitInterval: 100, DetectMultiplier: 3}}
	s.Config.Peers[0].Address = netip.MustParseAddr("192.0.2.100")
	s.ad("all").LocalPref = []uint32{300, 200}[i]
	return s
}

// watch follows the routes in the router's kernel.
func (c *cut) watch(tb testing.TB) {
	tb.Helper()
	ns, err := netns.GetFromPath(fmt.Sprintf("/proc/%d/ns/net", c.router.PID()))
	if err != nil {
		tb.Fatal(err)
	}
	defer ns.Close()
	c.routes = make(chan netlink.RouteUpdate, 10*cutServices)
	if err := netlink.RouteSubscribeWithOptions(c.routes, tb.Context().Done(), netlink.RouteSubscribeOptions{Namespace: &ns}); err != nil {
		tb.Fatal(err)
	}
}

// settled waits until all routes lead to the first node and BFD watches both.
func (c *cut) settled(tb testing.TB) {
	tb.Helper()
	frrtest.Eventually(tb, frrtest.Patience, func() error {
		routes, err := c.router.Run(tb.Context(), "ip", "route", "show", "proto", "bgp")
		if err != nil {
			return err
		}
		if n := strings.Count(routes, "via 192.0.2.1 "); n != cutServices {
			return fmt.Errorf("%d of %d routes lead to the first node", n, cutServices)
		}
		if shown := c.router.Vtysh(tb, "show bfd peers brief"); strings.Count(shown, " up") != 2 {
			return fmt.Errorf("BFD:\n%s", shown)
		}
		return nil
	})
	for len(c.routes) > 0 {
		<-c.routes
	}
}

// gone waits until no route leads to the first node and returns when the last one went.
func (c *cut) gone(tb testing.TB) time.Time {
	tb.Helper()
	left := map[string]bool{}
	for i := range cutServices {
		left[serviceAddress(i).String()] = true
	}
	limit := time.After(frrtest.Patience)
	for {
		select {
		case u := <-c.routes:
			at := time.Now()
			if u.Protocol == bgpProtocol && u.Dst != nil && (u.Type == unix.RTM_DELROUTE || !u.Gw.Equal(net.IPv4(192, 0, 2, 1))) {
				delete(left, u.Dst.String())
			}
			if len(left) == 0 {
				return at
			}
		case <-limit:
			tb.Fatalf("%d routes still lead to the node that was cut off", len(left))
		}
	}
}

// knock sends a packet every 10 ms from the host to the first address until done is closed.
func (c *cut) knock(tb testing.TB, done <-chan struct{}) {
	tb.Helper()
	var conn net.Conn
	err := c.host.Within(func() (err error) {
		var d net.Dialer
		conn, err = d.DialContext(tb.Context(), "udp", netip.AddrPortFrom(serviceAddress(0).Addr(), cutPort).String())
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer conn.Close()
		every := time.NewTicker(10 * time.Millisecond)
		defer every.Stop()
		for {
			select {
			case <-done:
				return
			case <-every.C:
				_, _ = conn.Write([]byte{1}) // who counts is at the other end
			}
		}
	}()
}

// answering returns when the second node gets its next packet.
func (c *cut) answering(tb testing.TB) <-chan time.Time {
	tb.Helper()
	var conn net.PacketConn
	err := c.nodes[1].Within(func() (err error) {
		var config net.ListenConfig
		conn, err = config.ListenPacket(tb.Context(), "udp", netip.AddrPortFrom(serviceAddress(0).Addr(), cutPort).String())
		return err
	})
	if err != nil {
		tb.Fatal(err)
	}
	first := make(chan time.Time, 1)
	go func() {
		defer conn.Close()
		if _, _, err := conn.ReadFrom(make([]byte, 16)); err == nil {
			first <- time.Now()
		}
	}()
	return first
}

// BenchmarkLinkCut measures what happens when a node loses its link behind a switch, with BFD of 100 ms × 3: until the last of its routes is
// out of the router's kernel, and until the first packet of a host behind the router is at the other node.
func BenchmarkLinkCut(b *testing.B) {
	for _, release := range frrtest.Releases() {
		b.Run(string(release), func(b *testing.B) {
			c := startCut(b, release)
			var gone, moved times
			for range b.N {
				c.settled(b)
				done := make(chan struct{})
				first := c.answering(b)
				c.knock(b, done)
				begin := time.Now()
				run(b, c.segment, "ip link set eth1 down")
				gone = append(gone, c.gone(b).Sub(begin))
				select {
				case at := <-first:
					moved = append(moved, at.Sub(begin))
				case <-time.After(frrtest.Patience):
					b.Fatal("no packet came to the other node")
				}
				close(done)
				run(b, c.segment, "ip link set eth1 up")
			}
			b.ReportMetric(0, "ns/op")
			gone.report(b, "gone")
			moved.report(b, "moved")
		})
	}
}
