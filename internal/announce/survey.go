package announce

import (
	"cmp"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// Survey finds out what every node would do for a Service, by what the nodes themselves compute. What a node knows beyond the API (whom its
// speaker can reach, which links it has, how far it drains) it does not know, unless its Input says so.
type Survey struct {
	// views are by name of the node; only the first of a living speaker, the spokesman, looks at layer 2: all others would find the same owners.
	views     []*Incremental
	nodes     []string
	spokesman int
}

// NewSurvey prepares for surveys under in, whose Node, Services, Drain and Quorate are not looked at.
func NewSurvey(in Input) *Survey {
	s := &Survey{spokesman: -1}
	for i := range in.Nodes {
		s.nodes = append(s.nodes, in.Nodes[i].Name)
	}
	slices.Sort(s.nodes)
	s.nodes = slices.Compact(s.nodes)
	for i, name := range s.nodes {
		if in.Members == nil || slices.Contains(in.Members, name) {
			s.spokesman = i
			break
		}
	}
	if s.spokesman < 0 && len(s.nodes) > 0 {
		s.spokesman = 0
	}
	s.views = make([]*Incremental, len(s.nodes))
	for i, name := range s.nodes {
		one := in
		one.Node, one.Services, one.Drain, one.Quorate = name, nil, DrainNone, true
		if s.views[i] = NewIncremental(one); i != s.spokesman {
			s.views[i].layer2.e = nil
		}
	}
	return s
}

// View is what one node says of a Service.
type View struct {
	Node     string
	Verdicts []*Verdict
}

// Of returns, by name of the node, what each says of the Service of that key, which is among services together with those that share an
// address with it. The verdicts on layer 2 are in one View alone.
func (s *Survey) Of(key ipam.ServiceKey, services []*Service) []View {
	sorted := slices.SortedFunc(slices.Values(services), byKey)
	views := make([]View, len(s.views))
	for i, v := range s.views {
		// An Incremental takes a Service that it has seen at the same address for unchanged.
		fresh := make([]*Service, len(sorted))
		for k, svc := range sorted {
			one := *svc
			fresh[k] = &one
		}
		views[i].Node = s.nodes[i]
		for _, verdict := range v.Compute(fresh).Verdicts {
			if verdict.Service == key {
				views[i].Verdicts = append(views[i].Verdicts, verdict)
			}
		}
	}
	return views
}

// rank orders reasons not to announce by BGP by how far the node is from announcing, the nearest highest: what is missing on the node where
// least is missing is what to mend.
func (c ReasonCode) rank() int {
	return slices.Index([]ReasonCode{
		ReasonNotAllowed, ReasonNoAdvertisement, ReasonNoPeer, ReasonConflictingAds, ReasonUnknownNode, ReasonNetworkUnavailable, ReasonNodeExcluded,
		ReasonNoLocalEndpoints, ReasonNoEndpoints, ReasonNotMember, ReasonDraining, ReasonApplyFailed, ReasonNodeLost, ReasonPending,
	}, c)
}

// obstacleOf is why one node does not announce an address.
type obstacleOf struct {
	node string
	Reason
	everywhere bool
}

// nearest sorts obstacles: those on nodes that are nearest to announcing come first.
func nearest(all []obstacleOf) {
	slices.SortStableFunc(all, func(a, b obstacleOf) int {
		return cmp.Or(cmp.Compare(b.Code.rank(), a.Code.rank()), cmp.Compare(a.node, b.node))
	})
}
