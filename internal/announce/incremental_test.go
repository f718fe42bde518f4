package announce_test

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// history is a cluster in which Services come, change and go.
type history struct {
	services map[string]*announce.Service
}

// happen draws a few changes.
func (h *history) happen(t *rapid.T) {
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		name := fmt.Sprintf("s%d", rapid.IntRange(0, 7).Draw(t, "which"))
		if rapid.IntRange(0, 2).Draw(t, "what") == 0 {
			delete(h.services, name)
			continue
		}
		svc := drawService(t, name)
		h.services[name] = &svc
	}
}

func (h *history) sorted() []*announce.Service {
	var list []*announce.Service
	for _, svc := range h.services {
		list = append(list, svc)
	}
	slices.SortFunc(list, func(a, b *announce.Service) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	return list
}

func TestGivenAnyHistoryWhenComputedStepByStepThenEachResultIsThatOfComputingAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawInput(t)
		h := history{services: map[string]*announce.Service{}}
		steps := announce.NewIncremental(in)
		type result struct{ got, want announce.Node }
		var results []result
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			h.happen(t)
			services := h.sorted()
			in.Services = nil
			for _, svc := range services {
				in.Services = append(in.Services, *svc)
			}
			results = append(results, result{steps.Compute(services), announce.Compute(in)})
		}
		for i, r := range results { // at the end, so that a result which a later step has changed is found as well
			if !reflect.DeepEqual(r.got, r.want) {
				t.Fatalf("step %d gives\n%+v\nwanted\n%+v", i, r.got, r.want)
			}
		}
	})
}

func TestGivenAnyHistoryOfSurroundingsAndServicesWhenComputedStepByStepThenEachResultIsThatOfComputingAnew(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := drawNetwork(t, true)
		in.Node = rapid.SampledFrom([]string{"n0", "n1", "n4"}).Draw(t, "self")
		h := history{services: map[string]*announce.Service{}}
		in.Ranks = &announce.Ranks{}
		steps := announce.NewIncremental(in)
		type result struct{ got, want announce.Node }
		var results []result
		for range rapid.IntRange(1, 8).Draw(t, "steps") {
			if rapid.Bool().Draw(t, "see") {
				in = drawSurroundings(t, in, true)
				steps.See(in)
			}
			if rapid.Bool().Draw(t, "happen") {
				h.happen(t)
			}
			services := h.sorted()
			anew := in
			anew.Services, anew.Ranks = nil, nil
			for _, svc := range services {
				anew.Services = append(anew.Services, *svc)
			}
			results = append(results, result{steps.Compute(services), announce.Compute(anew)})
		}
		for i, r := range results {
			if !reflect.DeepEqual(r.got, r.want) {
				t.Fatalf("step %d gives\n%+v\nwanted\n%+v", i, r.got, r.want)
			}
		}
	})
}

func TestGivenManyServicesWhenOneChangesThenTheVerdictsOnTheOthersAreTheSameOnes(t *testing.T) {
	in := large(100, false)
	services := make([]*announce.Service, len(in.Services))
	for i := range in.Services {
		services[i] = &in.Services[i]
	}
	slices.SortFunc(services, func(a, b *announce.Service) int { return cmp.Compare(a.Key.Name, b.Key.Name) })
	steps := announce.NewIncremental(in)
	before := steps.Compute(services)
	changed := *services[50]
	changed.Endpoints = announce.Endpoints{}
	after := steps.Compute(slices.Concat(services[:50], []*announce.Service{&changed}, services[51:]))
	for i := range after.Verdicts {
		if same := before.Verdicts[i] == after.Verdicts[i]; same == (i == 50) {
			t.Errorf("verdict %d is the same one: %t", i, same)
		}
	}
}
