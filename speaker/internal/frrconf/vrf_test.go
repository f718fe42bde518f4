package frrconf_test

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/uml"
)

func TestMain(m *testing.M) { os.Exit(uml.Main(m)) }

// plug joins a port of the node, in a VRF if one is named, and eth0 of a router by a cable. The addresses of its ends are the same each time.
func plug(t *testing.T, node, router *frr.Instance, port, vrf string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "link", "add", port, "netns", strconv.Itoa(node.PID()), "type", "veth",
		"peer", "eth0", "netns", strconv.Itoa(router.PID())).CombinedOutput()
	if err != nil {
		t.Fatalf("connect %s: %v\n%s", port, err, out)
	}
	if vrf != "" {
		ip(t, node, "link", "set", port, "master", vrf)
	}
	ip(t, node, "addr", "add", "198.51.100.254/24", "dev", port)
	ip(t, router, "addr", "add", "198.51.100.1/24", "dev", "eth0")
	ip(t, node, "link", "set", port, "up")
	ip(t, router, "link", "set", "eth0", "up")
}

func ip(t *testing.T, i *frr.Instance, args ...string) {
	t.Helper()
	if out, err := i.Run(t.Context(), "ip", args...); err != nil {
		t.Fatalf("ip %v: %v\n%s", args, err, out)
	}
}

// The kernel that runs the tests may know no VRFs; this test brings one that does. Programs start slowly in it, so there are few.
func TestGivenOnePeerAddressInTwoVRFsWhenAdvertisedThenEachRouterGetsTheRoutesOfItsVRF(t *testing.T) {
	if _, err := frr.Root(t.Context(), frr.Bookworm); err != nil { // inside nothing can be fetched
		t.Fatal(err)
	}
	if uml.Boot(t, "ipv6", "veth", "vrf", "xfrm_user", "nfnetlink") {
		return
	}
	bgp := announce.Compute(read(t, "testdata/vrfs.in.yaml")).BGP
	node := frr.Start(t, frr.Options{Bare: true, Config: render(t, bgp)})
	ip(t, node, "link", "add", "red", "type", "vrf", "table", "10")
	ip(t, node, "link", "set", "red", "up")
	router := func(name string, asn, nodeASN int, port, vrf string) *frr.Instance {
		r := frr.Start(t, frr.Options{Name: name, Listen: true, Bare: true, Config: fmt.Sprintf(`router bgp %d
 no bgp ebgp-requires-policy
 neighbor 198.51.100.254 remote-as %d
exit
`, asn, nodeASN)})
		plug(t, node, r, port, vrf)
		return r
	}
	plain, red := router("plain", 64513, 64512, "eth0", ""), router("red", 64601, 64600, "eth1", "red")
	for _, i := range []*frr.Instance{node, plain, red} {
		i.StartFRR(t)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the node:\n%s\nplain:\n%s\nred:\n%s", node.Vtysh(t, "show bgp vrf all summary"), plain.Vtysh(t, "show bgp summary"), red.Vtysh(t, "show bgp summary"))
		}
	})
	for r, routes := range map[*frr.Instance]map[string]*received{
		plain: {"10.1.0.1/32": {}, "10.1.0.0/24": nil},
		red:   {"10.1.0.1/32": {}, "10.1.0.0/24": {Communities: "64600:1"}},
	} {
		frr.Eventually(t, 3*frr.Patience, func() error {
			for prefix, want := range routes {
				if diff := cmp.Diff(want, attributes(t, r, prefix)); diff != "" {
					time.Sleep(time.Second) // asking takes more of that kernel's time than being asked after
					return fmt.Errorf("%s (-want +got):\n%s", prefix, diff)
				}
			}
			return nil
		})
	}
}
