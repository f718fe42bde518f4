package migrate

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Role is what of MetalLB's a Deployment or DaemonSet runs.
type Role string

// The roles.
const (
	RoleController Role = "controller"
	RoleSpeaker    Role = "speaker"
	RoleOperator   Role = "operator"
	RoleWebhooks   Role = "webhook server"
	RoleFRR        Role = "frr-k8s"
)

// Workload is a Deployment or DaemonSet of MetalLB's.
type Workload struct {
	Kind, Namespace, Name string
	Role                  Role
	Pod                   corev1.PodTemplateSpec
	// flags and env are what the container of the role's name is given.
	flags map[string]string
	env   map[string]corev1.EnvVar
}

// String names it as problems do.
func (l *Workload) String() string { return l.Kind + " " + l.Namespace + "/" + l.Name }

// ref is how kubectl takes it.
func (l *Workload) ref() string { return strings.ToLower(l.Kind) + "/" + l.Name }

// readWorkload reads a Deployment or DaemonSet; nil if it is none of MetalLB's.
func readWorkload(o *unstructured.Unstructured) (*Workload, error) {
	template, _, err := unstructured.NestedMap(o.Object, "spec", "template")
	if err != nil {
		return nil, err
	}
	l := &Workload{Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: o.GetName(), flags: map[string]string{}, env: map[string]corev1.EnvVar{}}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(template, &l.Pod); err != nil {
		return nil, err
	}
	if l.Role = roleOf(l, o.GetLabels()); l.Role == "" {
		return nil, nil //nolint:nilnil // absence is an answer
	}
	for _, c := range l.Pod.Spec.Containers {
		if c.Name != string(l.Role) {
			continue
		}
		l.flags = flags(c.Args)
		for _, e := range c.Env {
			l.env[e.Name] = e
		}
	}
	return l, nil
}

// roleOf says what of MetalLB's it is, "" if nothing, or this product's own. Manifests, chart and operator label their objects differently, and mirrors
// rename images.
func roleOf(l *Workload, labels map[string]string) Role {
	pod := l.Pod.Labels
	component := pod["component"] + pod["app.kubernetes.io/component"]
	switch {
	case labels[manifests.LabelManagedBy] == manifests.ManagedBy:
		return ""
	case strings.HasPrefix(component, "frr-k8s") || strings.HasPrefix(l.Name, "frr-k8s"):
		return RoleFRR
	case l.Name == "metallb-operator-controller-manager":
		own := func(c corev1.Container) bool { return len(c.Command) > 0 && c.Command[0] == "/operator" }
		if slices.ContainsFunc(l.Pod.Spec.Containers, own) {
			return ""
		}
		return RoleOperator
	case l.Name == "metallb-operator-webhook-server":
		return RoleWebhooks
	case pod["app"] != "metallb" && pod["app.kubernetes.io/name"] != "metallb":
		return ""
	case l.Kind == "DaemonSet" && strings.HasSuffix(component, string(RoleSpeaker)):
		return RoleSpeaker
	case l.Kind == "Deployment" && strings.HasSuffix(component, string(RoleController)):
		return RoleController
	}
	return ""
}

// secretAt returns the name of the Secret that the program finds in a folder, "" if there is none.
func (l *Workload) secretAt(folder string) string {
	for _, c := range l.Pod.Spec.Containers {
		for _, m := range c.VolumeMounts {
			if c.Name != string(l.Role) || m.MountPath != folder {
				continue
			}
			for _, v := range l.Pod.Spec.Volumes {
				if v.Name == m.Name && v.Secret != nil {
					return v.Secret.SecretName
				}
			}
		}
	}
	return ""
}

// of returns the workloads of some roles.
func (w *World) of(roles ...Role) []*Workload {
	var found []*Workload
	for _, l := range w.Workloads {
		if slices.Contains(roles, l.Role) {
			found = append(found, l)
		}
	}
	return found
}

// flags reads arguments in the forms --name=value, --name value and --name, which is "true".
func flags(args []string) map[string]string {
	found := map[string]string{}
	for i := 0; i < len(args); i++ {
		name := strings.TrimLeft(args[i], "-")
		if name == args[i] {
			continue
		}
		name, value, set := strings.Cut(name, "=")
		if !set {
			value = "true"
			if i+1 < len(args) && !strings.HasPrefix(args[i+1], "-") {
				i++
				value = args[i]
			}
		}
		found[name] = value
	}
	return found
}
