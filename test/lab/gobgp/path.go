package gobgp

import (
	"fmt"
	"net/netip"
	"slices"

	api "github.com/osrg/gobgp/v3/api"
	"google.golang.org/protobuf/types/known/anypb"
)

// Path is one route with the attributes a neighbor sent.
type Path struct {
	Neighbor         netip.Addr
	Prefix           netip.Prefix
	NextHop          netip.Addr
	ASPath           []uint32
	LocalPref        *uint32  // nil where the update had none, as over eBGP
	MED              *uint32  // nil where the update had none
	Communities      []string // "65535:65282", sorted
	LargeCommunities []string // "64512:1:2", sorted
}

// decode reads GoBGP's form of a path.
func decode(raw *api.Path) (Path, error) {
	var p Path
	if a, err := netip.ParseAddr(raw.GetNeighborIp()); err == nil {
		p.Neighbor = a
	}
	var nlri api.IPAddressPrefix
	if err := raw.GetNlri().UnmarshalTo(&nlri); err != nil {
		return p, fmt.Errorf("read the prefix of a path: %w", err)
	}
	address, err := netip.ParseAddr(nlri.GetPrefix())
	if err != nil {
		return p, fmt.Errorf("read the prefix of a path: %w", err)
	}
	p.Prefix = netip.PrefixFrom(address, int(nlri.GetPrefixLen()))
	for _, attribute := range raw.GetPattrs() {
		if err := p.read(attribute); err != nil {
			return p, fmt.Errorf("read the attributes of %s: %w", p.Prefix, err)
		}
	}
	slices.Sort(p.Communities)
	slices.Sort(p.LargeCommunities)
	return p, nil
}

// read takes one path attribute (RFC 4271, 1997, 8092, 4760); those a test has no use for are left out.
func (p *Path) read(attribute *anypb.Any) error {
	message, err := attribute.UnmarshalNew()
	if err != nil {
		return err
	}
	switch a := message.(type) {
	case *api.NextHopAttribute:
		p.NextHop, err = netip.ParseAddr(a.GetNextHop())
	case *api.MpReachNLRIAttribute:
		if len(a.GetNextHops()) > 0 {
			p.NextHop, err = netip.ParseAddr(a.GetNextHops()[0])
		}
	case *api.AsPathAttribute:
		for _, s := range a.GetSegments() {
			p.ASPath = append(p.ASPath, s.GetNumbers()...)
		}
	case *api.LocalPrefAttribute:
		p.LocalPref = new(a.GetLocalPref())
	case *api.MultiExitDiscAttribute:
		p.MED = new(a.GetMed())
	case *api.CommunitiesAttribute:
		for _, c := range a.GetCommunities() {
			p.Communities = append(p.Communities, fmt.Sprintf("%d:%d", c>>16, c&0xffff))
		}
	case *api.LargeCommunitiesAttribute:
		for _, c := range a.GetCommunities() {
			p.LargeCommunities = append(p.LargeCommunities, fmt.Sprintf("%d:%d:%d", c.GetGlobalAdmin(), c.GetLocalData1(), c.GetLocalData2()))
		}
	}
	return err
}
