// Package olm makes the package for the Operator Lifecycle Manager: a bundle per version and the file-based catalog of them. Everything that
// config/default or config/samples says comes from there; base.yaml has only what they do not.
//
// Formats: https://olm.operatorframework.io/docs/tasks/creating-operator-manifests/ and https://olm.operatorframework.io/docs/reference/file-based-catalogs/.
package olm

import (
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/kustomize"
)

// Names of files and folders in the top folder of a checkout.
const (
	// BundleFolder has one folder per version, of that name.
	BundleFolder = "bundle"
	// CatalogFolder is what opm serves: one folder per package.
	CatalogFolder = "catalog"
	sourceFolder  = "config/olm"
)

// Source is what bundles are made from.
type Source struct {
	// installation is what "kubectl apply -k config/default" applies, in that order.
	installation []*unstructured.Unstructured
	// samples are the objects of config/samples.
	samples []*unstructured.Unstructured
	// first is the MetalLB object of config/samples/demo.
	first *unstructured.Unstructured
	// base is base.yaml.
	base map[string]any
	// icon is icon.svg in base64.
	icon string
}

// Load reads the sources of the checkout at root. It runs kustomize as tools/go.mod pins it.
func Load(ctx context.Context, root string) (*Source, error) {
	s := &Source{}
	var err error
	if s.installation, err = kustomize.Build(ctx, root, "config/default"); err != nil {
		return nil, err
	}
	if s.samples, err = kustomize.Build(ctx, root, "config/samples"); err != nil {
		return nil, err
	}
	demo, err := kustomize.Build(ctx, root, "config/samples/demo")
	if err != nil {
		return nil, err
	}
	if s.first = only(demo, "MetalLB", ""); s.first == nil {
		return nil, fmt.Errorf("config/samples/demo: found no MetalLB object")
	}
	if err := readYAML(filepath.Join(root, sourceFolder, "base.yaml"), &s.base); err != nil {
		return nil, err
	}
	icon, err := os.ReadFile(filepath.Join(root, sourceFolder, "icon.svg"))
	if err != nil {
		return nil, fmt.Errorf("read the icon: %w", err)
	}
	s.icon = base64.StdEncoding.EncodeToString(icon)
	return s, nil
}

// of returns the objects of one kind.
func of(objects []*unstructured.Unstructured, kind string) []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, o := range objects {
		if o.GetKind() == kind {
			found = append(found, o)
		}
	}
	return found
}

// only returns the first object of a kind and name, any name where it is empty, or nil.
func only(objects []*unstructured.Unstructured, kind, name string) *unstructured.Unstructured {
	for _, o := range of(objects, kind) {
		if name == "" || o.GetName() == name {
			return o
		}
	}
	return nil
}

// readYAML reads a file, strictly, into a value.
func readYAML(path string, into any) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read %s: %w", filepath.Base(path), err)
	}
	if err := yaml.UnmarshalStrict(text, into); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}
