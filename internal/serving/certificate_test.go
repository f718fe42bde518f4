package serving

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// shelf is a folder with certificates, looked at by a server with a clock of the test's.
type shelf struct {
	*testing.T
	*certificates
	at time.Time
}

func newShelf(t *testing.T, folder string) *shelf {
	t.Helper()
	s := &shelf{T: t, at: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	s.certificates = &certificates{folder: folder, now: func() time.Time { return s.at }}
	return s
}

// shown returns the serial number of the certificate that a client is shown.
func (s *shelf) shown() *x509.Certificate {
	s.Helper()
	c, err := s.get(nil)
	if err != nil {
		s.Fatal(err)
	}
	if c.Leaf.NotAfter.Before(s.at) {
		s.Errorf("the certificate that is shown at %v was valid until %v", s.at, c.Leaf.NotAfter)
	}
	return c.Leaf
}

// put writes a certificate into the folder and returns it.
func (s *shelf) put() *x509.Certificate {
	s.Helper()
	c, err := selfSigned(s.at)
	if err != nil {
		s.Fatal(err)
	}
	key, err := x509.MarshalECPrivateKey(c.PrivateKey.(*ecdsa.PrivateKey))
	if err != nil {
		s.Fatal(err)
	}
	s.write("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate[0]}))
	s.write("tls.key", pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: key}))
	return c.Leaf
}

func (s *shelf) write(name string, text []byte) {
	s.Helper()
	if err := os.WriteFile(filepath.Join(s.folder, name), text, 0o600); err != nil {
		s.Fatal(err)
	}
}

func (s *shelf) expect(want *x509.Certificate, when string) {
	s.Helper()
	if got := s.shown(); !bytes.Equal(got.Raw, want.Raw) {
		s.Errorf("%s certificate %d is shown, want %d", when, got.SerialNumber, want.SerialNumber)
	}
}

func TestGivenNoFolderWhenTimePassesThenTheCertificateIsRenewedBeforeItEnds(t *testing.T) {
	s := newShelf(t, "")
	first := s.shown()
	s.at = s.at.Add(ownLifetime / 2)
	s.expect(first, "at half of its life")
	s.at = s.at.Add(ownLifetime / 4)
	if next := s.shown(); bytes.Equal(next.Raw, first.Raw) || next.NotAfter.Sub(s.at) != ownLifetime {
		t.Errorf("at three quarters of the life of certificate %d, %d is shown, valid until %v", first.SerialNumber, next.SerialNumber, next.NotAfter)
	}
}

func TestGivenAFolderWhenACertificateComesAndChangesThenItIsShownWithoutARestart(t *testing.T) {
	s := newShelf(t, t.TempDir())
	own := s.shown()
	first := s.put()
	s.expect(own, "within the pause")
	s.at = s.at.Add(lookAgain)
	s.expect(first, "when one has come")
	second := s.put()
	s.at = s.at.Add(lookAgain)
	s.expect(second, "when it has changed")
	s.write("tls.crt", []byte("nonsense"))
	s.at = s.at.Add(lookAgain)
	s.expect(second, "while the file cannot be read")
	s.write("tls.crt", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: first.Raw}))
	s.at = s.at.Add(lookAgain)
	s.expect(second, "while certificate and key do not belong together")
	third := s.put()
	s.at = s.at.Add(lookAgain)
	s.expect(third, "after the repair")
}

func TestMetricsAreServedWithTheCertificateOfTheFolder(t *testing.T) {
	s := newShelf(t, t.TempDir())
	want := s.put()
	var c tls.Config
	for _, apply := range Metrics(":8443", s.folder).TLSOpts {
		apply(&c)
	}
	got, err := c.GetCertificate(nil)
	if err != nil || !bytes.Equal(got.Certificate[0], want.Raw) || c.MinVersion != tls.VersionTLS13 {
		t.Errorf("another certificate is shown, or an older TLS than 1.3 (%x) allowed: %v", c.MinVersion, err)
	}
}
