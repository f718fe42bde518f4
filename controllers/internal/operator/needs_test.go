package operator_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// hasEveryKind fails where a kind that the operator looks through is not among the objects: then no test of all objects would be about it.
func hasEveryKind(t *testing.T, objects []client.Object) {
	t.Helper()
	for _, kind := range manifests.Kinds(manifests.Environment{}) {
		if !slices.ContainsFunc(objects, func(o client.Object) bool { return fmt.Sprintf("%T", o) == "*v1."+kind.Kind }) {
			t.Errorf("no %s among %d objects", kind.Kind, len(objects))
		}
	}
}

func (c *cluster) labelsComeBack(t *testing.T, o client.Object) {
	t.Helper()
	var before map[string]string
	c.change(t, o, func() {
		before = o.GetLabels()
		o.SetLabels(map[string]string{"example.com/users": "own"})
	})
	eventually(t, "the labels are back", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); err != nil {
			return err
		}
		for name, value := range before {
			if o.GetLabels()[name] != value {
				return fmt.Errorf("labels %v, wanted %v", o.GetLabels(), before)
			}
		}
		if o.GetLabels()["example.com/users"] == "" {
			t.Error("a label that somebody else added is gone")
		}
		return nil
	})
	if len(before) == 0 {
		t.Error("there were no labels")
	}
}

// limitsTheNetwork has the API server say by which port it is reached, which one that listens on the loopback does not, and then another one.
func (c *cluster) limitsTheNetwork(t *testing.T) {
	t.Helper()
	c.awaitPolicies(t)
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "kubernetes", Labels: map[string]string{discoveryv1.LabelServiceName: "kubernetes"}},
		AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"192.0.2.10"}}},
		Ports: []discoveryv1.EndpointPort{{Name: new("https"), Port: new(int32(6443))}},
	}
	if err := c.Create(t.Context(), slice); err != nil {
		t.Fatal(err)
	}
	c.awaitPolicies(t, 443, 6443)
	c.change(t, slice, func() { slice.Ports[0].Port = new(int32(8443)) })
	c.awaitPolicies(t, 443, 8443)
}

// awaitPolicies waits until the policies let in what the pods serve, and out what is wanted, everything where that is not known.
func (c *cluster) awaitPolicies(t *testing.T, wanted ...int32) {
	t.Helper()
	for name, ingress := range map[string][]int32{manifests.Controller: {9120, 17472}, manifests.OperatorPolicy: {8080}} {
		policy := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
		eventually(t, "policy "+name+" names the ports", func(ctx context.Context) error {
			if err := c.Get(ctx, client.ObjectKeyFromObject(policy), policy); err != nil {
				return err
			}
			in, out := portsOf(policy.Spec.Ingress[0].Ports), []int32(nil)
			if len(policy.Spec.Egress) == 1 {
				out = portsOf(policy.Spec.Egress[0].Ports)
			}
			if !slices.Equal(in, ingress) || !slices.Equal(out, wanted) || len(policy.Spec.PolicyTypes) != 1+len(policy.Spec.Egress) {
				return fmt.Errorf("from outside %v, wanted %v; to outside %v, wanted %v", in, ingress, out, wanted)
			}
			return nil
		})
	}
}

func portsOf(ports []networkingv1.NetworkPolicyPort) []int32 {
	var out []int32
	for _, p := range ports {
		out = append(out, p.Port.IntVal)
	}
	slices.Sort(out)
	return out
}

// bringsFRR makes and deletes each kind of object that asks for FRR.
func (c *cluster) bringsFRR(t *testing.T) {
	t.Helper()
	defer c.ahead.Store(0)
	c.awaitContainers(t, "without a BGPPeer there is no FRR", manifests.Speaker)
	extras := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "bgpextras"}, Data: map[string]string{"extras": "!"}}
	for _, asking := range []client.Object{
		configured("metallb.io/v1beta2", "BGPPeer", map[string]any{"myASN": int64(64500), "peerASN": int64(64512), "peerAddress": "192.0.2.1"}),
		configured("metallb.io/v1beta1", "FRRSnippet", map[string]any{"rawConfig": "ip prefix-list x seq 5 permit any\n"}),
		extras,
	} {
		what := asking.GetObjectKind().GroupVersionKind().Kind + " " + asking.GetName()
		if err := c.Create(t.Context(), asking); err != nil {
			t.Fatal(err)
		}
		c.awaitContainers(t, what+" brings FRR", manifests.Speaker, manifests.FRR, manifests.Reloader, manifests.Updater)
		if err := c.Delete(t.Context(), asking); err != nil {
			t.Fatal(err)
		}
		c.settle(t)
		c.awaitContainers(t, "FRR stays when "+what+" goes", manifests.Speaker, manifests.FRR, manifests.Reloader, manifests.Updater)
		c.ahead.Add(int64(11 * time.Minute))
		c.touch(t)
		c.awaitContainers(t, "later FRR goes", manifests.Speaker)
	}
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { spec.FRR = v1beta1.FRRAlways })
	c.awaitContainers(t, "FRR is there because the spec says so", manifests.Speaker, manifests.FRR, manifests.Reloader, manifests.Updater)
	c.ahead.Add(int64(11 * time.Minute))
	c.edit(t, func(spec *v1beta1.MetalLBSpec) { spec.FRR = "" })
	c.settle(t)
	c.ahead.Add(int64(11 * time.Minute))
	c.touch(t)
	c.awaitContainers(t, "and gone because it does not", manifests.Speaker)
}

func configured(apiVersion, kind string, spec map[string]any) client.Object {
	o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": apiVersion, "kind": kind, "spec": spec}}
	o.SetNamespace(namespace)
	o.SetName("asking")
	return o
}

// awaitContainers waits until the speakers' pods are to have these containers, and volumes for these alone.
func (c *cluster) awaitContainers(t *testing.T, what string, wanted ...string) {
	t.Helper()
	eventually(t, what, func(ctx context.Context) error {
		speaker := &appsv1.DaemonSet{}
		if err := c.Get(ctx, client.ObjectKey{Namespace: namespace, Name: manifests.Speaker}, speaker); err != nil {
			return err
		}
		pod := speaker.Spec.Template.Spec
		var found []string
		for _, container := range pod.Containers {
			found = append(found, container.Name)
		}
		withFRR := len(wanted) > 1
		volumes := slices.ContainsFunc(pod.Volumes, func(v corev1.Volume) bool { return v.Name == "frr-conf" })
		alone := slices.Contains(pod.Containers[0].Args, "--without-frr")
		if !slices.Equal(found, wanted) || withFRR != (len(pod.InitContainers) > 0) || withFRR != volumes || withFRR == alone {
			return fmt.Errorf("containers %v, wanted %v; %d of the start; FRR's volumes: %t; the speaker is told that it is alone: %t",
				found, wanted, len(pod.InitContainers), volumes, alone)
		}
		return nil
	})
}

func (c *cluster) explainsTheNamespace(t *testing.T) {
	t.Helper()
	const label = "pod-security.kubernetes.io/enforce"
	own := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	var before string
	c.change(t, own, func() { before, own.Labels[label] = own.Labels[label], "restricted" })
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionTrue, "namespace "+namespace, label+" is restricted", label+"=privileged")
	c.change(t, own, func() { own.Labels[label] = before })
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
}
