package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/go-logr/logr"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/config/crd"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
	"github.com/seed-551707bd/metallb-operator/test/port"

	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
)

const namespace = "metallb-system"

// world is a node with FRR and its reloader, a router beside it, and an API server that knows the node. The speaker is the test's to start.
type world struct {
	testing.TB
	client.Client
	server   *apiserver.Server
	node     *frrtest.Instance
	router   *frrtest.Instance
	reloader *frr.Client
	socket   string
	// registry is where speakers of this world count: tests run side by side, and each name may be in a registry once.
	registry prometheus.Registerer
	// health and metrics are the ports of the speaker that was started last.
	health, metrics int
}

// programs is the directory of the programs that build has built; TestMain makes and removes it.
var programs string

// build builds one of the speaker's programs, "reloader" or "speaker", as a pod has it; the go command keeps what it builds.
func build(name string) (string, error) {
	program := filepath.Join(programs, name)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", program, "../"+name)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the %s: %w\n%s", name, err, out)
	}
	return program, nil
}

// buildReloader builds the program that runs beside FRR, once.
var buildReloader = sync.OnceValues(func() (string, error) { return build("reloader") })

func TestMain(m *testing.M) {
	if os.Getenv(asSpeaker) != "" {
		main()
		return
	}
	crlog.SetLogger(logr.Discard())
	var err error
	if programs, err = os.MkdirTemp("", "programs-"); err != nil {
		panic(err)
	}
	code := m.Run()
	_ = os.RemoveAll(programs)
	os.Exit(code)
}

const routerConf = `hostname router
router bgp 64512
 no bgp ebgp-requires-policy
 neighbor 192.0.2.1 remote-as 64500
 neighbor 192.0.2.1 timers connect 1
 neighbor 192.0.2.1 advertisement-interval 0
exit
`

func newWorld(tb testing.TB, release frrtest.Release) *world {
	tb.Helper()
	w := newNode(tb, release)
	w.router = frrtest.Start(tb, frrtest.Options{Release: release, Name: "router", Config: routerConf, Listen: true, Bare: true})
	frrtest.Link(tb, w.node, w.router, "link0", []string{"192.0.2.1/24"}, []string{"192.0.2.2/24"})
	w.node.StartFRR(tb)
	w.router.StartFRR(tb)
	w.startReloader()
	w.connect()
	return w
}

// newNode returns a world with an API server that knows nothing yet and a node whose FRR is not started: FRR 8.4 may wait minutes before it opens a
// session over a link that came after it.
func newNode(tb testing.TB, release frrtest.Release) *world {
	tb.Helper()
	return &world{TB: tb, registry: prometheus.NewRegistry(), server: apiserver.Run(tb, apiserver.Options{}), node: frrtest.Start(tb, frrtest.Options{Release: release, Name: "node1", Bare: true})}
}

func (w *world) startReloader() {
	w.Helper()
	program, err := buildReloader()
	if err != nil {
		w.Fatal(err)
	}
	if out, err := exec.CommandContext(w.Context(), "cp", program, w.node.Path("/tmp/reloader")).CombinedOutput(); err != nil {
		w.Fatalf("copy the reloader: %v: %s", err, out)
	}
	w.runReloader()
	w.socket = w.node.Path(reloaderSocket)
	w.reloader = frr.New(w.socket)
	w.Cleanup(w.reloader.Close)
}

const reloaderSocket = "/run/frr_reloader/reloader.sock"

// runReloader runs the reloader that is in place until the test ends, or killReloader is called.
func (w *world) runReloader() {
	w.Helper()
	cmd := w.node.Command(w.Context(), "/tmp/reloader", "run", "--socket="+reloaderSocket, "--log-level=warn")
	cmd.Stdout, cmd.Stderr = w.Output(), w.Output()
	cmd.WaitDelay = time.Second // the program itself ends with the namespaces
	if err := cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() { _ = cmd.Wait() }) // the test's context has ended it
}

// killReloader ends the reloader as a crash would.
func (w *world) killReloader() {
	w.Helper()
	w.sh("pkill -KILL -x reloader")
}

// sh runs a shell command on the node.
func (w *world) sh(command string) {
	w.Helper()
	if out, err := w.node.Run(w.Context(), "sh", "-c", command); err != nil {
		w.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// refuseNeighbor puts a proxy before the reloader that answers to a configuration with this neighbor as the reloader does when FRR refuses
// a line. Everything else reaches the reloader. What FRR refuses of its own accord, the configuration's checks leave out already.
func (w *world) refuseNeighbor(address, words string) {
	w.Helper()
	behind := w.socket
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: "reloader"}) },
		Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", behind)
		}},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
	}
	w.socket = filepath.Join(w.TempDir(), "proxy.sock")
	listener, err := new(net.ListenConfig).Listen(w.Context(), "unix", w.socket)
	if err != nil {
		w.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		conf, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(out, err.Error(), http.StatusBadRequest)
			return
		}
		if !bytes.Contains(conf, []byte("neighbor "+address+" ")) {
			r.Body = io.NopCloser(bytes.NewReader(conf))
			proxy.ServeHTTP(out, r)
			return
		}
		out.WriteHeader(http.StatusUnprocessableEntity)
		if err := json.NewEncoder(out).Encode(frr.Refusal{Words: words, Line: " neighbor " + address, LineNumber: 9}); err != nil {
			w.Errorf("answer: %v", err)
		}
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	w.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
}

// connect installs the definitions and creates what a speaker needs: the namespace, the node, the pod of the speaker.
func (w *world) connect() {
	w.Helper()
	w.install()
	w.create(&corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node1", Labels: map[string]string{"rack": "a"}}})
	w.create(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "speaker-x"},
		Spec: corev1.PodSpec{NodeName: "node1", Containers: []corev1.Container{{Name: "speaker", Image: "speaker"}}}})
}

// install installs the definitions and creates the namespace.
func (w *world) install() {
	w.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, apiextensionsv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			w.Fatal(err)
		}
	}
	c, err := client.New(w.server.Config(), client.Options{Scheme: scheme})
	if err != nil {
		w.Fatal(err)
	}
	w.Client = c
	definitions, err := crd.Definitions()
	if err != nil {
		w.Fatal(err)
	}
	for _, d := range definitions {
		w.create(d)
	}
	for _, d := range definitions {
		frrtest.Eventually(w, frrtest.Patience, func() error { return established(w.Context(), c, d.Name) })
	}
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
}

func established(ctx context.Context, c client.Client, name string) error {
	var d apiextensionsv1.CustomResourceDefinition
	if err := c.Get(ctx, client.ObjectKey{Name: name}, &d); err != nil {
		return err
	}
	for _, condition := range d.Status.Conditions {
		if condition.Type == apiextensionsv1.Established && condition.Status == apiextensionsv1.ConditionTrue {
			return nil
		}
	}
	return fmt.Errorf("%s is not established", name)
}

func (w *world) create(o client.Object) {
	w.Helper()
	if err := w.Create(w.Context(), o); err != nil {
		w.Fatalf("create %T %s: %v", o, o.GetName(), err)
	}
}

// startSpeaker runs the program as its main does, but for the process, until the returned function is called.
func (w *world) startSpeaker(change ...func(*Options)) (stop func()) {
	w.Helper()
	w.health, w.metrics = port.Free(w), port.Free(w)
	o, err := parse([]string{"--node-name=node1", "--namespace=" + namespace, "--pod-name=speaker-x", "--host=127.0.0.1", "--port=" + strconv.Itoa(w.metrics),
		"--health-probe-port=" + strconv.Itoa(w.health), "--reloader-socket=" + w.socket}, env())
	if err != nil {
		w.Fatal(err)
	}
	for _, f := range change {
		f(&o)
	}
	log, err := logging.New(w.Output(), o.LogLevel)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(w.Context())
	p, err := newProgram(ctx, w.server.Config(), o, w.registry, log)
	if err != nil {
		w.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil && !errors.Is(err, context.Canceled) {
			w.Errorf("the speaker ended: %v", err)
		}
	})
	w.Cleanup(stop)
	return stop
}

// get asks one of the speaker's ports and returns status and body; token is empty for none.
func (w *world) get(url, token string) (int, string, error) {
	w.Helper()
	request, err := http.NewRequestWithContext(w.Context(), http.MethodGet, url, nil)
	if err != nil {
		w.Fatal(err)
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	// The certificate is made up at each start.
	c := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true}}
	response, err := c.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// scraper returns the token of a user who may read metrics.
func (w *world) scraper() string {
	w.Helper()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "scraper"}}
	w.create(account)
	w.create(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		Rules: []rbacv1.PolicyRule{{NonResourceURLs: []string{"/metrics"}, Verbs: []string{"get"}}}})
	w.create(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "scraper"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "scraper"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: "default", Name: "scraper"}}})
	request := &authenticationv1.TokenRequest{}
	if err := w.SubResource("token").Create(w.Context(), account, request); err != nil {
		w.Fatal(err)
	}
	return request.Status.Token
}

// configure creates a pool, a peer and an advertisement.
func (w *world) configure() {
	w.Helper()
	w.create(&v1beta1.IPAddressPool{ObjectMeta: named("pool"), Spec: v1beta1.IPAddressPoolSpec{Addresses: []string{"198.51.100.0/24"}}})
	w.create(&v1beta2.BGPPeer{ObjectMeta: named("router"), Spec: v1beta2.BGPPeerSpec{MyASN: 64500, PeerASN: 64512, PeerAddress: "192.0.2.2", ConnectTime: &metav1.Duration{Duration: time.Second}}})
	w.create(&v1beta1.BGPAdvertisement{ObjectMeta: named("all"), Spec: v1beta1.BGPAdvertisementSpec{Communities: []string{"64500:7"}}})
}

func named(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: namespace, Name: name} }

// service creates a Service with an address, as the controller leaves it, and one endpoint.
func (w *world) service(name, address string) {
	w.Helper()
	if err := w.serve(w.Context(), name, address); err != nil {
		w.Fatal(err)
	}
}

// serve does so for several at once.
func (w *world) serve(ctx context.Context, name, address string) error {
	svc := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: corev1.ServiceSpec{Type: corev1.ServiceTypeLoadBalancer, AllocateLoadBalancerNodePorts: new(false), Ports: []corev1.ServicePort{{Port: 80}}}}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta:  metav1.ObjectMeta{Namespace: "default", Name: name, Labels: map[string]string{discoveryv1.LabelServiceName: name}},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}, NodeName: new("node1")}},
	}
	if err := w.Create(ctx, svc); err != nil {
		return fmt.Errorf("create Service %s: %w", name, err)
	}
	svc.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: address}}
	if err := w.Status().Update(ctx, svc); err != nil {
		return fmt.Errorf("give Service %s its address: %w", name, err)
	}
	if err := w.Create(ctx, slice); err != nil {
		return fmt.Errorf("create the endpoints of Service %s: %w", name, err)
	}
	return nil
}

// awaitRoute waits until the router has, or has not, the route to an address, and returns how long that took.
func (w *world) awaitRoute(address string, present bool) time.Duration {
	w.Helper()
	start := time.Now()
	prefix := netip.PrefixFrom(netip.MustParseAddr(address), 32)
	frrtest.Eventually(w, frrtest.Patience, func() error {
		if _, ok := w.router.Route(w, prefix); ok != present {
			return fmt.Errorf("route %s at the router: %t, want %t", prefix, ok, present)
		}
		return nil
	})
	return time.Since(start)
}

// awaitState waits for the speaker's verdict on the configuration.
func (w *world) awaitState(check func(v1beta1.ConfigurationStateStatus) error) {
	w.Helper()
	frrtest.Eventually(w, 90*time.Second, func() error {
		var state v1beta1.ConfigurationState
		if err := w.Get(w.Context(), client.ObjectKey{Namespace: namespace, Name: "speaker-node1"}, &state); err != nil {
			return err
		}
		return check(state.Status)
	})
}

func isValid(s v1beta1.ConfigurationStateStatus) error {
	if s.Result != v1beta1.ConfigurationValid || s.ErrorSummary != "" {
		return fmt.Errorf("ConfigurationState is %+v, want Valid", s)
	}
	return nil
}

// statuses returns the ServiceBGPStatus objects by the name of the Service they speak of.
func (w *world) statuses() map[string]v1beta1.ServiceBGPStatus {
	w.Helper()
	var list v1beta1.ServiceBGPStatusList
	if err := w.List(w.Context(), &list, client.InNamespace(namespace)); err != nil {
		w.Fatal(err)
	}
	found := map[string]v1beta1.ServiceBGPStatus{}
	for _, o := range list.Items {
		found[o.Labels[v1beta1.LabelServiceName]] = o
	}
	if len(found) != len(list.Items) {
		w.Fatalf("%d objects speak of %d Services", len(list.Items), len(found))
	}
	return found
}
