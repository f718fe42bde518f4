package selector_test

import (
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// rack selects by the label rack.
type rack string

func (r rack) Matches(labels map[string]string) bool { return labels["rack"] == string(r) }
func (r rack) String() string                        { return "rack=" + string(r) }

func TestGivenASetWhenAnySelectorMatchesThenItMatches(t *testing.T) {
	set := selector.Set{rack("a"), rack("b")}
	for name, want := range map[string]bool{"a": true, "b": true, "c": false} {
		labels := map[string]string{"rack": name}
		if set.Matches(labels) != want || set.MatchesOrEmpty(labels) != want {
			t.Errorf("rack %s: Matches is %v, MatchesOrEmpty is %v, want %v", name, set.Matches(labels), set.MatchesOrEmpty(labels), want)
		}
	}
}

func TestGivenAnEmptySetWhenAskedThenOnlyMatchesOrEmptyMatches(t *testing.T) {
	var set selector.Set
	if set.Matches(nil) || !set.MatchesOrEmpty(nil) {
		t.Errorf("Matches is %v, MatchesOrEmpty is %v", set.Matches(nil), set.MatchesOrEmpty(nil))
	}
}
