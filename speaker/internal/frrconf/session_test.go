package frrconf_test

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrconf"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// received is what a router has got of one prefix.
type received struct {
	Communities, LargeCommunities string
	LocalPref                     int
}

// attributes parses `show bgp … PREFIX json`, nil when the router has no such route.
func attributes(t *testing.T, router *frr.Instance, prefix string) *received {
	t.Helper()
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	var shown struct {
		Paths []struct {
			Community      struct{ String string }
			LargeCommunity struct{ String string }
			LocPrf         int
		}
	}
	out := router.Vtysh(t, "show bgp "+family+" unicast "+prefix+" json")
	if err := json.Unmarshal([]byte(out), &shown); err != nil {
		t.Fatalf("parse what FRR shows of %s: %v\n%s", prefix, err, out)
	}
	if len(shown.Paths) == 0 {
		return nil
	}
	p := shown.Paths[0]
	return &received{p.Community.String, p.LargeCommunity.String, p.LocPrf}
}

// connect joins two instances by a cable and gives its ends addresses.
func connect(t *testing.T, node, router *frr.Instance, port string, subnet int) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ip", "link", "add", port, "netns", strconv.Itoa(node.PID()), "type", "veth",
		"peer", "eth0", "netns", strconv.Itoa(router.PID())).CombinedOutput()
	if err != nil {
		t.Fatalf("connect %s: %v\n%s", port, err, out)
	}
	for _, end := range []struct {
		of   *frr.Instance
		port string
		host int
	}{{node, port, 254}, {router, "eth0", 1}} {
		for _, args := range [][]string{
			{"addr", "add", fmt.Sprintf("198.51.%d.%d/24", subnet, end.host), "dev", end.port},
			{"addr", "add", fmt.Sprintf("2001:db8:%d::%d/64", subnet, end.host), "dev", end.port, "nodad"},
			{"link", "set", end.port, "up"},
		} {
			if out, err := end.of.Run(t.Context(), "ip", args...); err != nil {
				t.Fatalf("ip %v: %v\n%s", args, err, out)
			}
		}
	}
}

// routerConf is a router that takes everything from a node at 198.51.SUBNET.254 and sends it one route.
func routerConf(asn, subnet int, extra string) string {
	node := fmt.Sprintf("198.51.%d.254", subnet)
	return fmt.Sprintf(`router bgp %d
 no bgp ebgp-requires-policy
 no bgp network import-check
 neighbor %s remote-as 64512
 neighbor %[2]s passive
%s !
 address-family ipv4 unicast
  network 172.16.0.0/16
 exit-address-family
 !
 address-family ipv6 unicast
  neighbor %[2]s activate
 exit-address-family
exit
`, asn, node, extra)
}

func TestGivenSessionsWhenAdvertisedThenRoutersGetWhatWasAskedAndNothingElse(t *testing.T) {
	t.Parallel()
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			bgp := announce.Compute(read(t, "testdata/two-routers.in.yaml")).BGP
			node := frr.Start(t, frr.Options{Release: release, Config: render(t, bgp)})
			inside := frr.Start(t, frr.Options{Release: release, Name: "inside", Listen: true, Config: routerConf(64512, 100, "")})
			outside := frr.Start(t, frr.Options{Release: release, Name: "outside", Listen: true,
				Config: routerConf(64513, 101, " neighbor 198.51.101.254 password s3cret\n")})
			connect(t, node, inside, "eth0", 100)
			connect(t, node, outside, "eth1", 101)

			const unset = 100 // the LOCAL_PREF that FRR gives a route on an iBGP session whose sender has no opinion
			want := map[*frr.Instance]map[string]*received{
				inside: {
					"10.1.0.1/32":       {LocalPref: unset},
					"10.2.0.1/32":       {"64512:100 64512:200 no-peer", "64512:1:2 64512:3:4", 300},
					"10.3.0.0/24":       {LocalPref: unset},
					"10.3.0.1/32":       nil,
					"2001:db8:1::1/128": {"64512:100 no-peer", "64512:1:2", 300},
				},
				outside: {
					"10.1.0.1/32":       {},
					"10.2.0.1/32":       {"64512:100 no-peer", "64512:1:2", 0},
					"10.3.0.0/24":       nil,
					"2001:db8:1::1/128": {"64512:100 no-peer", "64512:1:2", 0},
				},
			}
			for router, routes := range want {
				frr.Eventually(t, frr.Patience, func() error {
					for prefix, w := range routes {
						if diff := cmp.Diff(w, attributes(t, router, prefix)); diff != "" {
							return fmt.Errorf("%s (-want +got):\n%s", prefix, diff)
						}
					}
					return nil
				})
			}

			// An untagged network, then a tagged one: once that is there, the first would be, too.
			set := networkSet(t, bgp, "10.1.0.1/32")
			node.Vtysh(t, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", "network 203.0.113.0/24")
			node.Vtysh(t, "configure terminal", "router bgp 64512", "address-family ipv4 unicast", "network 10.1.0.9/32 route-map "+set)
			for _, router := range []*frr.Instance{inside, outside} {
				frr.Eventually(t, frr.Patience, func() error {
					if attributes(t, router, "10.1.0.9/32") == nil {
						return fmt.Errorf("the tagged network did not arrive")
					}
					return nil
				})
				if got := attributes(t, router, "203.0.113.0/24"); got != nil {
					t.Errorf("an untagged network left the node: %+v", got)
				}
			}
			if got := attributes(t, node, "172.16.0.0/16"); got != nil {
				t.Errorf("the node accepted a route from a router: %+v", got)
			}
			checkPrompt(t, node)
		})
	}
}

// checkPrompt holds FRR to its default of sending updates without a pause, which Render relies on by not setting it.
func checkPrompt(t *testing.T, node *frr.Instance) {
	t.Helper()
	var neighbors map[string]struct {
		MinBtwnAdvertisementRunsTimerMsecs *int
	}
	if err := json.Unmarshal([]byte(node.Vtysh(t, "show bgp neighbors json")), &neighbors); err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"198.51.100.1", "198.51.101.1"} {
		if got := neighbors[id].MinBtwnAdvertisementRunsTimerMsecs; got == nil || *got != 0 {
			t.Errorf("advertisement-interval of %s is %v: wanted 0", id, got)
		}
	}
}

// networkSet finds the route-map that a prefix is announced with.
func networkSet(t *testing.T, bgp announce.BGP, prefix string) string {
	t.Helper()
	conf, err := frrconf.Render(bgp, frrconf.Options{Hostname: "n1"})
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(conf), "network "+prefix+" route-map ")
	if !found {
		t.Fatalf("%s is not announced in:\n%s", prefix, conf)
	}
	set, _, _ := strings.Cut(rest, "\n")
	return set
}
