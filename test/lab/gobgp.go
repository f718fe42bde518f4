package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/seed-551707bd/metallb-operator/test/lab/gobgp"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// GoBGP is a BGP peer to add to a lab: it tells a test what it was sent.
type GoBGP struct {
	Name      string // like a lab's prefix
	Host      int    // last number of its addresses on the nodes' segment, 4 to 9 or 101 to 254
	ASN       uint32
	Neighbors []gobgp.Neighbor
}

// gobgpConfig is the file in a GoBGP machine's disk with which its process starts.
const gobgpConfig = "gobgp.json"

func (l *Lab) gobgpSocket(name string) string { return filepath.Join(l.dir, name+".sock") }

// AddGoBGP starts a GoBGP peer on the nodes' segment and connects to it.
func (l *Lab) AddGoBGP(ctx context.Context, g GoBGP) (*gobgp.Peer, error) {
	if err := checkHost(g.Host); err != nil {
		return nil, fmt.Errorf("GoBGP peer %s: %w", g.Name, err)
	}
	w, err := l.workshop()
	if err != nil {
		return nil, err
	}
	program, err := w.Program(ctx, source.Module+"/test/lab/cmd/lab", "lab")
	if err != nil {
		return nil, err
	}
	addresses := segmentAddresses(g.Host)
	config, err := json.Marshal(gobgp.Config{ASN: g.ASN, RouterID: addresses.IPv4, Socket: l.gobgpSocket(g.Name), Neighbors: g.Neighbors})
	if err != nil {
		return nil, fmt.Errorf("encode configuration of GoBGP peer %s: %w", g.Name, err)
	}
	err = l.addMachine(ctx, machine{Name: g.Name, Kind: kindGoBGP, Segment: addresses}, func(s *state, m machine) (machine, error) {
		if err := os.MkdirAll(l.disk(m), 0o755); err != nil {
			return m, fmt.Errorf("make disk of %s: %w", m.Name, err)
		}
		if err := os.WriteFile(filepath.Join(l.disk(m), gobgpConfig), config, 0o644); err != nil {
			return m, fmt.Errorf("write configuration of %s: %w", m.Name, err)
		}
		if err := copyProgram(program, l.gobgpProgram(m)); err != nil {
			return m, err
		}
		return l.start(ctx, s, m)
	})
	if err != nil {
		return nil, err
	}
	return l.GoBGP(ctx, g.Name)
}

// GoBGP connects to a GoBGP peer that is in the lab.
func (l *Lab) GoBGP(ctx context.Context, name string) (*gobgp.Peer, error) {
	m, err := l.machine(name)
	if err != nil {
		return nil, err
	}
	if m.Kind != kindGoBGP {
		return nil, fmt.Errorf("machine %s is no GoBGP peer", name)
	}
	peer, err := gobgp.Dial(ctx, l.gobgpSocket(name))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, l.bootLog(name))
	}
	return peer, nil
}

// gobgpProgram is a copy of its own, which a later build of the program does not touch.
func (l *Lab) gobgpProgram(m machine) string { return filepath.Join(l.disk(m), "lab") }

func copyProgram(from, to string) error {
	content, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	if err := os.WriteFile(to, content, 0o755); err != nil {
		return fmt.Errorf("copy program: %w", err)
	}
	return nil
}

// NodeGoBGPNeighbors are the IPv4 addresses of nodes 1 to n as neighbors of one AS.
func NodeGoBGPNeighbors(n int, asn uint32) []gobgp.Neighbor {
	var all []gobgp.Neighbor
	for i := range n {
		all = append(all, gobgp.Neighbor{Address: NodeAddresses(i + 1).IPv4, ASN: asn})
	}
	return slices.Clip(all)
}

// GoBGPMain is the process of a GoBGP peer: the lab program calls it with the configuration's path. It returns when ctx
// ends.
func GoBGPMain(ctx context.Context, configFile string) error {
	text, err := os.ReadFile(configFile)
	if err != nil {
		return fmt.Errorf("read GoBGP's configuration: %w", err)
	}
	var c gobgp.Config
	if err := json.Unmarshal(text, &c); err != nil {
		return fmt.Errorf("read GoBGP's configuration %s: %w", configFile, err)
	}
	if err := os.RemoveAll(c.Socket); err != nil { // of an earlier life
		return fmt.Errorf("remove old socket: %w", err)
	}
	return gobgp.Serve(ctx, c)
}
