package manifests_test

import (
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

// Given a setting of updates, when the operator goes by it, then so many speakers may be missing, and sessions are waited for so long.
func TestRolloutLimits(t *testing.T) {
	for name, row := range map[string]struct {
		update *v1beta1.SpeakerUpdate
		want   rollout.Limits
	}{
		"unset":      {nil, rollout.Limits{Unavailable: 1, SessionWait: 5 * time.Minute}},
		"a number":   {&v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromInt32(3))}, rollout.Limits{Unavailable: 3, SessionWait: 5 * time.Minute}},
		"a share":    {&v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromString("15%"))}, rollout.Limits{Unavailable: 2, SessionWait: 5 * time.Minute}},
		"no waiting": {&v1beta1.SpeakerUpdate{SessionWaitSeconds: new(int32(0))}, rollout.Limits{Unavailable: 1}},
	} {
		if found := manifests.RolloutLimits(v1beta1.MetalLBSpec{SpeakerUpdate: row.update}, 10); found != row.want {
			t.Errorf("%s: %+v, wanted %+v", name, found, row.want)
		}
	}
}

// Given each strategy, when the DaemonSet is built, then Kubernetes updates pods by itself with RollingUpdate only.
func TestUpdateStrategy(t *testing.T) {
	for strategy, kubernetes := range map[v1beta1.SpeakerUpdateStrategy]appsv1.DaemonSetUpdateStrategyType{
		"": appsv1.OnDeleteDaemonSetStrategyType, v1beta1.SpeakerUpdateOrdered: appsv1.OnDeleteDaemonSetStrategyType,
		v1beta1.SpeakerUpdateOnDelete: appsv1.OnDeleteDaemonSetStrategyType, v1beta1.SpeakerUpdateRollingUpdate: appsv1.RollingUpdateDaemonSetStrategyType,
	} {
		spec := v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{Strategy: strategy}}
		for _, o := range manifests.Desired(spec, environment()) {
			if set, ok := o.(*appsv1.DaemonSet); ok && set.Spec.UpdateStrategy.Type != kubernetes {
				t.Errorf("%q: %+v", strategy, set.Spec.UpdateStrategy)
			}
		}
		if ordered := manifests.Ordered(spec); ordered != (strategy == "" || strategy == v1beta1.SpeakerUpdateOrdered) {
			t.Errorf("%q: the operator updates: %t", strategy, ordered)
		}
	}
}

// Given the speaker's pod, when another image of the project's programs is wanted, then only containers differ that can be changed in the running pod;
// FRR's image is in none of these.
func TestTheProgramsImageIsInContainersThatChangeInPlace(t *testing.T) {
	for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, environment()) {
		set, ok := o.(*appsv1.DaemonSet)
		if !ok {
			continue
		}
		for _, c := range slices.Concat(set.Spec.Template.Spec.InitContainers, set.Spec.Template.Spec.Containers) {
			if ours := c.Image == environment().SpeakerImage; ours != slices.Contains(manifests.ChangedInPlace(), c.Name) {
				t.Errorf("container %s has image %s, and is changed in place: %t", c.Name, c.Image, !ours)
			}
		}
		// What is changed in place must outlast the start of the pod, or be there again beside it.
		if !slices.ContainsFunc(set.Spec.Template.Spec.Containers, func(c corev1.Container) bool {
			return slices.Equal(c.Command, []string{"/reloader", "install", "--stay", "/etc/frr_reloader/reloader"})
		}) {
			t.Error("no container brings another version of the reloader while the pod runs")
		}
	}
}
