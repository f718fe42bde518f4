package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const cgroupRoot = "/sys/fs/cgroup"

// cgroups is where the lab's processes are accounted for: every one is in a group below the lab's own, which is how
// all of them are found again whatever has become of their parents.
type cgroups struct {
	lab         string   // name of the lab's group
	unified     bool     // cgroup v2
	hierarchies []string // mount points; one on v2
}

// findCgroups looks at how this machine mounts its control groups.
func findCgroups(prefix string) (cgroups, error) {
	c := cgroups{lab: "metallb-lab-" + prefix}
	if _, err := os.Stat(filepath.Join(cgroupRoot, "cgroup.controllers")); err == nil {
		c.unified, c.hierarchies = true, []string{cgroupRoot}
		return c, nil
	}
	entries, err := os.ReadDir(cgroupRoot)
	if err != nil {
		return c, fmt.Errorf("look for control groups: %w", err)
	}
	for _, e := range entries {
		mount := filepath.Join(cgroupRoot, e.Name())
		if _, err := os.Stat(filepath.Join(mount, "cgroup.procs")); e.IsDir() && err == nil {
			c.hierarchies = append(c.hierarchies, mount)
		}
	}
	if !slices.Contains(c.hierarchies, c.tracking()) {
		return c, fmt.Errorf("control groups: %s is not mounted", c.tracking())
	}
	return c, nil
}

// tracking is the hierarchy in which every process of the lab is.
func (c cgroups) tracking() string {
	if c.unified {
		return cgroupRoot
	}
	return filepath.Join(cgroupRoot, "pids")
}

// create makes the group of a machine and returns the files through which a process joins it. A node has one in every
// hierarchy, as its kubelet makes groups for pods below it.
func (c cgroups) create(name string, node bool) (procs []string, err error) {
	mounts := []string{c.tracking()}
	if node {
		mounts = c.hierarchies
	}
	for _, mount := range mounts {
		dir := filepath.Join(mount, c.lab, name)
		// Left by a node that was powered off; the kubelet would look at each stale pod for seconds. One that the kernel
		// has not let go of yet costs only that time.
		_ = removeGroups(dir, false)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("create control group: %w", err)
		}
		switch {
		case c.unified:
			err = delegate(mount, filepath.Join(mount, c.lab))
		case filepath.Base(mount) == "cpuset":
			err = copyCpuset(mount, filepath.Join(mount, c.lab), dir)
		}
		if err != nil {
			return nil, err
		}
		procs = append(procs, filepath.Join(dir, "cgroup.procs"))
	}
	return procs, nil
}

// stepAside moves the unshare(1) of a node out of the group that it has made the root of the node's namespace: in cgroup
// v2 a group with processes cannot delegate controllers. The node does the same with its own processes (node.sh), but
// does not see this one.
func (c cgroups) stepAside(ctx context.Context, name string, pid int) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		child, err := childOf(pid)
		if err != nil {
			return err
		}
		if child != 0 { // so the namespace exists
			break
		}
		if err := pause(ctx, 5*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the first process of %s: %w", name, err)
		}
	}
	aside := filepath.Join(c.tracking(), c.lab, name, "init")
	if err := os.MkdirAll(aside, 0o755); err != nil {
		return fmt.Errorf("create control group: %w", err)
	}
	if err := os.WriteFile(filepath.Join(aside, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0o644); err != nil {
		return fmt.Errorf("move the starter of %s aside: %w", name, err)
	}
	return nil
}

// delegate lets groups below the given ones use every controller the machine has (cgroup v2).
func delegate(groups ...string) error {
	for _, g := range groups {
		controllers, err := os.ReadFile(filepath.Join(g, "cgroup.controllers"))
		if err != nil {
			return fmt.Errorf("read controllers: %w", err)
		}
		for controller := range strings.FieldsSeq(string(controllers)) {
			if err := os.WriteFile(filepath.Join(g, "cgroup.subtree_control"), []byte("+"+controller), 0o644); err != nil {
				return fmt.Errorf("delegate controller %s in %s: %w", controller, g, err)
			}
		}
	}
	return nil
}

// copyCpuset gives new groups the processors and memory of the root: in cgroup v1 they start without any.
func copyCpuset(root string, groups ...string) error {
	for _, name := range []string{"cpuset.cpus", "cpuset.mems"} {
		value, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		for _, g := range groups {
			if err := os.WriteFile(filepath.Join(g, name), value, 0o644); err != nil {
				return fmt.Errorf("set %s: %w", name, err)
			}
		}
	}
	for _, g := range groups {
		if err := os.WriteFile(filepath.Join(g, "cgroup.clone_children"), []byte("1"), 0o644); err != nil {
			return fmt.Errorf("set cgroup.clone_children: %w", err)
		}
	}
	return nil
}

// processes lists the processes of a machine's group and all below it, of all machines where name is "".
func (c cgroups) processes(name string) ([]int, error) {
	var pids []int
	err := filepath.WalkDir(filepath.Join(c.tracking(), c.lab, name), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // went away while we looked
		}
		if err != nil || d.Name() != "cgroup.procs" {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, unix.ENODEV) || errors.Is(err, fs.ErrNotExist) {
			return nil // the group is being removed
		}
		if err != nil {
			return err
		}
		for line := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(line); err == nil && pid > 0 {
				pids = append(pids, pid)
			}
		}
		return nil
	})
	return pids, err
}

// killAll kills every process of a machine's group, of all where name is "", and returns when none is left.
func (c cgroups) killAll(ctx context.Context, name string) error {
	for {
		pids, err := c.processes(name)
		if err != nil {
			return fmt.Errorf("list the lab's processes: %w", err)
		}
		if len(pids) == 0 {
			return nil
		}
		for _, pid := range pids {
			if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("kill process %d: %w", pid, err)
			}
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("wait for the end of processes %v: %w", pids, err)
		}
	}
}

// remove removes the lab's groups, which must be empty. The kernel frees a group a moment after its last process.
func (c cgroups) remove(ctx context.Context) error {
	for _, mount := range c.hierarchies {
		for {
			err := removeGroups(filepath.Join(mount, c.lab), true)
			if err == nil {
				break
			}
			if perr := pause(ctx, 50*time.Millisecond); perr != nil {
				return err
			}
		}
	}
	return nil
}

// removeGroups removes the groups below dir, deepest first, and dir itself where it is asked for.
func removeGroups(dir string, itself bool) error {
	var groups []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil && d.IsDir() && (itself || path != dir) {
			groups = append(groups, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("list control groups below %s: %w", dir, err)
	}
	for _, g := range slices.Backward(groups) {
		if err := unix.Rmdir(g); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove control group %s: %w", g, err)
		}
	}
	return nil
}

// pause waits for d or the end of ctx, whose error it then returns.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
