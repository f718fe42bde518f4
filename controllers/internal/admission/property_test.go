package admission

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

func TestGivenAnEmptyConfigurationWhenOnlyAdmittedEditsAreMadeThenNothingIsEverInvalidOrContradictory(t *testing.T) {
	admitted := 0
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		for range rapid.IntRange(1, 25).Draw(t, "edits") {
			c := drawChange(t, w)
			response, err := w.ask(c)
			if err != nil {
				t.Fatal(err)
			}
			if !response.Allowed {
				continue
			}
			w.carryOut(c)
			admitted++
			_, problems := intent.Build(kubeview.Raw(w.Objects), intent.Snapshot{})
			for _, p := range problems {
				if p.Kind == intent.Invalid || p.Kind == intent.Conflict {
					t.Fatalf("admitted, and now: %s", p.Error())
				}
			}
		}
	})
	if admitted == 0 {
		t.Error("no edit was admitted")
	}
}

// agree draws any configuration, right or wrong, and any edit of it, and holds the Handler to what the reconcilers will find.
func agree(t *rapid.T) {
	w := drawWorld(t)
	for range rapid.IntRange(0, 12).Draw(t, "objects") {
		w.carryOut(drawChange(t, w)) // as while the webhooks are down
	}
	c := drawChange(t, w)
	allowed := rapid.IntRange(0, 4).Draw(t, "allowed") == 0
	if allowed {
		c.object().SetAnnotations(map[string]string{v1beta1.AnnotationAllowDisruption: pick(t, "leave", "true", "1", "2", "3")})
	}
	response, err := w.ask(c)
	if err != nil {
		t.Fatal(err)
	}
	was, will, before, after := w.problems(c)
	var fresh, mine []intent.Problem
	for _, p := range after {
		if !slices.Contains(before, p) {
			fresh = append(fresh, p)
		}
		if p.Object == c.ref() {
			mine = append(mine, p)
		}
	}
	kept := mismatches(w, &was)
	lost := 0
	for one := range mismatches(w, &will) {
		if !kept[one] {
			lost++
		}
	}
	if !c.matters() {
		if !response.Allowed {
			t.Fatalf("refused although nothing changes: %s", response.Result.Message)
		}
		return
	}
	switch {
	case !response.Allowed && len(fresh) == 0 && lost == 0:
		t.Errorf("refused although nothing gets worse: %s", response.Result.Message)
	case !response.Allowed && slices.IndexFunc(fresh, func(p intent.Problem) bool { return p.Kind != intent.Warning }) < 0 && lost == 0:
		t.Errorf("refused for a warning: %s", response.Result.Message)
	case response.Allowed && len(response.Warnings) == 0 && len(fresh)+len(mine) > 0:
		t.Errorf("admitted without a word although there is: %v, %v", fresh, mine)
	case response.Allowed && len(response.Warnings) == 0 && lost > 0:
		t.Errorf("admitted without a word although addresses of %d Services are lost", lost)
	case response.Allowed && !allowed && len(broken(c, before, after)) > 0:
		t.Errorf("admitted although it breaks %v", broken(c, before, after))
	case response.Allowed && !allowed && lost > 0:
		t.Errorf("admitted although addresses of %d Services are lost", lost)
	}
}

// broken are the objects that had no error before the change and have one after it. Names that do not resolve are no errors of the object
// itself: the order in which objects are written does not matter.
func broken(c *change, before, after []intent.Problem) []intent.ObjectRef {
	isError := func(p intent.Problem) bool {
		return p.Kind != intent.Warning && !(p.Kind == intent.Unresolved && p.Object == c.ref())
	}
	var out []intent.ObjectRef
	for _, p := range after {
		if isError(p) && !slices.ContainsFunc(before, func(b intent.Problem) bool { return b.Object == p.Object && isError(b) }) {
			out = append(out, p.Object)
		}
	}
	return out
}

// mismatches are the addresses that the allocator, with all Services in one ledger, finds to be in no pool that gives them.
func mismatches(w *world, s *intent.Snapshot) map[string]bool {
	l := ipam.NewLedger(poolsOf(s))
	found := map[string]bool{}
	for i := range w.services {
		svc := &w.services[i]
		labels := map[string]string{}
		if svc.Namespace == "a" {
			labels["name"] = "a"
		}
		held, pool := kubeview.Held(svc)
		r := kubeview.Request(svc, labels)
		if err := l.Assign(ipam.Claim{Service: r.Service, Addresses: held, Sharing: r.Sharing, Pool: pool}); err != nil {
			continue
		}
		d := ipam.Decide(l, r)
		for _, p := range d.Problems {
			if p.Code == ipam.PoolMismatch {
				address, _, _ := strings.Cut(p.Detail, " ") // "192.0.2.1 is kept, but …"
				found[r.Service.String()+" "+address] = true
			}
		}
		for _, g := range d.GivenUp {
			if g.Reason.Code == ipam.PoolMismatch {
				found[r.Service.String()+" "+g.Address.String()] = true
			}
		}
	}
	return found
}

func TestGivenAnyConfigurationAndAnyEditWhenItIsJudgedThenTheReconcilersAgree(t *testing.T) {
	rapid.Check(t, agree)
}

func FuzzAdmission(f *testing.F) {
	f.Fuzz(rapid.MakeFuzz(agree))
}
