package manifests

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// controllerDeployment returns the Deployment of the program that gives Services their addresses. Leader election lets one of its pods work.
func controllerDeployment(spec v1beta1.MetalLBSpec, env Environment) *appsv1.Deployment {
	config := configOf(spec.ControllerConfig)
	template := podTemplate(Controller, spec, config)
	pod := &template.Spec
	pod.NodeSelector = nodeSelector(spec.ControllerNodeSelector)
	pod.Tolerations = tolerations(spec.ControllerTolerations)
	pod.TerminationGracePeriodSeconds = new(int64(10))
	if pod.Affinity == nil && controllerReplicas(spec) > 1 {
		pod.Affinity = apart()
	}
	pod.Containers = []corev1.Container{controllerContainer(spec, config, env)}
	forOpenShift(&template, Controller, env)
	withCertificate(pod, &pod.Containers[0], prometheusIn(spec, env).ControllerMetricsTLSSecret)
	return &appsv1.Deployment{
		TypeMeta:   kind(appsv1.SchemeGroupVersion, "Deployment"),
		ObjectMeta: namespaced(Controller, Controller, env),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(controllerReplicas(spec)),
			RevisionHistoryLimit: new(int32(3)),
			Selector:             &metav1.LabelSelector{MatchLabels: podLabels(Controller)},
			Template:             template,
		},
	}
}

func controllerReplicas(spec v1beta1.MetalLBSpec) int32 {
	if spec.ControllerReplicas == nil {
		return 1
	}
	return *spec.ControllerReplicas
}

// apart prefers another node for each controller.
func apart() *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{Weight: 100, PodAffinityTerm: corev1.PodAffinityTerm{
			TopologyKey: corev1.LabelHostname, LabelSelector: &metav1.LabelSelector{MatchLabels: podLabels(Controller)},
		}}},
	}}
}

// disruptionBudget lets one controller at a time be evicted where there are several. A single one may always be, or no node could be emptied.
// The speakers have none: drains leave the pods of DaemonSets alone, and a budget for these can only count how many must stay, which follows
// from the number of nodes.
func disruptionBudget(spec v1beta1.MetalLBSpec, env Environment) []client.Object {
	if controllerReplicas(spec) < 2 {
		return nil
	}
	return []client.Object{&policyv1.PodDisruptionBudget{
		TypeMeta:   kind(policyv1.SchemeGroupVersion, "PodDisruptionBudget"),
		ObjectMeta: namespaced(Controller, Controller, env),
		Spec: policyv1.PodDisruptionBudgetSpec{
			MaxUnavailable: new(intstr.FromInt32(1)),
			Selector:       &metav1.LabelSelector{MatchLabels: podLabels(Controller)},
			// A controller that does not start must not keep a node from being emptied.
			UnhealthyPodEvictionPolicy: new(policyv1.AlwaysAllow),
		},
	}}
}

func controllerContainer(spec v1beta1.MetalLBSpec, config v1beta1.PodConfig, env Environment) corev1.Container {
	c := container(Controller, env.ControllerImage, userID)
	c.Command = []string{"/controller"}
	c.Args = programArgs(spec, env)
	c.Env = []corev1.EnvVar{
		envField("METALLB_NAMESPACE", "metadata.namespace"),
		envField("METALLB_POD_NAME", "metadata.name"),
	}
	c.Ports = programPorts(env)
	c.Resources = resourcesOr(config.Resources, requests("20m", "64Mi"))
	c.LivenessProbe = httpProbe("", "/healthz", 10)
	c.ReadinessProbe = httpProbe("", "/readyz", 5)
	c.VolumeMounts = []corev1.VolumeMount{apiAccessMount()}
	return c
}
