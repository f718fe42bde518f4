package intent_test

import (
	"reflect"
	"slices"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

func TestGivenAnEditThatIsNotValidWhenBuiltThenTheGenerationBeforeItIsInForce(t *testing.T) {
	raw := base()
	first, problems := intent.Build(raw, intent.Snapshot{})
	if len(problems) != 0 {
		t.Fatalf("problems %v, want none", problems)
	}
	before := first.Applied()
	kinds := map[string]bool{}
	for _, a := range before {
		kinds[a.Kind] = true
		if a.Generation != 1 || a.Name == "" {
			t.Errorf("applied %+v, want generation 1 of an object", a)
		}
	}
	if want := len(raw.Peers) + len(raw.BGPAdvertisements) + len(raw.BFDProfiles) + len(raw.Communities) + len(raw.Snippets); len(before) != want || len(kinds) != 5 {
		t.Fatalf("applied %+v, want %d objects of 5 kinds", before, want)
	}

	edited := raw.Peers[0].Name
	raw.Peers = slices.Clone(raw.Peers)
	raw.Peers[0].Generation, raw.Peers[0].MyASN = 2, 0
	fresh := raw.Peers[0]
	fresh.Name, fresh.UID = "bad", "uid-bad"
	raw.Peers = append(raw.Peers, fresh)
	second, problems := intent.Build(raw, first)
	if len(problems) == 0 {
		t.Fatal("an AS number of 0 is no problem")
	}
	if after := second.Applied(); !reflect.DeepEqual(after, before) {
		t.Errorf("applied %+v, want the same as before: %+v", after, before)
	}

	raw.Peers = raw.Peers[:len(raw.Peers)-1]
	raw.Peers[0].MyASN = 64999
	third, _ := intent.Build(raw, second)
	i := slices.IndexFunc(third.Applied(), func(a intent.Applied) bool { return a.Kind == intent.KindPeer && a.Name == edited })
	if i < 0 || third.Applied()[i].Generation != 2 {
		t.Errorf("applied %+v, want generation 2 of BGPPeer %s", third.Applied(), edited)
	}
	if none := (&intent.Snapshot{}).Applied(); none != nil {
		t.Errorf("of no Build there is %+v", none)
	}
}
