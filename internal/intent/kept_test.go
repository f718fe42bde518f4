package intent_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// partial are the rules under which what is wrong is left out of an object that is otherwise used, so that nothing older is kept.
func partial() []intent.Rule {
	return []intent.Rule{intent.RuleMatchesNothing, intent.RuleAggregateTooLarge, intent.RulePoolMissing, intent.RulePeerMissing}
}

func TestGivenARunningConfigurationWhenAnObjectBreaksThenItsLastValidContentStays(t *testing.T) {
	for _, row := range allRows() {
		if len(row.without) == 0 || row.rule == intent.RulePoolOverlap || row.rule == intent.RuleEchoIPv6 || slices.Contains(partial(), row.rule) {
			continue
		}
		t.Run(string(row.rule)+"/"+row.name, func(t *testing.T) {
			before, _ := build(t, base())
			raw := base()
			row.change(&raw)
			after, problems := intent.Build(raw, before)
			if !reflect.DeepEqual(exported(after), exported(before)) {
				t.Errorf("in force are\n%+v\nwant what was before\n%+v", after, before)
			}
			for _, p := range problems {
				if p.Kind != intent.Warning && !p.Kept {
					t.Errorf("problem does not tell that earlier content is kept: %v", p.Error())
				}
			}
		})
	}
}

// exported is a Snapshot as every reader sees it.
func exported(s intent.Snapshot) []any {
	return []any{s.Pools, s.Peers, s.BGPAdvertisements, s.L2Advertisements, s.BFDProfiles, s.Reservations, s.Quotas, s.Snippets}
}

func TestGivenAKeptObjectWhenBuiltAgainAndAgainThenItStays(t *testing.T) {
	first, _ := build(t, base())
	raw := base()
	raw.Peers[0].Interface = "both\nset"
	second, problems := intent.Build(raw, first)
	third, again := intent.Build(raw, second)
	if !reflect.DeepEqual(second, third) || !slices.Equal(problems, again) {
		t.Errorf("a third build changes\n%+v\nto\n%+v", second, third)
	}
	if repaired, problems := intent.Build(base(), third); len(problems) != 0 || !reflect.DeepEqual(repaired, first) {
		t.Errorf("after the repair there are problems %q and\n%+v\nwant\n%+v", lines(problems), repaired, first)
	}
}

func TestGivenAnInvalidObjectWhenItIsAnotherOneOfTheSameNameThenNothingIsKept(t *testing.T) {
	before, _ := build(t, base())
	raw := base()
	raw.Pools[0].UID, raw.Pools[0].Addresses = "another", []string{"nonsense"}
	after, _ := intent.Build(raw, before)
	if len(after.Pools) != 0 {
		t.Errorf("pools %+v of the deleted object are in force", after.Pools)
	}
}

func TestGivenAKeptPeerWhenItsSecretRotatesThenItUsesTheNewPassword(t *testing.T) {
	before, _ := build(t, base())
	raw := base()
	raw.Peers[0].MyASN = 0
	raw.Secrets[0].Password = intent.NewSecret("hunter3")
	after, _ := intent.Build(raw, before)
	if len(after.Peers) != 1 || after.Peers[0].Password.Reveal() != "hunter3" || after.Peers[0].MyASN != 64512 {
		t.Errorf("peers are %+v, want the old one with the new password", after.Peers)
	}
}

func TestGivenADeletedProfileWhenASessionStillUsesItThenANewPeerCannot(t *testing.T) {
	before, _ := build(t, base())
	raw := base()
	raw.BFDProfiles = nil
	second := peer("second", 20, "192.0.2.2")
	second.BFDProfile = "first"
	raw.Peers = append(raw.Peers, second)
	after, problems := intent.Build(raw, before)
	if len(after.Peers) != 1 || len(after.BFDProfiles) != 1 {
		t.Errorf("peers are %+v and profiles %+v, want the first of each", after.Peers, after.BFDProfiles)
	}
	if got := strings.Join(lines(problems), "\n"); len(problems) != 2 || problems[1].Kept {
		t.Errorf("problems are\n%s\nwant one per peer, that of the second without anything kept", got)
	}
}

func TestGivenANewerPoolWhenTheOlderGrowsIntoItThenTheOlderIsInForce(t *testing.T) {
	raw := base()
	raw.Pools = append(raw.Pools, pool("second", 20, "203.0.113.0/24"))
	before, _ := build(t, raw)
	raw.Pools[0].Addresses = []string{"203.0.113.128/25"}
	after, problems := intent.Build(raw, before)
	if len(after.Pools) != 1 || after.Pools[0].Name != "first" {
		t.Errorf("pools are %+v, want the older only; problems are %q", after.Pools, lines(problems))
	}
	raw.Pools[0].Addresses = []string{"198.51.100.0/24"}
	if repaired, problems := intent.Build(raw, after); len(repaired.Pools) != 2 || len(problems) != 0 {
		t.Errorf("after the repair pools are %+v and problems %q", repaired.Pools, lines(problems))
	}
}
