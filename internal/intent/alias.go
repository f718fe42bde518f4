package intent

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// alias is a name for a community, with the Community object that defines it.
type alias struct {
	Name   string
	Value  Community
	object string
}

// reservedASN is what large communities that mark prefixes inside a node's own RIB begin with (see announce.TagASN). They are removed from
// what the node sends, so users can't use them.
const reservedASN = 4294967295

// largePrefix marks the text of a large community.
const largePrefix = "large:"

const wantedCommunity = "must be a:b with numbers of 0 to 65535, large:a:b:c with numbers of 0 to 4294967295, or a well-known name such as no-export"

// parseCommunity reads "a:b", "large:a:b:c" or a well-known name.
func parseCommunity(text string) (Community, bool) {
	if c, known := wellKnown[text]; known {
		return c, true
	}
	rest, large := strings.CutPrefix(text, largePrefix)
	count, size := 2, 16
	if large {
		count, size = 3, 32
	}
	parts := strings.Split(rest, ":")
	if len(parts) != count {
		return Community{}, false
	}
	var numbers [3]uint32
	for i, part := range parts {
		// ParseUint alone would take "+1" for a number in no base, and underscores in base 0; base 10 takes digits only.
		n, err := strconv.ParseUint(part, 10, size)
		if err != nil {
			return Community{}, false
		}
		numbers[i] = uint32(n)
	}
	return Community{Large: large, A: numbers[0], B: numbers[1], C: numbers[2]}, true
}

// community reads a community and reports one that can't be used.
func (a *about) community(field, text string) (Community, bool) {
	c, ok := parseCommunity(text)
	if !ok {
		a.invalid(RuleCommunity, field, quote(text), wantedCommunity)
		return c, false
	}
	if c.Large && c.A == reservedASN {
		a.invalid(RuleCommunityReserved, field, quote(text), fmt.Sprintf("large communities of AS %d mark prefixes inside the node and are never sent; RFC 7300 reserves that AS", uint32(reservedASN)))
		return c, false
	}
	return c, true
}

// parseAliases checks a Community object by itself.
func parseAliases(a *about, raw *RawCommunity) []alias {
	const field = "spec.communities"
	var out []alias
	names := make([]string, len(raw.Aliases))
	for i, entry := range raw.Aliases {
		names[i] = entry.Name
		if entry.Name == "" {
			a.invalid(RuleAliasName, item(field, i)+".name", "empty", "must be the name that BGPAdvertisements use in place of the value")
		}
		if value, ok := a.community(item(field, i)+".value", entry.Value); ok {
			out = append(out, alias{Name: entry.Name, Value: value, object: raw.Name})
		}
	}
	a.distinct(field, names)
	return out
}

// useAliases makes the object's aliases known, but for those that an older object defines.
func (b *builder) useAliases(a *about, list []alias, _ bool) ([]alias, bool) {
	for i, entry := range list {
		if older, ok := b.aliases[entry.Name]; ok {
			a.conflict(RuleDuplicateAlias, item("spec.communities", i)+".name", quote(entry.Name), fmt.Sprintf(
				"the older Community %s/%s defines it as %s; this definition is left out", a.ref.Namespace, older.object, older.Value))
			continue
		}
		b.aliases[entry.Name] = entry
	}
	return list, true
}

// maxCommunities is how many communities one advertisement may carry, as in MetalLB.
const maxCommunities = 63

// communities resolves what an advertisement asks for. ok is false when the advertisement can't be used.
func (b *builder) communities(a *about, list []string) (resolved []Community, ok bool) {
	ok = true
	for i, text := range list {
		c, valid := b.community(a, item("spec.communities", i), text)
		resolved, ok = append(resolved, c), ok && valid
	}
	slices.SortFunc(resolved, Community.Compare)
	resolved = slices.Compact(resolved)
	if len(resolved) > maxCommunities {
		a.invalid(RuleCommunityCount, "spec.communities", fmt.Sprintf("a list of %d communities", len(resolved)), fmt.Sprintf("must be at most %d", maxCommunities))
		ok = false
	}
	return resolved, ok
}

// community resolves one community: an alias, a well-known name or numbers.
func (b *builder) community(a *about, field, text string) (c Community, ok bool) {
	if known, found := b.aliases[text]; found {
		return known.Value, true
	}
	if _, known := wellKnown[text]; !known && !strings.Contains(text, ":") {
		a.unresolved(RuleCommunityAlias, field, quote(text), "no Community object defines this alias; "+wantedCommunity+", or an alias")
		return c, false
	}
	return a.community(field, text)
}
