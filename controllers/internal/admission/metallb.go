package admission

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// judgeMetalLB returns why a MetalLB object, which was old before, is refused, "" when it is not, and what to tell its author in any case.
// namespace is the one in which the operator acts upon such objects.
func judgeMetalLB(old, now *v1beta1.MetalLB, namespace string) (refusal string, warnings []string) {
	name := fmt.Sprintf("MetalLB %s/%s", now.Namespace, now.Name)
	wrong := manifests.Validate(now.Spec)
	if old != nil {
		known := manifests.Validate(old.Spec)
		wrong = slices.DeleteFunc(wrong, func(e *field.Error) bool {
			before := slices.ContainsFunc(known, func(k *field.Error) bool { return k.Type == e.Type && k.Field == e.Field })
			if before {
				warnings = append(warnings, fmt.Sprintf("%s: %s", name, e))
			}
			return before
		})
	}
	if now.Namespace != namespace {
		misplaced := fmt.Sprintf("metadata.namespace is %q: only a MetalLB object in namespace %q is acted upon", now.Namespace, namespace)
		if old == nil {
			return name + ": " + misplaced, warnings
		}
		warnings = append(warnings, name+": "+misplaced)
	}
	if now.Name != v1beta1.MetalLBName {
		warnings = append(warnings, fmt.Sprintf("%s: metadata.name is %q: only a MetalLB object named %s is acted upon", name, now.Name, v1beta1.MetalLBName))
	}
	if text := manifests.Substituted(now.Spec); text != "" {
		warnings = append(warnings, name+": "+text)
	}
	if len(wrong) > 0 {
		return fmt.Sprintf("%s: %s", name, wrong.ToAggregate()), warnings
	}
	return "", warnings
}
