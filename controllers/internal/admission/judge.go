package admission

import (
	"strings"

	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// judgement is the difference that a change makes to what is wrong with the configuration.
type judgement struct {
	// own are the errors of the object that is changed which it did not have before, and others those of other objects.
	own, others []intent.Problem
	// remarks are all else worth telling: what is wrong with the object but was wrong before, or may mend itself (names of objects that may yet
	// be created), or does no harm; and what is new about others but not for the worse.
	remarks []intent.Problem
}

// judge compares the problems of a configuration before and after a change of subject. An object that was wrong before may stay wrong, so
// that it can be mended in steps: only a rule that is violated more often than before speaks against the change.
func judge(before, after []intent.Problem, subject intent.ObjectRef) judgement {
	known := map[intent.Problem]bool{}
	credit := map[violation]int{}
	for _, p := range before {
		known[p] = true
		credit[violationOf(p)]++
	}
	for _, p := range after {
		if known[p] {
			credit[violationOf(p)]--
		}
	}
	// worse tells whether p has not taken the place of something that was as bad.
	worse := func(p intent.Problem) bool {
		if known[p] {
			return false
		}
		v := violationOf(p)
		credit[v]--
		return credit[v] < 0
	}
	var j judgement
	for _, p := range after {
		own, worse := p.Object == subject, worse(p)
		switch {
		case own && worse && (p.Kind == intent.Invalid || p.Kind == intent.Conflict):
			j.own = append(j.own, p)
		case !own && worse && p.Kind != intent.Warning:
			j.others = append(j.others, p)
		case own || !known[p]:
			j.remarks = append(j.remarks, p)
		}
	}
	return j
}

// violation is a Problem without what a step towards the better may change: which entry of a list it is about, and the values.
type violation struct {
	object intent.ObjectRef
	kind   intent.ProblemKind
	rule   intent.Rule
	field  string
}

func violationOf(p intent.Problem) violation {
	field := p.Field
	for {
		open := strings.IndexByte(field, '[')
		if open < 0 {
			break
		}
		length := strings.IndexByte(field[open:], ']')
		if length < 0 {
			break
		}
		field = field[:open] + field[open+length+1:]
	}
	return violation{object: p.Object, kind: p.Kind, rule: p.Rule, field: field}
}
