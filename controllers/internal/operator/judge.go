package operator

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

// named is how many pods a message names before it counts the rest.
const named = 5

// verdict is what to report, and after how long it may differ though nothing happens; 0 is never.
type verdict struct {
	conditions []metav1.Condition
	lookAgain  time.Duration
}

// component is how the pods of the controller or the speakers fare.
type component struct {
	name string
	// total are the pods wanted, ready and away those of them that are ready or out of reach.
	total, ready, away int
	// rolling is why not all pods are of the wanted version yet, "" where they are.
	rolling string
	// remark is what else to know, "" for nothing.
	remark string
	// starting, failing and absent name pods and say why.
	starting, failing, absent []string
	// until is when the first that starts will count as failing.
	until time.Time
}

// missing is how many pods are wanted, reachable and not ready.
func (c component) missing() int { return max(0, c.total-c.ready-c.away) }

// judge decides the conditions from what is wanted, what was reported before, what there is, and the error of the attempt
// to make it so.
func judge(spec v1beta1.MetalLBSpec, before []metav1.Condition, seen observed, problem error, now time.Time) verdict {
	controller, speaker := controllerState(seen, now), speakerState(spec, seen, now)
	wasAvailable := meta.IsStatusConditionTrue(before, v1beta1.ConditionAvailable)
	progressing := progress(controller, speaker)
	v := verdict{conditions: []metav1.Condition{
		availability(controller, speaker, wasAvailable, max(1, manifests.RolloutLimits(spec, speaker.total).Unavailable), speaker.remark, manifests.Substituted(spec)),
		progressing,
		degradation(controller, speaker, errors.Join(problem, refusedPods(seen.namespace, seen.podSecurity))),
		upgradeability(progressing),
	}}
	for _, c := range []component{controller, speaker} {
		if c.until.IsZero() {
			continue
		}
		if wait := max(time.Second, c.until.Sub(now)); v.lookAgain == 0 || wait < v.lookAgain {
			v.lookAgain = wait
		}
	}
	return v
}

// misnamed returns the conditions of a MetalLB object that is not acted upon because of its name.
func misnamed(name string) []metav1.Condition {
	text := fmt.Sprintf("metadata.name is %q: only the object named %q is acted upon; "+
		"delete this one and give its spec to that", name, v1beta1.MetalLBName)
	return []metav1.Condition{
		{Type: v1beta1.ConditionAvailable, Status: condition.Is(false), Reason: v1beta1.ReasonIncorrectName, Message: text},
		{Type: v1beta1.ConditionProgressing, Status: condition.Is(false), Reason: v1beta1.ReasonIncorrectName, Message: text},
		{Type: v1beta1.ConditionDegraded, Status: condition.Is(true), Reason: v1beta1.ReasonIncorrectName, Message: text},
		{Type: v1beta1.ConditionUpgradeable, Status: condition.Is(true), Reason: v1beta1.ReasonAsExpected},
	}
}

// availability is true when the controller runs and every reachable node has its speaker. Once true it stays so while no more
// speakers are missing than may be at a time in an update: that is what an update does on purpose.
func availability(controller, speaker component, before bool, may int, remarks ...string) metav1.Condition {
	missing := speaker.missing()
	up := controller.ready > 0 && (missing == 0 || before && missing <= may && speaker.ready > 0)
	c := metav1.Condition{Type: v1beta1.ConditionAvailable, Status: condition.Is(up), Reason: v1beta1.ReasonAsExpected}
	if !up {
		c.Reason = v1beta1.ReasonUnavailable
	}
	parts := []string{controller.count(), speaker.count()}
	if away := some(slices.Concat(controller.absent, speaker.absent)); away != "" {
		parts = append(parts, away)
	}
	for _, remark := range remarks {
		if remark != "" {
			parts = append(parts, remark)
		}
	}
	c.Message = strings.Join(parts, "; ")
	return c
}

// progress is true while pods are being replaced or are starting. A pod that cannot start is degradation instead.
func progress(components ...component) metav1.Condition {
	var parts []string
	for _, c := range components {
		switch {
		case c.rolling != "" && len(c.starting) > 0:
			parts = append(parts, c.name+": "+c.rolling+": "+some(c.starting))
		case c.rolling != "":
			parts = append(parts, c.name+": "+c.rolling)
		case len(c.starting) > 0:
			parts = append(parts, c.name+": "+some(c.starting))
		}
	}
	p := metav1.Condition{Type: v1beta1.ConditionProgressing, Status: condition.Is(len(parts) > 0),
		Reason: v1beta1.ReasonAsExpected, Message: strings.Join(parts, "; ")}
	if len(parts) > 0 {
		p.Reason = v1beta1.ReasonRollingOut
	}
	return p
}

// degradation is true where somebody has to do something: the spec cannot be used, applying it fails, or a pod does not get
// ready by itself.
func degradation(controller, speaker component, problem error) metav1.Condition {
	d := metav1.Condition{Type: v1beta1.ConditionDegraded, Status: condition.Is(false), Reason: v1beta1.ReasonAsExpected}
	var parts []string
	for _, c := range []component{controller, speaker} {
		if len(c.failing) > 0 {
			d.Reason = v1beta1.ReasonUnavailable
			parts = append(parts, c.count()+": "+some(c.failing))
		}
	}
	if problem != nil {
		d.Reason = condition.Reason(problem, v1beta1.ReasonReconcileFailed)
		parts = append([]string{strings.ReplaceAll(problem.Error(), "\n", "; ")}, parts...)
	}
	if len(parts) > 0 {
		d.Status, d.Message = condition.Is(true), strings.Join(parts, "; ")
	}
	return d
}

// upgradeability advises against a new version while the last one is still being rolled out.
func upgradeability(progressing metav1.Condition) metav1.Condition {
	u := metav1.Condition{Type: v1beta1.ConditionUpgradeable, Status: condition.Is(true), Reason: v1beta1.ReasonAsExpected}
	if progressing.Status == metav1.ConditionTrue {
		u.Status, u.Reason, u.Message = condition.Is(false), progressing.Reason, progressing.Message
	}
	return u
}

func controllerState(seen observed, now time.Time) component {
	c := component{name: manifests.Controller}
	d := seen.controller
	if d == nil {
		c.total, c.rolling = 1, "its Deployment does not exist yet"
		return c
	}
	c.total = 1
	if d.Spec.Replicas != nil {
		c.total = int(*d.Spec.Replicas)
	}
	c.addPods(seen, now, "pod", func(pod *corev1.Pod) string { return pod.Name })
	updated := int(d.Status.UpdatedReplicas)
	switch {
	case d.Status.ObservedGeneration != d.Generation:
		c.rolling = "the change was not taken up yet"
	case updated < c.total:
		c.rolling = fmt.Sprintf("%d of %d pods are of the wanted version", updated, c.total)
	}
	// A pod of the version before serves until its successor does.
	c.ready = min(c.total, int(d.Status.ReadyReplicas))
	return c
}

func speakerState(spec v1beta1.MetalLBSpec, seen observed, now time.Time) component {
	c := component{name: manifests.Speaker}
	d := seen.speaker
	if d == nil {
		c.rolling = "its DaemonSet does not exist yet"
		c.total = 1 // unknown, but not none
		return c
	}
	c.total = int(d.Status.DesiredNumberScheduled)
	c.addPods(seen, now, "node", func(pod *corev1.Pod) string { return cmp.Or(pod.Spec.NodeName, meantFor(pod), "of pod "+pod.Name) })
	// A node that is lost gets a taint with which the DaemonSet wants no pod there any more, though it leaves the one there is.
	c.total += min(c.away, int(d.Status.NumberMisscheduled))
	updated := int(d.Status.UpdatedNumberScheduled)
	switch {
	case d.Status.ObservedGeneration != d.Generation:
		c.rolling = "the change was not taken up yet"
		c.total = max(c.total, 1)
	case manifests.ByHand(spec):
		if updated+c.away < c.total {
			c.remark = fmt.Sprintf("speaker: %d of %d pods are of the wanted version; spec.speakerUpdate.strategy is OnDelete: the others are replaced when somebody deletes them", updated, c.total)
		}
	case updated+c.away < c.total || len(seen.update.waits) > 0:
		c.rolling = fmt.Sprintf("%d of %d pods are of the wanted version", updated, c.total)
		if c.away > 0 && !manifests.Ordered(spec) {
			c.rolling += ", the update may wait for the nodes that are not reachable"
		}
		c.starting = union(c.starting, seen.update.waits)
	}
	c.failing = append(c.failing, seen.update.held...)
	c.ready = min(c.ready, c.total)
	return c
}

// addPods counts the component's pods and names those that are not ready, by where, sorted.
func (c *component) addPods(seen observed, now time.Time, kind string, where func(*corev1.Pod) string) {
	for i := range seen.pods {
		pod := &seen.pods[i]
		over := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
		if over || pod.Labels[manifests.LabelComponent] != c.name {
			continue // an evicted pod stays as a record; another one takes its place
		}
		d := diagnose(pod, seen.unreachable, now)
		text := kind + " " + where(pod) + ": " + d.why
		switch d.state {
		case podReady:
			c.ready++
		case podAway:
			c.away++
			c.absent = append(c.absent, c.name+": "+text)
		case podStarting:
			c.starting = append(c.starting, text)
			if c.until.IsZero() || d.until.Before(c.until) {
				c.until = d.until
			}
		case podFailing:
			c.failing = append(c.failing, text)
		}
	}
	for _, list := range [][]string{c.absent, c.starting, c.failing} {
		slices.Sort(list)
	}
}

func (c component) count() string {
	return fmt.Sprintf("%s: %d of %d pods ready", c.name, c.ready, c.total)
}

// union returns all texts of both, sorted, each once.
func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// some joins the first of texts and says how many more there are.
func some(texts []string) string {
	if len(texts) <= named {
		return strings.Join(texts, "; ")
	}
	return fmt.Sprintf("%s; and %d more", strings.Join(texts[:named], "; "), len(texts)-named)
}
