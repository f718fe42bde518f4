package intent_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

const (
	snippetLine = "FRRSnippet lab/first"
	extrasLine  = "ConfigMap lab/bgpextras"
)

func onSnippet(rule intent.Rule, name string, change func(*intent.RawSnippet), want ...string) row {
	return row{rule, name, func(r *intent.Raw) { change(&r.Snippets[0]) }, want, []string{snippetLine}, nil}
}

func snippetRows() []row {
	text := func(text, wanted string) row {
		return onSnippet(intent.RuleRawConfig, wanted, func(r *intent.RawSnippet) { r.RawConfig = text }, "invalid FRRSnippet lab/first: spec.rawConfig: "+wanted)
	}
	return []row{
		text("one\ntwo\x00\n", "line 2 has a control character: only tabs and ends of lines are allowed"),
		text("one\rtwo\n", "line 1 has a control character: only tabs and ends of lines are allowed"),
		text("", "must not be empty"),
		text(strings.Repeat("x", 4095), "line 1 has 4095 bytes: FRR reads at most 4094 of a line"),
		text("one\n\n do clear bgp *\n", `line 3 begins with "do": only lines of a configuration are allowed, no commands`),
		text("configure terminal\n", `line 1 begins with "configure": only lines of a configuration are allowed, no commands`),
		text("write\n", `line 1 begins with "write": only lines of a configuration are allowed, no commands`),
		text("one\n! end of raw configuration\n", "line 2 is one of the comments that the speaker puts around the text"),
		text("  ! raw configuration: FRRSnippet lab/other", "line 1 is one of the comments that the speaker puts around the text"),
		onSnippet(intent.RuleSelector, "a node selector of a snippet", func(r *intent.RawSnippet) { r.NodeSelectors = broken() },
			`invalid FRRSnippet lab/first: spec.nodeSelectors[0]: must be a valid label selector: "Near" is not a valid label selector operator`),
		{intent.RuleMatchesNothing, "the nodes of a snippet", func(r *intent.Raw) { r.Snippets[0].NodeSelectors = where("rack", "none") },
			[]string{"warning FRRSnippet lab/first: spec.nodeSelectors: none of the 2 nodes matches"}, nil, nil},
		{intent.RuleRawConfig, "extras", func(r *intent.Raw) { r.Extras[0].Extras = "a\x1b[1m\n" },
			[]string{"invalid ConfigMap lab/bgpextras: data.extras: line 1 has a control character: only tabs and ends of lines are allowed"}, []string{extrasLine}, nil},
	}
}

func TestGivenRawConfigurationWhenBuiltThenItStandsByPriorityAndNameInWholeLines(t *testing.T) {
	raw := base()
	late, early := snippet("a", 1, "late"), snippet("z", 2, "early\r\n\tmore")
	late.Priority, early.Priority = 7, -7
	early.NodeSelectors = where("rack", "a")
	raw.Snippets = append(raw.Snippets, late, early, snippet("empty", 3, " \n"), snippet("b", 4, "middle\n"))
	snapshot, problems := build(t, raw)
	var got []string
	for _, s := range snapshot.Snippets {
		got = append(got, fmt.Sprintf("%s %d %q %d", s.Ref.Name, s.Priority, s.Text, len(s.Nodes)))
	}
	want := []string{
		`bgpextras 0 "debug bgp updates out\n" 0`, `z -7 "early\n\tmore\n" 1`, `b 0 "middle\n" 0`, `first 0 "debug bgp updates in\n" 0`, `a 7 "late\n" 0`,
	}
	if len(problems) > 0 || !slices.Equal(got, want) {
		t.Errorf("problems %q, got\n%s\nwant\n%s", lines(problems), strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}
