package lab

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestGivenNeighborsOfBothFamiliesWhenARouterIsConfiguredThenEachIsActiveInItsOwn(t *testing.T) {
	got := RouterConfig(64512, netip.MustParseAddr("192.168.126.3"),
		Neighbor{Address: netip.MustParseAddr("192.168.126.11"), ASN: 64513, Password: "secret", BFD: true},
		Neighbor{Address: netip.MustParseAddr("fd00:126::11"), ASN: 64513})
	want := `frr defaults traditional
log stdout informational
!
router bgp 64512
 bgp router-id 192.168.126.3
 no bgp ebgp-requires-policy
 no bgp default ipv4-unicast
 neighbor 192.168.126.11 remote-as 64513
 neighbor 192.168.126.11 password secret
 neighbor 192.168.126.11 bfd
 neighbor fd00:126::11 remote-as 64513
 !
 address-family ipv4 unicast
  maximum-paths 16
  maximum-paths ibgp 16
  neighbor 192.168.126.11 activate
 exit-address-family
 !
 address-family ipv6 unicast
  maximum-paths 16
  maximum-paths ibgp 16
  neighbor fd00:126::11 activate
 exit-address-family
exit
`
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("frr.conf (-want +got):\n%s", diff)
	}
}
