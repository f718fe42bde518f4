package announce

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// l2Pool is what of the configuration concerns layer 2 for the addresses of one pool.
type l2Pool struct {
	name string
	// ads are sorted by name; selective tells whether any of them selects Services.
	ads       []*intent.L2Advertisement
	selective bool
	// all are the places of all ads.
	all []int
	// fields are keyed by the places in ads of those that make the field.
	fields map[string]*field
}

// field is who may announce what one set of advertisements is for, before anything is known of an address. Thousands of addresses share one.
type field struct {
	pool *l2Pool
	// chosen are the places of the advertisements in pool.ads, ascending; names are their names.
	chosen []int
	names  []string
	// standings are by node.
	standings []standing
	// best is the highest score of a node that may announce, bestFit of one that is not impaired either.
	best, bestFit int
	// mixed tells that of the nodes that may announce some are impaired and some are not.
	mixed    bool
	balanced bool
	// reasons are the verdicts given so far on addresses without a Local Service.
	reasons map[verdictOf]Reason
}

// standing is where one node stands in a field.
type standing struct {
	// selected by the node selectors of an advertisement; placed if, besides, the user has not excluded the node: then it counts among those that
	// addresses are spread over, alive or not.
	selected, placed bool
	// obstacle is why the node is no candidate; no reason if it is one. Its Detail is words that fit after "node n1: ".
	obstacle Reason
	// score is the sum of the weights of its preferences (rule L3).
	score int
	// interfaces are those to answer on (rule L6): sorted, nil for all.
	interfaces []string
}

// fieldOf returns the field of the pool's advertisements at those places, which are ascending.
func (e *election) fieldOf(pool *l2Pool, chosen []int) *field {
	e.key = e.key[:0]
	for _, i := range chosen {
		e.key = binary.LittleEndian.AppendUint32(e.key, uint32(i))
	}
	f := pool.fields[string(e.key)]
	if f != nil {
		return f
	}
	f = &field{pool: pool, chosen: chosen, standings: make([]standing, len(e.nodes)), reasons: map[verdictOf]Reason{}}
	ads := make([]*intent.L2Advertisement, len(chosen))
	for i, at := range chosen {
		ads[i] = pool.ads[at]
		f.names = append(f.names, ads[i].Name)
		f.balanced = f.balanced || ads[i].Balanced
	}
	fit, impaired := false, false
	for i := range f.standings {
		f.standings[i] = e.standing(e.nodes[i], ads)
		st := &f.standings[i]
		if st.obstacle.Code != ReasonNone {
			continue
		}
		f.best = max(f.best, st.score)
		if e.nodes[i].Impaired != "" {
			impaired = true
		} else {
			fit, f.bestFit = true, max(f.bestFit, st.score)
		}
	}
	f.mixed = fit && impaired
	pool.fields[string(e.key)] = f
	return f
}

// union returns the field of all advertisements of both.
func (e *election) union(f, g *field) *field {
	if f == g || f == nil {
		return g
	}
	chosen := slices.Concat(f.chosen, g.chosen)
	slices.Sort(chosen)
	return e.fieldOf(f.pool, slices.Compact(chosen))
}

// standing judges one node by the advertisements of a field (rules L2, L3, L6, N3, N4).
func (e *election) standing(n *NodeInfo, ads []*intent.L2Advertisement) standing {
	st := standing{}
	all := false
	for _, ad := range ads {
		if !ad.Nodes.MatchesOrEmpty(n.Labels) {
			continue
		}
		st.selected = true
		all = all || len(ad.Interfaces) == 0
		st.interfaces = append(st.interfaces, ad.Interfaces...)
		for _, p := range ad.Preferences {
			if p.Selector.Matches(n.Labels) {
				st.score += p.Weight
			}
		}
	}
	if all {
		st.interfaces = nil
	}
	slices.Sort(st.interfaces)
	st.interfaces = slices.Compact(st.interfaces)
	excluded := n.Excluded && !e.s.in.IgnoreExcludeLabel
	st.placed = st.selected && !excluded
	switch {
	case !st.selected:
		st.obstacle = Reason{ReasonNoAdvertisement, "not selected by an L2Advertisement"}
	case n.NetworkUnavailable:
		st.obstacle = Reason{ReasonNetworkUnavailable, "NetworkUnavailable"}
	case excluded:
		st.obstacle = Reason{ReasonNodeExcluded, "excluded by its label"}
	case e.live != nil && !e.live[n.Name]:
		st.obstacle = Reason{ReasonNotMember, "its speaker is not alive, or cannot be reached from here"}
	default:
		st.obstacle = missing(n, st.interfaces)
	}
	return st
}

// missing tells which interfaces the node lacks if it has none on which it could answer.
func missing(n *NodeInfo, wanted []string) Reason {
	switch {
	case n.Links == nil, slices.ContainsFunc(wanted, func(name string) bool { return slices.Contains(n.Links, name) }):
		return Reason{}
	case len(wanted) == 1:
		return Reason{ReasonInterfaceMissing, "interface " + wanted[0] + " missing"}
	case len(wanted) > 1:
		return Reason{ReasonInterfaceMissing, "interfaces " + strings.Join(wanted, ", ") + " missing"}
	case len(n.Links) == 0:
		return Reason{ReasonInterfaceMissing, "no usable interface"}
	}
	return Reason{}
}

// sortedAds returns the advertisements by name.
func sortedAds(all []intent.L2Advertisement) []*intent.L2Advertisement {
	ads := make([]*intent.L2Advertisement, len(all))
	for i := range all {
		ads[i] = &all[i]
	}
	slices.SortFunc(ads, func(a, b *intent.L2Advertisement) int { return cmp.Compare(a.Name, b.Name) })
	return ads
}

// pool returns what concerns the addresses of a pool, nil if no L2Advertisement is for it. The pool need not be in force any more.
func (e *election) pool(name string) *l2Pool {
	p, known := e.pools[name]
	if known {
		return p
	}
	for _, ad := range e.ads {
		if !isFor(ad, name) {
			continue
		}
		if p == nil {
			p = &l2Pool{name: name, fields: map[string]*field{}}
		}
		p.all = append(p.all, len(p.ads))
		p.ads = append(p.ads, ad)
		p.selective = p.selective || len(ad.Services) > 0
	}
	e.pools[name] = p
	return p
}

// isFor tells whether the advertisement is for the addresses of a pool, in force or not.
func isFor(ad *intent.L2Advertisement, pool string) bool {
	return slices.Contains(ad.Pools, pool) || ad.Has(pool)
}

// matching returns the places of the advertisements for a Service with those labels.
func (p *l2Pool) matching(labels map[string]string) []int {
	if !p.selective {
		return p.all
	}
	var chosen []int
	for i, ad := range p.ads {
		if ad.Services.MatchesOrEmpty(labels) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// adNames are the names of all advertisements of the pool.
func (p *l2Pool) adNames() []string {
	names := make([]string, len(p.ads))
	for i, ad := range p.ads {
		names[i] = ad.Name
	}
	return names
}

// sharedSelector is rule L5: which of the advertisements at those places selects Services, "" for none.
func (p *l2Pool) sharedSelector(chosen []int) string {
	for _, i := range chosen {
		if len(p.ads[i].Services) > 0 {
			return p.ads[i].Name
		}
	}
	return ""
}

// noneMatches explains that the pool's advertisements are for other Services.
func (p *l2Pool) noneMatches() Reason {
	return Reason{ReasonNoAdvertisement, fmt.Sprintf("the Service's labels match no service selector of the %s of pool %s", named("L2Advertisement", p.adNames()), p.name)}
}
