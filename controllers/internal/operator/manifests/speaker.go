package manifests

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Volumes of the speaker's pod and where they are mounted.
const (
	frrConfigVolume  = "frr-conf"
	frrConfigPath    = "/etc/frr"
	frrSocketsVolume = "frr-sockets"
	frrSocketsPath   = "/var/run/frr"
	frrCrashVolume   = "frr-crash"
	frrCrashPath     = "/var/tmp/frr"
	reloaderVolume   = "reloader"
	reloaderPath     = "/etc/frr_reloader"
	reloaderProgram  = reloaderPath + "/reloader"
	scratchVolume    = "scratch"
	scratchPath      = "/tmp"
)

// loopback is where the speaker's health port is: its pod has the node's network.
const loopback = "127.0.0.1"

// speakerDaemonSet returns the DaemonSet that announces addresses from every selected node.
func speakerDaemonSet(spec v1beta1.MetalLBSpec, env Environment) *appsv1.DaemonSet {
	return &appsv1.DaemonSet{
		TypeMeta:   kind(appsv1.SchemeGroupVersion, "DaemonSet"),
		ObjectMeta: namespaced(Speaker, Speaker, env),
		Spec: appsv1.DaemonSetSpec{
			RevisionHistoryLimit: new(int32(3)),
			Selector:             &metav1.LabelSelector{MatchLabels: podLabels(Speaker)},
			UpdateStrategy:       updateStrategy(spec),
			Template:             speakerPod(spec, env),
		},
	}
}

func speakerPod(spec v1beta1.MetalLBSpec, env Environment) corev1.PodTemplateSpec {
	config := configOf(spec.SpeakerConfig)
	template := podTemplate(Speaker, spec, config)
	pod := &template.Spec
	pod.HostNetwork = true
	// The node's resolver: the pod has the node's network, and must come up before the cluster's DNS can.
	pod.DNSPolicy = corev1.DNSDefault
	pod.NodeSelector = nodeSelector(spec.NodeSelector)
	pod.Tolerations = tolerations(spec.SpeakerTolerations)
	pod.TerminationGracePeriodSeconds = new(int64(terminationSeconds))
	pod.Containers = []corev1.Container{speakerContainer(spec, config, env)}
	if withFRR(spec, env) {
		addFRR(pod, spec, env)
	}
	pod.Volumes = append(pod.Volumes, settings(spec))
	if gossips(spec) {
		pod.Volumes = append(pod.Volumes, memberKey())
	}
	if sum := tuningSum(spec); sum != "" {
		template.Annotations = merged(template.Annotations, map[string]string{tuningAnnotation: sum})
	}
	withCertificate(pod, &pod.Containers[0], prometheusIn(spec, env).SpeakerMetricsTLSSecret)
	forOpenShift(&template, Speaker, env)
	return template
}

// withFRR says whether FRR is to run beside the speakers.
func withFRR(spec v1beta1.MetalLBSpec, env Environment) bool {
	return !env.FRRIdle || spec.FRR == v1beta1.FRRAlways || spec.BGPListenPort != nil
}

// addFRR adds to a speaker's pod all that BGP takes.
func addFRR(pod *corev1.PodSpec, spec v1beta1.MetalLBSpec, env Environment) {
	*pod.TerminationGracePeriodSeconds += int64(shutdownWait(spec))
	pod.Volumes = append(pod.Volumes,
		// In memory: the configuration of FRR holds the passwords of BGP sessions, which belong on no disk.
		inMemory(frrConfigVolume, "64Mi"),
		inMemory(frrSocketsVolume, "64Mi"),
		inMemory(scratchVolume, "64Mi"),
		onDisk(frrCrashVolume),
		onDisk(reloaderVolume),
	)
	pod.InitContainers = []corev1.Container{installReloader(env), prepareFRR(spec, env)}
	pod.Containers = append(pod.Containers, frrContainer(spec, env), reloaderContainer(spec, env), updateReloader(env))
}

func speakerContainer(spec v1beta1.MetalLBSpec, config v1beta1.PodConfig, env Environment) corev1.Container {
	c := container(Speaker, env.SpeakerImage, 0, SpeakerCapabilities()...)
	c.Command = []string{"/speaker"}
	c.Args = slices.Concat(programArgs(spec, env), layer2Args(spec), drainArgs(spec))
	c.Env = []corev1.EnvVar{
		envField("METALLB_NODE_NAME", "spec.nodeName"),
		envField("METALLB_POD_NAME", "metadata.name"),
		envField("METALLB_NAMESPACE", "metadata.namespace"),
	}
	c.Ports = programPorts(env)
	c.Resources = resourcesOr(config.Resources, requests("20m", "64Mi"))
	c.LivenessProbe = httpProbe(loopback, "/healthz", 10)
	c.ReadinessProbe = httpProbe(loopback, "/readyz", 5)
	c.VolumeMounts = []corev1.VolumeMount{apiAccessMount()}
	if withFRR(spec, env) {
		c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: reloaderVolume, MountPath: reloaderPath, ReadOnly: true})
	} else {
		c.Args = append(c.Args, "--without-frr")
	}
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: settingsVolume, MountPath: settingsPath, ReadOnly: true})
	if gossips(spec) {
		withGossip(&c, env)
	}
	return c
}

// installer is the container that brings the reloader's program before the others start.
const installer = "install-reloader"

// installReloader puts the reloader, a static program, where the containers with FRR's image find it.
func installReloader(env Environment) corev1.Container {
	c := container(installer, env.SpeakerImage, userID)
	c.Command = []string{"/reloader", "install", reloaderProgram}
	c.Resources = requests("10m", "32Mi")
	c.VolumeMounts = []corev1.VolumeMount{{Name: reloaderVolume, MountPath: reloaderPath}}
	return c
}

// updateReloader does the same again when its image is changed in the running pod, which does not run init containers again; the reloader then
// becomes the program that it finds. It is a container of its own because whoever can write that program has the rights of FRR's container.
func updateReloader(env Environment) corev1.Container {
	c := container(Updater, env.SpeakerImage, userID)
	c.Command = []string{"/reloader", "install", "--stay", reloaderProgram}
	c.Resources = requests("1m", "16Mi")
	c.VolumeMounts = []corev1.VolumeMount{{Name: reloaderVolume, MountPath: reloaderPath}}
	return c
}

// prepareFRR writes the files without which FRR does not start, owned by FRR's user, whose number only its image knows.
func prepareFRR(spec v1beta1.MetalLBSpec, env Environment) corev1.Container {
	c := container("prepare-frr", env.FRRImage, 0, PrepareCapabilities()...)
	c.Command = []string{reloaderProgram, "prepare"}
	c.Args = listenArgs(spec)
	c.Resources = requests("10m", "32Mi")
	c.VolumeMounts = frrMounts()
	return c
}

func frrContainer(spec v1beta1.MetalLBSpec, env Environment) corev1.Container {
	c := container(FRR, env.FRRImage, 0, FRRCapabilities()...)
	// The official image has tini at this path, and so has the project's own.
	c.Command = []string{"/sbin/tini", "--", "/usr/lib/frr/docker-start"}
	// No liveness probe: watchfrr starts a daemon anew that ends or hangs, and ending the container would end the routes of
	// the other daemons as well. The start is looked at often, so that a new pod counts as ready when it is.
	c.StartupProbe = execProbe(2, 60, bgpdAnswers()...)
	c.ReadinessProbe = execProbe(30, 3, bgpdAnswers()...)
	// What the image starts does not tell routers that it ends: so that is done before. It runs when the pod is deleted, and when the start
	// fails: then it ends at once, because bgpd does not answer. It does not run when the container ends by itself.
	c.Lifecycle = &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Exec: &corev1.ExecAction{Command: leaveCommand(spec)}}}
	c.Resources = resourcesOr(spec.FRRResources, requests("20m", "96Mi"))
	c.VolumeMounts = frrMounts()
	return c
}

// bgpdAnswers fails where bgpd does not.
func bgpdAnswers() []string { return []string{"/usr/bin/vtysh", "-d", "bgpd", "-c", "show version"} }

func reloaderContainer(spec v1beta1.MetalLBSpec, env Environment) corev1.Container {
	c := container(Reloader, env.FRRImage, 0, ReloaderCapabilities()...)
	c.Command = []string{reloaderProgram, "run"}
	c.Args = []string{"--log-level=" + reloaderLogLevel(spec.LogLevel)}
	// It answers whatever FRR does, so that one that does not for a minute and a half hangs; another one in its place disturbs no session.
	c.StartupProbe = execProbe(2, 60, reloaderProgram, "alive")
	c.LivenessProbe = execProbe(30, 3, reloaderProgram, "alive")
	c.Resources = resourcesOr(spec.ReloaderResources, requests("10m", "32Mi"))
	c.VolumeMounts = frrMounts()
	return c
}

// reloaderLogLevel is the level of the reloader, which knows fewer.
func reloaderLogLevel(level v1beta1.LogLevel) string {
	switch level {
	case "":
		return string(v1beta1.LogLevelInfo)
	case v1beta1.LogLevelAll:
		return string(v1beta1.LogLevelDebug)
	case v1beta1.LogLevelNone:
		return string(v1beta1.LogLevelError)
	default:
		return string(level)
	}
}

// frrMounts are the folders that FRR, vtysh, frr-reload.py and the reloader write to; the rest of their image is read-only.
func frrMounts() []corev1.VolumeMount {
	return []corev1.VolumeMount{
		{Name: frrConfigVolume, MountPath: frrConfigPath},
		{Name: frrSocketsVolume, MountPath: frrSocketsPath},
		{Name: frrCrashVolume, MountPath: frrCrashPath},
		{Name: reloaderVolume, MountPath: reloaderPath},
		{Name: scratchVolume, MountPath: scratchPath},
	}
}

func inMemory(name, limit string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{
		Medium: corev1.StorageMediumMemory, SizeLimit: new(resource.MustParse(limit)),
	}}}
}

func onDisk(name string) corev1.Volume {
	return corev1.Volume{Name: name, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}
}
