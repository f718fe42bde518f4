package olm

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/kustomize"
)

// Version is one version of the package.
type Version struct {
	// Version is a semantic version without a leading v, as in "0.2.0".
	Version string `json:"version"`
	// Replaces is the version that is upgraded to this one, empty for the first. Any version between the two goes to this one directly.
	Replaces string `json:"replaces,omitempty"`
	// CreatedAt is when the version was made, RFC 3339.
	CreatedAt string `json:"createdAt"`
	// Released versions are never written again.
	Released bool `json:"released,omitempty"`
	// BundleImage holds the bundle; where it is empty it is the package's with the tag v and the version.
	BundleImage string `json:"bundleImage,omitempty"`
}

// Bundle is the folder of one version: slash-separated path → content.
type Bundle struct {
	Version string
	Files   map[string][]byte
}

// Paths inside of a bundle's folder.
const (
	manifestsFolder = "manifests/"
	annotationsFile = "metadata/annotations.yaml"
	dockerFile      = "Dockerfile"
	// bundleMediaType is the format that OLM calls "registry+v1": plain manifests with a ClusterServiceVersion.
	bundleMediaType = "registry+v1"
)

// Name is the name of the ClusterServiceVersion of a version of a package.
func Name(pkg, version string) string { return pkg + ".v" + version }

// Bundle makes the bundle of one version, with the images given.
func (s *Source) Bundle(p *Package, v Version, images Images) (Bundle, error) {
	if err := images.check(); err != nil {
		return Bundle{}, err
	}
	csv, err := s.csv(p, v, images)
	if err != nil {
		return Bundle{}, fmt.Errorf("version %s: %w", v.Version, err)
	}
	b := Bundle{Version: v.Version, Files: map[string][]byte{}}
	objects := append([]*unstructured.Unstructured{{Object: csv}}, s.manifests()...)
	for _, object := range objects {
		text, err := yaml.Marshal(object.Object)
		if err != nil {
			return Bundle{}, fmt.Errorf("write %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		path := manifestsFolder + fileName(object, p.Name)
		if _, ok := b.Files[path]; ok {
			return Bundle{}, fmt.Errorf("version %s: two objects want the file %s", v.Version, path)
		}
		b.Files[path] = text
	}
	annotations := p.annotations()
	text, err := yaml.Marshal(map[string]any{"annotations": annotations})
	if err != nil {
		return Bundle{}, fmt.Errorf("write %s: %w", annotationsFile, err)
	}
	b.Files[annotationsFile] = text
	b.Files[dockerFile] = dockerfile(annotations)
	return b, nil
}

// manifests are the objects beside the ClusterServiceVersion. Not among them: the Namespace, which is there before OLM acts; the operator's
// ServiceAccount, Deployment and cluster-wide rights, which are in the ClusterServiceVersion (as a manifest too, a ServiceAccount would keep upgrades
// pending); the webhooks and their Service, which OLM makes from the ClusterServiceVersion.
//
// The operator's rights in its namespace are here and not in the ClusterServiceVersion: OLM gives what stands there in all namespaces if the
// OperatorGroup names none, and these include Secrets.
func (s *Source) manifests() []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, o := range s.installation {
		switch o.GetKind() {
		case "CustomResourceDefinition", "Role", "RoleBinding":
		case "ClusterRole":
			if s.bound(o.GetName()) {
				continue // in the ClusterServiceVersion
			}
		default:
			continue
		}
		o = o.DeepCopy()
		// OLM chooses the namespace.
		o.SetNamespace("")
		// OLM says itself how versions are converted, from the webhooks of the ClusterServiceVersion; what stood here would be in force too early.
		unstructured.RemoveNestedField(o.Object, "spec", "conversion")
		all = append(all, o)
	}
	return all
}

// fileName is the name of the file of an object.
func fileName(o *unstructured.Unstructured, pkg string) string {
	switch o.GetKind() {
	case "ClusterServiceVersion":
		return pkg + ".clusterserviceversion.yaml"
	case "CustomResourceDefinition":
		plural, group, _ := strings.Cut(o.GetName(), ".")
		return group + "_" + plural + ".yaml"
	default:
		return o.GetName() + "." + strings.ToLower(o.GetKind()) + ".yaml"
	}
}

// annotations describe a bundle to OLM, in its folder and on its image.
func (p *Package) annotations() map[string]string {
	const prefix = "operators.operatorframework.io.bundle."
	return map[string]string{
		prefix + "mediatype.v1":       bundleMediaType,
		prefix + "manifests.v1":       manifestsFolder,
		prefix + "metadata.v1":        "metadata/",
		prefix + "package.v1":         p.Name,
		prefix + "channels.v1":        p.Channel,
		prefix + "channel.default.v1": p.Channel,
	}
}

// dockerfile makes the bundle's image: its files and nothing else.
func dockerfile(annotations map[string]string) []byte {
	var b strings.Builder
	b.WriteString("# The image of this bundle: nothing but its files. docker build -t NAME .\nFROM scratch\n")
	for _, key := range sortedKeys(annotations) {
		fmt.Fprintf(&b, "LABEL %s=%s\n", key, annotations[key])
	}
	b.WriteString("COPY manifests /manifests/\nCOPY metadata /metadata/\n")
	return []byte(b.String())
}

// Write replaces the folder dir by the bundle.
func (b Bundle) Write(dir string) error {
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("clear %s: %w", dir, err)
	}
	for _, path := range sortedKeys(b.Files) {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("make a folder of bundle %s: %w", b.Version, err)
		}
		if err := os.WriteFile(full, b.Files[path], 0o644); err != nil {
			return fmt.Errorf("write bundle %s: %w", b.Version, err)
		}
	}
	return nil
}

// ReadBundle reads the folder dir, whose name is the version.
func ReadBundle(dir string) (Bundle, error) {
	b := Bundle{Version: filepath.Base(dir), Files: map[string][]byte{}}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		b.Files[filepath.ToSlash(relative)], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		return Bundle{}, fmt.Errorf("read bundle %s: %w", b.Version, err)
	}
	if len(b.Objects()) == 0 {
		return Bundle{}, fmt.Errorf("read bundle %s: %w", b.Version, errors.New("it has no manifests"))
	}
	return b, nil
}

// Objects are the bundle's manifests, in the order of their files; what is no object is left out.
func (b Bundle) Objects() []*unstructured.Unstructured {
	var all []*unstructured.Unstructured
	for _, path := range sortedKeys(b.Files) {
		if !strings.HasPrefix(path, manifestsFolder) {
			continue
		}
		if objects, err := kustomize.Decode(b.Files[path]); err == nil {
			all = append(all, objects...)
		}
	}
	return all
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
