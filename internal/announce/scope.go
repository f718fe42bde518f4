package announce

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// scope is what of the configuration concerns one node, prepared once for all Services.
type scope struct {
	in *Input
	// node is nil when the cluster does not know the node.
	node *NodeInfo
	// held is why the node announces nothing at all; no reason when it may announce.
	held Reason
	// peers select the node, sorted by VRF and name. router holds, for each, the index of its router.
	peers  []*intent.Peer
	router []int
	// pools are the advertisements by pool.
	pools map[string]*poolScope
	ads   []*advertisement
	// byTag are all variants of ads made so far, usuals how many of them are usual.
	byTag  map[Tag]*variant
	usuals int
	// others are the scopes of other nodes, made when a drain asks for them.
	others []*scope
	// key is scratch space for poolScope.plans.
	key []byte
}

// poolScope is what of the configuration concerns the addresses of one pool.
type poolScope struct {
	// ads select the node, sorted by name.
	ads []*advertisement
	// elsewhere are the names of advertisements of the pool that do not select the node.
	elsewhere []string
	// plans are keyed by the sort of Service and by the ads that select one.
	plans map[sort]map[string]*plan
	// missing tells that the pool is not in force, and that ads has those that are for every pool all the same.
	missing bool
}

func newScope(in *Input) *scope {
	s := &scope{in: in, pools: map[string]*poolScope{}, byTag: map[Tag]*variant{}}
	if i := slices.IndexFunc(in.Nodes, func(n NodeInfo) bool { return n.Name == in.Node }); i >= 0 {
		s.node = &in.Nodes[i]
		s.selectPeers()
	}
	s.held = s.holdBack()
	s.selectAdvertisements()
	return s
}

// selectPeers finds the peers that this node has sessions with.
func (s *scope) selectPeers() {
	for i := range s.in.Config.Peers {
		if p := &s.in.Config.Peers[i]; p.Nodes.MatchesOrEmpty(s.node.Labels) {
			s.peers = append(s.peers, p)
		}
	}
	slices.SortFunc(s.peers, func(a, b *intent.Peer) int { return cmp.Or(cmp.Compare(a.VRF, b.VRF), cmp.Compare(a.Name, b.Name)) })
	router := 0
	for i, p := range s.peers {
		if i > 0 && p.VRF != s.peers[i-1].VRF {
			router++
		}
		s.router = append(s.router, router)
	}
}

// selectAdvertisements sorts the advertisements by pool and by whether they select this node.
func (s *scope) selectAdvertisements() {
	all := make([]*intent.BGPAdvertisement, len(s.in.Config.BGPAdvertisements))
	for i := range all {
		all[i] = &s.in.Config.BGPAdvertisements[i]
	}
	slices.SortFunc(all, func(a, b *intent.BGPAdvertisement) int { return cmp.Compare(a.Name, b.Name) })
	for _, ad := range all {
		var here *advertisement
		if s.node != nil && ad.Nodes.MatchesOrEmpty(s.node.Labels) {
			here = &advertisement{BGPAdvertisement: ad, tag: TagOf(ad.Name), order: len(s.ads), variants: map[wish]*variant{}}
			s.ads = append(s.ads, here)
		}
		for _, name := range ad.Pools {
			p := s.pool(name)
			if here != nil {
				p.ads = append(p.ads, here)
			} else {
				p.elsewhere = append(p.elsewhere, ad.Name)
			}
		}
	}
	for _, ad := range s.ads {
		ad.usual = s.usual(ad)
	}
	s.usuals = len(s.byTag)
}

func (s *scope) pool(name string) *poolScope {
	p := s.pools[name]
	if p == nil {
		p = &poolScope{plans: map[sort]map[string]*plan{}}
		s.pools[name] = p
	}
	return p
}

// poolOf returns the name of the pool that a Service's address belongs to: the one it lies in, or else the one it was given from. An edit or
// the deletion of a pool thus takes no route away from a Service that keeps its address.
func (s *scope) poolOf(addr netip.Addr, svc *Service) (name string, ok bool) {
	if pool, ok := s.in.Config.PoolOf(addr); ok {
		return pool.Name, true
	}
	if svc.Pool == "" {
		return "", false
	}
	p := s.pool(svc.Pool)
	if !p.missing && !slices.ContainsFunc(s.in.Config.Pools, func(o intent.Pool) bool { return o.Name == svc.Pool }) {
		// Of advertisements that choose pools by label it can't be told any more whether they were for this one.
		p.missing = true
		p.ads = slices.DeleteFunc(slices.Clone(s.ads), func(ad *advertisement) bool { return !ad.Has(svc.Pool) })
	}
	return svc.Pool, true
}

// bgp returns the node's routers with everything but their prefixes.
func (s *scope) bgp() BGP {
	b := BGP{GracefulShutdown: s.in.Drain != DrainNone}
	used := map[string]bool{}
	for i, p := range s.peers {
		if s.router[i] == len(b.Routers) {
			b.Routers = append(b.Routers, Router{VRF: p.VRF, ASN: p.MyASN})
		}
		r := &b.Routers[s.router[i]]
		if !r.RouterID.IsValid() {
			r.RouterID = p.RouterID
		}
		if r.ListenLimit == 0 {
			r.ListenLimit = p.ListenLimit
		}
		n := Neighbor{Peer: *p, Policies: s.policies(p.Name, nil)}
		n.SourceAddress, n.Sources = p.SourceOn(s.node.Name, s.node.Labels), nil
		r.Neighbors = append(r.Neighbors, n)
		used[p.BFDProfile] = true
	}
	for _, profile := range s.in.Config.BFDProfiles {
		if used[profile.Name] {
			b.BFDProfiles = append(b.BFDProfiles, profile)
		}
	}
	for _, snippet := range s.in.Config.Snippets {
		if s.node != nil && snippet.Nodes.MatchesOrEmpty(s.node.Labels) {
			b.Snippets = append(b.Snippets, Snippet{Name: snippet.Ref.String(), Text: snippet.Text})
		}
	}
	slices.SortFunc(b.BFDProfiles, func(x, y intent.BFDProfile) int { return cmp.Compare(x.Name, y.Name) })
	return b
}
