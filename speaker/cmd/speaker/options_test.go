package main

import (
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/yaml"

	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/members"
)

// env is an environment of its own.
func env(pairs ...string) func(string) string {
	return func(name string) string {
		for _, pair := range pairs {
			if key, value, _ := strings.Cut(pair, "="); key == name {
				return value
			}
		}
		return ""
	}
}

func TestGivenMetalLBsFlagsAndVariablesWhenParsedThenTheyAreUnderstoodOrNamedAsWithoutEffect(t *testing.T) {
	o, err := parse([]string{
		"--port=7472", "--log-level=debug", "--lb-class=metallb.io/metallb,example.com/lb", "--lb-class-also-unclassed", "--ignore-exclude-lb", "--health-probe-port=17473",
		"--tls-min-version=VersionTLS12", "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "--tls-curve-preferences=X25519, 23",
		"--ml-bindport=7946", "--ml-wan-config", "--frrk8s-secret-passthrough", "--bgp-debounce-timeout", "3000", "--host=192.0.2.1", "--bgp-listen-port=179",
	}, env("METALLB_NODE_NAME=n1", "METALLB_NAMESPACE=metallb-system", "METALLB_POD_NAME=speaker-x", "METALLB_ML_LABELS=app=metallb",
		"METALLB_BGP_TYPE=frr", "FRR_LOGGING_LEVEL=warn"))
	if err != nil {
		t.Fatal(err)
	}
	if o.Node != "n1" || o.Namespace != "metallb-system" || o.Pod != "speaker-x" || o.MetricsPort != 7472 || o.HealthPort != 17473 ||
		o.Classes.String() != "metallb.io/metallb,example.com/lb,none" || !o.IgnoreExcludeLB || o.LogLevel != "debug" || o.Host != "192.0.2.1" || o.ListenPort != 179 || o.ReloaderSocket != defaultSocket {
		t.Errorf("options %+v", o)
	}
	if conf := o.conf(); conf.Hostname != "n1" || conf.LogLevel != "warnings" {
		t.Errorf("frr.conf options %+v, want FRR's own level", conf)
	}
	if o.Members != nil {
		t.Errorf("without --ml-bindaddr the speaker gossips: %+v", o.Members)
	}
	want := []string{"--bgp-debounce-timeout", "--frrk8s-secret-passthrough", "METALLB_BGP_TYPE"}
	if !slices.Equal(o.WithoutEffect, want) {
		t.Errorf("without effect %v, want %v", o.WithoutEffect, want)
	}
}

func TestGivenWrongOptionsWhenParsedThenTheErrorNamesEachWithWhatIsWanted(t *testing.T) {
	silence(t)
	_, err := parse([]string{"--port=70000", "--health-probe-port=0", "--pprof-bind-address=here", "--reloader-socket=", "--tls-min-version=SSL",
		"--without-frr", "--bgp-listen-port=179"}, env())
	if err == nil {
		t.Fatal("wrong options are accepted")
	}
	for _, text := range []string{"METALLB_NODE_NAME", "METALLB_NAMESPACE", "--port is 70000: wanted", "--health-probe-port is 0: wanted", `--pprof-bind-address is "here": wanted`,
		"--tls-min-version is \"SSL\": wanted", "--bgp-listen-port is 179 where --without-frr is set"} {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error %v lacks %q", err, text)
		}
	}
}

func TestGivenFlagsOfTheGossipWhenParsedThenItIsSetUpAsForMetalLBOrOff(t *testing.T) {
	silence(t)
	required := []string{"--node-name=n1", "--namespace=ns"}
	full := env("METALLB_ML_BIND_ADDR=192.0.2.1", "METALLB_ML_LABELS=app=metallb,component=speaker", "METALLB_ML_SECRET_KEY_PATH=/etc/ml_secret_key")
	o, err := parse(required, full)
	if err != nil || o.Members == nil {
		t.Fatalf("options %+v, %v, want gossip", o, err)
	}
	if m := *o.Members; m.Name != "n1" || m.BindAddr.String() != "192.0.2.1" || m.BindPort != 7946 || m.SecretPath != "/etc/ml_secret_key" || m.WAN ||
		m.TuningPath != "/etc/metallb/memberlist/config.json" || m.Fencing != members.FenceProven || o.MemberLabels.String() != "app=metallb,component=speaker" {
		t.Errorf("gossip %+v with %s", m, o.MemberLabels)
	}
	if len(o.WithoutEffect) > 0 {
		t.Errorf("%v is said to have no effect", o.WithoutEffect)
	}
	o, err = parse(append(required, "--ml-bindport=9122", "--ml-wan-config", "--ml-fencing=strict", "--ml-bindaddr=2001:db8::1"), full)
	if err != nil || o.Members == nil || o.Members.BindPort != 9122 || !o.Members.WAN || o.Members.Fencing != members.FenceStrict || o.Members.BindAddr.String() != "2001:db8::1" {
		t.Errorf("gossip %+v, %v", o.Members, err)
	}
	for _, off := range []string{"--ml-bindport=0", "--ml-bindaddr=", "--ml-labels="} {
		if o, err := parse(append(required, off), full); err != nil || o.Members != nil || o.MemberLabels != nil {
			t.Errorf("%s: gossip %+v, %v, want none", off, o.Members, err)
		}
	}
	for wrong, text := range map[string]string{
		"--ml-bindport=70000": `--ml-bindport is "70000": wanted a port`, "--ml-bindaddr=node": `--ml-bindaddr is "node": wanted an IP address`,
		"--ml-labels=a=b=c": `--ml-labels is "a=b=c": wanted labels`, "--ml-fencing=maybe": `--ml-fencing is "maybe": wanted proven, strict or off`,
	} {
		if _, err := parse(append(required, wrong), full); err == nil || !strings.Contains(err.Error(), text) {
			t.Errorf("%s gives %v, want %q", wrong, err, text)
		}
	}
}

func TestGivenFlagsOfLayer2WhenParsedThenTheyAreUnderstoodOrRefusedByName(t *testing.T) {
	silence(t)
	required := []string{"--node-name=n1", "--namespace=ns"}
	o, err := parse(required, env())
	if err != nil || o.AnnounceInterval != 0 || o.ExcludedNodes != nil || o.ExcludedPath != "/etc/metallb/excludel2.yaml" {
		t.Errorf("by default %+v, %v", o, err)
	}
	o, err = parse(append(required, "--l2-announce-interval=5m", "--l2-exclude-nodes=NotReady,OutOfService", "--l2-exclude-config=/x.yaml"), env("METALLB_L2_ANNOUNCE_INTERVAL=1s"))
	if err != nil || o.AnnounceInterval != 5*time.Minute || !slices.Equal(o.ExcludedNodes, []kubeview.Impairment{kubeview.NotReady, kubeview.OutOfService}) || o.ExcludedPath != "/x.yaml" {
		t.Errorf("options %+v, %v", o, err)
	}
	if o, err = parse(required, env("METALLB_L2_ANNOUNCE_INTERVAL=30s")); err != nil || o.AnnounceInterval != 30*time.Second {
		t.Errorf("from the environment %v, %v", o.AnnounceInterval, err)
	}
	for wrong, text := range map[string]string{
		"--l2-announce-interval=5":   `--l2-announce-interval is "5": wanted a duration`,
		"--l2-announce-interval=0":   "",
		"--l2-announce-interval=-1s": `--l2-announce-interval is "-1s": wanted a duration`,
		"--l2-exclude-nodes=Tired":   `--l2-exclude-nodes: "Tired"`,
	} {
		if _, err := parse(append(required, wrong), env()); (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
			t.Errorf("%s gives %v, want %q", wrong, err, text)
		}
	}
}

func TestGivenArgumentsThatAreNoFlagsWhenParsedThenTheyAreRefused(t *testing.T) {
	silence(t)
	for _, args := range [][]string{{"run"}, {"--no-such-flag"}, {"--tls-cipher-suites=NULL"}, {"--tls-curve-preferences=1"}} {
		if _, err := parse(append([]string{"--node-name=n", "--namespace=ns"}, args...), env()); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%v gave %v, want an error", args, err)
		}
	}
}

// silence keeps the usage that package flag prints out of the test's output.
func silence(t *testing.T) {
	t.Helper()
	stderr := os.Stderr
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	os.Stderr = null
	t.Cleanup(func() {
		os.Stderr = stderr
		_ = null.Close()
	})
}

// Given the pods that the operator makes of a spec with everything set, when the speaker reads its flags and environment there, then it knows all of them and
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
			if c.Name != "speaker" {
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
			if o.Members == nil || o.Members.BindPort != 9122 || !o.Members.WAN || o.Members.Fencing != members.FenceStrict || o.AnnounceInterval != time.Minute ||
				len(o.ExcludedNodes) != 2 || o.Drain.Wait != 45*time.Second || o.WithoutFRR || len(o.WithoutEffect) > 0 {
				t.Errorf("options %+v, gossip %+v", o, o.Members)
			}
			return
		}
	}
	t.Fatal("the file has no container speaker")
}
