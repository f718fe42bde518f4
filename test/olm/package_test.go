package olm

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/seed-551707bd/metallb-operator/config/olm"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

// top is the top folder of the checkout.
const top = "../.."

// tools builds opm and the validators, unless the cache has them.
func tools(t *testing.T) (opm, validate string) {
	t.Helper()
	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	w := assets.NewWorkshop(c, root, t.Logf)
	if opm, err = w.OPM(t.Context()); err != nil {
		t.Fatal(err)
	}
	if validate, err = w.BundleValidator(t.Context()); err != nil {
		t.Fatal(err)
	}
	return opm, validate
}

// run returns what a program prints, and its error with what it prints about it.
func run(t *testing.T, name string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = t.TempDir() // opm leaves a cache where it runs
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w: %s", filepath.Base(name), strings.Join(args, " "), err, words.String())
	}
	return out, nil
}

// absolute is the path of something in the checkout.
func absolute(t *testing.T, elements ...string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(append([]string{top}, elements...)...))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T) (*olm.Package, []olm.Bundle) {
	t.Helper()
	p, err := olm.LoadPackage(top)
	if err != nil {
		t.Fatal(err)
	}
	var bundles []olm.Bundle
	for _, v := range p.Versions {
		b, err := olm.ReadBundle(absolute(t, olm.BundleFolder, v.Version))
		if err != nil {
			t.Fatal(err)
		}
		bundles = append(bundles, b)
	}
	return p, bundles
}

// finding is what tools/olm/validate prints.
type finding struct{ Bundle, Validator, Level, Text string }

func validated(t *testing.T, validate string, dirs ...string) []finding {
	t.Helper()
	out, err := run(t, validate, dirs...)
	if err != nil {
		t.Fatal(err)
	}
	var found []finding
	if err := json.Unmarshal(out, &found); err != nil {
		t.Fatal(err)
	}
	return found
}

// understood are the warnings that stay, and why.
var understood = []struct{ words, why string }{
	{"provided API should have an example annotation", "of objects that the programs write; they are internal objects"},
	{"using APIs which were deprecated and removed in v1.25", "rights on events and endpointslices have no version; the programs use v1"},
	{"RBAC includes permission to create/update poddisruptionbudgets", "in the operator's own namespace: it makes those of what it installs"},
}

// Given the bundles that are checked in, when the validators of OLM's catalogs judge them, then they find no error, and no warning that is not understood.
func TestValidators(t *testing.T) {
	_, validate := tools(t)
	_, bundles := load(t)
	var dirs []string
	for _, b := range bundles {
		dirs = append(dirs, absolute(t, olm.BundleFolder, b.Version))
	}
	for _, f := range validated(t, validate, dirs...) {
		known := slices.ContainsFunc(understood, func(u struct{ words, why string }) bool { return strings.Contains(f.Text, u.words) })
		if f.Level != "Warning" || !known {
			t.Errorf("%s: %s of %s: %s", filepath.Base(f.Bundle), f.Level, f.Validator, f.Text)
		}
	}
}

// Given a bundle with one thing wrong, when the validators judge it, then the one whose business it is says so: they are really run.
func TestValidatorsNotice(t *testing.T) {
	_, validate := tools(t)
	_, bundles := load(t)
	const csv = "manifests/metallb-operator.clusterserviceversion.yaml"
	for validator, edit := range map[string]struct{ from, to string }{
		"ClusterServiceVersion": {"minKubeVersion: 1.31.0", "minKubeVersion: one"},
		"Bundle":                {" kind: MetalLB\n", " kind: Other\n"},
		"OperatorHubV2":         {"mediatype: image/svg+xml", "mediatype: text/plain"},
		"StandardCapabilities":  {"capabilities: Seamless Upgrades", "capabilities: Everything"},
		"StandardCategories":    {"categories: Networking", "categories: Magic"},
		"GoodPractices":         {"requests:", "limits:"},
	} {
		t.Run(validator, func(t *testing.T) {
			broken := bundles[len(bundles)-1]
			files := maps.Clone(broken.Files)
			files[csv] = bytes.Replace(files[csv], []byte(edit.from), []byte(edit.to), 1)
			if bytes.Equal(files[csv], broken.Files[csv]) {
				t.Fatalf("the bundle has no %q", edit.from)
			}
			broken.Files = files
			dir := filepath.Join(t.TempDir(), broken.Version)
			if err := broken.Write(dir); err != nil {
				t.Fatal(err)
			}
			found := validated(t, validate, dir)
			if !slices.ContainsFunc(found, func(f finding) bool {
				return f.Validator == validator && !slices.ContainsFunc(understood, func(u struct{ words, why string }) bool { return strings.Contains(f.Text, u.words) })
			}) {
				t.Errorf("said nothing; all that was said: %+v", found)
			}
		})
	}
}

// Given the catalog that is checked in, when opm validates it, then it is whole; and given one whose versions form no line of upgrades, opm says so.
func TestCatalogValid(t *testing.T) {
	opm, _ := tools(t)
	p, bundles := load(t)
	if _, err := run(t, opm, "validate", absolute(t, olm.CatalogFolder)); err != nil {
		t.Error(err)
	}
	for name, edit := range map[string]struct{ from, to string }{
		"an entry without its bundle": {"- name: metallb-operator.v0.1.0\n", "- name: metallb-operator.v0.0.1\n"},
		"two heads":                   {"replaces: metallb-operator.v0.1.0", "replaces: metallb-operator.v0.0.1"},
		"a channel that is not there": {"defaultChannel: stable", "defaultChannel: alpha"},
	} {
		for _, form := range []olm.Form{olm.ByImage, olm.Inline} {
			text, err := p.Catalog(bundles, form)
			if err != nil {
				t.Fatal(err)
			}
			broken := bytes.Replace(text, []byte(edit.from), []byte(edit.to), 1)
			if bytes.Equal(broken, text) {
				t.Fatalf("%s: the catalog has no %q", name, edit.from)
			}
			for what, content := range map[string][]byte{"whole": text, "broken": broken} {
				dir := t.TempDir()
				if err := os.WriteFile(filepath.Join(dir, "catalog.yaml"), content, 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := run(t, opm, "validate", dir); (err == nil) != (what == "whole") {
					t.Errorf("%s, form %d, %s: error %v", name, form, what, err)
				}
			}
		}
	}
}

// Given a bundle's folder, when opm renders it, with an image and without one, then it is what the catalogs say of it.
func TestCatalogAsOPMRenders(t *testing.T) {
	opm, _ := tools(t)
	p, bundles := load(t)
	for form, flags := range map[olm.Form][]string{
		olm.Inline:  nil,
		olm.ByImage: {"--migrate", "--alpha-image-ref-template", p.BundleImage + ":v{{.Version}}"},
	} {
		catalog, err := p.Catalog(bundles, form)
		if err != nil {
			t.Fatal(err)
		}
		ours := blobs(t, catalog)
		for i, b := range bundles {
			out, err := run(t, opm, append([]string{"render", absolute(t, olm.BundleFolder, b.Version), "-o", "yaml"}, flags...)...)
			if err != nil {
				t.Fatal(err)
			}
			if diff := gocmp.Diff(blobs(t, out)[0], ours[i]); diff != "" {
				t.Errorf("%s, form %d (-opm +ours):\n%s", b.Version, form, diff)
			}
		}
	}
}

// Given a registry, when references with tags are resolved, then they get the digests that the registry says; those with digests and those of this machine
// stay, and an unknown tag is an error that names it.
func TestResolve(t *testing.T) {
	digest := "sha256:" + strings.Repeat("d", 64)
	registry := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/":
		case "/v2/operator/manifests/v1":
			w.Header().Set("Content-Type", "application/vnd.oci.image.index.v1+json")
			w.Header().Set("Content-Length", "2")
			w.Header().Set("Docker-Content-Digest", digest)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer registry.Close()
	at := strings.TrimPrefix(registry.URL, "http://")
	resolved, err := olm.Images{Programs: at + "/operator:v1", FRR: "localhost/frr:dev"}.Resolve(t.Context(), top)
	if err != nil {
		t.Fatal(err)
	}
	if want := (olm.Images{Programs: at + "/operator@" + digest, FRR: "localhost/frr:dev"}); resolved != want {
		t.Errorf("resolved to %+v: wanted %+v", resolved, want)
	}
	if again, err := resolved.Resolve(t.Context(), top); err != nil || again != resolved {
		t.Errorf("a digest became %+v, error %v", again, err)
	}
	if _, err := (olm.Images{FRR: at + "/frr:v9"}).Resolve(t.Context(), top); err == nil || !strings.Contains(err.Error(), at+"/frr:v9") {
		t.Errorf("error does not name the image: %v", err)
	}
}

// blobs are the bundles of a catalog; what has no order there is sorted, and inline manifests are decoded.
func blobs(t *testing.T, catalog []byte) []map[string]any {
	t.Helper()
	var all []map[string]any
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(catalog), 4096)
	for {
		blob := map[string]any{}
		if err := decoder.Decode(&blob); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		if blob["schema"] != "olm.bundle" {
			continue
		}
		for _, p := range blob["properties"].([]any) {
			value, ok := p.(map[string]any)["value"].(map[string]any)
			if data, inline := value["data"].(string); ok && inline {
				value["data"] = decoded(t, data)
			}
		}
		for _, key := range []string{"properties", "relatedImages"} {
			slices.SortFunc(blob[key].([]any), func(a, b any) int { return cmp.Compare(line(t, a), line(t, b)) })
		}
		all = append(all, blob)
	}
}

// decoded is an inline manifest.
func decoded(t *testing.T, data string) any {
	t.Helper()
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil {
		t.Fatal(err)
	}
	var object any
	if err := json.Unmarshal(text, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func line(t *testing.T, value any) string {
	t.Helper()
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
