package assets

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

//go:embed store.sh
var storeScript string

// keptStores is how many image stores stay in the cache; each shares its files with the one it was made from.
const keptStores = 5

// Store returns a containerd store that holds the images. Nodes begin with a link to it instead of importing archives.
// A store with more images is made from the one with the first of them, so the images that change often come last.
func (w *Workshop) Store(ctx context.Context, stable []Image, changing ...Image) (string, error) {
	root, err := w.NodeRoot(ctx)
	if err != nil {
		return "", err
	}
	base, err := w.cache.Entry(ctx, storeKey(root, stable), func(ctx context.Context, dir string) error {
		return w.fillStore(ctx, root, dir, stable)
	})
	if err != nil || len(changing) == 0 {
		return base, err
	}
	store, err := w.cache.Entry(ctx, storeKey(base, changing), func(ctx context.Context, dir string) error {
		if err := LinkStore(ctx, base, dir); err != nil {
			return err
		}
		return w.fillStore(ctx, root, dir, changing)
	})
	if err != nil {
		return "", err
	}
	return store, w.cache.Prune("store-*", keptStores)
}

func storeKey(under string, images []Image) string {
	inputs := []string{filepath.Base(under), storeScript}
	for _, image := range images {
		inputs = append(inputs, image.Digest)
	}
	return cache.Key("store", inputs...)
}

func (w *Workshop) fillStore(ctx context.Context, root, dir string, images []Image) error {
	scratch := dir + ".scratch"
	if err := os.RemoveAll(scratch); err != nil {
		return fmt.Errorf("clear %s: %w", scratch, err)
	}
	args := []string{"--mount", "--net", "--pid", "--fork", "--kill-child", "--propagation", "private",
		"bash", "-c", storeScript, "store.sh", root, dir, scratch}
	var names []string
	for _, image := range images {
		args = append(args, image.Archive)
		names = append(names, image.Reference)
	}
	w.say("importing %s", strings.Join(names, ", "))
	return errors.Join(run(ctx, dir, nil, "unshare", args...), os.RemoveAll(scratch))
}

// LinkStore fills the empty folder to with the store at from: files are shared, for containerd never changes one it has
// finished, and its databases are copied. Where the two are on different disks, everything is copied.
func LinkStore(ctx context.Context, from, to string) error {
	if run(ctx, to, nil, "cp", "-al", from+"/.", to) != nil {
		if err := run(ctx, to, nil, "cp", "-a", "--reflink=auto", "--remove-destination", from+"/.", to); err != nil {
			return err
		}
	}
	return filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".db" || inSnapshot(path) {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("copy database: %w", err)
		}
		if err := os.Remove(path); err != nil {
			return fmt.Errorf("copy database: %w", err)
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return fmt.Errorf("copy database: %w", err)
		}
		return nil
	})
}

// inSnapshot says whether a path is a file of an image rather than of containerd.
func inSnapshot(path string) bool { return strings.Contains(path, "/snapshots/") }
