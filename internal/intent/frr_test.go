package intent_test

import (
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/test/frr"
)

// TestGivenWhatBuildRefusesBecauseOfFRRWhenFRRIsAskedThenSomeReleaseRefusesIt keeps the rules that exist only because of FRR honest: each
// row is a line of configuration that a rule prevents. Where no release refuses it any more, the rule can go.
func TestGivenWhatBuildRefusesBecauseOfFRRWhenFRRIsAskedThenSomeReleaseRefusesIt(t *testing.T) {
	rows := []struct {
		rule intent.Rule
		line string
	}{
		{intent.RulePassword, "neighbor 192.0.2.1 password two words"},
		{intent.RulePassword, "neighbor 192.0.2.1 password " + strings.Repeat("x", 81)},
		{intent.RuleLocalASN, "neighbor 192.0.2.1 local-as 64512 no-prepend replace-as"},
		{intent.RuleLocalASN, "neighbor 192.0.2.1 local-as 64513 no-prepend replace-as"},
		{intent.RuleLocalASN, "neighbor 192.0.2.2 local-as 64600 no-prepend replace-as"},
		{intent.RulePeerASN, "neighbor 192.0.2.3 remote-as 0"},
		{intent.RuleHoldTime, "neighbor 192.0.2.1 timers 1 2"},
		{intent.RuleConnectTime, "neighbor 192.0.2.1 timers connect 0"},
	}
	fine := []string{
		"neighbor 192.0.2.1 password " + strings.Repeat("x", 80), `neighbor 192.0.2.1 password !a#b|c"d'e?f\g`, "neighbor 192.0.2.1 password pässwörd",
		"neighbor 192.0.2.1 local-as 64600 no-prepend replace-as", "neighbor 192.0.2.1 timers 0 0", "neighbor 192.0.2.1 timers 10 10",
		"neighbor 192.0.2.1 timers connect 65535", "neighbor eth.10@x=+-_ interface remote-as external",
	}
	releases := frr.Releases()
	refusals := make([]int, len(rows))
	for _, release := range releases {
		i := frr.Start(t, frr.Options{Release: release, Config: "hostname n1\nrouter bgp 64512\n neighbor 192.0.2.1 remote-as 64513\n neighbor 192.0.2.2 remote-as 64512\nexit\n"})
		ask := func(line string) (string, error) {
			return i.Run(t.Context(), "vtysh", "-c", "configure terminal", "-c", "router bgp 64512", "-c", line)
		}
		for n, row := range rows {
			if _, err := ask(row.line); err != nil {
				refusals[n]++
			}
		}
		for _, line := range fine {
			if out, err := ask(line); err != nil {
				t.Errorf("FRR of Debian %s refuses %q, which Build lets through: %s", release, line, out)
			}
		}
	}
	for n, row := range rows {
		if refusals[n] == 0 {
			t.Errorf("no FRR refuses %q: rule %s is not needed for it", row.line, row.rule)
		}
	}
}
