package manifests

import (
	"encoding/json"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/monitoring"
)

// MonitoringVersion is the API of the Prometheus operator. Its kinds are written without its Go module.
var MonitoringVersion = schema.GroupVersion{Group: "monitoring.coreos.com", Version: "v1"}

// Monitoring says which kinds of MonitoringVersion the cluster has.
type Monitoring struct {
	ServiceMonitors, PodMonitors, PrometheusRules bool
}

// MonitoringKinds lists every kind of object that DesiredMonitoring returns and Desired does not.
func MonitoringKinds(apis Monitoring) []schema.GroupVersionKind {
	return append(apis.Kinds(), corev1.SchemeGroupVersion.WithKind("Service"))
}

// Kinds lists those kinds.
func (m Monitoring) Kinds() []schema.GroupVersionKind {
	var kinds []schema.GroupVersionKind
	for _, k := range []struct {
		there bool
		kind  string
	}{{m.ServiceMonitors, "ServiceMonitor"}, {m.PodMonitors, "PodMonitor"}, {m.PrometheusRules, "PrometheusRule"}} {
		if k.there {
			kinds = append(kinds, MonitoringVersion.WithKind(k.kind))
		}
	}
	return kinds
}

// Names of what is made for Prometheus. Those of the monitors and their Services are those of MetalLB's operator, with Operator added.
const (
	// Operator is the component of what is made for the operator's own metrics.
	Operator = "operator"
	// Scraper is the Role and RoleBinding of Prometheus, ScraperClusterRole its ClusterRoleBinding.
	Scraper            = "metallb-prometheus"
	ScraperClusterRole = "metallb-system:prometheus"
	// MetricsReader is the ClusterRole of who may read metrics; config/rbac has it.
	MetricsReader = "metallb-metrics-reader"
	// rulesName is the PrometheusRule.
	rulesName     = "metallb-alerts"
	monitorSuffix = "-monitor"
	serviceSuffix = "-monitor-service"
	metricsPath   = "/metrics"
)

// target is something whose metrics are read.
type target struct {
	component string
	// selector selects its pods, port is the name of their port and number what it is.
	selector map[string]string
	port     string
	number   int32
	// certificate says that it has one from a Secret, which can be verified; one of its own cannot.
	certificate bool
	// service is the Secret that OpenShift is asked to put one into, "" for none.
	service string
}

func targets(config v1beta1.PrometheusConfig, env Environment) []target {
	all := []target{
		{Controller, podLabels(Controller), metricsPortName, env.MetricsPort, config.ControllerMetricsTLSSecret != "", serviceSecret(config.ControllerMetricsTLSSecret, controllerCertificate, env)},
		{Speaker, podLabels(Speaker), metricsPortName, env.MetricsPort, config.SpeakerMetricsTLSSecret != "", serviceSecret(config.SpeakerMetricsTLSSecret, speakerCertificate, env)},
	}
	if env.OperatorMetricsPort != 0 {
		all = append(all, target{Operator, operatorLabels(), "metrics", env.OperatorMetricsPort, env.OperatorCertificate, ""})
	}
	return all
}

// DesiredMonitoring returns what an installation has for Prometheus and Grafana, in an order in which it can be created, where the cluster has the
// kinds that apis names; nothing where it has none of them. The spec must have passed Validate.
func DesiredMonitoring(spec v1beta1.MetalLBSpec, env Environment, apis Monitoring) ([]client.Object, error) {
	if len(apis.Kinds()) == 0 {
		return nil, nil
	}
	env = env.with(spec.Ports)
	config := prometheusIn(spec, env)
	var objects []client.Object
	if config.ServiceAccount != "" && config.Namespace != "" {
		objects = append(objects, scraperAccess(config, env)...)
	}
	pods := enabled(podMonitorOf(config).Enabled, false)
	for _, t := range targets(config, env) {
		switch {
		case pods && apis.PodMonitors:
			objects = append(objects, podMonitor(t, podMonitorOf(config), env))
		case !pods && apis.ServiceMonitors && enabled(serviceMonitorOf(config).Enabled, true):
			objects = append(objects, metricsService(t, env), serviceMonitor(t, serviceMonitorOf(config), env))
		}
	}
	if rule := ruleOf(config); apis.PrometheusRules && enabled(rule.Enabled, true) {
		object, err := prometheusRule(rule, env)
		if err != nil {
			return nil, err
		}
		objects = append(objects, object)
	}
	boards, err := dashboards(config, env)
	return append(objects, boards...), err
}

func enabled(is *bool, unset bool) bool {
	if is == nil {
		return unset
	}
	return *is
}

func prometheusOf(spec v1beta1.MetalLBSpec) v1beta1.PrometheusConfig {
	return orEmpty(spec.Prometheus)
}

// What OpenShift's service CA is asked for, and what Prometheus there has of it
// (https://docs.redhat.com/en/documentation/openshift_container_platform/latest/html/security_and_compliance/configuring-certificates).
const (
	controllerCertificate = "controller-certs-secret"
	speakerCertificate    = "speaker-certs-secret"
	servingCertificate    = "service.beta.openshift.io/serving-cert-secret-name"
	serviceAuthority      = "/etc/prometheus/configmaps/serving-certs-ca-bundle/service-ca.crt"
)

// prometheusIn is prometheusOf, completed with the certificates of OpenShift's service CA where the cluster has that and the spec none.
func prometheusIn(spec v1beta1.MetalLBSpec, env Environment) v1beta1.PrometheusConfig {
	config := prometheusOf(spec)
	if !env.OpenShift {
		return config
	}
	for _, secret := range []struct {
		to   *string
		name string
	}{{&config.ControllerMetricsTLSSecret, controllerCertificate}, {&config.SpeakerMetricsTLSSecret, speakerCertificate}} {
		if *secret.to == "" {
			*secret.to = secret.name
		}
	}
	monitor := serviceMonitorOf(config)
	ours := config.ControllerMetricsTLSSecret == controllerCertificate && config.SpeakerMetricsTLSSecret == speakerCertificate
	if ours && monitor.CASecret == "" && monitor.CAFile == "" {
		monitor.CAFile = serviceAuthority
		config.ServiceMonitor = &monitor
	}
	return config
}

// serviceSecret is the Secret that OpenShift is asked for: the one in use, if it is none of the users'.
func serviceSecret(used, ours string, env Environment) string {
	if env.OpenShift && used == ours {
		return ours
	}
	return ""
}

func serviceMonitorOf(c v1beta1.PrometheusConfig) v1beta1.MonitorConfig {
	return orEmpty(c.ServiceMonitor)
}

func podMonitorOf(c v1beta1.PrometheusConfig) v1beta1.MonitorConfig { return orEmpty(c.PodMonitor) }

func ruleOf(c v1beta1.PrometheusConfig) v1beta1.PrometheusRuleConfig {
	return orEmpty(c.PrometheusRule)
}

func orEmpty[T any](p *T) T {
	if p == nil {
		var none T
		return none
	}
	return *p
}

// metricsService leads to the pods of a target. It has no address of its own: Prometheus asks each pod.
func metricsService(t target, env Environment) *corev1.Service {
	meta := namespaced(t.component+serviceSuffix, t.component, env)
	meta.Labels["name"] = meta.Name
	if t.service != "" {
		meta.Annotations = map[string]string{servingCertificate: t.service}
	}
	return &corev1.Service{
		TypeMeta:   kind(corev1.SchemeGroupVersion, "Service"),
		ObjectMeta: meta,
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP, ClusterIP: corev1.ClusterIPNone, Selector: t.selector,
			// A pod that is not ready has the most to tell.
			PublishNotReadyAddresses: true,
			Ports:                    []corev1.ServicePort{{Name: t.port, Port: t.number, Protocol: corev1.ProtocolTCP, TargetPort: intstr.FromString(t.port)}},
		},
	}
}

func serviceMonitor(t target, config v1beta1.MonitorConfig, env Environment) client.Object {
	endpoint := endpoint(t, config, env)
	if config.TokenSecret == "" {
		endpoint["bearerTokenFile"] = "/var/run/secrets/kubernetes.io/serviceaccount/token"
	}
	return monitoringObject("ServiceMonitor", t.component+monitorSuffix, t.component, config.AdditionalLabels, env, map[string]any{
		"selector":  map[string]any{"matchLabels": map[string]any{"name": t.component + serviceSuffix}},
		"endpoints": []any{endpoint},
	})
}

func podMonitor(t target, config v1beta1.MonitorConfig, env Environment) client.Object {
	return monitoringObject("PodMonitor", t.component+monitorSuffix, t.component, config.AdditionalLabels, env, map[string]any{
		"selector":            map[string]any{"matchLabels": words(t.selector)},
		"podMetricsEndpoints": []any{endpoint(t, config, env)},
	})
}

// endpoint is what both kinds of monitors say of how metrics are read.
func endpoint(t target, config v1beta1.MonitorConfig, env Environment) map[string]any {
	e := map[string]any{"port": t.port, "scheme": "https", "path": metricsPath, "tlsConfig": tlsConfig(t, config, env)}
	if config.Interval != "" {
		e["interval"] = config.Interval
	}
	if config.TokenSecret != "" {
		e["authorization"] = map[string]any{"type": "Bearer", "credentials": map[string]any{"name": config.TokenSecret, "key": corev1.ServiceAccountTokenKey}}
	}
	return e
}

// tlsConfig has Prometheus verify certificates that can be, where it is told whom to trust. The name is that of the Service, whatever kind of monitor: certificates
// for pods are made out to it, by cert-manager and by OpenShift.
func tlsConfig(t target, config v1beta1.MonitorConfig, env Environment) map[string]any {
	name := fmt.Sprintf("%s%s.%s.svc", t.component, serviceSuffix, env.Namespace)
	switch {
	case !t.certificate:
		return map[string]any{"insecureSkipVerify": true}
	case config.CASecret != "":
		return map[string]any{"serverName": name, "ca": map[string]any{"secret": map[string]any{"name": config.CASecret, "key": corev1.ServiceAccountRootCAKey}}}
	case config.CAFile != "":
		return map[string]any{"serverName": name, "caFile": config.CAFile}
	default:
		return map[string]any{"insecureSkipVerify": true}
	}
}

func prometheusRule(config v1beta1.PrometheusRuleConfig, env Environment) (client.Object, error) {
	options := monitoring.RuleOptions{Without: config.DisabledAlerts, ExcludePools: config.ExcludePools, Labels: config.AlertLabels}
	for _, a := range config.ExtraAlerts {
		options.Extra = append(options.Extra, monitoring.Rule(a))
	}
	groups, err := monitoring.Groups(options)
	if err != nil {
		return nil, err
	}
	// As an unstructured object has it.
	text, err := json.Marshal(groups)
	if err != nil {
		return nil, fmt.Errorf("write the rules: %w", err)
	}
	var plain []any
	if err := json.Unmarshal(text, &plain); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	return monitoringObject("PrometheusRule", rulesName, Operator, config.AdditionalLabels, env, map[string]any{"groups": plain}), nil
}

func dashboards(config v1beta1.PrometheusConfig, env Environment) ([]client.Object, error) {
	choice := orEmpty(config.Dashboards)
	if !enabled(choice.Enabled, true) {
		return nil, nil
	}
	var objects []client.Object
	for _, d := range monitoring.Dashboards() {
		text, err := d.JSON()
		if err != nil {
			return nil, err
		}
		meta := namespaced(d.Name, Operator, env)
		maps.Copy(meta.Labels, merged(map[string]string{"grafana_dashboard": "1", "console.openshift.io/dashboard": "true"}, choice.AdditionalLabels))
		objects = append(objects, &corev1.ConfigMap{
			TypeMeta: kind(corev1.SchemeGroupVersion, "ConfigMap"), ObjectMeta: meta, Data: map[string]string{d.Name + ".json": string(text)},
		})
	}
	return objects, nil
}

// monitoringObject is one of a kind that this program has no type of. Labels of the users' do not win over those by which the operator finds it.
func monitoringObject(kind, name, component string, labels map[string]string, env Environment, spec map[string]any) client.Object {
	o := &unstructured.Unstructured{Object: map[string]any{"spec": spec}}
	o.SetGroupVersionKind(MonitoringVersion.WithKind(kind))
	o.SetName(name)
	o.SetNamespace(env.Namespace)
	o.SetLabels(merged(labels, objectLabels(component)))
	return o
}

func words(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = value
	}
	return out
}

// scraperAccess lets Prometheus find the pods in this namespace, and read metrics.
func scraperAccess(config v1beta1.PrometheusConfig, env Environment) []client.Object {
	subjects := []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: config.ServiceAccount, Namespace: config.Namespace}}
	return []client.Object{
		&rbacv1.ClusterRoleBinding{
			TypeMeta:   kind(rbacv1.SchemeGroupVersion, "ClusterRoleBinding"),
			ObjectMeta: outside(ScraperClusterRole, "", Operator, env),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: MetricsReader},
			Subjects:   subjects,
		},
		&rbacv1.Role{
			TypeMeta:   kind(rbacv1.SchemeGroupVersion, "Role"),
			ObjectMeta: namespaced(Scraper, Operator, env),
			Rules: []rbacv1.PolicyRule{
				rule("", []string{"services", "endpoints", "pods"}, read),
				rule("discovery.k8s.io", []string{"endpointslices"}, read),
			},
		},
		&rbacv1.RoleBinding{
			TypeMeta:   kind(rbacv1.SchemeGroupVersion, "RoleBinding"),
			ObjectMeta: namespaced(Scraper, Operator, env),
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: Scraper},
			Subjects:   subjects,
		},
	}
}

// Where a certificate for metrics is mounted.
const (
	certificateVolume = "metrics-certificate"
	certificatePath   = "/etc/metrics-certificate"
)

// withCertificate has a program serve metrics with the certificate in a Secret. The Secret may come later, or never: meanwhile the program has one of
// its own, and announces.
func withCertificate(pod *corev1.PodSpec, c *corev1.Container, secret string) {
	if secret == "" {
		return
	}
	pod.Volumes = append(pod.Volumes, corev1.Volume{Name: certificateVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
		SecretName: secret, Optional: new(true),
		// The controller is not root, to whom the files belong.
		DefaultMode: new(int32(0o444)),
	}}})
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: certificateVolume, MountPath: certificatePath, ReadOnly: true})
	c.Args = append(c.Args, "--metrics-cert-dir="+certificatePath)
}
