package helm

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-551707bd/metallb-operator/config/kustomize"
)

// top is the top folder of the checkout.
const top = "../.."

// Given config/ as it is, when the chart is made, then it is what is checked in.
func TestCheckedIn(t *testing.T) {
	made, err := Load(t.Context(), top)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := made.Write(dir); err != nil {
		t.Fatal(err)
	}
	want := files(t, dir)
	if len(want) < 25 {
		t.Fatalf("only %d files were made", len(want))
	}
	if diff := cmp.Diff(want, files(t, filepath.Join(top, Folder))); diff != "" {
		t.Errorf("make generate makes something else (-makes +is):\n%s", diff)
	}
}

// Given the same objects, when charts are made of them many times, then all are the same.
func TestSameEveryTime(t *testing.T) {
	first, err := build(installation(t, same), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		again, err := build(installation(t, same), "1.2.3")
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(first, again); diff != "" {
			t.Fatal(diff)
		}
	}
}

// files are those below a folder, by their paths.
func files(t *testing.T, root string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := fs.WalkDir(os.DirFS(root), ".", func(path string, entry fs.DirEntry, err error) error {
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
	return found
}

// Given a file of an earlier chart that nothing makes any more, when the chart is written, then the file is gone.
func TestWriteRemovesWhatIsNotMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "chart")
	for _, c := range []Chart{{"templates/old.yaml": nil, "Chart.yaml": nil}, {"Chart.yaml": []byte("name: x\n")}} {
		if err := c.Write(dir); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]string{"Chart.yaml": "name: x\n"}, files(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// installation is the least that a chart can be made of; edit may change the text.
func installation(t *testing.T, edit func(string) string) []*unstructured.Unstructured {
	t.Helper()
	text := `
apiVersion: v1
kind: Namespace
metadata: {name: home}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: operator, namespace: home, annotations: {about: home sweet home}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: operator, namespace: home}
spec:
  replicas: 1
  template:
    metadata: {labels: {a: b}, annotations: {a: b}}
    spec:
      containers:
        - name: manager
          image: programs:1
          args: [--log-level=info]
          env: [{name: CONTROLLER_IMAGE, value: "programs:1"}, {name: SPEAKER_IMAGE, value: "programs:1"}, {name: FRR_IMAGE, value: "frr:1"}]
`
	objects, err := kustomize.Decode([]byte(edit(text)))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func same(text string) string { return text }

// Given objects, when templates are made of them, then the namespace of the release takes the place of theirs, and of nothing that only has its name in it.
func TestNamespace(t *testing.T) {
	chart, err := build(installation(t, same), "1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	account := string(chart["templates/serviceaccount-operator.yaml"])
	for _, want := range []string{"namespace: '{{ .Release.Namespace }}'", "about: home sweet home"} {
		if !strings.Contains(account, want) {
			t.Errorf("found no %q in\n%s", want, account)
		}
	}
}

// Given a source that the chart can't be made of without losing something, when it is made, then that fails and says what.
func TestRefused(t *testing.T) {
	for want, edit := range map[string][2]string{
		"found no Namespace":          {"kind: Namespace", "kind: ConfigMap"},
		"{{ in it":                    {"home sweet home", "'{{ home }}'"},
		"found no Deployment":         {"kind: Deployment", "kind: StatefulSet"},
		"found 0 containers":          {"containers:", "initContainers:"},
		"have different images":       {"SPEAKER_IMAGE, value: \"programs:1\"", "SPEAKER_IMAGE, value: \"other:1\""},
		"is \"frr@sha256:1\": wanted": {"frr:1", "frr@sha256:1"},
		"is \"\": wanted NAME:TAG":    {"FRR_IMAGE", "FRR_PICTURE"},
		"found no labels":             {"labels: {a: b}, ", ""},
		"found no flag --log-level":   {"--log-level=info", "--verbose"},
		"found METRICS_PORT":          {"env: [", "env: [{name: METRICS_PORT, value: \"1\"}, "},
	} {
		_, err := build(installation(t, func(text string) string {
			edited := strings.Replace(text, edit[0], edit[1], 1)
			if edited == text {
				t.Fatalf("%q is not in the source", edit[0])
			}
			return edited
		}), "1.2.3")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q in place of %q: found error %v, wanted %q", edit[1], edit[0], err, want)
		}
	}
}
