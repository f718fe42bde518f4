package announce_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

func TestGivenTwoDecisionsWhenOneTakesLayer2FromTheOtherThenTheRestIsItsOwnAndAllIsSorted(t *testing.T) {
	verdict := func(service, address string, protocol announce.Protocol) *announce.Verdict {
		return &announce.Verdict{Service: ipam.ServiceKey{Namespace: "ns", Name: service}, Address: netip.MustParseAddr(address), Protocol: protocol}
	}
	bgp, l2 := announce.ProtocolBGP, announce.ProtocolLayer2
	a, b := verdict("b", "10.0.0.1", bgp), verdict("d", "10.0.0.4", bgp)
	own := announce.Node{
		BGP:      announce.BGP{Routers: []announce.Router{{ASN: 64512}}},
		L2:       []announce.L2Entry{{Address: netip.MustParseAddr("10.0.0.9")}},
		Verdicts: []*announce.Verdict{a, verdict("b", "10.0.0.1", l2), b},
	}
	first, same, last := verdict("a", "10.0.0.0", l2), verdict("b", "10.0.0.1", l2), verdict("e", "10.0.0.5", l2)
	other := announce.Node{
		L2:       []announce.L2Entry{{Address: netip.MustParseAddr("10.0.0.0")}},
		Verdicts: []*announce.Verdict{verdict("a", "10.0.0.0", bgp), first, same, verdict("c", "10.0.0.3", bgp), last},
	}
	got := own.WithLayer2(other)
	if want := []*announce.Verdict{first, a, same, b, last}; !slices.Equal(got.Verdicts, want) {
		t.Errorf("verdicts are %v, want %v", got.Verdicts, want)
	}
	if len(got.BGP.Routers) != 1 || len(got.L2) != 1 || got.L2[0].Address != other.L2[0].Address {
		t.Errorf("got %d routers and %v, want its own router and the other's address", len(got.BGP.Routers), got.L2)
	}
	if len(own.Verdicts) != 3 || own.L2[0].Address != netip.MustParseAddr("10.0.0.9") {
		t.Error("the decision itself was changed")
	}
}
