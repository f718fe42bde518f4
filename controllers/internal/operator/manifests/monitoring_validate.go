package manifests

import (
	"regexp"
	"slices"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/config/monitoring"
)

// duration is one of Prometheus's, as far as this project takes them.
var duration = regexp.MustCompile(`^([0-9]+(ms|s|m|h))+$`)

func validatePrometheus(c v1beta1.PrometheusConfig, path *field.Path) field.ErrorList {
	errs := slices.Concat(
		validateMonitor(serviceMonitorOf(c), path.Child("serviceMonitor")),
		validateMonitor(podMonitorOf(c), path.Child("podMonitor")),
		validateRule(ruleOf(c), path.Child("prometheusRule")),
		metav1validation.ValidateLabels(orEmpty(c.Dashboards).AdditionalLabels, path.Child("dashboards", "additionalLabels")),
		validateName(c.ControllerMetricsTLSSecret, path.Child("controllerMetricsTLSSecret")),
		validateName(c.SpeakerMetricsTLSSecret, path.Child("speakerMetricsTLSSecret")),
		validateName(c.ServiceAccount, path.Child("serviceAccount")),
		validateName(c.Namespace, path.Child("namespace")),
	)
	if (c.ServiceAccount == "") != (c.Namespace == "") {
		errs = append(errs, field.Invalid(path.Child("serviceAccount"), c.ServiceAccount, "must be set together with spec.prometheus.namespace: both name the ServiceAccount of Prometheus"))
	}
	service, pod := serviceMonitorOf(c), podMonitorOf(c)
	if !enabled(pod.Enabled, false) {
		return errs
	}
	if enabled(service.Enabled, false) {
		errs = append(errs, field.Invalid(path.Child("podMonitor", "enabled"), true, "must not be true where serviceMonitor.enabled is: everything would be scraped twice"))
	}
	if pod.TokenSecret == "" {
		errs = append(errs, field.Required(path.Child("podMonitor", "tokenSecret"), "a PodMonitor cannot use the token of Prometheus's own ServiceAccount: name a Secret with a token that may get /metrics"))
	}
	if pod.CAFile != "" {
		errs = append(errs, field.Invalid(path.Child("podMonitor", "caFile"), pod.CAFile, "must be empty: a PodMonitor cannot name a file; use caSecret"))
	}
	return errs
}

func validateMonitor(m v1beta1.MonitorConfig, path *field.Path) field.ErrorList {
	errs := slices.Concat(
		metav1validation.ValidateLabels(m.AdditionalLabels, path.Child("additionalLabels")),
		validateDuration(m.Interval, path.Child("interval")),
		validateName(m.TokenSecret, path.Child("tokenSecret")),
		validateName(m.CASecret, path.Child("caSecret")),
	)
	if m.CASecret != "" && m.CAFile != "" {
		errs = append(errs, field.Invalid(path.Child("caFile"), m.CAFile, "must be empty where caSecret is set"))
	}
	return errs
}

func validateRule(r v1beta1.PrometheusRuleConfig, path *field.Path) field.ErrorList {
	errs := metav1validation.ValidateLabels(r.AdditionalLabels, path.Child("additionalLabels"))
	for i, alert := range r.DisabledAlerts {
		errs = append(errs, validateOneOf(alert, path.Child("disabledAlerts").Index(i), monitoring.Alerts())...)
	}
	for i, pool := range r.ExcludePools {
		errs = append(errs, validateName(pool, path.Child("excludePools").Index(i))...)
	}
	errs = append(errs, validateAlertLabels(r.AlertLabels, path.Child("alertLabels"))...)
	for i, a := range r.ExtraAlerts {
		at := path.Child("extraAlerts").Index(i)
		if a.Alert == "" {
			errs = append(errs, field.Required(at.Child("alert"), "an alert has a name"))
		}
		if a.Expr == "" {
			errs = append(errs, field.Required(at.Child("expr"), "an alert has an expression"))
		}
		errs = append(errs, validateDuration(a.For, at.Child("for"))...)
		errs = append(errs, validateAlertLabels(a.Labels, at.Child("labels"))...)
		errs = append(errs, validateAlertLabels(a.Annotations, at.Child("annotations"))...)
	}
	return errs
}

// label is a name of a label or annotation in Prometheus.
var label = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func validateAlertLabels(labels map[string]string, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name := range labels {
		if !label.MatchString(name) {
			errs = append(errs, field.Invalid(path, name, "must consist of letters, digits and _, and not begin with a digit: Prometheus takes no other name"))
		}
	}
	return errs
}

func validateDuration(text string, path *field.Path) field.ErrorList {
	if text == "" || duration.MatchString(text) {
		return nil
	}
	return field.ErrorList{field.Invalid(path, text, "must be a duration such as 30s or 5m")}
}

func validateName(name string, path *field.Path) field.ErrorList {
	if name == "" {
		return nil
	}
	var errs field.ErrorList
	for _, wrong := range apivalidation.NameIsDNSSubdomain(name, false) {
		errs = append(errs, field.Invalid(path, name, wrong))
	}
	return errs
}
