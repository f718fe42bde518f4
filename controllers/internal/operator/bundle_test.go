package operator_test

import (
	"maps"
	"path/filepath"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/olm"
)

// byOLM is what OLM makes of the newest bundle, but for the Deployment and the webhooks: the manifests, in the operator's namespace, and the cluster-wide
// rights of the ClusterServiceVersion.
func byOLM(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	p, err := olm.LoadPackage("../../..")
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := olm.ReadBundle(filepath.Join("../../..", olm.BundleFolder, p.Versions[len(p.Versions)-1].Version))
	if err != nil {
		t.Fatal(err)
	}
	object := func(apiVersion, kind, name string, more map[string]any) *unstructured.Unstructured {
		o := &unstructured.Unstructured{Object: map[string]any{}}
		o.SetAPIVersion(apiVersion)
		o.SetKind(kind)
		o.SetName(name)
		maps.Copy(o.Object, more)
		return o
	}
	objects := []*unstructured.Unstructured{object("v1", "Namespace", namespace, nil)}
	for _, manifest := range bundle.Objects() {
		switch manifest.GetKind() {
		case "ClusterServiceVersion":
			permissions, _, err := unstructured.NestedSlice(manifest.Object, "spec", "install", "spec", "clusterPermissions")
			if err != nil || len(permissions) != 1 {
				t.Fatalf("%d cluster permissions, error %v", len(permissions), err)
			}
			permission := permissions[0].(map[string]any)
			account := object("v1", "ServiceAccount", permission["serviceAccountName"].(string), nil)
			account.SetNamespace(namespace)
			api := rbacv1.SchemeGroupVersion.String()
			objects = append(objects, account,
				object(api, "ClusterRole", "olm", map[string]any{"rules": permission["rules"]}),
				object(api, "ClusterRoleBinding", "olm", map[string]any{
					"roleRef":  map[string]any{"apiGroup": rbacv1.GroupName, "kind": "ClusterRole", "name": "olm"},
					"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": account.GetName(), "namespace": namespace}},
				}))
		case "Role", "RoleBinding":
			manifest.SetNamespace(namespace)
			objects = append(objects, manifest)
		default:
			objects = append(objects, manifest)
		}
	}
	return objects
}

// Given a cluster in which OLM installed the bundle, when a MetalLB object is created and deleted, then the rights of the bundle are enough for all that the
// operator does, and it can read no Secret of another namespace.
func TestRightsOfTheBundle(t *testing.T) {
	c := newClusterWith(t, func() []*unstructured.Unstructured { return byOLM(t) })
	object := c.metallb(t, v1beta1.MetalLBName)
	all := c.awaitChildren(t)
	// The names of what it lacks rights for would be here.
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
	if err := c.Delete(t.Context(), object); err != nil {
		t.Fatal(err)
	}
	for _, child := range all {
		if child.GetNamespace() == "" {
			c.awaitGone(t, child)
		}
	}
	c.awaitGone(t, object)
	for where, want := range map[string]bool{namespace: true, "kube-system": false, "": false} {
		review := &authorizationv1.SubjectAccessReview{Spec: authorizationv1.SubjectAccessReviewSpec{
			User:               "system:serviceaccount:" + namespace + ":metallb-operator",
			ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: where, Verb: "list", Resource: "secrets"},
		}}
		if err := c.Create(t.Context(), review); err != nil {
			t.Fatal(err)
		}
		if review.Status.Allowed != want {
			t.Errorf("may list Secrets of namespace %q: %t", where, review.Status.Allowed)
		}
	}
}
