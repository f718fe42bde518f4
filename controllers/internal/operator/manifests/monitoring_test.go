package manifests_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// allOfIt is a cluster with all kinds of the Prometheus operator.
var allOfIt = manifests.Monitoring{ServiceMonitors: true, PodMonitors: true, PrometheusRules: true}

// everything is what an installation with this spec consists of where the cluster has all APIs.
func everything(t *testing.T, spec v1beta1.MetalLBSpec) []client.Object {
	t.Helper()
	return everythingIn(t, spec, environment())
}

func everythingIn(t *testing.T, spec v1beta1.MetalLBSpec, env manifests.Environment) []client.Object {
	t.Helper()
	more, err := manifests.DesiredMonitoring(spec, env, allOfIt)
	if err != nil {
		t.Fatal(err)
	}
	return append(manifests.Desired(spec, env), more...)
}

// scraped is a spec that gives Prometheus rights.
func scraped() v1beta1.MetalLBSpec {
	return v1beta1.MetalLBSpec{Prometheus: &v1beta1.PrometheusConfig{ServiceAccount: "prometheus-k8s", Namespace: "monitoring"}}
}

// Given a spec in monitoring/NAME.in.yaml, when what Prometheus gets is built, then it is what monitoring/NAME.yaml has. Alerts and dashboards are only
// named there: package monitoring tests what is in them.
func TestDesiredMonitoringMatchesFile(t *testing.T) {
	inputs, err := filepath.Glob("testdata/monitoring/*.in.yaml")
	if err != nil || len(inputs) == 0 {
		t.Fatalf("no inputs: %v", err)
	}
	for _, input := range inputs {
		t.Run(strings.TrimSuffix(filepath.Base(input), ".in.yaml"), func(t *testing.T) {
			spec := readSpec(t, input)
			if errs := manifests.Validate(spec); len(errs) > 0 {
				t.Fatalf("the input is not valid: %v", errs)
			}
			env := environment()
			env.OpenShift = strings.Contains(input, "openshift")
			env.OperatorCertificate = strings.Contains(input, "service")
			objects, err := manifests.DesiredMonitoring(spec, env, allOfIt)
			if err != nil {
				t.Fatal(err)
			}
			for _, o := range objects {
				shorten(t, o)
			}
			compareWithFile(t, strings.TrimSuffix(input, ".in.yaml")+".yaml", toYAML(t, objects))
		})
	}
}

// shorten leaves of alerts their names, labels, and expressions where they exclude pools, and of dashboards that they are JSON.
func shorten(t *testing.T, o client.Object) {
	t.Helper()
	switch o := o.(type) {
	case *corev1.ConfigMap:
		for name, text := range o.Data {
			if !json.Valid([]byte(text)) {
				t.Errorf("%s in ConfigMap %s is no JSON", name, o.Name)
			}
			o.Data[name] = "JSON"
		}
	case *unstructured.Unstructured:
		groups, _, _ := unstructured.NestedSlice(o.Object, "spec", "groups")
		for _, g := range groups {
			for _, r := range g.(map[string]any)["rules"].([]any) {
				rule := r.(map[string]any)
				if g.(map[string]any)["name"] == monitoring.ExtraGroup {
					continue
				}
				delete(rule, "annotations")
				if expr, _ := rule["expr"].(string); !strings.Contains(expr, "lab") {
					delete(rule, "expr") // it is as in the rules file
				}
			}
		}
		if len(groups) > 0 {
			_ = unstructured.SetNestedSlice(o.Object, groups, "spec", "groups")
		}
	}
}

// Given OpenShift and a spec without certificates, when the pods are built, then they mount those of its service CA, which may come later; elsewhere none.
func TestCertificatesOfOpenShift(t *testing.T) {
	for _, openShift := range []bool{true, false} {
		env := environment()
		env.OpenShift = openShift
		mounted := map[string]bool{}
		for _, o := range manifests.Desired(v1beta1.MetalLBSpec{}, env) {
			var pod corev1.PodSpec
			switch o := o.(type) {
			case *appsv1.Deployment:
				pod = o.Spec.Template.Spec
			case *appsv1.DaemonSet:
				pod = o.Spec.Template.Spec
			}
			for _, v := range pod.Volumes {
				if v.Secret != nil && v.Secret.Optional != nil && *v.Secret.Optional {
					mounted[v.Secret.SecretName] = slices.Contains(pod.Containers[0].Args, "--metrics-cert-dir=/etc/metrics-certificate")
				}
			}
		}
		if both := mounted["controller-certs-secret"] && mounted["speaker-certs-secret"]; both != openShift || len(mounted) > 0 && !openShift {
			t.Errorf("on OpenShift: %t, mounted: %v", openShift, mounted)
		}
	}
}

// Given a cluster that lacks kinds of the Prometheus operator, when what Prometheus gets is built, then nothing of those kinds, and nothing at all without
// any.
func TestOnlyKindsThatExist(t *testing.T) {
	spec := scraped()
	for _, row := range []struct {
		apis    manifests.Monitoring
		without []string
	}{
		{manifests.Monitoring{}, nil},
		{manifests.Monitoring{PodMonitors: true, PrometheusRules: true}, []string{"ServiceMonitor", "Service", "PodMonitor"}},
		{manifests.Monitoring{ServiceMonitors: true}, []string{"PodMonitor", "PrometheusRule"}},
	} {
		objects, err := manifests.DesiredMonitoring(spec, environment(), row.apis)
		if err != nil {
			t.Fatal(err)
		}
		if (len(objects) == 0) != (len(row.apis.Kinds()) == 0) {
			t.Errorf("with %+v there are %d objects", row.apis, len(objects))
		}
		for _, o := range objects {
			if kind := o.GetObjectKind().GroupVersionKind().Kind; slices.Contains(row.without, kind) {
				t.Errorf("with %+v there is %s %s", row.apis, kind, o.GetName())
			}
		}
	}
}

// Given settings for Prometheus that cannot be used, when the spec is validated, then each is named.
func TestValidatePrometheus(t *testing.T) {
	for text, want := range map[string]string{
		`{podMonitor: {enabled: true}}`: "spec.prometheus.podMonitor.tokenSecret: Required",
		`{podMonitor: {enabled: true, tokenSecret: a}, serviceMonitor: {enabled: true}}`:           "spec.prometheus.podMonitor.enabled: Invalid",
		`{podMonitor: {enabled: true, tokenSecret: a, caFile: /ca}}`:                               "spec.prometheus.podMonitor.caFile: Invalid",
		`{serviceMonitor: {interval: "30"}}`:                                                       "spec.prometheus.serviceMonitor.interval: Invalid",
		`{serviceMonitor: {caFile: /ca, caSecret: ca}}`:                                            "spec.prometheus.serviceMonitor.caFile: Invalid",
		`{serviceMonitor: {additionalLabels: {"a b": c}}}`:                                         "spec.prometheus.serviceMonitor.additionalLabels: Invalid",
		`{serviceMonitor: {tokenSecret: A_B}}`:                                                     "spec.prometheus.serviceMonitor.tokenSecret: Invalid",
		`{prometheusRule: {disabledAlerts: [MetalLBNoSuch]}}`:                                      "spec.prometheus.prometheusRule.disabledAlerts[0]: Unsupported",
		`{prometheusRule: {excludePools: ["a|b"]}}`:                                                "spec.prometheus.prometheusRule.excludePools[0]: Invalid",
		`{prometheusRule: {alertLabels: {a-b: c}}}`:                                                "spec.prometheus.prometheusRule.alertLabels: Invalid",
		`{prometheusRule: {extraAlerts: [{alert: A, expr: ""}]}}`:                                  "spec.prometheus.prometheusRule.extraAlerts[0].expr: Required",
		`{prometheusRule: {extraAlerts: [{alert: A, expr: up, for: soon}]}}`:                       "spec.prometheus.prometheusRule.extraAlerts[0].for: Invalid",
		`{prometheusRule: {extraAlerts: [{alert: A, expr: up, labels: {1a: x}}]}}`:                 "spec.prometheus.prometheusRule.extraAlerts[0].labels: Invalid",
		`{serviceAccount: prometheus}`:                                                             "spec.prometheus.serviceAccount: Invalid",
		`{speakerMetricsTLSSecret: "a/b"}`:                                                         "spec.prometheus.speakerMetricsTLSSecret: Invalid",
		`{controllerMetricsTLSSecret: "a/b"}`:                                                      "spec.prometheus.controllerMetricsTLSSecret: Invalid",
		`{dashboards: {additionalLabels: {a: "b c"}}}`:                                             "spec.prometheus.dashboards.additionalLabels: Invalid",
		`{serviceAccount: prometheus, namespace: monitoring, serviceMonitor: {interval: "1m30s"}}`: "none",
	} {
		var spec v1beta1.MetalLBSpec
		if err := yaml.UnmarshalStrict([]byte("prometheus: "+text), &spec); err != nil {
			t.Fatal(err)
		}
		errs := manifests.Validate(spec)
		if want == "none" {
			if len(errs) > 0 {
				t.Errorf("%s: %v", text, errs)
			}
			continue
		}
		if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), want) {
			t.Errorf("%s: %v, want one error that begins with %q", text, errs, want)
		}
	}
}
