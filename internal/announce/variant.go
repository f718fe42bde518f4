package announce

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// variant is what one advertisement does for Services that differ from others in what they ask for or in how many endpoints they have here.
// Thousands of Services share one. The routes of each carry a mark of its own in place of the advertisement's.
type variant struct {
	ad     *advertisement
	wish   wish
	policy Policy
	// usual tells that its policies are there whatever Services there are.
	usual bool
}

// wish is how a variant differs from its advertisement; the zero wish is the advertisement itself. It is comparable.
type wish struct {
	// Communities are more of them, sorted, in text.
	Communities string
	// LocalPref 0 and Prepend 0 leave what the advertisement says.
	LocalPref uint32
	Prepend   int
	// Never tells that nothing is prepended though the advertisement says so.
	Never bool
	MED   intent.MED
	// Bandwidth is what the link-bandwidth community says, in Mbit/s; 0 for none.
	Bandwidth uint32
}

// String tells the wish from all others, and people what it is.
func (w wish) String() string {
	var parts []string
	if w.Communities != "" {
		parts = append(parts, "communities "+w.Communities)
	}
	if w.LocalPref != 0 {
		parts = append(parts, fmt.Sprintf("localPref %d", w.LocalPref))
	}
	if w.Prepend != 0 || w.Never {
		parts = append(parts, fmt.Sprintf("asPathPrepend %d", w.Prepend))
	}
	if w.MED.Set {
		parts = append(parts, fmt.Sprintf("med %d", w.MED.Value))
	}
	if w.Bandwidth != 0 {
		parts = append(parts, fmt.Sprintf("%d Mbit/s", w.Bandwidth))
	}
	return strings.Join(parts, ", ")
}

// maxVariants is how many variants a node makes under one configuration. Each is an entry of every neighbor's policy, so it is the fence around
// what Services may cause; what an advertisement allows is the gate.
const maxVariants = 1000

// variant returns the advertisement's variant for a wish; nil when there are too many already.
func (s *scope) variant(ad *advertisement, w wish, more []intent.Community) *variant {
	if v := ad.variants[w]; v != nil {
		return v
	}
	p := Policy{
		Advertisement: ad.Name, Variant: w.String(), Tag: ad.tag, Communities: ad.Communities, ExtCommunities: ad.ExtCommunities,
		LocalPref: cmp.Or(w.LocalPref, ad.LocalPref), ASPathPrepend: cmp.Or(w.Prepend, ad.ASPathPrepend), MED: ad.MED, LinkBandwidth: w.Bandwidth,
	}
	if p.Variant != "" {
		if len(s.byTag) >= maxVariants+max(s.usuals, len(s.ads)) {
			return nil
		}
		// No name contains a newline.
		p.Tag = TagOf(ad.Name + "\n" + p.Variant)
	}
	if len(more) > 0 {
		p.Communities = slices.Concat(p.Communities, more)
		slices.SortFunc(p.Communities, intent.Community.Compare)
		p.Communities = slices.Compact(p.Communities)
	}
	if w.Never {
		p.ASPathPrepend = 0
	}
	if w.MED.Set {
		p.MED = w.MED
	}
	v := &variant{ad: ad, wish: w, policy: p}
	ad.variants[w], s.byTag[p.Tag] = v, v
	return v
}

// usualEndpoints is for how many local endpoints the policies of an advertisement with linkBandwidth are there before a Service has so many: so
// endpoints that come and go change, as a rule, no policy.
const usualEndpoints = 8

// usual returns the variants of an advertisement that exist whatever Services there are.
func (s *scope) usual(ad *advertisement) []*variant {
	wishes := []wish{{}}
	for n := range usualEndpoints {
		if w := (wish{Bandwidth: ad.bandwidth(n + 1)}); w != wishes[len(wishes)-1] {
			wishes = append(wishes, w)
		}
	}
	var all []*variant
	for _, w := range wishes {
		if v := s.variant(ad, w, nil); v != nil {
			v.usual = true
			all = append(all, v)
		}
	}
	return all
}

// maxBandwidth is the most that FRR 8.4 can say, in Mbit/s.
const maxBandwidth = 25600

// bandwidth returns what the link-bandwidth community says for so many local endpoints.
func (a *advertisement) bandwidth(endpoints int) uint32 {
	return uint32(min(uint64(endpoints)*uint64(a.LinkBandwidth), maxBandwidth))
}

// reconcile leaves at most one variant of each advertisement in a list of tags: Services that share an address may ask for different things.
// What they agree on stays, communities are put together, the least bandwidth counts; for the rest it is as the advertisement says.
func (s *scope) reconcile(tags []Tag) []Tag {
	byAd := map[*advertisement][]*variant{}
	mixed := false
	for _, tag := range tags {
		v := s.byTag[tag]
		byAd[v.ad] = append(byAd[v.ad], v)
		mixed = mixed || len(byAd[v.ad]) > 1
	}
	if !mixed {
		return tags
	}
	var out []Tag
	for ad, list := range byAd {
		out = append(out, s.agreed(ad, list).policy.Tag)
	}
	slices.SortFunc(out, Tag.Compare)
	return out
}

// agreed returns the variant for a route that several variants of one advertisement ask for.
func (s *scope) agreed(ad *advertisement, list []*variant) *variant {
	if len(list) == 1 {
		return list[0]
	}
	w := list[0].wish
	more := list[0].policy.Communities
	for _, v := range list[1:] {
		o := v.wish
		if w.LocalPref != o.LocalPref {
			w.LocalPref = 0
		}
		if w.Prepend != o.Prepend || w.Never != o.Never {
			w.Prepend, w.Never = 0, false
		}
		if w.MED != o.MED {
			w.MED = intent.MED{}
		}
		w.Bandwidth = min(w.Bandwidth, o.Bandwidth)
		more = slices.Concat(more, v.policy.Communities)
	}
	more = slices.DeleteFunc(slices.Clone(more), func(c intent.Community) bool { return slices.Contains(ad.Communities, c) })
	slices.SortFunc(more, intent.Community.Compare)
	more = slices.Compact(more)
	w.Communities = communityTexts(more)
	if v := s.variant(ad, w, more); v != nil {
		return v
	}
	return s.variant(ad, wish{}, nil)
}

func communityTexts(list []intent.Community) string {
	texts := make([]string, len(list))
	for i, c := range list {
		texts[i] = c.String()
	}
	return strings.Join(texts, " ")
}

// needed returns the variants that prefixes carry and that are not usual, sorted by tag.
func (s *scope) needed(routers []Router) []*variant {
	if len(s.byTag) == s.usuals {
		return nil
	}
	found := map[*variant]bool{}
	for i := range routers {
		var last []Tag
		for _, p := range routers[i].Prefixes {
			if len(last) > 0 && &last[0] == &p.Tags[0] {
				continue // most share one list
			}
			last = p.Tags
			for _, tag := range last {
				if v := s.byTag[tag]; !v.usual {
					found[v] = true
				}
			}
		}
	}
	return slices.SortedFunc(maps.Keys(found), func(a, b *variant) int { return a.policy.Tag.Compare(b.policy.Tag) })
}

// policies are those of every advertisement that this node makes to a peer, whether or not a Service uses it now, so the first Service does
// not change a policy; and of the variants that Services need, which are there only while they do.
func (s *scope) policies(peer string, needed []*variant) []Policy {
	var policies []Policy
	for _, ad := range s.ads {
		if !ad.reaches(peer) {
			continue
		}
		for _, v := range ad.usual {
			policies = append(policies, v.policy)
		}
		for _, v := range needed {
			if v.ad == ad {
				policies = append(policies, v.policy)
			}
		}
	}
	return policies
}
