package olm

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"
)

// Form is how a catalog refers to its bundles.
type Form int

const (
	// ByImage names the image of each bundle, which OLM pulls and unpacks.
	ByImage Form = iota
	// Inline holds the manifests themselves: for clusters that can pull no bundles. opm serves it like the other.
	Inline
)

// Catalog is the file-based catalog of bundles that are in the order of the package's versions: a stream of YAML documents.
func (p *Package) Catalog(bundles []Bundle, form Form) ([]byte, error) {
	if len(bundles) == 0 || len(bundles) > len(p.Versions) {
		return nil, fmt.Errorf("catalog of %s: got %d bundles of %d versions", p.Name, len(bundles), len(p.Versions))
	}
	var documents []any
	var entries []any
	var head *unstructured.Unstructured
	for i, b := range bundles {
		v := p.Versions[i]
		if b.Version != v.Version {
			return nil, fmt.Errorf("catalog of %s: bundle %d is of version %s: wanted %s", p.Name, i, b.Version, v.Version)
		}
		entry := map[string]any{"name": Name(p.Name, v.Version)}
		if v.Replaces != "" {
			entry["replaces"], entry["skipRange"] = Name(p.Name, v.Replaces), skipRange(v)
		}
		entries = append(entries, entry)
		blob, csv, err := p.blob(b, v, form)
		if err != nil {
			return nil, err
		}
		documents, head = append(documents, blob), csv
	}
	icon, _, err := unstructured.NestedSlice(head.Object, "spec", "icon")
	if err != nil || len(icon) == 0 {
		return nil, fmt.Errorf("catalog of %s: the last bundle has no icon (%w)", p.Name, err)
	}
	description, _, _ := unstructured.NestedString(head.Object, "spec", "description")
	first := icon[0].(map[string]any)
	documents = append([]any{
		map[string]any{"schema": "olm.package", "name": p.Name, "defaultChannel": p.Channel, "description": description,
			"icon": map[string]any{"base64data": first["base64data"], "mediatype": first["mediatype"]}},
		map[string]any{"schema": "olm.channel", "package": p.Name, "name": p.Channel, "entries": entries},
	}, documents...)
	return stream(documents)
}

// blob is one bundle of the catalog, and its ClusterServiceVersion.
func (p *Package) blob(b Bundle, v Version, form Form) (map[string]any, *unstructured.Unstructured, error) {
	objects := b.Objects()
	csv := only(objects, "ClusterServiceVersion", "")
	if csv == nil {
		return nil, nil, fmt.Errorf("bundle %s: found no ClusterServiceVersion", b.Version)
	}
	spec := csv.Object["spec"].(map[string]any)
	properties := []any{}
	property := func(kind string, value any) {
		properties = append(properties, map[string]any{"type": kind, "value": value})
	}
	owned, _, err := unstructured.NestedSlice(csv.Object, "spec", "customresourcedefinitions", "owned")
	if err != nil {
		return nil, nil, fmt.Errorf("bundle %s: %w", b.Version, err)
	}
	for _, o := range owned {
		api := o.(map[string]any)
		property("olm.gvk", map[string]any{"group": group, "kind": api["kind"], "version": api["version"]})
	}
	property("olm.package", map[string]any{"packageName": p.Name, "version": v.Version})
	images, _, _ := unstructured.NestedSlice(csv.Object, "spec", "relatedImages")
	blob := map[string]any{"schema": "olm.bundle", "package": p.Name, "name": csv.GetName()}
	switch form {
	case Inline:
		blob["image"] = ""
		for _, object := range objects {
			text, err := compact(object.Object)
			if err != nil {
				return nil, nil, fmt.Errorf("bundle %s: %w", b.Version, err)
			}
			property("olm.bundle.object", map[string]any{"data": base64.StdEncoding.EncodeToString([]byte(text))})
		}
	case ByImage:
		blob["image"] = p.bundleImage(v)
		images = append([]any{map[string]any{"name": "", "image": p.bundleImage(v)}}, images...)
		property("olm.csv.metadata", metadata(csv, spec))
	}
	blob["relatedImages"], blob["properties"] = images, properties
	return blob, csv, nil
}

// metadata is what consoles show of a bundle before it was pulled.
func metadata(csv *unstructured.Unstructured, spec map[string]any) map[string]any {
	out := map[string]any{"annotations": plain(csv.GetAnnotations()), "labels": plain(csv.GetLabels()), "apiServiceDefinitions": map[string]any{}}
	for from, to := range map[string]string{
		"customresourcedefinitions": "crdDescriptions", "description": "description", "displayName": "displayName", "installModes": "installModes",
		"keywords": "keywords", "links": "links", "maintainers": "maintainers", "maturity": "maturity", "minKubeVersion": "minKubeVersion", "provider": "provider",
	} {
		if value, ok := spec[from]; ok {
			out[to] = value
		}
	}
	return out
}

// stream writes YAML documents.
func stream(documents []any) ([]byte, error) {
	var b bytes.Buffer
	for _, document := range documents {
		text, err := json.Marshal(document)
		if err != nil {
			return nil, fmt.Errorf("write the catalog: %w", err)
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			return nil, fmt.Errorf("write the catalog: %w", err)
		}
		b.WriteString("---\n")
		b.Write(text)
	}
	return b.Bytes(), nil
}

// writeFile writes a file and the folders it is in.
func writeFile(path string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make the folder of %s: %w", path, err)
	}
	if err := os.WriteFile(path, text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
