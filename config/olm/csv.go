package olm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// certificateFlag has the operator serve its webhooks with the certificate that OLM makes, renews and mounts where --cert-dir points by default
// (/tmp/k8s-webhook-server/serving-certs), and read it again when it changes.
const certificateFlag = "--disable-cert-rotation"

// csv makes the ClusterServiceVersion.
func (s *Source) csv(p *Package, v Version, images Images) (map[string]any, error) {
	csv := (&unstructured.Unstructured{Object: s.base}).DeepCopy()
	csv.SetName(Name(p.Name, v.Version))
	deployment := only(s.installation, "Deployment", "")
	if deployment == nil {
		return nil, errors.New("config/default: found no Deployment")
	}
	deployment = deployment.DeepCopy()
	relatedImages, err := images.set(deployment)
	if err != nil {
		return nil, err
	}
	if err := useMountedCertificate(deployment); err != nil {
		return nil, err
	}
	owned, internal, err := s.owned(csv)
	if err != nil {
		return nil, err
	}
	webhooks, err := s.webhooks(deployment)
	if err != nil {
		return nil, err
	}
	if err := s.annotate(csv, v, deployment, relatedImages[0].Image, internal); err != nil {
		return nil, err
	}
	spec := csv.Object["spec"].(map[string]any)
	spec["version"] = v.Version
	if v.Replaces != "" {
		spec["replaces"] = Name(p.Name, v.Replaces)
	}
	spec["icon"] = []any{map[string]any{"base64data": s.icon, "mediatype": "image/svg+xml"}}
	spec["customresourcedefinitions"] = map[string]any{"owned": owned}
	spec["webhookdefinitions"] = webhooks
	spec["relatedImages"] = plain(relatedImages)
	spec["install"] = map[string]any{
		"strategy": "deployment",
		"spec": map[string]any{
			"clusterPermissions": []any{map[string]any{"serviceAccountName": serviceAccount(deployment), "rules": s.clusterRules()}},
			"deployments": []any{map[string]any{
				"name": deployment.GetName(), "label": plain(deployment.GetLabels()), "spec": deployment.Object["spec"],
			}},
		},
	}
	return csv.Object, nil
}

// useMountedCertificate has the operator leave the certificate of its webhooks to OLM.
func useMountedCertificate(deployment *unstructured.Unstructured) error {
	path := []string{"spec", "template", "spec", "containers"}
	containers, _, err := unstructured.NestedSlice(deployment.Object, path...)
	if err != nil {
		return fmt.Errorf("containers of the operator: %w", err)
	}
	container := containers[0].(map[string]any)
	args, _ := container["args"].([]any)
	container["args"] = append(args, certificateFlag)
	return unstructured.SetNestedSlice(deployment.Object, containers, path...)
}

func serviceAccount(deployment *unstructured.Unstructured) string {
	name, _, _ := unstructured.NestedString(deployment.Object, "spec", "template", "spec", "serviceAccountName")
	return name
}

// annotate says what consoles show and offer.
func (s *Source) annotate(csv *unstructured.Unstructured, v Version, deployment *unstructured.Unstructured, operatorImage string, internal []string) error {
	var examples []any
	for _, sample := range s.samples {
		if sample.GroupVersionKind().Group == group {
			examples = append(examples, sample.Object)
		}
	}
	first := s.first.DeepCopy()
	if _, ok := first.Object["spec"]; !ok {
		first.Object["spec"] = map[string]any{} // consoles want one
	}
	// The namespace with its pod security level, for consoles that make it.
	namespace := only(s.installation, "Namespace", deployment.GetNamespace())
	if namespace == nil {
		return fmt.Errorf("config/default: found no Namespace %s", deployment.GetNamespace())
	}
	annotations := csv.GetAnnotations()
	annotations["createdAt"] = v.CreatedAt
	annotations["containerImage"] = operatorImage
	annotations["operatorframework.io/suggested-namespace"] = namespace.GetName()
	for key, value := range map[string]any{
		"alm-examples": examples,
		"operatorframework.io/initialization-resource":      first.Object,
		"operatorframework.io/suggested-namespace-template": namespace.Object,
		"operators.operatorframework.io/internal-objects":   internal,
	} {
		text, err := compact(value)
		if err != nil {
			return fmt.Errorf("annotation %s: %w", key, err)
		}
		annotations[key] = text
	}
	if v.Replaces != "" {
		annotations["olm.skipRange"] = skipRange(v)
	}
	csv.SetAnnotations(annotations)
	return nil
}

// skipRange lets every version from the one that is replaced be upgraded to this one directly.
func skipRange(v Version) string { return fmt.Sprintf(">=%s <%s", v.Replaces, v.Version) }

// compact writes JSON in one line, with "<" as it is.
func compact(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return "", err
	}
	return string(bytes.TrimSpace(b.Bytes())), nil
}

// plain turns a value into what JSON has for it, as unstructured objects hold it.
func plain(value any) any {
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("olm: %T is not for JSON: %v", value, err)) // a mistake in this package
	}
	var out any
	if err := json.Unmarshal(text, &out); err != nil {
		panic(fmt.Sprintf("olm: %T is not for JSON: %v", value, err))
	}
	return out
}

// clusterRules are the operator's rights in the whole cluster, from the ClusterRoles that config/default binds to it. Those on webhooks are left
// out: OLM writes them.
func (s *Source) clusterRules() []any {
	var rules []any
	for _, role := range of(s.installation, "ClusterRole") {
		if !s.bound(role.GetName()) {
			continue
		}
		all, _ := role.Object["rules"].([]any)
		for _, r := range all {
			rule := maps.Clone(r.(map[string]any))
			// Rules about paths have no groups.
			if groups, _ := rule["apiGroups"].([]any); slices.Equal(groups, []any{"admissionregistration.k8s.io"}) {
				continue
			}
			if !slices.ContainsFunc(rules, func(other any) bool { return equalJSON(other, rule) }) {
				rules = append(rules, rule)
			}
		}
	}
	return rules
}

// bound says whether config/default binds a ClusterRole to somebody, which is the operator.
func (s *Source) bound(clusterRole string) bool {
	return slices.ContainsFunc(of(s.installation, "ClusterRoleBinding"), func(b *unstructured.Unstructured) bool {
		name, _, _ := unstructured.NestedString(b.Object, "roleRef", "name")
		return name == clusterRole
	})
}

func equalJSON(a, b any) bool {
	x, errX := compact(a)
	y, errY := compact(b)
	return errX == nil && errY == nil && x == y
}

// webhooks turns config/webhook into what OLM makes its own from. It has no words for namespaceSelector and matchConditions: a webhook that asks
// for a selector is left out, as it would be called for all namespaces (the one on Secrets, whose edits in other namespaces are none of the operator's
// business); the operator itself lets pass what the conditions would have kept from it.
func (s *Source) webhooks(deployment *unstructured.Unstructured) ([]any, error) {
	var all []any
	for _, configuration := range of(s.installation, "ValidatingWebhookConfiguration") {
		hooks, _, err := unstructured.NestedSlice(configuration.Object, "webhooks")
		if err != nil {
			return nil, fmt.Errorf("config/webhook: %w", err)
		}
		for _, h := range hooks {
			hook := h.(map[string]any)
			if _, selects := hook["namespaceSelector"]; selects {
				continue
			}
			service, _, err := unstructured.NestedMap(hook, "clientConfig", "service")
			if err != nil {
				return nil, fmt.Errorf("config/webhook: %w", err)
			}
			out := map[string]any{
				"type": "ValidatingAdmissionWebhook", "generateName": hook["name"], "deploymentName": deployment.GetName(),
				"containerPort": service["port"], "targetPort": s.webhookPort(), "webhookPath": service["path"],
			}
			for _, same := range []string{"admissionReviewVersions", "failurePolicy", "matchPolicy", "objectSelector", "rules", "sideEffects", "timeoutSeconds"} {
				if value, ok := hook[same]; ok {
					out[same] = value
				}
			}
			all = append(all, out)
		}
	}
	return all, nil
}

// webhookPort is the port of the operator's pod that the Service of the webhooks leads to.
func (s *Source) webhookPort() any {
	for _, service := range of(s.installation, "Service") {
		ports, _, _ := unstructured.NestedSlice(service.Object, "spec", "ports")
		for _, p := range ports {
			if port := p.(map[string]any); port["name"] == "webhook" {
				return port["targetPort"]
			}
		}
	}
	return nil
}
