package manifests

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Ports of the pods, by the names that users' monitors select.
const (
	metricsPortName = "monitoring"
	healthPortName  = "health"
)

// userID is the user of programs that need no privilege; the image names the same.
const userID = 65532

const apiAccessVolume = "api-access"

// podTemplate returns what the pods of both components have in common. No container gets the API token by itself.
func podTemplate(component string, spec v1beta1.MetalLBSpec, config v1beta1.PodConfig) corev1.PodTemplateSpec {
	template := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: merged(config.Labels, podLabels(component)), Annotations: merged(nil, config.Annotations)},
		Spec: corev1.PodSpec{
			ServiceAccountName:           component,
			AutomountServiceAccountToken: new(bool),
			EnableServiceLinks:           new(bool),
			PriorityClassName:            config.PriorityClassName,
			Affinity:                     config.Affinity,
			ImagePullSecrets:             spec.ImagePullSecrets,
			SecurityContext: &corev1.PodSecurityContext{
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Volumes: []corev1.Volume{apiAccess()},
		},
	}
	if config.RuntimeClassName != "" {
		template.Spec.RuntimeClassName = &config.RuntimeClassName
	}
	return template
}

// container returns a container that may do nothing but what its image's program does as the user given; 0 is root without
// any capability but those named.
func container(name, image string, user int64, capabilities ...corev1.Capability) corev1.Container {
	return corev1.Container{
		Name:            name,
		Image:           image,
		ImagePullPolicy: corev1.PullIfNotPresent,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: new(bool),
			ReadOnlyRootFilesystem:   new(true),
			RunAsNonRoot:             new(user != 0),
			RunAsUser:                &user,
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}, Add: capabilities},
		},
	}
}

// apiAccess is what the ServiceAccount admission plugin would mount into every container. Mounted by hand it reaches only
// the programs that talk to the API server, not FRR beside them.
func apiAccess() corev1.Volume {
	return corev1.Volume{Name: apiAccessVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(0o444)),
		Sources: []corev1.VolumeProjection{
			{ServiceAccountToken: &corev1.ServiceAccountTokenProjection{Path: "token", ExpirationSeconds: new(int64(3607))}},
			{ConfigMap: &corev1.ConfigMapProjection{
				LocalObjectReference: corev1.LocalObjectReference{Name: "kube-root-ca.crt"},
				Items:                []corev1.KeyToPath{{Key: "ca.crt", Path: "ca.crt"}},
			}},
			{DownwardAPI: &corev1.DownwardAPIProjection{Items: []corev1.DownwardAPIVolumeFile{
				{Path: "namespace", FieldRef: fieldRef("metadata.namespace")},
			}}},
		},
	}}}
}

func apiAccessMount() corev1.VolumeMount {
	return corev1.VolumeMount{Name: apiAccessVolume, MountPath: "/var/run/secrets/kubernetes.io/serviceaccount", ReadOnly: true}
}

// fieldRef selects a field of the pod. The API server fills in the version where it is left out, which would look like drift.
func fieldRef(path string) *corev1.ObjectFieldSelector {
	return &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path}
}

func envField(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{FieldRef: fieldRef(path)}}
}

// programArgs are the flags that controller and speaker share.
func programArgs(spec v1beta1.MetalLBSpec, env Environment) []string {
	level := spec.LogLevel
	if level == "" {
		level = v1beta1.LogLevelInfo
	}
	args := []string{
		"--port=" + strconv.Itoa(int(env.MetricsPort)),
		"--health-probe-port=" + strconv.Itoa(int(env.HealthPort)),
		"--log-level=" + string(level),
	}
	if spec.IgnoreExcludeLB {
		args = append(args, "--ignore-exclude-lb")
	}
	return slices.Concat(args, classArgs(spec), listenArgs(spec))
}

// listenArgs say on which port the nodes accept BGP sessions, where they do.
func listenArgs(spec v1beta1.MetalLBSpec) []string {
	if spec.BGPListenPort == nil {
		return nil
	}
	return []string{"--bgp-listen-port=" + strconv.Itoa(int(*spec.BGPListenPort))}
}

// classArgs say which load balancer classes to serve. Without any the programs serve the Services without a class, so that to serve those as
// well adds nothing.
func classArgs(spec v1beta1.MetalLBSpec) []string {
	var classes []string
	if spec.LoadBalancerClass != "" {
		classes = append(classes, spec.LoadBalancerClass)
	}
	for _, class := range spec.LoadBalancerClasses {
		if !slices.Contains(classes, class) {
			classes = append(classes, class)
		}
	}
	if len(classes) == 0 {
		return nil
	}
	args := []string{"--lb-class=" + strings.Join(classes, ",")}
	if spec.LoadBalancerAlsoUnclassed {
		args = append(args, "--lb-class-also-unclassed")
	}
	return args
}

func programPorts(env Environment) []corev1.ContainerPort {
	return []corev1.ContainerPort{
		{Name: metricsPortName, ContainerPort: env.MetricsPort, Protocol: corev1.ProtocolTCP},
		{Name: healthPortName, ContainerPort: env.HealthPort, Protocol: corev1.ProtocolTCP},
	}
}

// httpProbe asks a program on its health port; host is empty for the pod's address.
func httpProbe(host, path string, period int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Host: host, Path: path, Port: intstr.FromString(healthPortName), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds:    period,
		TimeoutSeconds:   5,
		FailureThreshold: 3,
	}
}

func execProbe(period, failures int32, command ...string) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: command}},
		PeriodSeconds:    period,
		TimeoutSeconds:   10,
		FailureThreshold: failures,
	}
}

// requests returns requests without limits: a load balancer that is throttled or killed takes traffic with it.
func requests(cpu, memory string) corev1.ResourceRequirements {
	return corev1.ResourceRequirements{Requests: corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse(cpu), corev1.ResourceMemory: resource.MustParse(memory),
	}}
}

// resourcesOr returns what the spec wants for a container, else what is usual.
func resourcesOr(wanted *corev1.ResourceRequirements, usual corev1.ResourceRequirements) corev1.ResourceRequirements {
	if wanted != nil {
		return *wanted
	}
	return usual
}

// tolerations lets pods run on control-plane nodes, besides what the spec says.
func tolerations(more []corev1.Toleration) []corev1.Toleration {
	return append([]corev1.Toleration{
		{Key: "node-role.kubernetes.io/master", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
		{Key: "node-role.kubernetes.io/control-plane", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoSchedule},
	}, more...)
}

func nodeSelector(more map[string]string) map[string]string {
	return merged(map[string]string{corev1.LabelOSStable: "linux"}, more)
}

// configOf returns the pod settings, empty ones where the spec has none.
func configOf(config *v1beta1.PodConfig) v1beta1.PodConfig {
	if config == nil {
		return v1beta1.PodConfig{}
	}
	return *config
}
