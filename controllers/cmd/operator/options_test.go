package main

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

func complete() map[string]string {
	return map[string]string{"OPERATOR_NAMESPACE": "metallb-system", "CONTROLLER_IMAGE": "c:1", "SPEAKER_IMAGE": "s:1", "FRR_IMAGE": "f:1"}
}

// Given the environment of config/manager and no flags, when it is read, then everything else has MetalLB's defaults.
func TestParseDefaults(t *testing.T) {
	found, err := parse(nil, func(name string) string { return complete()[name] })
	if err != nil {
		t.Fatal(err)
	}
	wanted := Options{LogLevel: "info", MetricsAddress: "0", HealthAddress: ":8080", WebhookPort: 9443,
		CertDir: "/tmp/k8s-webhook-server/serving-certs", CertServiceName: "metallb-webhook-service", Environment: manifests.Environment{
			Namespace: "metallb-system", ControllerImage: "c:1", SpeakerImage: "s:1", FRRImage: "f:1", MetricsPort: 9120, HealthPort: 17472,
			MemberPort: 7946, OperatorPorts: []int32{8080, 9443},
		}}
	if diff := cmp.Diff(wanted, found); diff != "" {
		t.Error(diff)
	}
}

// Given flags and variables, when they are read, then each has its effect.
func TestParseEverything(t *testing.T) {
	variables := complete()
	variables["METRICS_PORT"], variables["OPERAND_LIVENESS_PORT"], variables["MEMBER_LIST_BIND_PORT"] = "1", "2", "3"
	variables["DISABLE_NETWORK_POLICIES"], variables["KUBERNETES_SERVICE_PORT"] = "true", "443"
	found, err := parse([]string{"--log-level=debug", "--metrics-addr=:9", "--metrics-cert-dir=/m", "--enable-leader-election", "--port=81",
		"--webhook-port=0", "--webhook-http2", "--disable-cert-rotation", "--cert-dir=/certs", "--cert-service-name=hooks"},
		func(name string) string { return variables[name] })
	if err != nil {
		t.Fatal(err)
	}
	if found.LogLevel != "debug" || found.MetricsAddress != ":9" || found.MetricsCertDir != "/m" || found.Environment.OperatorMetricsPort != 9 || !found.Environment.OperatorCertificate || !found.LeaderElection || found.HealthAddress != ":81" ||
		found.WebhookPort != 0 || !found.WebhookHTTP2 || !found.DisableCertRotation || found.CertDir != "/certs" || found.CertServiceName != "hooks" ||
		found.Environment.MetricsPort != 1 || found.Environment.HealthPort != 2 || found.Environment.MemberPort != 3 ||
		!found.Environment.NoNetworkPolicies || !slices.Equal(found.Environment.APIServerPorts, []int32{443}) || !slices.Equal(found.Environment.OperatorPorts, []int32{9, 81}) {
		t.Errorf("%+v", found)
	}
}

// Given something that cannot be used, when it is read, then the error names it and what is wanted; several are named at once.
func TestParseRefuses(t *testing.T) {
	for name, row := range map[string]struct {
		args  []string
		set   map[string]string
		words []string
	}{
		"nothing is set":   {set: map[string]string{"FRR_IMAGE": "", "SPEAKER_IMAGE": ""}, words: []string{"FRR_IMAGE is not set", "SPEAKER_IMAGE is not set"}},
		"a port is a word": {set: map[string]string{"METRICS_PORT": "http"}, words: []string{`METRICS_PORT is "http"`, "1 to 65535"}},
		"neither yes nor no": {set: map[string]string{"DISABLE_NETWORK_POLICIES": "maybe", "KUBERNETES_SERVICE_PORT": "https"},
			words: []string{`DISABLE_NETWORK_POLICIES is "maybe"`, "true or false", `KUBERNETES_SERVICE_PORT is "https"`}},
		"a port is too high":  {args: []string{"--port=70000"}, words: []string{"--port is 70000"}},
		"no port for metrics": {args: []string{"--metrics-addr=metrics"}, words: []string{`--metrics-addr is "metrics"`, "0 or an address such as :8443"}},
		"port 0 for metrics":  {args: []string{"--metrics-addr=:0"}, words: []string{`--metrics-addr is ":0"`, "from 1 to 65535"}},
		"no such port":        {args: []string{"--webhook-port=-1"}, words: []string{"--webhook-port is -1"}},
		"no such Service":     {args: []string{"--cert-service-name=a.b"}, words: []string{`--cert-service-name is "a.b"`}},
		"an argument":         {args: []string{"install"}, words: []string{`unknown argument "install"`}},
		"an unknown flag":     {args: []string{"--speed"}, words: []string{"speed"}},
	} {
		t.Run(name, func(t *testing.T) {
			variables := complete()
			maps.Copy(variables, row.set)
			_, err := parse(row.args, func(name string) string { return variables[name] })
			if err == nil {
				t.Fatal("accepted")
			}
			for _, words := range row.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("error does not say %q: %v", words, err)
				}
			}
		})
	}
}
