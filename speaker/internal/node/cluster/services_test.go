package cluster

import (
	"fmt"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
)

func drawValue(t *rapid.T, key ipam.ServiceKey) *announce.Service {
	if rapid.IntRange(0, 3).Draw(t, "gone") == 0 {
		return nil
	}
	one := &announce.Service{Key: key, Local: rapid.Bool().Draw(t, "local")}
	if rapid.Bool().Draw(t, "address") {
		one.Addresses = []netip.Addr{netip.MustParseAddr("10.0.0.1")}
	}
	return one
}

func TestGivenAnyHistoryWhenServicesAreReplacedThenTheListIsThatOfAllInOrderAndEarlierListsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var list services
		model := map[ipam.ServiceKey]*announce.Service{}
		type past struct{ list, copied services }
		var pasts []past
		for range rapid.IntRange(1, 10).Draw(t, "steps") {
			news := map[ipam.ServiceKey]*announce.Service{}
			for range rapid.IntRange(0, 4).Draw(t, "changes") {
				key := ipam.ServiceKey{Namespace: fmt.Sprintf("ns%d", rapid.IntRange(0, 1).Draw(t, "namespace")), Name: fmt.Sprintf("s%d", rapid.IntRange(0, 5).Draw(t, "name"))}
				news[key] = drawValue(t, key)
			}
			keys := slices.SortedFunc(maps.Keys(news), compareKeys)
			values := make([]*announce.Service, len(keys))
			wantMatters := false
			for i, key := range keys {
				values[i] = news[key]
				was, is := model[key], news[key]
				if !reflect.DeepEqual(was, is) && (addressed(was) || addressed(is)) {
					wantMatters = true
				}
				if is == nil {
					delete(model, key)
				} else {
					model[key] = is
				}
			}
			before := list
			if matters := list.replace(keys, values); matters != wantMatters {
				t.Fatalf("matters: %t, wanted %t", matters, wantMatters)
			}
			var want services
			for _, key := range slices.SortedFunc(maps.Keys(model), compareKeys) {
				want = append(want, model[key])
			}
			if !slices.EqualFunc(list, want, func(a, b *announce.Service) bool { return reflect.DeepEqual(a, b) }) {
				t.Fatalf("list %v, wanted %v", list, want)
			}
			for _, one := range list {
				same := func(o *announce.Service) bool { return reflect.DeepEqual(o, one) }
				if i := slices.IndexFunc(before, same); i >= 0 && before[i] != one {
					t.Fatalf("%s is the same as before, and at another address", one.Key)
				}
			}
			pasts = append(pasts, past{list, slices.Clone(list)})
		}
		for _, p := range pasts {
			if !slices.Equal(p.list, p.copied) {
				t.Fatal("an earlier list was changed")
			}
		}
	})
}
