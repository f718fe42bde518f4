package operator_test

import (
	"context"
	"os/exec"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// writtenByPrograms are the kinds of metallb.io that nobody writes by hand.
var writtenByPrograms = []string{"AddressProbe", "BGPSessionState", "ConfigurationState", "ServiceBGPStatus", "ServiceL2Status"}

// Given the samples, when they are sent to a real API server, then it accepts every one without an unknown field, and there
// is one of every kind that people write.
func (c *cluster) testSamples(t *testing.T) {
	t.Helper()
	strict := client.WithFieldValidation(c.Client, metav1.FieldValidationStrict)
	found := map[string]bool{}
	for _, folder := range []string{"config/samples", "config/samples/demo"} {
		for _, object := range split(t, kustomize(t, folder)) {
			found[object.GetKind()] = true
			if object.GetKind() == "Namespace" {
				if err := strict.Create(t.Context(), object); err != nil {
					t.Fatal(err)
				}
				eventually(t, "pods can be created in the namespace", func(ctx context.Context) error {
					return c.Get(ctx, client.ObjectKey{Namespace: object.GetName(), Name: "default"}, &corev1.ServiceAccount{})
				})
				continue
			}
			if err := strict.Create(t.Context(), object, client.DryRunAll); err != nil {
				t.Errorf("%s: %s %s: %v", folder, object.GetKind(), object.GetName(), err)
			}
		}
	}
	definitions := &unstructured.UnstructuredList{}
	definitions.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinitionList"))
	if err := c.List(t.Context(), definitions); err != nil {
		t.Fatal(err)
	}
	for _, d := range definitions.Items {
		kind, _, _ := unstructured.NestedString(d.Object, "spec", "names", "kind")
		if strings.HasSuffix(d.GetName(), ".metallb.io") && !found[kind] && !slices.Contains(writtenByPrograms, kind) {
			t.Errorf("no sample of kind %s", kind)
		}
	}
}

// kustomize builds a folder of the project with the version that tools/go.mod pins.
func kustomize(t *testing.T, folder string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", folder)
	cmd.Dir = "../../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v", folder, err)
	}
	return out
}
