package intent

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// about collects what is wrong with one object.
type about struct {
	ref      ObjectRef
	problems []Problem
	// bad is set once the object can't be used as it is.
	bad bool
}

func (a *about) add(kind ProblemKind, rule Rule, field, found, wanted string) {
	a.problems = append(a.problems, Problem{Object: a.ref, Kind: kind, Rule: rule, Field: field, Found: found, Wanted: wanted})
}

func (a *about) invalid(rule Rule, field, found, wanted string) {
	a.bad = true
	a.add(Invalid, rule, field, found, wanted)
}

func (a *about) conflict(rule Rule, field, found, wanted string) {
	a.add(Conflict, rule, field, found, wanted)
}

func (a *about) unresolved(rule Rule, field, found, wanted string) {
	a.add(Unresolved, rule, field, found, wanted)
}

func (a *about) warn(rule Rule, field, found, wanted string) {
	a.add(Warning, rule, field, found, wanted)
}

// keep marks the problems as ones that left the object's earlier content in force.
func (a *about) keep() {
	for i := range a.problems {
		a.problems[i].Kept = a.problems[i].Kind != Warning
	}
}

// maxFound is how much of a value is repeated in a Problem, in bytes.
const maxFound = 120

// quote returns text in quotes, control characters escaped, and cut when it is long.
func quote(text string) string {
	if len(text) > maxFound {
		text = strings.ToValidUTF8(text[:maxFound], "") + "…"
	}
	return strconv.Quote(text)
}

// item returns the path of the i-th entry of a list.
func item(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// place checks what every object needs: to be in the right namespace, and a name that may be written anywhere.
func (a *about) place(m *Meta, namespace string, seen map[string]bool) bool {
	if m.Namespace != namespace {
		a.invalid(RuleNamespace, "metadata.namespace", quote(m.Namespace), "only objects in namespace "+quote(namespace)+" are used")
		return false
	}
	if !isObjectName(m.Name) {
		a.invalid(RuleName, "metadata.name", quote(m.Name), "must be lower-case letters, digits, '-' and '.', at most 253, as everywhere in Kubernetes")
		return false
	}
	if seen[m.Name] {
		a.conflict(RuleName, "metadata.name", quote(m.Name), "another, older object of the same name is in force")
		return false
	}
	seen[m.Name] = true
	return true
}

// isObjectName tells whether name is what the API server accepts as an object's name (RFC 1123 subdomain).
func isObjectName(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for i := range len(label) {
			if c := label[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-') {
				return false
			}
		}
	}
	return true
}

// distinct reports entries of a list that appear twice.
func (a *about) distinct(field string, list []string) {
	first := make(map[string]int, len(list))
	for i, entry := range list {
		if j, ok := first[entry]; ok {
			a.invalid(RuleDuplicateEntry, item(field, i), quote(entry), fmt.Sprintf("must not repeat %s", item(field, j)))
			continue
		}
		first[entry] = i
	}
}

// selectors returns the set of a list of label selectors, reporting those that do not parse and those that repeat another.
func (a *about) selectors(field string, list []RawSelector) selector.Set {
	var set selector.Set
	first := make(map[string]int, len(list))
	for i, raw := range list {
		one := a.selector(item(field, i), raw)
		if one == nil {
			continue
		}
		if j, ok := first[one.String()]; ok {
			a.invalid(RuleDuplicateEntry, item(field, i), quote(one.String()), fmt.Sprintf("must not repeat %s", item(field, j)))
			continue
		}
		first[one.String()] = i
		set = append(set, one)
	}
	return set
}

// selector returns one label selector, nil when it does not parse.
func (a *about) selector(field string, raw RawSelector) selector.Selector {
	if raw.Err != "" || raw.Selector == nil {
		a.invalid(RuleSelector, field, "", "must be a valid label selector: "+raw.Err)
		return nil
	}
	return raw.Selector
}

// matchesNothing warns when node selectors select none of the nodes there are.
func (a *about) matchesNothing(nodes nodeSet, b *builder) {
	if !nodes.all && nodes.empty() && len(b.nodes) > 0 {
		a.warn(RuleMatchesNothing, "spec.nodeSelectors", "", fmt.Sprintf("none of the %d nodes matches", len(b.nodes)))
	}
}

// isDeviceName tells whether name can name a Linux network device: up to 15 visible ASCII characters, without '/' and ':', and neither "."
// nor ".." (dev_valid_name in the kernel, which also takes what is not ASCII).
func isDeviceName(name string) bool {
	if name == "" || len(name) > 15 || name == "." || name == ".." {
		return false
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '/' || c == ':' {
			return false
		}
	}
	return true
}

// isFRRDevice tells whether FRR's configuration can speak of the device: quotes and backslashes, among others, break the paths of its YANG
// models. What is left is all that is usual.
func isFRRDevice(name string) bool {
	return isDeviceName(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || strings.ContainsRune("._@+=-", r))
	})
}

// What isDeviceName and isFRRDevice accept.
const (
	wantedDevice    = "must be the name of a network device: 1 to 15 visible ASCII characters without '/' and ':'"
	wantedFRRDevice = "must be the name of a network device that FRR can write: 1 to 15 letters, digits and . _ @ + = -"
)
