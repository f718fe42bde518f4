package admission

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// Given the problems before and after an edit, when they are compared, then what is new and bad speaks against it, and what was there
// before does not, also where it is now found at another place or with another value.
func TestJudge(t *testing.T) {
	subject, other := intent.ObjectRef{Kind: "Pool", Name: "a"}, intent.ObjectRef{Kind: "Ad", Name: "b"}
	p := func(o intent.ObjectRef, kind intent.ProblemKind, field, found string) intent.Problem {
		return intent.Problem{Object: o, Kind: kind, Rule: "R", Field: field, Found: found}
	}
	for name, row := range map[string]struct {
		before, after []intent.Problem
		want          judgement
	}{
		"a new error of its own": {after: []intent.Problem{p(subject, intent.Invalid, "f", "1")},
			want: judgement{own: []intent.Problem{p(subject, intent.Invalid, "f", "1")}}},
		"a name that does not resolve yet": {after: []intent.Problem{p(subject, intent.Unresolved, "f", "1")},
			want: judgement{remarks: []intent.Problem{p(subject, intent.Unresolved, "f", "1")}}},
		"an error that has moved": {before: []intent.Problem{p(subject, intent.Invalid, "f[0].x", "1")}, after: []intent.Problem{p(subject, intent.Invalid, "f[3].x", "1")},
			want: judgement{remarks: []intent.Problem{p(subject, intent.Invalid, "f[3].x", "1")}}},
		"another error of the same rule": {before: []intent.Problem{p(subject, intent.Conflict, "f", "1")}, after: []intent.Problem{p(subject, intent.Conflict, "f", "2")},
			want: judgement{remarks: []intent.Problem{p(subject, intent.Conflict, "f", "2")}}},
		"one error more": {before: []intent.Problem{p(subject, intent.Invalid, "f[1]", "b")},
			after: []intent.Problem{p(subject, intent.Invalid, "f[0]", "a"), p(subject, intent.Invalid, "f[1]", "b")},
			want:  judgement{own: []intent.Problem{p(subject, intent.Invalid, "f[0]", "a")}, remarks: []intent.Problem{p(subject, intent.Invalid, "f[1]", "b")}}},
		"one error less": {before: []intent.Problem{p(subject, intent.Invalid, "f[0]", "a"), p(subject, intent.Invalid, "f[1]", "b")},
			after: []intent.Problem{p(subject, intent.Invalid, "f[0]", "b")}, want: judgement{remarks: []intent.Problem{p(subject, intent.Invalid, "f[0]", "b")}}},
		"another object that loses what it names": {after: []intent.Problem{p(other, intent.Unresolved, "f", "1")},
			want: judgement{others: []intent.Problem{p(other, intent.Unresolved, "f", "1")}}},
		"a warning about another object": {after: []intent.Problem{p(other, intent.Warning, "f", "1")},
			want: judgement{remarks: []intent.Problem{p(other, intent.Warning, "f", "1")}}},
		"another object that is as wrong as before": {before: []intent.Problem{p(other, intent.Invalid, "f", "1")}, after: []intent.Problem{p(other, intent.Invalid, "f", "1")}},
		"nothing is wrong any more":                 {before: []intent.Problem{p(subject, intent.Invalid, "f", "1"), p(other, intent.Invalid, "f", "1")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, judge(row.before, row.after, subject), cmp.AllowUnexported(judgement{})); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// named is a selector that is only its text.
type named string

func (named) Matches(map[string]string) bool { return false }
func (n named) String() string               { return string(n) }

// Given pools before and after an edit, when it is asked whether addresses may be lost, then only shrinking, leaving and serving others say so.
func TestMayLose(t *testing.T) {
	r := func(first, last string) ipam.Range {
		return ipam.Range{First: netip.MustParseAddr(first), Last: netip.MustParseAddr(last)}
	}
	pool := func(allocation *ipam.Allocation, ranges ...ipam.Range) *intent.Snapshot {
		return &intent.Snapshot{Pools: []intent.Pool{{Pool: ipam.Pool{Name: "p", Ranges: ranges, Allocation: allocation}}}}
	}
	before := pool(nil, r("192.0.2.0", "192.0.2.9"))
	pinned := func(namespaces, services string) *ipam.Allocation {
		return &ipam.Allocation{NamespaceSelectors: selector.Set{named(namespaces)}, ServiceSelectors: selector.Set{named(services)}}
	}
	for name, row := range map[string]struct {
		before, after *intent.Snapshot
		want          bool
	}{
		"the same":                   {before, pool(nil, r("192.0.2.0", "192.0.2.9")), false},
		"more":                       {before, pool(nil, r("192.0.2.0", "192.0.2.99")), false},
		"more, in another order":     {before, pool(nil, r("192.0.2.5", "192.0.2.9"), r("192.0.2.0", "192.0.2.4")), false},
		"a new pool":                 {&intent.Snapshot{}, before, false},
		"less":                       {before, pool(nil, r("192.0.2.0", "192.0.2.8")), true},
		"less in the middle":         {before, pool(nil, r("192.0.2.0", "192.0.2.4"), r("192.0.2.6", "192.0.2.9")), true},
		"gone":                       {before, &intent.Snapshot{}, true},
		"pinned":                     {before, pool(pinned("a", "b"), r("192.0.2.0", "192.0.2.9")), true},
		"pinned to the same":         {pool(pinned("a", "b"), before.Pools[0].Ranges...), pool(pinned("a", "b"), before.Pools[0].Ranges...), false},
		"pinned to other namespaces": {pool(pinned("a", "b"), before.Pools[0].Ranges...), pool(pinned("c", "b"), before.Pools[0].Ranges...), true},
		"pinned to other Services":   {pool(pinned("a", "b"), before.Pools[0].Ranges...), pool(pinned("a", "c"), before.Pools[0].Ranges...), true},
		"the end of the addresses":   {pool(nil, r("255.255.255.254", "255.255.255.255")), pool(nil, r("255.255.255.254", "255.255.255.255")), false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := mayLose(row.before, row.after); got != row.want {
				t.Errorf("found %v, wanted %v", got, row.want)
			}
		})
	}
}
