package members

import (
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/memberlist"
)

// The metadata that a member gossips: the mark of this program; after a plus the percentage that the node withholds, unless that is none; after
// an equals sign the names of its usable links in order, with a slash between them, which the kernel allows in no name. So "1" is a node that
// withholds nothing and whose links are unknown, "1=" one without usable link, "1+75=eth0/eth1" one that withholds 75 %. What stands between the
// mark and the equals sign and is not understood is left out. Speakers of MetalLB gossip nothing.
const (
	metaMark     = "1"
	metaWithheld = "+"
	metaLinks    = "="
	metaBetween  = "/"
)

// about is what a member says of its node.
type about struct {
	// links are the names of the usable links, nil when unknown.
	links []string
	// withheld is as Member.Withheld.
	withheld int
}

// encode returns the metadata. More links than fit into the 512 bytes of memberlist are unknown ones: a part of them would read as if the others
// were missing.
func (a about) encode() []byte {
	meta := metaMark
	if withheld := percent(a.withheld); withheld > 0 {
		meta += metaWithheld + strconv.Itoa(withheld)
	}
	if a.links == nil {
		return []byte(meta)
	}
	links := metaLinks + strings.Join(tidy(a.links), metaBetween)
	if len(meta)+len(links) > memberlist.MetaMaxSize {
		return []byte(meta)
	}
	return []byte(meta + links)
}

// decode returns what metadata says, and whether it is from a speaker of this program, which holds a line open for its peers.
func decode(meta []byte) (a about, own bool) {
	rest, own := strings.CutPrefix(string(meta), metaMark)
	if !own {
		return about{}, false
	}
	head, links, known := strings.Cut(rest, metaLinks)
	if text, ok := strings.CutPrefix(head, metaWithheld); ok {
		if n, err := strconv.Atoi(text); err == nil && n == percent(n) {
			a.withheld = n
		}
	}
	if known {
		a.links = tidy(strings.Split(links, metaBetween))
	}
	return a, true
}

// heard is what the others make of it.
func (a about) heard() about {
	heard, _ := decode(a.encode())
	return heard
}

// tidy returns the names in order, each once, and none that is empty.
func tidy(names []string) []string {
	names = slices.DeleteFunc(append([]string{}, names...), func(name string) bool { return name == "" })
	slices.Sort(names)
	return slices.Compact(names)
}

// percent returns the nearest whole percentage there is.
func percent(n int) int { return max(0, min(n, 100)) }
