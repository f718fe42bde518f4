package assets

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// olmTag leaves out signatures by GnuPG, which opm would need C libraries for.
const olmTag = "containers_image_openpgp"

// olmModule pins opm and the validators, which need other versions of Kubernetes' libraries than the project.
func (w *Workshop) olmModule() string { return filepath.Join(w.root, "tools", "olm") }

// OPM returns the path of opm, the program that checks and serves OLM catalogs, at the version that tools/olm pins. A cold build takes three
// minutes of processor time.
func (w *Workshop) OPM(ctx context.Context) (string, error) {
	const module = "github.com/operator-framework/operator-registry"
	gomod, err := os.ReadFile(filepath.Join(w.olmModule(), "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the pinned version of opm: %w", err)
	}
	version, err := source.Requirement(gomod, module)
	if err != nil {
		return "", err
	}
	return w.olmProgram(ctx, "opm-"+version, "opm", module+"/cmd/opm")
}

// BundleValidator returns the path of tools/olm/validate, which judges bundles as OLM's catalogs do. A cold build takes two minutes of
// processor time.
func (w *Workshop) BundleValidator(ctx context.Context) (string, error) {
	var inputs []string
	for _, file := range []string{"go.sum", "validate/main.go"} {
		text, err := os.ReadFile(filepath.Join(w.olmModule(), filepath.FromSlash(file)))
		if err != nil {
			return "", fmt.Errorf("read what the validator of bundles is made from: %w", err)
		}
		inputs = append(inputs, string(text))
	}
	return w.olmProgram(ctx, cache.Key("olm-validate", inputs...), "validate", "./validate")
}

// olmProgram builds one program of tools/olm, once.
func (w *Workshop) olmProgram(ctx context.Context, entry, name, pkg string) (string, error) {
	dir, err := w.cache.Entry(ctx, entry, func(ctx context.Context, dir string) error {
		w.say("building %s (once per version, the first takes minutes)", strings.TrimPrefix(entry, "olm-"))
		return run(ctx, w.olmModule(), []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-tags", olmTag,
			"-ldflags", "-s -w", "-o", filepath.Join(dir, name), pkg)
	})
	return filepath.Join(dir, name), err
}
