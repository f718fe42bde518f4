package intent

import (
	"cmp"
	"slices"
)

// Applied is an object that a Snapshot was made of, and the generation of it that is in force there: not the latest one where that is not
// valid and what the object said before was kept.
type Applied struct {
	Kind, Name string
	Generation int64
	// Failure says why it is not carried out although the Snapshot is: what FRR said of raw configuration that it does not take. Build
	// knows of none.
	Failure string
}

// Applied returns the objects that BGP is configured by and that are in force, sorted by kind and name: BGPPeers, BGPAdvertisements,
// BFDProfiles, Communities and FRRSnippets. It is nil for a Snapshot that Build did not make.
func (s *Snapshot) Applied() []Applied {
	if s.memory == nil {
		return nil
	}
	all := []Applied{}
	all = applied(all, KindPeer, s.memory.peers)
	all = applied(all, KindBGPAdvertisement, s.memory.bgp)
	all = applied(all, KindBFDProfile, s.memory.profiles)
	all = applied(all, KindCommunity, s.memory.communities)
	all = applied(all, KindSnippet, s.memory.snippets)
	slices.SortFunc(all, func(a, o Applied) int { return cmp.Or(cmp.Compare(a.Kind, o.Kind), cmp.Compare(a.Name, o.Name)) })
	return all
}

func applied[P any](all []Applied, kind string, from map[string]remembered[P]) []Applied {
	for name, r := range from {
		if r.InForce {
			all = append(all, Applied{Kind: kind, Name: name, Generation: r.Generation})
		}
	}
	return all
}
