package serving_test

import (
	"crypto/tls"
	"flag"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/seed-551707bd/metallb-operator/internal/serving"
)

func parse(t *testing.T, args ...string) *serving.Endpoints {
	t.Helper()
	var m serving.Endpoints
	flags := flag.NewFlagSet("test", flag.ContinueOnError)
	m.Register(flags)
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestWithoutFlagsMetricsAreServedToWhoeverMayReadThem(t *testing.T) {
	m := parse(t)
	o, err := m.Metrics()
	if err != nil || m.Validate() != nil {
		t.Fatal(err, m.Validate())
	}
	if o.BindAddress != ":9120" || !o.SecureServing || o.FilterProvider == nil {
		t.Errorf("served on %q, HTTPS %v, authorized %v: wanted :9120 over HTTPS with authorization", o.BindAddress, o.SecureServing, o.FilterProvider != nil)
	}
}

func TestPortZeroServesNothing(t *testing.T) {
	if o, err := parse(t, "--port=0").Metrics(); err != nil || o.BindAddress != "0" {
		t.Errorf("served on %q, error %v: wanted nothing served", o.BindAddress, err)
	}
}

func TestLimitsReachTheTLSConfiguration(t *testing.T) {
	m := parse(t, "--tls-min-version=VersionTLS12", "--tls-cipher-suites=TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "--tls-curve-preferences=X25519, 23")
	o, err := m.Metrics()
	if err != nil {
		t.Fatal(err)
	}
	var c tls.Config
	for _, apply := range o.TLSOpts {
		apply(&c)
	}
	if c.MinVersion != tls.VersionTLS12 || !slices.Equal(c.CipherSuites, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}) ||
		!slices.Equal(c.CurvePreferences, []tls.CurveID{tls.X25519, tls.CurveP256}) {
		t.Errorf("TLS is limited to version %d, suites %v, curves %v", c.MinVersion, c.CipherSuites, c.CurvePreferences)
	}
}

func TestWrongFlagsAreRefusedByNameFoundAndWanted(t *testing.T) {
	for args, want := range map[string]string{
		"--port=70000":                   "--port is 70000: wanted a number from 0 to 65535",
		"--health-probe-port=0":          "--health-probe-port is 0: wanted a number from 1 to 65535",
		"--pprof-bind-address=here":      `--pprof-bind-address is "here": wanted host:port`,
		"--tls-min-version=1.3":          `--tls-min-version is "1.3": wanted VersionTLS12 or VersionTLS13`,
		"--tls-cipher-suites=RC4":        `--tls-cipher-suites names "RC4": wanted a secure cipher suite`,
		"--tls-curve-preferences=secp1k": `--tls-curve-preferences names "secp1k": wanted one of`,
	} {
		if err := parse(t, args).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error is %v: wanted %q", args, err, want)
		}
	}
}

func TestOnlyWhereProfilesAreServedAllocationsAreSampled(t *testing.T) {
	usual := runtime.MemProfileRate
	t.Cleanup(func() { runtime.MemProfileRate = usual })
	parse(t, "--pprof-bind-address=127.0.0.1:6060").LimitProfiling()
	if runtime.MemProfileRate != usual {
		t.Errorf("one byte of %d is sampled, want of %d as ever: somebody may ask for the profile", runtime.MemProfileRate, usual)
	}
	parse(t).LimitProfiling()
	if runtime.MemProfileRate != 0 {
		t.Errorf("one byte of %d is sampled, want none: nobody can ask", runtime.MemProfileRate)
	}
}
