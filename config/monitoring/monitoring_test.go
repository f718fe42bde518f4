package monitoring_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

var update = flag.Bool("update", false, "rewrite the table of metrics in the documentation")

const page = "../../docs/monitoring.md"

func TestPrometheusTakesTheRulesFile(t *testing.T) { prometheus.Check(t, monitoring.RulesFile()) }

// Given what users want otherwise, when the rules are built, then that and nothing else is so, and Prometheus takes them.
func TestRuleOptions(t *testing.T) {
	groups, err := monitoring.Groups(monitoring.RuleOptions{
		Without:      []string{"MetalLBStaleConfig", "MetalLBConfigNotLoaded"}, // a whole group
		ExcludePools: []string{"lab.b", "lab-a", "lab-a"},
		Labels:       map[string]string{"severity": "page", "team": "network"},
		Extra:        []monitoring.Rule{{Alert: "Mine", Expr: "vector(1)", For: "1m"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	text, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	prometheus.Check(t, text)
	found := map[string]monitoring.Rule{}
	for _, g := range groups {
		for _, r := range g.Rules {
			found[r.Alert] = r
			if r.Alert != "Mine" && (r.Labels["severity"] != "page" || r.Labels["team"] != "network") {
				t.Errorf("%s has the labels %v", r.Alert, r.Labels)
			}
		}
	}
	if n := len(monitoring.Alerts()) - 2 + 1; len(found) != n || found["Mine"].Labels != nil {
		t.Errorf("%d alerts, want %d; the user's has labels %v", len(found), n, found["Mine"].Labels)
	}
	for alert, want := range map[string]string{
		"MetalLBAddressPoolExhausted":      `metallb_allocator_addresses_in_use_total{pool!~"lab-a|lab[.]b"} >= metallb_allocator_addresses_total`,
		"MetalLBAddressPoolUsage95Percent": `( metallb_allocator_addresses_in_use_total{pool!~"lab-a|lab[.]b"} / metallb_allocator_addresses_total ) * 100 > 95`,
		"MetalLBBGPSessionDown":            `metallb_bgp_session_up == 0`,
	} {
		if found[alert].Expr != want {
			t.Errorf("%s has the expression %s, want %s", alert, found[alert].Expr, want)
		}
	}
}

// queries are all expressions of alerts and dashboards, by where they are.
func queries(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	groups, err := monitoring.Groups(monitoring.RuleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			all["alert "+r.Alert] = r.Expr
		}
	}
	for _, d := range monitoring.Dashboards() {
		for _, row := range d.Rows {
			for _, p := range row.Panels {
				for i, q := range p.Queries {
					all[fmt.Sprintf("dashboard %s, %s, %s, query %d", d.Name, row.Title, p.Title, i+1)] = q.Expr
				}
			}
		}
	}
	return all
}

func TestPrometheusParsesEveryQueryOfTheDashboards(t *testing.T) {
	var rules []any
	for where, expr := range queries(t) {
		if strings.HasPrefix(where, "dashboard ") {
			rules = append(rules, map[string]any{"record": fmt.Sprintf("query:%d", len(rules)), "expr": expr})
		}
	}
	if len(rules) < 20 {
		t.Fatalf("found %d queries only", len(rules))
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboards", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	prometheus.Check(t, text)
}

var (
	names    = regexp.MustCompile(`metallb_[a-z0-9_]+`)
	grouping = regexp.MustCompile(`\b(?:by|without) \(([^)]*)\)|\{([^}]*)\}`)
	word     = regexp.MustCompile(`"[^"]*"|[a-z_]+`)
)

// Given the metrics that the programs have, when the queries of alerts and dashboards are read, then they use no other, and no labels that these lack
// but for those that Prometheus gives to what it scrapes.
func TestQueriesUseMetricsThatExist(t *testing.T) {
	known := map[string]monitoring.Metric{}
	for _, m := range monitoring.Metrics() {
		known[m.Name] = m
		if m.Type == "histogram" {
			for _, suffix := range []string{"_bucket", "_sum", "_count"} {
				known[m.Name+suffix] = m
			}
		}
	}
	for where, expr := range queries(t) {
		labels := []string{"namespace", "pod", "instance", "le"}
		used := names.FindAllString(expr, -1)
		for _, name := range used {
			m, ok := known[name]
			if !ok {
				t.Errorf("%s uses %s, which no program serves", where, name)
			}
			labels = append(labels, m.Labels...)
		}
		if len(used) == 0 {
			t.Errorf("%s uses no metric: %s", where, expr)
		}
		for _, part := range grouping.FindAllString(expr, -1) {
			for _, label := range word.FindAllString(part, -1) {
				if !strings.HasPrefix(label, `"`) && label != "by" && label != "without" && !slices.Contains(labels, label) {
					t.Errorf("%s uses the label %s, which none of %v has", where, label, used)
				}
			}
		}
	}
}

// Given the dashboards, when they are written, then they are JSON with a unique id, and every panel has a title, a place and a query with a legend.
func TestDashboards(t *testing.T) {
	seen := map[string]bool{}
	for _, d := range monitoring.Dashboards() {
		text, err := d.JSON()
		if err != nil {
			t.Fatal(err)
		}
		var board struct {
			UID, Title string
			Rows       []struct {
				Panels []struct {
					ID, Span   int
					Title      string
					Datasource string
					Targets    []struct{ Expr, LegendFormat, RefID string }
				}
			}
		}
		if err := json.Unmarshal(text, &board); err != nil {
			t.Fatal(err)
		}
		if board.UID != d.Name || board.Title == "" || seen[board.UID] || len(board.Rows) != len(d.Rows) {
			t.Errorf("dashboard %s has the id %q, the title %q, %d rows", d.Name, board.UID, board.Title, len(board.Rows))
		}
		seen[board.UID] = true
		ids := map[int]bool{}
		for _, row := range board.Rows {
			width := 0
			for _, p := range row.Panels {
				width += p.Span
				if ids[p.ID] || p.Title == "" || p.Datasource != "$datasource" || len(p.Targets) == 0 {
					t.Errorf("dashboard %s: panel %+v", d.Name, p)
				}
				ids[p.ID] = true
				for _, target := range p.Targets {
					if target.Expr == "" || target.LegendFormat == "" || target.RefID == "" {
						t.Errorf("dashboard %s, %s: query %+v", d.Name, p.Title, target)
					}
				}
			}
			if width != 12 {
				t.Errorf("dashboard %s: a row is %d columns wide", d.Name, width)
			}
		}
	}
}

// Given the page on monitoring, when it is read, then every alert has a section with what to do, which its runbook_url leads to, and no section is about
// an alert that there is not.
func TestEveryAlertHasItsSection(t *testing.T) {
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var sections []string
	for line := range strings.Lines(string(text)) {
		if title, ok := strings.CutPrefix(line, "### "); ok && strings.HasPrefix(title, "MetalLB") {
			sections = append(sections, strings.TrimSpace(title))
		}
	}
	if diff := cmp.Diff(monitoring.Alerts(), sections); diff != "" {
		t.Errorf("alerts (-) and sections of %s (+) differ:\n%s", page, diff)
	}
	groups, err := monitoring.Groups(monitoring.RuleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range groups {
		for _, r := range g.Rules {
			a := r.Annotations
			want := "https://github.com/seed-551707bd/metallb-operator/blob/main/docs/monitoring.md#" + strings.ToLower(r.Alert)
			if a["runbook_url"] != want || a["summary"] == "" || a["description"] == "" || strings.Contains(a["description"], "{{") {
				t.Errorf("%s has the annotations %v", r.Alert, a)
			}
			if s := r.Labels["severity"]; s != "warning" && s != "critical" {
				t.Errorf("%s has the severity %q", r.Alert, s)
			}
		}
	}
}

// Given the page on monitoring, when it is read, then its table of metrics is that of the programs; -update writes it.
func TestTableOfMetrics(t *testing.T) {
	const begin, end = "<!-- metrics: go test ./config/monitoring -update -->\n", "<!-- end of metrics -->\n"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table", page)
	}
	var table strings.Builder
	table.WriteString("\n| metric | type | labels | served by | says |\n|---|---|---|---|---|\n")
	for _, m := range monitoring.Metrics() {
		var by []string
		for _, p := range m.By {
			by = append(by, string(p))
		}
		name := "`" + m.Name + "`"
		if m.Ours {
			name += " +"
		}
		labels := ""
		if len(m.Labels) > 0 {
			labels = "`" + strings.Join(m.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&table, "| %s | %s | %s | %s | %s |\n", name, m.Type, labels, strings.Join(by, ", "), m.Says)
	}
	want := before + begin + table.String() + "\n" + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(text)); diff != "" {
		t.Errorf("the table in %s is another one; run the test with -update:\n%s", page, diff)
	}
}
