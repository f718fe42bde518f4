package admission_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/admission"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/certs"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

const (
	lab      = "metallb-system"
	secret   = "metallb-webhook-cert"
	patience = 2 * time.Minute
)

// cluster is a real control plane with config/default applied, whose API server asks a Handler in this process, which has the rights of the
// operator's ServiceAccount and no others.
type cluster struct {
	client.Client // the administrator's
	api           *apiserver.Server
	webhooks      netip.AddrPort
	warnings      *warnings
	// own is the operator's view of the API server.
	own *rest.Config
	// lag is what the clock of certificates is behind.
	lag func() time.Duration
	// end stops the webhooks.
	end func()
}

// warnings are those that the API server sent with its answers since the last look.
type warnings struct {
	mutex sync.Mutex
	seen  []string
}

// HandleWarningHeader implements rest.WarningHandler.
func (w *warnings) HandleWarningHeader(_ int, _ string, text string) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.seen = append(w.seen, text)
}

func (w *warnings) take() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	seen := w.seen
	w.seen = nil
	return seen
}

// newCluster starts a cluster without webhooks.
func newCluster(tb testing.TB, o apiserver.Options) *cluster {
	tb.Helper()
	ctrl.SetLogger(logr.Discard())
	c := &cluster{api: apiserver.Run(tb, o), warnings: &warnings{}, end: func() {}, lag: func() time.Duration { return 0 }}
	scheme, err := admission.NewScheme()
	if err != nil {
		tb.Fatal(err)
	}
	config := c.api.Config()
	config.WarningHandler = c.warnings
	if c.Client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		tb.Fatal(err)
	}
	listener, err := net.Listen("tcp", netip.AddrPortFrom(c.api.Address(), 0).String())
	if err != nil {
		tb.Fatal(err)
	}
	c.webhooks = netip.MustParseAddrPort(listener.Addr().String())
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	c.install(tb)
	if c.own, err = c.api.ConfigFor("system:serviceaccount:"+lab+":metallb-operator", "system:serviceaccounts", "system:serviceaccounts:"+lab, "system:authenticated"); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { c.end() })
	return c
}

// install applies config/default but for the operator's Deployment. The webhooks are called by address: there are no nodes here that a
// Service could lead to.
func (c *cluster) install(tb testing.TB) {
	tb.Helper()
	cmd := exec.CommandContext(tb.Context(), "go", "tool", "-modfile=tools/go.mod", "kustomize", "build", "config/default")
	cmd.Dir = "../../.."
	text, err := cmd.Output()
	if err != nil {
		tb.Fatalf("build config/default: %v", err)
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil && object.GetKind() == "ValidatingWebhookConfiguration" {
			err = c.redirect(object)
		}
		if err == nil && object.GetKind() != "Deployment" {
			err = c.Create(tb.Context(), object)
		}
		if err != nil {
			tb.Fatalf("install %s %s: %v", object.GetKind(), object.GetName(), err)
		}
	}
	eventually(tb, "the API server serves the kinds of metallb.io", func(ctx context.Context) error {
		return errors.Join(c.List(ctx, &v1beta1.IPAddressPoolList{}), c.List(ctx, &v1beta1.AddressQuotaList{}), c.List(ctx, &v1beta1.IPReservationList{}),
			c.List(ctx, &v1beta1.MetalLBList{}))
	})
}

func (c *cluster) redirect(object *unstructured.Unstructured) error {
	list, _, err := unstructured.NestedSlice(object.Object, "webhooks")
	if err != nil {
		return err
	}
	for i := range list {
		service, _, err := unstructured.NestedMap(list[i].(map[string]any), "clientConfig", "service")
		if err != nil {
			return err
		}
		if service["name"] != admission.Service || service["namespace"] != lab || service["path"] != admission.Path {
			return fmt.Errorf("webhook %d calls %v, which is not what is served", i, service)
		}
		list[i].(map[string]any)["clientConfig"] = map[string]any{"url": "https://" + c.webhooks.String() + admission.Path}
	}
	return unstructured.SetNestedSlice(object.Object, list, "webhooks")
}

// serve starts the webhooks and waits until the API server asks them.
func (c *cluster) serve(tb testing.TB) {
	tb.Helper()
	mgr, err := operator.NewManager(c.own, operator.ManagerOptions{Namespace: lab, MetricsAddress: "0", HealthAddress: "0"})
	if err != nil {
		tb.Fatal(err)
	}
	keeper := c.keeper(tb)
	if err := mgr.Add(keeper); err != nil {
		tb.Fatal(err)
	}
	if err := admission.SetUp(mgr, lab, admission.Server{Host: c.webhooks.Addr().String(), Port: int(c.webhooks.Port()), GetCertificate: keeper.GetCertificate}); err != nil {
		tb.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	c.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			tb.Errorf("the webhooks ended: %v", err)
		}
	})
	c.awaitAsked(tb)
}

func (c *cluster) keeper(tb testing.TB) *certs.Keeper {
	tb.Helper()
	clients, err := kubernetes.NewForConfig(c.own)
	if err != nil {
		tb.Fatal(err)
	}
	return certs.NewKeeper(certs.Options{
		Clients: clients, Namespace: lab, Secret: secret, Webhooks: admission.WebhookConfiguration, Hosts: []string{c.webhooks.Addr().String()},
		Lifetime: certs.Year, Now: func() time.Time { return time.Now().Add(-c.lag()) }, Log: logr.Discard(),
	})
}

// awaitAsked waits until an object that only the webhooks object to is refused.
func (c *cluster) awaitAsked(tb testing.TB) {
	tb.Helper()
	eventually(tb, "the API server asks the webhooks", func(ctx context.Context) error {
		err := c.Create(ctx, &v1beta1.Community{ObjectMeta: metav1.ObjectMeta{Name: "misplaced", Namespace: "default"}}, client.DryRunAll)
		if err == nil || !strings.Contains(err.Error(), "denied the request") {
			return fmt.Errorf("an object in the wrong namespace: %w", err)
		}
		return nil
	})
	c.warnings.take()
}

// trusted is what the API server is told to trust.
func (c *cluster) trusted(tb testing.TB) []byte {
	tb.Helper()
	var configuration admissionregistrationv1.ValidatingWebhookConfiguration
	if err := c.Get(tb.Context(), client.ObjectKey{Name: admission.WebhookConfiguration}, &configuration); err != nil {
		tb.Fatal(err)
	}
	return configuration.Webhooks[0].ClientConfig.CABundle
}

// create creates objects that nobody may object to.
func (c *cluster) create(tb testing.TB, objects ...client.Object) {
	tb.Helper()
	for _, o := range objects {
		if err := c.Create(tb.Context(), o); err != nil {
			tb.Fatalf("create %T %s: %v", o, o.GetName(), err)
		}
	}
}

// clear deletes everything that a row made, users before what they use.
func (c *cluster) clear(tb testing.TB) {
	tb.Helper()
	for _, kind := range []client.Object{
		&v1beta1.BGPAdvertisement{}, &v1beta1.L2Advertisement{}, &v1beta2.BGPPeer{}, &v1beta1.BFDProfile{}, &v1beta1.Community{}, &v1beta1.FRRSnippet{},
		&v1beta1.IPReservation{}, &v1beta1.AddressQuota{}, &v1beta1.IPAddressPool{}, &v1beta1.MetalLB{},
	} {
		if err := c.DeleteAllOf(tb.Context(), kind, client.InNamespace(lab)); err != nil {
			tb.Fatal(err)
		}
	}
	if err := c.DeleteAllOf(tb.Context(), &corev1.Secret{}, client.InNamespace(lab), client.MatchingFieldsSelector{Selector: fields.OneTermNotEqualSelector("metadata.name", secret)}); err != nil {
		tb.Fatal(err)
	}
	c.warnings.take()
}

// eventually polls until check passes.
func eventually(tb testing.TB, what string, check func(ctx context.Context) error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			tb.Fatalf("waited %s until %s: %v", patience, what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
