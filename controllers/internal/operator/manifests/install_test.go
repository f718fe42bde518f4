package manifests_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/yaml"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// top is the top folder of the project.
const top = "../../../.."

// Given the objects that the operator creates, when their rules are collected, then config/rbac/operands.yaml grants them
// to the operator; with -update the file is rewritten.
func TestOperandRulesMatchFile(t *testing.T) {
	cluster, inNamespace := grantedRules(everything(t, scraped()))
	const head = "# Generated from the roles of controller and speaker: go test ./controllers/internal/operator/manifests -update\n" +
		"# The operator grants these, so it must hold them.\n"
	subject := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "metallb-operator", Namespace: "system"}
	text := append([]byte(head), toYAML(t, operandRoles(cluster, inNamespace, subject))...)
	compareWithFile(t, filepath.Join(top, "config/rbac/operands.yaml"), text)
}

// Given config/default, when kubectl's kustomize builds it, then the result is typed objects without duplicates that hold
// namespace, definitions, operator and all that it needs.
func TestDefaultBuilds(t *testing.T) {
	objects := build(t, "config/default")
	kinds := map[string]int{}
	for _, o := range objects {
		kinds[o.GetObjectKind().GroupVersionKind().Kind]++
		switch o.(type) {
		case *corev1.Namespace, *apiextensionsv1.CustomResourceDefinition, *rbacv1.ClusterRole, *rbacv1.ClusterRoleBinding,
			*admissionregistrationv1.ValidatingWebhookConfiguration:
		default:
			if o.GetNamespace() != "metallb-system" {
				t.Errorf("%T %s is in namespace %q", o, o.GetName(), o.GetNamespace())
			}
		}
	}
	for kind, wanted := range map[string]int{"Namespace": 1, "CustomResourceDefinition": 15, "Deployment": 1, "ServiceAccount": 1} {
		if kinds[kind] != wanted {
			t.Errorf("%d objects of kind %s, wanted %d", kinds[kind], kind, wanted)
		}
	}
	if o := find[*corev1.Namespace](objects); o.Labels["pod-security.kubernetes.io/enforce"] != "privileged" {
		t.Errorf("labels of the namespace: %v", o.Labels)
	}
	wantImages(t, objects, "localhost/metallb-operator:dev", "localhost/frr:dev")
}

// Given an overlay with images of its own, when it is built, then the operator and what it installs use them.
func TestImagesCanBeReplaced(t *testing.T) {
	dir := t.TempDir()
	base, err := filepath.Abs(filepath.Join(top, "config/default"))
	if err != nil {
		t.Fatal(err)
	}
	if base, err = filepath.Rel(dir, base); err != nil { // kustomize takes no absolute path
		t.Fatal(err)
	}
	fields, err := os.ReadFile(filepath.Join(top, "config/default/image-fields.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"image-fields.yaml": string(fields),
		"kustomization.yaml": "resources: [" + base + "]\nconfigurations: [image-fields.yaml]\nimages:\n" +
			"  - {name: localhost/metallb-operator, newName: registry.example/lb, newTag: v7}\n" +
			"  - {name: localhost/frr, newName: quay.io/frrouting/frr, newTag: 10.5.3}\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	wantImages(t, build(t, dir), "registry.example/lb:v7", "quay.io/frrouting/frr:10.5.3")
}

// Given the operator's own rights from config/default, when they are compared with those it grants, then it holds every one
// in the scope it grants it in, and neither escalate nor bind nor any wildcard.
func TestOperatorHoldsWhatItGrants(t *testing.T) {
	cluster, inNamespace := operatorRules(build(t, "config/default"))
	inNamespace = append(inNamespace, cluster...)
	grantsCluster, grantsInNamespace := grantedRules(everything(t, scraped()))
	for _, missing := range append(notCovered(cluster, grantsCluster), notCovered(inNamespace, grantsInNamespace)...) {
		t.Errorf("the operator grants but does not hold: %s", missing)
	}
	for _, r := range inNamespace {
		for _, word := range slices.Concat(r.Verbs, r.Resources, r.APIGroups) {
			if word == "*" || word == "escalate" || word == "bind" {
				t.Errorf("a rule of the operator has %q: %v", word, r)
			}
		}
	}
}

// Given the objects that the operator creates, when each is created, patched or deleted, then a rule of the operator allows
// it.
func TestOperatorMayWriteWhatItWants(t *testing.T) {
	cluster, inNamespace := operatorRules(build(t, "config/default"))
	env, spec := environment(), readSpec(t, "testdata/full.in.yaml")
	env.OpenShift = true
	spec.Prometheus = scraped().Prometheus
	for _, o := range everythingIn(t, spec, env) {
		kind, held := o.GetObjectKind().GroupVersionKind(), cluster
		if o.GetNamespace() == environment().Namespace {
			held = slices.Concat(inNamespace, cluster)
		}
		for _, verb := range []string{"create", "get", "list", "watch", "patch", "delete"} {
			if !allows(held, atom{kind.Group, pluralOf(kind.Kind), o.GetName(), verb}) {
				t.Errorf("the operator may not %s %s %s", verb, kind.Kind, o.GetName())
			}
		}
	}
}

// pluralOf is the name of the resource of a kind.
func pluralOf(kind string) string {
	if kind, ok := strings.CutSuffix(strings.ToLower(kind), "policy"); ok {
		return kind + "policies"
	}
	return strings.TrimSuffix(strings.ToLower(kind), "s") + "s"
}

// operatorRules returns the rules that are bound to the operator's ServiceAccount, in the cluster and in its namespace.
func operatorRules(objects []client.Object) (cluster, inNamespace []rbacv1.PolicyRule) {
	own := rbacv1.Subject{Kind: rbacv1.ServiceAccountKind, Name: "metallb-operator", Namespace: "metallb-system"}
	bound := map[rbacv1.RoleRef]bool{}
	for _, o := range objects {
		switch o := o.(type) {
		case *rbacv1.ClusterRoleBinding:
			bound[o.RoleRef] = slices.Contains(o.Subjects, own)
		case *rbacv1.RoleBinding:
			bound[o.RoleRef] = slices.Contains(o.Subjects, own)
		}
	}
	for _, o := range objects {
		if !bound[rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: o.GetObjectKind().GroupVersionKind().Kind, Name: o.GetName()}] {
			continue
		}
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			cluster = append(cluster, o.Rules...)
		case *rbacv1.Role:
			inNamespace = append(inNamespace, o.Rules...)
		}
	}
	return cluster, inNamespace
}

// atom is one right: a verb on a resource, perhaps of one name.
type atom struct{ group, resource, name, verb string }

func (a atom) String() string { return fmt.Sprintf("%s %s.%s %s", a.verb, a.resource, a.group, a.name) }

func allows(held []rbacv1.PolicyRule, a atom) bool {
	return slices.ContainsFunc(held, func(r rbacv1.PolicyRule) bool {
		return slices.Contains(r.APIGroups, a.group) && slices.Contains(r.Resources, a.resource) && slices.Contains(r.Verbs, a.verb) &&
			(len(r.ResourceNames) == 0 || a.name != "" && slices.Contains(r.ResourceNames, a.name))
	})
}

func notCovered(held, wanted []rbacv1.PolicyRule) []string {
	var missing []string
	for _, r := range wanted {
		for _, group := range r.APIGroups {
			for _, resource := range r.Resources {
				for _, verb := range r.Verbs {
					if a := (atom{group: group, resource: resource, verb: verb}); !allows(held, a) {
						missing = append(missing, a.String())
					}
				}
			}
		}
	}
	return missing
}

// grantedRules returns the rules of all ClusterRoles and of all Roles among objects, each once; those of Roles in other namespaces than the
// operator's among those of the cluster, as nothing less holds there.
func grantedRules(objects []client.Object) (cluster, inNamespace []rbacv1.PolicyRule) {
	add := func(to, rules []rbacv1.PolicyRule) []rbacv1.PolicyRule {
		for _, r := range rules {
			if len(notCovered(to, []rbacv1.PolicyRule{r})) > 0 {
				to = append(to, r)
			}
		}
		return to
	}
	for _, o := range objects {
		switch o := o.(type) {
		case *rbacv1.ClusterRole:
			cluster = add(cluster, o.Rules)
		case *rbacv1.Role:
			if o.Namespace == environment().Namespace {
				inNamespace = add(inNamespace, o.Rules)
			} else { // the operator has no Role there
				cluster = add(cluster, o.Rules)
			}
		}
	}
	return cluster, inNamespace
}

func operandRoles(cluster, inNamespace []rbacv1.PolicyRule, subject rbacv1.Subject) []client.Object {
	named := func(o client.Object, kind, namespace string) client.Object {
		o.GetObjectKind().SetGroupVersionKind(rbacv1.SchemeGroupVersion.WithKind(kind))
		o.SetName("metallb-operator-operands")
		o.SetNamespace(namespace)
		o.SetLabels(map[string]string{"app.kubernetes.io/name": "metallb-operator"})
		return o
	}
	ref := func(kind string) rbacv1.RoleRef {
		return rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: kind, Name: "metallb-operator-operands"}
	}
	subjects := []rbacv1.Subject{subject}
	return []client.Object{
		named(&rbacv1.ClusterRole{Rules: cluster}, "ClusterRole", ""),
		named(&rbacv1.ClusterRoleBinding{RoleRef: ref("ClusterRole"), Subjects: subjects}, "ClusterRoleBinding", ""),
		named(&rbacv1.Role{Rules: inNamespace}, "Role", "system"),
		named(&rbacv1.RoleBinding{RoleRef: ref("Role"), Subjects: subjects}, "RoleBinding", "system"),
	}
}

func wantImages(t *testing.T, objects []client.Object, programs, frr string) {
	t.Helper()
	c := find[*appsv1.Deployment](objects).Spec.Template.Spec.Containers[0]
	found := map[string]string{"image": c.Image}
	for _, e := range c.Env {
		found[e.Name] = e.Value
	}
	for name, wanted := range map[string]string{"image": programs, "CONTROLLER_IMAGE": programs, "SPEAKER_IMAGE": programs, "FRR_IMAGE": frr} {
		if found[name] != wanted {
			t.Errorf("%s of the operator is %q, wanted %q", name, found[name], wanted)
		}
	}
}

func find[T client.Object](objects []client.Object) T {
	found, ok := seek[T](objects)
	if !ok {
		panic(fmt.Sprintf("no %T among the objects", found))
	}
	return found
}

// seek returns the first of objects that is a T, if there is one.
func seek[T client.Object](objects []client.Object) (found T, ok bool) {
	for _, o := range objects {
		if found, ok = o.(T); ok {
			return found, true
		}
	}
	return found, false
}

// build runs kustomize, the version that tools/go.mod pins, on a folder of the project and decodes the result strictly.
func build(t *testing.T, folder string) []client.Object {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", folder)
	cmd.Dir = top
	var problems bytes.Buffer
	cmd.Stderr = &problems
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kustomize build %s: %v\n%s", folder, err, problems.String())
	}
	return decode(t, out)
}

func decode(t *testing.T, text []byte) []client.Object {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), apiextensionsv1.AddToScheme(scheme), v1beta1.AddToScheme(scheme),
		v1beta2.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme, serializer.EnableStrict).UniversalDeserializer()
	reader := yaml.NewDocumentDecoder(io.NopCloser(bytes.NewReader(text)))
	seen := map[string]bool{}
	var objects []client.Object
	for {
		document := make([]byte, 1<<20)
		n, err := reader.Read(document)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		decoded, kind, err := decoder.Decode(document[:n], nil, nil)
		if err != nil {
			t.Fatalf("decode: %v\n%s", err, document[:n])
		}
		object := decoded.(client.Object)
		id := kind.GroupKind().String() + " " + client.ObjectKeyFromObject(object).String()
		if seen[id] {
			t.Errorf("%s is there twice", id)
		}
		seen[id] = true
		object.GetObjectKind().SetGroupVersionKind(*kind)
		objects = append(objects, object)
	}
}
