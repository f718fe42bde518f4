// Package crd holds the CustomResourceDefinitions of the group metallb.io, as
// generated from the types in api/ into bases/.
package crd

import (
	"embed"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

//go:embed bases/*.yaml
var bases embed.FS

// Definitions returns all CustomResourceDefinitions, sorted by name.
func Definitions() ([]*apiextensionsv1.CustomResourceDefinition, error) {
	entries, err := bases.ReadDir("bases")
	if err != nil {
		return nil, fmt.Errorf("list the embedded definitions: %w", err)
	}
	out := make([]*apiextensionsv1.CustomResourceDefinition, 0, len(entries))
	for _, entry := range entries {
		text, err := bases.ReadFile("bases/" + entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read the embedded definition %s: %w", entry.Name(), err)
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := yaml.UnmarshalStrict(text, definition); err != nil {
			return nil, fmt.Errorf("parse the embedded definition %s: %w", entry.Name(), err)
		}
		out = append(out, definition)
	}
	return out, nil
}
