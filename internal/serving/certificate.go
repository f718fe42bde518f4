package serving

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"path/filepath"
	"sync"
	"time"
)

const (
	// lookAgain is how long a certificate is shown before its files are looked at again: so long a new one may wait.
	lookAgain = 10 * time.Second
	// ownLifetime is how long a self-signed certificate is valid; after two thirds of it there is another.
	ownLifetime = 90 * 24 * time.Hour
)

// certificates gives the certificate tls.crt with the key tls.key of a folder, and follows their changes; while there is none that can be read, or no
// folder, one that it signs itself and renews. It works when somebody connects, and never between.
type certificates struct {
	folder string
	now    func() time.Time

	mu     sync.Mutex
	looked time.Time
	// given was read from the folder last, own was made last.
	given, own *tls.Certificate
}

// get is for tls.Config.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if c.folder != "" && (c.looked.IsZero() || now.Sub(c.looked) >= lookAgain) {
		c.looked = now
		// One that cannot be read, because it is being replaced right now or is gone, does not take the place of one that could.
		if pair, err := tls.LoadX509KeyPair(filepath.Join(c.folder, "tls.crt"), filepath.Join(c.folder, "tls.key")); err == nil {
			c.given = &pair
		}
	}
	if c.given != nil {
		return c.given, nil
	}
	if c.own == nil || !now.Before(c.own.Leaf.NotBefore.Add(ownLifetime*2/3)) {
		own, err := selfSigned(now)
		if err != nil {
			return nil, err
		}
		c.own = own
	}
	return c.own, nil
}

// selfSigned returns a certificate that nobody need trust: it encrypts, and no more.
func selfSigned(now time.Time) (*tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for metrics: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number for the certificate of metrics: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "metallb-operator metrics"}, DNSNames: []string{"localhost"},
		// Backdated a little, for the clocks of others.
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(ownLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("make a certificate for metrics: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read the certificate for metrics: %w", err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, nil
}
