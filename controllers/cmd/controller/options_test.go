package main

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

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

// Given the pods that the operator makes of a spec with everything set, when the controller reads its flags and environment there, then it knows all of them and
// takes what the spec says.
func TestTheOperatorsFlagsAreUnderstood(t *testing.T) {
	file, err := os.ReadFile("../../../controllers/internal/operator/manifests/testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for document := range strings.SplitSeq(string(file), "\n---\n") {
		var workload appsv1.DaemonSet // a Deployment has its containers in the same place
		if err := yaml.Unmarshal([]byte(document), &workload); err != nil {
			t.Fatal(err)
		}
		for _, c := range workload.Spec.Template.Spec.Containers {
			if c.Name != "controller" {
				continue
			}
			variables := map[string]string{}
			for _, v := range c.Env {
				if variables[v.Name] = v.Value; v.ValueFrom != nil {
					variables[v.Name] = "192.0.2.1" // a name as well as an address
				}
			}
			o, err := parse(c.Args, func(name string) string { return variables[name] })
			if err != nil {
				t.Fatalf("%v: %v", c.Args, err)
			}
			if o.Classes.String() != "example.com/bare-metal,internal-vip,none" || !o.IgnoreExcludeLB || o.MetricsPort != 7472 || o.HealthPort != 7473 || o.ListenPort != 1179 || o.LogLevel != "debug" {
				t.Errorf("options %+v", o)
			}
			return
		}
	}
	t.Fatal("the file has no container controller")
}
