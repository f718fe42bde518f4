package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/bird"
)

// BIRD is a router that runs BIRD 2, to add to a lab: it tells a test what it was sent.
type BIRD struct {
	Name   string // like a lab's prefix
	Host   int    // last number of its addresses on the nodes' segment, 4 to 9 or 101 to 254
	Config bird.Config
}

func (l *Lab) birdConfig(m machine) string { return filepath.Join(l.disk(m), "bird.conf") }

func (l *Lab) writeBIRDConfig(m machine, c bird.Config) error {
	if err := os.MkdirAll(l.disk(m), 0o755); err != nil {
		return fmt.Errorf("make disk of %s: %w", m.Name, err)
	}
	if err := os.WriteFile(l.birdConfig(m), []byte(c.String()), 0o644); err != nil {
		return fmt.Errorf("write configuration of %s: %w", m.Name, err)
	}
	return nil
}

// AddBIRD starts a BIRD router on the nodes' segment. Config's RouterID may be left out.
func (l *Lab) AddBIRD(ctx context.Context, b BIRD) error {
	if err := checkHost(b.Host); err != nil {
		return fmt.Errorf("BIRD router %s: %w", b.Name, err)
	}
	root, err := bird.Root(ctx)
	if err != nil {
		return err
	}
	addresses := segmentAddresses(b.Host)
	if !b.Config.RouterID.IsValid() {
		b.Config.RouterID = addresses.IPv4
	}
	err = l.addMachine(ctx, machine{Name: b.Name, Kind: kindBIRD, Segment: addresses}, func(s *state, m machine) (machine, error) {
		s.BIRDRoot = root
		if err := l.writeBIRDConfig(m, b.Config); err != nil {
			return m, err
		}
		return l.start(ctx, s, m)
	})
	if err != nil {
		return err
	}
	for {
		_, err := l.Birdc(ctx, b.Name, "show status")
		if err == nil {
			return nil
		}
		if perr := pause(ctx, 20*time.Millisecond); perr != nil {
			return fmt.Errorf("wait for BIRD on %s: %w; the last answer was: %w: %s", b.Name, perr, err, l.bootLog(b.Name))
		}
	}
}

// ConfigureBIRD replaces a BIRD router's whole configuration while it runs. BIRD keeps the sessions whose settings stay the same.
func (l *Lab) ConfigureBIRD(ctx context.Context, name string, c bird.Config) error {
	m, err := l.machine(name)
	if err != nil {
		return err
	}
	if m.Kind != kindBIRD {
		return fmt.Errorf("machine %s is no BIRD router", name)
	}
	if !c.RouterID.IsValid() {
		c.RouterID = m.Segment.IPv4
	}
	if err := l.writeBIRDConfig(m, c); err != nil { // for its next boot
		return err
	}
	cmd, err := l.Command(ctx, name, "tee", bird.ConfigFile)
	if err != nil {
		return err
	}
	cmd.Stdin = strings.NewReader(c.String())
	if _, err := output(cmd, "configure "+name); err != nil {
		return err
	}
	said, err := l.Birdc(ctx, name, "configure")
	if err == nil && !strings.Contains(said, "Reconfigur") {
		err = fmt.Errorf("configure %s: %s", name, said)
	}
	return err
}

// BirdcCommand prepares a birdc that gives a command to a BIRD router.
func (l *Lab) BirdcCommand(ctx context.Context, name string, command ...string) (*exec.Cmd, error) {
	return l.Command(ctx, name, append([]string{"birdc", "-s", bird.ControlSocket}, command...)...)
}

// Birdc gives a command to a BIRD router, as a person would, and returns what it prints.
func (l *Lab) Birdc(ctx context.Context, name, command string) (string, error) {
	cmd, err := l.BirdcCommand(ctx, name, strings.Fields(command)...)
	if err != nil {
		return "", err
	}
	return output(cmd, name+": birdc "+command)
}

// BIRDSessions are the sessions of a BIRD router by their names in its configuration.
func (l *Lab) BIRDSessions(ctx context.Context, name string) (map[string]bird.Session, error) {
	text, err := l.Birdc(ctx, name, bird.SessionsCommand)
	if err != nil {
		return nil, err
	}
	return bird.ParseSessions(text), nil
}

// BIRDRoutes lists what a BIRD router was sent and holds.
func (l *Lab) BIRDRoutes(ctx context.Context, name string) ([]bird.Route, error) {
	text, err := l.Birdc(ctx, name, bird.RoutesCommand)
	if err != nil {
		return nil, err
	}
	routes, err := bird.ParseRoutes(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return routes, nil
}

// NodeBIRDNeighbors are both addresses of nodes 1 to n, as neighbors of a BIRD router with that host number and AS number. They are named n1v4, n1v6
// and so on.
func NodeBIRDNeighbors(n, host int, asn, nodeASN uint32) []bird.Neighbor {
	own := segmentAddresses(host)
	var all []bird.Neighbor
	for i := range n {
		node := NodeAddresses(i + 1)
		all = append(all,
			bird.Neighbor{Name: NodeName(i+1) + "v4", Local: own.IPv4, Address: node.IPv4, LocalASN: asn, ASN: nodeASN},
			bird.Neighbor{Name: NodeName(i+1) + "v6", Local: own.IPv6, Address: node.IPv6, LocalASN: asn, ASN: nodeASN})
	}
	return all
}
