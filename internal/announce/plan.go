package announce

import (
	"encoding/binary"
	"maps"
	"slices"
)

// plan is what one set of advertisements does on this node to the addresses of one pool and family. Thousands of Services share one.
type plan struct {
	// reason is why nothing comes of it.
	reason Reason
	// peers get the address, sorted.
	peers  []string
	routes []route
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
	// value returns what an advertisement sets, set whether it sets anything.
	value func(*advertisement) (value uint32, set bool)
}

func attributes() []attribute {
	return []attribute{
		{"localPref", false, func(ad *advertisement) (uint32, bool) { return ad.LocalPref, ad.LocalPref != 0 }},
		{"asPathPrepend", true, func(ad *advertisement) (uint32, bool) { return uint32(ad.ASPathPrepend), ad.ASPathPrepend != 0 }},
		{"med", false, func(ad *advertisement) (uint32, bool) { return ad.MED.Value, ad.MED.Set }},
	}
}

// plan returns the plan for the Service's addresses of one family in one pool.
func (s *scope) plan(pool string, svc *Service, is4 bool) *plan {
	p := s.pool(pool)
	s.key = append(s.key[:0], 6)
	if is4 {
		s.key[0] = 4
	}
	for _, ad := range p.ads {
		if ad.Services.MatchesOrEmpty(svc.Labels) {
			s.key = binary.LittleEndian.AppendUint32(s.key, uint32(ad.order))
		}
	}
	made, ok := p.plans[string(s.key)]
	if !ok {
		var ads []*advertisement
		for rest := s.key[1:]; len(rest) > 0; rest = rest[4:] {
			ads = append(ads, s.ads[binary.LittleEndian.Uint32(rest)])
		}
		made = s.makePlan(pool, ads, is4)
		p.plans[string(s.key)] = made
	}
	return made
}

func (s *scope) makePlan(pool string, ads []*advertisement, is4 bool) *plan {
	if s.node == nil {
		return &plan{reason: s.held} // no selector can be evaluated
	}
	if len(ads) == 0 {
		return &plan{reason: s.noAdvertisement(pool)}
	}
	type at struct{ router, bits int }
	tags := map[at][]Tag{}
	var peers []string
	for i, peer := range s.peers {
		// setters are, by prefix length and attribute, the advertisements that set it towards this peer.
		setters := map[setting]*advertisement{}
		reached := false
		for _, ad := range ads {
			if !ad.reaches(peer.Name) || !carries(peer, is4) {
				continue
			}
			reached = true
			bits := ad.bits(is4)
			tags[at{s.router[i], bits}] = append(tags[at{s.router[i], bits}], ad.tag)
			for k, attr := range attributes() {
				value, set := attr.value(ad)
				if !set || attr.external && peer.Internal() {
					continue
				}
				at := setting{bits, k}
				if other := setters[at]; other == nil {
					setters[at] = ad
				} else if theirs, _ := attr.value(other); theirs != value {
					return &plan{reason: conflict(other, ad, attr, bits, peer.Name)}
				}
			}
		}
		if reached {
			peers = append(peers, peer.Name)
		}
	}
	if len(peers) == 0 {
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
