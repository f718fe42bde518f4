package announce

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// Compute decides everything that in.Node announces and gives a reason for everything that it does not. The result depends on the values
// in the input alone, not on the order of its lists. What it returns may share memory with the input; neither is to be changed.
//
// Sessions do not depend on Services: a node with nothing to announce has the same neighbors and policies as a busy one.
func Compute(in Input) Node {
	services := make([]*Service, len(in.Services))
	for i := range in.Services {
		services[i] = &in.Services[i]
	}
	if !slices.IsSortedFunc(services, byKey) {
		slices.SortFunc(services, byKey)
	}
	return NewIncremental(in).Compute(services)
}

func byKey(a, b *Service) int {
	if c := cmp.Compare(a.Key.Namespace, b.Key.Namespace); c != 0 {
		return c
	}
	return cmp.Compare(a.Key.Name, b.Key.Name)
}

// decided is the verdict on one address of a Service, and the plan that is carried out for it, nil for a no.
type decided struct {
	Verdict
	plan *plan
}

// decide returns the verdicts on one Service.
func (s *scope) decide(svc *Service) []decided {
	if len(svc.Addresses) == 0 {
		return []decided{{Verdict: Verdict{Service: svc.Key, Protocol: ProtocolBGP, Reason: Reason{ReasonNoAddress, "the Service has no address"}}}}
	}
	addresses := svc.Addresses
	if len(addresses) > 1 {
		addresses = slices.Compact(slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare))
	}
	held := s.held
	if held.Code == ReasonNone {
		held = s.endpoints(svc)
	}
	all := make([]decided, len(addresses))
	for i, addr := range addresses {
		addr = addr.Unmap()
		d := &all[i]
		d.Verdict = Verdict{Service: svc.Key, Address: addr, Protocol: ProtocolBGP}
		pool, ok := s.poolOf(addr, svc)
		if !ok {
			d.Reason = Reason{ReasonNotAllowed, "address " + addr.String() + " is in no IPAddressPool"}
			d.Everywhere = true
			continue
		}
		d.Pool = pool
		p := s.plan(pool, svc, addr.Is4())
		if d.Reason = cmp.Or(p.reason, held); d.Reason.Code != ReasonNone {
			d.Everywhere = s.everywhere(d.Reason.Code, pool, svc)
			continue
		}
		if d.Reason, d.Despite = s.drained(svc, addr); d.Reason.Code == ReasonNone {
			d.Announce, d.Peers, d.plan, d.Remarks = true, p.peers, p, s.remarked(p, svc)
		}
	}
	return all
}

// everywhere tells whether a reason not to announce an address of the pool by BGP holds on every node.
func (s *scope) everywhere(code ReasonCode, pool string, svc *Service) bool {
	switch code {
	case ReasonNoEndpoints, ReasonNoLocalEndpoints:
		return svc.Endpoints.Serving == 0
	case ReasonNoAdvertisement: // some may select other nodes
		return len(s.pool(pool).elsewhere) == 0
	case ReasonNoPeer: // some may be for other nodes
		return len(s.in.Config.Peers) == 0
	default:
		return false
	}
}

// compare orders prefixes without host bits by address, then length.
func compare(p, o netip.Prefix) int {
	if c := p.Addr().Compare(o.Addr()); c != 0 {
		return c
	}
	return cmp.Compare(p.Bits(), o.Bits())
}

// unite returns the sorted union of two lists of tags.
func unite(a, b []Tag) []Tag {
	all := slices.Concat(a, b)
	slices.SortFunc(all, Tag.Compare)
	return slices.Compact(all)
}

// advertisement is a BGPAdvertisement that selects this node.
type advertisement struct {
	*intent.BGPAdvertisement
	tag Tag
	// order is the place in the list of all that select the node.
	order int
	// variants are those made so far; usual those of them that are there whatever Services there are, the plain one first.
	variants map[wish]*variant
	usual    []*variant
}

// bits is the length of the prefixes that the advertisement makes of one family's addresses. A length that the family does not have
// means the address alone: never more than was asked for.
func (a *advertisement) bits(is4 bool) int {
	length, whole := a.AggregationLengthV6, a.whole(is4)
	if is4 {
		length = a.AggregationLength
	}
	if length < 1 || length > whole {
		return whole
	}
	return length
}

// whole is the length of the prefix that is one address.
func (a *advertisement) whole(is4 bool) int {
	if is4 {
		return 32
	}
	return 128
}

// reaches tells whether the advertisement is for the peer of that name (rule B5).
func (a *advertisement) reaches(peer string) bool {
	return len(a.Peers) == 0 || slices.Contains(a.Peers, peer)
}
