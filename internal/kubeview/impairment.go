package kubeview

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Impairment is something that Kubernetes may know of a node and that makes it a bad place for addresses, if the user says so: by itself none of
// them counts (rule N5).
type Impairment string

// The impairments, as users write them.
const (
	// NotReady is a condition Ready that is not True, or not there.
	NotReady Impairment = "NotReady"
	// OutOfService is the taint node.kubernetes.io/out-of-service, by which somebody declares that the node is shut down.
	OutOfService Impairment = "OutOfService"
	// Unschedulable is spec.unschedulable, which kubectl cordon and kubectl drain set.
	Unschedulable Impairment = "Unschedulable"
	// ShuttingDown is a condition Ready in which the kubelet says that the node is being shut down: graceful node shutdown.
	ShuttingDown Impairment = "ShuttingDown"
	// DrainRequested is the annotation metallb.io/drain with the value true.
	DrainRequested Impairment = "DrainRequested"
)

// shuttingDown is what the kubelet writes into the message of the condition Ready from the moment that the node is told to shut down. The
// reason of the condition is the one of any other trouble.
const shuttingDown = "node is shutting down"

// Impairments returns all of them, in the order in which they are named.
func Impairments() []Impairment {
	return []Impairment{NotReady, OutOfService, Unschedulable, ShuttingDown, DrainRequested}
}

// ParseImpairments reads a list of impairments separated by commas, as a flag has it; "" is an empty list. The error says what was found and what
// would be right.
func ParseImpairments(list string) ([]Impairment, error) {
	if strings.TrimSpace(list) == "" {
		return nil, nil
	}
	var found []Impairment
	for name := range strings.SplitSeq(list, ",") {
		one := Impairment(strings.TrimSpace(name))
		if !slices.Contains(Impairments(), one) {
			return nil, fmt.Errorf("%q in the list %q is no state of a node: wanted %s", one, list, choices())
		}
		if !slices.Contains(found, one) {
			found = append(found, one)
		}
	}
	return found, nil
}

// choices names all impairments, for people.
func choices() string {
	var names []string
	for _, i := range Impairments() {
		names = append(names, string(i))
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}

// Impaired says which of these impairments the node has, in words that follow "node n1 ", such as "is not Ready"; "" for none. The words change
// only when the answer does, not with a heartbeat.
func Impaired(n *corev1.Node, by []Impairment) string {
	var words []string
	for _, i := range Impairments() {
		if slices.Contains(by, i) && i.of(n) {
			words = append(words, i.words())
		}
	}
	return strings.Join(words, " and ")
}

func (i Impairment) of(n *corev1.Node) bool {
	switch i {
	case NotReady:
		c := ready(n)
		return c == nil || c.Status != corev1.ConditionTrue
	case OutOfService:
		return slices.ContainsFunc(n.Spec.Taints, func(t corev1.Taint) bool { return t.Key == corev1.TaintNodeOutOfService })
	case Unschedulable:
		return n.Spec.Unschedulable
	case ShuttingDown:
		c := ready(n)
		return c != nil && c.Status == corev1.ConditionFalse && strings.Contains(c.Message, shuttingDown)
	case DrainRequested:
		return n.Annotations[v1beta1.NodeAnnotationDrain] == "true"
	}
	return false
}

// ready returns the condition of that name, nil when there is none.
func ready(n *corev1.Node) *corev1.NodeCondition {
	i := slices.IndexFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool { return c.Type == corev1.NodeReady })
	if i < 0 {
		return nil
	}
	return &n.Status.Conditions[i]
}

func (i Impairment) words() string {
	switch i {
	case NotReady:
		return "is not Ready"
	case OutOfService:
		return "has the taint " + corev1.TaintNodeOutOfService
	case Unschedulable:
		return "is unschedulable"
	case ShuttingDown:
		return "is being shut down"
	case DrainRequested:
		return "has the annotation " + v1beta1.NodeAnnotationDrain
	}
	return ""
}
