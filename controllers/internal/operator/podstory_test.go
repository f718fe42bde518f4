package operator_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Given two nodes whose kubelets the test plays, when pods become ready, an image cannot be had, and a node is lost, then the
// conditions say so, and deletion does not wait for the lost node.
func (c *cluster) testPods(t *testing.T) {
	t.Helper()
	for _, name := range []string{"n1", "n2"} {
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{corev1.LabelOSStable: "linux"}}}
		if err := c.Create(t.Context(), node); err != nil {
			t.Fatal(err)
		}
		c.reports(t, name, corev1.ConditionTrue)
	}
	metallb := c.metallb(t, v1beta1.MetalLBName, v1beta1.MetalLBSpec{})
	c.awaitChildren(t, v1beta1.MetalLBSpec{})
	n1, n2 := c.scheduled(t, "n1"), c.scheduled(t, "n2")
	controller := c.podOf(t, manifests.Controller, func(corev1.Pod) bool { return true })
	c.bind(t, controller, "n1")

	c.runs(t, controller, nil)
	c.runs(t, n1, nil)
	c.runs(t, n2, &corev1.ContainerStateWaiting{Reason: "ContainerCreating"})
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionProgressing, metav1.ConditionTrue, "node n2: container speaker waits: ContainerCreating")

	c.runs(t, n2, &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"})
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionDegraded, metav1.ConditionTrue, "speaker: 1 of 2 pods ready: node n2: container speaker: image")

	c.runs(t, n2, nil)
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionAvailable, metav1.ConditionTrue, "controller: 1 of 1 pods ready; speaker: 2 of 2 pods ready")
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionDegraded, metav1.ConditionFalse)
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionProgressing, metav1.ConditionFalse)

	c.reports(t, "n2", corev1.ConditionUnknown)
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionAvailable, metav1.ConditionTrue, "speaker: 1 of 2 pods ready", "node n2: not reachable")
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionProgressing, metav1.ConditionFalse)
	c.awaitCondition(t, metallb.Name, v1beta1.ConditionDegraded, metav1.ConditionFalse)

	if err := c.Delete(t.Context(), metallb); err != nil {
		t.Fatal(err)
	}
	for _, pod := range []*corev1.Pod{controller, n1} { // as their kubelet does
		eventually(t, "the pod is to end", func(ctx context.Context) error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(pod), pod); err != nil {
				return err
			}
			if pod.DeletionTimestamp.IsZero() {
				return fmt.Errorf("pod %s is not", pod.Name)
			}
			return nil
		})
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(metallb), metallb); err != nil {
			t.Errorf("the MetalLB object is gone before its pods: %v", err)
		}
		if err := c.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitGone(t, metallb)
	if err := c.Delete(t.Context(), n2, client.GracePeriodSeconds(0)); client.IgnoreNotFound(err) != nil {
		t.Fatal(err)
	}
}

// reports has a node's kubelet say how it is, or the node controller that it says nothing.
func (c *cluster) reports(t *testing.T, node string, status corev1.ConditionStatus) {
	t.Helper()
	object := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node}}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	before := object.DeepCopy()
	object.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeReady, Status: status, LastHeartbeatTime: metav1.Now(), LastTransitionTime: metav1.Now()}}
	if err := c.Status().Patch(t.Context(), object, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// podOf waits for a pod of a component.
func (c *cluster) podOf(t *testing.T, component string, which func(corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var found corev1.Pod
	eventually(t, "a pod of "+component+" exists", func(ctx context.Context) error {
		pods := &corev1.PodList{}
		if err := c.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{manifests.LabelComponent: component}); err != nil {
			return err
		}
		for _, found = range pods.Items {
			if found.DeletionTimestamp.IsZero() && which(found) {
				return nil
			}
		}
		return fmt.Errorf("%d pods, none of them", len(pods.Items))
	})
	return &found
}

// scheduled waits for the speaker that the DaemonSet wants on a node and puts it there, as the scheduler does.
func (c *cluster) scheduled(t *testing.T, node string) *corev1.Pod {
	t.Helper()
	pod := c.podOf(t, manifests.Speaker, func(pod corev1.Pod) bool {
		affinity := pod.Spec.Affinity.NodeAffinity.RequiredDuringSchedulingIgnoredDuringExecution
		return affinity.NodeSelectorTerms[0].MatchFields[0].Values[0] == node
	})
	c.bind(t, pod, node)
	return pod
}

func (c *cluster) bind(t *testing.T, pod *corev1.Pod, node string) {
	t.Helper()
	binding := &corev1.Binding{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: namespace}, Target: corev1.ObjectReference{Kind: "Node", Name: node}}
	if err := c.SubResource("binding").Create(t.Context(), pod, binding); err != nil {
		t.Fatalf("bind %s to %s: %v", pod.Name, node, err)
	}
}

// runs sets a pod's status as its kubelet does: ready where its containers wait for nothing.
func (c *cluster) runs(t *testing.T, pod *corev1.Pod, waiting *corev1.ContainerStateWaiting) {
	t.Helper()
	c.runsAs(t, pod, "1", waiting)
}

// runsAs is runs, with the name of the run that its first container is in.
func (c *cluster) runsAs(t *testing.T, pod *corev1.Pod, run string, waiting *corev1.ContainerStateWaiting) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(pod), pod); err != nil {
		t.Fatal(err)
	}
	before := pod.DeepCopy()
	status, now := corev1.ConditionFalse, metav1.NewTime(time.Now())
	if waiting == nil {
		status = corev1.ConditionTrue
	}
	pod.Status.Phase = corev1.PodRunning
	pod.Status.Conditions = nil
	for _, kind := range []corev1.PodConditionType{corev1.PodScheduled, corev1.ContainersReady, corev1.PodReady} {
		s := status
		if kind == corev1.PodScheduled {
			s = corev1.ConditionTrue
		}
		pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: kind, Status: s, LastTransitionTime: now})
	}
	c0 := pod.Spec.Containers[0]
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{
		Name: c0.Name, Image: c0.Image, ContainerID: "test://" + run, Ready: waiting == nil, State: corev1.ContainerState{Waiting: waiting},
	}}
	if err := c.Status().Patch(t.Context(), pod, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}
