package kubeview

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/seed-551707bd/metallb-operator/internal/selector"
)

// labelSelector is a Kubernetes label selector as the core sees it, with its text, which the core compares selectors by.
type labelSelector struct {
	parsed labels.Selector
	text   string
}

func (s labelSelector) Matches(set map[string]string) bool { return s.parsed.Matches(labels.Set(set)) }

func (s labelSelector) String() string { return s.text }

// Selector turns an API label selector into the core's. As everywhere in Kubernetes nil matches nothing and the empty selector everything;
// they print as "<none>" and "<all>". The error is apimachinery's, which names the faulty key, operator or value.
func Selector(s *metav1.LabelSelector) (selector.Selector, error) {
	parsed, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil, err
	}
	text := parsed.String()
	switch {
	case s == nil:
		text = "<none>"
	case text == "":
		text = "<all>"
	}
	return labelSelector{parsed: parsed, text: text}, nil
}
