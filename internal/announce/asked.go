package announce

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// Asked is what a Service asks of its routes by annotations, as its user wrote it; "" is nothing. What becomes of it is up to the
// advertisements.
type Asked struct {
	// Communities is a list separated by commas.
	Communities, ASPathPrepend, MED, LocalPref string
}

// The annotations, as messages name them.
const (
	askedCommunities = "metallb.io/bgp-communities"
	askedPrepend     = "metallb.io/bgp-as-path-prepend"
	askedMED         = "metallb.io/bgp-med"
	askedLocalPref   = "metallb.io/bgp-local-pref"
)

// grant returns what of a Service's wishes the advertisement allows, and in words what it does not.
func (a *advertisement) grant(asked Asked) (w wish, more []intent.Community, refused []string) {
	refuse := func(annotation, found, wanted string) {
		refused = append(refused, fmt.Sprintf("%s is %q: wanted %s by BGPAdvertisement %s", annotation, found, wanted, a.Name))
	}
	o := &a.Overrides
	for text := range strings.SplitSeq(asked.Communities, ",") {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		if c, ok := o.Allows(text); ok {
			more = append(more, c)
		} else {
			refuse(askedCommunities, text, allowed(o))
		}
	}
	more = slices.DeleteFunc(more, func(c intent.Community) bool { return slices.Contains(a.Communities, c) })
	slices.SortFunc(more, intent.Community.Compare)
	more = slices.Compact(more)
	w.Communities = communityTexts(more)
	if text := asked.ASPathPrepend; text != "" {
		switch n, err := strconv.ParseUint(text, 10, 31); {
		case o.MaxASPathPrepend == 0:
			refuse(askedPrepend, text, "none, as spec.serviceOverrides.maxASPathPrepend is not set")
		case err != nil || int(n) > o.MaxASPathPrepend:
			refuse(askedPrepend, text, fmt.Sprintf("0 to %d, as allowed", o.MaxASPathPrepend))
		case int(n) != a.ASPathPrepend:
			w.Prepend, w.Never = int(n), n == 0
		}
	}
	if text := asked.MED; text != "" {
		if n, wanted := within(text, o.MED, "med"); wanted != "" {
			refuse(askedMED, text, wanted)
		} else if med := (intent.MED{Set: true, Value: n}); med != a.MED {
			w.MED = med
		}
	}
	if text := asked.LocalPref; text != "" {
		if n, wanted := within(text, o.LocalPref, "localPref"); wanted != "" {
			refuse(askedLocalPref, text, wanted)
		} else if n != a.LocalPref {
			w.LocalPref = n
		}
	}
	return w, more, refused
}

// within reads a number that must lie in a range; wanted is empty if it does.
func within(text string, r intent.Span, field string) (value uint32, wanted string) {
	n, err := strconv.ParseUint(text, 10, 32)
	switch {
	case !r.Set:
		return 0, "none, as spec.serviceOverrides." + field + " is not set"
	case err != nil || uint32(n) < r.Min || uint32(n) > r.Max:
		return 0, fmt.Sprintf("%d to %d, as allowed", r.Min, r.Max)
	}
	return uint32(n), ""
}

// allowed lists the communities that Services may choose.
func allowed(o *intent.Overrides) string {
	if len(o.Communities) == 0 {
		return "none, as spec.serviceOverrides.communities is empty"
	}
	texts := make([]string, len(o.Communities))
	for i, c := range o.Communities {
		texts[i] = c.Text
	}
	return "one of " + strings.Join(texts, ", ") + ", as allowed"
}
