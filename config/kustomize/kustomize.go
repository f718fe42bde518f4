// Package kustomize builds folders of this checkout with kustomize, in the version that tools/go.mod pins.
package kustomize

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
)

// Build returns the objects of one folder of the checkout at root, in the order in which "kubectl apply -k" applies them.
func Build(ctx context.Context, root, folder string) ([]*unstructured.Unstructured, error) {
	cmd := exec.CommandContext(ctx, "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", folder)
	cmd.Dir = root
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w: %s", folder, err, words.String())
	}
	objects, err := Decode(out)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", folder, err)
	}
	return objects, nil
}

// Decode reads the objects of a YAML stream. Empty documents are left out.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("read object %d: %w", len(all)+1, err)
		}
		if len(object.Object) > 0 {
			all = append(all, object)
		}
	}
}
