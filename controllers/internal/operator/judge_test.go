package operator

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// running is an installation with a controller and speakers on three nodes, all ready.
func running() observed {
	seen := observed{
		controller: &appsv1.Deployment{
			Spec:   appsv1.DeploymentSpec{Replicas: new(int32(1))},
			Status: appsv1.DeploymentStatus{UpdatedReplicas: 1, ReadyReplicas: 1},
		},
		speaker: &appsv1.DaemonSet{
			Status: appsv1.DaemonSetStatus{DesiredNumberScheduled: 3, UpdatedNumberScheduled: 3},
		},
		unreachable: map[string]bool{},
	}
	seen.pods = append(seen.pods, pod(manifests.Controller, "n1"))
	for _, node := range []string{"n1", "n2", "n3"} {
		seen.pods = append(seen.pods, pod(manifests.Speaker, node))
	}
	return seen
}

// pod is ready on its node since the start.
func pod(component, node string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: component + "-" + node, CreationTimestamp: metav1.NewTime(start),
			Labels: map[string]string{manifests.LabelApp: manifests.App, manifests.LabelComponent: component},
		},
		Spec:   corev1.PodSpec{NodeName: node},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{ready(corev1.ConditionTrue)}},
	}
}

func ready(status corev1.ConditionStatus) corev1.PodCondition {
	return corev1.PodCondition{Type: corev1.PodReady, Status: status, LastTransitionTime: metav1.NewTime(start)}
}

// notReady makes the speaker on a node not ready, its container as given.
func notReady(seen observed, node string, state corev1.ContainerState) observed {
	for i := range seen.pods {
		p := &seen.pods[i]
		if p.Spec.NodeName == node && p.Labels[manifests.LabelComponent] == manifests.Speaker {
			p.Status.Conditions = []corev1.PodCondition{ready(corev1.ConditionFalse)}
			p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: manifests.FRR, Image: "example.com/frr:v1", State: state}}
		}
	}
	return seen
}

// unplaced is a speaker for a node that has no room for it, because of its ports.
func unplaced(node string) corev1.Pod {
	p := pod(manifests.Speaker, "")
	p.Name = "speaker-x"
	p.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
		NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchFields: []corev1.NodeSelectorRequirement{
			{Key: "metadata.name", Operator: corev1.NodeSelectorOpIn, Values: []string{node}},
		}}},
	}}}
	p.Spec.Containers = []corev1.Container{
		{Ports: []corev1.ContainerPort{{HostPort: 9120, Protocol: corev1.ProtocolTCP}, {HostPort: 7946, Protocol: corev1.ProtocolUDP}}},
		{Ports: []corev1.ContainerPort{{ContainerPort: 80, Protocol: corev1.ProtocolTCP}}},
	}
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable,
		Message: "0/3 nodes are available: 1 node(s) didn't have free ports for the requested pod ports."}}
	return p
}

func waitingFor(reason string) corev1.ContainerState {
	return corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: reason}}
}

var available = []metav1.Condition{{Type: v1beta1.ConditionAvailable, Status: metav1.ConditionTrue}}

// Given what there is of an installation, when it is judged, then the conditions are these, each with these words.
func TestJudge(t *testing.T) {
	for name, row := range map[string]struct {
		spec    v1beta1.MetalLBSpec
		before  []metav1.Condition
		seen    observed
		problem error
		after   time.Duration
		want    string
		words   []string
		look    time.Duration
	}{
		"all is well": {seen: running(), want: "Available", words: []string{"controller: 1 of 1 pods ready; speaker: 3 of 3 pods ready"}},
		"nothing exists yet": {seen: observed{}, want: "Progressing",
			words: []string{"controller: its Deployment does not exist yet", "speaker: its DaemonSet does not exist yet"}},
		"a speaker starts for the first time": {
			seen: notReady(running(), "n3", waitingFor("ContainerCreating")), want: "Progressing",
			words: []string{"speaker: 2 of 3 pods ready", "node n3: container frr waits: ContainerCreating"}, look: patience,
		},
		"a speaker is replaced in an update": {
			before: available, seen: notReady(running(), "n3", waitingFor("ContainerCreating")), want: "Available Progressing",
			look: patience,
		},
		"as many speakers are replaced as may be at a time": {
			spec:   v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{MaxUnavailable: new(intstr.FromInt32(2))}},
			before: available, seen: notReady(notReady(running(), "n2", waitingFor("ContainerCreating")), "n3", waitingFor("ContainerCreating")),
			want: "Available Progressing", look: patience,
		},
		"more than that are missing": {
			before: available, seen: notReady(notReady(running(), "n2", waitingFor("ContainerCreating")), "n3", waitingFor("ContainerCreating")),
			want: "Progressing", look: patience,
		},
		"a speaker takes too long": {
			before: available, after: patience, seen: notReady(running(), "n3", corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}),
			want: "Available Degraded", words: []string{"speaker: 2 of 3 pods ready: node n3: not ready for more than 2m0s: container frr is not ready, its log says why"},
		},
		"an image cannot be had": {
			seen: notReady(running(), "n2", waitingFor("ImagePullBackOff")), want: "Degraded",
			words: []string{"node n2: container frr: image example.com/frr:v1 cannot be had"},
		},
		"another image cannot be had than the one that ran": {
			seen: with(notReady(running(), "n2", waitingFor("ErrImagePull")), func(o *observed) {
				o.pods[2].Spec.Containers = []corev1.Container{{Name: manifests.FRR, Image: "example.com/frr:v2"}}
			}), want: "Degraded",
			words: []string{"node n2: container frr: image example.com/frr:v2 cannot be had"},
		},
		"a port of a node is taken": {
			seen: with(running(), func(o *observed) { o.pods[3] = unplaced("n3") }), want: "Degraded",
			words: []string{"speaker: 2 of 3 pods ready: node n3: cannot be placed: 0/3 nodes are available: 1 node(s) didn't have free ports for the requested " +
				"pod ports; another pod there has one of the ports 9120/TCP, 7946/UDP"},
		},
		"two speakers keep ending": {
			before: available, seen: notReady(notReady(running(), "n2", waitingFor("CrashLoopBackOff")), "n1", waitingFor("CrashLoopBackOff")),
			want: "Degraded", words: []string{"node n1: container frr keeps ending; see its log; node n2: container frr keeps ending"},
		},
		"a node is lost": {
			seen: with(notReady(running(), "n3", corev1.ContainerState{}), func(o *observed) { o.unreachable["n3"] = true }),
			want: "Available", words: []string{"speaker: 2 of 3 pods ready; speaker: node n3: not reachable"},
		},
		"a node is lost and tainted": {
			seen: with(running(), func(o *observed) {
				o.unreachable["n3"] = true
				o.speaker.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberMisscheduled: 1}
			}),
			want: "Available", words: []string{"speaker: 2 of 3 pods ready; speaker: node n3: not reachable"},
		},
		"a node is lost and tainted, another speaker fails": {
			seen: with(notReady(running(), "n1", waitingFor("ImagePullBackOff")), func(o *observed) {
				o.unreachable["n3"] = true
				o.speaker.Status = appsv1.DaemonSetStatus{DesiredNumberScheduled: 2, UpdatedNumberScheduled: 2, NumberMisscheduled: 1}
			}),
			want: "Degraded", words: []string{"speaker: 1 of 3 pods ready"},
		},
		"a node was lost before an update": {
			seen: with(running(), func(o *observed) { o.unreachable["n3"] = true; o.speaker.Status.UpdatedNumberScheduled = 2 }),
			want: "Available",
		},
		"an update has begun": {
			before: available, seen: with(running(), func(o *observed) { o.speaker.Status.UpdatedNumberScheduled = 1 }),
			want: "Available Progressing", words: []string{"speaker: 1 of 3 pods are of the wanted version"},
		},
		"an update waits for sessions": {
			before: available, seen: with(running(), func(o *observed) {
				o.speaker.Status.UpdatedNumberScheduled = 1
				o.update.waits = []string{"node n1: BGP sessions that were up before the update are not yet: 192.0.2.1"}
			}),
			want: "Available Progressing", words: []string{"speaker: 1 of 3 pods are of the wanted version: node n1: BGP sessions that were up before the update are not yet: 192.0.2.1"},
		},
		"the last node's sessions are waited for": {
			before: available, seen: with(running(), func(o *observed) { o.update.waits = []string{"node n3: x"} }),
			want: "Available Progressing", words: []string{"speaker: 3 of 3 pods are of the wanted version: node n3: x"},
		},
		"an update is held": {
			before: available, seen: with(running(), func(o *observed) {
				o.speaker.Status.UpdatedNumberScheduled = 1
				o.update.waits, o.update.held = []string{"node n1: none is back"}, []string{"node n1: none is back; the update of the others waits"}
			}),
			want: "Available Degraded Progressing", words: []string{"speaker: 3 of 3 pods ready: node n1: none is back; the update of the others waits"},
		},
		"a pod that an update waits for is named once": {
			before: available, seen: with(notReady(running(), "n1", waitingFor("ContainerCreating")), func(o *observed) {
				o.speaker.Status.UpdatedNumberScheduled = 1
				o.update.waits = []string{"node n1: container frr waits: ContainerCreating"}
			}),
			want: "Available Progressing", words: []string{"wanted version: node n1: container frr waits: ContainerCreating}"}, look: patience,
		},
		"updates are made by hand": {
			spec:   v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{Strategy: v1beta1.SpeakerUpdateOnDelete}},
			before: available, seen: with(running(), func(o *observed) { o.speaker.Status.UpdatedNumberScheduled = 1 }),
			want: "Available", words: []string{"speaker: 1 of 3 pods are of the wanted version; spec.speakerUpdate.strategy is OnDelete"},
		},
		"a node was lost while Kubernetes updates": {
			spec: v1beta1.MetalLBSpec{SpeakerUpdate: &v1beta1.SpeakerUpdate{Strategy: v1beta1.SpeakerUpdateRollingUpdate}},
			seen: with(running(), func(o *observed) { o.unreachable["n3"] = true; o.speaker.Status.UpdatedNumberScheduled = 1 }),
			want: "Available Progressing", words: []string{"1 of 3 pods are of the wanted version, the update may wait for the nodes that are not reachable"},
		},
		"a change was not taken up": {
			before: available, seen: with(running(), func(o *observed) { o.controller.Generation = 2 }),
			want: "Available Progressing", words: []string{"controller: the change was not taken up yet"},
		},
		"the controller is gone": {
			before: available, want: "Progressing",
			seen: with(running(), func(o *observed) {
				o.controller.Status.ReadyReplicas, o.controller.Status.UpdatedReplicas = 0, 0
				o.pods = o.pods[1:]
			}),
		},
		"no node is selected": {
			seen: with(running(), func(o *observed) { o.speaker.Status = appsv1.DaemonSetStatus{}; o.pods = o.pods[:1] }),
			want: "Available", words: []string{"speaker: 0 of 0 pods ready"},
		},
		"the spec cannot be used": {
			before: available, seen: running(), want: "Available Degraded", words: []string{"spec.x: wrong"},
			problem: &condition.Stalled{Reason: v1beta1.ReasonInvalidSpec, Err: errors.New("spec.x: wrong")},
		},
		"an object cannot be applied": {
			before: available, seen: running(), want: "Available Degraded", words: []string{"first; second"},
			problem: errors.Join(errors.New("first"), errors.New("second")),
		},
		"another backend is asked for": {
			spec: v1beta1.MetalLBSpec{BGPBackend: v1beta1.BGPBackendNative}, seen: running(), want: "Available",
			words: []string{"spec.bgpBackend is native"},
		},
		"an evicted pod lies about": {
			seen: with(running(), func(o *observed) {
				o.pods = append(o.pods, corev1.Pod{ObjectMeta: o.pods[0].ObjectMeta, Status: corev1.PodStatus{Phase: corev1.PodFailed}})
			}),
			want: "Available",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := judge(row.spec, row.before, row.seen, row.problem, start.Add(row.after))
			if found := strings.Join(trues(v.conditions), " "); found != row.want {
				t.Errorf("true are %q, wanted %q: %+v", found, row.want, v.conditions)
			}
			said := fmt.Sprint(v.conditions)
			for _, words := range row.words {
				if !strings.Contains(said, words) {
					t.Errorf("nothing says %q: %s", words, said)
				}
			}
			if v.lookAgain != row.look {
				t.Errorf("look again after %s, wanted %s", v.lookAgain, row.look)
			}
			if upgradeable := meta.IsStatusConditionTrue(v.conditions, v1beta1.ConditionUpgradeable); upgradeable == strings.Contains(row.want, "Progressing") {
				t.Errorf("upgradeable: %t", upgradeable)
			}
		})
	}
}

func with(seen observed, change func(*observed)) observed {
	change(&seen)
	return seen
}

// trues are the conditions that are true, but for Upgradeable.
func trues(conditions []metav1.Condition) []string {
	var out []string
	for _, c := range conditions {
		if c.Status == metav1.ConditionTrue && c.Type != v1beta1.ConditionUpgradeable {
			out = append(out, c.Type)
		}
	}
	slices.Sort(out)
	return out
}

// Given the same pods in another order and at a later time, when they are judged, then every condition is the same.
func TestJudgeIsStable(t *testing.T) {
	seen := notReady(notReady(running(), "n1", waitingFor("ImagePullBackOff")), "n3", waitingFor("ContainerCreating"))
	first := judge(v1beta1.MetalLBSpec{}, available, seen, nil, start)
	slices.Reverse(seen.pods)
	later := judge(v1beta1.MetalLBSpec{}, available, seen, nil, start.Add(time.Minute))
	if diff := cmp.Diff(first.conditions, later.conditions); diff != "" {
		t.Error(diff)
	}
}

// Given an object and what is wanted of it, when they are compared, then it is as wanted where it has all of that.
func TestContains(t *testing.T) {
	type object = map[string]any
	type list = []any
	for name, row := range map[string]struct {
		have, want any
		as         bool
	}{
		"defaults were added":         {object{"a": int64(1), "b": "x"}, object{"a": int64(1)}, true},
		"a value differs":             {object{"a": int64(2)}, object{"a": int64(1)}, false},
		"a key is missing":            {object{}, object{"a": int64(1)}, false},
		"an item was added":           {list{"a", "b"}, list{"a"}, false},
		"an item gained a default":    {list{object{"a": "1", "b": "2"}}, list{object{"a": "1"}}, true},
		"an empty object is left out": {object{}, object{"strategy": object{}}, false},
	} {
		t.Run(name, func(t *testing.T) {
			if contains(row.have, row.want) != row.as {
				t.Errorf("as wanted: %t", !row.as)
			}
		})
	}
}
