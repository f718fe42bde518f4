package intent

import (
	"fmt"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// useBGPAdvertisement looks up what an advertisement refers to and puts it into the Snapshot, as far as it does not contradict one that is
// already there. One without a peer, or for which there is no pool and was none either, is not in the Snapshot, because it announces
// nothing.
func (b *builder) useBGPAdvertisement(a *about, p parsedBGPAdvertisement, old bool) (parsedBGPAdvertisement, bool) {
	communities, ok := b.communities(a, p.Communities)
	if ok {
		p.Ad.Communities = communities
	}
	choices, known := b.choices(a, p.Choices)
	if known {
		p.Ad.Overrides.Communities = choices
	}
	ok = ok && known
	p.Ad.Pools, p.Ad.FormerPools = b.poolsOf(a, p.Pools)
	peers, silent := b.peersOf(a, p.Peers)
	p.Ad.Peers = peers
	if !ok && !old {
		return p, false // only now, so that everything that is missing is reported at once
	}
	nodes := b.nodesOf(p.Ad.Nodes)
	a.matchesNothing(nodes, b)
	if silent {
		return p, true
	}
	if len(p.Ad.Pools) == 0 {
		if !p.Ad.none() {
			b.BGPAdvertisements, b.adNodes = append(b.BGPAdvertisements, p.Ad), append(b.adNodes, nodes)
		}
		return p, true
	}
	for i := range b.wanted {
		if other := &b.wanted[i]; sameBGP(other, &p.Ad) {
			a.equal(other.Name)
			return p, true
		}
	}
	wanted := p.Ad
	wanted.Pools = slices.Clone(wanted.Pools)
	b.wanted = append(b.wanted, wanted)
	b.dropTooLarge(a, &p.Ad)
	b.dropContradictions(a, &p.Ad, nodes)
	b.warnOfNoEffect(a, &p.Ad)
	if len(p.Ad.Pools) > 0 || !p.Ad.none() {
		b.BGPAdvertisements, b.adNodes = append(b.BGPAdvertisements, p.Ad), append(b.adNodes, nodes)
	}
	return p, true
}

// equal reports an advertisement that only repeats an older one.
func (a *about) equal(other string) {
	a.conflict(RuleEqual, "spec", "", fmt.Sprintf("says the same as the older %s %s/%s; this one is left out, remove one of them", a.ref.Kind, a.ref.Namespace, other))
}

// peersOf returns the peers in force that the advertisement names, sorted. none tells that it names some but none is in force: an empty list
// would mean all.
func (b *builder) peersOf(a *about, list []string) (out []string, none bool) {
	for i, name := range list {
		if !slices.ContainsFunc(b.Peers, func(p Peer) bool { return p.Name == name }) {
			a.unresolved(RulePeerMissing, item("spec.peers", i), quote(name), b.missing(KindPeer, a.ref.Namespace, name)+rest(len(list), 0))
			continue
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out, len(list) > 0 && len(out) == 0
}

// names tells whether a list of names, empty for all, has name.
func names(list []string, name string) bool { return len(list) == 0 || slices.Contains(list, name) }

// dropTooLarge takes those pools from the advertisement of which an aggregate would cover addresses that are not theirs.
func (b *builder) dropTooLarge(a *about, ad *BGPAdvertisement) {
	ad.Pools = slices.DeleteFunc(ad.Pools, func(name string) bool {
		shortest, has := b.shortest[name].lengths, b.shortest[name].has
		drop := false
		for f, length := range [2]int{ad.AggregationLength, ad.AggregationLengthV6} {
			if has[f] && length < shortest[f] {
				a.conflict(RuleAggregateTooLarge, [2]string{"spec.aggregationLength", "spec.aggregationLengthV6"}[f], fmt.Sprint(length), fmt.Sprintf(
					"must be at least %d for IPAddressPool %s, or routes would cover addresses outside of it; the pool is left out of this advertisement", shortest[f], name))
				drop = true
			}
		}
		return drop
	})
}

// sameBGP tells whether two advertisements differ in nothing but their names.
func sameBGP(a, o *BGPAdvertisement) bool {
	return a.AggregationLength == o.AggregationLength && a.AggregationLengthV6 == o.AggregationLengthV6 && a.LocalPref == o.LocalPref &&
		a.ASPathPrepend == o.ASPathPrepend && a.MED == o.MED && a.LinkBandwidth == o.LinkBandwidth && sameOverrides(&a.Overrides, &o.Overrides) && slices.Equal(a.ExtCommunities, o.ExtCommunities) &&
		slices.Equal(a.Communities, o.Communities) && slices.Equal(a.Pools, o.Pools) && slices.Equal(a.Peers, o.Peers) &&
		sameSet(a.Nodes, o.Nodes) && sameSet(a.Services, o.Services)
}

// sameL2 is sameBGP for layer 2.
func sameL2(a, o *L2Advertisement) bool {
	return a.Balanced == o.Balanced && slices.Equal(a.Pools, o.Pools) && slices.Equal(sorted(a.Interfaces), sorted(o.Interfaces)) &&
		sameSet(a.Nodes, o.Nodes) && sameSet(a.Services, o.Services) &&
		slices.EqualFunc(a.Preferences, o.Preferences, func(x, y NodePreference) bool {
			return x.Weight == y.Weight && x.Selector.String() == y.Selector.String()
		})
}

// sameSet tells whether two sets have the same selectors, in any order.
func sameSet(a, o selector.Set) bool { return slices.Equal(texts(a), texts(o)) }

// texts returns the selectors as text, sorted.
func texts(set selector.Set) []string {
	out := make([]string, len(set))
	for i, one := range set {
		out[i] = one.String()
	}
	slices.Sort(out)
	return out
}

// sorted returns a sorted copy.
func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
