package intent

import (
	"fmt"
	"slices"
)

// attribute is one of those attributes of a route of which there can be only one value.
type attribute struct {
	rule  Rule
	field string
	// value returns what an advertisement sets, set whether it sets anything.
	value func(*BGPAdvertisement) (value uint32, set bool)
	// to tells whether the attribute is sent to a peer; nil means to all, as far as two advertisements contradict each other.
	to func(*Peer) bool
}

func attributes() []attribute {
	return []attribute{
		{RuleLocalPref, "spec.localPref", func(ad *BGPAdvertisement) (uint32, bool) { return ad.LocalPref, ad.LocalPref != 0 }, nil},
		{
			RulePrependDiffers, "spec.asPathPrepend", func(ad *BGPAdvertisement) (uint32, bool) { return uint32(ad.ASPathPrepend), ad.ASPathPrepend != 0 },
			func(p *Peer) bool { return !p.Internal() },
		},
		{RuleMEDDiffers, "spec.med", func(ad *BGPAdvertisement) (uint32, bool) { return ad.MED.Value, ad.MED.Set }, nil},
		{RuleLinkBandwidthDiffers, "spec.linkBandwidth.perEndpoint", func(ad *BGPAdvertisement) (uint32, bool) { return ad.LinkBandwidth, ad.LinkBandwidth != 0 }, nil},
	}
}

// dropContradictions takes those pools from the advertisement for which an older one sends the same routes to the same peers from the same
// nodes with another value of an attribute that can have only one (rule B4). Unset is not a value. Advertisements for chosen Services may be
// meant for different ones; where they meet is known only when addresses are announced.
func (b *builder) dropContradictions(a *about, ad *BGPAdvertisement, nodes nodeSet) {
	if len(ad.Services) > 0 {
		return
	}
	for _, attr := range attributes() {
		value, set := attr.value(ad)
		for i := range b.BGPAdvertisements {
			other := &b.BGPAdvertisements[i]
			theirs, has := attr.value(other)
			if !set || !has || value == theirs || len(other.Services) > 0 || !nodes.meets(b.adNodes[i]) || !b.sharePeer(ad.Peers, other.Peers, attr.to) {
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
				a.conflict(attr.rule, attr.field, fmt.Sprint(value), fmt.Sprintf(
					"the older BGPAdvertisement %s/%s has %d for the same routes of IPAddressPool %s; the pool is left out of this advertisement", a.ref.Namespace, other.Name, theirs, name))
				return true
			})
		}
	}
}

// sharePeer tells whether two lists of peers, empty for all, have one in common; of those in force, one that to accepts, unless that is nil.
func (b *builder) sharePeer(x, y []string, to func(*Peer) bool) bool {
	if to == nil {
		return len(x) == 0 || len(y) == 0 || slices.ContainsFunc(x, func(name string) bool { return slices.Contains(y, name) })
	}
	return slices.ContainsFunc(b.Peers, func(p Peer) bool { return names(x, p.Name) && names(y, p.Name) && to(&p) })
}

// warnOfNoEffect warns of attributes that none of the peers gets: localPref is sent over iBGP sessions only (RFC 4271 section 5.1.5), and the
// AS path grows on eBGP sessions only.
func (b *builder) warnOfNoEffect(a *about, ad *BGPAdvertisement) {
	external, internal := "", ""
	for i := range b.Peers {
		switch p := &b.Peers[i]; {
		case !names(ad.Peers, p.Name):
		case p.Internal():
			internal = p.Name
		default:
			external = p.Name
		}
	}
	if ad.LocalPref != 0 && internal == "" && external != "" {
		a.warn(RuleLocalPrefExternal, "spec.localPref", fmt.Sprint(ad.LocalPref), fmt.Sprintf("is sent over iBGP sessions only, and BGPPeer %s, like all others that this advertisement is for, is eBGP", external))
	}
	if ad.ASPathPrepend != 0 && external == "" && internal != "" {
		a.warn(RulePrependInternal, "spec.asPathPrepend", fmt.Sprint(ad.ASPathPrepend), fmt.Sprintf("is done on eBGP sessions only, and BGPPeer %s, like all others that this advertisement is for, is iBGP", internal))
	}
}
