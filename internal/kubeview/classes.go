package kubeview

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// Classes says which Services a program is responsible for (rule A1). The zero value stands for those without a load balancer class.
type Classes struct {
	// Names are the classes of Services to serve. Without any, only Services without a class are.
	Names []string
	// AlsoUnclassed serves the Services without a class beside those of Names.
	AlsoUnclassed bool
}

// ParseClasses reads a list of classes separated by commas, as a flag has it; "" is an empty list. The error says which name is none that a
// Service could have.
func ParseClasses(list string, alsoUnclassed bool) (Classes, error) {
	c := Classes{AlsoUnclassed: alsoUnclassed}
	if strings.TrimSpace(list) == "" {
		return c, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		if wrong := validation.IsQualifiedName(name); len(wrong) > 0 {
			return Classes{}, fmt.Errorf("load balancer class is %q: wanted a name such as example.com/lb: %s", name, strings.Join(wrong, "; "))
		}
		if !slices.Contains(c.Names, name) {
			c.Names = append(c.Names, name)
		}
	}
	return c, nil
}

// Handle tells whether a program that serves these classes is responsible for svc. A Service of any other type than LoadBalancer is nobody's.
func (c Classes) Handle(svc *corev1.Service) bool {
	if svc.Spec.Type != corev1.ServiceTypeLoadBalancer {
		return false
	}
	if svc.Spec.LoadBalancerClass == nil {
		return c.AlsoUnclassed || len(c.Names) == 0
	}
	return slices.Contains(c.Names, *svc.Spec.LoadBalancerClass)
}

// String returns what a log says: the names, and "none" for Services without a class.
func (c Classes) String() string {
	names := c.Names
	if c.AlsoUnclassed || len(names) == 0 {
		names = append(slices.Clone(names), "none")
	}
	return strings.Join(names, ",")
}
