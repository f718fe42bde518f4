package intent

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// annotationAllowDisruption is where a pool says which edit, or that its deletion, may take live addresses away.
const annotationAllowDisruption = "metadata.annotations[metallb.io/allow-disruption]"

// permitted returns the generation that the pool's annotation names; ok is false when there is none that could be meant.
func (p *RawPool) permitted() (generation int64, ok bool) {
	generation, err := strconv.ParseInt(p.AllowDisruption, 10, 64)
	return generation, err == nil && generation > 0
}

// disruptive tells whether the user allowed live addresses to be lost to this version of the pool. The annotation names the generation of the
// object that is edited: the edit that carried it made the generation after it. Set by itself, which makes no new generation, it is about what
// the pool says now.
func (a *about) disruptive(raw *RawPool) bool {
	if raw.AllowDisruption == "" {
		return false
	}
	generation, ok := raw.permitted()
	if !ok || generation > raw.Generation {
		a.warn(RuleAllowDisruption, annotationAllowDisruption, quote(raw.AllowDisruption),
			fmt.Sprintf("has no effect: must be the metadata.generation of the object that is edited or deleted, at present %d", raw.Generation))
		return false
	}
	return generation == raw.Generation || generation == raw.Generation-1
}

// abandon lists the pools that were deleted with their user's leave to lose their addresses. Of the generation that the annotation names only
// the object itself can be meant here, not the one before it: that was the leave for an edit.
func (b *builder) abandon(raws []RawPool) {
	exists := map[string]bool{}
	for i := range raws {
		raw := &raws[i]
		if raw.Namespace != b.namespace {
			continue
		}
		exists[raw.Name] = true
		if generation, ok := raw.permitted(); ok && generation == raw.Generation {
			b.next.leaving[raw.Name] = true
		}
	}
	for _, were := range []map[string]bool{b.was.leaving, b.was.abandoned} {
		for name := range were {
			if !exists[name] {
				b.next.abandoned[name] = true
			}
		}
	}
	b.Abandoned = slices.Sorted(maps.Keys(b.next.abandoned))
}
