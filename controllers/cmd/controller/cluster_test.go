package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/port"
)

// patience is how long a test waits for something to become true.
const patience = 2 * time.Minute

// shared is what the tests of this package have in common: a real API server, and the controller as a program.
type shared struct {
	server  *apiserver.Server
	program string
	config  string // a kubeconfig
}

// cluster is set by TestMain, once, before any test runs.
var cluster shared

func TestMain(m *testing.M) {
	ctrl.SetLogger(logr.Discard())
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "controller-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := cluster.start(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() {
			if err := cluster.server.Stop(); err != nil {
				fmt.Fprintln(os.Stderr, err)
			}
		}()
		return m.Run()
	}())
}

func (s *shared) start(dir string) error {
	s.program, s.config = filepath.Join(dir, "controller"), filepath.Join(dir, "kubeconfig")
	if out, err := exec.CommandContext(context.Background(), "go", "build", "-o", s.program, ".").CombinedOutput(); err != nil {
		return fmt.Errorf("building the controller: %w\n%s", err, out)
	}
	return s.serve()
}

// renew puts an API server without a past in the place of the one there is.
func (s *shared) renew() error {
	if err := s.server.Stop(); err != nil {
		return err
	}
	return s.serve()
}

// serve starts an API server for the tests and for the controllers that they start.
func (s *shared) serve() error {
	var err error
	if s.server, err = apiserver.Start(context.Background(), apiserver.Options{}); err != nil {
		return err
	}
	if err := os.WriteFile(s.config, s.server.Kubeconfig(), 0o600); err != nil {
		return err
	}
	return s.install()
}

// install creates the definitions of metallb.io and waits until the API server serves them.
func (s *shared) install() error {
	c, err := s.client()
	if err != nil {
		return err
	}
	definitions, err := crd.Definitions()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, d := range definitions {
		if err := c.Create(ctx, d); err != nil {
			return err
		}
	}
	for {
		err := c.List(ctx, &v1beta1.IPAddressPoolList{})
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (s *shared) client() (client.WithWatch, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme, apiextensions.AddToScheme, coordinationv1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, err
		}
	}
	return client.NewWithWatch(s.server.Config(), client.Options{Scheme: scheme})
}

// world is one test's share of the API server: a namespace for its configuration, one for its Services, and a load balancer class of its
// own, so that its controllers see no other test's Services.
type world struct {
	client.WithWatch
	name string
}

func newWorld(tb testing.TB) *world {
	tb.Helper()
	c, err := cluster.client()
	if err != nil {
		tb.Fatal(err)
	}
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := c.Create(tb.Context(), ns); err != nil {
		tb.Fatal(err)
	}
	return &world{c, ns.Name}
}

func (w *world) class() string { return "example.com/" + w.name }

// process is a running controller.
type process struct {
	cmd     *exec.Cmd
	metrics int
	done    chan struct{}
	mu      sync.Mutex
	log     bytes.Buffer
}

// controller starts the program, with further flags; it is stopped with the test.
func (w *world) controller(tb testing.TB, flags ...string) *process {
	tb.Helper()
	p := &process{metrics: port.Free(tb), done: make(chan struct{})}
	p.cmd = exec.CommandContext(context.WithoutCancel(tb.Context()), cluster.program, append([]string{"--namespace=" + w.name, "--lb-class=" + w.class(),
		"--port=" + strconv.Itoa(p.metrics), "--health-probe-port=" + strconv.Itoa(port.Free(tb))}, flags...)...)
	p.cmd.Env = append(os.Environ(), "KUBECONFIG="+cluster.config)
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	p.cmd.Stderr = p.cmd.Stdout
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	go func() {
		defer close(p.done)
		lines := bufio.NewReader(out)
		for {
			line, err := lines.ReadBytes('\n')
			p.mu.Lock()
			p.log.Write(line)
			p.mu.Unlock()
			if err != nil {
				break
			}
		}
		_ = p.cmd.Wait()
	}()
	tb.Cleanup(func() {
		p.stop(tb)
		if tb.Failed() {
			text := p.text()
			tb.Logf("end of the controller's log:\n%s", text[max(0, len(text)-4000):])
		}
	})
	return p
}

func (p *process) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.log.String()
}

// stop ends the program as Kubernetes does, kill as a crash does.
func (p *process) stop(tb testing.TB) {
	tb.Helper()
	p.end(tb, syscall.SIGTERM)
}

func (p *process) kill(tb testing.TB) {
	tb.Helper()
	p.end(tb, syscall.SIGKILL)
}

func (p *process) end(tb testing.TB, with syscall.Signal) {
	tb.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.cmd.Process.Signal(with); err != nil && !errors.Is(err, os.ErrProcessDone) {
		tb.Error(err)
	}
	select {
	case <-p.done:
	case <-time.After(patience):
		tb.Error("the controller does not stop")
		_ = p.cmd.Process.Kill()
		<-p.done
	}
}

// memory returns a field of the kernel's account of the process, such as VmHWM, in MiB.
func (p *process) memory(tb testing.TB, field string) float64 {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				tb.Fatal(err)
			}
			return kib / 1024
		}
	}
	tb.Fatalf("no %s in the account of the process", field)
	return 0
}

// cpu returns the processor time that the process has used.
func (p *process) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		tb.Fatal(err)
	}
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	var ticks int
	for _, field := range fields[11:13] {
		n, err := strconv.Atoi(field)
		if err != nil {
			tb.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond // the kernel reports in units of 1/100 s
}

// pool creates an IPAddressPool; edit may change it before.
func (w *world) pool(tb testing.TB, name string, addresses []string, edit ...func(*v1beta1.IPAddressPool)) *v1beta1.IPAddressPool {
	tb.Helper()
	p := &v1beta1.IPAddressPool{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.name}, Spec: v1beta1.IPAddressPoolSpec{Addresses: addresses}}
	for _, e := range edit {
		e(p)
	}
	if err := w.Create(tb.Context(), p); err != nil {
		tb.Fatal(err)
	}
	return p
}

// service returns a Service of the test's class that does not exist yet; edit may change it.
func (w *world) service(name string, edit ...func(*corev1.Service)) *corev1.Service {
	class := w.class()
	svc := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: w.name},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, LoadBalancerClass: &class, Ports: []corev1.ServicePort{{Name: "http", Port: 80}}},
	}
	// A node port is of no use here, and there are too few of them for a large test.
	svc.Spec.AllocateLoadBalancerNodePorts = new(false)
	for _, e := range edit {
		e(svc)
	}
	return svc
}

// create creates a Service.
func (w *world) create(tb testing.TB, name string, edit ...func(*corev1.Service)) *corev1.Service {
	tb.Helper()
	svc := w.service(name, edit...)
	if err := w.Create(tb.Context(), svc); err != nil {
		tb.Fatal(err)
	}
	return svc
}

func annotated(key, value string) func(*corev1.Service) {
	return func(svc *corev1.Service) {
		if svc.Annotations == nil {
			svc.Annotations = map[string]string{}
		}
		svc.Annotations[key] = value
	}
}

func (w *world) get(tb testing.TB, name string) *corev1.Service {
	tb.Helper()
	svc := &corev1.Service{}
	if err := w.Get(tb.Context(), client.ObjectKey{Namespace: w.name, Name: name}, svc); err != nil {
		tb.Fatal(err)
	}
	return svc
}

// edit changes a Service, again if somebody else did meanwhile.
func (w *world) edit(tb testing.TB, name string, change func(*corev1.Service)) {
	tb.Helper()
	for {
		svc := w.get(tb, name)
		change(svc)
		err := w.Update(tb.Context(), svc)
		if err == nil {
			return
		}
		if !apierrors.IsConflict(err) {
			tb.Fatal(err)
		}
	}
}

func addresses(svc *corev1.Service) []string {
	var list []string
	for _, in := range svc.Status.LoadBalancer.Ingress {
		list = append(list, in.IP)
	}
	return list
}

// expect waits until a Service has exactly the given addresses.
func (w *world) expect(tb testing.TB, name string, want ...string) *corev1.Service {
	tb.Helper()
	var svc *corev1.Service
	eventually(tb, fmt.Sprintf("Service %s has addresses %v", name, want), func() (bool, string) {
		svc = w.get(tb, name)
		return slices.Equal(addresses(svc), want), fmt.Sprint(addresses(svc), allocatedCondition(svc))
	})
	return svc
}

func allocatedCondition(svc *corev1.Service) string {
	for _, c := range svc.Status.Conditions {
		if c.Type == "metallb.io/Allocated" {
			return fmt.Sprintf("%s %s: %s", c.Status, c.Reason, c.Message)
		}
	}
	return ""
}

// expectCondition waits until a Service's condition contains text.
func (w *world) expectCondition(tb testing.TB, name, text string) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("Service %s says %q", name, text), func() (bool, string) {
		got := allocatedCondition(w.get(tb, name))
		return strings.Contains(got, text), got
	})
}

// expectAnnounced waits until a Service says whether it is announced: where there are no speakers, that it is not.
func (w *world) expectAnnounced(tb testing.TB, name string) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("Service %s says whether it is announced", name), func() (bool, string) {
		conditions := w.get(tb, name).Status.Conditions
		c := meta.FindStatusCondition(conditions, service.ConditionAnnounced)
		return c != nil && c.Status == metav1.ConditionFalse && c.Message != "", fmt.Sprint(conditions)
	})
}

func eventually(tb testing.TB, what string, check func() (bool, string)) {
	tb.Helper()
	var last string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		ok, found := check()
		if ok {
			return
		}
		last = found
	}
	tb.Fatalf("waited for: %s; found %s", what, last)
}

// writes returns how many requests the API server has answered that write one of the resources.
func writes(tb testing.TB, resources ...string) int {
	tb.Helper()
	c, err := kubernetes.NewForConfig(cluster.server.Config())
	if err != nil {
		tb.Fatal(err)
	}
	text, err := c.RESTClient().Get().AbsPath("/metrics").DoRaw(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	total := 0
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "apiserver_request_total{") {
			continue
		}
		wanted := slices.ContainsFunc(resources, func(r string) bool { return strings.Contains(line, `resource="`+r+`"`) })
		written := slices.ContainsFunc([]string{"POST", "PUT", "PATCH", "APPLY", "DELETE"}, func(v string) bool { return strings.Contains(line, `verb="`+v+`"`) })
		if wanted && written {
			n, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' '):]), 64)
			if err != nil {
				tb.Fatal(err)
			}
			total += int(n)
		}
	}
	return total
}
