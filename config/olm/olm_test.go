package olm

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// top is the top folder of the checkout.
const top = "../.."

// loaded is read once: kustomize is slow.
var loaded struct {
	once   sync.Once
	source *Source
	err    error
}

func load(t *testing.T) (*Package, *Source) {
	t.Helper()
	p, err := LoadPackage(top)
	if err != nil {
		t.Fatal(err)
	}
	loaded.once.Do(func() { loaded.source, loaded.err = Load(t.Context(), top) })
	if loaded.err != nil {
		t.Fatal(loaded.err)
	}
	return p, loaded.source
}

// files are those of the package in a checkout, by their paths.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, folder := range []string{BundleFolder, CatalogFolder} {
		err := fs.WalkDir(os.DirFS(root), folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(filepath.Join(root, path))
			found[path] = string(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return found
}

// Given config/default, config/samples and config/olm as they are, when the package is made, then it is what is checked in.
func TestCheckedIn(t *testing.T) {
	p, s := load(t)
	dir := t.TempDir()
	for _, v := range p.Versions {
		if !v.Released {
			continue
		}
		b, err := ReadBundle(filepath.Join(top, BundleFolder, v.Version))
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Write(filepath.Join(dir, BundleFolder, v.Version)); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.WriteAll(dir, s, Images{}); err != nil {
		t.Fatal(err)
	}
	want := files(t, dir)
	if len(want) < 40 {
		t.Fatalf("only %d files were made", len(want))
	}
	if diff := cmp.Diff(want, files(t, top)); diff != "" {
		t.Errorf("make bundle makes something else (-makes +is):\n%s", diff)
	}
}

// Given the package, when its versions are looked at, then there is something to upgrade from.
func TestTwoVersions(t *testing.T) {
	p, _ := load(t)
	if len(p.Versions) < 2 || p.Versions[1].Replaces != p.Versions[0].Version {
		t.Errorf("versions are %+v", p.Versions)
	}
}

// Given images with digests, when a bundle is made, then it names these and no others, in the Deployment, for what the operator installs, among the
// related images and in the catalog.
func TestImagesWithDigests(t *testing.T) {
	p, s := load(t)
	images := Images{Programs: "registry.example/operator@sha256:" + strings.Repeat("a", 64), FRR: "registry.example/frr@sha256:" + strings.Repeat("b", 64)}
	v := p.Versions[0]
	b, err := s.Bundle(p, v, images)
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range b.Files {
		if strings.Contains(string(text), "localhost/") {
			t.Errorf("%s names an image of this machine", path)
		}
	}
	csv := only(b.Objects(), "ClusterServiceVersion", "")
	want := []any{map[string]any{"name": "metallb-operator", "image": images.Programs}, map[string]any{"name": "frr", "image": images.FRR}}
	if got, _, _ := unstructured.NestedSlice(csv.Object, "spec", "relatedImages"); !cmp.Equal(want, got) {
		t.Errorf("related images (-want +got):\n%s", cmp.Diff(want, got))
	}
	container := newCandidate(t, p, s, v, b).container()
	set := map[string]any{"": container["image"]}
	for _, variable := range variables(container) {
		set[variable["name"].(string)] = variable["value"]
	}
	wantSet := map[string]any{"": images.Programs, "CONTROLLER_IMAGE": images.Programs, "SPEAKER_IMAGE": images.Programs, "FRR_IMAGE": images.FRR}
	if diff := cmp.Diff(wantSet, set); diff != "" {
		t.Errorf("images of the operator (-want +got):\n%s", diff)
	}
	if got := csv.GetAnnotations()["containerImage"]; got != images.Programs {
		t.Errorf("containerImage is %s", got)
	}
	// The sources are as before: the next bundle has the images of config/default.
	next, err := s.Bundle(p, v, Images{})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(next.Files[manifestsFolder+"metallb-operator.clusterserviceversion.yaml"]), "registry.example") {
		t.Error("images of one bundle are in the next one")
	}
}

// Given a reference that may mean another image tomorrow, when a bundle is to be made, then it is refused, and both images are named.
func TestImagesWithoutDigests(t *testing.T) {
	p, s := load(t)
	_, err := s.Bundle(p, p.Versions[0], Images{Programs: "registry.example/operator:v1", FRR: "quay.io/frrouting/frr:10.5.3"})
	for _, words := range []string{"registry.example/operator:v1", "quay.io/frrouting/frr:10.5.3", "wanted a reference with a digest"} {
		if err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error does not say %q: %v", words, err)
		}
	}
}

// Given a released version, when all is written, then its folder is as it was, and the catalog names its image.
func TestReleasedStays(t *testing.T) {
	p, s := load(t)
	dir := t.TempDir()
	first, err := s.Bundle(p, p.Versions[0], Images{})
	if err != nil {
		t.Fatal(err)
	}
	kept := manifestsFolder + "metallb-operator.clusterserviceversion.yaml"
	first.Files[kept] = append(first.Files[kept], "# as released\n"...)
	if err := first.Write(filepath.Join(dir, BundleFolder, first.Version)); err != nil {
		t.Fatal(err)
	}
	released := *p
	released.Versions = slices.Clone(p.Versions)
	released.Versions[0].Released = true
	released.Versions[0].BundleImage = "registry.example/bundle@sha256:" + strings.Repeat("c", 64)
	if err := released.check(); err != nil {
		t.Fatal(err)
	}
	if err := released.WriteAll(dir, s, Images{}); err != nil {
		t.Fatal(err)
	}
	found := files(t, dir)
	if !strings.Contains(found["bundle/"+first.Version+"/"+kept], "# as released") {
		t.Error("the released bundle was written again")
	}
	if !strings.Contains(found["catalog/metallb-operator/catalog.yaml"], "image: "+released.Versions[0].BundleImage+"\n") {
		t.Error("the catalog does not name the image of the released bundle")
	}
}

// Given a package.yaml that OLM could not use, when it is checked, then the error names what is wrong.
func TestPackageRefused(t *testing.T) {
	good := func() Package {
		return Package{Name: "p", Channel: "stable", BundleImage: "localhost/p", Versions: []Version{{Version: "0.1.0"}, {Version: "0.2.0", Replaces: "0.1.0"}}}
	}
	if p := good(); p.check() != nil {
		t.Fatal(p.check())
	}
	for words, edit := range map[string]func(*Package){
		"at least one version":                  func(p *Package) { p.Versions = nil },
		`versions[0].version is "v0.1.0"`:       func(p *Package) { p.Versions[0].Version = "v0.1.0" },
		`versions[1].replaces is ""`:            func(p *Package) { p.Versions[1].Replaces = "" },
		`versions[1].version is "0.1.0" a seco`: func(p *Package) { p.Versions[1].Version = "0.1.0" },
		"wanted one with a digest":              func(p *Package) { p.Versions[0].Released = true },
	} {
		p := good()
		edit(&p)
		if err := p.check(); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error does not say %q: %v", words, err)
		}
	}
}

// Given a kind without a display name, or a name without a kind, when a bundle is made, then the error names it.
func TestKindsComplete(t *testing.T) {
	p, s := load(t)
	edited := func(edit func([]any) []any) *Source {
		copied := *s
		base := (&unstructured.Unstructured{Object: s.base}).DeepCopy()
		owned, _, err := unstructured.NestedSlice(base.Object, "spec", "customresourcedefinitions", "owned")
		if err != nil {
			t.Fatal(err)
		}
		if err := unstructured.SetNestedSlice(base.Object, edit(owned), "spec", "customresourcedefinitions", "owned"); err != nil {
			t.Fatal(err)
		}
		copied.base = base.Object
		return &copied
	}
	for words, edit := range map[string]func([]any) []any{
		"kind MetalLB is not among the owned ones": func(o []any) []any { return o[1:] },
		"owned kind Nothing has no definition":     func(o []any) []any { return append(o, map[string]any{"kind": "Nothing"}) },
	} {
		if _, err := edited(edit).Bundle(p, p.Versions[0], Images{}); err == nil || !strings.Contains(err.Error(), words) {
			t.Errorf("error does not say %q: %v", words, err)
		}
	}
}

func TestTitle(t *testing.T) {
	for name, want := range map[string]string{
		"bfdProfile": "BFD Profile", "myASN": "My ASN", "avoidBuggyIPs": "Avoid Buggy IPs", "ipAddressPools": "IP Address Pools", "vrf": "VRF",
		"layer2ExcludeNodes": "Layer 2 Exclude Nodes", "speakerGratuitousARPInterval": "Speaker Gratuitous ARP Interval", "logLevel": "Log Level",
		"ebgpMultiHopTTL": "eBGP Multi Hop TTL",
	} {
		if got := title(name); got != want {
			t.Errorf("%s is %q: wanted %q", name, got, want)
		}
	}
}
