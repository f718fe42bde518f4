package operator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Given a cluster without the API of the Prometheus operator, when that comes, is used, is declined and goes again, then what is made for it follows.
func (c *cluster) testMonitoring(t *testing.T) {
	t.Helper()
	metallb := c.metallb(t, v1beta1.MetalLBName, v1beta1.MetalLBSpec{})
	c.awaitChildren(t, v1beta1.MetalLBSpec{})
	if found := c.forPrometheus(t.Context()); len(found) > 0 {
		t.Errorf("without the API there are %v", found)
	}
	definitions := monitoringDefinitions()
	for _, d := range definitions {
		if err := c.Create(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	services := []string{"Service/controller-monitor-service", "Service/operator-monitor-service", "Service/speaker-monitor-service"}
	boards := []string{"ConfigMap/metallb-overview", "ConfigMap/metallb-sessions"}
	monitors := func(kind string) []string {
		return []string{kind + "/controller-monitor", kind + "/operator-monitor", kind + "/speaker-monitor"}
	}
	rule := []string{"PrometheusRule/metallb-alerts"}
	c.awaitForPrometheus(t, services, boards, monitors("ServiceMonitor"), rule)
	t.Run("at rest nothing is written", func(t *testing.T) { c.restsAtRest(t) })
	for _, name := range []string{"ServiceMonitor/speaker-monitor", "PrometheusRule/metallb-alerts", "Service/speaker-monitor-service", "ConfigMap/metallb-overview"} {
		t.Run(name+" is back after it was deleted", func(t *testing.T) { c.comesBack(t, ofPrometheus(name)) })
	}
	t.Run("what was edited is as before", func(t *testing.T) { c.repairsMonitors(t) })

	c.edit(t, func(s *v1beta1.MetalLBSpec) {
		s.Prometheus = &v1beta1.PrometheusConfig{PodMonitor: &v1beta1.MonitorConfig{Enabled: new(true)}}
	})
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionTrue, "spec.prometheus.podMonitor.tokenSecret")
	c.edit(t, func(s *v1beta1.MetalLBSpec) {
		s.Prometheus.PodMonitor.TokenSecret = "reader"
		s.Prometheus.Namespace, s.Prometheus.ServiceAccount = "monitoring", "prometheus"
	})
	c.awaitForPrometheus(t, boards, monitors("PodMonitor"), rule)
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: manifests.ScraperClusterRole}}
	if err := c.Get(t.Context(), client.ObjectKeyFromObject(binding), binding); err != nil || len(binding.Subjects) != 1 || binding.Subjects[0].Name != "prometheus" {
		t.Errorf("rights of Prometheus are for %v: %v", binding.Subjects, err)
	}
	c.edit(t, func(s *v1beta1.MetalLBSpec) {
		s.Prometheus = &v1beta1.PrometheusConfig{ServiceMonitor: &v1beta1.MonitorConfig{Enabled: new(false)},
			PrometheusRule: &v1beta1.PrometheusRuleConfig{Enabled: new(false)}, Dashboards: &v1beta1.DashboardsConfig{Enabled: new(false)}}
	})
	c.awaitForPrometheus(t)
	c.awaitGone(t, binding)
	c.edit(t, func(s *v1beta1.MetalLBSpec) { s.Prometheus = nil })
	c.awaitForPrometheus(t, services, boards, monitors("ServiceMonitor"), rule)

	for _, d := range definitions {
		if err := c.Delete(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	c.awaitForPrometheus(t)
	c.awaitCondition(t, v1beta1.MetalLBName, v1beta1.ConditionDegraded, metav1.ConditionFalse)
	c.leavesNothing(t, metallb)
}

func (c *cluster) repairsMonitors(t *testing.T) {
	t.Helper()
	monitor := ofPrometheus("ServiceMonitor/speaker-monitor").(*unstructured.Unstructured)
	c.change(t, monitor, func() {
		monitor.SetLabels(nil)
		if err := unstructured.SetNestedSlice(monitor.Object, nil, "spec", "endpoints"); err != nil {
			t.Fatal(err)
		}
	})
	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "controller-monitor-service"}}
	c.change(t, service, func() { service.Spec.Selector = map[string]string{"app": "other"} })
	eventually(t, "all edits are undone", func(ctx context.Context) error {
		if err := errors.Join(c.Get(ctx, client.ObjectKeyFromObject(monitor), monitor), c.Get(ctx, client.ObjectKeyFromObject(service), service)); err != nil {
			return err
		}
		endpoints, _, _ := unstructured.NestedSlice(monitor.Object, "spec", "endpoints")
		if len(endpoints) != 1 || monitor.GetLabels()[manifests.LabelManagedBy] == "" || service.Spec.Selector["app"] != manifests.App {
			return fmt.Errorf("endpoints %v, labels %v, selector %v", endpoints, monitor.GetLabels(), service.Spec.Selector)
		}
		return nil
	})
}

// ofPrometheus is an object made for Prometheus, empty but for its name, from KIND/NAME.
func ofPrometheus(name string) client.Object {
	kind, name, _ := strings.Cut(name, "/")
	o := &unstructured.Unstructured{}
	o.SetGroupVersionKind(manifests.MonitoringVersion.WithKind(kind))
	if kind == "Service" || kind == "ConfigMap" {
		o.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind(kind))
	}
	o.SetName(name)
	o.SetNamespace(namespace)
	return o
}

// forPrometheus lists what there is of the kinds that are made for Prometheus, as KIND/NAME.
func (c *cluster) forPrometheus(ctx context.Context) map[string]bool {
	found := map[string]bool{}
	kinds := manifests.Monitoring{ServiceMonitors: true, PodMonitors: true, PrometheusRules: true}.Kinds()
	for _, kind := range append(kinds, corev1.SchemeGroupVersion.WithKind("Service"), corev1.SchemeGroupVersion.WithKind("ConfigMap")) {
		list := &unstructured.UnstructuredList{}
		list.SetGroupVersionKind(schema.GroupVersionKind{Group: kind.Group, Version: kind.Version, Kind: kind.Kind + "List"})
		if err := c.List(ctx, list, client.MatchingLabels{manifests.LabelManagedBy: manifests.ManagedBy}); err != nil {
			continue // there is no such kind now
		}
		for i := range list.Items {
			found[kind.Kind+"/"+list.Items[i].GetName()] = true
		}
	}
	return found
}

// awaitForPrometheus waits until there are these and no others.
func (c *cluster) awaitForPrometheus(t *testing.T, wanted ...[]string) {
	t.Helper()
	eventually(t, fmt.Sprintf("there are %v", wanted), func(ctx context.Context) error {
		found := c.forPrometheus(ctx)
		n := 0
		for _, names := range wanted {
			for _, name := range names {
				if n++; !found[name] {
					return fmt.Errorf("no %s among %v", name, found)
				}
			}
		}
		if len(found) != n {
			return fmt.Errorf("%d objects: %v", len(found), found)
		}
		return nil
	})
}

// monitoringDefinitions stand for those of the Prometheus operator: the same names, any content.
func monitoringDefinitions() []client.Object {
	var all []client.Object
	for _, kind := range []string{"ServiceMonitor", "PodMonitor", "PrometheusRule"} {
		plural := strings.ToLower(kind) + "s"
		d := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{
			"group": manifests.MonitoringVersion.Group, "scope": "Namespaced",
			"names": map[string]any{"kind": kind, "listKind": kind + "List", "plural": plural, "singular": strings.ToLower(kind)},
			"versions": []any{map[string]any{"name": manifests.MonitoringVersion.Version, "served": true, "storage": true, "schema": map[string]any{
				"openAPIV3Schema": map[string]any{"type": "object", "properties": map[string]any{
					"spec": map[string]any{"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}}}},
		}}}
		d.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		d.SetName(plural + "." + manifests.MonitoringVersion.Group)
		all = append(all, d)
	}
	return all
}
