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
	p.Ad.Pools, p.Ad.FormerPools = b.poolsOf(a, p.Pools)
	peers, silent := b.peersOf(a, p.Peers)
	p.Ad.Peers = peers
	if !ok && !old {
		return p, false // only now, so that everything that is missing is reported at once
	}
	nodes := b.nodesOf(p.Ad.Nodes)
	a.matchesNothing("spec.nodeSelectors", nodes, b)
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
	b.dropOtherLocalPref(a, &p.Ad, nodes)
	b.warnOfExternalLocalPref(a, &p.Ad)
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

// dropOtherLocalPref takes those pools from the advertisement for which an older one sends the same routes to the same peers from the same
// nodes with another localPref (rule B4). 0 is not a value but the absence of one. Advertisements for chosen Services may be meant for
// different ones; where they meet is known only when addresses are announced.
func (b *builder) dropOtherLocalPref(a *about, ad *BGPAdvertisement, nodes nodeSet) {
	if ad.LocalPref == 0 || len(ad.Services) > 0 {
		return
	}
	for i := range b.BGPAdvertisements {
		other := &b.BGPAdvertisements[i]
		if other.LocalPref == 0 || other.LocalPref == ad.LocalPref || len(other.Services) > 0 || !nodes.meets(b.adNodes[i]) || !sharePeer(ad.Peers, other.Peers) {
			continue
		}
		ad.Pools = slices.DeleteFunc(ad.Pools, func(name string) bool {
			if _, both := slices.BinarySearch(other.Pools, name); !both {
				return false
			}
			has := b.shortest[name].has
			if !(has[0] && ad.AggregationLength == other.AggregationLength) && !(has[1] && ad.AggregationLengthV6 == other.AggregationLengthV6) {
				return false
			}
			a.conflict(RuleLocalPref, "spec.localPref", fmt.Sprint(ad.LocalPref), fmt.Sprintf(
				"the older BGPAdvertisement %s/%s has %d for the same routes of IPAddressPool %s; the pool is left out of this advertisement", a.ref.Namespace, other.Name, other.LocalPref, name))
			return true
		})
	}
}

// sharePeer tells whether two lists of peers, empty for all, have one in common.
func sharePeer(a, o []string) bool {
	return len(a) == 0 || len(o) == 0 || slices.ContainsFunc(a, func(name string) bool { return slices.Contains(o, name) })
}

// warnOfExternalLocalPref warns when localPref can have no effect, because it is sent over iBGP sessions only (RFC 4271 section 5.1.5).
func (b *builder) warnOfExternalLocalPref(a *about, ad *BGPAdvertisement) {
	if ad.LocalPref == 0 {
		return
	}
	external := ""
	for i := range b.Peers {
		p := &b.Peers[i]
		if !names(ad.Peers, p.Name) {
			continue
		}
		if p.Internal() {
			return
		}
		external = p.Name
	}
	if external != "" {
		a.warn(RuleLocalPrefExternal, "spec.localPref", fmt.Sprint(ad.LocalPref), fmt.Sprintf("is sent over iBGP sessions only, and BGPPeer %s, like all others that this advertisement is for, is eBGP", external))
	}
}

// sameBGP tells whether two advertisements differ in nothing but their names.
func sameBGP(a, o *BGPAdvertisement) bool {
	return a.AggregationLength == o.AggregationLength && a.AggregationLengthV6 == o.AggregationLengthV6 && a.LocalPref == o.LocalPref &&
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
