package manifests

import (
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

const (
	// defaultSessionWait is spec.speakerUpdate.sessionWaitSeconds where it is unset, and mostSessionWait its limit.
	defaultSessionWait, mostSessionWait = 300, 86400
)

// ChangedInPlace are the containers of the speaker's pod whose image can be changed while the pod runs: a kubelet then starts only them anew, and
// FRR runs on. An init container is started by the next start of the pod only.
func ChangedInPlace() []string { return []string{installer, Updater, Speaker} }

func speakerUpdateOf(spec v1beta1.MetalLBSpec) v1beta1.SpeakerUpdate {
	if spec.SpeakerUpdate == nil {
		return v1beta1.SpeakerUpdate{}
	}
	return *spec.SpeakerUpdate
}

// Ordered says that the operator updates the speakers, and not Kubernetes or somebody else.
func Ordered(spec v1beta1.MetalLBSpec) bool {
	s := speakerUpdateOf(spec).Strategy
	return s == "" || s == v1beta1.SpeakerUpdateOrdered
}

// ByHand says that speakers are updated by whoever deletes their pods.
func ByHand(spec v1beta1.MetalLBSpec) bool {
	return speakerUpdateOf(spec).Strategy == v1beta1.SpeakerUpdateOnDelete
}

// RolloutLimits are those of an update that the operator makes, of so many speakers.
func RolloutLimits(spec v1beta1.MetalLBSpec, speakers int) rollout.Limits {
	update, limits := speakerUpdateOf(spec), rollout.Limits{Unavailable: 1, SessionWait: defaultSessionWait * time.Second}
	if update.MaxUnavailable != nil {
		// Validate has seen to it that it can be read.
		limits.Unavailable, _ = intstr.GetScaledValueFromIntOrPercent(update.MaxUnavailable, speakers, true)
	}
	if update.SessionWaitSeconds != nil {
		limits.SessionWait = time.Duration(*update.SessionWaitSeconds) * time.Second
	}
	return limits
}

// updateStrategy is the DaemonSet's. Of its own accord Kubernetes can only replace whole pods, and with them FRR.
func updateStrategy(spec v1beta1.MetalLBSpec) appsv1.DaemonSetUpdateStrategy {
	update := speakerUpdateOf(spec)
	if update.Strategy != v1beta1.SpeakerUpdateRollingUpdate {
		return appsv1.DaemonSetUpdateStrategy{Type: appsv1.OnDeleteDaemonSetStrategyType}
	}
	most := intstr.FromInt32(1)
	if update.MaxUnavailable != nil {
		most = *update.MaxUnavailable
	}
	return appsv1.DaemonSetUpdateStrategy{
		Type: appsv1.RollingUpdateDaemonSetStrategyType,
		// A surge would need the ports of the node twice.
		RollingUpdate: &appsv1.RollingUpdateDaemonSet{MaxUnavailable: &most, MaxSurge: new(intstr.FromInt32(0))},
	}
}

func validateUpdate(spec v1beta1.MetalLBSpec, path *field.Path) field.ErrorList {
	update := speakerUpdateOf(spec)
	errs := validateOneOf(string(update.Strategy), path.Child("strategy"), []string{
		string(v1beta1.SpeakerUpdateOrdered), string(v1beta1.SpeakerUpdateRollingUpdate), string(v1beta1.SpeakerUpdateOnDelete),
	})
	if most := update.MaxUnavailable; most != nil {
		// Of a hundred, a percentage is itself.
		if n, err := intstr.GetScaledValueFromIntOrPercent(most, 100, true); err != nil || n < 1 || most.Type == intstr.String && n > 100 {
			errs = append(errs, field.Invalid(path.Child("maxUnavailable"), most.String(), "must be a number of at least 1, or from 1% to 100%"))
		}
	}
	if wait := update.SessionWaitSeconds; wait != nil && (*wait < 0 || *wait > mostSessionWait) {
		errs = append(errs, field.Invalid(path.Child("sessionWaitSeconds"), *wait, fmt.Sprintf("must be from 0 to %d", mostSessionWait)))
	}
	return errs
}
