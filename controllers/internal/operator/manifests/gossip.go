package manifests

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Volumes of the speaker's container that layer 2 needs, and where they are mounted. The paths are those of MetalLB's speaker.
const (
	memberKeyVolume = "memberlist"
	memberKeyPath   = "/etc/ml_secret_key"
	settingsVolume  = "settings"
	settingsPath    = "/etc/metallb"
)

// Files that users may give to the speakers, by ConfigMaps of their own in the namespace. The operator neither makes nor reads them. What the
// spec says takes their place, from SettingsConfigMap.
const (
	// ExcludeConfigMap holds, in ExcludeFile, the links that are never used for layer 2.
	ExcludeConfigMap = "metallb-excludel2"
	// ExcludeFile is the key in ExcludeConfigMap and the file in settingsPath.
	ExcludeFile = "excludel2.yaml"
	// TuningConfigMap holds, in TuningFile, settings of the gossip.
	TuningConfigMap = "metallb-memberlist"
	// TuningFile is the key in TuningConfigMap; the file is memberlist/config.json in settingsPath.
	TuningFile = "config.json"
)

// Ports of the gossip, by MetalLB's names for them.
const (
	memberTCPPortName = "memberlist-tcp"
	memberUDPPortName = "memberlist-udp"
)

// withGossip lets a speaker's container know which speakers are alive.
func withGossip(c *corev1.Container, env Environment) {
	c.Env = append(c.Env,
		envField("METALLB_ML_BIND_ADDR", "status.podIP"),
		corev1.EnvVar{Name: "METALLB_ML_BIND_PORT", Value: strconv.Itoa(int(env.MemberPort))},
		corev1.EnvVar{Name: "METALLB_ML_LABELS", Value: LabelApp + "=" + App + "," + LabelComponent + "=" + Speaker},
		corev1.EnvVar{Name: "METALLB_ML_SECRET_KEY_PATH", Value: memberKeyPath},
	)
	c.Ports = append(c.Ports,
		corev1.ContainerPort{Name: memberTCPPortName, ContainerPort: env.MemberPort, Protocol: corev1.ProtocolTCP},
		corev1.ContainerPort{Name: memberUDPPortName, ContainerPort: env.MemberPort, Protocol: corev1.ProtocolUDP},
	)
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: memberKeyVolume, MountPath: memberKeyPath, ReadOnly: true})
}

// memberKey is the Secret that the operator makes before the DaemonSet. Without it no pod starts: gossip without encryption would let
// whoever reaches the port take addresses away. Only root may read the file, which the speaker is.
func memberKey() corev1.Volume {
	return corev1.Volume{Name: memberKeyVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: MemberlistSecret, DefaultMode: new(int32(0o400)),
	}}}
}

// settings are the files that users may give, in one volume because one lies below the folder of the other. A ConfigMap that is not there, or
// lacks the key, is an empty folder and holds up no pod.
func settings(spec v1beta1.MetalLBSpec) corev1.Volume {
	exclude, tuning := ExcludeConfigMap, TuningConfigMap
	if len(spec.Layer2ExcludeInterfaces) > 0 {
		exclude = SettingsConfigMap
	}
	if len(tuningOf(spec)) > 0 || memberlistOf(spec).WAN {
		tuning = SettingsConfigMap
	}
	file := func(name, key, path string) corev1.VolumeProjection {
		return corev1.VolumeProjection{ConfigMap: &corev1.ConfigMapProjection{
			LocalObjectReference: corev1.LocalObjectReference{Name: name},
			Items:                []corev1.KeyToPath{{Key: key, Path: path}},
			Optional:             new(true),
		}}
	}
	return corev1.Volume{Name: settingsVolume, VolumeSource: corev1.VolumeSource{Projected: &corev1.ProjectedVolumeSource{
		DefaultMode: new(int32(0o444)),
		Sources: []corev1.VolumeProjection{
			file(exclude, ExcludeFile, ExcludeFile),
			file(tuning, TuningFile, "memberlist/"+TuningFile),
		},
	}}}
}

// layer2Args are the speaker's flags for layer 2. What is not set is not given: the speaker has its own defaults.
func layer2Args(spec v1beta1.MetalLBSpec) []string {
	var args []string
	if interval := spec.SpeakerGratuitousARPInterval; interval != nil && interval.Duration > 0 {
		args = append(args, "--l2-announce-interval="+interval.Duration.String())
	}
	if len(spec.Layer2ExcludeNodes) > 0 {
		args = append(args, "--l2-exclude-nodes="+setFlag(spec.Layer2ExcludeNodes))
	}
	if fencing := memberlistOf(spec).Fencing; fencing != "" && gossips(spec) {
		args = append(args, "--ml-fencing="+fencingFlag(fencing))
	}
	if memberlistOf(spec).WAN && gossips(spec) {
		args = append(args, "--ml-wan-config")
	}
	return args
}

// setFlag is a set as the value of a flag: sorted, for another order of the same set must not replace pods.
func setFlag[S ~string](set []S) string {
	var names []string
	for _, name := range set {
		names = append(names, string(name))
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ",")
}

// fencingFlag is the speaker's word for it. "off" would be no good word in the API: YAML reads it as false.
func fencingFlag(fencing v1beta1.Fencing) string {
	if fencing == v1beta1.FencingNever {
		return "off"
	}
	return strings.ToLower(string(fencing))
}

// gossips says whether speakers are to tell each other who is alive.
func gossips(spec v1beta1.MetalLBSpec) bool { return !memberlistOf(spec).Disabled }

func memberlistOf(spec v1beta1.MetalLBSpec) v1beta1.MemberlistConfig {
	if spec.Memberlist == nil {
		return v1beta1.MemberlistConfig{}
	}
	return *spec.Memberlist
}
