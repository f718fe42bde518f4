package v1beta1_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// fullPeer has every field of the spec set.
func fullPeer() *v1beta2.BGPPeer {
	localASN := uint32(64999)
	return &v1beta2.BGPPeer{
		TypeMeta:   metav1.TypeMeta{APIVersion: "metallb.io/v1beta2", Kind: "BGPPeer"},
		ObjectMeta: metav1.ObjectMeta{Name: "tor-1", Namespace: "lab", Labels: map[string]string{"rack": "a"}},
		Spec: v1beta2.BGPPeerSpec{
			MyASN: 64512, PeerASN: 64513, DynamicASN: v1beta2.ExternalASN, LocalASN: &localASN,
			PeerAddress: "192.0.2.1", Interface: "eth0", ListenRange: "192.0.2.0/24", ListenLimit: new(uint32(5)), SourceAddress: "192.0.2.2", PeerPort: 1179,
			HoldTime: &metav1.Duration{}, KeepaliveTime: &metav1.Duration{Duration: time.Second}, ConnectTime: &metav1.Duration{Duration: time.Minute},
			RouterID: "192.0.2.3", NodeSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"rack": "a"}}},
			Password: "secret", PasswordSecret: corev1.SecretReference{Name: "s", Namespace: "lab"}, BFDProfile: "fast",
			SourceAddresses: []v1beta2.NodeSource{{NodeName: "n1", NodeSelector: &metav1.LabelSelector{}, Address: "192.0.2.4"}}, SourceInterface: "lo",
			EBGPMultiHopTTL: new(uint32(3)), TTLSecurityHops: new(uint32(4)),
			ToReceive:             &v1beta2.Receive{Allowed: v1beta2.ReceiveAllowed{Mode: v1beta2.ReceiveFiltered, Prefixes: []v1beta2.ReceivePrefix{{Prefix: "10.0.0.0/8", GE: new(uint32(9)), LE: new(uint32(24))}}}},
			EnableGracefulRestart: true, EBGPMultiHop: true, VRF: "red", DisableMP: true, DualStackAddressFamily: true,
		},
		Status: v1beta2.BGPPeerStatus{Conditions: []metav1.Condition{{Type: v1beta1.ConditionAccepted}}},
	}
}

func TestConversionThereAndBackLosesNothing(t *testing.T) {
	want := fullPeer()
	spec := reflect.ValueOf(want.Spec)
	for i := range spec.NumField() {
		if spec.Field(i).IsZero() {
			t.Errorf("the test does not set %s", spec.Type().Field(i).Name)
		}
	}
	old := v1beta1.BGPPeerFromV1beta2(want)
	if old.APIVersion != "metallb.io/v1beta1" {
		t.Errorf("apiVersion is %s, want metallb.io/v1beta1", old.APIVersion)
	}
	if difference := cmp.Diff(want, old.ToV1beta2()); difference != "" {
		t.Errorf("changed (-before +after):\n%s", difference)
	}
	old.Spec.NodeSelectors[0].MatchLabels["rack"] = "b"
	if got := want.Spec.NodeSelectors[0].MatchLabels["rack"]; got != "a" {
		t.Errorf("the conversion shares memory with its source: rack is %s", got)
	}
}

func TestConversionKeepsUnsetTimesUnset(t *testing.T) {
	old := &v1beta1.BGPPeer{Spec: v1beta1.BGPPeerSpec{MyASN: 1, PeerASN: 2, PeerAddress: "192.0.2.1"}}
	if difference := cmp.Diff(&v1beta2.BGPPeer{Spec: v1beta2.BGPPeerSpec{MyASN: 1, PeerASN: 2, PeerAddress: "192.0.2.1"}}, old.ToV1beta2()); difference != "" {
		t.Errorf("changed (-want +got):\n%s", difference)
	}
}

func TestBothVersionsNameTheirFieldsAlikeInJSON(t *testing.T) {
	for _, pair := range [][2]reflect.Type{
		{reflect.TypeFor[v1beta1.BGPPeerSpec](), reflect.TypeFor[v1beta2.BGPPeerSpec]()},
		{reflect.TypeFor[v1beta1.BGPPeerStatus](), reflect.TypeFor[v1beta2.BGPPeerStatus]()},
	} {
		for want := range pair[1].Fields() {
			got, _ := pair[0].FieldByName(want.Name)
			if got.Tag.Get("json") != want.Tag.Get("json") {
				t.Errorf("%s.%s is %q in v1beta1 and %q in v1beta2", pair[1].Name(), want.Name, got.Tag.Get("json"), want.Tag.Get("json"))
			}
		}
	}
}
