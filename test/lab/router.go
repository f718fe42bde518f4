package lab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
)

// daemonsFile is what the routers' docker-start reads: which of FRR's daemons run. watchfrr tells nobody by wall(1).
const daemonsFile = "bgpd=yes\nbfdd=yes\nvtysh_enable=yes\nzebra_options=\"-A 127.0.0.1 -s 90000000\"\n" +
	"bgpd_options=\"-A 127.0.0.1\"\nbfdd_options=\"-A 127.0.0.1\"\nstaticd_options=\"-A 127.0.0.1\"\n"

// Neighbor is one BGP neighbor in a router's configuration.
type Neighbor struct {
	Address  netip.Addr
	ASN      uint32
	Password string // "" for none (RFC 2385)
	BFD      bool   // with FRR's default timers, 3 × 300 ms
}

// RouterConfig is an frr.conf as a person configures a router for this: every neighbor by its address, no policy, up to
// 16 equal routes. It accepts whatever the neighbors announce in their own address family.
func RouterConfig(asn uint32, id netip.Addr, neighbors ...Neighbor) string {
	var b strings.Builder
	fmt.Fprintf(&b, "frr defaults traditional\nlog stdout informational\n!\nrouter bgp %d\n bgp router-id %s\n", asn, id)
	b.WriteString(" no bgp ebgp-requires-policy\n no bgp default ipv4-unicast\n")
	for _, n := range neighbors {
		fmt.Fprintf(&b, " neighbor %s remote-as %d\n", n.Address, n.ASN)
		if n.Password != "" {
			fmt.Fprintf(&b, " neighbor %s password %s\n", n.Address, n.Password)
		}
		if n.BFD {
			fmt.Fprintf(&b, " neighbor %s bfd\n", n.Address)
		}
	}
	for _, family := range []string{"ipv4", "ipv6"} {
		fmt.Fprintf(&b, " !\n address-family %s unicast\n  maximum-paths 16\n  maximum-paths ibgp 16\n", family)
		for _, n := range neighbors {
			if n.Address.Is4() == (family == "ipv4") {
				fmt.Fprintf(&b, "  neighbor %s activate\n", n.Address)
			}
		}
		b.WriteString(" exit-address-family\n")
	}
	b.WriteString("exit\n")
	return b.String()
}

// NodeNeighbors are both addresses of nodes 1 to n, as neighbors of one AS.
func NodeNeighbors(n int, asn uint32) []Neighbor {
	var all []Neighbor
	for i := 1; i <= n; i++ {
		a := NodeAddresses(i)
		all = append(all, Neighbor{Address: a.IPv4, ASN: asn}, Neighbor{Address: a.IPv6, ASN: asn})
	}
	return all
}

// DefaultRouterConfig is the configuration of a lab's router that is given none: AS 64512, like the nodes.
func DefaultRouterConfig(nodes int) string {
	const asn = 64512
	return RouterConfig(asn, RouterAddresses().IPv4, NodeNeighbors(nodes, asn)...)
}

func (l *Lab) writeRouterConfig(m machine, config string) error {
	disk := l.disk(m)
	if err := os.MkdirAll(disk, 0o755); err != nil {
		return fmt.Errorf("make disk of %s: %w", m.Name, err)
	}
	if !strings.Contains(config, "hostname ") {
		config = "hostname " + m.Name + "\n" + config
	}
	for name, text := range map[string]string{"frr.conf": config, "daemons": daemonsFile} {
		if err := os.WriteFile(filepath.Join(disk, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("write %s of %s: %w", name, m.Name, err)
		}
	}
	return nil
}

// Router is a further router to add to a lab.
type Router struct {
	Name   string // like a lab's prefix
	Host   int    // last number of its addresses on the nodes' segment and behind it, 4 to 9 or 101 to 254
	Config string // frr.conf
}

// AddRouter starts a further router on both segments.
func (l *Lab) AddRouter(ctx context.Context, r Router) error {
	if err := checkHost(r.Host); err != nil {
		return fmt.Errorf("router %s: %w", r.Name, err)
	}
	return l.addMachine(ctx, machine{Name: r.Name, Kind: kindRouter, Segment: segmentAddresses(r.Host), Outside: outsideAddresses(r.Host)},
		func(s *state, m machine) (machine, error) {
			if err := l.writeRouterConfig(m, r.Config); err != nil {
				return m, err
			}
			return l.start(ctx, s, m)
		})
}

// Host is a machine to add to the nodes' segment that runs nothing by itself: a client with no router between it and the nodes, or a stranger.
type Host struct {
	Name string // like a lab's prefix
	Host int    // last number of its addresses on the nodes' segment, 4 to 9 or 101 to 254
}

// AddHost starts a machine with the programs of a client (curl, arping, ndisc6, tcpdump) on the nodes' segment. Its default route is the router.
func (l *Lab) AddHost(ctx context.Context, h Host) error {
	if err := checkHost(h.Host); err != nil {
		return fmt.Errorf("host %s: %w", h.Name, err)
	}
	return l.addMachine(ctx, machine{Name: h.Name, Kind: kindHost, Segment: segmentAddresses(h.Host)},
		func(s *state, m machine) (machine, error) { return l.start(ctx, s, m) })
}

// SegmentAddresses are those of a machine on the nodes' segment whose addresses end in host.
func SegmentAddresses(host int) Addresses { return segmentAddresses(host) }

func checkHost(host int) error {
	if (host < 4 || host > 9) && (host < 101 || host > 254) {
		return fmt.Errorf("host number %d: want 4 to 9 or 101 to 254, the others are taken", host)
	}
	return nil
}

// addMachine wires a new machine, lets start start it and waits until it can be used.
func (l *Lab) addMachine(ctx context.Context, m machine, start func(s *state, m machine) (machine, error)) error {
	if err := checkName("machine name", m.Name); err != nil {
		return err
	}
	err := l.update(ctx, func(s *state) error {
		for _, other := range s.Machines {
			if other.Name == m.Name || other.Segment.IPv4 == m.Segment.IPv4 {
				return fmt.Errorf("machine %s with address %s: %s with address %s exists", m.Name, m.Segment.IPv4, other.Name, other.Segment.IPv4)
			}
		}
		s.add(m)
		m = s.Machines[m.Name]
		if err := s.write(l.dir); err != nil { // before anything is made, so that Down finds it
			return err
		}
		if err := plug(s, m); err != nil {
			return err
		}
		var err error
		m, err = start(s, m)
		s.Machines[m.Name] = m
		return err
	})
	if err != nil {
		return err
	}
	return l.waitMachine(ctx, m)
}

// ConfigureRouter replaces a router's whole configuration while it runs, with FRR's own frr-reload.py.
func (l *Lab) ConfigureRouter(ctx context.Context, name, config string) error {
	m, err := l.machine(name)
	if err != nil {
		return err
	}
	if m.Kind != kindRouter {
		return fmt.Errorf("machine %s is no router", name)
	}
	if err := l.writeRouterConfig(m, config); err != nil { // for its next boot
		return err
	}
	text, err := os.ReadFile(filepath.Join(l.disk(m), "frr.conf"))
	if err != nil {
		return fmt.Errorf("read back configuration of %s: %w", name, err)
	}
	cmd, err := l.Command(ctx, name, "sh", "-c", "cat >/etc/frr/frr.conf && /usr/lib/frr/frr-reload.py --reload /etc/frr/frr.conf")
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(string(text))
	_, err = output(cmd, "configure router "+name)
	return err
}

// Vtysh runs FRR's commands on a router, each as one -c of vtysh, and returns what they print.
func (l *Lab) Vtysh(ctx context.Context, router string, commands ...string) (string, error) {
	args := []string{"vtysh"}
	for _, c := range commands {
		args = append(args, "-c", c)
	}
	return l.Exec(ctx, router, args...)
}
