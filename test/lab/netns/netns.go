// Package netns works inside named network namespaces, those that "ip netns" shows, from a process outside of them.
package netns

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// folder is where iproute2 keeps named namespaces.
const folder = "/run/netns"

// Path is the file that stands for the namespace, for nsenter --net=.
func Path(name string) string { return filepath.Join(folder, name) }

// Exists says whether the name is taken.
func Exists(name string) (bool, error) {
	_, err := os.Lstat(Path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for network namespace %s: %w", name, err)
	}
	return true, nil
}

// Create makes a namespace in which only the loopback interface exists, up.
func Create(name string) error {
	err := onOwnThread(func() error {
		handle, err := netns.NewNamed(name) // also switches this thread into it
		if err != nil {
			return err
		}
		defer handle.Close()
		lo, err := netlink.LinkByName("lo")
		if err != nil {
			return fmt.Errorf("find loopback interface: %w", err)
		}
		return netlink.LinkSetUp(lo)
	})
	if err != nil {
		return fmt.Errorf("create network namespace %s: %w", name, err)
	}
	return nil
}

// Delete removes the name; the namespace itself ends with the last process in it. A missing one is no error.
func Delete(name string) error {
	err := unix.Unmount(Path(name), unix.MNT_DETACH)
	if err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	if err := os.Remove(Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete network namespace %s: %w", name, err)
	}
	return nil
}

// Handle is a netlink connection into the namespace. The caller closes it.
func Handle(name string) (*netlink.Handle, error) {
	ns, err := netns.GetFromName(name)
	if err != nil {
		return nil, fmt.Errorf("open network namespace %s: %w", name, err)
	}
	defer ns.Close()
	h, err := netlink.NewHandleAt(ns)
	if err != nil {
		return nil, fmt.Errorf("open netlink in network namespace %s: %w", name, err)
	}
	return h, nil
}

// Do runs f on a thread that is in the namespace. What f opens stays there; goroutines that f starts are not in it.
func Do(name string, f func() error) error {
	return onOwnThread(func() error {
		ns, err := netns.GetFromName(name)
		if err != nil {
			return fmt.Errorf("open network namespace %s: %w", name, err)
		}
		defer ns.Close()
		if err := netns.Set(ns); err != nil {
			return fmt.Errorf("enter network namespace %s: %w", name, err)
		}
		return f()
	})
}

// onOwnThread runs f on a thread that may change its network namespace, which f finds to be that of the process. A
// thread that cannot go back ends with its goroutine, so nothing else ever runs in the wrong namespace.
func onOwnThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("remember the network namespace: %w", err)
			return
		}
		err = f()
		if netns.Set(home) == nil {
			runtime.UnlockOSThread()
		}
		done <- errors.Join(err, home.Close())
	}()
	return <-done
}

// Dialer opens connections from inside the namespace; the connections themselves are plain sockets, so their use costs
// nothing. Addresses must be IP literals: a resolver would look around in the namespace of the process.
func Dialer(name string) func(ctx context.Context, network, address string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		var conn net.Conn
		err := Do(name, func() error {
			var err error
			conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("dial %s from network namespace %s: %w", address, name, err)
		}
		return conn, nil
	}
}

// Sysctl is one setting below /proc/sys, as in {"net/ipv4/ip_forward", "1"}.
type Sysctl struct{ Key, Value string }

// Set writes settings in the namespace, in order. Only net/ settings belong to a namespace; others would change the
// machine and are refused.
func Set(name string, settings ...Sysctl) error {
	return Do(name, func() error {
		for _, s := range settings {
			if !strings.HasPrefix(s.Key, "net/") {
				return fmt.Errorf("set %s: not a setting of a network namespace", s.Key)
			}
			if err := os.WriteFile(filepath.Join("/proc/sys", s.Key), []byte(s.Value), 0o644); err != nil {
				return fmt.Errorf("set %s to %s in network namespace %s: %w", s.Key, s.Value, name, err)
			}
		}
		return nil
	})
}
