package admission

import (
	"crypto/tls"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// What config/webhook says too.
const (
	// Path is where the API server asks.
	Path = "/validate"
	// Port is the port of the pod.
	Port = 9443
	// WebhookConfiguration and Service are the names that MetalLB's users know.
	WebhookConfiguration = "metallb-webhook-configuration"
	Service              = "metallb-webhook-service"
)

// Server is how the Handler is served.
type Server struct {
	// Host is the address to listen on, "" for all.
	Host string
	Port int
	// HTTP2 offers HTTP/2 to callers, which has more ways to wear out a server.
	HTTP2 bool
	// GetCertificate gives the certificate to show. As long as it fails callers are turned away, and the API server goes on without an answer.
	GetCertificate func(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// NewScheme returns a scheme with every kind that is judged or read.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the kinds of admission: %w", err)
		}
	}
	return scheme, nil
}

// SetUp has mgr answer the API server, in every replica. The cache of mgr must keep the labels of Nodes. namespace is the one that
// configuration belongs in.
func SetUp(mgr manager.Manager, namespace string, s Server) error {
	scheme, err := NewScheme()
	if err != nil {
		return err
	}
	live, err := client.New(mgr.GetConfig(), client.Options{Scheme: scheme, HTTPClient: mgr.GetHTTPClient(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return fmt.Errorf("set up the client of admission: %w", err)
	}
	handler := New(Options{Namespace: namespace, Scheme: scheme, Live: live, Nodes: mgr.GetClient(), Limit: Limit})
	protocols := []string{"http/1.1"}
	if s.HTTP2 {
		protocols = []string{"h2", "http/1.1"}
	}
	server := webhook.NewServer(webhook.Options{Host: s.Host, Port: s.Port, TLSOpts: []func(*tls.Config){func(c *tls.Config) {
		c.MinVersion, c.NextProtos, c.GetCertificate = tls.VersionTLS13, protocols, s.GetCertificate
	}}})
	// A panic ends the connection, and the API server goes on without an answer; recovered, it would be a refusal.
	server.Register(Path, (&webhook.Admission{Handler: handler}).WithRecoverPanic(false))
	if err := mgr.Add(server); err != nil {
		return fmt.Errorf("set up the webhook server: %w", err)
	}
	return nil
}
