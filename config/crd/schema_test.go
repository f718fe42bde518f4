package crd

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/install"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	crdvalidation "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"sigs.k8s.io/yaml"
)

// versionSchema is one version of one kind, checked the way the API server
// checks it: unknown fields, defaults, OpenAPI schema, list types, CEL rules.
type versionSchema struct {
	structural *structuralschema.Structural
	validator  validation.SchemaValidator
	rules      *cel.Validator
}

// schemas are all versions of all kinds.
type schemas map[schema.GroupVersionKind]versionSchema

// internalDefinitions returns the definitions as the API server holds them.
func internalDefinitions(t *testing.T) []*apiextensions.CustomResourceDefinition {
	t.Helper()
	scheme := runtime.NewScheme()
	install.Install(scheme)
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	var out []*apiextensions.CustomResourceDefinition
	for _, definition := range definitions {
		scheme.Default(definition)
		internal := &apiextensions.CustomResourceDefinition{}
		if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(definition, internal, nil); err != nil {
			t.Fatalf("convert %s: %v", definition.Name, err)
		}
		internal.Status.StoredVersions = nil
		for _, version := range internal.Spec.Versions {
			if version.Storage {
				internal.Status.StoredVersions = []string{version.Name}
			}
		}
		out = append(out, internal)
	}
	return out
}

// loadSchemas prepares every version of every definition.
func loadSchemas(t *testing.T) schemas {
	t.Helper()
	out := schemas{}
	for _, definition := range internalDefinitions(t) {
		for _, version := range definition.Spec.Versions {
			served, err := apiextensions.GetSchemaForVersion(definition, version.Name)
			if err != nil {
				t.Fatal(err)
			}
			structural, err := structuralschema.NewStructural(served.OpenAPIV3Schema)
			if err != nil {
				t.Fatalf("%s %s: not structural: %v", definition.Name, version.Name, err)
			}
			validator, _, err := validation.NewSchemaValidator(served.OpenAPIV3Schema)
			if err != nil {
				t.Fatalf("%s %s: %v", definition.Name, version.Name, err)
			}
			gvk := schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: definition.Spec.Names.Kind}
			out[gvk] = versionSchema{structural, validator, cel.NewValidator(structural, true, celconfig.PerCallLimit)}
		}
	}
	return out
}

// parse reads one object written as YAML, with integers as the API server has
// them.
func parse(t *testing.T, text string) *unstructured.Unstructured {
	t.Helper()
	asJSON, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	object := &unstructured.Unstructured{}
	if err := json.Unmarshal(asJSON, object); err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	return object
}

// check admits object as a create (old nil) or an update and returns what the
// API server would complain about. object receives the defaults.
func (s schemas) check(ctx context.Context, object, old *unstructured.Unstructured) []string {
	version, known := s[object.GroupVersionKind()]
	if !known {
		return []string{fmt.Sprintf("no such kind: %s", object.GroupVersionKind())}
	}
	var out []string
	options := structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: true}
	for _, path := range pruning.PruneWithOptions(object.DeepCopy().Object, version.structural, true, options) {
		out = append(out, "unknown field "+path)
	}
	defaulting.Default(object.Object, version.structural)
	var errs field.ErrorList
	var before any
	if old == nil {
		errs = validation.ValidateCustomResource(nil, object.Object, version.validator)
	} else {
		before = old.Object
		errs = validation.ValidateCustomResourceUpdate(nil, object.Object, before, version.validator)
	}
	errs = append(errs, listtype.ValidateListSetsAndMaps(nil, version.structural, object.Object)...)
	if len(errs) == 0 {
		ruleErrs, _ := version.rules.Validate(ctx, nil, version.structural, object.Object, before, celconfig.RuntimeCELCostBudget)
		errs = append(errs, ruleErrs...)
	}
	for _, err := range errs {
		out = append(out, err.Error())
	}
	return out
}

func TestEveryDefinitionIsAcceptedByTheAPIServersOwnValidation(t *testing.T) {
	definitions := internalDefinitions(t)
	if len(definitions) != 15 {
		t.Fatalf("found %d definitions, want the 15 kinds of metallb.io", len(definitions))
	}
	for _, definition := range definitions {
		for _, err := range crdvalidation.ValidateCustomResourceDefinition(t.Context(), definition) {
			t.Errorf("%s: %v", definition.Name, err)
		}
		if definition.Spec.Scope != apiextensions.NamespaceScoped {
			t.Errorf("%s: scope %s, want %s", definition.Name, definition.Spec.Scope, apiextensions.NamespaceScoped)
		}
	}
}

func TestEveryPropertyIsDescribed(t *testing.T) {
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	properties := 0
	var walk func(path string, props apiextensionsv1.JSONSchemaProps)
	walk = func(path string, props apiextensionsv1.JSONSchemaProps) {
		for name, property := range props.Properties {
			properties++
			below := path + "." + name
			if rootMetadata := name == "metadata" && !strings.Contains(path, "."); rootMetadata {
				continue // described by the API server itself
			}
			if strings.TrimSpace(property.Description) == "" {
				t.Errorf("%s has no description", below)
			}
			walk(below, property)
		}
		if props.Items != nil && props.Items.Schema != nil {
			walk(path+"[]", *props.Items.Schema)
		}
		if props.AdditionalProperties != nil && props.AdditionalProperties.Schema != nil {
			walk(path+"{}", *props.AdditionalProperties.Schema)
		}
	}
	for _, definition := range definitions {
		for _, version := range definition.Spec.Versions {
			walk(definition.Spec.Names.Kind+" "+version.Name, *version.Schema.OpenAPIV3Schema)
			if version.Subresources == nil || version.Subresources.Status == nil {
				t.Errorf("%s %s has no status subresource", definition.Spec.Names.Kind, version.Name)
			}
		}
	}
	if properties < 400 {
		t.Errorf("walked %d properties only", properties)
	}
}

func TestKustomizationListsEveryDefinition(t *testing.T) {
	text, err := os.ReadFile("kustomization.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kustomization struct {
		Resources []string `json:"resources"`
	}
	if err := yaml.Unmarshal(text, &kustomization); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("bases/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if difference := cmp.Diff(files, kustomization.Resources); difference != "" {
		t.Errorf("resources (-files +listed):\n%s", difference)
	}
}

// A client-side kubectl apply keeps the whole object in an annotation, and
// annotations together may have 256 KiB.
func TestEveryDefinitionFitsIntoKubectlApply(t *testing.T) {
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	for _, definition := range definitions {
		text, err := json.Marshal(definition)
		if err != nil {
			t.Fatal(err)
		}
		if limit := 256 << 10; len(text) >= limit {
			t.Errorf("%s has %d bytes, want fewer than %d", definition.Name, len(text), limit)
		}
	}
}
