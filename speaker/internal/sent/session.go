package sent

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrstate"
)

// session is what is known of one session and of what its router was sent.
type session struct {
	key frrstate.Key
	// peer is the name of the BGPPeer, group the peer group of a router that opened the session by itself, "" for all others.
	peer, group string
	ipv4, ipv6  bool
	// wanted are the prefixes that the router is to be sent, sorted, and missing how many of them it is not known to have been sent.
	wanted  []entry
	missing int
	// known says that the rest is: whether the session is up, since when, or since when it is seen not to be.
	known, up    bool
	since, downs time.Time
	// ups is the how manieth time it was that the session came up, since bgpd began.
	ups int64
	// mourned is true once it was told that the session stays down.
	mourned bool
}

// entry is a prefix and whether the router was sent it.
type entry struct {
	prefix netip.Prefix
	sent   bool
}

// compare orders prefixes by address, then length, as announce.BGP does.
func compare(a, b netip.Prefix) int {
	return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// newSession returns the session of a neighbor, of which nothing is known yet.
func newSession(key frrstate.Key, n *announce.Neighbor) *session {
	return &session{key: key, peer: n.Name, ipv4: n.IPv4(), ipv6: n.IPv6()}
}

// want makes the prefixes with a tag of the neighbor's those that are wanted. What is known of those that were before stays.
func (s *session) want(n *announce.Neighbor, prefixes []announce.Prefix) {
	s.peer, s.ipv4, s.ipv6 = n.Name, n.IPv4(), n.IPv6()
	tags := map[announce.Tag]bool{}
	for _, p := range n.Policies {
		tags[p.Tag] = true
	}
	before := s.wanted
	s.wanted, s.missing = make([]entry, 0, max(len(before), 1)), 0
	for _, p := range prefixes {
		if !s.carries(p.Prefix.Addr()) || !slices.ContainsFunc(p.Tags, func(t announce.Tag) bool { return tags[t] }) {
			continue
		}
		for len(before) > 0 && compare(before[0].prefix, p.Prefix) < 0 {
			before = before[1:]
		}
		e := entry{prefix: p.Prefix, sent: len(before) > 0 && before[0].prefix == p.Prefix && before[0].sent}
		if !e.sent {
			s.missing++
		}
		s.wanted = append(s.wanted, e)
	}
}

func (s *session) carries(a netip.Addr) bool { return a.Is4() && s.ipv4 || a.Is6() && s.ipv6 }

// forget makes nothing known to have been sent.
func (s *session) forget() {
	for i := range s.wanted {
		s.wanted[i].sent = false
	}
	s.missing = len(s.wanted)
}

// see takes in the state of the session, and returns whether it is another.
func (s *session) see(state *frrstate.Session, now time.Time) bool {
	up := state != nil && state.Established()
	switch {
	case up && s.known && s.up && state.Since(s.ups, s.since), !up && s.known && !s.up:
		return false
	case up:
		s.since, s.ups = state.UpSince, state.Ups
	default:
		s.downs, s.mourned = now, false
	}
	s.known, s.up = true, up
	s.forget()
	return true
}

// index finds a wanted prefix, -1 if it is none.
func (s *session) index(p netip.Prefix) int {
	i, found := slices.BinarySearchFunc(s.wanted, p, func(e entry, p netip.Prefix) int { return compare(e.prefix, p) })
	if !found {
		return -1
	}
	return i
}

// note takes in that the router was sent a prefix, and returns whether that is wanted and news.
func (s *session) note(p netip.Prefix) bool {
	i := s.index(p)
	if i < 0 || s.wanted[i].sent {
		return false
	}
	s.wanted[i].sent = true
	s.missing--
	return true
}

// lacks returns the prefixes that the router is to be sent and is not known to have been.
func (s *session) lacks() []netip.Prefix {
	if s.missing == 0 || !s.up {
		return nil
	}
	list := make([]netip.Prefix, 0, s.missing)
	for _, e := range s.wanted {
		if !e.sent {
			list = append(list, e.prefix)
		}
	}
	return list
}

// covers tells whether the router is to be sent a prefix with the address, and whether it was sent one. lengths are those that prefixes have.
func (s *session) covers(a netip.Addr, lengths []int) (wanted, sent bool) {
	for _, bits := range lengths {
		p, err := a.Prefix(bits)
		if err != nil {
			continue // of the other family
		}
		if i := s.index(p); i >= 0 {
			wanted = true
			if s.wanted[i].sent {
				return true, true
			}
		}
	}
	return wanted, false
}
