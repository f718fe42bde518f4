// Package serving holds what controller and speaker say in the same way about what they serve: metrics, probes and profiles, by MetalLB's
// flags.
package serving

import (
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"net"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

// DefaultPort is where MetalLB's programs serve metrics.
const DefaultPort = 9120

// Endpoints say what is served where. Metrics are served over HTTPS, to whoever the API server authenticates and authorizes (TokenReview
// and SubjectAccessReview).
type Endpoints struct {
	// Host is the address to serve metrics on, "" for all; MetricsPort 0 serves none.
	Host        string
	MetricsPort int
	// CertDir holds tls.crt and tls.key for metrics, which may change or come later; "", or while they are missing, for a self-signed certificate.
	CertDir string
	// HealthPort is where /healthz and /readyz are served.
	HealthPort int
	// PprofAddress is where profiles are served, "" for nowhere.
	PprofAddress string
	// MinVersion, CipherSuites and CurvePreferences are limits on TLS, by the names that Go knows them by.
	MinVersion       string
	CipherSuites     []string
	CurvePreferences []string
}

// Register adds MetalLB's flags for endpoints to flags; parsing them fills e.
func (e *Endpoints) Register(flags *flag.FlagSet) {
	flags.IntVar(&e.MetricsPort, "port", DefaultPort, "port to serve metrics on over HTTPS, 0 for none")
	flags.StringVar(&e.CertDir, "metrics-cert-dir", "", "directory of tls.crt and tls.key for metrics, read again when they change; empty, or while they are missing, for a self-signed certificate")
	flags.IntVar(&e.HealthPort, "health-probe-port", 17472, "port to serve /healthz and /readyz on")
	flags.StringVar(&e.PprofAddress, "pprof-bind-address", "", "address to serve profiles on; empty for none")
	flags.StringVar(&e.MinVersion, "tls-min-version", "VersionTLS13", "oldest TLS version to serve metrics with: VersionTLS12 or VersionTLS13")
	flags.Var((*list)(&e.CipherSuites), "tls-cipher-suites", "TLS 1.2 cipher suites to serve metrics with, by Go's names, separated by commas")
	flags.Var((*list)(&e.CurvePreferences), "tls-curve-preferences", "key exchanges to serve metrics with, by Go's names or numbers, separated by commas")
}

// list is a flag whose value is a list separated by commas.
type list []string

// String implements flag.Value.
func (l *list) String() string { return strings.Join(*l, ",") }

// Set implements flag.Value.
func (l *list) Set(text string) error {
	*l = nil
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			*l = append(*l, item)
		}
	}
	return nil
}

// Validate names every flag whose value cannot be used.
func (e *Endpoints) Validate() error {
	var wrong []error
	for _, port := range []struct {
		flag           string
		number, lowest int
	}{{"--port", e.MetricsPort, 0}, {"--health-probe-port", e.HealthPort, 1}} {
		if port.number < port.lowest || port.number > 65535 {
			wrong = append(wrong, fmt.Errorf("%s is %d: wanted a number from %d to 65535", port.flag, port.number, port.lowest))
		}
	}
	if e.PprofAddress != "" {
		if _, _, err := net.SplitHostPort(e.PprofAddress); err != nil {
			wrong = append(wrong, fmt.Errorf("--pprof-bind-address is %q: wanted host:port: %w", e.PprofAddress, err))
		}
	}
	if _, err := e.limits(); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// LimitProfiling stops the runtime from sampling what is allocated where nobody can ask for profiles: what it notes takes more than a megabyte. It is
// called as soon as flags are known.
func (e *Endpoints) LimitProfiling() {
	if e.PprofAddress == "" {
		runtime.MemProfileRate = 0
	}
}

// Metrics returns how metrics are served, in the words of controller-runtime's metrics server.
func (e *Endpoints) Metrics() (metricsserver.Options, error) {
	if e.MetricsPort == 0 {
		return metricsserver.Options{BindAddress: "0"}, nil
	}
	limits, err := e.limits()
	if err != nil {
		return metricsserver.Options{}, err
	}
	return guarded(net.JoinHostPort(e.Host, strconv.Itoa(e.MetricsPort)), e.CertDir, limits), nil
}

// Metrics returns how metrics are served at an address, "0" or "" for nowhere, with the certificate in a folder, in the way of Endpoints without limits of
// the users'.
func Metrics(address, certDir string) metricsserver.Options {
	if address == "0" || address == "" {
		return metricsserver.Options{BindAddress: "0"}
	}
	return guarded(address, certDir, func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 })
}

func guarded(address, certDir string, limits func(*tls.Config)) metricsserver.Options {
	return metricsserver.Options{
		BindAddress:    address,
		SecureServing:  true,
		FilterProvider: newGuard(time.Now),
		TLSOpts: []func(*tls.Config){limits, func(c *tls.Config) {
			c.GetCertificate = (&certificates{folder: certDir, now: time.Now}).get
		}},
	}
}

// limits returns a function that applies the limits to a TLS configuration.
func (e *Endpoints) limits() (func(*tls.Config), error) {
	versions := map[string]uint16{"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13}
	version, ok := versions[e.MinVersion]
	if !ok {
		return nil, fmt.Errorf("--tls-min-version is %q: wanted VersionTLS12 or VersionTLS13", e.MinVersion)
	}
	var suites []uint16
	for _, name := range e.CipherSuites {
		i := slices.IndexFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--tls-cipher-suites names %q: wanted a secure cipher suite by Go's name, such as %s", name, tls.CipherSuites()[0].Name)
		}
		suites = append(suites, tls.CipherSuites()[i].ID)
	}
	known := []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519, tls.X25519MLKEM768}
	var curves []tls.CurveID
	for _, name := range e.CurvePreferences {
		i := slices.IndexFunc(known, func(c tls.CurveID) bool { return c.String() == name || strconv.Itoa(int(c)) == name })
		if i < 0 {
			return nil, fmt.Errorf("--tls-curve-preferences names %q: wanted one of %v", name, known)
		}
		curves = append(curves, known[i])
	}
	return func(c *tls.Config) {
		c.MinVersion, c.CipherSuites, c.CurvePreferences = version, suites, curves
	}, nil
}
