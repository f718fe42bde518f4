package assets

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/images"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// lifecycleManager is the module of OLM, which test/lab/olm pins.
const lifecycleManager = "github.com/operator-framework/operator-lifecycle-manager"

// lifecyclePrograms are OLM's own two operators and what its Jobs copy a bundle out of its image with.
var lifecyclePrograms = map[string]string{"olm": "/cmd/olm", "catalog": "/cmd/catalog", "cpb": "/util/cpb"}

// LifecycleManager returns a folder with OLM's static programs in bin (olm, catalog, cpb) and its definitions in crds, at the version that test/lab/olm
// pins. A cold build takes about five minutes of processor time.
func (w *Workshop) LifecycleManager(ctx context.Context) (string, error) {
	version, err := w.lifecycleVersion()
	if err != nil {
		return "", err
	}
	return w.cache.Entry(ctx, "olm-"+version, func(ctx context.Context, dir string) error {
		w.say("building OLM %s (once per version, the first takes minutes)", version)
		for name, pkg := range lifecyclePrograms {
			if err := run(ctx, w.lifecycleModule(), []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-tags", olmTag,
				"-ldflags", "-s -w", "-o", filepath.Join(dir, "bin", name), lifecycleManager+pkg); err != nil {
				return err
			}
		}
		list := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", lifecycleManager)
		list.Dir = w.lifecycleModule()
		from, err := list.Output()
		if err != nil {
			return fmt.Errorf("find the definitions of OLM: %w", err)
		}
		return copyTree(ctx, filepath.Join(strings.TrimSpace(string(from)), "deploy", "chart", "crds"), filepath.Join(dir, "crds"))
	})
}

// LifecycleImage is the image of the pods of OLM: its programs, opm, which serves catalogs and reads bundles, and the cp that its Jobs ask for.
func (w *Workshop) LifecycleImage(ctx context.Context) (Image, error) {
	version, err := w.lifecycleVersion()
	if err != nil {
		return Image{}, err
	}
	programs, err := w.LifecycleManager(ctx)
	if err != nil {
		return Image{}, err
	}
	opm, err := w.OPM(ctx)
	if err != nil {
		return Image{}, err
	}
	busybox, err := w.busybox(ctx)
	if err != nil {
		return Image{}, err
	}
	reference := "localhost/olm:" + version
	key := cache.Key("image-olm", reference, filepath.Base(programs), filepath.Base(filepath.Dir(opm)), filepath.Base(busybox), "tmp")
	dir, err := w.cache.Entry(ctx, key, func(ctx context.Context, dir string) error {
		w.say("writing image %s", reference)
		root := filepath.Join(dir, "root")
		defer os.RemoveAll(root)
		if err := copyTree(ctx, filepath.Join(programs, "bin"), filepath.Join(root, "bin")); err != nil {
			return err
		}
		for _, program := range []string{opm, filepath.Join(busybox, "bin", "busybox")} {
			if err := run(ctx, dir, nil, "cp", "-a", program, filepath.Join(root, "bin")); err != nil {
				return err
			}
		}
		if err := os.Symlink("busybox", filepath.Join(root, "bin", "cp")); err != nil {
			return fmt.Errorf("put cp into image %s: %w", reference, err)
		}
		if err := os.Mkdir(filepath.Join(root, "tmp"), 0o755); err != nil { // opm builds its cache there
			return fmt.Errorf("make a folder of image %s: %w", reference, err)
		}
		if err := os.Chmod(filepath.Join(root, "tmp"), 0o777|os.ModeSticky); err != nil {
			return fmt.Errorf("open a folder of image %s: %w", reference, err)
		}
		// As OLM's own image, which nobody writes to either.
		return images.WriteArchive(filepath.Join(dir, "image.tar"), reference, root, images.Settings{Entrypoint: []string{"/bin/olm"}, User: "1001:1001"})
	})
	return Image{Reference: reference, Archive: filepath.Join(dir, "image.tar"), Digest: key}, err
}

func (w *Workshop) lifecycleModule() string { return filepath.Join(w.root, "test", "lab", "olm") }

// lifecycleVersion is the pinned release of OLM, as in "v0.33.0".
func (w *Workshop) lifecycleVersion() (string, error) {
	gomod, err := os.ReadFile(filepath.Join(w.lifecycleModule(), "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the pinned version of OLM: %w", err)
	}
	return source.Requirement(gomod, lifecycleManager)
}

// busybox returns a folder with Debian's static busybox, which stands for a shell's programs where an image has nothing else.
func (w *Workshop) busybox(ctx context.Context) (string, error) {
	return w.cache.Entry(ctx, "busybox-1", func(ctx context.Context, dir string) error {
		w.say("fetching busybox from Debian")
		return w.unpackDebian(ctx, "busybox-static", dir)
	})
}

// copyTree copies a folder, whose files may be read-only as those of the module cache are, to one that does not exist yet.
func copyTree(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(to, 0o755); err != nil {
		return fmt.Errorf("make %s: %w", to, err)
	}
	return run(ctx, to, nil, "cp", "-r", from+"/.", to)
}
