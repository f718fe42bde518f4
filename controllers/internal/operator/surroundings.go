package operator

import (
	"context"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
)

// frrLinger is how long FRR stays after nothing asks for it any more: whoever replaces a BGPPeer by another one must not replace the pods of all
// speakers twice.
const frrLinger = 10 * time.Minute

// extrasConfigMap is MetalLB's name for a ConfigMap with raw configuration of FRR.
const extrasConfigMap = "bgpextras"

// asksForFRR are the kinds of objects of which one is enough for FRR to be needed.
func asksForFRR() []schema.GroupVersionKind {
	return []schema.GroupVersionKind{
		v1beta2.GroupVersion.WithKind("BGPPeer"), v1beta1.GroupVersion.WithKind("FRRSnippet"),
	}
}

// environment returns that of the installation, complete with what the cluster says, and after how long it may differ though nothing happens;
// 0 is never.
func (r *Reconciler) environment(ctx context.Context) (env manifests.Environment, lookAgain time.Duration, err error) {
	env = r.env
	if env.MemberlistSecret, err = r.memberlistSecret(ctx); err != nil {
		return env, 0, err
	}
	if env.APIServerPorts, err = r.apiServerPorts(ctx); err != nil {
		return env, 0, err
	}
	if env.OpenShift, err = r.onOpenShift(); err != nil {
		return env, 0, err
	}
	needed, err := r.frrNeeded(ctx)
	if err != nil {
		return env, 0, err
	}
	running, err := r.frrRuns(ctx)
	if err != nil {
		return env, 0, err
	}
	env.FRRIdle, lookAgain = r.idle.look(needed, running, r.now())
	return env, lookAgain, nil
}

// onOpenShift says whether the cluster has OpenShift's SecurityContextConstraints.
func (r *Reconciler) onOpenShift() (bool, error) {
	return has(r.client.RESTMapper(), manifests.SecurityContextConstraints())
}

// has says whether the API server has a kind.
func has(mapper meta.RESTMapper, kind schema.GroupVersionKind) (bool, error) {
	_, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	return err == nil, wrap(err, "ask whether there are %s", kind.Kind)
}

// frrNeeded says whether there is an object that asks for FRR.
func (r *Reconciler) frrNeeded(ctx context.Context) (bool, error) {
	in := client.InNamespace(r.env.Namespace)
	for _, kind := range asksForFRR() {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(kind.GroupVersion().WithKind(kind.Kind + "List"))
		if err := r.client.List(ctx, list, in); err != nil {
			return false, wrap(err, "list every %s", kind.Kind)
		}
		if len(list.Items) > 0 {
			return true, nil
		}
	}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.env.Namespace, Name: extrasConfigMap}, &corev1.ConfigMap{})
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, wrap(err, "read ConfigMap %s", extrasConfigMap)
}

// frrRuns says whether the speakers' pods are to have FRR as it is.
func (r *Reconciler) frrRuns(ctx context.Context) (bool, error) {
	speaker := &appsv1.DaemonSet{}
	err := r.client.Get(ctx, client.ObjectKey{Namespace: r.env.Namespace, Name: manifests.Speaker}, speaker)
	if client.IgnoreNotFound(err) != nil {
		return false, wrap(err, "read DaemonSet %s", manifests.Speaker)
	}
	return slices.ContainsFunc(speaker.Spec.Template.Spec.Containers, func(c corev1.Container) bool { return c.Name == manifests.FRR }), nil
}

// idleness remembers since when FRR runs though nothing asks for it, zero where that is not so.
type idleness struct{ since time.Time }

// look returns whether FRR may go, and else, where it is idle, after how long it may.
func (i *idleness) look(needed, running bool, now time.Time) (idle bool, wait time.Duration) {
	switch {
	case needed:
		i.since = time.Time{}
		return false, 0
	case !running:
		i.since = time.Time{}
		return true, 0
	case i.since.IsZero():
		i.since = now
	}
	wait = max(0, i.since.Add(frrLinger).Sub(now))
	return wait == 0, wait
}

// apiServerPorts are the ports by which pods reach the API server: that of its Service, which the operator was started with, and those behind it.
// They are empty where one of these is not known.
func (r *Reconciler) apiServerPorts(ctx context.Context) ([]int32, error) {
	slicesOf := &discoveryv1.EndpointSliceList{}
	if err := r.client.List(ctx, slicesOf, client.InNamespace(metav1.NamespaceDefault), client.MatchingLabels{discoveryv1.LabelServiceName: apiServerService}); err != nil {
		return nil, wrap(err, "list the EndpointSlices of the API server")
	}
	var behind []int32
	for i := range slicesOf.Items {
		for _, p := range slicesOf.Items[i].Ports {
			if p.Port != nil {
				behind = append(behind, *p.Port)
			}
		}
	}
	if len(behind) == 0 || len(r.env.APIServerPorts) == 0 {
		return nil, nil
	}
	ports := slices.Concat(r.env.APIServerPorts, behind)
	slices.Sort(ports)
	return slices.Compact(ports), nil
}

// apiServerService is the name of the API server's Service, in the namespace default.
const apiServerService = "kubernetes"

// podSecurityLabel is, on a namespace, the level that the API server enforces there (https://kubernetes.io/docs/concepts/security/pod-security-admission).
const podSecurityLabel = "pod-security.kubernetes.io/enforce"

// podSecurity returns the pod security level that the API server enforces in the installation's namespace, "" for its usual one.
func (r *Reconciler) podSecurity(ctx context.Context) (string, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := r.client.Get(ctx, client.ObjectKey{Name: r.env.Namespace}, namespace)
	return namespace.Labels[podSecurityLabel], wrap(client.IgnoreNotFound(err), "read Namespace %s", r.env.Namespace)
}

// refusedPods says that the API server refuses the speakers' pods at the level that is enforced in the namespace, nil where it takes them. It tells
// that to the DaemonSet alone, in events.
func refusedPods(namespace, level string) error {
	if level == "" || level == "privileged" {
		return nil
	}
	return &condition.Stalled{Reason: v1beta1.ReasonUnavailable, Err: fmt.Errorf("namespace %[1]s: label %[2]s is %[3]s, so that the API server refuses new pods of the speakers: "+
		"wanted privileged (kubectl label namespace %[1]s --overwrite %[2]s=privileged)", namespace, podSecurityLabel, level)}
}
