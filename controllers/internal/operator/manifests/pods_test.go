package manifests_test

import (
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

func podSpec(o client.Object) (corev1.PodSpec, bool) {
	switch o := o.(type) {
	case *appsv1.Deployment:
		return o.Spec.Template.Spec, true
	case *appsv1.DaemonSet:
		return o.Spec.Template.Spec, true
	}
	return corev1.PodSpec{}, false
}

// Given the pods of an installation, when each container is looked at, then it can gain no privilege, writes only to its
// volumes, has no capability but those it names, and only controller and speaker hold a token for the API server.
func TestContainersAreLocked(t *testing.T) {
	containers := 0
	for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, environment()) {
		spec, ok := podSpec(o)
		if !ok {
			continue
		}
		if spec.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault || *spec.AutomountServiceAccountToken {
			t.Errorf("pod of %s: seccomp %v, token mounted by itself %t", o.GetName(), spec.SecurityContext.SeccompProfile, *spec.AutomountServiceAccountToken)
		}
		for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
			containers++
			s := c.SecurityContext
			if *s.AllowPrivilegeEscalation || !*s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) ||
				s.Privileged != nil {
				t.Errorf("container %s: %+v", c.Name, s)
			}
			if root := *s.RunAsUser == 0; root == *s.RunAsNonRoot || !root && len(s.Capabilities.Add) > 0 {
				t.Errorf("container %s: user %d, capabilities %v: they are of use to root only", c.Name, *s.RunAsUser, s.Capabilities.Add)
			}
			token := slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool {
				return m.MountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
			})
			if wanted := c.Name == manifests.Controller || c.Name == manifests.Speaker; token != wanted {
				t.Errorf("container %s: has a token: %t", c.Name, token)
			}
			if len(c.Resources.Requests) == 0 {
				t.Errorf("container %s requests nothing", c.Name)
			}
			for _, m := range c.VolumeMounts {
				if !slices.ContainsFunc(spec.Volumes, func(v corev1.Volume) bool { return v.Name == m.Name }) {
					t.Errorf("container %s mounts %s, which is not a volume of the pod", c.Name, m.Name)
				}
			}
		}
	}
	if containers != 6 {
		t.Errorf("%d containers, wanted 6", containers)
	}
}
