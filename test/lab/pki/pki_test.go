package pki_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/netip"
	"testing"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-551707bd/metallb-operator/test/lab/pki"
)

var day = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func issue(t *testing.T, r pki.Request) (*pki.Authority, pki.Pair) {
	t.Helper()
	a, err := pki.NewAuthority("lab", day)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Issue(r)
	if err != nil {
		t.Fatal(err)
	}
	return a, p
}

func TestGivenAnIssuedPairWhenVerifiedByNameAndAddressThenTheAuthorityVouches(t *testing.T) {
	a, p := issue(t, pki.Request{User: "kube-apiserver", Groups: []string{"g"}, Names: []string{"kubernetes"},
		Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}})
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(a.Pair().Cert) {
		t.Fatal("the authority's certificate is not PEM")
	}
	for _, name := range []string{"kubernetes", "192.0.2.1", "2001:db8::1"} {
		for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
			if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots, CurrentTime: day, KeyUsages: []x509.ExtKeyUsage{usage}}); err != nil {
				t.Errorf("verify %s for usage %v: %v", name, usage, err)
			}
		}
	}
	if pair.Leaf.Subject.CommonName != "kube-apiserver" || pair.Leaf.Subject.Organization[0] != "g" {
		t.Errorf("subject %v, want user kube-apiserver in group g", pair.Leaf.Subject)
	}
}

func TestGivenAnotherAuthorityWhenVerifyingThenThePairIsRefused(t *testing.T) {
	_, p := issue(t, pki.Request{User: "x", Names: []string{"x"}})
	other, _ := issue(t, pki.Request{User: "y"})
	pair, err := tls.X509KeyPair(p.Cert, p.Key)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(other.Pair().Cert)
	if _, err := pair.Leaf.Verify(x509.VerifyOptions{DNSName: "x", Roots: roots, CurrentTime: day}); err == nil {
		t.Error("a certificate of one lab was accepted by the authority of another")
	}
}

func TestGivenAKubeconfigWhenKubernetesReadsItThenItHoldsServerAndIdentity(t *testing.T) {
	a, p := issue(t, pki.Request{User: "admin"})
	cfg, err := clientcmd.RESTConfigFromKubeConfig(pki.Kubeconfig("https://192.0.2.1:6443", a.Pair().Cert, p))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Host != "https://192.0.2.1:6443" || string(cfg.CertData) != string(p.Cert) || string(cfg.CAData) != string(a.Pair().Cert) {
		t.Errorf("read back host %s, certificate %d bytes, authority %d bytes", cfg.Host, len(cfg.CertData), len(cfg.CAData))
	}
}
