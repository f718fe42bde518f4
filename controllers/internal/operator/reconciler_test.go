package operator_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Given config/default on a real control plane with the operator running with its own rights only, then it does all of this.
func TestOperator(t *testing.T) {
	c := newCluster(t)
	t.Run("samples", c.testSamples)
	t.Run("misnamed", c.testMisnamed)
	t.Run("installation", c.testInstallation)
	t.Run("monitoring", c.testMonitoring)
	t.Run("update", c.testUpdate)
	t.Run("pods", c.testPods)
}

// Given nothing, when a MetalLB object is created, changed and deleted, then the operator installs, repairs, prunes, follows
// and removes everything, and writes nothing while at rest.
func (c *cluster) testInstallation(t *testing.T) {
	t.Helper()
	metallb := c.metallb(t, v1beta1.MetalLBName, everyKind())
	objects := c.awaitChildren(t, everyKind())

	t.Run("there is one of every kind", func(t *testing.T) { hasEveryKind(t, objects) })

	t.Run("every object in the namespace is owned by the MetalLB object", func(t *testing.T) {
		for _, o := range objects {
			if owned := metav1.IsControlledBy(o, metallb); owned != (o.GetNamespace() == namespace) {
				t.Errorf("%T %s: owned: %t", o, o.GetName(), owned)
			}
		}
	})
	t.Run("the secret of the speakers is random and kept", func(t *testing.T) { c.secretIsKept(t) })
	t.Run("the secret of the speakers may be changed", func(t *testing.T) { c.secretIsTheUsers(t) })
	t.Run("at rest nothing is written", func(t *testing.T) { c.restsAtRest(t) })
	for _, o := range objects {
		t.Run(fmt.Sprintf("%T %s is back after it was deleted", o, o.GetName()), func(t *testing.T) { c.comesBack(t, o) })
	}
	for _, o := range objects {
		t.Run(fmt.Sprintf("%T %s has its labels again after they were removed", o, o.GetName()), func(t *testing.T) { c.labelsComeBack(t, o) })
	}
	t.Run("what was edited is as before", func(t *testing.T) { c.repairsEdits(t) })
	t.Run("policies let the pods reach the API server and no more", func(t *testing.T) { c.limitsTheNetwork(t) })
	t.Run("a namespace that takes no such pods is explained", func(t *testing.T) { c.explainsTheNamespace(t) })
	t.Run("FRR comes when it is needed and goes a while after that", func(t *testing.T) { c.bringsFRR(t) })
	t.Run("what the operator made and nobody wants any more goes", func(t *testing.T) { c.prunes(t, metallb) })
	t.Run("a changed spec changes the pods", func(t *testing.T) { c.follows(t) })
	t.Run("a spec that cannot be used is named and changes nothing", func(t *testing.T) { c.refuses(t) })
	t.Run("another backend is accepted with a warning", func(t *testing.T) { c.warns(t) })
	t.Run("after deletion nothing is left", func(t *testing.T) { c.leavesNothing(t, metallb) })
}

func (c *cluster) secretIsKept(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: namespace, Name: manifests.MemberlistSecret}
	if err := c.Get(t.Context(), key, secret); err != nil {
		t.Fatal(err)
	}
	content := string(secret.Data[manifests.MemberlistKey])
	if len(content) < 100 {
		t.Errorf("content is %d bytes long", len(content))
	}
	c.change(t, secret, func() { secret.Labels = nil })
	eventually(t, "the labels are back", func(ctx context.Context) error {
		if err := c.Get(ctx, key, secret); err != nil || secret.Labels[manifests.LabelApp] == "" {
			return fmt.Errorf("labels %v: %w", secret.Labels, err)
		}
		return nil
	})
	if string(secret.Data[manifests.MemberlistKey]) != content {
		t.Error("the content is another one")
	}
}

// secretIsTheUsers gives the speakers one key after the other, while the operator is still busy with the one before: none of them is taken back.
func (c *cluster) secretIsTheUsers(t *testing.T) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: manifests.MemberlistSecret}}
	for i := range 30 {
		// As kubectl does: without looking at what there is.
		patch := fmt.Appendf(nil, `{"data":{%q:%q}}`, manifests.MemberlistKey, base64.StdEncoding.EncodeToString(fmt.Append(nil, "key ", i)))
		if err := c.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, patch)); err != nil {
			t.Fatal(err)
		}
	}
	c.settle(t)
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil || string(secret.Data[manifests.MemberlistKey]) != "key 29" {
		t.Errorf("after the last change to \"key 29\" the key is %q: %v", secret.Data[manifests.MemberlistKey], err)
	}
	c.change(t, secret, func() { secret.Data = nil })
	eventually(t, "a key that was deleted is replaced by a random one", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(secret), secret); err != nil || len(secret.Data[manifests.MemberlistKey]) < 100 {
			return fmt.Errorf("the key is %q: %w", secret.Data[manifests.MemberlistKey], err)
		}
		return nil
	})
}

// restsAtRest lets the operator look again, for a reason that needs no action, and compares.
func (c *cluster) restsAtRest(t *testing.T) {
	t.Helper()
	eventually(t, "the workloads' controllers have taken them up", func(ctx context.Context) error {
		key, deployment, speaker := client.ObjectKey{Namespace: namespace}, &appsv1.Deployment{}, &appsv1.DaemonSet{}
		key.Name = manifests.Controller
		err := c.Get(ctx, key, deployment)
		key.Name = manifests.Speaker
		if err = errors.Join(err, c.Get(ctx, key, speaker)); err != nil {
			return err
		}
		if deployment.Status.ObservedGeneration != deployment.Generation || deployment.Status.Replicas != *deployment.Spec.Replicas || speaker.Status.ObservedGeneration != speaker.Generation {
			return fmt.Errorf("of the Deployment: %+v; of the DaemonSet: %+v", deployment.Status, speaker.Status)
		}
		return nil
	})
	c.settle(t)
	before, objects := c.writes.all(), c.versions(t.Context(), t)
	c.touch(t)
	c.settle(t)
	if after := c.writes.all(); len(after) != len(before) {
		t.Errorf("the operator wrote: %v", after[len(before):])
	}
	for name, version := range c.versions(t.Context(), t) {
		if objects[name] != version {
			t.Errorf("%s changed from version %s to %s", name, objects[name], version)
		}
	}
}

// touch makes the operator reconcile: a node it has lost sight of comes and goes.
func (c *cluster) touch(t *testing.T) {
	t.Helper()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lost", Labels: map[string]string{corev1.LabelOSStable: "none"}}}
	if err := c.Create(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	if err := c.Delete(t.Context(), node); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "lost"}})
}

// settle waits until the workloads' controllers and the operator have had their say: no version changes over 25 looks.
func (c *cluster) settle(t *testing.T) {
	t.Helper()
	last, same := "", 0
	eventually(t, "nothing changes any more", func(ctx context.Context) error {
		now := fmt.Sprint(c.versions(ctx, t), len(c.writes.all()))
		if now != last {
			last, same = now, 0
		}
		if same++; same < 25 {
			return errors.New("still changing")
		}
		return nil
	})
}

func (c *cluster) versions(ctx context.Context, t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, o := range append(children(t, c, everyKind()), &v1beta1.MetalLB{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1.MetalLBName}}) {
		name := fmt.Sprintf("%T %s", o, o.GetName())
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); client.IgnoreNotFound(err) != nil {
			t.Fatalf("%s: %v", name, err)
		}
		out[name] = o.GetResourceVersion() // "" where the spec does not ask for it
	}
	return out
}

func (c *cluster) comesBack(t *testing.T, o client.Object) {
	t.Helper()
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
		t.Fatal(err)
	}
	old := o.GetUID()
	if err := c.Delete(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is back", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		if o.GetUID() == old {
			return errors.New("still the old one")
		}
		return nil
	})
}

func (c *cluster) repairsEdits(t *testing.T) {
	t.Helper()
	speaker := &appsv1.DaemonSet{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: manifests.Speaker}}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: manifests.SpeakerClusterRole}}
	binding := &rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: manifests.Controller}}
	leases := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.NodeLeases, Name: manifests.SpeakerClusterRole}}
	var image string
	var rules int
	c.change(t, speaker, func() {
		image = speaker.Spec.Template.Spec.Containers[0].Image
		speaker.Spec.Template.Spec.Containers[0].Image = "example.com/tampered"
		speaker.Spec.Template.Spec.HostNetwork = false
		speaker.OwnerReferences = nil
	})
	c.change(t, role, func() { rules, role.Rules, role.Labels = len(role.Rules), role.Rules[:1], nil })
	c.change(t, binding, func() { binding.Subjects = nil })
	c.change(t, leases, func() { leases.Rules = nil })
	eventually(t, "all edits are undone", func(ctx context.Context) error {
		for _, o := range []client.Object{speaker, role, binding, leases} {
			if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
				return err
			}
		}
		pod := speaker.Spec.Template.Spec
		if pod.Containers[0].Image != image || !pod.HostNetwork || len(speaker.OwnerReferences) != 1 ||
			len(role.Rules) != rules || role.Labels[manifests.LabelManagedBy] == "" || len(binding.Subjects) != 1 || len(leases.Rules) != 1 {
			return fmt.Errorf("image %s, host network %t, owners %v, rules %d, subjects %v, rules for Leases %v", pod.Containers[0].Image,
				pod.HostNetwork, speaker.OwnerReferences, len(role.Rules), binding.Subjects, leases.Rules)
		}
		return nil
	})
}

// change updates an object, again where somebody else was faster.
func (c *cluster) change(t *testing.T, o client.Object, edit func()) {
	t.Helper()
	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		edit()
		return c.Update(t.Context(), o)
	}); err != nil {
		t.Fatal(err)
	}
}

func (c *cluster) prunes(t *testing.T, owner *v1beta1.MetalLB) {
	t.Helper()
	labels := map[string]string{manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelOwner: namespace}
	reference := []metav1.OwnerReference{*metav1.NewControllerRef(owner, v1beta1.GroupVersion.WithKind("MetalLB"))}
	stale := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "stale", Labels: labels, OwnerReferences: reference}}
	users := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "users", Labels: labels}}
	elsewhere := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "elsewhere",
		Labels: map[string]string{manifests.LabelManagedBy: manifests.ManagedBy, manifests.LabelOwner: "other"}}}
	staleLeases := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.NodeLeases, Name: manifests.ControllerClusterRole, Labels: labels}}
	usersLeases := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: manifests.NodeLeases, Name: "users", Labels: elsewhere.Labels}}
	for _, o := range []client.Object{users, elsewhere, usersLeases, stale, staleLeases} {
		if err := c.Create(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitGone(t, stale)
	c.awaitGone(t, staleLeases)
	c.settle(t)
	for _, o := range []client.Object{users, elsewhere, usersLeases} {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); err != nil {
			t.Errorf("%T %s was not the operator's to delete: %v", o, o.GetName(), err)
		}
	}
}

func (c *cluster) follows(t *testing.T) {
	t.Helper()
	c.edit(t, func(spec *v1beta1.MetalLBSpec) {
		spec.LogLevel = v1beta1.LogLevelDebug
		spec.SpeakerConfig = &v1beta1.PodConfig{Annotations: map[string]string{"example.com/a": "b"}}
		spec.Memberlist = &v1beta1.MemberlistConfig{Disabled: true}
	})
	key := client.ObjectKey{Namespace: namespace, Name: manifests.Speaker}
	await := func(what string, check func(pod corev1.PodTemplateSpec) bool) {
		eventually(t, what, func(ctx context.Context) error {
			speaker := &appsv1.DaemonSet{}
			if err := c.Get(ctx, key, speaker); err != nil || !check(speaker.Spec.Template) {
				return fmt.Errorf("%v, %v: %w", speaker.Spec.Template.Annotations, speaker.Spec.Template.Spec.Containers[0].Args, err)
			}
			return nil
		})
	}
	gossips := func(pod corev1.PodTemplateSpec) bool {
		return slices.ContainsFunc(pod.Spec.Containers[0].Ports, func(p corev1.ContainerPort) bool { return p.ContainerPort == 7946 }) ||
			slices.ContainsFunc(pod.Spec.Containers[0].Env, func(e corev1.EnvVar) bool { return e.Name == "METALLB_ML_BIND_ADDR" }) ||
			slices.ContainsFunc(pod.Spec.Volumes, func(v corev1.Volume) bool { return v.Secret != nil })
	}
	await("the change arrives", func(pod corev1.PodTemplateSpec) bool {
		return pod.Annotations["example.com/a"] == "b" && slices.Contains(pod.Spec.Containers[0].Args, "--log-level=debug") && !gossips(pod)
	})
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { *spec = v1beta1.MetalLBSpec{} })
	for _, o := range []client.Object{
		&policyv1.PodDisruptionBudget{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: manifests.Controller}},
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: manifests.SettingsConfigMap}},
	} {
		c.awaitGone(t, o)
	}
	await("what is not wanted any more goes", func(pod corev1.PodTemplateSpec) bool {
		return len(pod.Annotations) == 0 && slices.Contains(pod.Spec.Containers[0].Args, "--log-level=info") && gossips(pod)
	})
}

func (c *cluster) refuses(t *testing.T) {
	t.Helper()
	c.settle(t)
	before := len(c.writes.all())
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { spec.NodeSelector = map[string]string{"not a label": "x"} })
	found := c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionTrue, "spec.nodeSelector", "not a label")
	if found.Reason != v1beta1.ReasonInvalidSpec {
		t.Errorf("reason %s", found.Reason)
	}
	if writes := c.writes.all()[before:]; len(writes) != 1 { // the status
		t.Errorf("the operator wrote: %v", writes)
	}
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { spec.NodeSelector = nil })
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
}

func (c *cluster) warns(t *testing.T) {
	t.Helper()
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { spec.BGPBackend = v1beta1.BGPBackendFRRK8s })
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionAvailable, metav1.ConditionFalse, "spec.bgpBackend is frr-k8s", "runs FRR beside the speaker")
	eventually(t, "an event says so", func(ctx context.Context) error {
		list := &eventsv1.EventList{}
		if err := c.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return err
		}
		for _, e := range list.Items {
			if e.Reason == "BGPBackendSubstituted" && e.Type == corev1.EventTypeWarning && e.Regarding.Name == v1beta1.MetalLBName {
				return nil
			}
		}
		return fmt.Errorf("%d events, none of them", len(list.Items))
	})
}

func (c *cluster) leavesNothing(t *testing.T, metallb *v1beta1.MetalLB) {
	t.Helper()
	if err := c.Delete(t.Context(), metallb); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, metallb)
	for _, o := range children(t, c, everyKind()) {
		c.awaitGone(t, o)
	}
}

// Given a MetalLB object with another name, when the operator sees it, then it says what is wrong and installs nothing.
func (c *cluster) testMisnamed(t *testing.T) {
	t.Helper()
	object := c.metallb(t, "loadbalancer", v1beta1.MetalLBSpec{})
	found := c.awaitCondition(t, object.Name, v1beta1.ConditionDegraded, metav1.ConditionTrue, `"loadbalancer"`, `"metallb"`)
	if found.Reason != v1beta1.ReasonIncorrectName {
		t.Errorf("reason %s", found.Reason)
	}
	for _, o := range children(t, c, everyKind()) {
		if err := c.Get(t.Context(), client.ObjectKeyFromObject(o), o); client.IgnoreNotFound(err) != nil || err == nil {
			t.Errorf("%T %s: %v", o, o.GetName(), err)
		}
	}
	if err := c.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, object)
}
