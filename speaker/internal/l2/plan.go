package l2

import (
	"net/netip"
	"regexp"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/link"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/wire"
)

// place is one family on one link.
type place struct {
	index int
	ipv4  bool
}

// face is what a station depends on of its link. When it changes, another station takes its place, with fresh sockets, and announces everything.
type face struct {
	name string
	wire.Host
}

func faceOf(l link.Link, ipv4 bool) face {
	f := face{name: l.Name, Host: l.Host}
	if ipv4 {
		f.LinkLocal = netip.Addr{}
	}
	return f
}

// obstacle completes the sentence "the link ..." with what keeps a family from being answered on it, "" for nothing.
func obstacle(l link.Link, ipv4 bool, excluded []*regexp.Regexp) string {
	switch {
	case isExcluded(l.Name, excluded):
		return "is excluded by announcedInterfacesToExclude"
	case l.State != link.Usable:
		return l.State.String()
	case !ipv4 && !l.LinkLocal.IsValid():
		return "has no usable IPv6 link-local address"
	}
	return ""
}

func isExcluded(name string, excluded []*regexp.Regexp) bool {
	return slices.ContainsFunc(excluded, func(r *regexp.Regexp) bool { return r.MatchString(name) })
}

// expected tells whether somebody who named no links would think of this one, so that it is worth saying why it is not used.
func expected(l link.Link, excluded []*regexp.Regexp) bool {
	switch l.State {
	case link.Usable, link.Down, link.NoCarrier:
		return !isExcluded(l.Name, excluded)
	default:
		return false
	}
}

// meant tells whether an entry is to be answered on the link of that name.
func meant(e announce.L2Entry, name string) bool {
	return e.Interfaces == nil || slices.Contains(e.Interfaces, name)
}

// divide says which addresses are answered at which place. Places without any are left out.
func divide(want []announce.L2Entry, links []link.Link, excluded []*regexp.Regexp) map[place][]netip.Addr {
	plan := map[place][]netip.Addr{}
	for _, l := range links {
		for _, ipv4 := range []bool{true, false} {
			if obstacle(l, ipv4, excluded) != "" {
				continue
			}
			var part []netip.Addr
			for _, e := range want {
				if e.Address.Is4() == ipv4 && meant(e, l.Name) {
					part = append(part, e.Address)
				}
			}
			if len(part) > 0 {
				plan[place{l.Index, ipv4}] = part
			}
		}
	}
	return plan
}

// same tells whether two wants are equal.
func same(a, b []announce.L2Entry) bool {
	return slices.EqualFunc(a, b, func(a, b announce.L2Entry) bool {
		return a.Address == b.Address && slices.Equal(a.Interfaces, b.Interfaces) && (a.Interfaces == nil) == (b.Interfaces == nil)
	})
}
