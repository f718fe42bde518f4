package operator

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

// AnnotationRollout is, on the DaemonSet of the speakers, what was noted of the nodes whose update has begun: an operator that starts in the
// middle of an update goes on with it. Without one there is none.
const AnnotationRollout = "metallb.io/rollout"

// rolloutField owns AnnotationRollout, apart from what server-side apply owns.
const rolloutField = FieldManager + "-rollout"

// rolloutLook is the time between two looks at what no event tells: whether a kubelet has taken up another image, and BGP sessions.
const rolloutLook = 2 * time.Second

// begun is what is noted of a node, as AnnotationRollout has it.
type begun struct {
	// At is when the update began, and Container what ran the speaker then, where its image is changed in the running pod. Until another one runs
	// it, the pod's status is from before.
	At        metav1.Time `json:"at"`
	Container string      `json:"container,omitempty"`
	Broken    bool        `json:"broken,omitempty"`
	// Sessions are those that were up, each with the BGPPeer that asked for it.
	Sessions map[string]string `json:"sessions,omitempty"`
}

// updating is how far an update of the speakers is, as people are told.
type updating struct {
	// waits and held are nodes for which others wait, each with the reason; for those in held until somebody acts.
	waits, held []string
	lookAgain   time.Duration
}

// rollOut takes the next step of an update of the speakers, if there is one that the operator makes.
func (r *Reconciler) rollOut(ctx context.Context, metallb *v1beta1.MetalLB, seen observed) (updating, error) {
	set := seen.speaker
	if set == nil || !set.DeletionTimestamp.IsZero() || set.Status.ObservedGeneration != set.Generation {
		return updating{}, nil // an event of the DaemonSet leads back here
	}
	notes, err := readNotes(set)
	if err != nil {
		return updating{}, err
	}
	if !manifests.Ordered(metallb.Spec) {
		return updating{}, r.note(ctx, set, nil)
	}
	pods := speakerPods(seen)
	if len(notes) == 0 && uniform(set, pods) {
		return updating{}, nil
	}
	known, err := r.readRevisions(ctx, set)
	if err != nil || known.current == "" {
		return updating{lookAgain: rolloutLook}, err
	}
	sessions := &v1beta1.BGPSessionStateList{}
	if err := r.live.List(ctx, sessions, client.InNamespace(set.Namespace)); err != nil {
		return updating{}, fmt.Errorf("list BGPSessionStates: %w", err)
	}
	if err := r.forget(ctx, notes); err != nil {
		return updating{}, err
	}
	w := work{metallb, set, pods, known, notes, sessions.Items}
	in := w.input(seen, r.now())
	plan := rollout.Decide(in)
	looks := len(plan.Begin) > 0 || slices.ContainsFunc(in.Speakers, func(s rollout.Speaker) bool { return s.Begun != nil && !s.ReadySince.IsZero() })
	return told(plan, looks), r.carryOut(ctx, w, plan)
}

// work is what a step of an update is decided from.
type work struct {
	metallb  *v1beta1.MetalLB
	set      *appsv1.DaemonSet
	pods     map[string]*corev1.Pod
	known    revisions
	notes    map[string]begun
	sessions []v1beta1.BGPSessionState
}

// input is the same, as the decision takes it.
func (w work) input(seen observed, now time.Time) rollout.Input {
	wanted := int(w.set.Status.DesiredNumberScheduled)
	in := rollout.Input{Absent: wanted - len(w.pods), Now: now, Limits: manifests.RolloutLimits(w.metallb.Spec, wanted)}
	for node, pod := range w.pods {
		own, _ := sessionsOf(pod, w.sessions)
		in.Speakers = append(in.Speakers, speakerOn(node, pod, w.notes[node], w.known.way(pod), seen, own, now))
	}
	for _, node := range slices.Sorted(maps.Keys(w.notes)) {
		if w.pods[node] == nil {
			in.Speakers = append(in.Speakers, nextOn(node, w.notes[node], seen, in.Absent > 0))
			in.Absent--
		}
	}
	return in
}

// forget takes the sessions out of notes whose BGPPeer was deleted since: nobody asks for them any more.
func (r *Reconciler) forget(ctx context.Context, notes map[string]begun) error {
	if len(notes) == 0 {
		return nil
	}
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(v1beta1.GroupVersion.WithKind("BGPPeerList"))
	if err := r.live.List(ctx, list, client.InNamespace(r.env.Namespace)); err != nil {
		return fmt.Errorf("list BGPPeers: %w", err)
	}
	there := map[string]bool{"": true} // of a session that does not say who asks for it nothing is known
	for i := range list.Items {
		there[list.Items[i].Name] = true
	}
	for _, note := range notes {
		maps.DeleteFunc(note.Sessions, func(_, peer string) bool { return !there[peer] })
	}
	return nil
}

// readNotes returns what was noted of nodes.
func readNotes(set *appsv1.DaemonSet) (map[string]begun, error) {
	text := set.Annotations[AnnotationRollout]
	if text == "" {
		return nil, nil
	}
	notes := map[string]begun{}
	if err := json.Unmarshal([]byte(text), &notes); err != nil {
		return nil, fmt.Errorf("annotation %s of DaemonSet %s is not as the operator wrote it; remove it: %w", AnnotationRollout, client.ObjectKeyFromObject(set), err)
	}
	return notes, nil
}

// note makes the annotation hold the notes.
func (r *Reconciler) note(ctx context.Context, set *appsv1.DaemonSet, notes map[string]begun) error {
	wanted := ""
	if len(notes) > 0 {
		text, err := json.Marshal(notes)
		if err != nil {
			return fmt.Errorf("note which nodes are updated: %w", err)
		}
		wanted = string(text)
	}
	if set.Annotations[AnnotationRollout] == wanted {
		return nil
	}
	changed := set.DeepCopy()
	if wanted == "" {
		delete(changed.Annotations, AnnotationRollout)
	} else {
		metav1.SetMetaDataAnnotation(&changed.ObjectMeta, AnnotationRollout, wanted)
	}
	patch := client.MergeFromWithOptions(set, client.MergeFromWithOptimisticLock{})
	return wrap(r.client.Patch(ctx, changed, patch, client.FieldOwner(rolloutField)), "note which nodes are updated on DaemonSet %s", client.ObjectKeyFromObject(set))
}

// speakerPods returns the speakers' pods by node. Of two pods for one node it is the one that ends: before that is gone, the other cannot start.
func speakerPods(seen observed) map[string]*corev1.Pod {
	pods := map[string]*corev1.Pod{}
	for i := range seen.pods {
		pod := &seen.pods[i]
		node := cmp.Or(pod.Spec.NodeName, meantFor(pod))
		over := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
		if over || node == "" || pod.Labels[manifests.LabelComponent] != manifests.Speaker {
			continue
		}
		if pods[node] == nil || !pod.DeletionTimestamp.IsZero() {
			pods[node] = pod
		}
	}
	return pods
}

// uniform says whether all pods are of the wanted revision, as far as can be told without looking at revisions.
func uniform(set *appsv1.DaemonSet, pods map[string]*corev1.Pod) bool {
	hashes := map[string]bool{}
	for _, pod := range pods {
		hashes[pod.Labels[appsv1.ControllerRevisionHashLabelKey]] = true
	}
	return len(hashes) <= 1 && set.Status.UpdatedNumberScheduled >= set.Status.DesiredNumberScheduled
}

// speakerOn is what the decision needs to know of a pod.
func speakerOn(node string, pod *corev1.Pod, note begun, way rollout.Way, seen observed, sessions []rollout.Session, now time.Time) rollout.Speaker {
	s := rollout.Speaker{Node: node, Way: way, Ending: !pod.DeletionTimestamp.IsZero(), Sessions: sessions, Begun: note.known()}
	switch d := diagnose(pod, seen.unreachable, now); d.state {
	case podReady:
		for _, c := range pod.Status.Conditions {
			if c.Type == corev1.PodReady {
				s.ReadySince = c.LastTransitionTime.Time
			}
		}
		// A kubelet takes up another image at once. One that goes back to what runs already has nothing to do.
		if way == rollout.Nothing && note.Container != "" && note.Container == containerID(pod) && now.Before(note.At.Add(patience)) {
			s.Health, s.Why = rollout.Unready, "the kubelet has not taken up the other image yet"
		}
	case podAway:
		s.Health, s.Why = rollout.Away, d.why
	case podStarting, podFailing:
		s.Health, s.Why = rollout.Unready, d.why
	}
	return s
}

// nextOn stands for the pod that is to come on a node whose update has begun.
func nextOn(node string, note begun, seen observed, wanted bool) rollout.Speaker {
	s := rollout.Speaker{Node: node, Health: rollout.Unready, Why: "the next pod is not there yet", Begun: note.known()}
	if !wanted || !seen.nodes[node] || seen.unreachable[node] {
		s.Health = rollout.Away // no pod is wanted there any more, or it cannot be had
	}
	return s
}

// known is the note as the decision takes it, nil for none.
func (b begun) known() *rollout.Begun {
	if b.At.IsZero() {
		return nil
	}
	return &rollout.Begun{Broken: b.Broken, Sessions: slices.Sorted(maps.Keys(b.Sessions))}
}

// containerID tells runs of the speaker's container apart, "" where it has not run.
func containerID(pod *corev1.Pod) string {
	for _, c := range pod.Status.ContainerStatuses {
		if c.Name == manifests.Speaker {
			return c.ContainerID
		}
	}
	return ""
}

// sessionsOf are the BGP sessions that a pod reports, and who asks for each. What a pod before it reported says nothing about this one.
func sessionsOf(pod *corev1.Pod, all []v1beta1.BGPSessionState) (sessions []rollout.Session, peers map[string]string) {
	peers = map[string]string{}
	for i := range all {
		state := &all[i]
		if state.Status.Node != pod.Spec.NodeName || state.Status.Peer == "" {
			continue
		}
		name := state.Status.Peer
		if state.Status.VRF != "" {
			name += " in VRF " + state.Status.VRF
		}
		owned := slices.ContainsFunc(state.OwnerReferences, func(o metav1.OwnerReference) bool { return o.UID == pod.UID })
		sessions = append(sessions, rollout.Session{Name: name, Up: owned && state.Status.BGPStatus == "Established"})
		peers[name] = state.Status.BGPPeer
	}
	return sessions, peers
}

// noted is what to note of a node.
func (w work) noted(step rollout.Step, now time.Time) begun {
	one := begun{At: metav1.NewTime(now), Broken: step.Note.Broken, Sessions: map[string]string{}}
	if step.Way == rollout.InPlace {
		one.Container = containerID(w.pods[step.Node])
	}
	_, peers := sessionsOf(w.pods[step.Node], w.sessions)
	for _, name := range step.Note.Sessions {
		one.Sessions[name] = cmp.Or(w.notes[step.Node].Sessions[name], peers[name])
	}
	return one
}

// carryOut notes what begins and what is done, begins, and tells.
func (r *Reconciler) carryOut(ctx context.Context, w work, plan rollout.Plan) error {
	after := maps.Clone(w.notes)
	if after == nil {
		after = map[string]begun{}
	}
	for _, node := range plan.Done {
		delete(after, node)
	}
	for _, step := range plan.Begin {
		after[step.Node] = w.noted(step, r.now())
	}
	if err := r.note(ctx, w.set, after); err != nil {
		return err
	}
	for _, one := range plan.Overdue {
		r.events.Eventf(w.metallb, nil, corev1.EventTypeWarning, "SessionsNotBack", "Update", "the update of the speakers goes on; node %s: %s", one.Node, one.Why)
	}
	for _, step := range plan.Begin {
		if err := r.begin(ctx, w.metallb, w.pods[step.Node], step, w.known); err != nil {
			return err
		}
	}
	return nil
}

// begin updates one pod. What was decided for another version of it than there is now fails with a conflict.
func (r *Reconciler) begin(ctx context.Context, metallb *v1beta1.MetalLB, pod *corev1.Pod, step rollout.Step, known revisions) error {
	how := "the pod is replaced, and FRR with it"
	switch step.Way {
	case rollout.Nothing:
		return nil
	case rollout.InPlace:
		how = "images of the running pod are changed; FRR runs on"
		patch, err := known.imagePatch(pod)
		if err != nil {
			return err
		}
		if err := r.client.Patch(ctx, pod.DeepCopy(), client.RawPatch(types.StrategicMergePatchType, patch)); err != nil {
			return fmt.Errorf("change the images of pod %s: %w", client.ObjectKeyFromObject(pod), err)
		}
	case rollout.Replace:
		if err := r.client.Delete(ctx, pod, client.Preconditions{UID: &pod.UID, ResourceVersion: &pod.ResourceVersion}); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("delete pod %s for its update: %w", client.ObjectKeyFromObject(pod), err)
		}
	}
	log.FromContext(ctx).Info("a speaker is updated", "event", "speakerUpdate", "node", step.Node, "pod", pod.Name, "how", how)
	r.events.Eventf(metallb, nil, corev1.EventTypeNormal, "SpeakerUpdate", "Update", "node %s: %s", step.Node, how)
	return nil
}

// told says how far the update is when a plan has been carried out, and looks says that something is to be waited for of which no event tells.
func told(plan rollout.Plan, looks bool) updating {
	u := updating{lookAgain: plan.LookAgain}
	for _, one := range plan.Waits {
		u.waits = append(u.waits, "node "+one.Node+": "+one.Why)
	}
	for _, one := range plan.Held {
		u.held = append(u.held, "node "+one.Node+": "+one.Why+"; the update of the others waits")
	}
	if looks {
		u.lookAgain = rolloutLook
	}
	return u
}
