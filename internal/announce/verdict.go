package announce

import (
	"cmp"
	"fmt"
	"strings"
)

// judge renews what is said of every bid.
func (l *layer2) judge() {
	e, old := l.e, l.said
	said := make([]*Verdict, 0, len(e.bids))
	for i := range e.bids {
		v := l.verdict(&e.bids[i])
		for len(old) > 0 && old[0].Compare(&v) < 0 {
			old = old[1:]
		}
		if len(old) > 0 && old[0].Compare(&v) == 0 && old[0].Pool == v.Pool && old[0].Reason == v.Reason && old[0].Owner == v.Owner && old[0].Announce == v.Announce {
			said = append(said, old[0])
		} else {
			fresh := v // of its own, so that v need not be on the heap
			said = append(said, &fresh)
		}
	}
	l.said = said
}

// Compare orders verdicts by Service and address.
func (v *Verdict) Compare(o *Verdict) int {
	if c := cmp.Compare(v.Service.Namespace, o.Service.Namespace); c != 0 {
		return c
	}
	if c := cmp.Compare(v.Service.Name, o.Service.Name); c != 0 {
		return c
	}
	return v.Address.Compare(o.Address)
}

// interleave puts each verdict on layer 2 behind the one on the same Service and address by BGP, of which there is one for each.
func interleave(bgp, l2 []*Verdict) []*Verdict {
	if len(l2) == 0 {
		return bgp
	}
	all := make([]*Verdict, 0, len(bgp)+len(l2))
	for _, v := range bgp {
		all = append(all, v)
		if len(l2) > 0 && l2[0].Service == v.Service && l2[0].Address == v.Address {
			all, l2 = append(all, l2[0]), l2[1:]
		}
	}
	return all
}

// verdictOf tells apart the reasons that one field can give on this node.
type verdictOf struct {
	owner, index int
	several      bool
}

// verdict says what this node does for one bid, and why.
func (l *layer2) verdict(c *bid) Verdict {
	e := l.e
	s := &e.seats[c.seat]
	v := Verdict{Service: c.svc.Key, Address: c.addr, Pool: c.pool.name, Protocol: ProtocolLayer2, Reason: c.refused}
	if c.refused.Code != ReasonNone {
		return v
	}
	if s.owner >= 0 && l.quorate {
		v.Owner = e.nodes[s.owner].Name
	}
	if s.owner >= 0 && s.owner == e.self && l.quorate {
		v.Announce = true
		return v
	}
	if len(s.local) > 0 {
		v.Reason = l.reason(s, c)
		return v
	}
	key := verdictOf{owner: s.owner, index: s.index, several: s.party != nil && s.party.spread}
	reason, ok := s.field.reasons[key]
	if !ok {
		reason = l.reason(s, c)
		s.field.reasons[key] = reason
	}
	v.Reason = reason
	return v
}

// reason explains why this node does not announce an address that somebody may.
func (l *layer2) reason(s *seat, c *bid) Reason {
	e := l.e
	r := e.obstacle(s, c)
	switch {
	case !l.quorate && (r.Code == ReasonNone || r.Code == ReasonNotMember || r.Code == ReasonImpaired):
		return Reason{ReasonNotQuorate, fmt.Sprintf("node %s has lost sight of so many speakers that it may be the one that is cut off: it announces nothing by layer 2 until it sees them again",
			e.s.in.Node)}
	case !l.quorate:
		return r
	case r.Code == ReasonNone:
		return Reason{ReasonNotOwner, "node " + e.nodes[s.owner].Name + " announces it: " + e.how(s)}
	case s.owner >= 0:
		r.Detail += "; node " + e.nodes[s.owner].Name + " announces it"
	default:
		r.Detail += e.nobody(s)
	}
	return r
}

// obstacle returns why this node is no candidate, if it is none, in a sentence.
func (e *election) obstacle(s *seat, c *bid) Reason {
	if e.self < 0 {
		return e.s.held
	}
	name, st := e.s.in.Node, &s.field.standings[e.self]
	switch {
	case !st.selected:
		return Reason{ReasonNoAdvertisement, fmt.Sprintf("no L2Advertisement of pool %s selects node %s: there is only the %s",
			s.field.pool.name, name, named("L2Advertisement", s.field.names))}
	case e.s.held.Code != ReasonNone:
		return e.s.held
	}
	if local := e.s.endpoints(c.svc); local.Code != ReasonNone {
		return local
	}
	if st.obstacle.Code != ReasonNone {
		return Reason{st.obstacle.Code, "node " + name + ": " + st.obstacle.Detail}
	}
	if lacking := e.lacking(s, e.self); lacking != "" {
		return Reason{ReasonNoLocalEndpoints, "node " + name + ": " + lacking}
	}
	if impaired := e.nodes[e.self].Impaired; s.fitOnly && impaired != "" {
		return Reason{ReasonImpaired, "node " + name + " " + impaired}
	}
	return Reason{}
}

// lacking names a Service that shares the address and keeps a node from announcing it, "" if there is none.
func (e *election) lacking(s *seat, node int) string {
	for _, svc := range s.local {
		if svc.Endpoints.OnNode[e.nodes[node].Name] == 0 {
			return "no serving endpoint of Service " + svc.Key.String() + ", whose externalTrafficPolicy is Local"
		}
	}
	return ""
}

// how explains why a node that could announce is not the one that does.
func (e *election) how(s *seat) string {
	theirs, ours := s.field.standings[s.owner].score, s.field.standings[e.self].score
	way := "hash"
	if s.field.balanced {
		way = "balanced placement"
	}
	switch {
	case s.party != nil && s.party.spread:
		way = fmt.Sprintf("%s, address %d of the family", way, s.index+1)
	case theirs > ours:
		way = fmt.Sprintf("preference %d beats %d", theirs, ours)
	}
	if impaired := e.nodes[s.owner].Impaired; impaired != "" {
		way += "; it " + impaired + ", and no other candidate is in better state"
	}
	return way
}

// nobody explains, for the other nodes, why none of them announces.
func (e *election) nobody(s *seat) string {
	const shown = 5
	var others []string
	for i, n := range e.nodes {
		if i == e.self {
			continue
		}
		why := s.field.standings[i].obstacle.Detail
		if why == "" {
			why = e.lacking(s, i)
		}
		others = append(others, "node "+n.Name+": "+why)
	}
	if len(others) == 0 {
		return ""
	}
	text := "; no node announces it: " + strings.Join(others[:min(shown, len(others))], "; ")
	if more := len(others) - shown; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}
