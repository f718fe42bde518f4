package operator_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// constraintsDefinition stands for OpenShift's own, which has a schema.
const constraintsDefinition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: securitycontextconstraints.security.openshift.io}
spec:
  group: security.openshift.io
  scope: Cluster
  names: {kind: SecurityContextConstraints, listKind: SecurityContextConstraintsList, plural: securitycontextconstraints, singular: securitycontextconstraints}
  versions:
    - name: v1
      served: true
      storage: true
      schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

// Given a cluster with OpenShift's API, when a MetalLB object comes and goes, then the speakers' pods have SecurityContextConstraints of their own, which
// are kept as they are and go with it; elsewhere there are none (TestOperator).
func TestOnOpenShift(t *testing.T) {
	c := newClusterWith(t, func() []*unstructured.Unstructured {
		return append(split(t, kustomize(t, "config/default")), split(t, []byte(constraintsDefinition))...)
	})
	metallb := c.metallb(t, v1beta1.MetalLBName, v1beta1.MetalLBSpec{})
	c.awaitChildren(t, v1beta1.MetalLBSpec{})
	own := &unstructured.Unstructured{}
	own.SetGroupVersionKind(manifests.SecurityContextConstraints())
	own.SetName(manifests.SpeakerConstraints)
	inForce := func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(own), own); err != nil {
			return err
		}
		users, _, err := unstructured.NestedStringSlice(own.Object, "users")
		if err != nil || !slices.Equal(users, []string{"system:serviceaccount:" + namespace + ":speaker"}) {
			return fmt.Errorf("users %v: %w", users, err)
		}
		return nil
	}
	eventually(t, "there are constraints for the speakers", inForce)
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
	c.settle(t)
	before := len(c.writes.all())
	c.touch(t)
	c.settle(t)
	if after := c.writes.all(); len(after) != before {
		t.Errorf("at rest the operator wrote: %v", after[before:])
	}
	speaker := &appsv1.DaemonSet{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: manifests.Speaker}, speaker); err != nil {
		t.Fatal(err)
	}
	if name := speaker.Spec.Template.Annotations["openshift.io/required-scc"]; name != manifests.SpeakerConstraints {
		t.Errorf("the speakers' pods ask for the constraints %q", name)
	}

	if err := c.Delete(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	eventually(t, "they are back after they were deleted", inForce)
	c.change(t, own, func() {
		if err := unstructured.SetNestedStringSlice(own.Object, []string{"somebody"}, "users"); err != nil {
			t.Fatal(err)
		}
	})
	eventually(t, "they are as before after they were edited", inForce)

	if err := c.Delete(t.Context(), metallb); err != nil {
		t.Fatal(err)
	}
	c.awaitGone(t, metallb)
	c.awaitGone(t, own)
}
