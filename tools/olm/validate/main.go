// The command validate judges bundle folders by the validators of OLM's catalogs (operator-framework/api) and prints what they say as JSON: a list of
// findings per folder. Exit status 1 means that a folder could not be read; what the validators find is for the caller to judge.
//
// MultipleArchitectures is left out: it asks a container engine for the images.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"github.com/operator-framework/api/pkg/manifests"
	"github.com/operator-framework/api/pkg/validation"
	"github.com/operator-framework/api/pkg/validation/errors"
	interfaces "github.com/operator-framework/api/pkg/validation/interfaces"
)

// finding is one sentence of one validator.
type finding struct {
	Bundle    string `json:"bundle"`
	Validator string `json:"validator"`
	// Level is "Error" or "Warning".
	Level string `json:"level"`
	Text  string `json:"text"`
}

// named are the validators of "suite=operatorframework", which the catalogs run, and those that only give advice.
var named = []struct {
	name      string
	validator interfaces.Validator
}{
	{"ClusterServiceVersion", validation.ClusterServiceVersionValidator},
	{"CustomResourceDefinition", validation.CustomResourceDefinitionValidator},
	{"Bundle", validation.BundleValidator},
	{"OperatorHubV2", validation.OperatorHubV2Validator},
	{"StandardCapabilities", validation.StandardCapabilitiesValidator},
	{"StandardCategories", validation.StandardCategoriesValidator},
	{"Object", validation.ObjectValidator},
	{"OperatorGroup", validation.OperatorGroupValidator},
	{"Community", validation.CommunityOperatorValidator},
	{"AlphaDeprecatedAPIs", validation.AlphaDeprecatedAPIsValidator},
	{"GoodPractices", validation.GoodPracticesValidator},
}

func main() {
	found := []finding{}
	for _, dir := range os.Args[1:] {
		bundle, err := manifests.GetBundleFromDir(dir)
		if err != nil {
			fmt.Fprintf(os.Stderr, "validate: read bundle %s: %v\n", dir, err)
			os.Exit(1)
		}
		objects := bundle.ObjectsToValidate()
		for _, n := range named {
			for _, result := range n.validator.Validate(objects...) {
				found = append(found, findings(dir, n.name, "Error", result.Errors)...)
				found = append(found, findings(dir, n.name, "Warning", result.Warnings)...)
			}
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(found); err != nil {
		fmt.Fprintln(os.Stderr, "validate:", err)
		os.Exit(1)
	}
}

func findings(dir, validator, level string, all []errors.Error) []finding {
	var out []finding
	for _, e := range all {
		out = append(out, finding{Bundle: dir, Validator: validator, Level: level, Text: e.Error()})
	}
	return out
}
