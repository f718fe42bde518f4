package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Name: name} }

// Given files in place of a cluster, when the plugin runs, then it says whether addresses change and prints what was asked for.
func TestFiles(t *testing.T) {
	for _, test := range []struct {
		sample  string
		flags   []string
		changes bool
		says    []string
		silent  []string
	}{
		{"manifests.yaml", []string{"--check"}, false, []string{"Services: 8 of 8 keep their addresses", "KEEP   Service shop/plain: 198.51.100.3"}, []string{"kubectl apply"}},
		{"manifests.yaml", []string{"--steps"}, false, []string{"kubectl apply -k config/default", "# 9. "}, []string{"KEEP"}},
		{"chart.yaml", nil, true, []string{"CHANGE Service shop/moves: has 198.51.100.1, would get 198.51.100.2", "never helm uninstall", "-n networking"}, nil},
	} {
		var out bytes.Buffer
		changes, err := run(t.Context(), append([]string{"migrate", "-f", filepath.Join(samples, test.sample)}, test.flags...), nil, &out)
		if err != nil || changes != test.changes {
			t.Errorf("%s %v: changes %t, error %v", test.sample, test.flags, changes, err)
		}
		for _, want := range test.says {
			if !strings.Contains(strings.ToLower(out.String()), strings.ToLower(want)) {
				t.Errorf("%s %v: found no %q in\n%s", test.sample, test.flags, want, out.String())
			}
		}
		for _, unwanted := range test.silent {
			if strings.Contains(out.String(), unwanted) {
				t.Errorf("%s %v: found %q", test.sample, test.flags, unwanted)
			}
		}
	}
}

// Given objects on standard input, when the plugin runs, then it reads them.
func TestStandardInput(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(samples, "manifests.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := run(t.Context(), []string{"migrate", "-f", "-"}, bytes.NewReader(text), &out); err != nil || !strings.Contains(out.String(), "shop/plain") {
		t.Errorf("error %v, output %s", err, out.String())
	}
}

// Given a command line or a file that makes no sense, when the plugin runs, then the error says what.
func TestMisuse(t *testing.T) {
	for want, args := range map[string][]string{
		"the only command is migrate":  {"explain"},
		"unknown argument \"now\"":     {"migrate", "now"},
		"flag provided but not":        {"migrate", "--nonsense"},
		"no such file":                 {"migrate", "-f", filepath.Join(t.TempDir(), "none")},
		"read ../../internal/migrate/": {"migrate", "-f", "../../internal/migrate/world.go"},
		"find the API server":          {"migrate", "--kubeconfig", filepath.Join(t.TempDir(), "none")},
	} {
		if _, err := run(t.Context(), args, nil, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: error %v, wanted %q", args, err, want)
		}
	}
}
