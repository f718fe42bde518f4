package helm

import (
	"fmt"
	"regexp"
	"strings"

	"sigs.k8s.io/yaml"
)

// placeholder is a line of values.yaml whose value config/default has: "key: ${name}".
var placeholder = regexp.MustCompile(`(?m)^( *)([A-Za-z]+): \$\{([A-Za-z.]+)\}$`)

// values writes the chart's values.yaml.
func values(d *deployment) ([]byte, error) {
	programs, tag, err := splitImage(d.variable("CONTROLLER_IMAGE"))
	if err != nil {
		return nil, err
	}
	if image := d.container["image"]; image != d.variable("CONTROLLER_IMAGE") || image != d.variable("SPEAKER_IMAGE") {
		return nil, fmt.Errorf("config/default: operator, controller and speaker have different images: wanted one, as the value image is of all three")
	}
	frr, frrTag, err := splitImage(d.variable("FRR_IMAGE"))
	if err != nil {
		return nil, err
	}
	spec := d.object.Object["spec"].(map[string]any)
	known := map[string]any{
		"image.repository": programs, "image.tag": tag, "image.pullPolicy": d.container["imagePullPolicy"], "frr.repository": frr, "frr.tag": frrTag,
		"replicas": spec["replicas"], "nodeSelector": d.pod["nodeSelector"], "tolerations": d.pod["tolerations"], "resources": d.container["resources"],
		"logLevel": d.flag(logLevel),
	}
	text, err := written.ReadFile("values.yaml")
	if err != nil {
		return nil, fmt.Errorf("read values.yaml: %w", err)
	}
	var failed error
	out := placeholder.ReplaceAllStringFunc(string(text), func(line string) string {
		m := placeholder.FindStringSubmatch(line)
		value, ok := known[m[3]]
		if !ok {
			failed = fmt.Errorf("values.yaml: unknown placeholder %s", m[3])
		}
		block, err := yaml.Marshal(map[string]any{m[2]: value})
		if err != nil {
			failed = fmt.Errorf("values.yaml: %s: %w", m[3], err)
		}
		return m[1] + strings.ReplaceAll(strings.TrimSpace(string(block)), "\n", "\n"+m[1])
	})
	return []byte(out), failed
}

// splitImage splits an image's reference in name and tag.
func splitImage(reference string) (name, tag string, err error) {
	i := strings.LastIndexByte(reference, ':')
	if i < 0 || strings.ContainsAny(reference[i:], "/@") || strings.Contains(reference, "@") {
		return "", "", fmt.Errorf("config/default: image is %q: wanted NAME:TAG", reference)
	}
	return reference[:i], reference[i+1:], nil
}
