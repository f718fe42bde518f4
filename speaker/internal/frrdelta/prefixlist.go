package frrdelta

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// prefixListID names a prefix-list; the two families have names of their own.
type prefixListID struct{ family, name string } // family is "ip" or "ipv6"

func (id prefixListID) command() string { return id.family + " prefix-list " + id.name }

// prefixList takes an entry of a prefix-list.
func (p *parser) prefixList(w []string) bool {
	id := prefixListID{family: w[0], name: w[2]}
	rest := w[3:]
	seq := 0
	if len(rest) > 2 && rest[0] == "seq" {
		n, err := strconv.Atoi(rest[1])
		if err != nil || n < 1 {
			return false
		}
		seq, rest = n, rest[2:]
	}
	canon, ok := canonicalEntry(id.family, rest)
	if !ok {
		return false
	}
	entries := p.config.prefixLists[id]
	for n, e := range entries {
		if e.canon == canon && n != seq {
			return true // FRR keeps the first of two equal entries
		}
	}
	if seq == 0 {
		for n := range entries { // FRR's rule for an entry without a number
			seq = max(seq, n)
		}
		seq = seq/5*5 + 5
	}
	if entries == nil {
		entries = map[int]stmt{}
		p.config.prefixLists[id] = entries
	}
	place := id.command() + " seq " + strconv.Itoa(seq)
	entries[seq] = stmt{canon: canon, set: place + " " + strings.Join(rest, " "), unset: "no " + place}
	return true
}

// canonicalEntry writes out which lengths an entry is about: there are several
// ways to say one thing. w begins with "permit" or "deny".
func canonicalEntry(family string, w []string) (canon string, ok bool) {
	if len(w) < 2 || w[0] != "permit" && w[0] != "deny" {
		return "", false
	}
	text, bounds := w[1], w[2:]
	if text == "any" {
		if len(w) > 2 {
			return "", false
		}
		all := map[string][]string{"ip": {"0.0.0.0/0", "le", "32"}, "ipv6": {"::/0", "le", "128"}}[family]
		text, bounds = all[0], all[1:]
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4() != (family == "ip") {
		return "", false
	}
	shortest, longest, ok := lengths(prefix, bounds)
	return fmt.Sprintf("%s %s %d-%d", w[0], prefix.Masked(), shortest, longest), ok
}

// lengths reads what follows the prefix of an entry: "ge N", "le N", both or
// nothing.
func lengths(prefix netip.Prefix, bounds []string) (shortest, longest int, ok bool) {
	given := map[string]int{}
	for len(bounds) >= 2 {
		n, err := strconv.Atoi(bounds[1])
		if err != nil || n < prefix.Bits() || n > prefix.Addr().BitLen() || bounds[0] != "ge" && bounds[0] != "le" {
			return 0, 0, false
		}
		given[bounds[0]] = n
		bounds = bounds[2:]
	}
	shortest, longest = prefix.Bits(), prefix.Bits()
	if ge, ok := given["ge"]; ok {
		shortest, longest = ge, prefix.Addr().BitLen()
	}
	if le, ok := given["le"]; ok {
		longest = le
	}
	return shortest, longest, len(bounds) == 0
}

// prefixListChanges are what prefix-lists need: what makes them right before
// route-maps use them, and the removal of those that nothing uses any more.
// changed takes the names of lists that come to another result.
func prefixListChanges(daemon string, have, want map[prefixListID]map[int]stmt, changed map[string]bool) (first, last []Step) {
	ids := map[prefixListID]bool{}
	for _, lists := range []map[prefixListID]map[int]stmt{have, want} {
		for id := range lists {
			ids[id] = true
		}
	}
	for _, id := range slices.SortedFunc(maps.Keys(ids), func(a, b prefixListID) int { return strings.Compare(a.command(), b.command()) }) {
		if len(want[id]) == 0 {
			changed[id.name] = true
			last = append(last, Step{Daemon: daemon, Lines: []string{"no " + id.command()}})
			continue
		}
		if lines := entryChanges(have[id], want[id]); len(lines) > 0 {
			changed[id.name] = true
			first = append(first, Step{Daemon: daemon, Lines: lines})
		}
	}
	return first, last
}

// entryChanges leads from one list of entries to the other. FRR refuses an entry
// that the list has at another number, so one that moves is taken away first; all
// others that go stay until those that come are there.
func entryChanges(have, want map[int]stmt) []string {
	wanted := map[string]int{}
	for seq, e := range want {
		wanted[e.canon] = seq
	}
	var moved, set, gone []string
	for _, seq := range slices.Sorted(maps.Keys(have)) {
		e := have[seq]
		if want[seq].canon == e.canon {
			continue
		}
		if _, elsewhere := wanted[e.canon]; elsewhere {
			moved = append(moved, e.unset)
		} else if want[seq].canon == "" {
			gone = append(gone, e.unset)
		}
	}
	for _, seq := range slices.Sorted(maps.Keys(want)) {
		if have[seq].canon != want[seq].canon {
			set = append(set, want[seq].set)
		}
	}
	return slices.Concat(moved, set, gone)
}
