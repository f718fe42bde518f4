package manifests_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// speakerOf returns the speakers' pod and in it the speaker's container.
func speakerOf(t *testing.T, spec v1beta1.MetalLBSpec) (corev1.PodSpec, corev1.Container) {
	t.Helper()
	return speakerIn(t, spec, environment())
}

func speakerIn(t *testing.T, spec v1beta1.MetalLBSpec, env manifests.Environment) (corev1.PodSpec, corev1.Container) {
	t.Helper()
	for _, o := range manifests.Desired(spec, env) {
		if pod, ok := podSpec(o); ok && o.GetName() == manifests.Speaker {
			return pod, pod.Containers[slices.IndexFunc(pod.Containers, func(c corev1.Container) bool { return c.Name == manifests.Speaker })]
		}
	}
	t.Fatal("there is no DaemonSet")
	return corev1.PodSpec{}, corev1.Container{}
}

// ofGossip are the flags, variables, ports and volumes of a speaker's pod by which it gossips.
func ofGossip(pod corev1.PodSpec, speaker corev1.Container) []string {
	var found []string
	for _, arg := range speaker.Args {
		if strings.HasPrefix(arg, "--ml-") {
			found = append(found, arg)
		}
	}
	for _, e := range speaker.Env {
		if strings.HasPrefix(e.Name, "METALLB_ML_") {
			found = append(found, e.Name)
		}
	}
	for _, p := range speaker.Ports {
		if strings.HasPrefix(p.Name, "memberlist-") {
			found = append(found, p.Name)
		}
	}
	for _, v := range pod.Volumes {
		if v.Secret != nil {
			found = append(found, "secret "+v.Secret.SecretName)
		}
	}
	return found
}

func TestGivenGossipSwitchedOffWhenBuiltThenThePodHasNothingOfItAndTheKeyIsKept(t *testing.T) {
	on := ofGossip(speakerOf(t, v1beta1.MetalLBSpec{}))
	wanted := []string{"METALLB_ML_BIND_ADDR", "METALLB_ML_BIND_PORT", "METALLB_ML_LABELS", "METALLB_ML_SECRET_KEY_PATH", "memberlist-tcp",
		"memberlist-udp", "secret memberlist"}
	if diff := cmp.Diff(wanted, on); diff != "" {
		t.Errorf("with gossip (-wanted +found):\n%s", diff)
	}
	off := v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{Disabled: true, Fencing: v1beta1.FencingNever}}
	if found := ofGossip(speakerOf(t, off)); len(found) > 0 {
		t.Errorf("without gossip the pod still has %q", found)
	}
	if key := find[*corev1.Secret](manifests.Desired(off, environment())); key.Name != manifests.MemberlistSecret {
		t.Errorf("without gossip the Secret is %s: the key would be lost, and speakers of before and after would not understand each other", key.Name)
	}
}

func TestGivenSettingsOfLayer2WhenBuiltThenTheSpeakerIsToldByItsFlags(t *testing.T) {
	fencing := func(f v1beta1.Fencing) v1beta1.MetalLBSpec {
		return v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{Fencing: f}}
	}
	interval := func(d time.Duration) v1beta1.MetalLBSpec {
		return v1beta1.MetalLBSpec{SpeakerGratuitousARPInterval: &metav1.Duration{Duration: d}}
	}
	exclude := func(i ...v1beta1.NodeImpairment) v1beta1.MetalLBSpec {
		return v1beta1.MetalLBSpec{Layer2ExcludeNodes: i}
	}
	for name, row := range map[string]struct {
		spec   v1beta1.MetalLBSpec
		wanted []string
	}{
		"nothing is set":         {v1beta1.MetalLBSpec{}, nil},
		"nothing is set inside":  {fencing(""), nil},
		"proven":                 {fencing(v1beta1.FencingProven), []string{"--ml-fencing=proven"}},
		"strict":                 {fencing(v1beta1.FencingStrict), []string{"--ml-fencing=strict"}},
		"never":                  {fencing(v1beta1.FencingNever), []string{"--ml-fencing=off"}},
		"repeated":               {interval(90 * time.Second), []string{"--l2-announce-interval=1m30s"}},
		"repeated never":         {interval(0), nil},
		"excluded, in any order": {exclude("Unschedulable", "NotReady"), []string{"--l2-exclude-nodes=NotReady,Unschedulable"}},
		"far away":               {v1beta1.MetalLBSpec{Memberlist: &v1beta1.MemberlistConfig{WAN: true}}, []string{"--ml-wan-config"}},
		"excluded, for one":      {exclude("OutOfService"), []string{"--l2-exclude-nodes=OutOfService"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, speaker := speakerOf(t, row.spec)
			found := slices.DeleteFunc(speaker.Args, func(arg string) bool { return !strings.HasPrefix(arg, "--l2-") && !strings.HasPrefix(arg, "--ml-") })
			if !slices.Equal(found, row.wanted) {
				t.Errorf("flags %q, wanted %q", found, row.wanted)
			}
		})
	}
}

// A pod must come up whether or not its users give it settings; without the key it must not, for it would gossip in the clear.
func TestGivenNoConfigMapOfUsersWhenBuiltThenOnlyTheKeyIsNeededToStart(t *testing.T) {
	pod, speaker := speakerOf(t, v1beta1.MetalLBSpec{})
	var files []string
	for _, v := range pod.Volumes {
		switch {
		case v.Secret != nil && v.Secret.Optional != nil:
			t.Errorf("Secret %s is optional", v.Secret.SecretName)
		case v.Secret != nil && *v.Secret.DefaultMode != 0o400:
			t.Errorf("Secret %s has mode %o: only root, who reads it, needs to", v.Secret.SecretName, *v.Secret.DefaultMode)
		case v.Name == "settings":
			for _, source := range v.Projected.Sources {
				if source.ConfigMap.Optional == nil || !*source.ConfigMap.Optional {
					t.Errorf("ConfigMap %s is not optional", source.ConfigMap.Name)
				}
				at := speaker.VolumeMounts[slices.IndexFunc(speaker.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })].MountPath
				files = append(files, source.ConfigMap.Name+" "+at+"/"+source.ConfigMap.Items[0].Path)
			}
		}
	}
	if diff := cmp.Diff([]string{"metallb-excludel2 /etc/metallb/excludel2.yaml", "metallb-memberlist /etc/metallb/memberlist/config.json"}, files); diff != "" {
		t.Errorf("files of users (-wanted +found):\n%s", diff)
	}
}

// What the spec says takes the place of the users' ConfigMaps. Links are followed by speakers that run; settings of the gossip are read by those that
// start, so that a change of these must change the pods.
func TestGivenLinksAndGossipInTheSpecWhenBuiltThenTheirFilesAreTheOperators(t *testing.T) {
	of := func(interval time.Duration, links ...string) v1beta1.MetalLBSpec {
		return v1beta1.MetalLBSpec{Layer2ExcludeInterfaces: links, Memberlist: &v1beta1.MemberlistConfig{
			ProbeInterval: &metav1.Duration{Duration: interval}, ProbeTimeout: &metav1.Duration{Duration: time.Second},
			SuspicionMult: new(int32(3)), GossipInterval: &metav1.Duration{Duration: 150 * time.Millisecond},
		}}
	}
	first := of(2*time.Second, "^a$", `^b\d+$`)
	wanted := map[string]string{
		"excludel2.yaml": `{"announcedInterfacesToExclude":["^a$","^b\\d+$"]}`,
		"config.json":    `{"GossipInterval":"150ms","ProbeInterval":"2s","ProbeTimeout":"1s","SuspicionMult":3}`,
	}
	if diff := cmp.Diff(wanted, find[*corev1.ConfigMap](manifests.Desired(first, environment())).Data); diff != "" {
		t.Errorf("files (-wanted +found):\n%s", diff)
	}
	pod, _ := speakerOf(t, first)
	for _, v := range pod.Volumes {
		if v.Name != "settings" {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.ConfigMap.Name != manifests.SettingsConfigMap {
				t.Errorf("file %s is that of ConfigMap %s", source.ConfigMap.Items[0].Path, source.ConfigMap.Name)
			}
		}
	}
	template := func(spec v1beta1.MetalLBSpec) corev1.PodTemplateSpec {
		return find[*appsv1.DaemonSet](manifests.Desired(spec, environment())).Spec.Template
	}
	if diff := cmp.Diff(template(first), template(of(2*time.Second, "^c$"))); diff != "" {
		t.Errorf("other links replace pods:\n%s", diff)
	}
	if cmp.Equal(template(first), template(of(3*time.Second, "^a$"))) {
		t.Error("other settings of the gossip replace no pods")
	}
	off := first
	off.Memberlist = &v1beta1.MemberlistConfig{Disabled: true, ProbeInterval: first.Memberlist.ProbeInterval}
	off.Layer2ExcludeInterfaces = nil
	if found, ok := seek[*corev1.ConfigMap](manifests.Desired(off, environment())); ok {
		t.Errorf("without gossip there is still %v", found.Data)
	}
}
