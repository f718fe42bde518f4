package frrconf_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// path is everything that a router has got with one prefix.
type path struct {
	AS                           string
	MED, LocalPref               int
	Communities, Large, Extended string
}

// pathTo parses `show bgp … PREFIX json`, nil when the router has no such route.
func pathTo(t *testing.T, router *frr.Instance, prefix string) *path {
	t.Helper()
	family := "ipv4"
	if strings.Contains(prefix, ":") {
		family = "ipv6"
	}
	var shown struct {
		Paths []struct {
			ASPath struct {
				String string
			}
			Community         struct{ String string }
			LargeCommunity    struct{ String string }
			ExtendedCommunity struct{ String string }
			LocPrf            int
			Metric            int
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
	// FRR's word for an empty path.
	return &path{strings.TrimPrefix(p.ASPath.String, "Local"), p.Metric, p.LocPrf, p.Community.String, p.LargeCommunity.String, p.ExtendedCommunity.String}
}

// TestGivenEveryAttributeWhenAdvertisedThenEachRouterHasItAsItsKindOfSessionCarriesIt is the proof at the peer for the attributes of
// BGPAdvertisement: over iBGP, over eBGP, and over eBGP where the router knows the node by spec.localASN.
func TestGivenEveryAttributeWhenAdvertisedThenEachRouterHasItAsItsKindOfSessionCarriesIt(t *testing.T) {
	t.Parallel()
	const (
		unset       = 100 // the LOCAL_PREF that FRR gives a route on an iBGP session whose sender has no opinion
		communities = "64512:100 graceful-shutdown no-export"
		large       = "64512:1:2"
		extended    = "RT:64512:100 SoO:64512:1 RT:192.0.2.1:9 RT:4200000000:7"
	)
	for _, release := range frr.Releases() {
		t.Run(string(release), func(t *testing.T) {
			t.Parallel()
			node := frr.Start(t, frr.Options{Release: release, Config: render(t, announce.Compute(read(t, "testdata/attributes.in.yaml")).BGP)})
			start := func(name string, asn, subnet int, port, extra string) *frr.Instance {
				router := frr.Start(t, frr.Options{Release: release, Name: name, Listen: true, Config: routerConf(asn, subnet, extra)})
				connect(t, node, router, port, subnet)
				return router
			}
			inside := start("inside", 64512, 100, "eth0", "")
			outside := start("outside", 64513, 101, "eth1", "")
			other := start("other", 64514, 102, "eth2", " neighbor 198.51.102.254 remote-as 64999\n")
			want := map[*frr.Instance]map[string]*path{
				inside: {
					"10.1.0.1/32":       {LocalPref: unset},
					"10.2.0.1/32":       {"", 77, 250, communities, large, extended},
					"2001:db8:1::1/128": {"", 77, 250, communities, large, extended},
					"10.3.0.1/32":       {"", 0, unset, "64512:1 64512:2", "", "RT:64512:1 RT:64512:2"},
					"10.4.16.0/20":      nil,
				},
				outside: {
					"10.1.0.1/32":       {AS: "64512"},
					"10.2.0.1/32":       {"64512 64512 64512 64512", 77, 0, communities, large, extended},
					"2001:db8:1::1/128": {"64512 64512 64512 64512", 77, 0, communities, large, extended},
					"10.3.0.1/32":       {"64512 64512 64512", 0, 0, "64512:1 64512:2", "", "RT:64512:1 RT:64512:2"},
					"10.4.16.0/20":      {AS: strings.TrimSpace(strings.Repeat("64512 ", 11))},
					"2001:db8:4:1::/64": {AS: strings.TrimSpace(strings.Repeat("64512 ", 11))},
					"10.4.17.1/32":      nil,
				},
				other: {
					"10.1.0.1/32":  {AS: "64999"},
					"10.2.0.1/32":  {"64999 64999 64999 64999", 77, 0, communities, large, extended},
					"10.3.0.1/32":  {"64999 64999 64999", 0, 0, "64512:1 64512:2", "", "RT:64512:1 RT:64512:2"},
					"10.4.16.0/20": nil,
				},
			}
			for router, routes := range want {
				frr.Eventually(t, frr.Patience, func() error {
					got := map[string]*path{}
					for prefix := range routes {
						got[prefix] = pathTo(t, router, prefix)
					}
					if diff := cmp.Diff(routes, got); diff != "" {
						return fmt.Errorf("(-want +got):\n%s", diff)
					}
					return nil
				})
			}
		})
	}
}
