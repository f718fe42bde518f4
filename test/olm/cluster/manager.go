// Package cluster has the Operator Lifecycle Manager itself in a lab, with a catalog that offers this project's package, and does there what a user does:
// subscribe, upgrade, uninstall. The names are those of OpenShift, so the objects that users have written for it are applied as they are.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/config/olm"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
	"github.com/seed-551707bd/metallb-operator/test/product"
)

// Names that a Subscription on OpenShift uses.
const (
	CatalogName      = "redhat-operators"
	CatalogNamespace = "openshift-marketplace"
	// managerNamespace is where OLM's own pods are.
	managerNamespace = "olm"
	// catalogAddress is that of the Service of the catalog: labs have no cluster DNS.
	catalogAddress = "10.96.0.50"
)

// patience bounds each wait for OLM; it is no figure of anything.
const patience = 3 * time.Minute

// Manager is OLM in a lab.
type Manager struct {
	*product.Product
	pkg    *olm.Package
	source *olm.Source
	image  string
	offers int
}

// Up brings up a lab with OLM in it, which is ready and has an empty catalog. The caller takes the lab down, also after an error.
func Up(ctx context.Context, o lab.Options) (*Manager, error) {
	root, err := source.Root("")
	if err != nil {
		return nil, err
	}
	m := &Manager{}
	if m.pkg, err = olm.LoadPackage(root); err != nil {
		return nil, err
	}
	if m.source, err = olm.Load(ctx, root); err != nil {
		return nil, err
	}
	o.OLM = true
	l, err := lab.Up(ctx, o)
	if err != nil {
		return nil, err
	}
	if m.Product, err = product.In(l); err != nil {
		return nil, err
	}
	return m, m.install(ctx, say(o.Progress))
}

func say(p assets.Progress) assets.Progress {
	if p == nil {
		return func(string, ...any) {}
	}
	return p
}

// install applies OLM's definitions and pods, and waits for them.
func (m *Manager) install(ctx context.Context, say assets.Progress) error {
	manager, err := m.OLM(ctx)
	if err != nil {
		return err
	}
	m.image = manager.Image
	say("installing OLM: %s", m.image)
	if _, err := m.Kubectl(ctx, "apply", "--server-side", "-f", manager.Definitions); err != nil {
		return err
	}
	if _, err := m.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "-f", manager.Definitions); err != nil {
		return err
	}
	if err := m.Apply(ctx, strings.ReplaceAll(managerObjects, "IMAGE", m.image)); err != nil {
		return err
	}
	_, err = m.Kubectl(ctx, "wait", "--namespace", managerNamespace, "--for=condition=Available", "--timeout=120s", "deployment", "--all")
	return err
}

// managerObjects are OLM's two operators, as its release has them but for the image and probes less, and a namespace for catalogs. The rights are its own,
// too: it makes every kind of object that a bundle may hold, and gives away every right that one may ask for.
const managerObjects = `
apiVersion: v1
kind: Namespace
metadata: {name: olm}
---
apiVersion: v1
kind: Namespace
metadata: {name: openshift-marketplace}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: olm-operator-serviceaccount, namespace: olm}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:controller:operator-lifecycle-manager"}
rules:
- {apiGroups: ["*"], resources: ["*"], verbs: ["*"]}
- {nonResourceURLs: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: olm-operator-binding-olm}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:controller:operator-lifecycle-manager"}
subjects: [{kind: ServiceAccount, name: olm-operator-serviceaccount, namespace: olm}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: olm-operator, namespace: olm}
spec:
  selector: {matchLabels: {app: olm-operator}}
  template:
    metadata: {labels: {app: olm-operator}}
    spec:
      serviceAccountName: olm-operator-serviceaccount
      terminationGracePeriodSeconds: 0
      containers:
      - name: olm-operator
        image: IMAGE
        command: [/bin/olm, --namespace, olm, --writeStatusName, "", --writePackageServerStatusName, ""]
        env: [{name: OPERATOR_NAMESPACE, value: olm}, {name: OPERATOR_NAME, value: olm-operator}]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: catalog-operator, namespace: olm}
spec:
  selector: {matchLabels: {app: catalog-operator}}
  template:
    metadata: {labels: {app: catalog-operator}}
    spec:
      serviceAccountName: olm-operator-serviceaccount
      terminationGracePeriodSeconds: 0
      containers:
      - name: catalog-operator
        image: IMAGE
        command: [/bin/catalog, --namespace, openshift-marketplace, --opmImage, IMAGE, --util-image, IMAGE]
        readinessProbe: {httpGet: {path: /healthz, port: 8080}, periodSeconds: 1}
`

// Subscribe applies what the users' Subscription consists of: Namespace, OperatorGroup and Subscription.
func (m *Manager) Subscribe(ctx context.Context) error {
	return m.Apply(ctx, strings.Join([]string{Namespace, OperatorGroup, Subscription}, "\n---\n"))
}

// What users of OpenShift apply, to the letter of what is written about it: all of the product is in the namespace metallb-system.
const (
	Namespace = `
apiVersion: v1
kind: Namespace
metadata:
  name: metallb-system`
	OperatorGroup = `
apiVersion: operators.coreos.com/v1
kind: OperatorGroup
metadata:
  name: metallb-operator
  namespace: metallb-system`
	Subscription = `
apiVersion: operators.coreos.com/v1alpha1
kind: Subscription
metadata:
  name: metallb-operator-sub
  namespace: metallb-system
spec:
  channel: stable
  name: metallb-operator
  source: redhat-operators
  sourceNamespace: openshift-marketplace`
)

// OLM's kinds.
var (
	csvKind          = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "ClusterServiceVersion"}
	subscriptionKind = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "Subscription"}
	catalogKind      = schema.GroupVersionKind{Group: "operators.coreos.com", Version: "v1alpha1", Kind: "CatalogSource"}
)

// get reads one object.
func (m *Manager) get(ctx context.Context, kind schema.GroupVersionKind, namespace, name string) (*unstructured.Unstructured, error) {
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(kind)
	return o, m.Client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, o)
}

// CSV is what the ClusterServiceVersion of a version says: "PHASE REASON: message".
func (m *Manager) CSV(ctx context.Context, version string) (string, error) {
	csv, err := m.get(ctx, csvKind, product.Namespace, olm.Name(m.pkg.Name, version))
	if err != nil {
		return "", err
	}
	said := map[string]string{}
	for _, key := range []string{"phase", "reason", "message"} {
		said[key], _, _ = unstructured.NestedString(csv.Object, "status", key)
	}
	return fmt.Sprintf("%s %s: %s", said["phase"], said["reason"], said["message"]), nil
}

// WaitInstalled waits until OLM says of a version that it is installed; its error tells what OLM said last, of the version or, before there is one, of the Subscription.
func (m *Manager) WaitInstalled(ctx context.Context, version string) error {
	return product.Eventually(ctx, patience, func(ctx context.Context) error {
		said, err := m.CSV(ctx, version)
		if err != nil {
			complaints, serr := m.Complaints(ctx)
			return errors.Join(err, serr, fmt.Errorf("the Subscription says %q", complaints))
		}
		if !strings.HasPrefix(said, "Succeeded ") {
			return fmt.Errorf("version %s is not installed: %s", version, said)
		}
		return nil
	})
}

// Complaints are the conditions of the Subscription that are true: "TYPE REASON: message".
func (m *Manager) Complaints(ctx context.Context) ([]string, error) {
	subscription, err := m.get(ctx, subscriptionKind, product.Namespace, "metallb-operator-sub")
	if err != nil {
		return nil, err
	}
	conditions, _, err := unstructured.NestedSlice(subscription.Object, "status", "conditions")
	if err != nil {
		return nil, fmt.Errorf("read the conditions of the Subscription: %w", err)
	}
	var all []string
	for _, c := range conditions {
		if condition, ok := c.(map[string]any); ok && condition["status"] == "True" {
			all = append(all, fmt.Sprintf("%v %v: %v", condition["type"], condition["reason"], condition["message"]))
		}
	}
	return all, nil
}

// scratch is a folder of the lab's, which goes with it.
func (m *Manager) scratch(name string) string { return filepath.Join(m.Dir(), "olm", name) }
