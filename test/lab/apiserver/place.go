package apiserver

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// dirPrefix begins the name of every data folder; the process id of its owner follows.
const dirPrefix = "metallb-apiserver-"

// memoryNeeded is what /dev/shm must have free, in bytes, before etcd's data goes there.
const memoryNeeded = 1 << 30

// ownLoopback is an address of 127.0.0.0/8 that belongs to the process alone: process ids have at most 22 bits, and the
// lowest addresses, which others use, are left out.
func ownLoopback(pid int) netip.Addr {
	n := pid + 1<<22 // 127.64.0.0 and up
	return netip.AddrFrom4([4]byte{127, byte(n >> 16), byte(n >> 8), byte(n)})
}

// freePorts are n TCP ports that nobody listens on at the address, which only this process uses.
func freePorts(address netip.Addr, n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(address, 0)))
		if err != nil {
			return nil, fmt.Errorf("find a free port on %s: %w", address, err)
		}
		defer l.Close() // only at the end, so that no port comes twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// makeDataDir makes a folder for keys, logs and etcd's data, in memory where there is room (etcd syncs every write to
// its disk), and removes those of processes that have died.
func makeDataDir() (string, error) {
	base := os.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs("/dev/shm", &fs); err == nil && fs.Bavail*uint64(fs.Bsize) >= memoryNeeded {
		base = "/dev/shm"
	}
	if err := removeOrphans(base); err != nil {
		return "", err
	}
	dir, err := os.MkdirTemp(base, dirPrefix+strconv.Itoa(os.Getpid())+"-")
	if err != nil {
		return "", fmt.Errorf("make a folder for the control plane: %w", err)
	}
	return dir, nil
}

func removeOrphans(base string) error {
	dirs, err := filepath.Glob(filepath.Join(base, dirPrefix+"*"))
	if err != nil {
		return fmt.Errorf("look for folders left behind: %w", err)
	}
	var errs []error
	for _, dir := range dirs {
		if pid, ok := ownerOf(dir); ok && errors.Is(unix.Kill(pid, 0), unix.ESRCH) {
			errs = append(errs, os.RemoveAll(dir))
		}
	}
	return errors.Join(errs...)
}

// ownerOf reads the process id out of a data folder's name.
func ownerOf(dir string) (pid int, ok bool) {
	id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), dirPrefix), "-")
	pid, err := strconv.Atoi(id)
	return pid, err == nil && pid > 0
}
