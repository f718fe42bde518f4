package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/logging"
)

func TestGivenTheFileOfExcludedLinksWhenParsedThenWhatIsRightIsUsedAndTheRestIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ file, want, wrong string }{
		"MetalLB's":            {"announcedInterfacesToExclude: [\"^docker.*\", '^lo$']", "[^docker.* ^lo$]", ""},
		"a list of lines":      {"announcedInterfacesToExclude:\n- ^veth\n- eth[01]", "[^veth eth[01]]", ""},
		"none excluded":        {"announcedInterfacesToExclude: []", "[]", ""},
		"a bad expression":     {"announcedInterfacesToExclude: ['^a(', '^b']", "[^b]", `announcedInterfacesToExclude[0] is "^a(", which is left out: wanted a regular expression`},
		"a field too many":     {"announcedInterfacesToExclude: [x]\nannouncedInterfaces: [y]", "[x]", "found the field announcedInterfaces: wanted announcedInterfacesToExclude only"},
		"the wrong field":      {"excluded: [x]", "", "announcedInterfacesToExclude is missing: wanted a list"},
		"no list":              {"announcedInterfacesToExclude: ^lo$", "", `announcedInterfacesToExclude is "^lo$": wanted a list of regular expressions`},
		"nothing for a list":   {"announcedInterfacesToExclude:", "", "announcedInterfacesToExclude is null: wanted a list"},
		"numbers":              {"announcedInterfacesToExclude: [1]", "", "announcedInterfacesToExclude is [1]: wanted a list"},
		"an empty file":        {"", "", "announcedInterfacesToExclude is missing"},
		"something else":       {"- a", "", "wanted YAML with the list announcedInterfacesToExclude"},
		"not YAML":             {"a: [", "", "wanted YAML with the list announcedInterfacesToExclude"},
		"the default patterns": {defaultPatterns, "[^docker.* ^cbr.* ^dummy.* ^virbr.* ^lxcbr.* ^veth.* ^lo$ ^cali.* ^tunl.* ^flannel.* ^kube-ipvs.* ^cni.* ^nodelocaldns.* ^lxc.*]", ""},
	} {
		got, err := parseExcluded([]byte(c.file))
		if text := fmt.Sprint(got); (got == nil) != (c.want == "") || got != nil && text != c.want {
			t.Errorf("%s: excluded are %v, want %q", name, got, c.want)
		}
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: error is %v, want %q", name, err, c.wrong)
		}
	}
}

func TestGivenAFileOfExcludedLinksWhenItComesChangesBreaksAndGoesThenTheLastListThatWasRightIsInForce(t *testing.T) {
	var out bytes.Buffer
	log, err := logging.New(&out, "info")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "excludel2.yaml")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	e := newExcluded(t.Context(), path, log)
	if len(e.inForce) != 14 || out.Len() != 0 {
		t.Errorf("without a file %d expressions are in force, and the log says %s", len(e.inForce), &out)
	}
	for _, step := range []struct {
		text    string
		changed bool
		want    string
	}{
		{"announcedInterfacesToExclude: [a]", true, "[a]"},
		{"announcedInterfacesToExclude: [a]", false, "[a]"},
		{"announcedInterfacesToExclude: {", false, "[a]"},
		{"announcedInterfacesToExclude: {", false, "[a]"},
		{"announcedInterfacesToExclude: ['(', b]", true, "[b]"},
	} {
		write(step.text)
		if changed := e.look(t.Context()); changed != step.changed || fmt.Sprint(e.inForce) != step.want {
			t.Errorf("%s: changed %t, in force %v; want %t and %s", step.text, changed, e.inForce, step.changed, step.want)
		}
	}
	if n := strings.Count(out.String(), `"level":"error"`); n != 2 || !strings.Contains(out.String(), path) {
		t.Errorf("%d errors are logged, want 2 that name the file: %s", n, &out)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if !e.look(t.Context()) || len(e.inForce) != 14 {
		t.Errorf("after the file has gone %v is in force, want the default", e.inForce)
	}
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if e.look(t.Context()) || !strings.Contains(out.String(), "is a directory") {
		t.Errorf("a folder in place of the file changes the list to %v", e.inForce)
	}
}
