package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/netns"
)

// readyLimit bounds the time from the start of the machines to a cluster whose nodes are Ready.
const readyLimit = 4 * time.Minute

// Up brings a lab up and returns when its nodes are Ready and pods can be created. What an earlier lab of the same
// prefix left behind when its starter died is removed first; one that is up is an error. Where Up fails, nothing is left
// but the logs, in the folder that the error names.
func Up(ctx context.Context, o Options) (*Lab, error) {
	o = o.withDefaults()
	if err := o.validate(); err != nil {
		return nil, err
	}
	if err := needRoot(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Folder, 0o755); err != nil {
		return nil, fmt.Errorf("make the labs' folder: %w", err)
	}
	unlock, err := cache.LockFile(ctx, filepath.Join(o.Folder, o.Prefix+".lock"))
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := newLab(o.Folder, o.Prefix, o.Progress)
	if err != nil {
		return nil, err
	}
	if err := l.removeStale(ctx); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(l.failedLog()); err != nil {
		return nil, fmt.Errorf("remove the logs of an earlier failure: %w", err)
	}
	if err := l.up(ctx, o); err != nil {
		return nil, l.giveUp(ctx, err)
	}
	o.Progress("lab %s is up", o.Prefix)
	return l, nil
}

// Prepare makes everything slow that a lab with nodes needs and that is not in the cache yet, so that a later Up, or a
// test with a limit of its own, finds it there.
func Prepare(ctx context.Context, o Options) error {
	o = o.withDefaults()
	if err := needRoot(); err != nil {
		return err
	}
	w, _, err := openWorkshop(o)
	if err != nil {
		return err
	}
	o.Nodes = max(o.Nodes, 1)
	if err := makeAssets(ctx, w, &state{}, o); err != nil {
		return err
	}
	// For tests of the OLM package, with and without a lab.
	if _, err := w.LifecycleImage(ctx); err != nil {
		return err
	}
	if _, err := w.BundleValidator(ctx); err != nil {
		return err
	}
	_, err = w.Helm(ctx)
	return err
}

func openWorkshop(o Options) (*assets.Workshop, *cache.Cache, error) {
	root, err := findSource()
	if err != nil {
		return nil, nil, err
	}
	c, err := cache.Open(o.CacheDir)
	if err != nil {
		return nil, nil, err
	}
	return assets.NewWorkshop(c, root, o.Progress), c, nil
}

// removeStale removes a lab of this prefix that is not whole, and refuses to touch one that is.
func (l *Lab) removeStale(ctx context.Context) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if s != nil && s.Phase == phaseUp && s.Machines[ControlPlaneName].Process.alive() {
		return fmt.Errorf("lab %q is up already: take it down first (\"lab down\"), or choose another prefix", l.prefix)
	}
	if s != nil && s.Phase == phaseStarting && s.Starter.alive() && s.Starter.PID != os.Getpid() {
		return fmt.Errorf("lab %q is being started by process %d", l.prefix, s.Starter.PID)
	}
	if s != nil {
		l.say("removing what an earlier lab %s left", l.prefix)
	}
	return l.remove(ctx)
}

// failedLog is where the logs of a lab stay that did not come up.
func (l *Lab) failedLog() string { return l.dir + ".failed-log" }

// giveUp takes a half-made lab down and keeps its logs.
func (l *Lab) giveUp(ctx context.Context, cause error) error {
	kept, errs := l.failedLog(), []error{cause}
	if _, err := os.Stat(l.LogDir()); err == nil {
		errs[0] = fmt.Errorf("%w (logs are in %s)", cause, kept)
		errs = append(errs, os.Rename(l.LogDir(), kept))
	}
	clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return errors.Join(append(errs, l.remove(clean))...)
}

func (l *Lab) up(ctx context.Context, o Options) error {
	s, err := l.prepare(ctx, o)
	if err != nil {
		return err
	}
	for _, d := range []string{l.LogDir(), filepath.Join(l.dir, "pki")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return fmt.Errorf("make the lab's folder: %w", err)
		}
	}
	if err := checkFree(s); err != nil {
		return err
	}
	if err := s.write(l.dir); err != nil {
		return err
	}
	if err := errors.Join(l.writeBootFiles(), l.writeKeys(s)); err != nil {
		return err
	}
	if err := l.startMachines(ctx, s, o); err != nil {
		return err
	}
	if err := l.waitCluster(ctx, s.Nodes); err != nil {
		return err
	}
	return l.update(ctx, func(s *state) error {
		s.Phase = phaseUp
		return nil
	})
}

// prepare makes what the machines need and says which machines there will be.
func (l *Lab) prepare(ctx context.Context, o Options) (*state, error) {
	w, c, err := openWorkshop(o)
	if err != nil {
		return nil, err
	}
	starter, err := identify(os.Getpid())
	if err != nil {
		return nil, err
	}
	s := &state{Prefix: o.Prefix, Phase: phaseStarting, Starter: starter, CacheDir: c.Dir(), Source: w.Root(), ProxyMode: o.ProxyMode,
		Grace: o.NodeMonitorGrace.String(), APIFlags: o.APIServerFlags, Nodes: o.Nodes, Machines: map[string]machine{}}
	if err := makeAssets(ctx, w, s, o); err != nil {
		return nil, err
	}
	s.add(machine{Name: ControlPlaneName, Kind: kindControlPlane, Segment: segmentAddresses(controlPlaneHost)})
	if o.Nodes == 0 {
		return s, nil
	}
	for i := 1; i <= o.Nodes; i++ {
		s.add(machine{Name: NodeName(i), Kind: kindNode, Index: i, Segment: NodeAddresses(i)})
	}
	s.add(machine{Name: RouterName, Kind: kindRouter, Segment: RouterAddresses(), Outside: outsideAddresses(1)})
	s.add(machine{Name: ClientName, Kind: kindClient, Outside: ClientAddresses()})
	return s, nil
}

// makeAssets makes what the machines run. Compiling Kubernetes keeps the processors busy, fetching Debian the network, so
// the two go side by side.
func makeAssets(ctx context.Context, w *assets.Workshop, s *state, o Options) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) {
		s.Programs, err = w.Kubernetes(ctx)
		return err
	})
	group.Go(func() (err error) {
		if s.Etcd, err = w.Etcd(ctx); err != nil {
			return err
		}
		if s.NodeRoot, err = w.NodeRoot(ctx); err != nil || o.Nodes == 0 {
			return err
		}
		if s.FRRRoot, err = w.FRRRoot(ctx); err != nil {
			return err
		}
		s.Store, err = makeStore(ctx, w, o)
		return err
	})
	return group.Wait()
}

func (s *state) add(m machine) {
	m.Netns = s.netns(m.Name)
	s.Machines[m.Name] = m
}

// makeStore makes the image store of the lab's nodes.
func makeStore(ctx context.Context, w *assets.Workshop, o Options) (string, error) {
	stable, err := w.StableImages(ctx)
	if err != nil {
		return "", err
	}
	if o.OLM {
		image, err := w.LifecycleImage(ctx)
		if err != nil {
			return "", err
		}
		stable = append(stable, image)
	}
	var changing []assets.Image
	for _, path := range o.Images {
		image, err := assets.ImageFile(path)
		if err != nil {
			return "", err
		}
		changing = append(changing, image)
	}
	if !o.WithoutPrograms {
		programs, err := w.Programs(ctx)
		if err != nil {
			return "", err
		}
		changing = append(changing, programs)
	}
	return w.Store(ctx, stable, changing...)
}

// checkFree refuses to take over network namespaces that something else made.
func checkFree(s *state) error {
	names := []string{s.switchNetns()}
	for _, m := range s.sorted() {
		names = append(names, m.Netns)
	}
	for _, name := range names {
		exists, err := netns.Exists(name)
		if err != nil {
			return err
		}
		if exists {
			return fmt.Errorf("network namespace %s exists and is not this lab's: remove it, or choose another prefix", name)
		}
	}
	return nil
}

// startMachines wires and starts every machine of the state and writes down their processes.
func (l *Lab) startMachines(ctx context.Context, s *state, o Options) error {
	if err := createSwitch(s.switchNetns()); err != nil {
		return err
	}
	if router, ok := s.Machines[RouterName]; ok {
		config := o.RouterConfig
		if config == "" {
			config = DefaultRouterConfig(o.Nodes)
		}
		if err := l.writeRouterConfig(router, config); err != nil {
			return err
		}
	}
	l.say("starting the control plane, %d nodes and %d other machines", s.Nodes, len(s.Machines)-1-s.Nodes)
	var started []machine
	for _, m := range s.sorted() {
		if err := plug(s, m); err != nil {
			return err
		}
		m, err := l.start(ctx, s, m)
		if err != nil {
			return err
		}
		started = append(started, m)
	}
	return l.update(ctx, func(s *state) error {
		for _, m := range started {
			s.Machines[m.Name] = m
		}
		return nil
	})
}

// waitCluster returns when the API server answers, all nodes are Ready and all other machines can be used.
func (l *Lab) waitCluster(ctx context.Context, nodes int) error {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	s, err := l.state()
	if err != nil {
		return err
	}
	var group errgroup.Group
	for _, m := range s.sorted() {
		group.Go(func() error { return l.waitMachine(ctx, m) })
	}
	group.Go(func() error {
		if err := l.waitAPI(ctx); err != nil {
			return err
		}
		l.say("the API server is ready")
		return l.waitNodes(ctx, nodes)
	})
	return group.Wait()
}

// Down takes the lab down and removes all it made: processes, namespaces, mounts, control groups, files. It may be
// called again, and for a lab whose starter was killed.
func (l *Lab) Down(ctx context.Context) error {
	if err := needRoot(); err != nil {
		return err
	}
	return errors.Join(l.remove(ctx), os.RemoveAll(l.failedLog()))
}

// Down takes the lab of a prefix down, whatever its state; where there is none, nothing happens.
func Down(ctx context.Context, folder, prefix string, say assets.Progress) error {
	o := Options{Folder: folder, Prefix: prefix, Progress: say}.withDefaults()
	if err := errors.Join(o.validate(), needRoot()); err != nil {
		return err
	}
	l, err := newLab(o.Folder, o.Prefix, o.Progress)
	if err != nil {
		return err
	}
	return l.Down(ctx)
}

// remove removes everything of the lab that it finds. Namespaces are those that the state names, processes those in the
// lab's control groups: nothing that something else made.
func (l *Lab) remove(ctx context.Context) error {
	s, err := readState(l.dir)
	if err != nil {
		return err
	}
	if s != nil {
		for _, m := range s.sorted() {
			if err := m.Process.kill(); err != nil {
				return err
			}
		}
	}
	if err := l.groups.killAll(ctx, ""); err != nil {
		return err
	}
	var errs []error
	if s != nil {
		for _, m := range s.sorted() {
			errs = append(errs, netns.Delete(m.Netns))
		}
		errs = append(errs, netns.Delete(s.switchNetns()))
	}
	errs = append(errs, l.groups.remove(ctx), os.RemoveAll(l.dir))
	return errors.Join(errs...)
}
