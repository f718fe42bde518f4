// Package apiserver runs a real control plane without nodes on this machine's loopback: etcd, kube-apiserver and, where
// asked for, kube-controller-manager. Tests use it where others use envtest:
//
//	func TestX(t *testing.T) {
//		server := apiserver.Run(t, apiserver.Options{})
//		crds, err := envtest.InstallCRDs(server.Config(), envtest.CRDInstallOptions{Paths: []string{"../config/crd"}})
//		...
//	}
//
// A TestMain that shares one server between the tests of a package calls Start and Stop. It needs no root; the programs
// come from the lab's cache and are built when they are missing. Several servers may run at once, also from several
// processes; when a test dies, the kernel ends its servers.
package apiserver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/rest"

	"github.com/seed-551707bd/metallb-operator/test/lab/assets"
	"github.com/seed-551707bd/metallb-operator/test/lab/cache"
	"github.com/seed-551707bd/metallb-operator/test/lab/pki"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// startLimit bounds the time from the first process to a ready API server, on a busy machine.
const startLimit = 90 * time.Second

// Options choose what runs. The zero value is etcd and kube-apiserver.
type Options struct {
	// ControllerManager also runs kube-controller-manager: deleted namespaces empty themselves, owned objects are
	// collected, ServiceAccounts appear. Without it the ServiceAccount admission plugin is off, so pods can be created.
	ControllerManager bool
	// Flags are added to the command line of kube-apiserver, as in "--feature-gates=X=true".
	Flags []string
	// Progress is told before something slow begins; nil is silence.
	Progress assets.Progress
}

// Server is a running control plane.
type Server struct {
	dir       string
	address   netip.Addr
	authority *pki.Authority
	admin     pki.Pair
	processes []*process
	apiPort   int
}

// Run starts a control plane that lives as long as the test.
func Run(tb testing.TB, o Options) *Server {
	tb.Helper()
	if o.Progress == nil {
		o.Progress = tb.Logf
	}
	s, err := Start(tb.Context(), o)
	if err != nil {
		tb.Fatalf("start a control plane: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Stop(); err != nil {
			tb.Errorf("stop the control plane: %v", err)
		}
	})
	return s
}

// Start starts a control plane and returns when it answers /readyz. The caller must call Stop; ctx only bounds the start.
func Start(ctx context.Context, o Options) (*Server, error) {
	if o.Progress == nil {
		o.Progress = func(string, ...any) {}
	}
	programs, err := findPrograms(ctx, o.Progress)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	dir, err := makeDataDir()
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir, address: ownLoopback(os.Getpid())}
	if err := s.start(ctx, programs, o); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

type programs struct {
	etcd       string
	kubernetes string
}

func findPrograms(ctx context.Context, say assets.Progress) (programs, error) {
	root, err := source.Root(".")
	if err != nil {
		return programs{}, err
	}
	c, err := cache.Open("")
	if err != nil {
		return programs{}, err
	}
	w := assets.NewWorkshop(c, root, say)
	etcd, err := w.Etcd(ctx)
	if err != nil {
		return programs{}, err
	}
	kubernetes, err := w.Kubernetes(ctx)
	return programs{etcd: etcd, kubernetes: kubernetes}, err
}

func (s *Server) start(ctx context.Context, p programs, o Options) error {
	if err := s.writeKeys(); err != nil {
		return err
	}
	ports, err := freePorts(s.address, 3)
	if err != nil {
		return err
	}
	s.apiPort = ports[0]
	client := "http://" + netip.AddrPortFrom(s.address, uint16(ports[1])).String()
	peer := "http://" + netip.AddrPortFrom(s.address, uint16(ports[2])).String()
	if err := s.run(ctx, "etcd", p.etcd, "--data-dir="+s.path("etcd"), "--name=default", "--log-level=warn",
		"--listen-client-urls="+client, "--advertise-client-urls="+client, "--listen-peer-urls="+peer,
		"--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer); err != nil {
		return err
	}
	if err := s.run(ctx, "kube-apiserver", filepath.Join(p.kubernetes, "kube-apiserver"), s.apiFlags(client, o)...); err != nil {
		return err
	}
	if err := s.waitReady(ctx); err != nil {
		return err
	}
	if !o.ControllerManager {
		return nil
	}
	return s.run(ctx, "kube-controller-manager", filepath.Join(p.kubernetes, "kube-controller-manager"),
		"--kubeconfig="+s.path("admin.kubeconfig"), "--authentication-kubeconfig="+s.path("admin.kubeconfig"),
		"--authorization-kubeconfig="+s.path("admin.kubeconfig"), "--leader-elect=false", "--secure-port=0",
		"--use-service-account-credentials=true", "--root-ca-file="+s.path("ca.crt"),
		"--service-account-private-key-file="+s.path("sa.key"))
}

func (s *Server) apiFlags(etcd string, o Options) []string {
	flags := []string{
		"--etcd-servers=" + etcd, "--bind-address=" + s.address.String(), "--advertise-address=" + s.address.String(),
		"--secure-port=" + strconv.Itoa(s.apiPort), "--endpoint-reconciler-type=none",
		"--service-cluster-ip-range=10.96.0.0/16,fd00:10:96::/112",
		"--authorization-mode=RBAC", "--allow-privileged=true", "--client-ca-file=" + s.path("ca.crt"),
		"--tls-cert-file=" + s.path("apiserver.crt"), "--tls-private-key-file=" + s.path("apiserver.key"),
		"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
		"--service-account-key-file=" + s.path("sa.crt"), "--service-account-signing-key-file=" + s.path("sa.key"),
		// Debian's etcd does not report its progress on request, so a watch that is to begin with a list waits for seconds,
		// now and then until it fails; without the feature clients list first, at once.
		"--feature-gates=WatchList=false",
		"--profiling=false",
	}
	if !o.ControllerManager {
		flags = append(flags, "--disable-admission-plugins=ServiceAccount")
	}
	return append(flags, o.Flags...)
}

// writeKeys makes the authority, the keys and the administrator's kubeconfig.
func (s *Server) writeKeys() error {
	authority, err := pki.NewAuthority("lab", time.Now())
	if err != nil {
		return err
	}
	s.authority = authority
	if s.admin, err = authority.Issue(pki.Request{User: "admin", Groups: []string{"system:masters"}}); err != nil {
		return err
	}
	server, err := authority.Issue(pki.Request{User: "kube-apiserver", Addresses: []netip.Addr{s.address},
		Names: []string{"localhost", "kubernetes", "kubernetes.default.svc"}})
	if err != nil {
		return err
	}
	tokens, err := pki.SigningKey()
	if err != nil {
		return err
	}
	files := map[string][]byte{
		"ca.crt": authority.Pair().Cert, "apiserver.crt": server.Cert, "apiserver.key": server.Key,
		"sa.crt": tokens.Cert, "sa.key": tokens.Key,
	}
	for name, content := range files {
		if err := os.WriteFile(s.path(name), content, 0o600); err != nil {
			return fmt.Errorf("write key file: %w", err)
		}
	}
	return nil
}

// waitReady polls /readyz and writes the kubeconfig that other programs use.
func (s *Server) waitReady(ctx context.Context) error {
	if err := os.WriteFile(s.path("admin.kubeconfig"), s.Kubeconfig(), 0o600); err != nil {
		return fmt.Errorf("write kubeconfig: %w", err)
	}
	client, err := rest.HTTPClientFor(s.Config())
	if err != nil {
		return fmt.Errorf("make a client for /readyz: %w", err)
	}
	defer client.CloseIdleConnections()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if ready(ctx, client, s.url()+"/readyz") {
			return nil
		}
		if err := s.firstExit(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for the API server: %w; its log ends: %s", ctx.Err(), s.logs())
		case <-tick.C:
		}
	}
}

func ready(ctx context.Context, client *http.Client, url string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

// Config is the administrator's client configuration, without client-side rate limit. Each call returns a new value.
func (s *Server) Config() *rest.Config { return s.config(s.admin) }

// ConfigFor is the client configuration of another user, known to the API server by name and groups; RBAC decides what
// it may do.
func (s *Server) ConfigFor(user string, groups ...string) (*rest.Config, error) {
	pair, err := s.authority.Issue(pki.Request{User: user, Groups: groups})
	if err != nil {
		return nil, err
	}
	return s.config(pair), nil
}

func (s *Server) config(user pki.Pair) *rest.Config {
	return &rest.Config{Host: s.url(), QPS: -1, TLSClientConfig: rest.TLSClientConfig{
		CAData: s.authority.Pair().Cert, CertData: user.Cert, KeyData: user.Key}}
}

// Kubeconfig is the administrator's kubeconfig file.
func (s *Server) Kubeconfig() []byte {
	return pki.Kubeconfig(s.url(), s.authority.Pair().Cert, s.admin)
}

// Address is the loopback address the server listens on. A webhook of the test may listen there as well: no other
// process of this machine uses it.
func (s *Server) Address() netip.Addr { return s.address }

// Stop ends the processes and removes their data.
func (s *Server) Stop() error {
	var errs []error
	for _, p := range slices.Backward(s.processes) {
		errs = append(errs, p.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}

func (s *Server) url() string {
	return "https://" + netip.AddrPortFrom(s.address, uint16(s.apiPort)).String()
}

func (s *Server) path(name string) string { return filepath.Join(s.dir, name) }

func (s *Server) run(ctx context.Context, name, program string, flags ...string) error {
	p, err := startProcess(ctx, name, program, flags, s.path(name+".log"))
	if err != nil {
		return err
	}
	s.processes = append(s.processes, p)
	return nil
}

// errCleanExit stands for the missing error of a process that ended with status 0 although it should run on.
var errCleanExit = errors.New("exit status 0")

// firstExit is the error of a process that has ended although it should run.
func (s *Server) firstExit() error {
	for _, p := range s.processes {
		if ended, err := p.ended(); ended {
			return fmt.Errorf("%s ended early (%w); its log ends: %s", p.name, cmp.Or(err, errCleanExit), p.log(2000))
		}
	}
	return nil
}

func (s *Server) logs() string {
	var b strings.Builder
	for _, p := range s.processes {
		fmt.Fprintf(&b, "\n--- %s\n%s", p.name, p.log(2000))
	}
	return b.String()
}
