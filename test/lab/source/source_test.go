package source_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

func TestGivenAFolderBelowANestedModuleWhenAskedForTheRootThenItIsTheProjects(t *testing.T) {
	top := t.TempDir()
	nested := filepath.Join(top, "a", "b")
	for path, text := range map[string]string{
		filepath.Join(top, "go.mod"):      "module " + source.Module + "\n",
		filepath.Join(top, "a", "go.mod"): "module " + source.Module + "/a\n",
	} {
		if err := os.MkdirAll(nested, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := source.Root(nested); err != nil || got != top {
		t.Errorf("root %q, error %v; want %q", got, err, top)
	}
}

func TestGivenAFolderOutsideAnyCheckoutWhenAskedForTheRootThenItIsAnError(t *testing.T) {
	if got, err := source.Root(t.TempDir()); err == nil {
		t.Errorf("root %q, want an error", got)
	}
}

func TestGivenAGoModWhenAskedForARequirementThenOnlyTheExactModuleMatches(t *testing.T) {
	gomod := []byte("module x\n\nrequire k8s.io/kubernetes v1.36.3\n\nrequire (\n\tk8s.io/api v0.36.3 // indirect\n)\n\nreplace k8s.io/apimachinery => k8s.io/apimachinery v0.1.0\n")
	for module, want := range map[string]string{"k8s.io/kubernetes": "v1.36.3", "k8s.io/api": "v0.36.3"} {
		if got, err := source.Requirement(gomod, module); err != nil || got != want {
			t.Errorf("requirement of %s is %q, error %v; want %q", module, got, err, want)
		}
	}
	if got, err := source.Requirement(gomod, "k8s.io/apimachinery"); err == nil {
		t.Errorf("requirement of a replaced module is %q, want an error", got)
	}
}
