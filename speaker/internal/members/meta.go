package members

import (
	"slices"
	"strings"

	"github.com/hashicorp/memberlist"
)

// The metadata that a member gossips: the mark of this program, then the names of its usable links in order, with a slash between them, which
// the kernel allows in no name. The mark alone says that the links are unknown. Speakers of MetalLB gossip nothing.
const (
	metaMark    = "1"
	metaStart   = "="
	metaBetween = "/"
)

// encodeMeta returns the metadata of a member with these usable links; nil links are unknown ones. So are more links than fit into the 512
// bytes of memberlist: a part of them would read as if the others were missing.
func encodeMeta(links []string) []byte {
	if links == nil {
		return []byte(metaMark)
	}
	links = slices.Clone(links)
	slices.Sort(links)
	meta := metaMark + metaStart + strings.Join(slices.Compact(links), metaBetween)
	if len(meta) > memberlist.MetaMaxSize {
		return []byte(metaMark)
	}
	return []byte(meta)
}

// decodeMeta returns the links that metadata names, nil when they are unknown, and whether it is from a speaker of this program, which holds a
// line open for its peers.
func decodeMeta(meta []byte) (links []string, own bool) {
	rest, own := strings.CutPrefix(string(meta), metaMark)
	if !own {
		return nil, false
	}
	list, known := strings.CutPrefix(rest, metaStart)
	switch {
	case !known:
		return nil, true
	case list == "":
		return []string{}, true
	}
	return strings.Split(list, metaBetween), true
}
