package intent

import (
	"cmp"
	"fmt"
	"strings"
)

// maxRawLine is the longest line that FRR reads whole (VTY_BUFSIZ in lib/vty.h, less the end of the line).
const maxRawLine = 4094

// parseSnippet checks an FRRSnippet by itself.
func parseSnippet(a *about, raw *RawSnippet) Snippet {
	if raw.RawConfig == "" {
		a.invalid(RuleRawConfig, "spec.rawConfig", "", "must not be empty")
	}
	s := a.raw("spec.rawConfig", raw.RawConfig)
	s.Priority, s.Nodes = raw.Priority, a.selectors("spec.nodeSelectors", raw.NodeSelectors)
	return s
}

// parseExtras checks the ConfigMap bgpextras.
func parseExtras(a *about, raw *RawExtras) Snippet { return a.raw("data.extras", raw.Extras) }

// raw checks a text that is to be a part of frr.conf. What FRR makes of it only FRR tells; here belongs what would keep it from being asked.
func (a *about) raw(field, text string) Snippet {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	number := 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimSuffix(line, "\n")
		found := func(wanted string) { a.invalid(RuleRawConfig, field, "", fmt.Sprintf("line %d %s", number, wanted)) }
		first, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case strings.ContainsFunc(line, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			found("has a control character: only tabs and ends of lines are allowed")
		case len(line) > maxRawLine:
			found(fmt.Sprintf("has %d bytes: FRR reads at most %d of a line", len(line), maxRawLine))
		case first == "do" || first == "configure" || first == "write":
			found(fmt.Sprintf("begins with %q: only lines of a configuration are allowed, no commands", first))
		case strings.HasPrefix(strings.TrimSpace(line), "! raw configuration:") || strings.HasPrefix(strings.TrimSpace(line), "! end of raw configuration"):
			found("is one of the comments that the speaker puts around the text")
		}
	}
	return Snippet{Ref: a.ref, Text: text}
}

// useSnippet puts raw configuration into the Snapshot, unless it is empty.
func (b *builder) useSnippet(a *about, s Snippet, _ bool) (Snippet, bool) {
	a.matchesNothing(b.nodesOf(s.Nodes), b)
	if strings.TrimSpace(s.Text) != "" {
		b.Snippets = append(b.Snippets, s)
	}
	return s, true
}

// compare orders what stands in frr.conf: what is for every node, then by priority and name.
func (s Snippet) compare(o Snippet) int {
	return cmp.Or(
		cmp.Compare(s.Ref.Kind, o.Ref.Kind), // ConfigMap before FRRSnippet
		cmp.Compare(s.Priority, o.Priority), cmp.Compare(s.Ref.Name, o.Ref.Name),
	)
}
