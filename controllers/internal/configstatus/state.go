package configstatus

import (
	"context"
	"fmt"
	"reflect"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// stateName is the name of the controller's ConfigurationState.
const stateName = v1beta1.ComponentController

// writeState writes the controller's ConfigurationState: the verdict on pools, reservations and quotas, which are what the controller itself
// works with. The verdict on everything else is the speakers' to give.
func (r *reconciler) writeState(ctx context.Context, problems []intent.Problem) error {
	state, err := r.ensureState(ctx)
	if err != nil {
		return err
	}
	against := only(problems, func(p intent.Problem) bool { return !isWarning(p) })
	verdict := metav1.Condition{Type: v1beta1.ConditionPoolReconcilerValid, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonReconciled, Message: "all IPAddressPools, IPReservations and AddressQuotas are valid and in force"}
	result := v1beta1.ConfigurationValid
	if len(against) > 0 {
		verdict.Status, verdict.Reason, verdict.Message = condition.Is(false), v1beta1.ReasonConfigurationError, summary(against)
		result = v1beta1.ConfigurationInvalid
	}
	want := v1beta1.ConfigurationStateStatus{Result: result, ErrorSummary: summary(against)}
	want.Conditions, _ = condition.Apply(state.Status.Conditions, state.Generation, r.Now(), verdict)
	if reflect.DeepEqual(state.Status, want) {
		return nil
	}
	err = patchStatus(ctx, r.client, state, map[string]any{"result": want.Result, "errorSummary": want.ErrorSummary, "conditions": want.Conditions})
	if err != nil {
		return fmt.Errorf("writing the status of ConfigurationState %s/%s: %w", r.Namespace, stateName, err)
	}
	return nil
}

// ensureState returns the controller's ConfigurationState, a copy, after making sure that it exists, has its labels and belongs to this pod.
func (r *reconciler) ensureState(ctx context.Context) (*v1beta1.ConfigurationState, error) {
	owners, err := r.owners(ctx)
	if err != nil {
		return nil, err
	}
	state := &v1beta1.ConfigurationState{}
	err = r.client.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: stateName}, state)
	if apierrors.IsNotFound(err) {
		state.ObjectMeta = metav1.ObjectMeta{
			Namespace: r.Namespace, Name: stateName, OwnerReferences: owners,
			Labels: map[string]string{v1beta1.LabelComponentType: v1beta1.ComponentController},
		}
		if err := r.client.Create(ctx, state); err != nil {
			return nil, fmt.Errorf("creating ConfigurationState %s/%s: %w", r.Namespace, stateName, err)
		}
		return state, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading ConfigurationState %s/%s: %w", r.Namespace, stateName, err)
	}
	if state.Labels[v1beta1.LabelComponentType] == v1beta1.ComponentController && (owners == nil || reflect.DeepEqual(state.OwnerReferences, owners)) {
		return state, nil
	}
	before := state.DeepCopy()
	if state.Labels == nil {
		state.Labels = map[string]string{}
	}
	state.Labels[v1beta1.LabelComponentType] = v1beta1.ComponentController
	if owners != nil {
		state.OwnerReferences = owners
	}
	if err := r.client.Patch(ctx, state, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return nil, fmt.Errorf("updating ConfigurationState %s/%s: %w", r.Namespace, stateName, err)
	}
	return state, nil
}

// owners is the pod that the controller runs in, so that the object goes with the installation; nil outside of a pod.
func (r *reconciler) owners(ctx context.Context) ([]metav1.OwnerReference, error) {
	if r.PodName == "" {
		return nil, nil
	}
	if r.owner == nil {
		pod := &corev1.Pod{}
		err := r.direct.Get(ctx, types.NamespacedName{Namespace: r.Namespace, Name: r.PodName}, pod)
		if apierrors.IsNotFound(err) {
			return nil, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading the controller's own Pod %s/%s: %w", r.Namespace, r.PodName, err)
		}
		r.owner = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}
	}
	return r.owner, nil
}
