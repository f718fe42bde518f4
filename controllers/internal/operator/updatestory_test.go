package operator_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Given speakers on three nodes whose kubelets the test plays, when operators of other versions follow, then another image of the speaker is put into
// the running pods one after the other, and another one of FRR replaces them, each waiting for the sessions of the one before; a version that cannot be
// had stays on one node, and the way back is open.
func (c *cluster) testUpdate(t *testing.T) {
	t.Helper()
	nodes := []string{"u1", "u2", "u3"}
	metallb := c.metallb(t, v1beta1.MetalLBName, v1beta1.MetalLBSpec{FRR: v1beta1.FRRAlways})
	c.awaitChildren(t, metallb.Spec)
	pods := map[string]*corev1.Pod{}
	for _, name := range nodes {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		if err := c.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		c.reports(t, name, corev1.ConditionTrue)
		pods[name] = c.scheduled(t, name)
		c.runs(t, pods[name], nil)
		c.session(t, pods[name], "Established")
	}
	controller := c.podOf(t, manifests.Controller, func(corev1.Pod) bool { return true })
	c.bind(t, controller, "u1")
	c.runs(t, controller, nil)
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionAvailable, metav1.ConditionTrue, "speaker: 3 of 3 pods ready")
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionProgressing, metav1.ConditionFalse)

	if err := c.Create(t.Context(), router()); err != nil {
		t.Fatal(err)
	}
	t.Run("another image of the speaker", func(t *testing.T) { c.updatesInPlace(t, nodes, pods) })
	t.Run("another image of FRR", func(t *testing.T) { c.replaces(t, nodes, pods) })
	t.Run("an image that cannot be had", func(t *testing.T) { c.stopsAndGoesBack(t, nodes, pods) })
	t.Run("by hand", func(t *testing.T) { c.leavesToOthers(t, nodes, pods) })

	if err := c.Delete(t.Context(), metallb); err != nil {
		t.Fatal(err)
	}
	for _, name := range nodes {
		if err := c.Delete(t.Context(), &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, pod := range append([]*corev1.Pod{controller}, pods["u1"], pods["u2"], pods["u3"]) {
		if err := c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
	c.awaitGone(t, metallb)
}

// version ends the operator and starts one with other images.
func (c *cluster) version(t *testing.T, speaker, frr string) {
	t.Helper()
	env := environment()
	env.SpeakerImage, env.FRRImage = speaker, frr
	c.end()
	c.run(t, c.operatorIn(t, namespace), env)
}

// router is a BGPPeer.
func router() *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "metallb.io/v1beta2", "kind": "BGPPeer", "metadata": map[string]any{"name": "router", "namespace": namespace},
		"spec": map[string]any{"myASN": int64(64512), "peerASN": int64(64513), "peerAddress": "192.0.2.1"},
	}}
}

// session has a pod report its session with a router, as in a state.
func (c *cluster) session(t *testing.T, pod *corev1.Pod, state string) {
	t.Helper()
	object := &v1beta1.BGPSessionState{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "session-" + pod.Name}}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	object.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID}}
	if err := c.Delete(t.Context(), object.DeepCopy()); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
	if err := c.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	before := object.DeepCopy()
	object.Status = v1beta1.BGPSessionStateStatus{Node: pod.Spec.NodeName, Peer: "192.0.2.1", BGPPeer: "router", BGPStatus: state}
	if err := c.Status().Patch(t.Context(), object, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// images are those of a pod's speaker and FRR, as its spec says now.
func (c *cluster) images(ctx context.Context, t *testing.T, pod *corev1.Pod) string {
	t.Helper()
	var now corev1.Pod
	if err := c.Get(ctx, client.ObjectKeyFromObject(pod), &now); err != nil {
		t.Fatal(err)
	}
	if now.UID != pod.UID || !now.DeletionTimestamp.IsZero() {
		return "another pod"
	}
	images := map[string]string{}
	for _, one := range slices.Concat(now.Spec.InitContainers, now.Spec.Containers) {
		images[one.Name] = one.Image
	}
	if images["install-reloader"] != images[manifests.Speaker] || images["update-reloader"] != images[manifests.Speaker] || images["prepare-frr"] != images[manifests.FRR] {
		t.Errorf("images of %s: %v", pod.Name, images)
	}
	return images[manifests.Speaker] + " " + images[manifests.FRR]
}

// untouched fails where one of the pods is not as it was.
func (c *cluster) untouched(t *testing.T, pods map[string]*corev1.Pod, wanted string, nodes ...string) {
	t.Helper()
	for _, node := range nodes {
		if found := c.images(t.Context(), t, pods[node]); found != wanted {
			t.Errorf("the pod of node %s has images %s, wanted it to be left alone with %s", node, found, wanted)
		}
	}
}

func (c *cluster) updatesInPlace(t *testing.T, nodes []string, pods map[string]*corev1.Pod) {
	t.Helper()
	c.version(t, "example.com/lb:v2", "example.com/frr:v1")
	for i, node := range nodes {
		c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionTrue,
			"speaker: ", "node "+node+": the kubelet has not taken up the other image yet")
		if found := c.images(t.Context(), t, pods[node]); found != "example.com/lb:v2 example.com/frr:v1" {
			t.Errorf("node %s: the pod has images %s", node, found)
		}
		c.untouched(t, pods, "example.com/lb:v1 example.com/frr:v1", nodes[i+1:]...)
		if node == "u2" { // an operator that begins anew knows as much
			c.version(t, "example.com/lb:v2", "example.com/frr:v1")
		}
		c.runsAs(t, pods[node], "2", nil)
	}
	c.complete(t)
	c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v1", nodes...)
}

// complete waits until the update is over.
func (c *cluster) complete(t *testing.T) {
	t.Helper()
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionFalse)
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
	eventually(t, "nothing is noted and all pods count as updated", func(ctx context.Context) error {
		set := &appsv1.DaemonSet{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: manifests.Speaker}, set); err != nil {
			return err
		}
		if noted := set.Annotations[operator.AnnotationRollout]; noted != "" || set.Status.UpdatedNumberScheduled != 3 {
			return fmt.Errorf("noted: %s; status %+v", noted, set.Status)
		}
		return nil
	})
}

// ends waits until a pod is to end, ends it as its kubelet does, and returns the next one on its node.
func (c *cluster) ends(t *testing.T, pod *corev1.Pod) *corev1.Pod {
	t.Helper()
	node, uid := pod.Spec.NodeName, pod.UID
	eventually(t, "the pod of "+node+" is to end", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
			return err
		}
		if pod.DeletionTimestamp.IsZero() {
			return errors.New("it is not")
		}
		return nil
	})
	if err := c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	next := c.scheduled(t, node)
	if next.UID == uid {
		t.Fatalf("the pod of %s is the same", node)
	}
	next.Spec.NodeName = node
	return next
}

func (c *cluster) replaces(t *testing.T, nodes []string, pods map[string]*corev1.Pod) {
	t.Helper()
	c.version(t, "example.com/lb:v2", "example.com/frr:v2")
	for i, node := range nodes {
		pods[node] = c.ends(t, pods[node])
		c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v1", nodes[i+1:]...)
		c.runs(t, pods[node], nil)
		c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionTrue,
			fmt.Sprintf("%d of 3 pods are of the wanted version", i+1), "node "+node+": BGP sessions that were up before the update are not yet: 192.0.2.1")
		c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v1", nodes[i+1:]...)
		if node != "u3" {
			c.session(t, pods[node], "Established")
			continue
		}
		// Nobody asks for the session any more.
		if err := c.Delete(t.Context(), router()); err != nil {
			t.Fatal(err)
		}
	}
	c.complete(t)
	c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v2", nodes...)
}

func (c *cluster) stopsAndGoesBack(t *testing.T, nodes []string, pods map[string]*corev1.Pod) {
	t.Helper()
	c.version(t, "example.com/lb:typo", "example.com/frr:v2")
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionTrue, "node u1: the kubelet has not taken up the other image yet")
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(pods["u1"]), pods["u1"]); err != nil {
		t.Fatal(err)
	}
	c.runsAs(t, pods["u1"], "2", &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"})
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionTrue, "node u1: container speaker: image example.com/lb:typo cannot be had")
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionTrue, "1 of 3 pods are of the wanted version", "image example.com/lb:typo cannot be had")
	c.settle(t)
	c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v2", "u2", "u3")

	c.version(t, "example.com/lb:v2", "example.com/frr:v2")
	eventually(t, "the image is taken back", func(ctx context.Context) error {
		if found := c.images(ctx, t, pods["u1"]); found != "example.com/lb:v2 example.com/frr:v2" {
			return errors.New(found)
		}
		return nil
	})
	c.runsAs(t, pods["u1"], "3", nil)
	c.complete(t)
	c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v2", nodes...)
}

func (c *cluster) leavesToOthers(t *testing.T, nodes []string, pods map[string]*corev1.Pod) {
	t.Helper()
	c.edit(t, func(spec *v1beta1.MetalLBSpec) {
		spec.SpeakerUpdate = &v1beta1.SpeakerUpdate{Strategy: v1beta1.SpeakerUpdateOnDelete}
		spec.SpeakerConfig = &v1beta1.PodConfig{Annotations: map[string]string{"example.com/a": "b"}}
	})
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionAvailable, metav1.ConditionTrue, "speaker: 0 of 3 pods are of the wanted version", "OnDelete")
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionProgressing, metav1.ConditionFalse)
	c.settle(t)
	c.untouched(t, pods, "example.com/lb:v2 example.com/frr:v2", nodes...)
}
