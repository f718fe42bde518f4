package reload_test

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

// The prefixes that every configuration of rendered announces to every peer.
const (
	service4 = "10.1.0.1/32"
	service6 = "2001:db8:1::1/128"
)

// site is what users write, as far as the sessions of one node depend on it.
type site struct {
	// peers and profiles are the specs of BGPPeers and BFDProfiles by name, as YAML; secrets are passwords by the name of the Secret.
	peers, profiles, secrets map[string]string
	// extra are the specs of BGPAdvertisements beside the one that is for everybody.
	extra map[string]string
}

// rendered takes what users wrote all the way from the API's objects to the frr.conf of node n1.
func (s site) rendered(tb testing.TB) string {
	tb.Helper()
	return s.renderedFor(tb, "n1")
}

func (s site) renderedFor(tb testing.TB, node string) string {
	tb.Helper()
	meta := func(name string) metav1.ObjectMeta {
		return metav1.ObjectMeta{Namespace: "lab", Name: name, UID: "u", CreationTimestamp: metav1.NewTime(time.Unix(7, 0))}
	}
	o := kubeview.Objects{Namespace: "lab", Listens: true, BGPAdvertisements: []v1beta1.BGPAdvertisement{{ObjectMeta: meta("all")}}}
	o.Pools = []v1beta1.IPAddressPool{{ObjectMeta: meta("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"10.1.0.0/24", "2001:db8:1::/64"}}}}
	for _, name := range sortedKeys(s.peers) {
		o.Peers = append(o.Peers, v1beta2.BGPPeer{ObjectMeta: meta(name), Spec: decoded[v1beta2.BGPPeerSpec](tb, s.peers[name])})
	}
	for _, name := range sortedKeys(s.extra) {
		o.BGPAdvertisements = append(o.BGPAdvertisements, v1beta1.BGPAdvertisement{ObjectMeta: meta(name), Spec: decoded[v1beta1.BGPAdvertisementSpec](tb, s.extra[name])})
	}
	for _, name := range sortedKeys(s.profiles) {
		o.BFDProfiles = append(o.BFDProfiles, v1beta1.BFDProfile{ObjectMeta: meta(name), Spec: decoded[v1beta1.BFDProfileSpec](tb, s.profiles[name])})
	}
	for _, name := range sortedKeys(s.secrets) {
		o.Secrets = append(o.Secrets, corev1.Secret{ObjectMeta: meta(name), Type: corev1.SecretTypeBasicAuth, Data: map[string][]byte{"password": []byte(s.secrets[name])}})
	}
	var nodes []announce.NodeInfo
	for _, name := range []string{"n1", "n2"} {
		labels := map[string]string{"kubernetes.io/hostname": name}
		o.Nodes = append(o.Nodes, corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}})
		nodes = append(nodes, announce.NodeInfo{Name: name, Labels: labels})
	}
	snapshot, problems := intent.Build(kubeview.Raw(o), intent.Snapshot{})
	for _, p := range problems {
		if p.Kind != intent.Warning {
			tb.Fatalf("problem with the objects: %v", p)
		}
	}
	bgp := announce.Compute(announce.Input{
		Node: node, Config: snapshot, Nodes: nodes,
		Services: []announce.Service{{
			Key: ipam.ServiceKey{Namespace: "x", Name: "web"}, Endpoints: announce.Endpoints{Serving: 1},
			Addresses: []netip.Addr{netip.MustParsePrefix(service4).Addr(), netip.MustParsePrefix(service6).Addr()},
		}},
	}).BGP
	conf, err := frrconf.Render(bgp, frrconf.Options{Hostname: node})
	if err != nil {
		tb.Fatal(err)
	}
	return string(conf)
}

func decoded[T any](tb testing.TB, text string) T {
	tb.Helper()
	var out T
	if err := yaml.UnmarshalStrict([]byte(text), &out); err != nil {
		tb.Fatalf("%v in %s", err, text)
	}
	return out
}

// shown parses what a show command prints as JSON.
func shown[T any](tb testing.TB, i *frrtest.Instance, command string) T {
	tb.Helper()
	var out T
	text := i.Vtysh(tb, command)
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		tb.Fatalf("%s: %v\n%s", command, err, text)
	}
	return out
}

// ip runs `ip` inside an instance.
func ip(tb testing.TB, i *frrtest.Instance, line string) string {
	tb.Helper()
	out, err := i.Run(tb.Context(), "ip", strings.Fields(line)...)
	if err != nil {
		tb.Fatalf("ip %s: %v\n%s", line, err, out)
	}
	return out
}

// path is what a router knows of the best path for a prefix.
type path struct {
	AsPath string
}

// pathsFrom are the AS paths by which a router has a prefix, by the neighbor they came from.
func pathsFrom(tb testing.TB, router *frrtest.Instance, prefix string) map[string]path {
	tb.Helper()
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	answer := shown[struct {
		Paths []struct {
			AsPath struct{ String string } `json:"aspath"`
			Peer   struct {
				PeerID string `json:"peerId"`
			}
		}
	}](tb, router, fmt.Sprintf("show bgp %s unicast %s json", family, prefix))
	found := map[string]path{}
	for _, p := range answer.Paths {
		found[p.Peer.PeerID] = path{p.AsPath.String}
	}
	return found
}
