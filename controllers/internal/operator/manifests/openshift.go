package manifests

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// SpeakerConstraints is the name of the SecurityContextConstraints by which OpenShift admits the speakers' pods.
const SpeakerConstraints = "metallb-speaker"

// requiredConstraints is, on a pod, the SecurityContextConstraints that must admit it, whatever others its ServiceAccount may use.
const requiredConstraints = "openshift.io/required-scc"

// SecurityContextConstraints is OpenShift's kind of that name. It is written without OpenShift's Go module.
func SecurityContextConstraints() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "security.openshift.io", Version: "v1", Kind: "SecurityContextConstraints"}
}

// constraints let the ServiceAccount of the speakers run pods such as theirs, and no others with more rights: the node's network, root, and the
// capabilities that their containers name.
func constraints(env Environment) []client.Object {
	if !env.OpenShift {
		return nil
	}
	whatever := func() map[string]any { return map[string]any{"type": "RunAsAny"} }
	object := &unstructured.Unstructured{Object: map[string]any{
		"allowHostDirVolumePlugin": false,
		"allowHostIPC":             false,
		"allowHostNetwork":         true,
		"allowHostPID":             false,
		"allowHostPorts":           true,
		"allowPrivilegeEscalation": false,
		"allowPrivilegedContainer": false,
		"allowedCapabilities":      speakerPodCapabilities(),
		"requiredDropCapabilities": []any{"ALL"},
		"readOnlyRootFilesystem":   true,
		"seccompProfiles":          []any{"runtime/default"},
		"runAsUser":                whatever(),
		"fsGroup":                  whatever(),
		"supplementalGroups":       whatever(),
		// The type container_t, with a label of the namespace's own.
		"seLinuxContext": map[string]any{"type": "MustRunAs"},
		"volumes":        []any{"configMap", "downwardAPI", "emptyDir", "projected", "secret"},
		"users":          []any{"system:serviceaccount:" + env.Namespace + ":" + Speaker},
		"groups":         []any{},
	}}
	object.SetGroupVersionKind(SecurityContextConstraints())
	meta := outside(SpeakerConstraints, "", Speaker, env)
	object.SetName(meta.Name)
	object.SetLabels(meta.Labels)
	return []client.Object{object}
}

// speakerPodCapabilities are those of all containers of the speakers' pods, sorted.
func speakerPodCapabilities() []any {
	all := slices.Concat(SpeakerCapabilities(), FRRCapabilities(), ReloaderCapabilities(), PrepareCapabilities())
	slices.Sort(all)
	var names []any
	for _, c := range slices.Compact(all) {
		names = append(names, string(c))
	}
	return names
}

// forOpenShift makes a pod of a component such that OpenShift admits it: the speakers' by their own constraints; the controller's by those that every pod
// may use, with a user that OpenShift chooses.
func forOpenShift(template *corev1.PodTemplateSpec, component string, env Environment) {
	if !env.OpenShift {
		return
	}
	if component == Speaker {
		template.Annotations = merged(template.Annotations, map[string]string{requiredConstraints: SpeakerConstraints})
		return
	}
	template.Annotations = merged(template.Annotations, map[string]string{requiredConstraints: "restricted-v2"})
	for i := range template.Spec.Containers {
		template.Spec.Containers[i].SecurityContext.RunAsUser = nil
	}
}
