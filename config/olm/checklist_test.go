package olm

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// candidate is a bundle with what most checks look at.
type candidate struct {
	pkg     *Package
	source  *Source
	version Version
	bundle  Bundle
	objects []*unstructured.Unstructured
	csv     *unstructured.Unstructured
}

func newCandidate(t *testing.T, p *Package, s *Source, v Version, b Bundle) *candidate {
	t.Helper()
	c := &candidate{pkg: p, source: s, version: v, bundle: b, objects: b.Objects()}
	if c.csv = only(c.objects, "ClusterServiceVersion", ""); c.csv == nil {
		t.Fatalf("bundle %s has no ClusterServiceVersion", v.Version)
	}
	return c
}

// clone returns one that may be edited without the other.
func (c *candidate) clone() *candidate {
	other := *c
	other.bundle.Files = maps.Clone(c.bundle.Files)
	other.objects = nil
	for _, o := range c.objects {
		other.objects = append(other.objects, o.DeepCopy())
	}
	other.csv = only(other.objects, "ClusterServiceVersion", "")
	return &other
}

func (c *candidate) text(path ...string) string {
	found, _, _ := unstructured.NestedString(c.csv.Object, path...)
	return found
}

func (c *candidate) list(path ...string) []map[string]any { return lists(c.csv.Object, path...) }

// lists is a list of objects somewhere in an object.
func lists(object map[string]any, path ...string) []map[string]any {
	var out []map[string]any
	found, _, _ := unstructured.NestedSlice(object, path...)
	for _, f := range found {
		out = append(out, f.(map[string]any))
	}
	return out
}

// texts is a list of strings somewhere in an object.
func texts(object map[string]any, path ...string) []string {
	found, _, _ := unstructured.NestedStringSlice(object, path...)
	return found
}

func (c *candidate) annotation(t complain, key string, into any) {
	if err := json.Unmarshal([]byte(c.csv.GetAnnotations()[key]), into); err != nil {
		t("annotation %s: %v", key, err)
	}
}

func (c *candidate) owned() []map[string]any {
	return c.list("spec", "customresourcedefinitions", "owned")
}
func (c *candidate) deployments() []map[string]any {
	return c.list("spec", "install", "spec", "deployments")
}

// complain notes what is wrong.
type complain func(format string, args ...any)

// check is one line of the checklist, with edits that it must notice.
type check struct {
	name   string
	look   func(c *candidate, t complain)
	breaks map[string]func(c *candidate)
}

// set returns an edit of the ClusterServiceVersion.
func set(value any, path ...string) func(*candidate) {
	return func(c *candidate) {
		if value == nil {
			unstructured.RemoveNestedField(c.csv.Object, path...)
		} else if err := unstructured.SetNestedField(c.csv.Object, value, path...); err != nil {
			panic(err)
		}
	}
}

// drop returns an edit that takes all objects of a kind away.
func drop(kind string) func(*candidate) {
	return func(c *candidate) {
		c.objects = slices.DeleteFunc(c.objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == kind })
	}
}

// add returns an edit that adds an object.
func add(kind, name string) func(*candidate) {
	return func(c *candidate) {
		o := &unstructured.Unstructured{}
		o.SetAPIVersion("v1")
		o.SetKind(kind)
		o.SetName(name)
		c.objects = append(c.objects, o)
	}
}

// grant returns an edit that adds a right, in the whole cluster or in the operator's namespace.
func grant(everywhere bool, group, resource, verb string) func(*candidate) {
	rule := map[string]any{"apiGroups": []any{group}, "resources": []any{resource}, "verbs": []any{verb}}
	return func(c *candidate) {
		if everywhere {
			set([]any{map[string]any{"serviceAccountName": "metallb-operator", "rules": []any{rule}}}, "spec", "install", "spec", "clusterPermissions")(c)
			return
		}
		role := of(c.objects, "Role")[0]
		rules, _, _ := unstructured.NestedSlice(role.Object, "rules")
		role.Object["rules"] = append(rules, rule)
	}
}

// inContainer returns an edit of the operator's container.
func inContainer(key string, value any) func(*candidate) {
	return func(c *candidate) {
		deployments, _, _ := unstructured.NestedSlice(c.csv.Object, "spec", "install", "spec", "deployments")
		pod := deployments[0].(map[string]any)["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
		pod["containers"].([]any)[0].(map[string]any)[key] = value
		set(deployments, "spec", "install", "spec", "deployments")(c)
	}
}

// inFirst returns an edit of the first entry of a list.
func inFirst(key string, value any, path ...string) func(*candidate) {
	return func(c *candidate) {
		all, _, _ := unstructured.NestedSlice(c.csv.Object, path...)
		all[0].(map[string]any)[key] = value
		set(all, path...)(c)
	}
}

// checklist is what a first-class package has, and the traps that packages of this kind fell into.
func checklist() []check {
	annotations := []string{"metadata", "annotations"}
	owned := []string{"spec", "customresourcedefinitions", "owned"}
	return []check{
		{"words, icon and people", lookWords, map[string]func(*candidate){
			"no icon": set(nil, "spec", "icon"), "no displayName": set(nil, "spec", "displayName"), "no provider": set(nil, "spec", "provider"),
			"no links": set(nil, "spec", "links"), "no maintainers": set(nil, "spec", "maintainers"), "no word of the namespace": set("x", "spec", "description"),
		}},
		{"Kubernetes version and install modes", lookModes, map[string]func(*candidate){
			"no version": set(nil, "spec", "minKubeVersion"),
			"the OperatorGroup of most users is refused": set([]any{map[string]any{"type": "AllNamespaces", "supported": false}}, "spec", "installModes"),
			"a namespace that nobody looks at":           set([]any{map[string]any{"type": "AllNamespaces", "supported": true}, map[string]any{"type": "OwnNamespace", "supported": true}, map[string]any{"type": "SingleNamespace", "supported": true}}, "spec", "installModes"),
		}},
		{"labels", lookLabels, map[string]func(*candidate){"none": set(nil, "metadata", "labels")}},
		{"webhooks", lookWebhooks, map[string]func(*candidate){
			"none":                       set(nil, "spec", "webhookdefinitions"),
			"Secrets of every namespace": inFirst("rules", []any{map[string]any{"apiGroups": []any{""}, "resources": []any{"secrets"}}}, "spec", "webhookdefinitions"),
			"another port":               inFirst("targetPort", int64(9444), "spec", "webhookdefinitions"),
			"another Deployment":         inFirst("deploymentName", "x", "spec", "webhookdefinitions"),
			"a name that is refused":     inFirst("generateName", "short", "spec", "webhookdefinitions"),
			"an edit may be refused because nobody answers": inFirst("failurePolicy", "Fail", "spec", "webhookdefinitions"),
			"its own certificate":                           inContainer("args", []any{"--port=8080"}),
			"a certificate elsewhere":                       inContainer("args", []any{certificateFlag, "--cert-dir=/certs"}),
		}},
		{"examples", lookExamples, map[string]func(*candidate){
			"none":                    set("[]", append(annotations, "alm-examples")...),
			"no JSON":                 set("[", append(annotations, "alm-examples")...),
			"nothing is internal":     set("[]", append(annotations, "operators.operatorframework.io/internal-objects")...),
			"another first MetalLB":   set(`{"kind":"MetalLB","metadata":{"name":"x","namespace":"metallb-system"},"spec":{}}`, append(annotations, "operatorframework.io/initialization-resource")...),
			"a kind that is not here": set(`[{"apiVersion":"metallb.io/v1beta1","kind":"AddressPool","metadata":{"name":"x","namespace":"metallb-system"}}]`, append(annotations, "alm-examples")...),
		}},
		{"package and channel", lookPackage, map[string]func(*candidate){
			"another channel": func(c *candidate) {
				c.bundle.Files[annotationsFile] = []byte(strings.ReplaceAll(string(c.bundle.Files[annotationsFile]), "stable", "alpha"))
			},
			"the image says something else": func(c *candidate) { c.bundle.Files[dockerFile] = []byte("FROM scratch\n") },
		}},
		{"containers", lookContainers, map[string]func(*candidate){
			"no resources": inContainer("resources", map[string]any{}), "no securityContext": inContainer("securityContext", map[string]any{}),
			"no livenessProbe": inContainer("livenessProbe", nil), "no readinessProbe": inContainer("readinessProbe", nil),
		}},
		{"version and upgrade", lookVersion, map[string]func(*candidate){
			"a v": set("v0.2.0", "spec", "version"), "another name": set("x", "metadata", "name"),
			"replaces something else": set("metallb-operator.v9.9.9", "spec", "replaces"), "another range": set("<9.9.9", append(annotations, "olm.skipRange")...),
		}},
		{"images", lookImages, map[string]func(*candidate){
			"none": set(nil, "spec", "relatedImages"), "one that is not listed": inContainer("image", "localhost/other:dev"),
			"a tag": inContainer("image", "registry.example/other:v1"), "one that nothing uses": set([]any{map[string]any{"name": "x", "image": "localhost/x:1"}}, "spec", "relatedImages"),
		}},
		{"descriptors", lookDescriptors, map[string]func(*candidate){
			"no displayName":                 inFirst("displayName", "", owned...),
			"no description":                 inFirst("description", "", owned...),
			"none for spec":                  inFirst("specDescriptors", []any{}, owned...),
			"none for status":                inFirst("statusDescriptors", []any{}, owned...),
			"of a field that does not exist": inFirst("specDescriptors", []any{map[string]any{"path": "x", "displayName": "X", "description": "x"}}, owned...),
		}},
		{"features and namespace", lookFeatures, map[string]func(*candidate){
			"a feature that is not told": set(nil, append(annotations, "features.operators.openshift.io/fips-compliant")...),
			"no suggested namespace":     set(nil, append(annotations, "operatorframework.io/suggested-namespace")...),
			"no pod security level":      set(`{"kind":"Namespace","metadata":{"name":"metallb-system"}}`, append(annotations, "operatorframework.io/suggested-namespace-template")...),
		}},
		{"definitions", lookDefinitions, map[string]func(*candidate){
			"conversion in the definition": func(c *candidate) {
				_ = unstructured.SetNestedField(of(c.objects, "CustomResourceDefinition")[0].Object, "Webhook", "spec", "conversion", "strategy")
			},
			"none": drop("CustomResourceDefinition"),
			"one that is not owned": func(c *candidate) {
				all := c.owned()
				set([]any{all[0]}, owned...)(c)
			},
		}},
		{"least privilege", lookPrivileges, map[string]func(*candidate){
			"Secrets everywhere":                           grant(true, "", "secrets", "get"),
			"everything in a group":                        grant(true, "apps", "*", "get"),
			"every verb in a namespace":                    grant(false, "apps", "deployments", "*"),
			"escalate":                                     grant(true, "rbac.authorization.k8s.io", "clusterroles", "escalate"),
			"rights that OLM would give in all namespaces": set([]any{map[string]any{"serviceAccountName": "metallb-operator"}}, "spec", "install", "spec", "permissions"),
			"rights on webhooks that OLM writes":           grant(true, "admissionregistration.k8s.io", "validatingwebhookconfigurations", "patch"),
			"none in the namespace":                        drop("Role"),
		}},
		{"clean manifests", lookManifests, map[string]func(*candidate){
			"the ServiceAccount twice":     add("ServiceAccount", "metallb-operator"),
			"a NetworkPolicy":              add("NetworkPolicy", "x"),
			"something twice":              func(c *candidate) { c.objects = append(c.objects, of(c.objects, "Role")[0]) },
			"a binding of nothing":         func(c *candidate) { of(c.objects, "Role")[0].SetName("x") },
			"a binding for somebody else":  func(c *candidate) { of(c.objects, "RoleBinding")[0].Object["subjects"] = []any{} },
			"a namespace that OLM chooses": func(c *candidate) { of(c.objects, "Role")[0].SetNamespace("metallb-system") },
		}},
	}
}

func lookWords(c *candidate, t complain) {
	for _, path := range [][]string{{"spec", "displayName"}, {"spec", "provider", "name"}, {"spec", "provider", "url"}, {"metadata", "annotations", "repository"},
		{"metadata", "annotations", "support"}, {"metadata", "annotations", "description"}, {"metadata", "annotations", "categories"},
		{"metadata", "annotations", "capabilities"}, {"metadata", "annotations", "containerImage"}, {"metadata", "annotations", "createdAt"}, {"spec", "maturity"}} {
		if c.text(path...) == "" {
			t("%s is empty", strings.Join(path, "."))
		}
	}
	if !strings.Contains(c.text("spec", "description"), "`metallb-system`") {
		t("spec.description does not say where to install")
	}
	icons := c.list("spec", "icon")
	if len(icons) != 1 {
		t("%d icons", len(icons))
	} else if icon, err := base64.StdEncoding.DecodeString(icons[0]["base64data"].(string)); err != nil || !strings.HasPrefix(string(icon), "<svg") || icons[0]["mediatype"] != "image/svg+xml" {
		t("the icon is no SVG (error %v)", err)
	}
	for _, key := range []string{"maintainers", "links"} {
		if len(c.list("spec", key)) == 0 {
			t("no %s", key)
		}
	}
}

func lookModes(c *candidate, t complain) {
	if v := c.text("spec", "minKubeVersion"); !semver.MatchString(v) {
		t("minKubeVersion is %q", v)
	}
	supported := map[any]bool{}
	for _, mode := range c.list("spec", "installModes") {
		supported[mode["type"]] = mode["supported"].(bool)
	}
	for mode, want := range map[string]bool{"OwnNamespace": true, "SingleNamespace": false, "MultiNamespace": false, "AllNamespaces": true} {
		if supported[mode] != want {
			t("install mode %s: %t", mode, supported[mode])
		}
	}
}

func lookLabels(c *candidate, t complain) {
	for _, label := range []string{"operatorframework.io/os.linux", "operatorframework.io/arch.amd64"} {
		if c.csv.GetLabels()[label] != "supported" {
			t("label %s is missing", label)
		}
	}
}

func lookWebhooks(c *candidate, t complain) {
	container := c.container()
	if args := texts(container, "args"); !slices.Contains(args, certificateFlag) || slices.ContainsFunc(args, func(a string) bool { return strings.HasPrefix(a, "--cert-dir") }) {
		t("the operator is run with %v: it would not use OLM's certificate", args)
	}
	var names []any
	for _, hook := range c.list("spec", "webhookdefinitions") {
		names = append(names, hook["generateName"])
		if hook["deploymentName"] != c.deployments()[0]["name"] {
			t("webhook %v is of Deployment %v", hook["generateName"], hook["deploymentName"])
		}
		if strings.Count(hook["generateName"].(string), ".") < 2 {
			t("webhook %v: the API server wants three words", hook["generateName"])
		}
		if !slices.ContainsFunc(lists(container, "ports"), func(p map[string]any) bool {
			return p["name"] == "webhook" && p["containerPort"] == hook["targetPort"]
		}) {
			t("webhook %v leads to port %v", hook["generateName"], hook["targetPort"])
		}
		if hook["failurePolicy"] != "Ignore" || hook["sideEffects"] != "None" || hook["webhookPath"] != "/validate" {
			t("webhook %v has policy %v, side effects %v, path %v", hook["generateName"], hook["failurePolicy"], hook["sideEffects"], hook["webhookPath"])
		}
		for _, rule := range lists(hook, "rules") {
			if groups := texts(rule, "apiGroups"); !slices.Equal(groups, []string{group}) {
				t("webhook %v is called for the groups %q of every namespace", hook["generateName"], groups)
			}
		}
	}
	// The one of config/webhook that is missing is that on Secrets of one namespace, which OLM cannot be told.
	if want := []any{"configuration.metallb.io", "installation.metallb.io"}; !slices.Equal(names, want) {
		t("webhooks are %v: wanted %v", names, want)
	}
}

// container is the operator's.
func (c *candidate) container() map[string]any {
	return lists(c.deployments()[0], "spec", "template", "spec", "containers")[0]
}

func lookExamples(c *candidate, t complain) {
	var examples []unstructured.Unstructured
	var internal []string
	var first unstructured.Unstructured
	var raw []map[string]any
	c.annotation(t, "alm-examples", &raw)
	for _, r := range raw {
		examples = append(examples, unstructured.Unstructured{Object: r})
	}
	c.annotation(t, "operators.operatorframework.io/internal-objects", &internal)
	c.annotation(t, "operatorframework.io/initialization-resource", &first.Object)
	namespace := c.csv.GetAnnotations()["operatorframework.io/suggested-namespace"]
	if _, ok := first.Object["spec"]; !ok || first.GetKind() != "MetalLB" || first.GetName() != "metallb" || first.GetNamespace() != namespace {
		t("the first object is %s %s/%s", first.GetKind(), first.GetNamespace(), first.GetName())
	}
	shown := map[string]bool{}
	for _, example := range examples {
		gvk := example.GroupVersionKind()
		shown[gvk.Kind+" "+gvk.Version] = true
		if example.GetNamespace() != namespace {
			t("the example %s %s is in namespace %q, where nobody looks at it", gvk.Kind, example.GetName(), example.GetNamespace())
		}
	}
	for _, api := range c.owned() {
		name := fmt.Sprintf("%v %v", api["kind"], api["version"])
		if shown[name] == slices.Contains(internal, api["name"].(string)) {
			t("%s: has an example %t, is internal %t", name, shown[name], !shown[name])
		}
		delete(shown, name)
	}
	for name := range shown {
		t("the example of %s is of a kind that is not owned", name)
	}
}

func lookPackage(c *candidate, t complain) {
	// The names of the Subscription that users have.
	for key, want := range map[string]string{"package.v1": "metallb-operator", "channels.v1": "stable", "channel.default.v1": "stable",
		"mediatype.v1": "registry+v1", "manifests.v1": "manifests/", "metadata.v1": "metadata/"} {
		line := "operators.operatorframework.io.bundle." + key
		if !strings.Contains(string(c.bundle.Files[annotationsFile]), "  "+line+": "+want+"\n") {
			t("%s does not say %s: %s", annotationsFile, line, want)
		}
		if !strings.Contains(string(c.bundle.Files[dockerFile]), "\nLABEL "+line+"="+want+"\n") {
			t("the bundle's image does not say %s=%s", line, want)
		}
	}
}

func lookContainers(c *candidate, t complain) {
	for _, d := range c.deployments() {
		pod, _, _ := unstructured.NestedMap(d, "spec", "template", "spec")
		if nonRoot, _, _ := unstructured.NestedBool(pod, "securityContext", "runAsNonRoot"); !nonRoot {
			t("the operator may run as root")
		}
		if seccomp, _, _ := unstructured.NestedString(pod, "securityContext", "seccompProfile", "type"); seccomp != "RuntimeDefault" {
			t("the operator's seccomp profile is %q", seccomp)
		}
		for _, container := range lists(pod, "containers") {
			for _, probe := range []string{"livenessProbe", "readinessProbe"} {
				if p, ok := container[probe].(map[string]any); !ok || len(p) == 0 {
					t("container %v has no %s", container["name"], probe)
				}
			}
			requests, _, _ := unstructured.NestedStringMap(container, "resources", "requests")
			if requests["cpu"] == "" || requests["memory"] == "" {
				t("container %v requests %v", container["name"], requests)
			}
			escalate, told, _ := unstructured.NestedBool(container, "securityContext", "allowPrivilegeEscalation")
			readOnly, _, _ := unstructured.NestedBool(container, "securityContext", "readOnlyRootFilesystem")
			if dropped := texts(container, "securityContext", "capabilities", "drop"); !told || escalate || !readOnly || !slices.Equal(dropped, []string{"ALL"}) {
				t("container %v has more privileges than it needs", container["name"])
			}
		}
	}
}

func lookVersion(c *candidate, t complain) {
	v := c.text("spec", "version")
	if !semver.MatchString(v) || v != c.bundle.Version || v != c.version.Version || c.csv.GetName() != "metallb-operator.v"+v {
		t("version %q of %s in the folder %s", v, c.csv.GetName(), c.bundle.Version)
	}
	replaces, skips := "", ""
	if before := c.version.Replaces; before != "" {
		replaces, skips = "metallb-operator.v"+before, ">="+before+" <"+v
	}
	if got := c.text("spec", "replaces"); got != replaces {
		t("replaces %q: wanted %q", got, replaces)
	}
	if got := c.csv.GetAnnotations()["olm.skipRange"]; got != skips {
		t("skips %q: wanted %q", got, skips)
	}
}

// references finds what looks like an image in the operator's Deployment, whatever the field.
var references = regexp.MustCompile(`"(?:image|value)":"([^"]+[:@][^"]+)"`)

func lookImages(c *candidate, t complain) {
	listed := map[string]bool{}
	for _, image := range c.list("spec", "relatedImages") {
		listed[image["image"].(string)] = false
	}
	text, err := compact(c.deployments())
	if err != nil {
		t("%v", err)
	}
	for _, match := range references.FindAllStringSubmatch(text, -1) {
		if _, ok := listed[match[1]]; !ok {
			t("image %s is not among the related ones", match[1])
		}
		if err := checkReference("of the operator", match[1]); err != nil {
			t("%v", err)
		}
		listed[match[1]] = true
	}
	for image, used := range listed {
		if !used {
			t("nothing uses the related image %s", image)
		}
	}
	if len(listed) < 2 {
		t("%d related images: wanted those of the programs and of FRR", len(listed))
	}
}

func lookDescriptors(c *candidate, t complain) {
	for _, api := range c.owned() {
		for _, key := range []string{"displayName", "description"} {
			if api[key] == nil || api[key] == "" {
				t("kind %v has no %s", api["kind"], key)
			}
		}
		definition := only(c.objects, "CustomResourceDefinition", api["name"].(string))
		if definition == nil {
			continue // lookDefinitions says so
		}
		for _, version := range lists(definition.Object, "spec", "versions") {
			if version["name"] != api["version"] {
				continue
			}
			for part, key := range map[string]string{"spec": "specDescriptors", "status": "statusDescriptors"} {
				fields, _, _ := unstructured.NestedMap(version, "schema", "openAPIV3Schema", "properties", part, "properties")
				var described []string
				for _, d := range lists(api, key) {
					described = append(described, d["path"].(string))
					if d["displayName"] == "" || d["description"] == "" {
						t("kind %v, %s.%v: no words", api["kind"], part, d["path"])
					}
				}
				if want := sortedKeys(fields); !slices.Equal(described, want) {
					t("kind %v, %s: describes %q: wanted %q", api["kind"], part, described, want)
				}
			}
		}
	}
}

func lookFeatures(c *candidate, t complain) {
	for _, feature := range []string{"disconnected", "fips-compliant", "proxy-aware", "tls-profiles", "token-auth-aws", "token-auth-azure", "token-auth-gcp", "cnf", "cni", "csi"} {
		if v := c.csv.GetAnnotations()["features.operators.openshift.io/"+feature]; v != "true" && v != "false" {
			t("feature %s is %q", feature, v)
		}
	}
	namespace := only(c.source.installation, "Deployment", "").GetNamespace()
	if got := c.csv.GetAnnotations()["operatorframework.io/suggested-namespace"]; got != namespace {
		t("suggested namespace is %q: wanted %q", got, namespace)
	}
	var template unstructured.Unstructured
	c.annotation(t, "operatorframework.io/suggested-namespace-template", &template.Object)
	if template.GetName() != namespace || template.GetLabels()["pod-security.kubernetes.io/enforce"] != "privileged" {
		t("the suggested namespace is %s with labels %v", template.GetName(), template.GetLabels())
	}
}

func lookDefinitions(c *candidate, t complain) {
	var served []string
	for _, d := range of(c.objects, "CustomResourceDefinition") {
		if conversion, found, _ := unstructured.NestedMap(d.Object, "spec", "conversion"); found {
			t("%s says how it is converted, %v: OLM does", d.GetName(), conversion)
		}
		for _, version := range lists(d.Object, "spec", "versions") {
			served = append(served, fmt.Sprintf("%s %v %s", d.GetName(), version["name"], kindOf(d)))
		}
	}
	var owned []string
	for _, api := range c.owned() {
		owned = append(owned, fmt.Sprintf("%v %v %v", api["name"], api["version"], api["kind"]))
	}
	slices.Sort(served)
	slices.Sort(owned)
	if !slices.Equal(served, owned) {
		t("defined are %q\nowned are %q", served, owned)
	}
}

func lookPrivileges(c *candidate, t complain) {
	judge := func(where string, everywhere bool, rules []map[string]any) {
		for _, rule := range rules {
			groups, resources, verbs := texts(rule, "apiGroups"), texts(rule, "resources"), texts(rule, "verbs")
			all := slices.Concat(groups, resources, verbs)
			for _, wrong := range []string{"*", "escalate", "bind", "impersonate"} {
				if slices.Contains(all, wrong) {
					t("%s has %q in %v", where, wrong, rule)
				}
			}
			if everywhere && (slices.Contains(resources, "secrets") || slices.Contains(groups, "admissionregistration.k8s.io")) {
				t("%s reaches %v of the whole cluster", where, resources)
			}
		}
	}
	for _, p := range c.list("spec", "install", "spec", "clusterPermissions") {
		judge("the ClusterServiceVersion", true, lists(p, "rules"))
	}
	if found := c.list("spec", "install", "spec", "permissions"); len(found) > 0 {
		t("the ClusterServiceVersion has permissions, which OLM gives in all namespaces where the OperatorGroup names none")
	}
	for _, role := range of(c.objects, "ClusterRole") {
		judge("ClusterRole "+role.GetName(), true, lists(role.Object, "rules"))
	}
	roles := of(c.objects, "Role")
	for _, role := range roles {
		judge("Role "+role.GetName(), false, lists(role.Object, "rules"))
	}
	if len(roles) == 0 {
		t("the operator has no rights in its namespace")
	}
}

func lookManifests(c *candidate, t complain) {
	known := []string{"ClusterServiceVersion", "CustomResourceDefinition", "ClusterRole", "Role", "RoleBinding"}
	seen := map[string]bool{}
	account := c.list("spec", "install", "spec", "clusterPermissions")[0]["serviceAccountName"]
	if pod, _, _ := unstructured.NestedString(c.deployments()[0], "spec", "template", "spec", "serviceAccountName"); pod != account {
		t("rights are for %v, the operator runs as %v", account, pod)
	}
	namespace := c.csv.GetAnnotations()["operatorframework.io/suggested-namespace"]
	for _, o := range c.objects {
		name := o.GetKind() + " " + o.GetName()
		if seen[name] {
			t("%s is there twice", name)
		}
		seen[name] = true
		if !slices.Contains(known, o.GetKind()) {
			t("%s: not in a bundle", name)
		}
		if o.GetKind() != "ClusterServiceVersion" && o.GetNamespace() != "" {
			t("%s names a namespace: OLM chooses it", name)
		}
		if o.GetKind() != "RoleBinding" {
			continue
		}
		role, _, _ := unstructured.NestedString(o.Object, "roleRef", "name")
		if only(c.objects, "Role", role) == nil {
			t("%s refers to Role %s, which is missing", name, role)
		}
		subjects := lists(o.Object, "subjects")
		if len(subjects) != 1 || subjects[0]["name"] != account || subjects[0]["namespace"] != namespace {
			t("%s is for %v", name, subjects)
		}
	}
}

// Given the bundles that are checked in, when the whole checklist is gone through, then nothing is wrong.
func TestChecklist(t *testing.T) {
	p, s := load(t)
	for _, v := range p.Versions {
		b, err := ReadBundle("../../" + BundleFolder + "/" + v.Version)
		if err != nil {
			t.Fatal(err)
		}
		for _, check := range checklist() {
			t.Run(v.Version+"/"+check.name, func(t *testing.T) {
				check.look(newCandidate(t, p, s, v, b), t.Errorf)
			})
		}
	}
}

// Given a bundle with one thing wrong, when its line of the checklist is gone through, then it says so: no line is there for show.
func TestChecklistNotices(t *testing.T) {
	p, s := load(t)
	v := p.Versions[len(p.Versions)-1]
	b, err := s.Bundle(p, v, Images{})
	if err != nil {
		t.Fatal(err)
	}
	good := newCandidate(t, p, s, v, b)
	for _, check := range checklist() {
		for name, edit := range check.breaks {
			t.Run(check.name+"/"+name, func(t *testing.T) {
				c := good.clone()
				edit(c)
				complaints := 0
				check.look(c, func(string, ...any) { complaints++ })
				if complaints == 0 {
					t.Error("nothing was noticed")
				}
			})
		}
	}
}
