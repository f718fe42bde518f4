// Package helm makes the Helm chart. Every object in it is one of config/default, with values in some places; the defaults of those values are what
// config/default says there. Only what a chart has and kustomize has not is written here: values.yaml, metallb.yaml, _helpers.tpl, NOTES.txt.
//
// Format: https://helm.sh/docs/topics/charts/.
package helm

import (
	"context"
	"embed"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/kustomize"
	"github.com/seed-551707bd/metallb-operator/config/olm"
)

// Folder is where the chart is in a checkout.
const Folder = "charts/metallb-operator"

// minKubeVersion is as old as the definitions and the operator allow; docs/install.md says why. The suffix lets versions with a suffix of a vendor's pass.
const minKubeVersion = ">=1.31.0-0"

//go:embed values.yaml metallb.yaml _helpers.tpl NOTES.txt
var written embed.FS

// Chart is the files of the chart: slash-separated path → content.
type Chart map[string][]byte

// Load makes the chart of the checkout at root. It runs kustomize.
func Load(ctx context.Context, root string) (Chart, error) {
	objects, err := kustomize.Build(ctx, root, "config/default")
	if err != nil {
		return nil, err
	}
	p, err := olm.LoadPackage(root)
	if err != nil {
		return nil, err
	}
	return build(objects, p.Versions[len(p.Versions)-1].Version)
}

// build makes the chart of the objects of config/default.
func build(objects []*unstructured.Unstructured, version string) (Chart, error) {
	chart := Chart{}
	namespace, err := namespaceOf(objects)
	if err != nil {
		return nil, err
	}
	for _, o := range objects {
		if err := chart.add(o, namespace); err != nil {
			return nil, err
		}
	}
	if chart["values.yaml"] == nil {
		return nil, fmt.Errorf("config/default: found no Deployment")
	}
	for name, to := range map[string]string{"metallb.yaml": "templates/metallb.yaml", "_helpers.tpl": "templates/_helpers.tpl", "NOTES.txt": "templates/NOTES.txt"} {
		if chart[to], err = written.ReadFile(name); err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	chart["Chart.yaml"], err = yaml.Marshal(map[string]any{
		"apiVersion": "v2", "name": "metallb-operator", "version": version, "appVersion": version, "kubeVersion": minKubeVersion, "type": "application",
		"description": "Load balancer for clusters without one: addresses for Services, announced by BGP or on layer 2.",
		"home":        "https://github.com/seed-551707bd/metallb-operator",
		"sources":     []string{"https://github.com/seed-551707bd/metallb-operator"},
	})
	if err != nil {
		return nil, fmt.Errorf("write Chart.yaml: %w", err)
	}
	return chart, nil
}

// add puts an object into the chart.
func (c Chart) add(o *unstructured.Unstructured, namespace string) (err error) {
	switch o.GetKind() {
	case "Namespace": // helm install --create-namespace
	case "CustomResourceDefinition":
		if c["crds/"+o.GetName()+".yaml"], err = yaml.Marshal(o.Object); err != nil {
			return fmt.Errorf("%s: %w", o.GetName(), err)
		}
	case "Deployment":
		d, err := readDeployment(o)
		if err != nil {
			return err
		}
		if c["values.yaml"], err = values(d); err != nil {
			return err
		}
		c[path(o)], err = d.template(namespace)
		return err
	default:
		c[path(o)], err = newTemplate().render(o, namespace)
	}
	return err
}

// path is where the template of an object is.
func path(o *unstructured.Unstructured) string {
	return "templates/" + strings.ToLower(o.GetKind()) + "-" + o.GetName() + ".yaml"
}

// namespaceOf returns the namespace of config/default, which the release's takes the place of.
func namespaceOf(objects []*unstructured.Unstructured) (string, error) {
	i := slices.IndexFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" })
	if i < 0 {
		return "", fmt.Errorf("config/default: found no Namespace")
	}
	return objects[i].GetName(), nil
}

// Write puts the chart into dir in place of what is there.
func (c Chart) Write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("write the chart: %w", err)
	}
	for _, name := range slices.Sorted(maps.Keys(c)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return fmt.Errorf("write the chart: %w", err)
		}
		if err := os.WriteFile(file, c[name], 0o644); err != nil {
			return fmt.Errorf("write the chart: %w", err)
		}
	}
	return nil
}
