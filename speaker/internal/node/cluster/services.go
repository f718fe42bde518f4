package cluster

import (
	"cmp"
	"maps"
	"reflect"
	"slices"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

// services are the Services that count with their endpoints, sorted by key. A value is made anew whenever one of the objects it is made of
// changes; neither it nor the list is ever changed itself.
type services []*announce.Service

// refresh makes the values of keys anew and tells whether any of them came out such that something else may be announced.
func (s *services) refresh(from *objects, keys map[ipam.ServiceKey]struct{}) (matters bool) {
	if len(keys) == 0 {
		return false
	}
	sorted := slices.SortedFunc(maps.Keys(keys), compareKeys)
	now := make([]*announce.Service, len(sorted))
	for i, key := range sorted {
		now[i] = from.service(key)
	}
	return s.replace(sorted, now)
}

// replace puts now in the place of the values of the sorted keys, nil for those that do not count, and tells whether that may make a
// difference to what is announced: not where a Service neither had nor has an address.
func (s *services) replace(sorted []ipam.ServiceKey, now []*announce.Service) (matters bool) {
	old, list, changed := *s, make(services, 0, len(*s)+len(now)), false
	for i, key := range sorted {
		at, had := slices.BinarySearchFunc(old, key, func(one *announce.Service, key ipam.ServiceKey) int { return compareKeys(one.Key, key) })
		list = append(list, old[:at]...)
		var was *announce.Service
		if old = old[at:]; had {
			was, old = old[0], old[1:]
		}
		is := now[i]
		switch {
		case is == nil && was == nil:
		case is != nil && was != nil && reflect.DeepEqual(was, is):
			is = was
		default:
			changed, matters = true, matters || addressed(was) || addressed(is)
		}
		if is != nil {
			list = append(list, is)
		}
	}
	if changed {
		*s = append(list, old...)
	}
	return matters
}

func addressed(one *announce.Service) bool { return one != nil && len(one.Addresses) > 0 }

func compareKeys(a, b ipam.ServiceKey) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}
