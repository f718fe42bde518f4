package main

import (
	"crypto/tls"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/admission"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/certs"
)

// certSecret names the Secret that the certificate of the webhooks is kept in.
const certSecret = "metallb-webhook-cert"

// certificate is where the certificate of the webhooks comes from, which follows its changes while it runs.
type certificate interface {
	manager.Runnable
	GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error)
}

// setUpAdmission has mgr serve the webhooks.
func setUpAdmission(mgr manager.Manager, o Options) error {
	if o.WebhookPort == 0 {
		return nil
	}
	source, err := newCertificate(mgr, o)
	if err != nil {
		return err
	}
	if err := mgr.Add(source); err != nil {
		return fmt.Errorf("set up the certificate of the webhooks: %w", err)
	}
	return admission.SetUp(mgr, o.Environment.Namespace, admission.Server{
		Port: o.WebhookPort, HTTP2: o.WebhookHTTP2, GetCertificate: source.GetCertificate,
	})
}

func newCertificate(mgr manager.Manager, o Options) (certificate, error) {
	logger := mgr.GetLogger().WithName("certificate")
	if o.DisableCertRotation {
		return certs.NewFiles(o.CertDir, logger), nil
	}
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the certificate of the webhooks: %w", err)
	}
	return certs.NewKeeper(certs.Options{
		Clients: clients, Namespace: o.Environment.Namespace, Secret: certSecret, Webhooks: admission.WebhookConfiguration,
		Hosts:    []string{fmt.Sprintf("%s.%s.svc", o.CertServiceName, o.Environment.Namespace)},
		Lifetime: certs.Year, Now: time.Now, Log: logger,
	}), nil
}
