package admission

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

func pick[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

func some(t *rapid.T, label string, values ...string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(values), 0, 2).Draw(t, label)
}

// rarely is true once in twelve times: an object is to have one thing wrong with it, not all.
func rarely(t *rapid.T, label string) bool { return rapid.IntRange(0, 11).Draw(t, label) == 7 }

func drawName(t *rapid.T) string { return pick(t, "name", "a", "b", "c") }

func drawMeta(t *rapid.T) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: drawName(t), Namespace: pick(t, "namespace", lab, lab, lab, lab, lab, lab, "other")}
}

func drawSelectors(t *rapid.T, label string) []metav1.LabelSelector {
	if rarely(t, label+" wrong") {
		return []metav1.LabelSelector{{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "name", Operator: "Near"}}}}
	}
	return pick(t, label, nil, nil, []metav1.LabelSelector{{MatchLabels: map[string]string{"name": "a"}}}, []metav1.LabelSelector{
		{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "name", Operator: metav1.LabelSelectorOpNotIn, Values: []string{"b"}}}},
	})
}

// drawObject draws an object with few names and values, so that objects refer to and contradict each other, and many are wrong. The API
// server would refuse some of them by their schema; nothing here relies on that.
func drawObject(t *rapid.T) client.Object {
	meta := drawMeta(t)
	switch pick(t, "kind", "pool", "pool", "pool", "peer", "peer", "bgp", "bgp", "l2", "bfd", "community", "reservation", "quota", "secret") {
	case "pool":
		return drawPool(t, meta)
	case "peer":
		return drawPeer(t, meta)
	case "bgp":
		return drawBGP(t, meta)
	case "l2":
		return &v1beta1.L2Advertisement{ObjectMeta: meta, Spec: v1beta1.L2AdvertisementSpec{
			IPAddressPools: some(t, "pools", "a", "b", "none"), Interfaces: some(t, "interfaces", "eth0", "a b"), NodeSelectors: drawSelectors(t, "nodes"),
		}}
	case "bfd":
		return &v1beta1.BFDProfile{ObjectMeta: meta, Spec: v1beta1.BFDProfileSpec{
			ReceiveInterval: pick(t, "interval", nil, new(uint32(1)), new(uint32(300))), EchoMode: pick(t, "echo", nil, new(true)),
		}}
	case "community":
		c := &v1beta1.Community{ObjectMeta: meta}
		for _, name := range some(t, "aliases", "x", "y") {
			c.Spec.Communities = append(c.Spec.Communities, v1beta1.CommunityAlias{Name: name, Value: pick(t, "value", "1:2", "3:4", "x")})
		}
		return c
	case "reservation":
		return &v1beta1.IPReservation{ObjectMeta: meta, Spec: v1beta1.IPReservationSpec{
			Namespace: "a", Addresses: some(t, "addresses", "192.0.2.1", "192.0.2.70", "no"), Pool: pick(t, "pool", "", "a", "none"), RetainAfterDelete: "1h",
		}}
	case "quota":
		return &v1beta1.AddressQuota{ObjectMeta: meta, Spec: v1beta1.AddressQuotaSpec{
			Namespaces: some(t, "namespaces", "a", "b"), Pools: some(t, "pools", "a", "none"), IPv4: pick(t, "limit", nil, new(int32(-1)), new(int32(3))),
		}}
	default:
		return &corev1.Secret{ObjectMeta: meta, Type: pick(t, "type", corev1.SecretTypeBasicAuth, corev1.SecretTypeOpaque),
			Data: map[string][]byte{pick(t, "key", "password", "other"): []byte(pick(t, "password", "hunter2", "a b"))}}
	}
}

func drawPool(t *rapid.T, meta metav1.ObjectMeta) client.Object {
	meta.Labels = map[string]string{"name": pick(t, "label", "a", "b")}
	p := &v1beta1.IPAddressPool{ObjectMeta: meta, Spec: v1beta1.IPAddressPoolSpec{
		Addresses: rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"192.0.2.0/26", "192.0.2.64/26", "192.0.2.0/30", "192.0.2.4-192.0.2.63", "2001:db8::/120", "2001:db8:1::/124"}),
			1, 2, rapid.ID[string]).Draw(t, "addresses"),
		Disabled: rapid.Bool().Draw(t, "disabled"), AvoidBuggyIPs: rapid.Bool().Draw(t, "buggy"),
	}}
	if rarely(t, "wrong") {
		p.Spec.Addresses = some(t, "wrong addresses", "no", "192.0.2.1", rapid.String().Draw(t, "text"))
	}
	if rapid.Bool().Draw(t, "allocation") {
		p.Spec.ServiceAllocation = &v1beta1.ServiceAllocation{
			Namespaces: some(t, "namespaces", "a", "b"), NamespaceSelectors: drawSelectors(t, "namespaces"), ServiceSelectors: drawSelectors(t, "services"),
			Strict: rapid.Bool().Draw(t, "strict"), Priority: pick(t, "priority", 0, 1),
		}
	}
	return p
}

func drawPeer(t *rapid.T, meta metav1.ObjectMeta) client.Object {
	p := &v1beta2.BGPPeer{ObjectMeta: meta, Spec: v1beta2.BGPPeerSpec{
		MyASN: pick(t, "my", uint32(64512), 64512, 64512, 64513), PeerASN: 64600,
		PeerAddress: pick(t, "address", "192.0.2.200", "192.0.2.201", "2001:db8::200"), BFDProfile: pick(t, "bfd", "", "", "a", "b", "none"),
		RouterID: pick(t, "router", "", "", "10.0.0.1", "10.0.0.2"), PasswordSecret: corev1.SecretReference{Name: pick(t, "secret", "", "", "a", "b")},
		DualStackAddressFamily: rapid.Bool().Draw(t, "dual"), NodeSelectors: drawSelectors(t, "nodes"),
	}}
	if rarely(t, "wrong") {
		p.Spec.PeerASN, p.Spec.EBGPMultiHop = pick(t, "wrong peer", uint32(0), 64512), true
		p.Spec.Interface, p.Spec.HoldTime = pick(t, "wrong interface", "eth0", "eth0\nrouter bgp 1"), &metav1.Duration{Duration: time.Second}
	}
	return p
}

func drawBGP(t *rapid.T, meta metav1.ObjectMeta) client.Object {
	a := &v1beta1.BGPAdvertisement{ObjectMeta: meta, Spec: v1beta1.BGPAdvertisementSpec{
		AggregationLength: pick(t, "length", nil, nil, new(int32(32)), new(int32(26))), LocalPref: pick(t, "pref", uint32(0), 0, 100, 200),
		Communities: pick(t, "communities", nil, nil, []string{"x"}, []string{"y", "65535:65281"}), IPAddressPools: pick(t, "pools", nil, []string{"a"}, []string{"a", "b"}, []string{"none"}),
		IPAddressPoolSelectors: drawSelectors(t, "pools"), Peers: pick(t, "peers", nil, []string{"a"}, []string{"a", "b"}, []string{"none"}), NodeSelectors: drawSelectors(t, "nodes"),
	}}
	if rarely(t, "wrong") {
		a.Spec.AggregationLength, a.Spec.Communities = new(int32(33)), some(t, "wrong communities", "1:b", "x", "x")
	}
	return a
}

// drawServices draws Services that have addresses, each its own.
func drawServices(t *rapid.T) []corev1.Service {
	var out []corev1.Service
	for i := range rapid.IntRange(0, 4).Draw(t, "services") {
		v4, v6 := fmt.Sprintf("192.0.2.%d", pick(t, "v4", 1, 5, 65)+i*10), fmt.Sprintf("2001:db8::%d", i+1)
		out = append(out, corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint(i), Namespace: pick(t, "of", "a", "b"), Labels: map[string]string{"name": pick(t, "label", "a", "b")},
				Annotations: map[string]string{v1beta1.AnnotationAllocatedFromPool: drawName(t)}},
			Spec:   corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, ClusterIPs: []string{"10.0.0.1", "fd00::1"}, IPFamilyPolicy: new(corev1.IPFamilyPolicyPreferDualStack)},
			Status: corev1.ServiceStatus{LoadBalancer: corev1.LoadBalancerStatus{Ingress: []corev1.LoadBalancerIngress{{IP: v4}, {IP: v6}}}},
		})
	}
	return out
}

func drawWorld(t *rapid.T) *world {
	w, err := newWorld()
	if err != nil {
		t.Fatal(err)
	}
	w.Nodes = []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: map[string]string{"name": "a"}}}, {ObjectMeta: metav1.ObjectMeta{Name: "n2", Labels: map[string]string{"name": "b"}}}}
	w.services = drawServices(t)
	return w
}

// drawChange draws an edit of an object that there is, or the creation of one.
func drawChange(t *rapid.T, w *world) *change {
	if have := w.all(); len(have) > 0 && rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
		return &change{old: rapid.SampledFrom(have).Draw(t, "which").DeepCopyObject().(client.Object)}
	}
	return w.write(drawObject(t))
}
