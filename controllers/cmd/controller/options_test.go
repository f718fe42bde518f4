package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-551707bd/metallb-operator/internal/serving"
)

func environment(pairs map[string]string) func(string) string {
	return func(key string) string { return pairs[key] }
}

func TestDefaultsAreThoseOfMetalLB(t *testing.T) {
	got, err := parse(nil, environment(map[string]string{"METALLB_NAMESPACE": "metallb-system", "METALLB_POD_NAME": "controller-0"}))
	want := Options{Namespace: "metallb-system", PodName: "controller-0", LogLevel: "info",
		Endpoints: serving.Endpoints{MetricsPort: 9120, HealthPort: 17472, MinVersion: "VersionTLS13"}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestFlagsWinOverTheEnvironment(t *testing.T) {
	got, err := parse([]string{"--namespace=other", "--port=0", "--bgp-listen-port=179", "--lb-class=example.com/lb", "--lb-class-also-unclassed", "--tls-min-version=VersionTLS12",
		"--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "--tls-curve-preferences=X25519, 23"},
		environment(map[string]string{"METALLB_NAMESPACE": "metallb-system"}))
	if err != nil || got.Namespace != "other" || got.MetricsPort != 0 || got.ListenPort != 179 || got.Classes.String() != "example.com/lb,none" {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestEverythingWrongIsNamedAtOnce(t *testing.T) {
	_, err := parse([]string{"--port=70000", "--health-probe-port=0", "--pprof-bind-address=here", "--tls-min-version=1.3"}, environment(nil))
	if err == nil {
		t.Fatal("nonsense is accepted")
	}
	for _, want := range []string{"--namespace is empty", "--port is 70000", "--health-probe-port is 0", `--pprof-bind-address is "here"`,
		`--tls-min-version is "1.3": wanted VersionTLS12 or VersionTLS13`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for flag, want := range map[string]string{
		"--tls-cipher-suites=RC4":         `names "RC4"`,
		"--tls-curve-preferences=curve41": `names "curve41"`,
		"--lb-class=example.com/lb,":      `load balancer class is ""`,
		"--webhook-mode=enabled":          "webhook-mode",
		"--namespace=a surplus":           "",
	} {
		args := strings.Fields("--namespace=n " + flag)
		if _, err := parse(args, environment(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v: wanted an error with %q", flag, err, want)
		}
	}
}
