package operator

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// observed is what there is of an installation.
type observed struct {
	// controller and speaker are nil where they do not exist.
	controller *appsv1.Deployment
	speaker    *appsv1.DaemonSet
	// pods are those of both.
	pods []corev1.Pod
	// unreachable are the names of nodes that the cluster has lost sight of, and of nodes that pods name and that do not
	// exist any more.
	unreachable map[string]bool
	// namespace is that of the installation, and podSecurity the pod security level that is enforced there, "" for the API server's usual one.
	namespace, podSecurity string
	// nodes are the names of all nodes.
	nodes map[string]bool
	// update is how far an update of the speakers is.
	update updating
}

// observe reads what there is.
func (r *Reconciler) observe(ctx context.Context) (observed, error) {
	in := client.InNamespace(r.env.Namespace)
	deployments, daemonSets := &appsv1.DeploymentList{}, &appsv1.DaemonSetList{}
	pods, nodes := &corev1.PodList{}, &corev1.NodeList{}
	if err := r.client.List(ctx, deployments, in); err != nil {
		return observed{}, wrap(err, "list Deployments")
	}
	if err := r.client.List(ctx, daemonSets, in); err != nil {
		return observed{}, wrap(err, "list DaemonSets")
	}
	if err := r.client.List(ctx, pods, in, client.MatchingLabels{manifests.LabelApp: manifests.App}); err != nil {
		return observed{}, wrap(err, "list pods")
	}
	if err := r.client.List(ctx, nodes); err != nil {
		return observed{}, wrap(err, "list nodes")
	}
	seen := observed{unreachable: map[string]bool{}, namespace: r.env.Namespace}
	for i := range deployments.Items {
		if deployments.Items[i].Name == manifests.Controller {
			seen.controller = &deployments.Items[i]
		}
	}
	for i := range daemonSets.Items {
		if daemonSets.Items[i].Name == manifests.Speaker {
			seen.speaker = &daemonSets.Items[i]
		}
	}
	seen.nodes = make(map[string]bool, len(nodes.Items))
	for i := range nodes.Items {
		seen.nodes[nodes.Items[i].Name] = true
		if unreachable(&nodes.Items[i]) {
			seen.unreachable[nodes.Items[i].Name] = true
		}
	}
	for _, pod := range pods.Items {
		if !isOperand(&pod) {
			continue
		}
		seen.pods = append(seen.pods, pod)
		if node := pod.Spec.NodeName; node != "" && !seen.nodes[node] {
			seen.unreachable[node] = true
		}
	}
	return seen, nil
}

// isOperand says whether a pod is one of the controller or the speakers.
func isOperand(pod client.Object) bool {
	labels := pod.GetLabels()
	component := labels[manifests.LabelComponent]
	return labels[manifests.LabelApp] == manifests.App && (component == manifests.Controller || component == manifests.Speaker)
}

// unreachable says whether the node's kubelet has stopped reporting: the node controller then sets Ready to Unknown.
func unreachable(node *corev1.Node) bool {
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionUnknown
		}
	}
	return false
}
