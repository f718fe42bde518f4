package publish

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
)

// verdict is what a speaker says of the whole configuration.
type verdict struct {
	result  v1beta1.ConfigurationResult
	reason  string
	summary string
	// failure says why FRR does not run what the valid objects ask for, "" when it does.
	failure string
	// objects are those in force; routed is false when that is unknown, because this process has not applied anything yet.
	objects []intent.Applied
	routed  bool
	// drain is about the node and no part of the result.
	drain drainState
	// links are the node's links that can carry layer 2, sorted, as the speaker gossips them; also no part of the result.
	links []string
}

func (v verdict) equal(o verdict) bool {
	return v.result == o.result && v.reason == o.reason && v.summary == o.summary && v.failure == o.failure && v.routed == o.routed && v.drain == o.drain &&
		slices.Equal(v.objects, o.objects) && slices.Equal(v.links, o.links)
}

// maxSummary keeps errorSummary readable; the conditions of the objects themselves have it all.
const maxSummary = 4096

// maxLinks is how many links the API takes.
const maxLinks = 256

// maxFailure is what the API takes of the failure of one object.
const maxFailure = 1024

// judge returns the verdict that follows from what was reported.
func judge(s standing) verdict {
	r := s.report
	lines := wrong(r.Problems)
	v := verdict{result: v1beta1.ConfigurationValid, reason: v1beta1.ReasonReconciled, objects: s.objects, routed: s.routed}
	if len(lines) > 0 {
		v.result, v.reason = v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError
	}
	for _, left := range r.LeftOut {
		lines = append(lines, left.Section+": "+left.String()+"; it is left out")
		v.result, v.reason = v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError
	}
	var first string
	switch r.Outcome {
	case node.Refused:
		v.result, v.reason = v1beta1.ConfigurationInvalid, v1beta1.ReasonConfigurationError
		first = "FRR refuses the configuration and keeps running the one before: " + r.Words
	case node.Unreachable:
		v.result, v.reason = v1beta1.ConfigurationUnknown, v1beta1.ReasonInfraError
		first = "FRR cannot be given the configuration and keeps running what it runs: " + r.Words
	case node.Failed:
		v.result, v.reason = v1beta1.ConfigurationUnknown, v1beta1.ReasonUnknownError
		first = "the configuration could not be applied; FRR keeps running what it runs: " + r.Words
	case node.Absent:
		v.result, v.reason = v1beta1.ConfigurationUnknown, v1beta1.ReasonInfraError
		first = "BGP is wanted and this node's speaker was started without FRR: the operator replaces its pod by one with FRR, one node after the other"
	case node.Applied, node.Pending:
	}
	if r.Away != "" && first == "" {
		first = "FRR is not whole, and is being looked after: " + r.Away
		if v.result == v1beta1.ConfigurationValid {
			v.result, v.reason = v1beta1.ConfigurationUnknown, v1beta1.ReasonInfraError
		}
	}
	if first != "" {
		lines = slices.Insert(lines, 0, first)
		v.failure = cut(first, maxSummary)
	}
	v.summary = cut(strings.Join(lines, "\n"), maxSummary)
	return v
}

// wrong returns a line for each problem that keeps something from being in force. Warnings do not.
func wrong(problems []intent.Problem) []string {
	var lines []string
	for _, p := range problems {
		if p.Kind != intent.Warning {
			lines = append(lines, p.Error())
		}
	}
	return lines
}

func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	const more = " …"
	return strings.ToValidUTF8(text[:limit-len(more)], "") + more
}

func stateName(nodeName string) string { return v1beta1.ComponentSpeaker + "-" + nodeName }

// writeState makes this speaker's ConfigurationState say the latest verdict.
func (p *Publisher) writeState(ctx context.Context) error {
	v, version := p.verdict.get()
	if version == 0 {
		return nil
	}
	owner, err := p.owner.references(ctx, p.Client)
	if err != nil {
		return err
	}
	name := stateName(p.Node)
	want := metav1.ObjectMeta{
		Namespace: p.Namespace, Name: name, OwnerReferences: owner,
		Labels: map[string]string{
			v1beta1.LabelComponentType: v1beta1.ComponentSpeaker,
			v1beta1.LabelNodeName:      LabelValue(p.Node),
		},
	}
	var have v1beta1.ConfigurationState
	err = p.Client.Get(ctx, types.NamespacedName{Namespace: p.Namespace, Name: name}, &have)
	switch {
	case apierrors.IsNotFound(err):
		have = v1beta1.ConfigurationState{ObjectMeta: want}
		if err := p.Client.Create(ctx, &have); err != nil {
			return fmt.Errorf("create ConfigurationState %s: %w", name, err)
		}
	case err != nil:
		return fmt.Errorf("read ConfigurationState %s: %w", name, err)
	default:
		if err := p.adoptState(ctx, &have, want); err != nil {
			return err
		}
	}
	status := v.status(have.Status, have.Generation, time.Now())
	if reflect.DeepEqual(status, have.Status) {
		return nil
	}
	before := have.DeepCopy()
	have.Status = status
	if err := p.Client.Status().Patch(ctx, &have, client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})); err != nil {
		return fmt.Errorf("write ConfigurationState %s: %w", name, err)
	}
	return nil
}

// adoptState gives the object of an earlier pod this one's labels and owner.
func (p *Publisher) adoptState(ctx context.Context, have *v1beta1.ConfigurationState, want metav1.ObjectMeta) error {
	sameOwner := len(want.OwnerReferences) == 0 || reflect.DeepEqual(have.OwnerReferences, want.OwnerReferences)
	missing := maps.Clone(want.Labels)
	maps.DeleteFunc(missing, func(key, value string) bool { return have.Labels[key] == value })
	if sameOwner && len(missing) == 0 {
		return nil
	}
	meta := map[string]any{"labels": want.Labels}
	if !sameOwner {
		meta["ownerReferences"] = want.OwnerReferences
	}
	data, err := json.Marshal(map[string]any{"metadata": meta})
	if err != nil {
		return fmt.Errorf("encode a change of ConfigurationState %s: %w", have.Name, err)
	}
	if err := p.Client.Patch(ctx, have, client.RawPatch(types.MergePatchType, data)); err != nil {
		return fmt.Errorf("take over ConfigurationState %s: %w", have.Name, err)
	}
	return nil
}

// status returns the status that says v.
func (v verdict) status(have v1beta1.ConfigurationStateStatus, generation int64, now time.Time) v1beta1.ConfigurationStateStatus {
	c := metav1.Condition{Type: v1beta1.ConditionConfigReconcilerValid, Reason: v.reason, Message: v.summary}
	switch v.result {
	case v1beta1.ConfigurationValid:
		c.Status = metav1.ConditionTrue
	case v1beta1.ConfigurationInvalid:
		c.Status = metav1.ConditionFalse
	default:
		c.Status = metav1.ConditionUnknown
	}
	conditions, _ := condition.Apply(have.Conditions, generation, now, c, v.programmed())
	conditions = v.drain.apply(conditions, generation, now)
	status := v1beta1.ConfigurationStateStatus{Result: v.result, ErrorSummary: v.summary, Conditions: conditions, Objects: have.Objects, Links: v.links[:min(len(v.links), maxLinks)]}
	if v.routed { // else FRR runs on what an earlier process gave it, as that one wrote
		status.Objects = nil
		for _, o := range v.objects {
			status.Objects = append(status.Objects, v1beta1.AppliedObject{Kind: o.Kind, Name: o.Name, Generation: o.Generation, Failure: cut(o.Failure, maxFailure)})
		}
	}
	return status
}

// programmed says whether FRR runs what the valid objects ask for.
func (v verdict) programmed() metav1.Condition {
	if v.failure != "" {
		return metav1.Condition{Type: v1beta1.ConditionProgrammed, Status: condition.Is(false), Reason: v1beta1.ReasonApplyFailed, Message: v.failure}
	}
	return metav1.Condition{Type: v1beta1.ConditionProgrammed, Status: condition.Is(true), Reason: v1beta1.ReasonProgrammed, Message: "FRR runs what the valid objects ask for"}
}
