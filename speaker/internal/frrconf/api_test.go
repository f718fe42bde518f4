package frrconf_test

import (
	"reflect"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// written is what a user writes: a peer with its profile and its Secret, each in its plainest form.
type written struct {
	Peer    v1beta2.BGPPeerSpec
	Profile v1beta1.BFDProfileSpec
}

func plainly() written {
	return written{Peer: v1beta2.BGPPeerSpec{MyASN: 64512, PeerASN: 64513, PeerAddress: "192.0.2.1", BFDProfile: "profile"}}
}

// file takes it from the API's objects to frr.conf; it fails where the configuration is not used as it is.
func (w written) file(t *testing.T) string {
	t.Helper()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "lab", Name: name, CreationTimestamp: metav1.NewTime(time.Unix(7, 0))}
	}
	labels := map[string]string{"rack": "a"}
	snapshot, problems := intent.Build(kubeview.Raw(kubeview.Objects{
		Namespace:   "lab",
		Listens:     true,
		Peers:       []v1beta2.BGPPeer{{ObjectMeta: meta("peer"), Spec: w.Peer}},
		BFDProfiles: []v1beta1.BFDProfile{{ObjectMeta: meta("profile"), Spec: w.Profile}, {ObjectMeta: meta("other")}},
		Secrets:     []corev1.Secret{{ObjectMeta: meta("secret"), Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"password": []byte("hidden")}}},
		Nodes:       []corev1.Node{{ObjectMeta: metav1.ObjectMeta{Name: "n1", Labels: labels}}},
	}), intent.Snapshot{})
	for _, p := range problems {
		if p.Kind != intent.Warning {
			t.Fatalf("%v", p)
		}
	}
	return render(t, announce.Compute(announce.Input{Node: "n1", Config: snapshot, Nodes: []announce.NodeInfo{{Name: "n1", Labels: labels}}}).BGP)
}

// fieldsOf names the fields below a struct of ours, those of its structs and of the entries of its lists with them.
func fieldsOf(t reflect.Type, path string) []string {
	var out []string
	for field := range t.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		here, below := path+"."+name, field.Type
		for below.Kind() == reflect.Pointer || below.Kind() == reflect.Slice {
			below = below.Elem()
		}
		if below.Kind() == reflect.Struct && strings.Contains(below.PkgPath(), "metallb-operator") {
			out = append(out, fieldsOf(below, here)...)
		} else {
			out = append(out, here)
		}
	}
	return out
}

// TestGivenAnyFieldOfTheAPIWhenAUserSetsItThenTheFileSaysSo sets each field that users have, and expects the line of frr.conf that it is
// for. A field of the API that is new and has no row here fails the test: none is forgotten on the way.
func TestGivenAnyFieldOfTheAPIWhenAUserSetsItThenTheFileSaysSo(t *testing.T) {
	second := func(n int) *metav1.Duration { return &metav1.Duration{Duration: time.Duration(n) * time.Second} }
	receive := func(p v1beta2.ReceivePrefix) func(*written) {
		return func(w *written) {
			w.Peer.ToReceive = &v1beta2.Receive{Allowed: v1beta2.ReceiveAllowed{Prefixes: []v1beta2.ReceivePrefix{p}}}
		}
	}
	source := func(s v1beta2.NodeSource) func(*written) {
		return func(w *written) { w.Peer.SourceAddresses = []v1beta2.NodeSource{s} }
	}
	const neighbor = "\n neighbor 192.0.2.1 "
	type row struct {
		set  func(*written)
		want string // a part of the file that was not there before; "" means that the file stays as it was
	}
	rows := map[string]row{
		"BGPPeer.myASN":       {func(w *written) { w.Peer.MyASN = 64999 }, "\nrouter bgp 64999\n"},
		"BGPPeer.peerASN":     {func(w *written) { w.Peer.PeerASN = 64999 }, neighbor + "remote-as 64999\n"},
		"BGPPeer.dynamicASN":  {func(w *written) { w.Peer.PeerASN, w.Peer.DynamicASN = 0, v1beta2.ExternalASN }, neighbor + "remote-as external\n"},
		"BGPPeer.localASN":    {func(w *written) { w.Peer.LocalASN = new(uint32(64999)) }, neighbor + "local-as 64999 no-prepend replace-as\n"},
		"BGPPeer.peerAddress": {func(w *written) { w.Peer.PeerAddress = "192.0.2.9" }, "\n neighbor 192.0.2.9 remote-as 64513\n"},
		"BGPPeer.interface":   {func(w *written) { w.Peer.PeerAddress, w.Peer.Interface = "", "eth1" }, "\n neighbor eth1 interface remote-as 64513\n"},
		"BGPPeer.listenRange": {func(w *written) { w.Peer.PeerAddress, w.Peer.ListenRange = "", "192.0.2.0/24" }, "\n bgp listen range 192.0.2.0/24 peer-group listen:peer\n"},
		"BGPPeer.listenLimit": {func(w *written) {
			w.Peer.PeerAddress, w.Peer.ListenRange, w.Peer.ListenLimit = "", "192.0.2.0/24", new(uint32(7))
		}, "\n bgp listen limit 7\n"},
		"BGPPeer.sourceAddress":                {func(w *written) { w.Peer.SourceAddress = "192.0.2.8" }, neighbor + "update-source 192.0.2.8\n"},
		"BGPPeer.sourceAddresses.nodeName":     {source(v1beta2.NodeSource{NodeName: "n1", Address: "192.0.2.8"}), neighbor + "update-source 192.0.2.8\n"},
		"BGPPeer.sourceAddresses.nodeSelector": {source(v1beta2.NodeSource{NodeSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"rack": "a"}}, Address: "192.0.2.7"}), neighbor + "update-source 192.0.2.7\n"},
		"BGPPeer.sourceAddresses.address":      {source(v1beta2.NodeSource{NodeName: "n1", Address: "192.0.2.6"}), neighbor + "update-source 192.0.2.6\n"},
		"BGPPeer.sourceInterface":              {func(w *written) { w.Peer.SourceInterface = "lo" }, neighbor + "update-source lo\n"},
		"BGPPeer.peerPort":                     {func(w *written) { w.Peer.PeerPort = 1790 }, neighbor + "port 1790\n"},
		"BGPPeer.holdTime":                     {func(w *written) { w.Peer.HoldTime = second(0) }, neighbor + "timers 0 0\n"},
		"BGPPeer.keepaliveTime":                {func(w *written) { w.Peer.KeepaliveTime = second(4) }, neighbor + "timers 4 12\n"},
		"BGPPeer.connectTime":                  {func(w *written) { w.Peer.ConnectTime = second(7) }, neighbor + "timers connect 7\n"},
		"BGPPeer.routerID":                     {func(w *written) { w.Peer.RouterID = "192.0.2.77" }, "\n bgp router-id 192.0.2.77\n"},
		"BGPPeer.nodeSelectors": {func(w *written) {
			w.Peer.NodeSelectors = []metav1.LabelSelector{{MatchLabels: map[string]string{"rack": "b"}}}
		}, "frr defaults traditional"},
		"BGPPeer.password":               {func(w *written) { w.Peer.Password = "plain" }, neighbor + "password plain\n"},
		"BGPPeer.passwordSecret":         {func(w *written) { w.Peer.PasswordSecret.Name = "secret" }, neighbor + "password hidden\n"},
		"BGPPeer.bfdProfile":             {func(w *written) { w.Peer.BFDProfile = "other" }, neighbor + "bfd profile other\n"},
		"BGPPeer.enableGracefulRestart":  {func(w *written) { w.Peer.EnableGracefulRestart = true }, neighbor + "graceful-restart\n"},
		"BGPPeer.ebgpMultiHop":           {func(w *written) { w.Peer.EBGPMultiHop = true }, neighbor + "ebgp-multihop 255\n"},
		"BGPPeer.ebgpMultiHopTTL":        {func(w *written) { w.Peer.EBGPMultiHopTTL = new(uint32(3)) }, neighbor + "ebgp-multihop 3\n"},
		"BGPPeer.ttlSecurityHops":        {func(w *written) { w.Peer.TTLSecurityHops = new(uint32(3)) }, neighbor + "ttl-security hops 3\n"},
		"BGPPeer.vrf":                    {func(w *written) { w.Peer.VRF = "red" }, "\nrouter bgp 64512 vrf red\n"},
		"BGPPeer.disableMP":              {func(w *written) { w.Peer.DisableMP = true }, ""}, //nolint:staticcheck // that it changes nothing is what is tested
		"BGPPeer.dualStackAddressFamily": {func(w *written) { w.Peer.DualStackAddressFamily = true }, "\n address-family ipv6 unicast\n  neighbor 192.0.2.1 activate\n"},
		"BGPPeer.toReceive.allowed.mode": {func(w *written) {
			w.Peer.ToReceive = &v1beta2.Receive{Allowed: v1beta2.ReceiveAllowed{Mode: v1beta2.ReceiveAll}}
		}, "\nroute-map ml-in-192.0.2.1 permit 4\n"},
		"BGPPeer.toReceive.allowed.prefixes.prefix": {receive(v1beta2.ReceivePrefix{Prefix: "10.0.0.0/8"}), " permit 10.0.0.0/8\n"},
		"BGPPeer.toReceive.allowed.prefixes.ge":     {receive(v1beta2.ReceivePrefix{Prefix: "10.0.0.0/8", GE: new(uint32(9))}), " permit 10.0.0.0/8 ge 9\n"},
		"BGPPeer.toReceive.allowed.prefixes.le":     {receive(v1beta2.ReceivePrefix{Prefix: "10.0.0.0/8", LE: new(uint32(24))}), " permit 10.0.0.0/8 le 24\n"},

		"BFDProfile.receiveInterval":  {func(w *written) { w.Profile.ReceiveInterval = new(uint32(77)) }, "\n  receive-interval 77\n"},
		"BFDProfile.transmitInterval": {func(w *written) { w.Profile.TransmitInterval = new(uint32(77)) }, "\n  transmit-interval 77\n"},
		"BFDProfile.detectMultiplier": {func(w *written) { w.Profile.DetectMultiplier = new(uint32(77)) }, "\n  detect-multiplier 77\n"},
		"BFDProfile.echoInterval":     {func(w *written) { w.Profile.EchoInterval = new(uint32(77)) }, "\n  echo transmit-interval 77\n  echo receive-interval 77\n"},
		"BFDProfile.echoMode":         {func(w *written) { w.Profile.EchoMode = new(true) }, "\n  echo-mode\n"},
		"BFDProfile.passiveMode":      {func(w *written) { w.Profile.PassiveMode = new(true) }, "\n  passive-mode\n"},
		"BFDProfile.minimumTtl":       {func(w *written) { w.Profile.MinimumTTL = new(uint32(77)) }, "\n  minimum-ttl 77\n"},
	}
	before := plainly().file(t)
	fields := append(fieldsOf(reflect.TypeFor[v1beta2.BGPPeerSpec](), "BGPPeer"), fieldsOf(reflect.TypeFor[v1beta1.BFDProfileSpec](), "BFDProfile")...)
	for _, name := range fields {
		r, ok := rows[name]
		if !ok {
			t.Errorf("%s: nothing is known of what it does to frr.conf", name)
			continue
		}
		delete(rows, name)
		w := plainly()
		r.set(&w)
		after := w.file(t)
		switch {
		case reflect.DeepEqual(w, plainly()):
			t.Errorf("%s: the value to try is the one it has", name)
		case (before == after) != (r.want == ""):
			t.Errorf("%s: the file changes: %v, want %v", name, before != after, r.want != "")
		case !strings.Contains(after, r.want) || r.want != "" && name != "BGPPeer.nodeSelectors" && strings.Contains(before, r.want):
			t.Errorf("%s: want %q in what it makes and not in what was before:\n%s", name, r.want, after)
		}
	}
	for name := range rows {
		t.Errorf("%s: there is no such field", name)
	}
}
