package intent

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// poolChoice is how an advertisement says which pools it is for: by name or by label; neither means all.
type poolChoice struct {
	Names     []string
	Selectors selector.Set
}

// parsedBGPAdvertisement is an advertisement that is valid by itself; what it refers to is looked up when it is put to use.
type parsedBGPAdvertisement struct {
	// Ad holds everything but Pools and Peers; its Communities are as they were when it was last in force.
	Ad          BGPAdvertisement
	Pools       poolChoice
	Peers       []string
	Communities []string
	// Choices are the communities that Services may choose from.
	Choices []string
}

// parsedL2Advertisement is the same for layer 2.
type parsedL2Advertisement struct {
	Ad    L2Advertisement
	Pools poolChoice
}

// Prefix lengths of single addresses, per family as familyIndex numbers them.
func hostLengths() [2]int { return [2]int{32, 128} }

// parseBGPAdvertisement checks a BGPAdvertisement by itself.
func parseBGPAdvertisement(a *about, raw *RawBGPAdvertisement) parsedBGPAdvertisement {
	host := hostLengths()
	p := parsedBGPAdvertisement{
		Ad: BGPAdvertisement{
			Name:                raw.Name,
			AggregationLength:   a.aggregation("spec.aggregationLength", raw.AggregationLength, host[0]),
			AggregationLengthV6: a.aggregation("spec.aggregationLengthV6", raw.AggregationLengthV6, host[1]),
			LocalPref:           raw.LocalPref,
			ASPathPrepend:       a.prepend("spec.asPathPrepend", raw.ASPathPrepend),
			MED:                 a.med("spec.med", raw.MED),
			ExtCommunities:      a.extCommunities("spec.extCommunities", raw.ExtCommunities),
			Nodes:               a.selectors("spec.nodeSelectors", raw.NodeSelectors),
			Services:            a.selectors("spec.serviceSelectors", raw.ServiceSelectors),
		},
		Pools:       a.poolChoice(raw.Pools, raw.PoolSelectors),
		Peers:       raw.Peers,
		Communities: raw.Communities,
	}
	a.linkBandwidth(&p.Ad, raw)
	a.overrides(&p, raw)
	a.distinct("spec.peers", raw.Peers)
	a.distinct("spec.communities", raw.Communities)
	a.distinct("spec.extCommunities", raw.ExtCommunities)
	if len(raw.ServiceSelectors) > 0 && (p.Ad.AggregationLength != host[0] || p.Ad.AggregationLengthV6 != host[1]) {
		a.invalid(RuleServiceAggregation, "spec.serviceSelectors", fmt.Sprintf("given with aggregation lengths %d and %d", p.Ad.AggregationLength, p.Ad.AggregationLengthV6),
			"an aggregate covers Services that are not selected; use 32 and 128, or no serviceSelectors")
	}
	return p
}

// maxPrepend is how often an AS may be prepended at most: more makes no router choose otherwise, and many refuse long paths.
const maxPrepend = 10

func (a *about) prepend(field string, times int32) int {
	if times < 0 || times > maxPrepend {
		a.invalid(RulePrepend, field, fmt.Sprint(times), fmt.Sprintf("must be 0 to %d", maxPrepend))
		return 0
	}
	return int(times)
}

func (a *about) med(field string, value *int64) MED {
	if value == nil {
		return MED{}
	}
	if *value < 0 || *value > math.MaxUint32 {
		a.invalid(RuleMED, field, fmt.Sprint(*value), "must be 0 to 4294967295")
		return MED{}
	}
	return MED{Set: true, Value: uint32(*value)}
}

func (a *about) extCommunities(field string, list []string) []ExtCommunity {
	var out []ExtCommunity
	for i, text := range list {
		c, ok := parseExtCommunity(text)
		if !ok {
			a.invalid(RuleExtCommunity, item(field, i), quote(text), wantedExtCommunity)
			continue
		}
		out = append(out, c)
	}
	slices.SortFunc(out, ExtCommunity.Compare)
	return slices.Compact(out)
}

// poolChoice reads ipAddressPools and ipAddressPoolSelectors.
func (a *about) poolChoice(names []string, selectors []RawSelector) poolChoice {
	a.distinct("spec.ipAddressPools", names)
	return poolChoice{Names: names, Selectors: a.selectors("spec.ipAddressPoolSelectors", selectors)}
}

// aggregation checks a prefix length.
func (a *about) aggregation(field string, length *int32, longest int) int {
	if length == nil {
		return longest
	}
	if *length < 1 || int(*length) > longest {
		a.invalid(RuleAggregation, field, fmt.Sprint(*length), fmt.Sprintf("must be 1 to %d", longest))
	}
	return int(*length)
}

// parseL2Advertisement checks an L2Advertisement by itself.
func parseL2Advertisement(a *about, raw *RawL2Advertisement) parsedL2Advertisement {
	ad := L2Advertisement{
		Name:       raw.Name,
		Interfaces: raw.Interfaces,
		Nodes:      a.selectors("spec.nodeSelectors", raw.NodeSelectors),
		Services:   a.selectors("spec.serviceSelectors", raw.ServiceSelectors),
	}
	switch raw.Placement {
	case "", "Hash":
	case "Balanced":
		ad.Balanced = true
	default:
		a.invalid(RulePlacement, "spec.placement", quote(raw.Placement), "must be Hash or Balanced")
	}
	a.distinct("spec.interfaces", raw.Interfaces)
	for i, name := range raw.Interfaces {
		if !isDeviceName(name) {
			a.invalid(RuleInterface, item("spec.interfaces", i), quote(name), wantedDevice)
		}
	}
	for i, preferred := range raw.Preferences {
		field := item("spec.preferredNodeSelectors", i)
		if preferred.Weight < 1 || preferred.Weight > 100 {
			a.invalid(RuleWeight, field+".weight", fmt.Sprint(preferred.Weight), "must be 1 to 100")
		}
		if s := a.selector(field+".preference", preferred.Selector); s != nil {
			ad.Preferences = append(ad.Preferences, NodePreference{Weight: int(preferred.Weight), Selector: s})
		}
	}
	return parsedL2Advertisement{Ad: ad, Pools: a.poolChoice(raw.Pools, raw.PoolSelectors)}
}

// useL2Advertisement looks up the pools of an advertisement and puts it into the Snapshot. One for which there is
// no pool, and was none either, is not in the Snapshot, because it announces nothing.
func (b *builder) useL2Advertisement(a *about, p parsedL2Advertisement, _ bool) (parsedL2Advertisement, bool) {
	p.Ad.Pools, p.Ad.FormerPools = b.poolsOf(a, p.Pools)
	a.matchesNothing(b.nodesOf(p.Ad.Nodes), b)
	if len(p.Ad.Pools) == 0 {
		if !p.Ad.none() {
			b.L2Advertisements = append(b.L2Advertisements, p.Ad)
		}
		return p, true
	}
	for i := range b.L2Advertisements {
		if other := &b.L2Advertisements[i]; sameL2(other, &p.Ad) {
			a.equal(other.Name)
			return p, true
		}
	}
	b.L2Advertisements = append(b.L2Advertisements, p.Ad)
	return p, true
}

// pool returns a pool that is in force, nil when there is none of the name. It may be called once all pools are settled.
func (b *builder) pool(name string) *Pool {
	at, ok := slices.BinarySearchFunc(b.Pools, name, func(p Pool, name string) int { return strings.Compare(p.Name, name) })
	if !ok {
		return nil
	}
	return &b.Pools[at]
}

// poolsOf returns the names of the pools in force that an advertisement is for, sorted, and what it says of others.
func (b *builder) poolsOf(a *about, choice poolChoice) (out []string, former FormerPools) {
	for i, name := range choice.Names {
		if b.pool(name) == nil {
			a.unresolved(RulePoolMissing, item("spec.ipAddressPools", i), quote(name), b.missing(KindPool, a.ref.Namespace, name)+rest(len(choice.Names), len(choice.Selectors)))
			former.Missing = append(former.Missing, name)
			continue
		}
		out = append(out, name)
	}
	for i, one := range choice.Selectors {
		matched := false
		for j := range b.Pools {
			if one.Matches(b.Pools[j].Labels) {
				out, matched = append(out, b.Pools[j].Name), true
			}
		}
		if !matched {
			a.warn(RuleMatchesNothing, item("spec.ipAddressPoolSelectors", i), quote(one.String()), "no IPAddressPool that is in force matches")
		}
	}
	if former.All = len(choice.Names) == 0 && len(choice.Selectors) == 0; former.All {
		for i := range b.Pools {
			out = append(out, b.Pools[i].Name)
		}
	}
	slices.Sort(out)
	slices.Sort(former.Missing)
	return slices.Compact(out), former
}

// rest says what an unknown name means for an advertisement that names count things, and others by selectors.
func rest(count, selectors int) string {
	if count+selectors > 1 {
		return "; the others are used"
	}
	return "; the advertisement announces nothing"
}
