// Package lab brings up a real Kubernetes cluster on one machine, from nothing and without a container engine or a
// registry: etcd, kube-apiserver, kube-controller-manager, kube-scheduler, nodes that each run containerd, runc, kubelet
// and kube-proxy in namespaces of their own, external routers that run FRR or BIRD, a client behind them, and GoBGP peers
// that answer a test's questions. Everything is in network namespaces; the machine's own network is not touched. It needs root.
//
//	l, err := lab.Up(ctx, lab.Options{Nodes: 2, Progress: t.Logf})
//	defer l.Down(ctx)
//	config, err := l.Config()
//	client, err := kubernetes.NewForConfig(config)
//
// A lab is found by its prefix and lives until Down, also beyond the process that made it: Open finds it again. Several
// labs may be up at once, each with another prefix. See docs/lab.md for its use by hand.
package lab

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

//go:embed boot
var bootFiles embed.FS

// DefaultPrefix is the prefix of a lab that is given none.
const DefaultPrefix = "lab"

// Options say what Up brings up.
type Options struct {
	// Prefix begins the name of everything the lab makes: a letter and up to seven more letters or digits. Default "lab".
	Prefix string
	// Nodes is the number of nodes. With none there is only the control plane: no router, client or images.
	Nodes int
	// ProxyMode is kube-proxy's: nftables (default) or iptables.
	ProxyMode string
	// NodeMonitorGrace is how long a silent node stays Ready. Default 40s, Kubernetes' own before 1.32.
	NodeMonitorGrace time.Duration
	// RouterConfig is the frr.conf of the router. Default: RouterConfig with AS 64512 on both sides, as in the lab's guide.
	RouterConfig string
	// WithoutPrograms leaves out the image of this project's own programs, which is otherwise built from the checkout.
	WithoutPrograms bool
	// Images are paths of further image archives ("docker save") that every node begins with.
	Images []string
	// OLM has every node begin with the image of the Operator Lifecycle Manager, which Lab.OLM names.
	OLM bool
	// APIServerFlags are added to the command line of kube-apiserver.
	APIServerFlags []string
	// Folder holds the state of labs. Default /var/tmp/metallb-lab; on the disk of the cache, images cost neither room nor time.
	Folder string
	// CacheDir is where slow things are kept. Default "metallb-lab" in the user's cache folder.
	CacheDir string
	// Progress is told what is being done; nil is silence.
	Progress assets.Progress
}

func (o Options) withDefaults() Options {
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if o.ProxyMode == "" {
		o.ProxyMode = "nftables"
	}
	if o.NodeMonitorGrace == 0 {
		o.NodeMonitorGrace = 40 * time.Second
	}
	if o.Folder == "" {
		o.Folder = DefaultFolder
	}
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	return o
}

func (o Options) validate() error {
	if err := checkName("lab prefix", o.Prefix); err != nil {
		return err
	}
	if o.Nodes < 0 || o.Nodes > MaxNodes {
		return fmt.Errorf("number of nodes %d: want 0 to %d", o.Nodes, MaxNodes)
	}
	if o.ProxyMode != "nftables" && o.ProxyMode != "iptables" {
		return fmt.Errorf("proxy mode %q: want nftables or iptables", o.ProxyMode)
	}
	return nil
}

// DefaultFolder is where labs keep their state where Options name no other folder.
const DefaultFolder = "/var/tmp/metallb-lab"

// Lab is a lab that is up. Its methods may be called from several goroutines and processes.
type Lab struct {
	dir     string
	groups  cgroups
	say     assets.Progress
	prefix  string
	netnsOf func(name string) string
}

func newLab(folder, prefix string, say assets.Progress) (*Lab, error) {
	groups, err := findCgroups(prefix)
	if err != nil {
		return nil, err
	}
	return &Lab{dir: filepath.Join(folder, prefix), groups: groups, say: say, prefix: prefix,
		netnsOf: func(name string) string { return prefix + "-" + name }}, nil
}

// needRoot says what root is for, once, before anything fails in a less readable way.
func needRoot() error {
	if os.Geteuid() != 0 {
		return errors.New("the lab needs root: it makes network namespaces, mounts and control groups; run it with sudo")
	}
	return nil
}

// Open finds a lab that is up. An empty folder or prefix is the default one.
func Open(folder, prefix string, say assets.Progress) (*Lab, error) {
	o := Options{Folder: folder, Prefix: prefix, Progress: say}.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	l, err := newLab(o.Folder, o.Prefix, o.Progress)
	if err != nil {
		return nil, err
	}
	s, err := readState(l.dir)
	if err != nil {
		return nil, err
	}
	if s == nil {
		return nil, fmt.Errorf("no lab %q is up: bring one up with \"lab up\"", o.Prefix)
	}
	return l, nil
}

// Dir is the lab's folder: state, logs, keys, the machines' disks.
func (l *Lab) Dir() string { return l.dir }

// LogDir holds the logs of the machines' programs, one file each.
func (l *Lab) LogDir() string { return filepath.Join(l.dir, "log") }

// Prefix names the lab.
func (l *Lab) Prefix() string { return l.prefix }

// Netns is the network namespace of a machine, as "ip netns" knows it.
func (l *Lab) Netns(machine string) string { return l.netnsOf(machine) }

// update holds the lab's lock, lets change work on its state and writes the state back, also where change failed.
func (l *Lab) update(ctx context.Context, change func(s *state) error) error {
	unlock, err := cache.LockFile(ctx, filepath.Join(l.dir, "lock"))
	if err != nil {
		return err
	}
	defer unlock()
	s, err := l.state()
	if err != nil {
		return err
	}
	return errors.Join(change(s), s.write(l.dir))
}

// state reads the lab's state.
func (l *Lab) state() (*state, error) {
	s, err := readState(l.dir)
	if err == nil && s == nil {
		err = fmt.Errorf("lab %q is not up", l.prefix)
	}
	return s, err
}

func (l *Lab) machine(name string) (machine, error) {
	s, err := l.state()
	if err != nil {
		return machine{}, err
	}
	m, ok := s.Machines[name]
	if !ok {
		return machine{}, fmt.Errorf("lab %q has no machine %q", l.prefix, name)
	}
	return m, nil
}

// workshop makes further assets for a lab that is up.
func (l *Lab) workshop() (*assets.Workshop, error) {
	s, err := l.state()
	if err != nil {
		return nil, err
	}
	c, err := cache.Open(s.CacheDir)
	if err != nil {
		return nil, err
	}
	return assets.NewWorkshop(c, s.Source, l.say), nil
}

// writeBootFiles lays out the programs that machines start with.
func (l *Lab) writeBootFiles() error {
	return fs.WalkDir(bootFiles, "boot", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		to := filepath.Join(l.dir, path)
		if d.IsDir() {
			return os.MkdirAll(to, 0o755)
		}
		text, err := bootFiles.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, text, 0o755)
	})
}

// findSource is the checkout that images and programs are built from.
func findSource() (string, error) { return source.Root(".") }
