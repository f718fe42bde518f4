package manifests_test

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

var update = flag.Bool("update", false, "rewrite the files that are compared with")

func environment() manifests.Environment {
	return manifests.Environment{
		Namespace:        "metallb-system",
		ControllerImage:  "example.com/metallb-operator:v1",
		SpeakerImage:     "example.com/metallb-operator:v1",
		FRRImage:         "example.com/frr:v10",
		MetricsPort:      9120,
		HealthPort:       17472,
		MemberPort:       7946,
		MemberlistSecret: []byte("c2VjcmV0"),
		APIServerPorts:   []int32{443, 6443},
		OperatorPorts:    []int32{8080, 8443, 9443},

		OperatorMetricsPort: 8443,
	}
}

// Given a spec in NAME.in.yaml, when its objects are built, then they are those in NAME.yaml.
func TestDesiredMatchesFile(t *testing.T) {
	inputs, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			spec := readSpec(t, input)
			if errs := manifests.Validate(spec); len(errs) > 0 {
				t.Fatalf("the input is not valid: %v", errs)
			}
			compareWithFile(t, strings.TrimSuffix(input, ".in.yaml")+".yaml", toYAML(t, manifests.Desired(spec, environment())))
		})
	}
}

// Given a cluster in which nothing asks for BGP, when the objects of an empty spec are built, then they are those of the file: the speakers' pods
// have no FRR, and nothing of it.
func TestDesiredWithoutBGPMatchesFile(t *testing.T) {
	env := environment()
	env.FRRIdle = true
	compareWithFile(t, "testdata/layer2.yaml", toYAML(t, manifests.Desired(v1beta1.MetalLBSpec{}, env)))
}

// Given one spec, when its objects are built twice, then they are equal, and each has a kind and a name no other has.
func TestDesiredIsStable(t *testing.T) {
	spec := readSpec(t, "testdata/full.in.yaml")
	first := manifests.Desired(spec, environment())
	if diff := cmp.Diff(first, manifests.Desired(spec, environment())); diff != "" {
		t.Errorf("second time differs:\n%s", diff)
	}
	seen := map[string]bool{}
	for _, o := range first {
		id := o.GetObjectKind().GroupVersionKind().String() + " " + client.ObjectKeyFromObject(o).String()
		if seen[id] || o.GetObjectKind().GroupVersionKind().Kind == "" || o.GetName() == "" {
			t.Errorf("%s: no kind, no name, or there twice", id)
		}
		seen[id] = true
	}
}

func readSpec(t *testing.T, path string) v1beta1.MetalLBSpec {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var spec v1beta1.MetalLBSpec
	if err := yaml.UnmarshalStrict(text, &spec); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return spec
}

func toYAML(t *testing.T, objects []client.Object) []byte {
	t.Helper()
	var out bytes.Buffer
	for i, o := range objects {
		if i > 0 {
			out.WriteString("---\n")
		}
		text, err := yaml.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(text)
	}
	return out.Bytes()
}

// compareWithFile fails where found differs from the file; with -update it rewrites the file.
func compareWithFile(t *testing.T, path string, found []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, found, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	wanted, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v: run the test with -update to write it", err)
	}
	if diff := cmp.Diff(string(wanted), string(found)); diff != "" {
		t.Errorf("%s differs (-file +built); run the test with -update if the change is meant:\n%s", path, diff)
	}
}
