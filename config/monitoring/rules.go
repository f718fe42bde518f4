// Package monitoring is what Prometheus and Grafana are given of this project: which metrics there are, the alerts on them, and dashboards.
// Everything else that speaks of metrics, the operator's PrometheusRule, the documentation and the tests, has it from here.
package monitoring

import (
	"bytes"
	_ "embed"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

//go:embed rules.yaml
var rules []byte

// RulesFile is the alerts as a rules file of Prometheus
// (https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/).
func RulesFile() []byte { return bytes.Clone(rules) }

// Group is a group of rules in a rules file and in a PrometheusRule, which has them in the same form.
type Group struct {
	Name  string `json:"name"`
	Rules []Rule `json:"rules"`
}

// Rule is one alert. For is a duration of Prometheus, such as 1m, "" for at once.
type Rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

// RuleOptions are what users want otherwise than the rules file has it.
type RuleOptions struct {
	// Without names alerts that are left out.
	Without []string
	// ExcludePools names IPAddressPools that no alert on the use of pools is about.
	ExcludePools []string
	// Labels are given to each alert. They win over the file's.
	Labels map[string]string
	// Extra are alerts of the users'. They are a group of their own and stay as they are.
	Extra []Rule
}

// Groups returns the rules with the options in force.
func Groups(o RuleOptions) ([]Group, error) {
	var file struct {
		Groups []Group `json:"groups"`
	}
	if err := yaml.UnmarshalStrict(rules, &file); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err) // a mistake in this package
	}
	var groups []Group
	for _, g := range file.Groups {
		g.Rules = slices.DeleteFunc(g.Rules, func(r Rule) bool { return slices.Contains(o.Without, r.Alert) })
		for i := range g.Rules {
			if r := &g.Rules[i]; len(o.ExcludePools) > 0 && strings.HasPrefix(r.Alert, poolAlerts) {
				r.Expr = strings.ReplaceAll(r.Expr, poolUse, poolUse+excluding(o.ExcludePools))
			}
			maps.Copy(g.Rules[i].Labels, o.Labels)
		}
		if len(g.Rules) > 0 {
			groups = append(groups, g)
		}
	}
	if len(o.Extra) > 0 {
		groups = append(groups, Group{Name: ExtraGroup, Rules: o.Extra})
	}
	return groups, nil
}

// ExtraGroup is the name of the group of users' own alerts.
const ExtraGroup = "metallb-extra"

const (
	// poolAlerts begins the names of the alerts on the use of pools.
	poolAlerts = "MetalLBAddressPool"
	// poolUse is the metric that decides which pools they are about: comparing and dividing leave out what is on one side only.
	poolUse = "metallb_allocator_addresses_in_use_total"
)

// excluding is a selector of the pools that are not named. The names are those of Kubernetes objects: of what they may consist of the dot alone
// means something in a regular expression.
func excluding(pools []string) string {
	names := slices.Clone(pools)
	slices.Sort(names)
	return fmt.Sprintf("{pool!~%q}", strings.ReplaceAll(strings.Join(slices.Compact(names), "|"), ".", "[.]"))
}

// Alerts returns the names of all alerts, in the order of the file.
func Alerts() []string {
	groups, err := Groups(RuleOptions{})
	if err != nil {
		panic(err) // the file is part of the program, and a test reads it
	}
	var names []string
	for _, g := range groups {
		for _, r := range g.Rules {
			names = append(names, r.Alert)
		}
	}
	return names
}
