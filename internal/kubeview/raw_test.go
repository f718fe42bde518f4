package kubeview_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// objects has one object of each kind, with an empty spec.
func objects() kubeview.Objects {
	return kubeview.Objects{
		Namespace:         "lab",
		Pools:             make([]v1beta1.IPAddressPool, 1),
		Peers:             make([]v1beta2.BGPPeer, 1),
		BGPAdvertisements: make([]v1beta1.BGPAdvertisement, 1),
		L2Advertisements:  make([]v1beta1.L2Advertisement, 1),
		BFDProfiles:       make([]v1beta1.BFDProfile, 1),
		Communities:       make([]v1beta1.Community, 1),
		Snippets:          make([]v1beta1.FRRSnippet, 1),
		Reservations:      make([]v1beta1.IPReservation, 1),
		Quotas:            make([]v1beta1.AddressQuota, 1),
		Secrets:           make([]corev1.Secret, 1),
	}
}

func TestGivenAnyFieldOfASpecWhenItIsSetThenTheRawObjectDiffers(t *testing.T) {
	before := kubeview.Raw(objects())
	specs := map[string]func(*kubeview.Objects) any{
		"IPAddressPool":    func(o *kubeview.Objects) any { return &o.Pools[0].Spec },
		"BGPPeer":          func(o *kubeview.Objects) any { return &o.Peers[0].Spec },
		"BGPAdvertisement": func(o *kubeview.Objects) any { return &o.BGPAdvertisements[0].Spec },
		"L2Advertisement":  func(o *kubeview.Objects) any { return &o.L2Advertisements[0].Spec },
		"BFDProfile":       func(o *kubeview.Objects) any { return &o.BFDProfiles[0].Spec },
		"IPReservation":    func(o *kubeview.Objects) any { return &o.Reservations[0].Spec },
		"AddressQuota":     func(o *kubeview.Objects) any { return &o.Quotas[0].Spec },
		"Community":        func(o *kubeview.Objects) any { return &o.Communities[0].Spec },
		"FRRSnippet":       func(o *kubeview.Objects) any { return &o.Snippets[0].Spec },
	}
	for kind, spec := range specs {
		shape := objects()
		for _, path := range leaves(reflect.TypeOf(spec(&shape)).Elem(), nil) {
			changed := objects()
			name := set(reflect.ValueOf(spec(&changed)).Elem(), path)
			if reflect.DeepEqual(kubeview.Raw(changed), before) {
				t.Errorf("%s.spec%s makes no difference", kind, name)
			}
		}
	}
}

// leaves lists the paths to all fields below a struct: into pointers and the entries of lists, but not into what others define.
func leaves(t reflect.Type, path []int) [][]int {
	var out [][]int
	for i := range t.NumField() {
		below := t.Field(i).Type
		for below.Kind() == reflect.Pointer || below.Kind() == reflect.Slice {
			below = below.Elem()
		}
		here := append(path[:len(path):len(path)], i)
		ours := below.Kind() == reflect.Struct && below.PkgPath() != "k8s.io/apimachinery/pkg/apis/meta/v1"
		if ours {
			out = append(out, leaves(below, here)...)
		} else {
			out = append(out, here)
		}
	}
	return out
}

// set gives the field at path a value other than zero, false where true is the default, and returns its name.
func set(v reflect.Value, path []int) string {
	var names []string
	for _, i := range path {
		v = enter(v)
		names = append(names, v.Type().Field(i).Name)
		v = v.Field(i)
	}
	name := "." + strings.Join(names, ".")
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		if name == ".AutoAssign" {
			return name
		}
		v = v.Elem()
	}
	v = enter(v)
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString("x")
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint16, reflect.Uint32:
		v.SetUint(1)
	case reflect.Struct:
		switch v.Interface().(type) {
		case metav1.Duration:
			v.Set(reflect.ValueOf(metav1.Duration{Duration: time.Second}))
		case metav1.LabelSelector:
			v.Set(reflect.ValueOf(metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}))
		default:
			panic(fmt.Sprintf("no value known for %s of type %s", name, v.Type()))
		}
	default:
		panic(fmt.Sprintf("no value known for %s of type %s", name, v.Type()))
	}
	return name
}

// enter follows pointers and goes into the first entry of a list, making what is not there.
func enter(v reflect.Value) reflect.Value {
	for {
		switch v.Kind() {
		case reflect.Pointer:
			if v.IsNil() {
				v.Set(reflect.New(v.Type().Elem()))
			}
			v = v.Elem()
		case reflect.Slice:
			if v.Len() == 0 {
				v.Set(reflect.MakeSlice(v.Type(), 1, 1))
			}
			v = v.Index(0)
		default:
			return v
		}
	}
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func TestGivenObjectsInTwoNamespacesWhenReadThenOnlyTheOneAskedForIsThere(t *testing.T) {
	var all []client.Object
	for _, namespace := range []string{"lab", "other"} {
		m := metav1.ObjectMeta{Namespace: namespace, Name: "a", UID: "u", Generation: 2, CreationTimestamp: metav1.NewTime(time.Unix(7, 0)), Labels: map[string]string{"k": "v"}}
		all = append(all, &v1beta1.IPAddressPool{ObjectMeta: m}, &v1beta2.BGPPeer{ObjectMeta: m}, &v1beta1.BGPAdvertisement{ObjectMeta: m}, &v1beta1.L2Advertisement{ObjectMeta: m},
			&v1beta1.IPReservation{ObjectMeta: m}, &v1beta1.AddressQuota{ObjectMeta: m}, &v1beta1.BFDProfile{ObjectMeta: m}, &v1beta1.Community{ObjectMeta: m}, &v1beta1.FRRSnippet{ObjectMeta: m}, &corev1.Secret{ObjectMeta: m, Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"password": []byte("hunter2")}})
	}
	all = append(all, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "n", Labels: map[string]string{"rack": "a"}}})
	c := fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(all...).Build()
	read, err := kubeview.ReadAll(t.Context(), c, "lab")
	if err != nil {
		t.Fatal(err)
	}
	raw := kubeview.Raw(read)
	m := intent.Meta{Namespace: "lab", Name: "a", UID: "u", Generation: 2, Created: time.Unix(7, 0), Labels: map[string]string{"k": "v"}}
	want := intent.Raw{
		Namespace:         "lab",
		Pools:             []intent.RawPool{{Meta: m, AutoAssign: true}},
		Peers:             []intent.RawPeer{{Meta: m}},
		BGPAdvertisements: []intent.RawBGPAdvertisement{{Meta: m}},
		L2Advertisements:  []intent.RawL2Advertisement{{Meta: m}},
		BFDProfiles:       []intent.RawBFDProfile{{Meta: m}},
		Communities:       []intent.RawCommunity{{Meta: m}},
		Reservations:      []intent.RawReservation{{Meta: m}},
		Quotas:            []intent.RawQuota{{Meta: m}},
		Snippets:          []intent.RawSnippet{{Meta: m}},
		Secrets:           []intent.RawSecret{{Meta: m, Type: "kubernetes.io/basic-auth", HasPassword: true, Password: intent.NewSecret("hunter2")}},
		Nodes:             []intent.RawNode{{Name: "n", Labels: map[string]string{"rack": "a"}}},
	}
	if !reflect.DeepEqual(raw, want) {
		t.Errorf("raw is\n%+v\nwant\n%+v", raw, want)
	}
	announcing, err := kubeview.Read(t.Context(), c, "lab")
	read.Reservations, read.Quotas = nil, nil
	if err != nil || !reflect.DeepEqual(announcing, read) {
		t.Errorf("Read is\n%+v, %v\nwant what ReadAll reads but for reservations and quotas:\n%+v", announcing, err, read)
	}
}

func TestGivenAPoolWithLeaveForDisruptionWhenReadThenTheRawPoolHasIt(t *testing.T) {
	o := objects()
	o.Pools[0].Annotations = map[string]string{v1beta1.AnnotationAllowDisruption: "7"}
	if got := kubeview.Raw(o).Pools[0].AllowDisruption; got != "7" {
		t.Errorf("AllowDisruption is %q, want 7", got)
	}
}

func TestGivenANodeWhenReadThenItsAddressesAreThoseThatParse(t *testing.T) {
	node := corev1.Node{Status: corev1.NodeStatus{Addresses: []corev1.NodeAddress{
		{Type: corev1.NodeHostName, Address: "192.0.2.9"}, {Type: corev1.NodeInternalIP, Address: "192.0.2.1"}, {Type: corev1.NodeInternalIP, Address: "2001:db8::1"},
		{Type: corev1.NodeExternalIP, Address: "::ffff:198.51.100.1"}, {Type: corev1.NodeExternalIP, Address: "worker-1"}, {Type: corev1.NodeInternalIP, Address: "fe80::1%eth0"},
	}}}
	want := []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("fe80::1")}
	if got := kubeview.Raw(kubeview.Objects{Nodes: []corev1.Node{node}}).Nodes[0].Addresses; !slices.Equal(got, want) {
		t.Errorf("addresses are %v, want %v", got, want)
	}
}

func TestGivenOneListFailsWhenReadThenThereIsNoHalfConfiguration(t *testing.T) {
	for what, failing := range map[string]client.ObjectList{"Communities": &v1beta1.CommunityList{}, "AddressQuotas": &v1beta1.AddressQuotaList{}} {
		c := fake.NewClientBuilder().WithScheme(newScheme(t)).WithInterceptorFuncs(interceptor.Funcs{
			List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) error {
				if reflect.TypeOf(list) == reflect.TypeOf(failing) {
					return errors.New("no such kind")
				}
				return c.List(ctx, list, opts...)
			},
		}).Build()
		read, err := kubeview.ReadAll(t.Context(), c, "lab")
		if err == nil || err.Error() != "listing "+what+": no such kind" || read.Namespace != "" {
			t.Errorf("%s fail to list: ReadAll is %+v, %v", what, read, err)
		}
	}
}

func TestGivenConfigMapsWhenReadForANodeThenTheOneWithRawConfigurationOfTheNamespaceIsThere(t *testing.T) {
	extras := func(namespace, name string) *corev1.ConfigMap {
		return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string]string{v1beta1.ExtrasConfigMapKey: namespace + name}}
	}
	c := fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(extras("lab", "bgpextras"), extras("lab", "kube-root-ca.crt"), extras("other", "bgpextras")).Build()
	read, err := kubeview.ReadForNode(t.Context(), c, "lab")
	if err != nil {
		t.Fatal(err)
	}
	if raw := kubeview.Raw(read); len(raw.Extras) != 1 || raw.Extras[0].Name != "bgpextras" || raw.Extras[0].Extras != "labbgpextras" {
		t.Errorf("extras are %+v", raw.Extras)
	}
}
