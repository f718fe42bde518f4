package manifests

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// controllerDeployment returns the Deployment of the one program that gives Services their addresses. Leader election makes
// a second pod during an update harmless.
func controllerDeployment(spec v1beta1.MetalLBSpec, env Environment) *appsv1.Deployment {
	config := configOf(spec.ControllerConfig)
	template := podTemplate(Controller, config)
	pod := &template.Spec
	pod.NodeSelector = nodeSelector(spec.ControllerNodeSelector)
	pod.Tolerations = tolerations(spec.ControllerTolerations)
	pod.TerminationGracePeriodSeconds = new(int64(10))
	pod.Containers = []corev1.Container{controllerContainer(spec, config, env)}
	return &appsv1.Deployment{
		TypeMeta:   kind(appsv1.SchemeGroupVersion, "Deployment"),
		ObjectMeta: namespaced(Controller, Controller, env),
		Spec: appsv1.DeploymentSpec{
			Replicas:             new(int32(1)),
			RevisionHistoryLimit: new(int32(3)),
			Selector:             &metav1.LabelSelector{MatchLabels: podLabels(Controller)},
			Template:             template,
		},
	}
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
	c.Resources = requests("20m", "64Mi")
	if config.Resources != nil {
		c.Resources = *config.Resources
	}
	c.LivenessProbe = httpProbe("", "/healthz", 10)
	c.ReadinessProbe = httpProbe("", "/readyz", 5)
	c.VolumeMounts = []corev1.VolumeMount{apiAccessMount()}
	return c
}
