package olm

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// group is the API group of everything that users write.
const group = "metallb.io"

// owned completes base.yaml's list of kinds from their definitions, one entry per version, and returns with it the names of the definitions of
// which there is no sample: those objects the programs write, and consoles offer nobody to make one.
func (s *Source) owned(csv *unstructured.Unstructured) (owned []any, internal []string, err error) {
	listed, _, err := unstructured.NestedSlice(csv.Object, "spec", "customresourcedefinitions", "owned")
	if err != nil {
		return nil, nil, fmt.Errorf("base.yaml: %w", err)
	}
	definitions := of(s.installation, "CustomResourceDefinition")
	for _, l := range listed {
		entry := l.(map[string]any)
		i := slices.IndexFunc(definitions, func(d *unstructured.Unstructured) bool { return kindOf(d) == entry["kind"] })
		if i < 0 {
			return nil, nil, fmt.Errorf("base.yaml: owned kind %v has no definition, or is listed twice", entry["kind"])
		}
		definition := definitions[i]
		definitions = slices.Delete(slices.Clone(definitions), i, i+1)
		if only(s.samples, kindOf(definition), "") == nil {
			internal = append(internal, definition.GetName())
		}
		entries, err := describe(entry, definition)
		if err != nil {
			return nil, nil, err
		}
		owned = append(owned, entries...)
	}
	for _, d := range definitions {
		return nil, nil, fmt.Errorf("base.yaml: kind %s is not among the owned ones: wanted its displayName", kindOf(d))
	}
	return owned, internal, nil
}

func kindOf(definition *unstructured.Unstructured) string {
	kind, _, _ := unstructured.NestedString(definition.Object, "spec", "names", "kind")
	return kind
}

// describe makes the entries of one definition, the newest version first.
func describe(entry map[string]any, definition *unstructured.Unstructured) ([]any, error) {
	versions, _, err := unstructured.NestedSlice(definition.Object, "spec", "versions")
	if err != nil {
		return nil, fmt.Errorf("definition %s: %w", definition.GetName(), err)
	}
	var entries []any
	for _, v := range slices.Backward(versions) {
		version := v.(map[string]any)
		schema, _, err := unstructured.NestedMap(version, "schema", "openAPIV3Schema")
		if err != nil {
			return nil, fmt.Errorf("definition %s: %w", definition.GetName(), err)
		}
		out := map[string]any{
			"name": definition.GetName(), "kind": kindOf(definition), "version": version["name"],
			"displayName": entry["displayName"], "description": firstParagraph(schema),
		}
		if deprecated, _ := version["deprecated"].(bool); deprecated {
			out["displayName"] = fmt.Sprintf("%v (%v, deprecated)", entry["displayName"], version["name"])
		}
		if resources, ok := entry["resources"]; ok {
			out["resources"] = resources
		}
		for part, key := range map[string]string{"spec": "specDescriptors", "status": "statusDescriptors"} {
			if found := descriptors(schema, part); len(found) > 0 {
				out[key] = found
			}
		}
		entries = append(entries, out)
	}
	return entries, nil
}

// descriptors tell consoles how to show the fields of spec or status, in the order of their names.
func descriptors(schema map[string]any, part string) []any {
	fields, _, _ := unstructured.NestedMap(schema, "properties", part, "properties")
	var all []any
	for _, name := range sortedKeys(fields) {
		field := fields[name].(map[string]any)
		descriptor := map[string]any{"path": name, "displayName": title(name), "description": firstParagraph(field)}
		if hints := hints(name, part, field); len(hints) > 0 {
			descriptor["x-descriptors"] = hints
		}
		all = append(all, descriptor)
	}
	return all
}

// hints are OLM's names for ways to show a field
// (https://github.com/openshift/console/blob/master/frontend/packages/operator-lifecycle-manager/src/components/descriptors/reference/reference.md).
func hints(name, part string, field map[string]any) []any {
	const shown, input = "urn:alm:descriptor:", "urn:alm:descriptor:com.tectonic.ui:"
	if part == "status" {
		if name == "conditions" {
			return []any{shown + "io.kubernetes.conditions"}
		}
		return nil
	}
	if choices, ok := field["enum"].([]any); ok {
		var all []any
		for _, choice := range choices {
			all = append(all, fmt.Sprintf("%sselect:%v", input, choice))
		}
		return all
	}
	switch {
	case name == "password":
		return []any{input + "password"}
	case field["type"] == "boolean":
		return []any{input + "booleanSwitch"}
	case field["type"] == "integer":
		return []any{input + "number"}
	case field["type"] == "string":
		return []any{input + "text"}
	}
	return nil
}

// firstParagraph is what the description says before an empty line, in one line.
func firstParagraph(schema map[string]any) string {
	text, _ := schema["description"].(string)
	text, _, _ = strings.Cut(text, "\n\n")
	return strings.Join(strings.Fields(text), " ")
}

// written are words that are not written like others, by their lower-case form.
var written = map[string]string{
	"arp": "ARP", "layer2": "Layer 2", "ebgp": "eBGP", "frrk8s": "frr-k8s", "ipv4": "IPv4", "ipv6": "IPv6", "med": "MED", "as": "AS", "asn": "ASN", "bfd": "BFD", "bgp": "BGP", "frr": "FRR", "id": "ID", "ip": "IP", "ips": "IPs", "mac": "MAC", "mp": "MP",
	"ttl": "TTL", "vrf": "VRF",
}

// borders are where a word ends inside of a field's name: before a capital after a small letter or digit, and before the last of several capitals.
var borders = regexp.MustCompile(`([a-z0-9])([A-Z])|([A-Z])([A-Z][a-z])`)

// title is a field's name in words: bfdProfile is "BFD Profile".
func title(name string) string {
	name = strings.ReplaceAll(name, "IPs", "Ips") // else the s would begin a word with the P
	words := strings.Fields(borders.ReplaceAllString(name, "$1$3 $2$4"))
	for i, word := range words {
		if special, ok := written[strings.ToLower(word)]; ok {
			words[i] = special
		} else {
			words[i] = strings.ToUpper(word[:1]) + word[1:]
		}
	}
	return strings.Join(words, " ")
}
