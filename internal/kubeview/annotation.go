package kubeview

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// Annotation looks up the annotation name, given without prefix ("address-pool"). The prefix metallb.io/ wins over the deprecated
// metallb.universe.tf/; key is the whole key that the value was found under, so that the caller can tell.
func Annotation(o metav1.Object, name string) (value, key string, ok bool) {
	annotations := o.GetAnnotations()
	for _, prefix := range [...]string{v1beta1.AnnotationPrefix, v1beta1.DeprecatedAnnotationPrefix} {
		if value, ok := annotations[prefix+name]; ok {
			return value, prefix + name, true
		}
	}
	return "", "", false
}
