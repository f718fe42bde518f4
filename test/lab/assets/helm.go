package assets

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// Helm returns the path of helm at the version that tools/helm pins, which needs other versions of Kubernetes' libraries than the project. A cold build
// takes two minutes of processor time.
func (w *Workshop) Helm(ctx context.Context) (string, error) {
	const module = "helm.sh/helm/v3"
	folder := filepath.Join(w.root, "tools", "helm")
	gomod, err := os.ReadFile(filepath.Join(folder, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the pinned version of helm: %w", err)
	}
	version, err := source.Requirement(gomod, module)
	if err != nil {
		return "", err
	}
	dir, err := w.cache.Entry(ctx, "helm-"+version, func(ctx context.Context, dir string) error {
		w.say("building helm %s (once per version, the first takes minutes)", version)
		return run(ctx, folder, []string{"CGO_ENABLED=0"}, "go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", filepath.Join(dir, "helm"), module+"/cmd/helm")
	})
	return filepath.Join(dir, "helm"), err
}
