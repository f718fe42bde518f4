package ipam

import (
	"iter"
	"net/netip"
	"slices"
)

// groupKey is what Services that share addresses have in common.
type groupKey struct{ key, backend string }

// group indexes the addresses whose holders would share them, so that a Service with the same key finds them without looking at others.
type group struct {
	addrs []netip.Addr // sorted
	// ports counts on how many of the addresses each port is in use.
	ports map[Port]int
}

// join records that a Service with the given Sharing has addr.
func (l *Ledger) join(addr netip.Addr, s Sharing) {
	if s.Key == "" {
		return
	}
	k := groupKey{s.Key, s.Backend}
	g := l.groups[k]
	if g == nil {
		g = &group{ports: map[Port]int{}}
		l.groups[k] = g
	}
	if i, found := slices.BinarySearchFunc(g.addrs, addr, netip.Addr.Compare); !found {
		g.addrs = slices.Insert(g.addrs, i, addr)
	}
	for _, port := range s.Ports {
		g.ports[port]++
	}
}

// leave undoes join; last tells that nobody has addr any more.
func (l *Ledger) leave(addr netip.Addr, s Sharing, last bool) {
	if s.Key == "" {
		return
	}
	k := groupKey{s.Key, s.Backend}
	g := l.groups[k]
	for _, port := range s.Ports {
		if g.ports[port]--; g.ports[port] == 0 {
			delete(g.ports, port)
		}
	}
	if !last {
		return
	}
	if i, found := slices.BinarySearchFunc(g.addrs, addr, netip.Addr.Compare); found {
		g.addrs = slices.Delete(g.addrs, i, i+1)
	}
	if len(g.addrs) == 0 {
		delete(l.groups, k)
	}
}

// joinable yields the addresses, in order of the pool's ranges, of a family that Services of the same sharing key have and that the given
// one may have too (rule A16: whoever shares joins before taking an address of its own).
func (l *Ledger) joinable(p *pool, f Family, service ServiceKey, s Sharing) iter.Seq[netip.Addr] {
	return func(yield func(netip.Addr) bool) {
		g := l.groupOf(s)
		if g == nil {
			return
		}
		for _, r := range p.Ranges {
			if r.Family() != f {
				continue
			}
			i, _ := slices.BinarySearchFunc(g.addrs, r.First, netip.Addr.Compare)
			for ; i < len(g.addrs) && r.Contains(g.addrs[i]); i++ {
				if l.conflict(g.addrs[i], service, s) == nil && !yield(g.addrs[i]) {
					return
				}
			}
		}
	}
}

// groupOf returns the group that a Service with the given Sharing may find an address in that it can share; nil if it can't in any case.
func (l *Ledger) groupOf(s Sharing) *group {
	if s.Key == "" {
		return nil
	}
	g := l.groups[groupKey{s.Key, s.Backend}]
	if g == nil {
		return nil
	}
	for _, port := range s.Ports {
		if g.ports[port] >= len(g.addrs) {
			return nil
		}
	}
	return g
}
