package frrsnippet_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/speaker/internal/frrsnippet"
)

const base = "hostname n1\nrouter bgp 64512\n address-family ipv4 unicast\n  network 10.0.0.1/32 route-map a\n exit-address-family\nexit\n"

func sections() []frrsnippet.Section {
	return []frrsnippet.Section{
		{Name: "ConfigMap a/bgpextras", Text: "one\ntwo\n"}, {Name: "FRRSnippet a/empty"}, {Name: "FRRSnippet a/z", Text: "\nthree\n"},
	}
}

func TestGivenSectionsWhenJoinedThenSplitGivesThemBack(t *testing.T) {
	for n := range len(sections()) + 1 {
		joined := frrsnippet.Join([]byte(base), sections()[:n])
		gotBase, got := frrsnippet.Split(joined)
		if string(gotBase) != base || len(got) != n || n > 0 && !reflect.DeepEqual(got, sections()[:n]) {
			t.Errorf("%d sections: got %q and %+v of\n%s", n, gotBase, got, joined)
		}
	}
}

func TestGivenTextInAnotherFormWhenSplitThenAllOfItIsBase(t *testing.T) {
	joined := string(frrsnippet.Join([]byte(base), sections()))
	for name, text := range map[string]string{
		"no section": base, "cut": joined[:len(joined)-3], "more behind": joined + "more\n", "empty": "",
	} {
		if got, s := frrsnippet.Split([]byte(text)); string(got) != text || s != nil {
			t.Errorf("%s: got %q and %+v", name, got, s)
		}
	}
}

func TestGivenLinesOfSectionsWhenPlacedThenTheyAreThoseOfTheTexts(t *testing.T) {
	all := sections()
	joined := string(frrsnippet.Join([]byte(base), all))
	for i, line := range strings.Split(strings.TrimSuffix(joined, "\n"), "\n") {
		section, number := frrsnippet.Place([]byte(base), all, i+1)
		switch {
		case i < strings.Count(base, "\n"):
			if section != -1 {
				t.Errorf("line %d %q: in section %d, want none", i+1, line, section)
			}
		case line == "one" || line == "two" || line == "three":
			if text := strings.Split(all[section].Text, "\n")[number-1]; text != line {
				t.Errorf("line %d %q: found %q at %d of section %d", i+1, line, text, number, section)
			}
		case strings.HasPrefix(line, "service "):
			if number != strings.Count(all[section].Text, "\n")+1 {
				t.Errorf("line %d %q: number %d of section %d, want the one behind its text", i+1, line, number, section)
			}
		}
	}
	if section, _ := frrsnippet.Place([]byte(base), all, 1000); section != -1 {
		t.Errorf("a line behind the end is in section %d", section)
	}
}

func TestGivenBordersOfSectionsInATextWhenJudgedThenItIsNotFit(t *testing.T) {
	for _, s := range sections() {
		if !frrsnippet.Fit(s.Text) {
			t.Errorf("%q is not fit", s.Text)
		}
	}
	for _, text := range []string{"! raw configuration: x\n", "one\n  ! raw configuration:\n", "! end of raw configuration\n"} {
		if frrsnippet.Fit(text) {
			t.Errorf("%q is fit", text)
		}
	}
}

func TestGivenAnotherPrefixWhenReducedToTheSkeletonThenNothingDiffers(t *testing.T) {
	more := strings.Replace(base, "  network", "  network 10.0.0.0/32\n  network", 1)
	if a, b := frrsnippet.Skeleton([]byte(base)), frrsnippet.Skeleton([]byte(more)); string(a) != string(b) || strings.Contains(string(a), "10.0.0.") {
		t.Errorf("skeletons are\n%s\nand\n%s", a, b)
	}
	if string(frrsnippet.Skeleton([]byte(base))) == string(frrsnippet.Skeleton([]byte(strings.Replace(base, "n1", "n2", 1)))) {
		t.Error("a changed host name changes nothing")
	}
}
