package configstatus

import (
	"cmp"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/condition"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// accepted is the condition Accepted of an object with these problems, all its own.
func accepted(problems []intent.Problem) metav1.Condition {
	c := metav1.Condition{Type: v1beta1.ConditionAccepted, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonAccepted}
	against := only(problems, func(p intent.Problem) bool { return p.Kind == intent.Invalid || p.Kind == intent.Conflict })
	if len(against) == 0 {
		c.Message = cmp.Or(text(only(problems, isWarning)), "valid and in force")
		return c
	}
	c.Status = condition.Is(false)
	switch {
	case slices.ContainsFunc(against, func(p intent.Problem) bool { return p.Rule == intent.RuleNamespace }):
		c.Reason = v1beta1.ReasonWrongNamespace
	case slices.ContainsFunc(against, func(p intent.Problem) bool { return p.Kind == intent.Invalid }):
		c.Reason = v1beta1.ReasonInvalid
	default:
		c.Reason = v1beta1.ReasonConflict
	}
	c.Message = text(against)
	return c
}

// resolved is the condition ResolvedRefs of an object with these problems, all its own.
func resolved(problems []intent.Problem) metav1.Condition {
	c := metav1.Condition{Type: v1beta1.ConditionResolvedRefs, Status: metav1.ConditionTrue, Reason: v1beta1.ReasonResolvedRefs, Message: "all objects that it names are in force"}
	missing := only(problems, func(p intent.Problem) bool { return p.Kind == intent.Unresolved })
	if len(missing) > 0 {
		c.Status, c.Reason, c.Message = condition.Is(false), missingReason(missing[0].Rule), text(missing)
	}
	return c
}

// obsolete tells a condition that a version before this one wrote, and that nobody would take back: that nothing answers for the addresses of an
// L2Advertisement. Which nodes answer for its addresses the speakers report (ServiceL2Status).
func obsolete(c metav1.Condition) bool {
	return c.Type == v1beta1.ConditionProgrammed && c.Reason == v1beta1.ReasonUnsupported
}

// missingReason is the reason for ResolvedRefs being False.
func missingReason(rule intent.Rule) string {
	switch rule {
	case intent.RulePoolMissing:
		return v1beta1.ReasonPoolNotFound
	case intent.RuleAddressInNoPool:
		return v1beta1.ReasonAddressNotInPool
	case intent.RuleReservedFamily:
		return v1beta1.ReasonFamilyNotInPool
	case intent.RulePeerMissing:
		return v1beta1.ReasonPeerNotFound
	case intent.RuleBFDProfile:
		return v1beta1.ReasonBFDProfileNotFound
	case intent.RuleCommunityAlias:
		return v1beta1.ReasonCommunityNotFound
	case intent.RuleListenPort:
		return v1beta1.ReasonNotListening
	case intent.RuleSecretMissing:
		return v1beta1.ReasonSecretNotFound
	default:
		return v1beta1.ReasonSecretInvalid
	}
}

func isWarning(p intent.Problem) bool { return p.Kind == intent.Warning }

// isController tells whether p is about an object that the controller itself works with.
func isController(p intent.Problem) bool {
	switch p.Object.Kind {
	case intent.KindPool, intent.KindReservation, intent.KindQuota:
		return true
	}
	return false
}

func only(problems []intent.Problem, is func(intent.Problem) bool) []intent.Problem {
	var out []intent.Problem
	for _, p := range problems {
		if is(p) {
			out = append(out, p)
		}
	}
	return out
}

// text lists problems for a condition of the object that they are about, and says what is in force in its place.
func text(problems []intent.Problem) string {
	lines := make([]string, 0, len(problems)+1)
	kept := false
	for _, p := range problems {
		lines = append(lines, p.Detail())
		kept = kept || p.Kept
	}
	if kept {
		lines = append(lines, "what it said before stays in force")
	}
	return strings.Join(lines, "; ")
}

// maxSummary keeps a ConfigurationState readable, and far from what the API server refuses.
const maxSummary = 8192

// summary lists problems of any object, as many as fit.
func summary(problems []intent.Problem) string {
	var b strings.Builder
	for i, p := range problems {
		line := p.Error()
		if b.Len()+len(line) > maxSummary {
			b.WriteString("; and others, see the conditions of the objects")
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(line)
	}
	return b.String()
}
