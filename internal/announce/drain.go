package announce

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
)

// Drain is how far a node is with giving up its BGP routes. Each stage is as safe to be in for ever as to be left in either direction.
type Drain int

const (
	// DrainNone is the ordinary: routes are announced as the advertisements say.
	DrainNone Drain = iota
	// DrainYielding announces the same routes as the last to be chosen: with the community GRACEFUL_SHUTDOWN (RFC 8326) and, over iBGP,
	// a LOCAL_PREF of 0. Routers move the traffic while both ways work.
	DrainYielding
	// DrainWithdrawn announces in this way only what no other node could announce, and withdraws the rest. Sessions stay up.
	DrainWithdrawn
)

// String names the stage for logs.
func (d Drain) String() string {
	switch d {
	case DrainNone:
		return "none"
	case DrainYielding:
		return "yielding"
	case DrainWithdrawn:
		return "withdrawn"
	}
	return fmt.Sprintf("Drain(%d)", int(d))
}

// drained decides on an address that this node would announce: a reason for which it is withdrawn, or one for which it is announced although
// the node is to withdraw what it can.
func (s *scope) drained(svc *Service, addr netip.Addr) (withdrawn, despite Reason) {
	if s.in.Drain != DrainWithdrawn {
		return Reason{}, Reason{}
	}
	why := "node " + s.in.Node + " drains"
	if s.node.Draining != "" {
		why += ", because it " + s.node.Draining
	}
	switch other := s.otherAnnouncer(svc, addr); {
	case other != "":
		return Reason{ReasonDraining, why + "; node " + other + " announces the address"}, Reason{}
	case s.in.WithdrawLast:
		return Reason{ReasonDraining, why + "; no other node can announce the address, and spec.bgpDrain.keepLastAnnouncer of the MetalLB object is false"}, Reason{}
	}
	return Reason{}, Reason{ReasonLastAnnouncer, why + ", but no other node can announce the address: it stays announced as the last to be chosen"}
}

// otherAnnouncer returns the name of a node that announces the address while this one does not, "" when there is none. The word of another
// node's speaker is not asked for: the same values lead it to the same decision.
func (s *scope) otherAnnouncer(svc *Service, addr netip.Addr) string {
	if s.others == nil {
		s.others = s.otherScopes()
	}
	for _, o := range s.others {
		if o.endpoints(svc).Code != ReasonNone {
			continue
		}
		pool, ok := o.poolOf(addr, svc)
		if ok && o.plan(pool, svc, addr.Is4()).reason.Code == ReasonNone {
			return o.in.Node
		}
	}
	return ""
}

// otherScopes are those of the other nodes that may announce something, sorted by name: neither held back nor draining, and with a speaker
// that is alive as far as this one knows.
func (s *scope) otherScopes() []*scope {
	others := []*scope{}
	for i := range s.in.Nodes {
		n := &s.in.Nodes[i]
		if n.Name == s.in.Node || n.Draining != "" || s.in.Members != nil && !slices.Contains(s.in.Members, n.Name) {
			continue
		}
		in := *s.in
		in.Node, in.Drain = n.Name, DrainNone
		if o := newScope(&in); o.held.Code == ReasonNone {
			others = append(others, o)
		}
	}
	slices.SortFunc(others, func(a, b *scope) int { return cmp.Compare(a.in.Node, b.in.Node) })
	return others
}
