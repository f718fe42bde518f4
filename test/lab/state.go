package lab

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/sys/unix"
)

// kind says what a machine is.
type kind string

const (
	kindControlPlane kind = "control-plane"
	kindNode         kind = "node"
	kindRouter       kind = "router"
	kindClient       kind = "client"
	kindHost         kind = "host"
	kindGoBGP        kind = "gobgp"
	kindBIRD         kind = "bird"
)

// phase says how far a lab has come.
type phase string

const (
	phaseStarting phase = "starting"
	phaseUp       phase = "up"
)

// machine is one participant: a network namespace and what runs in it.
type machine struct {
	Name    string    `json:"name"`
	Kind    kind      `json:"kind"`
	Index   int       `json:"index,omitempty"` // number of a node, from 1
	Netns   string    `json:"netns"`
	Segment Addresses `json:"segment"` // zero for a client
	Outside Addresses `json:"outside"` // routers and clients
	Process process   `json:"process"` // zero while powered off
}

// state is all that is known about a lab; it is written before anything it names is made, so that a later process can
// remove what a killed one left.
type state struct {
	Prefix    string             `json:"prefix"`
	Phase     phase              `json:"phase"`
	Starter   process            `json:"starter"`
	CacheDir  string             `json:"cacheDir"`
	Source    string             `json:"source"`
	Programs  string             `json:"programs"` // folder of the Kubernetes programs
	NodeRoot  string             `json:"nodeRoot"`
	FRRRoot   string             `json:"frrRoot"`
	BIRDRoot  string             `json:"birdRoot,omitempty"` // "" before the first BIRD router
	Store     string             `json:"store"`              // image store that nodes begin with
	Etcd      string             `json:"etcd"`
	ProxyMode string             `json:"proxyMode"`
	Grace     string             `json:"grace"`
	APIFlags  []string           `json:"apiFlags,omitempty"`
	Nodes     int                `json:"nodes"`
	Machines  map[string]machine `json:"machines"`
}

// sorted lists the machines by kind and number, as a person would name them.
func (s *state) sorted() []machine {
	order := []kind{kindControlPlane, kindNode, kindRouter, kindClient, kindHost, kindGoBGP, kindBIRD}
	all := make([]machine, 0, len(s.Machines))
	for _, m := range s.Machines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b machine) int {
		if c := slices.Index(order, a.Kind) - slices.Index(order, b.Kind); c != 0 {
			return c
		}
		if c := a.Index - b.Index; c != 0 {
			return c
		}
		if a.Name < b.Name {
			return -1
		}
		return 1
	})
	return all
}

// switchNetns is the namespace with the bridges.
func (s *state) switchNetns() string { return s.netns("sw") }

func (s *state) netns(name string) string { return s.Prefix + "-" + name }

const stateFile = "state.json"

// readState returns nil where the folder holds no lab.
func readState(dir string) (*state, error) {
	text, err := os.ReadFile(filepath.Join(dir, stateFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lab's state: %w", err)
	}
	var s state
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("read the lab's state in %s: %w", dir, err)
	}
	return &s, nil
}

// write replaces the state file as a whole.
func (s *state) write(dir string) error {
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the lab's state: %w", err)
	}
	tmp := filepath.Join(dir, stateFile+".new")
	if err := os.WriteFile(tmp, text, 0o644); err != nil {
		return fmt.Errorf("write the lab's state: %w", err)
	}
	if err := os.Rename(tmp, filepath.Join(dir, stateFile)); err != nil {
		return fmt.Errorf("write the lab's state: %w", err)
	}
	return nil
}

// process names a process so that a later one with the same id is not taken for it.
type process struct {
	PID   int    `json:"pid,omitempty"`
	Start uint64 `json:"start,omitempty"` // ticks since boot, field 22 of /proc/PID/stat
}

// identify reads who has the process id now.
func identify(pid int) (process, error) {
	st, err := readStat(pid)
	if err != nil {
		return process{}, err
	}
	return process{PID: pid, Start: st.start}, nil
}

// alive says whether exactly this process still runs; one that has ended and is not yet reaped does not.
func (p process) alive() bool {
	if p.PID == 0 {
		return false
	}
	st, err := readStat(p.PID)
	return err == nil && st.start == p.Start && st.state != 'Z' && st.state != 'X'
}

// kill ends exactly this process; one that is gone already is no error.
func (p process) kill() error {
	if !p.alive() {
		return nil
	}
	if err := unix.Kill(p.PID, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("kill process %d: %w", p.PID, err)
	}
	return nil
}
