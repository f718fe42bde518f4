package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/seed-551707bd/metallb-operator/config/monitoring"
	frrtest "github.com/seed-551707bd/metallb-operator/test/frr"
	"github.com/seed-551707bd/metallb-operator/test/prometheus"
)

// certificate writes tls.crt and tls.key for localhost into a folder, each in one step, and returns the certificate.
func certificate(t *testing.T, folder string, serial int64) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: fmt.Sprint("metrics ", serial)}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	for name, text := range map[string][]byte{"tls.crt": public, "tls.key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})} {
		write(t, filepath.Join(folder, "new"), text)
		if err := os.Rename(filepath.Join(folder, "new"), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	return public
}

func write(t *testing.T, path string, text []byte) {
	t.Helper()
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// scrape starts a Prometheus with this project's alerts that reads the metrics of the speaker that was started last every second, with the token of a
// ServiceAccount and by certificates that it verifies.
func (w *world) scrape(t *testing.T, token string, authorities []byte) *prometheus.Instance {
	t.Helper()
	folder := t.TempDir()
	write(t, filepath.Join(folder, "rules.yaml"), monitoring.RulesFile())
	write(t, filepath.Join(folder, "token"), []byte(token))
	write(t, filepath.Join(folder, "ca.crt"), authorities)
	return prometheus.Start(t, fmt.Sprintf(`
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%[1]s/rules.yaml]
scrape_configs:
  - job_name: speaker
    scheme: https
    authorization: {credentials_file: %[1]s/token}
    tls_config: {ca_file: %[1]s/ca.crt, server_name: localhost}
    static_configs: [{targets: ["127.0.0.1:%[2]d"], labels: {pod: speaker-x, namespace: %[3]s}}]
`, folder, w.metrics, namespace))
}

// awaitQuery waits until an expression has one result with the value.
func awaitQuery(t *testing.T, p *prometheus.Instance, expr, value string) {
	t.Helper()
	p.Eventually(t, func() error {
		found, err := p.Query(expr)
		if err != nil || len(found) != 1 || found[0].Value != value {
			targets, _ := p.Targets()
			return fmt.Errorf("%s is %v (%w), want %s; targets: %+v", expr, found, err, value, targets)
		}
		return nil
	})
}

// scraped has a real Prometheus read the metrics of a speaker that serves them with a certificate from a folder: it verifies that, is let in with the
// token of a ServiceAccount, goes on when the certificate changes, and sees the alert on a session that ends.
func (w *world) scraped(t *testing.T, token, folder string, first []byte) {
	t.Helper()
	future := t.TempDir()
	second := certificate(t, future, 2)
	p := w.scrape(t, token, append(first, second...))
	awaitQuery(t, p, `up{job="speaker"}`, "1")
	awaitQuery(t, p, `metallb_bgp_session_up{peer="192.0.2.2:179"}`, "1")
	const ups = `metallb_bgp_session_established_total{peer="192.0.2.2:179"}`
	before, err := p.Query(ups)
	if err != nil || len(before) != 1 {
		t.Fatalf("%s is %v: %v", ups, before, err)
	}
	awaitQuery(t, p, `metallb_speaker_announced{service="default/web",protocol="bgp"}`, "1")
	awaitQuery(t, p, `metallb_speaker_frr_apply_failing`, "0")
	// Nothing is wrong with a speaker that works. That no operator is read is true here.
	awaitQuery(t, p, `count(ALERTS{alertname!="MetalLBNotWatched"}) or vector(0)`, "0")

	for _, name := range []string{"tls.key", "tls.crt"} {
		if err := os.Rename(filepath.Join(future, name), filepath.Join(folder, name)); err != nil {
			t.Fatal(err)
		}
	}
	p.Eventually(t, func() error {
		serial, err := w.serial()
		if err != nil || serial != 2 {
			return fmt.Errorf("certificate %d is shown, want 2: %w", serial, err)
		}
		return nil
	})
	w.router.Vtysh(w, "configure terminal", "router bgp 64512", "neighbor 192.0.2.1 shutdown")
	awaitQuery(t, p, `ALERTS{alertname="MetalLBBGPSessionDown",peer="192.0.2.2:179",vrf="default",pod="speaker-x",severity="critical"}`, "1")
	awaitQuery(t, p, `up{job="speaker"}`, "1")
	w.router.Vtysh(w, "configure terminal", "router bgp 64512", "no neighbor 192.0.2.1 shutdown")
	awaitQuery(t, p, ups+" > bool "+before[0].Value, "1")
	frrtest.Eventually(t, frrtest.Patience, func() error {
		if found, err := p.Query(`ALERTS{alertname="MetalLBBGPSessionDown"}`); err != nil || len(found) > 0 {
			return fmt.Errorf("the alert is still there: %v, %w", found, err)
		}
		return nil
	})
}

// serial is the number of the certificate that the speaker shows now.
func (w *world) serial() (int64, error) {
	w.Helper()
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true}}
	c, err := d.DialContext(w.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", w.metrics))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return c.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber.Int64(), nil
}
