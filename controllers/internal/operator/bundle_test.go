package operator_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"testing"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/olm"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
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
	if status := c.ready(t, namespace); status != http.StatusOK {
		t.Errorf("in the namespace that the rights are for the operator is not ready: status %d", status)
	}
	// Where OLM was told another namespace, all of this is there and the operator runs, but can do nothing.
	if status := c.ready(t, "operators"); status == http.StatusOK {
		t.Error("in another namespace, where it has no rights, the operator is ready all the same")
	}
	object := c.metallb(t, v1beta1.MetalLBName, everyKind())
	all := c.awaitChildren(t, everyKind())
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

// ready starts a manager as the operator's ServiceAccount of a namespace and returns what it answers to probes once it answers.
func (c *cluster) ready(t *testing.T, namespace string) int {
	t.Helper()
	port := freePort(t)
	mgr, err := operator.NewManager(c.operatorIn(t, namespace), operator.ManagerOptions{Namespace: namespace, MetricsAddress: "0", HealthAddress: port})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	status := 0
	for _, check := range []string{"cache", "rights"} {
		eventually(t, "the probe "+check+" is answered", func(ctx context.Context) error {
			request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+port+"/readyz/"+check, nil)
			if err != nil {
				return err
			}
			answer, err := http.DefaultClient.Do(request)
			if err != nil {
				return err
			}
			defer answer.Body.Close()
			if status = answer.StatusCode; check == "cache" && status != http.StatusOK {
				return fmt.Errorf("status %d", status)
			}
			return nil
		})
	}
	return status
}

// freePort is an address of this machine that nobody listens on.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}
