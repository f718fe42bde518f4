package frrdelta

import (
	"slices"
	"strings"
)

// settle removes what FRR would not keep or not print, where that depends on
// more than one line.
func (c *Config) settle() {
	for id, r := range c.routers {
		for _, n := range r.neighbors {
			if n.remote == id.as || n.remote == "internal" {
				delete(n.session, "ebgp-multihop") // FRR ignores it within one AS
			}
			if n.iface {
				delete(n.session, "capability extended-nexthop") // the default there
			}
		}
		_, explicit := r.settings["bgp default ipv4-unicast"]
		for name, f := range r.families {
			activeByDefault := name == "ipv4 unicast" && !explicit
			for peer, b := range f.neighbors {
				if s, ok := b["activate"]; ok && !strings.HasPrefix(s.canon, "no ") == activeByDefault {
					delete(b, "activate")
				}
				if len(b) == 0 {
					delete(f.neighbors, peer)
				}
			}
			f.sort()
			if len(f.neighbors) == 0 && len(f.networks) == 0 {
				delete(r.families, name)
			}
		}
	}
}

// sort orders the prefixes. Of several lines for one prefix the last counts.
func (f *family) sort() {
	order := func(a, b network) int { return a.prefix.Compare(b.prefix) }
	if !slices.IsSortedFunc(f.networks, order) {
		slices.SortStableFunc(f.networks, order)
	}
	kept := f.networks[:0]
	for _, n := range f.networks {
		if last := len(kept) - 1; last >= 0 && kept[last].prefix == n.prefix {
			kept[last] = n
		} else {
			kept = append(kept, n)
		}
	}
	f.networks = kept
}
