package frrconf

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// sendMark is what the entries of a neighbor's route-map put on a prefix that is to be sent. No advertisement has it: that would take a
// name whose SHA-256 begins with 64 zero bits.
var sendMark = announce.Tag{}

// prependMark is what entries put on a prefix whose AS path is to grow by so many numbers, 1 or more. The path itself grows in the entry that
// sends: so two advertisements that ask for the same do not add up. No advertisement has it either.
func prependMark(times int) announce.Tag { return announce.Tag{Low: uint32(times)} }

// prepend is a prependMark in use.
type prepend struct {
	Times     int
	List, Tag string
}

// anyMark is a regular expression for every mark.
var anyMark = "^" + strconv.FormatUint(announce.TagASN, 10) + ":"

// lastSeq is the number of the entry that sends; before it come, for longer AS paths, others that send, and before those the entries of
// advertisements.
const lastSeq = 65535

// marks knows the advertisements by name and tag, and collects the sets of tags that prefixes carry.
type marks struct {
	// advertisements are sorted by the name of their list, variants among them.
	advertisements []advertisement
	// prepends are in the order of Times.
	prepends []prepend
	byTag    map[announce.Tag]*advertisement
	sets     map[string]*set
	// key is scratch space.
	key []byte
}

// set is a route-map that puts the marks of some advertisements on a prefix.
type set struct {
	// Name is derived from the tags alone.
	Name string
	// Advertisements and Tags are texts.
	Advertisements, Tags string
}

func newMarks(bgp announce.BGP) *marks {
	m := &marks{byTag: map[announce.Tag]*advertisement{}, sets: map[string]*set{}}
	longer := map[int]bool{}
	for _, r := range bgp.Routers {
		for i := range r.Neighbors {
			n := &r.Neighbors[i]
			for _, p := range n.Policies {
				longer[prepends(n, &p)] = true
				if _, known := m.byTag[p.Tag]; !known {
					m.byTag[p.Tag] = nil // until all are there
					m.advertisements = append(m.advertisements, newAdvertisement(&p))
				}
			}
		}
	}
	slices.SortFunc(m.advertisements, func(a, b advertisement) int { return cmp.Compare(a.List, b.List) })
	for i := range m.advertisements {
		m.byTag[m.advertisements[i].Tag] = &m.advertisements[i]
	}
	delete(longer, 0)
	for _, times := range slices.Sorted(maps.Keys(longer)) {
		m.prepends = append(m.prepends, prepend{Times: times, List: "ml-prepend-" + strconv.Itoa(times), Tag: prependMark(times).String()})
	}
	m.number()
	return m
}

// number gives every advertisement its place in route-maps. It is derived from the tag, so that an advertisement that comes or goes does
// not move the entries of others: while an entry is rewritten line by line it would say something that nobody asked for.
func (m *marks) number() {
	taken := map[int]bool{}
	for _, p := range m.prepends {
		taken[lastSeq-p.Times] = true
	}
	for i := range m.advertisements {
		ad := &m.advertisements[i]
		ad.Seq = 1 + int(ad.Tag.High%(lastSeq-1))
		for taken[ad.Seq] {
			ad.Seq = 1 + ad.Seq%(lastSeq-1)
		}
		taken[ad.Seq] = true
	}
}

// newAdvertisement returns the mark of a policy. "+" occurs in no advertisement's name.
func newAdvertisement(p *announce.Policy) advertisement {
	ad := advertisement{Name: p.Advertisement, Variant: p.Variant, Tag: p.Tag, List: "ml-ad-" + p.Advertisement}
	if p.Variant != "" {
		ad.List += fmt.Sprintf("+%08x%08x", p.Tag.High, p.Tag.Low)
	}
	return ad
}

// set returns the name of the route-map for a set of tags.
func (m *marks) set(tags []announce.Tag) string {
	if !slices.IsSortedFunc(tags, announce.Tag.Compare) {
		tags = slices.SortedFunc(slices.Values(tags), announce.Tag.Compare)
	}
	m.key = m.key[:0]
	for _, t := range tags {
		m.key = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(m.key, t.High), t.Low)
	}
	if s, ok := m.sets[string(m.key)]; ok {
		return s.Name
	}
	sum := sha256.Sum256(m.key)
	var names, texts []string
	for _, t := range tags {
		names = append(names, m.byTag[t].Name)
		texts = append(texts, t.String())
	}
	slices.Sort(names)
	s := &set{Name: "ml-set-" + hex.EncodeToString(sum[:8]), Tags: strings.Join(texts, " "), Advertisements: "BGPAdvertisement " + strings.Join(names, ", ")}
	m.sets[string(m.key)] = s
	return s.Name
}

// know takes in the sets of tags that the prefixes have.
func (m *marks) know(prefixes []announce.Prefix) {
	var last []announce.Tag
	for i := range prefixes {
		if tags := prefixes[i].Tags; !sameTags(tags, last) {
			m.set(tags)
			last = tags
		}
	}
}

func (m *marks) sorted() []*set {
	return slices.SortedFunc(maps.Values(m.sets), func(a, b *set) int { return cmp.Compare(a.Name, b.Name) })
}
