package announce

import (
	"fmt"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// holdBack returns the reason for which the node announces nothing at all, if there is one (rules N3, N4).
func (s *scope) holdBack() Reason {
	switch name := s.in.Node; {
	case s.node == nil:
		return Reason{ReasonUnknownNode, fmt.Sprintf("node %s is not among the %d nodes of the cluster", name, len(s.in.Nodes))}
	case s.node.NetworkUnavailable:
		return Reason{ReasonNetworkUnavailable, fmt.Sprintf("node %s has the condition NetworkUnavailable", name)}
	case s.node.Excluded && !s.in.IgnoreExcludeLabel:
		return Reason{ReasonNodeExcluded, s.excluded()}
	}
	return Reason{}
}

func (s *scope) excluded() string {
	text := fmt.Sprintf("node %s has the label node.kubernetes.io/exclude-from-external-load-balancers", s.in.Node)
	count := 0
	for _, n := range s.in.Nodes {
		if n.Excluded {
			count++
		}
	}
	if count < len(s.in.Nodes) {
		return text
	}
	if count == 1 {
		text += ", and it is the only node"
	} else {
		text += fmt.Sprintf(", and so have all %d nodes", count)
	}
	return text + ": nothing is announced anywhere; remove the label where traffic may enter, or let speakers ignore it (spec.ignoreExcludeLB of the MetalLB object)"
}

// endpoints returns the reason for which the Service's endpoints keep this node from announcing it, if there is one (rules B1, N1, N6).
func (s *scope) endpoints(svc *Service) Reason {
	e := &svc.Endpoints
	switch {
	case svc.Local && e.OnNode[s.in.Node] > 0, !svc.Local && e.Serving > 0:
		return Reason{}
	case !svc.Local:
		return Reason{ReasonNoEndpoints, "the Service has no serving endpoint"}
	case e.Serving == 0:
		return Reason{ReasonNoLocalEndpoints, "the Service has no serving endpoint, on node " + s.in.Node + " or elsewhere, and externalTrafficPolicy is Local"}
	}
	placed := 0
	for _, n := range e.OnNode {
		placed += n
	}
	var homeless string
	if missing := e.Serving - placed; missing > 0 {
		homeless = fmt.Sprintf(" (%d without a node name, which never count)", missing)
	}
	return Reason{ReasonNoLocalEndpoints, fmt.Sprintf("node %s has none of the %d serving endpoints%s and externalTrafficPolicy is Local",
		s.in.Node, e.Serving, homeless)}
}

// noAdvertisement explains that no advertisement applies to an address of the pool.
func (s *scope) noAdvertisement(pool string) Reason {
	p := s.pool(pool)
	detail := ""
	switch none := len(s.in.Config.BGPAdvertisements) == 0; {
	case none && len(s.in.Config.L2Advertisements) == 0:
		detail = "there is neither a BGPAdvertisement nor an L2Advertisement"
	case none:
		detail = "there is no BGPAdvertisement" + s.norL2(pool)
	case len(p.ads) > 0:
		detail = fmt.Sprintf("the Service's labels match no service selector of the %s of pool %s", named("BGPAdvertisement", adNames(p.ads)), pool)
	case len(p.elsewhere) > 0:
		detail = fmt.Sprintf("no advertisement of pool %s selects node %s: there is only the %s", pool, s.in.Node, named("BGPAdvertisement", p.elsewhere))
	default:
		detail = fmt.Sprintf("none of the %d BGPAdvertisements is for pool %s", len(s.in.Config.BGPAdvertisements), pool) + s.norL2(pool)
	}
	return Reason{ReasonNoAdvertisement, detail}
}

// norL2 completes a sentence on BGP where layer 2 has nothing for the pool either.
func (s *scope) norL2(pool string) string {
	switch all := len(s.in.Config.L2Advertisements); {
	case all == 0:
		return ", and there is no L2Advertisement"
	case !s.hasL2(pool):
		return fmt.Sprintf(", and none of the %d L2Advertisements is for pool %s", all, pool)
	}
	return ""
}

// noPeer explains that the advertisements reach no session of the node.
func (s *scope) noPeer(ads []*advertisement, is4 bool) Reason {
	var reached []string
	for _, peer := range s.peers {
		for _, ad := range ads {
			if ad.reaches(peer.Name) {
				reached = append(reached, peer.Name)
				break
			}
		}
	}
	family := "IPv6"
	if is4 {
		family = "IPv4"
	}
	detail := ""
	switch {
	case len(s.in.Config.Peers) == 0:
		detail = "there is no BGPPeer"
	case len(s.peers) == 0:
		detail = fmt.Sprintf("none of the %d BGPPeers selects node %s", len(s.in.Config.Peers), s.in.Node)
	case len(reached) == 0:
		detail = fmt.Sprintf("the %s is for no peer of node %s, which has the %s", named("BGPAdvertisement", adNames(ads)), s.in.Node, named("BGPPeer", s.peerNames()))
	default:
		detail = fmt.Sprintf("the address is %s and the sessions with the %s do not carry %s (dualStackAddressFamily is false)", family, named("BGPPeer", reached), family)
	}
	return Reason{ReasonNoPeer, detail}
}

func conflict(a, b *Policy, attr attribute, bits int, peer string) Reason {
	theirs, _ := attr.value(a)
	value, _ := attr.value(b)
	return Reason{ReasonConflictingAds, fmt.Sprintf("for the same /%d to BGPPeer %s, BGPAdvertisement %s sets %s %d and BGPAdvertisement %s sets %d",
		bits, peer, a.Advertisement, attr.name, theirs, b.Advertisement, value)}
}

// carries tells whether the session carries routes of the family (rule B13).
func carries(p *intent.Peer, is4 bool) bool {
	n := Neighbor{Peer: *p}
	if is4 {
		return n.IPv4()
	}
	return n.IPv6()
}

func adNames(ads []*advertisement) []string {
	names := make([]string, len(ads))
	for i, ad := range ads {
		names[i] = ad.Name
	}
	return names
}

func (s *scope) peerNames() []string {
	names := make([]string, len(s.peers))
	for i, p := range s.peers {
		names[i] = p.Name
	}
	return names
}

// named lists objects of one kind in a sentence: the first few by name, the rest by number.
func named(kind string, names []string) string {
	const shown = 5
	if len(names) > 1 {
		kind += "s"
	}
	text := kind + " " + strings.Join(names[:min(shown, len(names))], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
