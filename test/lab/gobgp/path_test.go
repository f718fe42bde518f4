package gobgp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"
)

func pack(t *testing.T, m proto.Message) *anypb.Any {
	t.Helper()
	a, err := anypb.New(m)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestGivenAPathWithEveryAttributeWhenDecodedThenATestFindsThemAsWritten(t *testing.T) {
	raw := &api.Path{NeighborIp: "192.0.2.1", Nlri: pack(t, &api.IPAddressPrefix{Prefix: "198.51.100.10", PrefixLen: 32}), Pattrs: []*anypb.Any{
		pack(t, &api.OriginAttribute{Origin: 0}),
		pack(t, &api.NextHopAttribute{NextHop: "192.0.2.1"}),
		pack(t, &api.AsPathAttribute{Segments: []*api.AsSegment{{Numbers: []uint32{64512, 4200000000}}}}),
		pack(t, &api.LocalPrefAttribute{LocalPref: 100}),
		pack(t, &api.MultiExitDiscAttribute{Med: 0}),
		pack(t, &api.CommunitiesAttribute{Communities: []uint32{65535<<16 | 65282, 64512<<16 | 1}}),
		pack(t, &api.LargeCommunitiesAttribute{Communities: []*api.LargeCommunity{{GlobalAdmin: 64512, LocalData1: 1, LocalData2: 2}}}),
	}}
	got, err := decode(raw)
	if err != nil {
		t.Fatal(err)
	}
	want := Path{
		Neighbor: netip.MustParseAddr("192.0.2.1"), Prefix: netip.MustParsePrefix("198.51.100.10/32"), NextHop: netip.MustParseAddr("192.0.2.1"),
		ASPath: []uint32{64512, 4200000000}, LocalPref: new(uint32(100)), MED: new(uint32(0)),
		Communities: []string{"64512:1", "65535:65282"}, LargeCommunities: []string{"64512:1:2"},
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})); diff != "" {
		t.Errorf("path (-want +got):\n%s", diff)
	}
}

func TestGivenAPathWithoutAPrefixWhenDecodedThenItIsAnError(t *testing.T) {
	if got, err := decode(&api.Path{Nlri: pack(t, &api.OriginAttribute{})}); err == nil {
		t.Errorf("decoded as %+v", got)
	}
}
