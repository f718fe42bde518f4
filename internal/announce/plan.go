package announce

import (
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// plan is what one set of advertisements does on this node to the addresses of one pool and family. Thousands of Services share one.
type plan struct {
	// reason is why nothing comes of it.
	reason Reason
	// peers get the address, sorted.
	peers  []string
	routes []route
	// remarks are what users should know though the address is announced.
	remarks []remark
}

// remark is a Remark that an advertisement gives cause for.
type remark struct {
	Reason
	ad *advertisement
}

// route is the prefix of one length in one router.
type route struct {
	router, bits int
	tags         []Tag
}

// setting is one attribute of the routes of one length.
type setting struct{ bits, attribute int }

// attribute is one of those attributes of a route of which there can be only one value.
type attribute struct {
	name string
	// external tells that it counts on eBGP sessions only.
	external bool
	// value returns what a policy sets, set whether it sets anything.
	value func(*Policy) (value uint32, set bool)
}

func attributes() []attribute {
	return []attribute{
		{"localPref", false, func(p *Policy) (uint32, bool) { return p.LocalPref, p.LocalPref != 0 }},
		{"asPathPrepend", true, func(p *Policy) (uint32, bool) { return uint32(p.ASPathPrepend), p.ASPathPrepend != 0 }},
		{"med", false, func(p *Policy) (uint32, bool) { return p.MED.Value, p.MED.Set }},
		{"linkBandwidth", false, func(p *Policy) (uint32, bool) { return p.LinkBandwidth, p.LinkBandwidth != 0 }},
	}
}

// sort is what of a Service, besides its labels, decides which plan is its: those of one sort share one.
type sort struct {
	is4, local bool
	asked      Asked
	// endpoints are those on this node, where an advertisement wants to know.
	endpoints int
}

// plan returns the plan for the Service's addresses of one family in one pool.
func (s *scope) plan(pool string, svc *Service, is4 bool) *plan {
	p := s.pool(pool)
	of := sort{is4: is4, local: svc.Local, asked: svc.Asked}
	s.key = s.key[:0]
	for _, ad := range p.ads {
		if ad.Services.MatchesOrEmpty(svc.Labels) {
			s.key = binary.LittleEndian.AppendUint32(s.key, uint32(ad.order))
			if ad.LinkBandwidth > 0 && svc.Local {
				of.endpoints = svc.Endpoints.OnNode[s.in.Node]
			}
		}
	}
	plans := p.plans[of]
	if plans == nil {
		plans = map[string]*plan{}
		p.plans[of] = plans
	}
	made, ok := plans[string(s.key)]
	if !ok {
		var ads []*advertisement
		for rest := s.key; len(rest) > 0; rest = rest[4:] {
			ads = append(ads, s.ads[binary.LittleEndian.Uint32(rest)])
		}
		made = s.makePlan(pool, ads, of)
		plans[string(s.key)] = made
	}
	return made
}

func (s *scope) makePlan(pool string, ads []*advertisement, of sort) *plan {
	if s.node == nil {
		return &plan{reason: s.held} // no selector can be evaluated
	}
	if len(ads) == 0 {
		return &plan{reason: s.noAdvertisement(pool)}
	}
	variants, remarks := s.choose(ads, of)
	made := s.carryOut(variants, of.is4)
	if made.reason.Code == ReasonConflictingAds && of.asked != (Asked{}) {
		// What a Service asks for must not be its end.
		asked := made.reason.Detail
		of.asked = Asked{}
		variants, remarks = s.choose(ads, of)
		made = s.carryOut(variants, of.is4)
		remarks = append(remarks, remark{Reason{RemarkNotAllowed, "what the annotations ask for is ignored: " + asked}, ads[0]})
	}
	if made.reason.Code == ReasonNone {
		made.remarks = remarks
	}
	return made
}

// choose returns the variants of the advertisements for a sort of Services, and what their users should know.
func (s *scope) choose(ads []*advertisement, of sort) (variants []*variant, remarks []remark) {
	for _, ad := range ads {
		w, more, refused := ad.grant(of.asked)
		if of.local {
			w.Bandwidth = ad.bandwidth(of.endpoints)
		}
		v := s.variant(ad, w, more)
		if v == nil {
			refused = append(refused, fmt.Sprintf("Services want more than %d different combinations of attributes on node %s: wanted fewer by BGPAdvertisement %s", maxVariants, s.in.Node, ad.Name))
			v = ad.usual[0]
		}
		variants = append(variants, v)
		if len(refused) > 0 {
			remarks = append(remarks, remark{Reason{RemarkNotAllowed, strings.Join(refused, "; ")}, ad})
		}
		if whole := ad.whole(of.is4); of.local && ad.bits(of.is4) < whole {
			remarks = append(remarks, remark{Reason{RemarkLocalAggregate, fmt.Sprintf(
				"externalTrafficPolicy is Local and BGPAdvertisement %s announces a /%d around the address: a node draws traffic for addresses in it whose endpoints are elsewhere, and drops it", ad.Name, ad.bits(of.is4))}, ad})
		}
	}
	return variants, remarks
}

// remarked returns a plan's remarks on one Service.
func (s *scope) remarked(p *plan, svc *Service) []Remark {
	var out []Remark
	for _, r := range p.remarks {
		out = append(out, Remark{r.Reason, s.first(r.ad, svc) == s.in.Node})
	}
	return out
}

// first returns the first node by name that announces a Service by an advertisement, as far as one node can tell of others.
func (s *scope) first(ad *advertisement, svc *Service) string {
	first := ""
	for i := range s.in.Nodes {
		n := &s.in.Nodes[i]
		if first != "" && first <= n.Name || n.NetworkUnavailable || n.Excluded && !s.in.IgnoreExcludeLabel ||
			svc.Local && svc.Endpoints.OnNode[n.Name] == 0 || !ad.Nodes.MatchesOrEmpty(n.Labels) {
			continue
		}
		first = n.Name
	}
	return first
}

// carryOut returns the plan for variants of different advertisements.
func (s *scope) carryOut(variants []*variant, is4 bool) *plan {
	type at struct{ router, bits int }
	tags := map[at][]Tag{}
	var peers []string
	for i, peer := range s.peers {
		// setters are, by prefix length and attribute, the policies that set it towards this peer.
		setters := map[setting]*Policy{}
		reached := false
		for _, v := range variants {
			if !v.ad.reaches(peer.Name) || !carries(peer, is4) {
				continue
			}
			reached = true
			bits := v.ad.bits(is4)
			tags[at{s.router[i], bits}] = append(tags[at{s.router[i], bits}], v.policy.Tag)
			if against := v.contradicts(setters, bits, peer); against.Code != ReasonNone {
				return &plan{reason: against}
			}
		}
		if reached {
			peers = append(peers, peer.Name)
		}
	}
	if len(peers) == 0 {
		ads := make([]*advertisement, len(variants))
		for i, v := range variants {
			ads[i] = v.ad
		}
		return &plan{reason: s.noPeer(ads, is4)}
	}
	slices.Sort(peers)
	made := &plan{peers: slices.Compact(peers)}
	for where, list := range maps.All(tags) {
		made.routes = append(made.routes, route{where.router, where.bits, unite(list, nil)})
	}
	slices.SortFunc(made.routes, func(a, b route) int {
		if a.router != b.router {
			return a.router - b.router
		}
		return a.bits - b.bits
	})
	return made
}

// contradicts notes which attributes the variant sets towards a peer on routes of one length, and returns why it can't beside what is noted.
func (v *variant) contradicts(setters map[setting]*Policy, bits int, peer *intent.Peer) Reason {
	for k, attr := range attributes() {
		value, set := attr.value(&v.policy)
		if !set || attr.external && peer.Internal() {
			continue
		}
		at := setting{bits, k}
		if other := setters[at]; other == nil {
			setters[at] = &v.policy
		} else if theirs, _ := attr.value(other); theirs != value {
			return conflict(other, &v.policy, attr, bits, peer.Name)
		}
	}
	return Reason{}
}
