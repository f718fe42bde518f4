// Package cache keeps what is slow to make between runs of the lab: compiled Kubernetes programs, root file systems,
// image archives. An entry is a directory that is either complete or absent; it is named after its content, so a fresh
// clone reuses what an earlier one made and never depends on it.
package cache

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Cache is a folder of entries that several processes may use at the same time.
type Cache struct {
	dir string
}

// Open uses dir, or "metallb-lab" in the user's cache folder (os.UserCacheDir) where dir is empty, and creates it.
func Open(dir string) (*Cache, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return nil, fmt.Errorf("find the user's cache folder: %w", err)
		}
		dir = filepath.Join(base, "metallb-lab")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("make cache folder absolute: %w", err)
	}
	for _, d := range []string{dir, filepath.Join(dir, ".locks"), filepath.Join(dir, ".tmp")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return nil, fmt.Errorf("create cache folder: %w", err)
		}
	}
	return &Cache{dir: dir}, nil
}

// Dir is the folder that holds the entries.
func (c *Cache) Dir() string { return c.dir }

// Key names an entry after its inputs: equal inputs in equal order give the equal name, and any other give another.
func Key(name string, inputs ...string) string {
	h := sha256.New()
	for _, in := range inputs {
		fmt.Fprintf(h, "%d:%s", len(in), in)
	}
	return name + "-" + hex.EncodeToString(h.Sum(nil))[:12]
}

// Entry returns the folder of the named entry. Where it is missing, build fills an empty folder beside it, which takes
// the entry's name only after build succeeded; a second process that wants the same entry waits for the first.
// The time stamp of the folder tells when it was last asked for.
func (c *Cache) Entry(ctx context.Context, name string, build func(ctx context.Context, dir string) error) (string, error) {
	path := filepath.Join(c.dir, name)
	if touch(path) {
		return path, nil
	}
	unlock, err := c.Lock(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	if touch(path) {
		return path, nil
	}
	tmp := filepath.Join(c.dir, ".tmp", name)
	if err := os.RemoveAll(tmp); err != nil { // left by a builder that was killed
		return "", fmt.Errorf("clear %s: %w", tmp, err)
	}
	if err := os.Mkdir(tmp, 0o755); err != nil {
		return "", fmt.Errorf("create %s: %w", tmp, err)
	}
	if err := build(ctx, tmp); err != nil {
		return "", errors.Join(fmt.Errorf("build cache entry %s: %w", name, err), os.RemoveAll(tmp))
	}
	if err := os.Rename(tmp, path); err != nil {
		return "", fmt.Errorf("finish cache entry %s: %w", name, err)
	}
	return path, nil
}

// touch says whether the entry exists and notes that it was asked for.
func touch(path string) bool {
	now := time.Now()
	return os.Chtimes(path, now, now) == nil
}

// Lock holds the named lock of this cache against every other process and goroutine until unlock is called. It ends
// with the process in any case.
func (c *Cache) Lock(ctx context.Context, name string) (unlock func(), err error) {
	return LockFile(ctx, filepath.Join(c.dir, ".locks", name))
}

// LockFile holds an advisory lock (flock(2)) on the file at path, which it creates, until unlock is called.
func LockFile(ctx context.Context, path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("wait for lock %s: %w", path, ctx.Err()), f.Close())
		case <-tick.C:
		}
	}
}

// Prune removes all but the keep most recently used entries whose name matches pattern (filepath.Match).
func (c *Cache) Prune(pattern string, keep int) error {
	paths, err := filepath.Glob(filepath.Join(c.dir, pattern))
	if err != nil {
		return fmt.Errorf("list cache entries %s: %w", pattern, err)
	}
	entries := make([]entry, 0, len(paths))
	for _, p := range paths {
		info, err := os.Stat(p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("look at cache entry: %w", err)
		}
		entries = append(entries, entry{path: p, used: info.ModTime()})
	}
	for _, old := range oldest(entries, keep) {
		if err := os.RemoveAll(old); err != nil {
			return fmt.Errorf("remove cache entry: %w", err)
		}
	}
	return nil
}
