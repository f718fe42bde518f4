package lab_test

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/bird"
)

// askBIRD adds a BIRD router, over both families and with a password, cuts its power and boots it again.
func askBIRD(t *testing.T, l *lab.Lab) {
	t.Helper()
	const host, password = 202, "s3cret"
	own, router := lab.SegmentAddresses(host), lab.RouterAddresses()
	session := func(name string, self, other netip.Addr) bird.Neighbor {
		return bird.Neighbor{Name: name, Local: self, Address: other, LocalASN: 64516, ASN: 64512, Password: password, Active: true}
	}
	config := bird.Config{Neighbors: []bird.Neighbor{session("four", own.IPv4, router.IPv4), session("six", own.IPv6, router.IPv6)}}
	if err := l.AddBIRD(t.Context(), lab.BIRD{Name: "b", Host: host, Config: bird.Config{}}); err != nil {
		t.Fatal(err)
	}
	if err := l.ConfigureBIRD(t.Context(), "b", config); err != nil {
		t.Fatal(err)
	}
	peers := lab.RouterConfig(64512, router.IPv4, lab.Neighbor{Address: own.IPv4, ASN: 64516, Password: password},
		lab.Neighbor{Address: own.IPv6, ASN: 64516, Password: password})
	const announced = "router bgp 64512\n no bgp network import-check\n address-family ipv4 unicast\n  network 203.0.113.64/26 route-map marked\n" +
		" exit-address-family\n address-family ipv6 unicast\n  network 2001:db8:64::/64 route-map marked\n" +
		"route-map marked permit 10\n set community 64512:77\n set large-community 64512:1:2\n set metric 50\n"
	configure := func(more string) {
		t.Helper()
		if err := l.ConfigureRouter(t.Context(), lab.RouterName, peers+more); err != nil {
			t.Fatal(err)
		}
	}
	route := func(neighbor, prefix string, hop netip.Addr) bird.Route {
		return bird.Route{Neighbor: neighbor, Prefix: netip.MustParsePrefix(prefix), NextHop: hop, ASPath: []uint32{64512}, LocalPref: 100, MED: new(uint32(50)),
			Communities: []string{"64512:77"}, LargeCommunities: []string{"64512:1:2"}}
	}
	holds := func(want ...bird.Route) {
		t.Helper()
		eventually(t, "BIRD's routes", func(ctx context.Context) error {
			routes, err := l.BIRDRoutes(ctx, "b")
			if diff := cmp.Diff(want, routes, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
				return fmt.Errorf("routes (-want +got), error %w:\n%s", err, diff)
			}
			return nil
		})
	}
	configure(announced)
	all := []bird.Route{route("four", "203.0.113.64/26", router.IPv4), route("six", "2001:db8:64::/64", router.IPv6)}
	holds(all...)
	sessions, err := l.BIRDSessions(t.Context(), "b")
	if err != nil || sessions["four"].State != "Established" || sessions["six"].State != "Established" {
		t.Errorf("sessions %+v, error %v; want both established", sessions, err)
	}
	if err := l.PowerOff(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if err := l.Boot(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Vtysh(t.Context(), lab.RouterName, "clear bgp *"); err != nil { // else only its timers tell it
		t.Fatal(err)
	}
	holds(all...)
	configure("")
	holds()
	if err := l.ConfigureBIRD(t.Context(), lab.RouterName, config); err == nil || !strings.Contains(err.Error(), "no BIRD router") {
		t.Errorf("configure an FRR router as BIRD: %v, want an error that says what it is not", err)
	}
}
