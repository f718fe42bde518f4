package cache

import (
	"cmp"
	"slices"
	"time"
)

// entry is one folder of the cache and when it was last asked for.
type entry struct {
	path string
	used time.Time
}

// oldest returns the paths of all but the keep most recently used entries.
func oldest(entries []entry, keep int) []string {
	byUse := slices.SortedFunc(slices.Values(entries), func(a, b entry) int {
		return cmp.Or(b.used.Compare(a.used), cmp.Compare(a.path, b.path))
	})
	var paths []string
	for _, e := range byUse[min(keep, len(byUse)):] {
		paths = append(paths, e.path)
	}
	return paths
}
