package manifests_test

import (
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

func TestGivenAShutdownWhenBuiltThenFRRLeavesBeforeItIsStoppedAndThePodHasTheTimeForIt(t *testing.T) {
	for name, row := range map[string]struct {
		shutdown *v1beta1.BGPShutdown
		wanted   []string
		grace    int64
	}{
		"none":               {nil, []string{"--wait=5s"}, 15},
		"nothing set inside": {&v1beta1.BGPShutdown{}, []string{"--wait=5s"}, 15},
		"per peer":           {&v1beta1.BGPShutdown{Mode: v1beta1.BGPShutdownPerPeer}, []string{"--wait=5s"}, 15},
		"all":                {&v1beta1.BGPShutdown{Mode: v1beta1.BGPShutdownWithdraw}, []string{"--wait=5s", "--close-all"}, 15},
		"at once":            {&v1beta1.BGPShutdown{WaitSeconds: new(int32(0))}, []string{"--wait=0s"}, 10},
		"late":               {&v1beta1.BGPShutdown{WaitSeconds: new(int32(600))}, []string{"--wait=10m0s"}, 610},
	} {
		t.Run(name, func(t *testing.T) {
			pod, _ := speakerOf(t, v1beta1.MetalLBSpec{BGPShutdown: row.shutdown})
			if found := *pod.TerminationGracePeriodSeconds; found != row.grace {
				t.Errorf("the pod has %d seconds to end, wanted %d", found, row.grace)
			}
			for _, c := range pod.Containers {
				if c.Name != manifests.FRR {
					if c.Lifecycle != nil {
						t.Errorf("container %s has hooks: %+v", c.Name, c.Lifecycle)
					}
					continue
				}
				wanted := append([]string{"/etc/frr_reloader/reloader", "leave"}, row.wanted...)
				if found := c.Lifecycle.PreStop.Exec.Command; !slices.Equal(found, wanted) {
					t.Errorf("before it is stopped FRR's container runs %q, wanted %q", found, wanted)
				}
				if !slices.ContainsFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == "/etc/frr_reloader" }) {
					t.Error("FRR's container does not have the program")
				}
			}
		})
	}
}
