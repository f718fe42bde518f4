package manifests_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
)

// withoutEffect are the fields of the spec that change no object, and why.
var withoutEffect = map[string]string{
	"Image":                          "deprecated in the API: images are set on the operator",
	"FRR":                            "in a cluster that asks for BGP FRR runs anyway; TestFRR has the others",
	"BGPDebounceTimeout":             "accepted for compatibility: nothing waits",
	"BGPBackend":                     "FRR runs whatever it says; Substituted tells when that differs",
	"LoadBalancerAlsoUnclassed":      "without a class the Services without one are served anyway; with one it is in testdata",
	"FRRK8sConfig.AlwaysBlock":       "for a backend that is not run",
	"FRRK8sConfig.Namespace":         "for a backend that is not run",
	"FRRK8sConfig.SecretPassthrough": "for a backend that is not run",

	"SpeakerUpdate.MaxUnavailable":     "with the strategy Ordered it is the operator that heeds it (RolloutLimits); with RollingUpdate it is in testdata",
	"SpeakerUpdate.SessionWaitSeconds": "it is the operator that heeds it (RolloutLimits)",

	"Prometheus.ServiceMonitor.Enabled":        "true unless it is false, which is in testdata",
	"Prometheus.PrometheusRule.Enabled":        "true unless it is false, which is in testdata",
	"Prometheus.Dashboards.Enabled":            "true unless it is false, which is in testdata",
	"Prometheus.PrometheusRule.DisabledAlerts": "there is no alert of the name that is tried; one is in testdata",
	"Prometheus.ServiceMonitor.CASecret":       "nothing to verify without a TLS secret; with one, it is in testdata",
	"Prometheus.ServiceMonitor.CAFile":         "nothing to verify without a TLS secret; with one, it is in testdata",
	"Prometheus.PodMonitor.AdditionalLabels":   "nothing without PodMonitor.Enabled; with it, it is in testdata",
	"Prometheus.PodMonitor.Interval":           "nothing without PodMonitor.Enabled; with it, it is in testdata",
	"Prometheus.PodMonitor.TokenSecret":        "nothing without PodMonitor.Enabled; with it, it is in testdata",
	"Prometheus.PodMonitor.CASecret":           "nothing without PodMonitor.Enabled; with it, it is in testdata",
	"Prometheus.PodMonitor.CAFile":             "refused where PodMonitor.Enabled is true",
	"Prometheus.ServiceAccount":                "refused without Namespace; with it, it is in testdata",
	"Prometheus.Namespace":                     "refused without ServiceAccount; with it, it is in testdata",
}

// settings hold one value other than the zero value for every type of field that the spec has.
var settings = []any{
	"info", v1beta1.LogLevelDebug, v1beta1.BGPBackendNative, v1beta1.FencingStrict, v1beta1.BGPShutdownWithdraw, v1beta1.FRRAlways, v1beta1.SpeakerUpdateRollingUpdate, new(intstr.FromInt32(7)), []corev1.LocalObjectReference{{Name: "registry"}}, []v1beta1.NodeImpairment{v1beta1.NodeNotReady}, true, []string{"10.0.0.0/8"}, map[string]string{"example.com/a": "b"},
	[]corev1.Toleration{{Key: "example.com/a", Operator: corev1.TolerationOpExists}},
	&corev1.Affinity{PodAffinity: &corev1.PodAffinity{}},
	&corev1.ResourceRequirements{Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}},
	&metav1.Duration{Duration: time.Minute}, new(int32(7)), new(true),
	[]v1beta1.ExtraAlert{{Alert: "Mine", Expr: "vector(1)"}},
}

// Given a spec with a single field set, when its objects are built, then they differ from those of an empty spec, or the
// field is listed with the reason why not.
func TestEveryFieldHasAnEffect(t *testing.T) {
	plain := toYAML(t, everything(t, v1beta1.MetalLBSpec{}))
	listed := map[string]bool{}
	eachField(reflect.TypeFor[v1beta1.MetalLBSpec](), nil, func(path string, index []int) {
		t.Run(path, func(t *testing.T) {
			spec := v1beta1.MetalLBSpec{}
			if err := setField(reflect.ValueOf(&spec).Elem(), index); err != nil {
				t.Fatal(err)
			}
			effect := !bytes.Equal(plain, toYAML(t, everything(t, spec)))
			reason, none := withoutEffect[path]
			listed[path] = none
			if effect == none {
				t.Errorf("field %s: changes the objects: %t; listed as without effect: %t (%s)", path, effect, none, reason)
			}
		})
	})
	for path := range withoutEffect {
		if !listed[path] {
			t.Errorf("%s is listed as without effect, but the spec has no such field", path)
		}
	}
}

// Given the fields of the spec, when docs/install.md is read, then its table of what can be set names each.
func TestEveryFieldIsInTheDocs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(top, "docs/install.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(text), "\n## What can be set\n")
	if table, _, _ = strings.Cut(table, "\n## "); !found {
		t.Fatal("docs/install.md has no section What can be set")
	}
	for field := range reflect.TypeFor[v1beta1.MetalLBSpec]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !regexp.MustCompile("`" + name + "[`.]").MatchString(table) {
			t.Errorf("docs/install.md does not name spec.%s", name)
		}
	}
}

// eachField calls visit for every field that holds a value, those of our own structs one by one.
func eachField(of reflect.Type, index []int, visit func(path string, index []int), names ...string) {
	for i := range of.NumField() {
		f := of.Field(i)
		at, inner := append(slices.Clone(index), i), f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		path := f.Name
		if len(names) > 0 {
			path = names[0] + "." + path
		}
		if inner.Kind() == reflect.Struct && inner.PkgPath() == reflect.TypeFor[v1beta1.MetalLBSpec]().PkgPath() {
			eachField(inner, at, visit, path)
			continue
		}
		visit(path, at)
	}
}

func setField(of reflect.Value, index []int) error {
	for _, i := range index {
		if of.Kind() == reflect.Pointer {
			of.Set(reflect.New(of.Type().Elem()))
			of = of.Elem()
		}
		of = of.Field(i)
	}
	for _, value := range settings {
		if reflect.TypeOf(value) == of.Type() {
			of.Set(reflect.ValueOf(value))
			return nil
		}
	}
	return fmt.Errorf("no value to set a %s to: add one", of.Type())
}
