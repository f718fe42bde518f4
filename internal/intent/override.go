package intent

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// What one advertisement may leave to Services. Every combination in use is an entry of each neighbor's policy.
const (
	maxChoices = 16
	maxSpan    = 255
)

// maxLinkBandwidth is the most that FRR 8.4 can say, in Mbit/s.
const maxLinkBandwidth = 25600

// wantedWhole says why an aggregate and what depends on one Service exclude each other.
const wantedWhole = "an aggregate is the route of many Services; use 32 and 128"

func (a *about) linkBandwidth(ad *BGPAdvertisement, raw *RawBGPAdvertisement) {
	if raw.LinkBandwidth == nil {
		return
	}
	const field = "spec.linkBandwidth"
	if n := *raw.LinkBandwidth; n < 1 || n > maxLinkBandwidth {
		a.invalid(RuleLinkBandwidth, field+".perEndpoint", fmt.Sprint(n), fmt.Sprintf("must be 1 to %d Mbit/s", maxLinkBandwidth))
		return
	}
	a.alone(RuleLinkBandwidth, field, ad)
	ad.LinkBandwidth = uint32(*raw.LinkBandwidth)
}

// alone reports that an advertisement with aggregates has a field that is about single Services.
func (a *about) alone(rule Rule, field string, ad *BGPAdvertisement) {
	if host := hostLengths(); ad.AggregationLength != host[0] || ad.AggregationLengthV6 != host[1] {
		a.invalid(rule, field, fmt.Sprintf("given with aggregation lengths %d and %d", ad.AggregationLength, ad.AggregationLengthV6), wantedWhole+", or no "+field)
	}
}

func (a *about) overrides(p *parsedBGPAdvertisement, raw *RawBGPAdvertisement) {
	o := raw.Overrides
	if o == nil {
		return
	}
	const field = "spec.serviceOverrides"
	p.Choices = o.Communities
	a.distinct(field+".communities", o.Communities)
	if len(o.Communities) > maxChoices {
		a.invalid(RuleServiceOverrides, field+".communities", fmt.Sprintf("a list of %d communities", len(o.Communities)), fmt.Sprintf("must be at most %d", maxChoices))
	}
	p.Ad.Overrides.MaxASPathPrepend = a.prepend(field+".maxASPathPrepend", o.MaxASPathPrepend)
	p.Ad.Overrides.MED = a.span(field+".med", o.MED, 0)
	p.Ad.Overrides.LocalPref = a.span(field+".localPref", o.LocalPref, 1)
	a.alone(RuleServiceOverrides, field, &p.Ad)
}

// span reads a range whose numbers are at least the least.
func (a *about) span(field string, r *RawRange, least int64) Span {
	if r == nil {
		return Span{}
	}
	if r.Min < least || r.Max > math.MaxUint32 || r.Max < r.Min || r.Max-r.Min > maxSpan {
		a.invalid(RuleServiceOverrides, field, fmt.Sprintf("%d to %d", r.Min, r.Max),
			fmt.Sprintf("must be two numbers of %d to 4294967295, the first not above the second and at most %d below it", least, maxSpan))
		return Span{}
	}
	return Span{Set: true, Min: uint32(r.Min), Max: uint32(r.Max)}
}

// choices resolves the communities that Services may choose from. ok is false when the advertisement can't be used.
func (b *builder) choices(a *about, list []string) (allowed []AllowedCommunity, ok bool) {
	ok = true
	for i, text := range list {
		c, valid := b.community(a, item("spec.serviceOverrides.communities", i), text)
		allowed, ok = append(allowed, AllowedCommunity{Text: text, Value: c}), ok && valid
	}
	slices.SortFunc(allowed, func(x, y AllowedCommunity) int { return strings.Compare(x.Text, y.Text) })
	return allowed, ok
}

func sameOverrides(a, o *Overrides) bool {
	return a.MaxASPathPrepend == o.MaxASPathPrepend && a.MED == o.MED && a.LocalPref == o.LocalPref && slices.Equal(a.Communities, o.Communities)
}
