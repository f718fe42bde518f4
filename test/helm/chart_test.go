package helm

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	chart "github.com/seed-551707bd/metallb-operator/config/helm"
	"github.com/seed-551707bd/metallb-operator/config/kustomize"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
)

const (
	// top is the top folder of the checkout.
	top = "../.."
	// namespace is that of config/default.
	namespace = "metallb-system"
)

// program builds Helm, unless the cache has it.
func program(t *testing.T) string {
	t.Helper()
	c, err := cache.Open("")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(top)
	if err != nil {
		t.Fatal(err)
	}
	path, err := assets.NewWorkshop(c, root, t.Logf).Helm(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// helm runs Helm, with nothing of the user's own, and returns what it prints.
func helm(t *testing.T, env []string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program(t), args...)
	cmd.Dir = top
	home := t.TempDir()
	cmd.Env = append(os.Environ(), "HELM_CACHE_HOME="+home, "HELM_CONFIG_HOME="+home, "HELM_DATA_HOME="+home)
	cmd.Env = append(cmd.Env, env...)
	var words bytes.Buffer
	cmd.Stderr = &words
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("helm %s: %w: %s%s", strings.Join(args, " "), err, words.String(), out)
	}
	return out, nil
}

// render is "helm template" with values, in a namespace.
func render(t *testing.T, where, values string, flags ...string) ([]*unstructured.Unstructured, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, []byte(values), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := helm(t, nil, append([]string{"template", "release", chart.Folder, "--namespace", where, "--kube-version", "1.36.0", "--values", file}, flags...)...)
	if err != nil {
		return nil, err
	}
	return kustomize.Decode(out)
}

func mustRender(t *testing.T, where, values string, flags ...string) []*unstructured.Unstructured {
	t.Helper()
	objects, err := render(t, where, values, flags...)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// byName are objects by kind, namespace and name.
func byName(t *testing.T, objects []*unstructured.Unstructured) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, o := range objects {
		key := o.GetKind() + " " + o.GetNamespace() + "/" + o.GetName()
		if found[key] != nil {
			t.Errorf("%s is there twice", key)
		}
		found[key] = o.Object
	}
	return found
}

// Given no values, when the chart is rendered, then it is what kubectl apply -k config/default applies, but for the namespace, which Helm makes.
func TestDefaultIsKustomize(t *testing.T) {
	objects, err := kustomize.Build(t.Context(), top, "config/default")
	if err != nil {
		t.Fatal(err)
	}
	want := byName(t, slices.DeleteFunc(objects, func(o *unstructured.Unstructured) bool { return o.GetKind() == "Namespace" }))
	got := byName(t, mustRender(t, namespace, "", "--include-crds"))
	if len(want) < 20 {
		t.Fatalf("config/default has only %d objects", len(want))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-config/default +chart):\n%s", diff)
	}
}

// Given another namespace, when the chart is rendered, then nothing is left of the one of config/default, but in the names of cluster roles.
func TestOtherNamespace(t *testing.T) {
	for key, object := range byName(t, mustRender(t, "elsewhere", "{metallb: {create: true}}")) {
		var look func(path string, value any)
		look = func(path string, value any) {
			switch v := value.(type) {
			case map[string]any:
				for name, inner := range v {
					look(path+"."+name, inner)
				}
			case []any:
				for _, inner := range v {
					look(path, inner)
				}
			case string:
				if strings.Contains(v, namespace) && !strings.HasPrefix(v, namespace+":") {
					t.Errorf("%s: %s is %q", key, path, v)
				}
			}
		}
		look("", object)
	}
}

func as[T any](t *testing.T, object map[string]any) *T {
	t.Helper()
	text, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	out := new(T)
	if err := yaml.UnmarshalStrict(text, out); err != nil {
		t.Fatal(err)
	}
	return out
}

func operator(t *testing.T, values string) *appsv1.Deployment {
	t.Helper()
	return as[appsv1.Deployment](t, byName(t, mustRender(t, namespace, values))["Deployment "+namespace+"/metallb-operator-controller-manager"])
}

// Given values for the operator, when the chart is rendered, then the Deployment has them where they belong and is otherwise as before.
func TestValuesOfTheOperator(t *testing.T) {
	base := operator(t, "")
	env := func(d *appsv1.Deployment, name, value string) {
		c := &d.Spec.Template.Spec.Containers[0]
		for i := range c.Env {
			if c.Env[i].Name == name {
				c.Env[i].Value = value
				return
			}
		}
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	images := func(d *appsv1.Deployment, image string) {
		d.Spec.Template.Spec.Containers[0].Image = image
		env(d, "CONTROLLER_IMAGE", image)
		env(d, "SPEAKER_IMAGE", image)
	}
	for values, edit := range map[string]func(*appsv1.Deployment){
		"{image: {repository: registry.example/lb, tag: v1}}": func(d *appsv1.Deployment) { images(d, "registry.example/lb:v1") },
		"{image: {digest: 'sha256:abc'}}":                     func(d *appsv1.Deployment) { images(d, "localhost/metallb-operator@sha256:abc") },
		"{image: {digest: 'sha256:abc'}, speaker: {image: {tag: v2}}}": func(d *appsv1.Deployment) {
			images(d, "localhost/metallb-operator@sha256:abc")
			env(d, "SPEAKER_IMAGE", "localhost/metallb-operator:v2")
		},
		"{controller: {image: {repository: registry.example/c, digest: 'sha256:d'}}}": func(d *appsv1.Deployment) {
			env(d, "CONTROLLER_IMAGE", "registry.example/c@sha256:d")
		},
		"{speaker: {frr: {image: {repository: quay.io/frrouting/frr, tag: 10.5.3}}}}": func(d *appsv1.Deployment) {
			env(d, "FRR_IMAGE", "quay.io/frrouting/frr:10.5.3")
		},
		"{imagePullSecrets: [{name: registry}]}": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "registry"}}
		},
		"{prometheus: {metricsPort: 9999}}":           func(d *appsv1.Deployment) { env(d, "METRICS_PORT", "9999") },
		"{speaker: {memberlist: {mlBindPort: 9122}}}": func(d *appsv1.Deployment) { env(d, "MEMBER_LIST_BIND_PORT", "9122") },
		"{operator: {env: [{name: A, value: b}]}}":    func(d *appsv1.Deployment) { env(d, "A", "b") },
		"{operator: {priorityClassName: important}}":  func(d *appsv1.Deployment) { d.Spec.Template.Spec.PriorityClassName = "important" },
		"{operator: {replicas: 2}}":                   func(d *appsv1.Deployment) { d.Spec.Replicas = new(int32(2)) },
		"{operator: {podLabels: {team: net}}}":        func(d *appsv1.Deployment) { d.Spec.Template.Labels["team"] = "net" },
		"{operator: {podAnnotations: {a/b: 'yes'}}}":  func(d *appsv1.Deployment) { d.Spec.Template.Annotations["a/b"] = "yes" },
		"{operator: {nodeSelector: {role: infra}}}":   func(d *appsv1.Deployment) { d.Spec.Template.Spec.NodeSelector["role"] = "infra" },
		"{operator: {tolerations: []}}":               func(d *appsv1.Deployment) { d.Spec.Template.Spec.Tolerations = nil },
		"{operator: {resources: {requests: {cpu: 1m}}}}": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Containers[0].Resources.Requests["cpu"] = resource.MustParse("1m")
		},
		"{operator: {args: [--webhook-http2]}}": func(d *appsv1.Deployment) {
			c := &d.Spec.Template.Spec.Containers[0]
			c.Args = append(c.Args, "--webhook-http2")
		},
		"{operator: {logLevel: debug}}": func(d *appsv1.Deployment) {
			args := d.Spec.Template.Spec.Containers[0].Args
			args[slices.Index(args, "--log-level=info")] = "--log-level=debug"
		},
		"{operator: {affinity: {nodeAffinity: {requiredDuringSchedulingIgnoredDuringExecution: {nodeSelectorTerms: [{matchExpressions: [{key: a, operator: Exists}]}]}}}}}": func(d *appsv1.Deployment) {
			d.Spec.Template.Spec.Affinity = &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{RequiredDuringSchedulingIgnoredDuringExecution: &corev1.NodeSelector{
				NodeSelectorTerms: []corev1.NodeSelectorTerm{{MatchExpressions: []corev1.NodeSelectorRequirement{{Key: "a", Operator: corev1.NodeSelectorOpExists}}}},
			}}}
		},
	} {
		want := base.DeepCopy()
		edit(want)
		if cmp.Equal(base, want) {
			t.Fatalf("%s: nothing is wanted", values)
		}
		if diff := cmp.Diff(want, operator(t, values)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", values, diff)
		}
	}
}

// Given the names that MetalLB's chart has for them, when the chart is rendered with a MetalLB object, then its spec says the same, and has no field that
// there is not.
func TestValuesOfTheInstallation(t *testing.T) {
	for values, want := range map[string]string{
		"{}":                                   "{}",
		"{loadBalancerClass: example.com/lb}":  "{loadBalancerClass: example.com/lb}",
		"{controller: {logLevel: debug}}":      "{logLevel: debug}",
		"{speaker: {logLevel: warn}}":          "{logLevel: warn}",
		"{controller: {nodeSelector: {a: b}}}": "{controllerNodeSelector: {a: b}}",
		"{speaker: {nodeSelector: {a: b}}}":    "{nodeSelector: {a: b}}",
		"{prometheus: {metricsPort: 7472, serviceAccount: p, namespace: m, serviceMonitor: {enabled: false}, prometheusRule: {additionalLabels: {a: b}}}}": "{prometheus: " +
			"{serviceAccount: p, namespace: m, serviceMonitor: {enabled: false}, prometheusRule: {additionalLabels: {a: b}}}}",
		"{prometheus: {podMonitor: {enabled: true}}}": "{prometheus: {podMonitor: {enabled: true}}}",
		"{imagePullSecrets: [{name: registry}]}":      "{imagePullSecrets: [{name: registry}]}",
		"{speaker: {ignoreExcludeLB: true}}":          "{ignoreExcludeLB: true}",
		"{speaker: {labels: {a: b}, frr: {resources: {requests: {cpu: 1m}}}, reloader: {resources: {requests: {cpu: 2m}}}}}": "{speakerConfig: {labels: {a: b}}, " +
			"frrResources: {requests: {cpu: 1m}}, reloaderResources: {requests: {cpu: 2m}}}",
		"{speaker: {memberlist: {enabled: false}}}":                 "{memberlist: {disabled: true}}",
		"{controller: {tolerations: [{key: a, operator: Exists}]}}": "{controllerTolerations: [{key: a, operator: Exists}]}",
		"{speaker: {tolerations: [{operator: Exists}]}}":            "{speakerTolerations: [{operator: Exists}]}",
		"{controller: {priorityClassName: p, runtimeClassName: r, podAnnotations: {a: b}, resources: {requests: {cpu: 1m}}}}": "{controllerConfig: " +
			"{priorityClassName: p, runtimeClassName: r, annotations: {a: b}, resources: {requests: {cpu: 1m}}}}",
		"{speaker: {priorityClassName: p, affinity: {podAffinity: {}}}}":                              "{speakerConfig: {priorityClassName: p, affinity: {podAffinity: {}}}}",
		"{speaker: {logLevel: warn}, metallb: {spec: {logLevel: debug, bgpListenPort: 179}}}":         "{logLevel: debug, bgpListenPort: 179}",
		"{speaker: {memberlist: {enabled: false}}, metallb: {spec: {memberlist: {fencing: Strict}}}}": "{memberlist: {disabled: true, fencing: Strict}}",
	} {
		objects := byName(t, mustRender(t, namespace, values, "--set", "metallb.create=true"))
		got := as[v1beta1.MetalLB](t, objects["MetalLB "+namespace+"/metallb"])
		spec := v1beta1.MetalLBSpec{}
		if err := yaml.UnmarshalStrict([]byte(want), &spec); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(spec, got.Spec); diff != "" {
			t.Errorf("%s (-want +got):\n%s", values, diff)
		}
	}
}

// Given values that can't be meant, such as those of MetalLB's chart with its own images, when the chart is rendered, then that fails and says why.
func TestRefusedValues(t *testing.T) {
	for values, want := range map[string]string{
		"{metallb: {create: true}, controller: {logLevel: info}, speaker: {logLevel: debug}}": "there is one level for both",
		"{controller: {image: {repository: quay.io/metallb/controller, tag: v0.15.3}}}":       "quay.io/metallb/controller, which is MetalLB's own program",
		"{speaker: {image: {repository: quay.io/metallb/speaker}}}":                           "quay.io/metallb/speaker, which is MetalLB's own program",
	} {
		if _, err := render(t, namespace, values); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, wanted %q", values, err, want)
		}
	}
}

// Given a real API server, when the chart is installed with a MetalLB object, changed and uninstalled, then all of it is accepted without a warning, and
// what must outlive the operator is left: the definitions and the MetalLB object, which the next installation takes up.
func TestInstallUpgradeUninstall(t *testing.T) {
	server := apiserver.Run(t, apiserver.Options{})
	config := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(config, server.Kubeconfig(), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := helm(t, []string{"KUBECONFIG=" + config}, append(args, "--namespace", namespace)...)
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	scheme := runtime.NewScheme()
	if err := errors.Join(corev1.AddToScheme(scheme), appsv1.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	manager, installation := &appsv1.Deployment{}, &v1beta1.MetalLB{}
	manager.Namespace, manager.Name = namespace, "metallb-operator-controller-manager"
	installation.Namespace, installation.Name = namespace, v1beta1.MetalLBName
	get := func(o client.Object) error { return c.Get(t.Context(), client.ObjectKeyFromObject(o), o) }

	said := run("install", "lb", chart.Folder, "--create-namespace", "--set", "metallb.create=true", "--set", "loadBalancerClass=example.com/lb")
	if !strings.Contains(said, "kubectl delete metallb -n "+namespace+" metallb") {
		t.Errorf("the notes do not say what to do before helm uninstall:\n%s", said)
	}
	if err := errors.Join(get(manager), get(installation)); err != nil {
		t.Fatal(err)
	}
	if installation.Spec.LoadBalancerClass != "example.com/lb" {
		t.Errorf("the spec is %+v", installation.Spec)
	}
	run("upgrade", "lb", chart.Folder, "--reuse-values", "--set", "operator.logLevel=debug", "--set", "speaker.logLevel=debug")
	if err := errors.Join(get(manager), get(installation)); err != nil {
		t.Fatal(err)
	}
	if !slices.Contains(manager.Spec.Template.Spec.Containers[0].Args, "--log-level=debug") || installation.Spec.LogLevel != v1beta1.LogLevelDebug {
		t.Errorf("after the upgrade the operator has %v and the MetalLB object %+v", manager.Spec.Template.Spec.Containers[0].Args, installation.Spec)
	}
	run("uninstall", "lb")
	if err := get(manager); !apierrors.IsNotFound(err) {
		t.Errorf("after uninstall the operator is still there: %v", err)
	}
	if err := get(installation); err != nil || !installation.DeletionTimestamp.IsZero() {
		t.Errorf("after uninstall the MetalLB object: error %v, deleted %v", err, installation.DeletionTimestamp)
	}
	run("install", "lb", chart.Folder, "--set", "metallb.create=true")
	if err := get(manager); err != nil {
		t.Errorf("installed anew beside what was left: %v", err)
	}
}

// Given the chart, when Helm judges it strictly, then it has nothing to say.
func TestLint(t *testing.T) {
	if _, err := helm(t, nil, "lint", "--strict", chart.Folder); err != nil {
		t.Error(err)
	}
	names := slices.Sorted(maps.Keys(byName(t, mustRender(t, namespace, ""))))
	if !slices.Contains(names, "Service "+namespace+"/metallb-webhook-service") {
		t.Errorf("found only %v", names)
	}
}
