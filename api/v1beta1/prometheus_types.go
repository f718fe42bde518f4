package v1beta1

// PrometheusConfig says what is made for Prometheus and Grafana. All of it is
// made only where the cluster has the API of the Prometheus operator,
// monitoring.coreos.com/v1, and as soon as it has.
//
// +kubebuilder:validation:XValidation:rule="!has(self.serviceMonitor) || !has(self.serviceMonitor.enabled) || !self.serviceMonitor.enabled || !has(self.podMonitor) || !has(self.podMonitor.enabled) || !self.podMonitor.enabled",message="spec.prometheus: serviceMonitor and podMonitor cannot both be enabled: everything would be scraped twice"
type PrometheusConfig struct {
	// serviceMonitor adjusts the ServiceMonitors of operator, controller and
	// speakers. They are made unless enabled is false or podMonitor is enabled.
	// +optional
	ServiceMonitor *MonitorConfig `json:"serviceMonitor,omitempty"`

	// podMonitor adjusts the PodMonitors of operator, controller and speakers.
	// They are made in place of ServiceMonitors where enabled is true.
	// +optional
	PodMonitor *MonitorConfig `json:"podMonitor,omitempty"`

	// prometheusRule adjusts the alerts.
	// +optional
	PrometheusRule *PrometheusRuleConfig `json:"prometheusRule,omitempty"`

	// dashboards adjusts the ConfigMaps with dashboards for Grafana.
	// +optional
	Dashboards *DashboardsConfig `json:"dashboards,omitempty"`

	// controllerMetricsTLSSecret is a Secret of type kubernetes.io/tls with the
	// certificate that the controller serves metrics with. It may change or come
	// later. Unset means a certificate that the controller makes itself; on
	// OpenShift, one of its service CA.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ControllerMetricsTLSSecret string `json:"controllerMetricsTLSSecret,omitempty"`

	// speakerMetricsTLSSecret is the same for the speakers.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	SpeakerMetricsTLSSecret string `json:"speakerMetricsTLSSecret,omitempty"`

	// serviceAccount and namespace name the ServiceAccount that Prometheus runs
	// as. Where both are set it gets the rights to find the pods and to read
	// their metrics.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	ServiceAccount string `json:"serviceAccount,omitempty"`

	// namespace is the one of serviceAccount.
	// +optional
	// +kubebuilder:validation:MaxLength=63
	Namespace string `json:"namespace,omitempty"`
}

// MonitorConfig adjusts ServiceMonitors or PodMonitors.
type MonitorConfig struct {
	// enabled is whether they are made. Unset means true for serviceMonitor and
	// false for podMonitor.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// additionalLabels are added to them: often Prometheus selects by a label.
	// +optional
	AdditionalLabels map[string]string `json:"additionalLabels,omitempty"`

	// interval is how often metrics are read, for example 30s. Unset means what
	// Prometheus has for all.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(ms|s|m|h))+$`
	Interval string `json:"interval,omitempty"`

	// tokenSecret is a Secret of this namespace with the token, in the key
	// token, that Prometheus shows. Unset means, for serviceMonitor, that of
	// Prometheus's own ServiceAccount; for podMonitor it is needed.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	TokenSecret string `json:"tokenSecret,omitempty"`

	// caSecret is a Secret of this namespace with the certificates, in the key
	// ca.crt, by which Prometheus verifies those that metrics are served with,
	// where they come from a Secret. Unset, and without caFile, it does not
	// verify them.
	// +optional
	// +kubebuilder:validation:MaxLength=253
	CASecret string `json:"caSecret,omitempty"`

	// caFile is the same as a file in Prometheus's pods, for serviceMonitor
	// only.
	// +optional
	// +kubebuilder:validation:MaxLength=4096
	CAFile string `json:"caFile,omitempty"`
}

// PrometheusRuleConfig adjusts the PrometheusRule with the alerts.
type PrometheusRuleConfig struct {
	// enabled is whether it is made. Unset means true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// additionalLabels are added to it: often Prometheus selects by a label.
	// +optional
	AdditionalLabels map[string]string `json:"additionalLabels,omitempty"`

	// disabledAlerts names alerts that are left out, for example
	// MetalLBAddressPoolUsage75Percent.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=64
	DisabledAlerts []string `json:"disabledAlerts,omitempty"`

	// excludePools names IPAddressPools that no alert on the use of pools is
	// about.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=256
	// +kubebuilder:validation:items:MaxLength=253
	ExcludePools []string `json:"excludePools,omitempty"`

	// alertLabels are given to each alert, and win over those it has, such as
	// severity.
	// +optional
	AlertLabels map[string]string `json:"alertLabels,omitempty"`

	// extraAlerts are added as they are.
	// +optional
	// +listType=map
	// +listMapKey=alert
	// +kubebuilder:validation:MaxItems=64
	ExtraAlerts []ExtraAlert `json:"extraAlerts,omitempty"`
}

// ExtraAlert is an alert of Prometheus.
type ExtraAlert struct {
	// alert is its name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	Alert string `json:"alert"`

	// expr is the expression of PromQL that is true while it fires.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=8192
	Expr string `json:"expr"`

	// for is how long that must be true, for example 5m. Unset means at once.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(ms|s|m|h))+$`
	For string `json:"for,omitempty"`

	// labels are its labels, such as severity.
	// +optional
	Labels map[string]string `json:"labels,omitempty"`

	// annotations are its annotations, such as summary.
	// +optional
	Annotations map[string]string `json:"annotations,omitempty"`
}

// DashboardsConfig adjusts the ConfigMaps with dashboards. They have the label
// that Grafana's sidecar looks for, grafana_dashboard: "1", and OpenShift's,
// console.openshift.io/dashboard: "true".
type DashboardsConfig struct {
	// enabled is whether they are made. Unset means true.
	// +optional
	Enabled *bool `json:"enabled,omitempty"`

	// additionalLabels are added to them.
	// +optional
	AdditionalLabels map[string]string `json:"additionalLabels,omitempty"`
}
