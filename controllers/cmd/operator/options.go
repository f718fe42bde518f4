package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/admission"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// Options are what the operator's flags and environment say. The names are those of MetalLB's operator.
type Options struct {
	// LogLevel is one of all, debug, info, warn, error, none.
	LogLevel string
	// MetricsAddress is where metrics are served over HTTPS, "0" for nowhere, and MetricsCertDir has the certificate for that, if it is not to make one.
	MetricsAddress, MetricsCertDir string
	// HealthAddress is where /healthz and /readyz are served.
	HealthAddress string
	// LeaderElection lets only one of several operators act.
	LeaderElection bool
	// WebhookPort is where the API server asks about edits, 0 for nowhere.
	WebhookPort int
	// WebhookHTTP2 offers HTTP/2 there.
	WebhookHTTP2 bool
	// DisableCertRotation leaves the certificate of the webhooks to somebody else, who puts it into CertDir.
	DisableCertRotation bool
	CertDir             string
	// CertServiceName is the Service that the webhooks are called by, which the certificate is made out to.
	CertServiceName string
	// Environment is what the operator installs, and where.
	Environment manifests.Environment
}

// parse reads flags and environment. Its error names everything that is wrong.
func parse(args []string, getenv func(string) string) (Options, error) {
	var o Options
	flags := flag.NewFlagSet("operator", flag.ContinueOnError)
	flags.StringVar(&o.LogLevel, "log-level", "info", "how much to log: all, debug, info, warn, error or none")
	flags.StringVar(&o.MetricsAddress, "metrics-addr", "0", "address to serve metrics on over HTTPS, 0 for none")
	flags.StringVar(&o.MetricsCertDir, "metrics-cert-dir", "", "directory of tls.crt and tls.key for metrics, read again when they change; empty, or while they are missing, for a self-signed certificate")
	flags.BoolVar(&o.LeaderElection, "enable-leader-election", false, "act only while elected among several operators")
	port := flags.Int("port", 8080, "port to serve /healthz and /readyz on")
	flags.IntVar(&o.WebhookPort, "webhook-port", admission.Port, "port to serve the admission webhooks on, 0 for none")
	flags.BoolVar(&o.WebhookHTTP2, "webhook-http2", false, "offer HTTP/2 to the callers of the webhooks")
	flags.BoolVar(&o.DisableCertRotation, "disable-cert-rotation", false, "serve the webhooks with the certificate in --cert-dir in place of one that is made and renewed")
	flags.StringVar(&o.CertDir, "cert-dir", filepath.Join(os.TempDir(), "k8s-webhook-server", "serving-certs"), "folder with tls.crt and tls.key, read with --disable-cert-rotation")
	flags.StringVar(&o.CertServiceName, "cert-service-name", admission.Service, "Service that the webhooks are called by, which the certificate is made out to")
	if err := flags.Parse(args); err != nil {
		return Options{}, err
	}
	if flags.NArg() > 0 {
		return Options{}, fmt.Errorf("unknown argument %q: only flags are taken", flags.Arg(0))
	}
	o.HealthAddress = net.JoinHostPort("", strconv.Itoa(*port))
	var errs []error
	if *port < 1 || *port > 65535 {
		errs = append(errs, fmt.Errorf("flag --port is %d: wanted 1 to 65535", *port))
	}
	var err error
	o.Environment.OperatorCertificate = o.MetricsCertDir != ""
	if o.Environment.OperatorMetricsPort, err = metricsPort(o.MetricsAddress); err != nil {
		errs = append(errs, err)
	}
	if o.WebhookPort < 0 || o.WebhookPort > 65535 {
		errs = append(errs, fmt.Errorf("flag --webhook-port is %d: wanted 0 to 65535", o.WebhookPort))
	}
	for _, wrong := range validation.IsDNS1035Label(o.CertServiceName) {
		errs = append(errs, fmt.Errorf("flag --cert-service-name is %q: wanted the name of a Service: %s", o.CertServiceName, wrong))
	}
	for _, v := range []struct {
		name, meaning string
		to            *string
	}{
		{"OPERATOR_NAMESPACE", "the namespace to install in", &o.Environment.Namespace},
		{"CONTROLLER_IMAGE", "the image of the controller", &o.Environment.ControllerImage},
		{"SPEAKER_IMAGE", "the image of the speaker", &o.Environment.SpeakerImage},
		{"FRR_IMAGE", "the image of FRR", &o.Environment.FRRImage},
	} {
		if *v.to = getenv(v.name); *v.to == "" {
			errs = append(errs, fmt.Errorf("environment variable %s is not set: wanted %s", v.name, v.meaning))
		}
	}
	for _, v := range []struct {
		name     string
		fallback int32
		to       *int32
	}{
		{"METRICS_PORT", 9120, &o.Environment.MetricsPort},
		{"OPERAND_LIVENESS_PORT", 17472, &o.Environment.HealthPort},
		{"MEMBER_LIST_BIND_PORT", 7946, &o.Environment.MemberPort},
	} {
		var err error
		if *v.to, err = portOf(v.name, getenv(v.name), v.fallback); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, o.network(getenv))
	return o, errors.Join(errs...)
}

// network reads what NetworkPolicies follow from.
func (o *Options) network(getenv func(string) string) error {
	var errs []error
	if text := getenv("DISABLE_NETWORK_POLICIES"); text != "" {
		var err error
		if o.Environment.NoNetworkPolicies, err = strconv.ParseBool(text); err != nil {
			errs = append(errs, fmt.Errorf("environment variable DISABLE_NETWORK_POLICIES is %q: wanted true or false", text))
		}
	}
	// Kubernetes sets it in every pod. Elsewhere the operator does not know what pods need to reach.
	if text := getenv("KUBERNETES_SERVICE_PORT"); text != "" {
		port, err := portOf("KUBERNETES_SERVICE_PORT", text, 0)
		if err != nil {
			errs = append(errs, err)
		}
		o.Environment.APIServerPorts = []int32{port}
	}
	o.Environment.OperatorPorts = o.served()
	return errors.Join(errs...)
}

// served are the ports that the operator listens on, sorted.
func (o *Options) served() []int32 {
	var ports []int32
	if o.WebhookPort > 0 && o.WebhookPort <= 65535 {
		ports = append(ports, int32(o.WebhookPort))
	}
	for _, address := range []string{o.HealthAddress, o.MetricsAddress} {
		_, text, err := net.SplitHostPort(address)
		if err != nil {
			continue // "0" is nowhere
		}
		if port, err := strconv.ParseUint(text, 10, 16); err == nil && port > 0 {
			ports = append(ports, int32(port))
		}
	}
	slices.Sort(ports)
	return slices.Compact(ports)
}

// metricsPort returns the port of the address for metrics, 0 where none are served.
func metricsPort(address string) (int32, error) {
	if address == "0" || address == "" {
		return 0, nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return 0, fmt.Errorf("flag --metrics-addr is %q: wanted 0 or an address such as :8443: %w", address, err)
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return 0, fmt.Errorf("flag --metrics-addr is %q: wanted a port from 1 to 65535 in it", address)
	}
	return int32(number), nil
}

func portOf(name, value string, fallback int32) (int32, error) {
	if value == "" {
		return fallback, nil
	}
	port, err := strconv.ParseUint(value, 10, 16)
	if err != nil || port == 0 {
		return 0, fmt.Errorf("environment variable %s is %q: wanted a port, 1 to 65535", name, value)
	}
	return int32(port), nil
}
