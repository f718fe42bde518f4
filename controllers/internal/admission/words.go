package admission

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
)

// What a message names at most, of the things that there may be thousands of.
const (
	maxServices = 10
	maxProblems = 10
	maxWarnings = 20
)

// refusal says why a change is refused and what can be done; "" when nothing speaks against it.
func (c *change) refusal(j judgement, lost []loss) string {
	if len(j.own) > 0 {
		return c.ref().String() + ": " + limited(j.own, maxProblems, "; ", intent.Problem.Detail)
	}
	harm := c.harm(j, lost)
	if len(harm) == 0 {
		return ""
	}
	done := "changed like this"
	switch {
	case c.now == nil:
		done = "deleted"
	case c.old == nil:
		done = "created like this"
	}
	return fmt.Sprintf("%s can't be %s: %s. %s", c.ref(), done, strings.Join(harm, "; "), c.remedy())
}

// harm says what a change does to others, one text for each kind of harm.
func (c *change) harm(j judgement, lost []loss) []string {
	var out []string
	if n := len(lost); n > 0 {
		have := "Services have addresses that no pool would give them any more"
		if n == 1 {
			have = "Service has an address that no pool would give it any more"
		}
		out = append(out, fmt.Sprintf("%d %s: %s", n, have, limited(lost, maxServices, ", ", loss.String)))
	}
	if len(j.others) > 0 {
		out = append(out, "it would break "+limited(j.others, maxProblems, "; ", intent.Problem.Error))
	}
	return out
}

// remedy says how to do it all the same.
func (c *change) remedy() string {
	if c.old == nil {
		return fmt.Sprintf("If that is meant, give it the annotation %s: %q", v1beta1.AnnotationAllowDisruption, c.leave())
	}
	return fmt.Sprintf("If that is meant, do it again after: kubectl annotate --overwrite -n %s %s %s %s=%s",
		c.old.GetNamespace(), c.resource, c.old.GetName(), v1beta1.AnnotationAllowDisruption, c.leave())
}

// warnings returns what to tell about a change that is admitted, although it does harm where there is any.
func (c *change) warnings(j judgement, lost []loss) []string {
	var out []string
	for _, text := range c.harm(j, lost) {
		out = append(out, fmt.Sprintf("%s, as %s allows: %s", c.ref(), v1beta1.AnnotationAllowDisruption, text))
	}
	for i, p := range append(append([]intent.Problem(nil), j.own...), j.remarks...) {
		if i == maxWarnings {
			out = append(out, "there is more; see the conditions of the objects")
			break
		}
		out = append(out, p.Error())
	}
	return out
}

// String names the Service and what it loses.
func (l loss) String() string {
	return fmt.Sprintf("%s (%s)", l.service, limited(l.addresses, len(l.addresses), ", ", netip.Addr.String))
}

// limited joins the texts of a list, at most limit of them, and says how many more there are.
func limited[T any](list []T, limit int, separator string, text func(T) string) string {
	var b strings.Builder
	for i, one := range list {
		if i == limit {
			fmt.Fprintf(&b, "%sand %d more", separator, len(list)-limit)
			break
		}
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(text(one))
	}
	return b.String()
}
