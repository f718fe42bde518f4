package assets

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/images"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// References of the images that every node of a lab has.
const (
	PauseImage    = "localhost/pause:1"
	EchoImage     = "localhost/echo:dev"
	FRRImage      = "localhost/frr:dev"
	ProgramsImage = "localhost/metallb-operator:dev"
)

// ProgramsScript builds this project's programs; Dockerfile runs the same file.
const ProgramsScript = "images/programs"

// keptImages is how many versions of an image of this project's programs stay in the cache.
const keptImages = 3

// Image is an archive in the format of "docker save".
type Image struct {
	Reference string
	Archive   string // path of the file
	Digest    string // names the content: equal digests, equal archives
}

// StableImages are the images that change seldom: pause, echo and FRR.
func (w *Workshop) StableImages(ctx context.Context) ([]Image, error) {
	var all []Image
	for _, program := range []struct{ reference, name string }{{PauseImage, "pause"}, {EchoImage, "echo"}} {
		image, err := w.programImage(ctx, program.reference, images.Settings{Entrypoint: []string{"/" + program.name}, User: "65532:65532"},
			func(ctx context.Context, dir string) error {
				return w.goBuild(ctx, filepath.Join(dir, program.name), source.Module+"/test/lab/"+program.name)
			})
		if err != nil {
			return nil, err
		}
		all = append(all, image)
	}
	frr, err := w.frrImage(ctx)
	return append(all, frr), err
}

// Programs is the image of this project's own programs, as Dockerfile makes it.
func (w *Workshop) Programs(ctx context.Context) (Image, error) {
	stages, err := w.dockerfile("Dockerfile")
	if err != nil {
		return Image{}, err
	}
	w.say("building the project's programs")
	return w.programImage(ctx, ProgramsImage, stages[len(stages)-1].Image, func(ctx context.Context, dir string) error {
		return run(ctx, w.root, nil, filepath.Join(w.root, ProgramsScript), dir)
	})
}

// ProgramsVersion is Programs as another version: an image of another name whose programs are other files and do the same. What follows an ELF
// file's own content means nothing.
func (w *Workshop) ProgramsVersion(ctx context.Context, version string) (Image, error) {
	stages, err := w.dockerfile("Dockerfile")
	if err != nil {
		return Image{}, err
	}
	return w.programImage(ctx, "localhost/programs-"+version+":dev", stages[len(stages)-1].Image, func(ctx context.Context, dir string) error {
		if err := run(ctx, w.root, nil, filepath.Join(w.root, ProgramsScript), dir); err != nil {
			return err
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			return fmt.Errorf("make version %s of the programs: %w", version, err)
		}
		for _, entry := range entries {
			if err := mark(filepath.Join(dir, entry.Name()), version); err != nil {
				return fmt.Errorf("make version %s of the programs: %w", version, err)
			}
		}
		return nil
	})
}

// mark makes a file end with a text. Go leaves a program that is up to date as it is.
func mark(path, text string) error {
	content, err := os.ReadFile(path)
	if err != nil || bytes.HasSuffix(content, []byte(text)) {
		return err
	}
	return os.WriteFile(path, append(content, text...), 0o755)
}

// Program builds one of this module's commands for the machine itself and returns its path, which names its content's
// place in the checkout only: a later call for the same package replaces the file.
func (w *Workshop) Program(ctx context.Context, pkg, name string) (string, error) {
	dir, unlock, err := w.buildFolder(ctx, name)
	if err != nil {
		return "", err
	}
	defer unlock()
	path := filepath.Join(dir, name)
	return path, w.goBuild(ctx, path, pkg)
}

func (w *Workshop) goBuild(ctx context.Context, out, pkg string) error {
	return run(ctx, w.root, []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", out, pkg)
}

// buildFolder is a folder of this checkout's own in which Go finds its last output, so that nothing is linked anew
// when nothing changed.
func (w *Workshop) buildFolder(ctx context.Context, name string) (dir string, unlock func(), err error) {
	key := cache.Key("build-"+name, w.root)
	if unlock, err = w.cache.Lock(ctx, key); err != nil {
		return "", nil, err
	}
	dir = filepath.Join(w.cache.Dir(), key)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		unlock()
		return "", nil, fmt.Errorf("make build folder: %w", err)
	}
	return dir, unlock, nil
}

// programImage builds programs into a folder and makes an image of exactly them.
func (w *Workshop) programImage(ctx context.Context, reference string, settings images.Settings, build func(ctx context.Context, dir string) error) (Image, error) {
	name := strings.TrimPrefix(strings.Split(reference, ":")[0], "localhost/")
	dir, unlock, err := w.buildFolder(ctx, name)
	if err != nil {
		return Image{}, err
	}
	defer unlock()
	if err := build(ctx, dir); err != nil {
		return Image{}, err
	}
	digest, err := folderDigest(dir)
	if err != nil {
		return Image{}, err
	}
	image, err := w.image(ctx, "image-"+name, reference, dir, settings, digest)
	if err != nil {
		return Image{}, err
	}
	return image, w.cache.Prune("image-"+name+"-*", keptImages)
}

func (w *Workshop) frrImage(ctx context.Context) (Image, error) {
	stages, err := w.dockerfile("Dockerfile.frr")
	if err != nil {
		return Image{}, err
	}
	root, err := w.FRRRoot(ctx)
	if err != nil {
		return Image{}, err
	}
	return w.image(ctx, "image-frr", FRRImage, root, stages[len(stages)-1].Image, filepath.Base(root))
}

// image archives the tree at root, of which content is a name.
func (w *Workshop) image(ctx context.Context, entry, reference, root string, settings images.Settings, content string) (Image, error) {
	key := cache.Key(entry, reference, content, fmt.Sprintf("%+v", settings))
	dir, err := w.cache.Entry(ctx, key, func(_ context.Context, dir string) error {
		w.say("writing image %s", reference)
		return images.WriteArchive(filepath.Join(dir, "image.tar"), reference, root, settings)
	})
	return Image{Reference: reference, Archive: filepath.Join(dir, "image.tar"), Digest: key}, err
}

// ImageFile is an image archive that something else made.
func ImageFile(path string) (Image, error) {
	f, err := os.Open(path)
	if err != nil {
		return Image{}, fmt.Errorf("open image archive: %w", err)
	}
	defer f.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return Image{}, fmt.Errorf("read image archive %s: %w", path, err)
	}
	return Image{Reference: filepath.Base(path), Archive: path, Digest: hex.EncodeToString(hash.Sum(nil))}, nil
}

func (w *Workshop) dockerfile(name string) ([]images.Stage, error) {
	text, err := os.ReadFile(filepath.Join(w.root, name))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	stages, err := images.ParseDockerfile(string(text))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return stages, nil
}

// folderDigest is a name of the files in a folder and what they hold.
func folderDigest(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", fmt.Errorf("read folder: %w", err)
	}
	hash := sha256.New()
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return "", fmt.Errorf("read %s: %w", e.Name(), err)
		}
		fmt.Fprintf(hash, "%s\n", e.Name())
		_, err = io.Copy(hash, f)
		f.Close()
		if err != nil {
			return "", fmt.Errorf("read %s: %w", e.Name(), err)
		}
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
