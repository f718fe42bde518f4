package prometheus

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
)

// description is how client_golang prints a Desc, of which it shows nothing else.
var description = regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: ".*", constLabels: \{.*\}, variableLabels: \{(.*)\}\}$`)

// Agree fails the test where what collectors of a program say they serve is not what package monitoring says that the program serves under names with
// one of the prefixes, separated by "|", by name and labels.
func Agree(tb testing.TB, program monitoring.Program, prefixes string, collectors ...prometheus.Collector) {
	tb.Helper()
	served := map[string][]string{}
	for _, c := range collectors {
		ch := make(chan *prometheus.Desc)
		go func() {
			defer close(ch)
			c.Describe(ch)
		}()
		for d := range ch {
			parts := description.FindStringSubmatch(d.String())
			if parts == nil {
				tb.Fatalf("cannot read %s", d)
			}
			served[parts[1]] = strings.FieldsFunc(parts[2], func(r rune) bool { return r == ',' || r == ' ' })
		}
	}
	for _, m := range monitoring.Metrics() {
		has := func(prefix string) bool { return strings.HasPrefix(m.Name, prefix) }
		if !slices.Contains(m.By, program) || !slices.ContainsFunc(strings.Split(prefixes, "|"), has) {
			continue
		}
		labels, ok := served[m.Name]
		delete(served, m.Name)
		wanted := slices.Sorted(slices.Values(m.Labels))
		if slices.Sort(labels); !ok || !slices.Equal(labels, wanted) {
			tb.Errorf("the %s serves %s: %t, with labels %v; package monitoring says that it does with %v", program, m.Name, ok, labels, wanted)
		}
	}
	for name, labels := range served {
		tb.Errorf("the %s serves %s with labels %v, of which package monitoring does not know", program, name, labels)
	}
}
