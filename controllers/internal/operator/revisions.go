package operator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/rollout"
)

// revisions are the templates that a DaemonSet has or had, by the value that its pods have in the label
// controller-revision-hash. The DaemonSet's controller keeps those of all pods there are.
type revisions struct {
	templates map[string]corev1.PodTemplateSpec
	// current is the hash of the wanted one.
	current string
}

// readRevisions asks the API server, not the cache: it is needed in an update only.
func (r *Reconciler) readRevisions(ctx context.Context, set *appsv1.DaemonSet) (revisions, error) {
	list := &appsv1.ControllerRevisionList{}
	if err := r.live.List(ctx, list, client.InNamespace(set.Namespace), client.MatchingLabels(set.Spec.Selector.MatchLabels)); err != nil {
		return revisions{}, fmt.Errorf("list the revisions of DaemonSet %s: %w", client.ObjectKeyFromObject(set), err)
	}
	found := revisions{templates: map[string]corev1.PodTemplateSpec{}}
	latest := int64(-1)
	for i := range list.Items {
		revision := &list.Items[i]
		hash := revision.Labels[appsv1.ControllerRevisionHashLabelKey]
		if hash == "" || !metav1.IsControlledBy(revision, set) {
			continue
		}
		var content struct {
			Spec struct {
				Template corev1.PodTemplateSpec `json:"template"`
			} `json:"spec"`
		}
		if err := json.Unmarshal(revision.Data.Raw, &content); err != nil {
			return revisions{}, fmt.Errorf("read revision %s of DaemonSet %s: %w", revision.Name, client.ObjectKeyFromObject(set), err)
		}
		found.templates[hash] = content.Spec.Template
		if revision.Revision > latest {
			latest, found.current = revision.Revision, hash
		}
	}
	return found, nil
}

// way says what it takes to bring a pod to the wanted revision.
func (v revisions) way(pod *corev1.Pod) rollout.Way {
	hash := pod.Labels[appsv1.ControllerRevisionHashLabelKey]
	if hash == v.current {
		return rollout.Nothing
	}
	was, known := v.templates[hash]
	if known && equality.Semantic.DeepEqual(withoutImages(was), withoutImages(v.templates[v.current])) {
		return rollout.InPlace
	}
	return rollout.Replace
}

// withoutImages is a template without the images that can be changed in a running pod.
func withoutImages(template corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	template = *template.DeepCopy()
	for _, containers := range [][]corev1.Container{template.Spec.InitContainers, template.Spec.Containers} {
		for i := range containers {
			if slices.Contains(manifests.ChangedInPlace(), containers[i].Name) {
				containers[i].Image = ""
			}
		}
	}
	return template
}

// imagePatch changes the images of a pod that was of another revision, and makes it one of the wanted revision, so that the DaemonSet counts it
// as such. It names the version of the pod that it was made for.
func (v revisions) imagePatch(pod *corev1.Pod) ([]byte, error) {
	images := func(containers []corev1.Container) (changes []map[string]string) {
		for _, c := range containers {
			if slices.Contains(manifests.ChangedInPlace(), c.Name) {
				changes = append(changes, map[string]string{"name": c.Name, "image": c.Image})
			}
		}
		return changes
	}
	wanted := v.templates[v.current].Spec
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{
			"resourceVersion": pod.ResourceVersion, "labels": map[string]string{appsv1.ControllerRevisionHashLabelKey: v.current},
		},
		"spec": map[string]any{"initContainers": images(wanted.InitContainers), "containers": images(wanted.Containers)},
	})
	if err != nil {
		return nil, fmt.Errorf("change the images of pod %s: %w", pod.Name, err)
	}
	return patch, nil
}
