package announce

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// layer2 decides on layer 2 for one node under one configuration and one view of the others, again and again as Services change.
type layer2 struct {
	s       *scope
	quorate bool
	// e is nil while there is no L2Advertisement.
	e *election
	// said are the verdicts of the last call. One that stays the same stays the same value in memory, so that it can be told at a glance.
	said []*Verdict
}

func newLayer2(s *scope, in *Input) *layer2 {
	l := &layer2{s: s, quorate: in.Quorate}
	if len(in.Config.L2Advertisements) > 0 {
		l.e = newElection(s, in)
	}
	return l
}

// compute adds to the node what it answers for by ARP and NDP, and the verdicts on it. services are sorted by key.
func (l *layer2) compute(services []*Service, node *Node) {
	if l.e == nil {
		return
	}
	e := l.e
	e.collect(services)
	e.elect()
	if l.quorate && e.self >= 0 {
		for i := range e.seats {
			if seat := &e.seats[i]; seat.owner == e.self {
				node.L2 = append(node.L2, L2Entry{Address: seat.addr, Interfaces: seat.field.standings[e.self].interfaces})
			}
		}
	}
	l.judge()
	node.Verdicts = interleave(node.Verdicts, l.said)
}

// collect finds out what Services want of layer 2. Addresses of pools without an L2Advertisement are not its business, nor those of Services that no
// L2Advertisement selects if their pool has a BGPAdvertisement: then BGP has the word.
func (e *election) collect(services []*Service) {
	e.bids = e.bids[:0]
	for at, svc := range services {
		from := len(e.bids)
		for _, addr := range distinct(svc.Addresses) {
			addr = addr.Unmap()
			name, ok := e.s.poolOf(addr, svc)
			if !ok {
				continue
			}
			pool := e.pool(name)
			if pool == nil {
				continue
			}
			c := bid{svc: svc, addr: addr, pool: pool, service: at}
			if chosen := pool.matching(svc.Labels); len(chosen) > 0 {
				c.field, c.refused = e.fieldOf(pool, chosen), e.refusal(svc, pool, chosen)
			} else if e.s.hasBGP(pool.name) {
				continue
			} else {
				c.refused = pool.noneMatches()
			}
			if c.refused.Code != ReasonNone {
				c.field = nil
			}
			e.bids = append(e.bids, c)
		}
		if mine := e.bids[from:]; len(mine) > 1 {
			number(mine)
		}
	}
}

// number sets the index of each of one Service's bids.
func number(bids []bid) {
	count := map[bool]int{}
	for _, addr := range bids[0].svc.Addresses {
		addr = addr.Unmap()
		if i := slices.IndexFunc(bids, func(c bid) bool { return c.addr == addr }); i >= 0 {
			bids[i].index = count[addr.Is4()]
			count[addr.Is4()]++
		}
	}
}

// refusal returns the reason for which no node may announce the Service, if there is one (rules L1, L5, N1, N6).
func (e *election) refusal(svc *Service, pool *l2Pool, chosen []int) Reason {
	if svc.SharingKey != "" {
		if ad := pool.sharedSelector(chosen); ad != "" {
			return Reason{ReasonSharedSelector, fmt.Sprintf("the Service may share its address (sharing key %q) and L2Advertisement %s has serviceSelectors: "+
				"the address might be announced for another Service that the selectors leave out", svc.SharingKey, ad)}
		}
	}
	if svc.Endpoints.Serving == 0 {
		return e.s.endpoints(svc)
	}
	if !svc.Local {
		return Reason{}
	}
	for _, n := range svc.Endpoints.OnNode {
		if n > 0 {
			return Reason{}
		}
	}
	return e.s.endpoints(svc)
}

// hasBGP tells whether a BGPAdvertisement is for the pool, here or elsewhere.
func (s *scope) hasBGP(pool string) bool {
	p := s.pools[pool]
	return p != nil && len(p.ads)+len(p.elsewhere) > 0
}

// hasL2 tells whether an L2Advertisement is for the pool.
func (s *scope) hasL2(pool string) bool {
	return slices.ContainsFunc(s.in.Config.L2Advertisements, func(ad intent.L2Advertisement) bool { return isFor(&ad, pool) })
}

// distinct returns addresses sorted and without duplicates.
func distinct(addresses []netip.Addr) []netip.Addr {
	if len(addresses) < 2 {
		return addresses
	}
	return slices.Compact(slices.SortedFunc(slices.Values(addresses), netip.Addr.Compare))
}
