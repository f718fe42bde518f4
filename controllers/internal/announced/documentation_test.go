package announced

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/announce"
)

// codes are all values of announce.ReasonCode that are reasons, by the names of their constants.
func codes(t *testing.T) map[string]announce.ReasonCode {
	t.Helper()
	files, err := filepath.Glob("../../../internal/announce/*.go")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]announce.ReasonCode{}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			if !ok || len(spec.Values) != 1 || !strings.HasPrefix(spec.Names[0].Name, "Reason") {
				return true
			}
			if kind, ok := spec.Type.(*ast.Ident); ok && kind.Name == "ReasonCode" {
				value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
				if err != nil {
					t.Fatal(err)
				}
				found[spec.Names[0].Name] = announce.ReasonCode(value)
			}
			return true
		})
	}
	return found
}

func TestEveryReasonIsExplainedToUsers(t *testing.T) {
	page, err := os.ReadFile("../../../docs/not-announced.md")
	if err != nil {
		t.Fatal(err)
	}
	// These hold on some node only, while another one announces, or are no reason at all.
	elsewhere := []announce.ReasonCode{announce.ReasonNone, announce.ReasonNotOwner, announce.ReasonNotQuorate, announce.ReasonImpaired, announce.ReasonLastAnnouncer}
	all := codes(t)
	if len(all) < 20 {
		t.Fatalf("found only %v", all)
	}
	for name, code := range all {
		if !slices.Contains(elsewhere, code) && !strings.Contains(string(page), "\n| `"+reasonOf(code)+"`") {
			t.Errorf("%s: docs/not-announced.md has no row for %s", name, reasonOf(code))
		}
	}
}
