package l2

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
)

// Observed is what is done for one wanted address.
type Observed struct {
	Address netip.Addr
	// Links are those that it is answered on, sorted by name; none when it is not answered at all.
	Links []Answering
	// Problems say what keeps it from being answered on links where it should be, or not well, as "eth1 is down", sorted.
	Problems []string
	// Conflicts are the last on each link, over or not, sorted by link.
	Conflicts []Conflict
}

// Answering is a link that an address is answered on.
type Answering struct {
	Name string
	// Since is when that began; a link that went down and came up again begins anew.
	Since time.Time
}

// Observed returns what is done for every address that is wanted, sorted as it was wanted.
func (r *Responder) Observed() []Observed {
	r.mu.Lock()
	defer r.mu.Unlock()
	list, prospects := make([]Observed, 0, len(r.want)), r.prospects()
	for _, e := range r.want {
		list = append(list, r.observe(e, prospects))
	}
	return list
}

// prospect is what can be expected of a link, whatever the address: nodes have hundreds of links, and thousands of addresses.
type prospect struct {
	index int
	name  string
	// obstacle4 and obstacle6 keep addresses of a family from being answered on the link, "" for nothing.
	obstacle4, obstacle6 string
	// expected says that an obstacle is worth telling to somebody who named no links.
	expected bool
}

func (r *Responder) prospects() []prospect {
	all := make([]prospect, len(r.links))
	for i, l := range r.links {
		all[i] = prospect{l.Index, l.Name, obstacle(l, true, r.Excluded), obstacle(l, false, r.Excluded), expected(l, r.Excluded)}
	}
	return all
}

func (r *Responder) observe(e announce.L2Entry, prospects []prospect) Observed {
	o := Observed{Address: e.Address}
	for i := range prospects {
		if meant(e, prospects[i].name) {
			r.observeOn(&prospects[i], e, &o)
		}
	}
	for _, name := range e.Interfaces {
		if r.links != nil && !slices.ContainsFunc(r.links, func(l link.Link) bool { return l.Name == name }) {
			o.Problems = append(o.Problems, "this node has no link "+name)
		}
	}
	switch {
	case len(o.Links) > 0 || len(o.Problems) > 0:
	case r.links == nil:
		o.Problems = append(o.Problems, "the links of this node are not known yet")
	default:
		o.Problems = append(o.Problems, "this node has no link to answer on")
	}
	slices.Sort(o.Problems)
	slices.SortFunc(o.Links, func(a, b Answering) int { return cmp.Compare(a.Name, b.Name) })
	slices.SortFunc(o.Conflicts, func(a, b Conflict) int { return cmp.Compare(a.Link, b.Link) })
	return o
}

// observeOn adds what is done on one link.
func (r *Responder) observeOn(l *prospect, e announce.L2Entry, o *Observed) {
	at, why := place{l.index, e.Address.Is4()}, l.obstacle6
	if at.ipv4 {
		why = l.obstacle4
	}
	if why != "" {
		if e.Interfaces != nil || l.expected {
			o.Problems = append(o.Problems, l.name+" "+why)
		}
		return
	}
	s := r.stations[at]
	if s == nil {
		words := cmp.Or(r.failures[at].words, "its socket is being opened")
		o.Problems = append(o.Problems, l.name+": "+words)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if h := s.keeper.holdings[e.Address]; h != nil {
		o.Links = append(o.Links, Answering{Name: l.name, Since: h.since})
		if h.conflict.Address.IsValid() {
			o.Conflicts = append(o.Conflicts, h.conflict)
		}
	}
	for _, words := range []string{s.trouble, s.missing} {
		if words != "" {
			o.Problems = append(o.Problems, l.name+": "+words)
		}
	}
}
