package manifests

import (
	"maps"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Kinds lists every kind of object that Desired returns, in an order in which it can be created. Whoever removes what is no longer
// wanted looks through these.
func Kinds(env Environment) []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{
		corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		rbacv1.SchemeGroupVersion.WithKind("Role"),
		rbacv1.SchemeGroupVersion.WithKind("RoleBinding"),
		corev1.SchemeGroupVersion.WithKind("Secret"),
		corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
		policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget"),
		appsv1.SchemeGroupVersion.WithKind("Deployment"),
		appsv1.SchemeGroupVersion.WithKind("DaemonSet"),
	}
	if env.OpenShift {
		kinds = append(kinds, SecurityContextConstraints())
	}
	return kinds
}

// Desired returns every object that an installation with this spec consists of, complete with kind and labels, in an order
// in which they can be created. The spec must have passed Validate. The same arguments give the same objects.
func Desired(spec v1beta1.MetalLBSpec, env Environment) []client.Object {
	env = env.with(spec.Ports)
	return slices.Concat(
		[]client.Object{serviceAccount(Controller, env), serviceAccount(Speaker, env)},
		access(env),
		[]client.Object{memberlistSecret(env)},
		speakerSettings(spec, env),
		constraints(env),
		networkPolicies(env),
		disruptionBudget(spec, env),
		[]client.Object{controllerDeployment(spec, env), speakerDaemonSet(spec, env)},
	)
}

func serviceAccount(component string, env Environment) *corev1.ServiceAccount {
	return &corev1.ServiceAccount{
		TypeMeta:   kind(corev1.SchemeGroupVersion, "ServiceAccount"),
		ObjectMeta: namespaced(component, component, env),
		// The pods mount a token of their own, in the one container that needs it.
		AutomountServiceAccountToken: new(bool),
	}
}

func memberlistSecret(env Environment) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   kind(corev1.SchemeGroupVersion, "Secret"),
		ObjectMeta: namespaced(MemberlistSecret, Speaker, env),
		Type:       corev1.SecretTypeOpaque,
		Data:       map[string][]byte{MemberlistKey: env.MemberlistSecret},
	}
}

func kind(version schema.GroupVersion, name string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version.String(), Kind: name}
}

func namespaced(name, component string, env Environment) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: env.Namespace, Labels: objectLabels(component)}
}

// outside is for objects that are not in the installation's namespace: in another one, or in none.
func outside(name, namespace, component string, env Environment) metav1.ObjectMeta {
	labels := objectLabels(component)
	labels[LabelOwner] = env.Namespace
	return metav1.ObjectMeta{Name: name, Namespace: namespace, Labels: labels}
}

func objectLabels(component string) map[string]string {
	labels := podLabels(component)
	labels[LabelManagedBy] = ManagedBy
	return labels
}

// podLabels are also the selectors of Deployment and DaemonSet, which can never change.
func podLabels(component string) map[string]string {
	return map[string]string{LabelApp: App, LabelComponent: component}
}

// merged returns base with all of over, which wins; nil where both are empty.
func merged(base, over map[string]string) map[string]string {
	if len(base)+len(over) == 0 {
		return nil
	}
	out := make(map[string]string, len(base)+len(over))
	maps.Copy(out, base)
	maps.Copy(out, over)
	return out
}
