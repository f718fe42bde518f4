package frrconf

import (
	"bytes"
	"errors"
	"io/fs"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
	"text/template"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	templates "github.com/seed-551707bd/metallb-operator/frr-templates"
)

// both fills a section as we do and as text/template does.
func both(tb testing.TB, dir fs.FS, name string, value any) (got, want string) {
	tb.Helper()
	ours, err := readSections(dir)
	if err != nil {
		tb.Fatal(err)
	}
	var out, reference bytes.Buffer
	if err := ours.fill(&out, name, value); err != nil {
		tb.Fatal(err)
	}
	theirs, err := template.ParseFS(dir, "*.tmpl")
	if err != nil {
		tb.Fatal(err)
	}
	if err := theirs.ExecuteTemplate(&reference, name, value); err != nil {
		tb.Fatal(err)
	}
	return out.String(), reference.String()
}

// TestGivenAnyValuesWhenFilledThenTheFileIsWhatTextTemplateWrites also shows that the templates name no field that there is not.
func TestGivenAnyValuesWhenFilledThenTheFileIsWhatTextTemplateWrites(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var f file
		draw(r, reflect.ValueOf(&f).Elem())
		got, want := both(t, templates.Files, "frr.conf.tmpl", &f)
		if diff := cmp.Diff(want, got); diff != "" {
			r.Fatalf("the file differs (-text/template +got):\n%s", diff)
		}
	})
}

// draw gives a value to whatever a template can see.
func draw(t *rapid.T, v reflect.Value) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				draw(t, v.Field(i))
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), rapid.IntRange(0, 2).Draw(t, "length"), 2))
		for i := range v.Len() {
			draw(t, v.Index(i))
		}
	case reflect.Pointer:
		// The elements of lists are never nil, so nil is for fields; nothing else is told apart by it here.
		v.Set(reflect.New(v.Type().Elem()))
		draw(t, v.Elem())
	case reflect.String:
		v.SetString(rapid.SampledFrom([]string{"", "a", "two words", "{{.}}", "<&>"}).Draw(t, "text"))
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, "flag"))
	default:
		if v.CanUint() {
			v.SetUint(uint64(rapid.IntRange(0, 2).Draw(t, "number")))
		} else {
			v.SetInt(int64(rapid.IntRange(-1, 2).Draw(t, "number")))
		}
	}
}

// stamp is a value that is written by its String.
type stamp struct{ N int }

func (s stamp) String() string { return strings.Repeat("*", s.N) }

type tree struct {
	Name   string
	N      int
	Set    bool
	Stamp  stamp
	Next   *tree
	Leaves []*tree
	Words  []string
	Names  map[string]int
}

func TestGivenTheLanguageWhenFilledThenItMeansWhatItDoesToTextTemplate(t *testing.T) {
	leaf := &tree{Name: "leaf", N: 3}
	value := tree{Name: "root", Stamp: stamp{3}, Next: leaf, Leaves: []*tree{leaf, {Name: "other", Set: true}}, Words: []string{"a", "b"}}
	for text, want := range map[string]string{
		`{{.Name}} {{.N}} {{.Set}} {{.Stamp}} {{.Next.Name}} {{.Next.N}}`:                                                            "root 0 false *** leaf 3",
		"a\n  {{- /* nothing */ -}}\n b {{- .Name -}} c":                                                                             "ab" + "rootc",
		`{{if .Set}}yes{{else if .Name}}named{{else}}no{{end}}`:                                                                      "named",
		`{{if .Leaves}}l{{end}}{{if .Names}}n{{end}}{{if .Stamp}}s{{end}}{{if .Next}}p{{end}}{{if .Next.Next}}q{{end}}`:              "lsp",
		`{{with .Next}}{{.Name}} of {{$.Name}}{{else}}none{{end}}`:                                                                   "leaf of root",
		`{{with .Next.Next}}{{.Name}}{{else with .N}}{{.}}{{else}}{{.Name}}{{end}}`:                                                  "root",
		`{{range .Words}}{{.}},{{end}}{{range .Next.Words}}{{.}}{{else}}none of {{.Name}}{{end}}`:                                    "a,b,none of root",
		`{{$x := .Name}}{{range .Leaves}}{{$x}} {{$y := .Name}}{{$y}} {{if .Set}}{{$x := .Set}}{{$x}} {{end}}{{end}}{{$x}}`:          "root leaf root other true root",
		`{{define "x"}}{{.Name}}{{with .Next}} {{$.Name}}-{{template "x" .}}{{end}}{{end}}{{template "x" .}} {{template "x" .Next}}`: "root root-leaf leaf",
	} {
		got, reference := both(t, fstest.MapFS{"x.tmpl": {Data: []byte(text)}}, "x.tmpl", value)
		if got != want || reference != want {
			t.Errorf("%s: got %q, text/template writes %q, want %q", text, got, reference, want)
		}
	}
}

func TestGivenMoreOfTheLanguageWhenFilledThenItIsAnErrorAndNothingIsGuessed(t *testing.T) {
	for text, want := range map[string]string{
		`{{.Stamp.String}}`:                 "has no field String",
		`{{.Nme}}`:                          "has no field Nme",
		`{{.Next.Name}}`:                    "look for Name in",
		`{{.Name.Length}}`:                  "look for Length in string",
		`{{"text"}}`:                        "may use",
		`{{.Name | .N}}`:                    "may use",
		`{{range $i, $w := .Words}}{{end}}`: "may use",
		`{{range .Stamp}}{{end}}`:           "range over",
		`{{$x := .N}}{{$x = .Name}}`:        "may use",
		`{{range .Words}}{{break}}{{end}}`:  "may use",
		`{{template "y" .}}`:                `no template "y"`,
		`{{template "x.tmpl"}}`:             "may use",
	} {
		s, err := readSections(fstest.MapFS{"x.tmpl": {Data: []byte(text)}})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := s.fill(&out, "x.tmpl", &tree{Words: []string{"a"}}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: wrote %q, error %v: wanted %q", text, &out, err, want)
		}
	}
	if _, err := readSections(fstest.MapFS{"x.tmpl": {Data: []byte(`{{len .Words}}`)}}); err == nil || !strings.Contains(err.Error(), `"len"`) {
		t.Errorf("a function: error %v", err)
	}
	if err := (sections{}).fill(&bytes.Buffer{}, "gone", nil); err == nil || errors.Is(err, errUnknown) {
		t.Errorf("no template: error %v", err)
	}
}
