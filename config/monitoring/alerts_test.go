package monitoring_test

import (
	"maps"
	"os"
	"path/filepath"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

// story is what Prometheus has seen, minute by minute, and the alert that is, or is not, there at a time.
type story struct {
	alert, at string
	// series are in promtool's notation: 0x5 is six zeros, _ is a sample that is missing, stale that the series is over.
	series map[string]string
	// fires is empty where the alert must be silent.
	fires []firing
}

// firing is an alert with its labels but for severity and name, which the rule gives, and its first sentence.
type firing struct {
	labels  map[string]string
	summary string
}

type labels = map[string]string

// silent and loud make stories.
func silent(alert, at string, series map[string]string) story {
	return story{alert: alert, at: at, series: series}
}

func loud(alert, at string, series map[string]string, with labels, summary string) story {
	return story{alert: alert, at: at, series: series, fires: []firing{{with, summary}}}
}

// Given what Prometheus has seen, when the rules are evaluated, then each alert fires when it should, says whom it is about, and is silent otherwise.
// Every alert has a story of both kinds.
func TestAlerts(t *testing.T) {
	groups, err := monitoring.Groups(monitoring.RuleOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rules := map[string]monitoring.Rule{}
	for _, g := range groups {
		for _, r := range g.Rules {
			rules[r.Alert] = r
		}
	}
	told := map[string][2]bool{}
	var tests []any
	for _, s := range stories() {
		rule, ok := rules[s.alert]
		if !ok {
			t.Errorf("a story is about %s: there is no such alert", s.alert)
		}
		kinds := told[s.alert]
		kinds[0], kinds[1] = kinds[0] || len(s.fires) > 0, kinds[1] || len(s.fires) == 0
		told[s.alert] = kinds
		tests = append(tests, unit(s, rule))
	}
	for _, alert := range monitoring.Alerts() {
		if told[alert] != [2]bool{true, true} {
			t.Errorf("%s: there is a story in which it fires: %t, and one in which it does not: %t", alert, told[alert][0], told[alert][1])
		}
	}
	folder := t.TempDir()
	write(t, filepath.Join(folder, "rules.yaml"), monitoring.RulesFile())
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(folder, "tests.yaml"), text)
	if out, err := prometheus.Promtool(t, folder, "test", "rules", "tests.yaml"); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// unit is a story in promtool's words (https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/).
func unit(s story, rule monitoring.Rule) map[string]any {
	var series, expected []any
	for name, values := range s.series {
		series = append(series, map[string]any{"series": name, "values": values})
	}
	for _, f := range s.fires {
		all, annotations := maps.Clone(rule.Labels), maps.Clone(rule.Annotations)
		maps.Copy(all, f.labels)
		annotations["summary"] = f.summary
		expected = append(expected, map[string]any{"exp_labels": all, "exp_annotations": annotations})
	}
	return map[string]any{"interval": "1m", "input_series": series, "alert_rule_test": []any{
		map[string]any{"eval_time": s.at, "alertname": s.alert, "exp_alerts": expected},
	}}
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
