// Package pki makes the certificates of a lab cluster: one authority, and a key pair per component. Keys are ECDSA P-256;
// everything is valid for ten years from an hour before it was made.
package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"time"
)

// Pair is a certificate and its private key, both PEM.
type Pair struct {
	Cert []byte
	Key  []byte
}

// Authority signs the certificates of one cluster.
type Authority struct {
	cert    *x509.Certificate
	key     *ecdsa.PrivateKey
	notFrom time.Time
	pair    Pair
}

// Request says whom a certificate is for. Kubernetes reads the common name as user and the organizations as groups.
type Request struct {
	User      string
	Groups    []string
	Names     []string
	Addresses []netip.Addr
}

// NewAuthority makes a self-signed authority.
func NewAuthority(name string, now time.Time) (*Authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make key of authority %s: %w", name, err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-time.Hour),
		NotAfter:              now.AddDate(10, 0, 0),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign authority %s: %w", name, err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read back authority %s: %w", name, err)
	}
	pair, err := encode(der, key)
	if err != nil {
		return nil, err
	}
	return &Authority{cert: cert, key: key, notFrom: now, pair: pair}, nil
}

// Pair is the authority's own certificate and key; kube-controller-manager signs with them.
func (a *Authority) Pair() Pair { return a.pair }

// Issue makes a key and a certificate that serves both as client and as server.
func (a *Authority) Issue(r Request) (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make key of %s: %w", r.User, err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return Pair{}, fmt.Errorf("choose serial number for %s: %w", r.User, err)
	}
	var addresses []net.IP
	for _, ip := range r.Addresses {
		addresses = append(addresses, ip.AsSlice())
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: r.User, Organization: r.Groups},
		DNSNames:     r.Names,
		IPAddresses:  addresses,
		NotBefore:    a.notFrom.Add(-time.Hour),
		NotAfter:     a.notFrom.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a.cert, key.Public(), a.key)
	if err != nil {
		return Pair{}, fmt.Errorf("sign certificate of %s: %w", r.User, err)
	}
	return encode(der, key)
}

// SigningKey makes the key pair with which ServiceAccount tokens are signed; Cert holds the bare public key (PKIX).
func SigningKey() (Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make ServiceAccount signing key: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return Pair{}, fmt.Errorf("encode ServiceAccount public key: %w", err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode ServiceAccount signing key: %w", err)
	}
	return Pair{Cert: block("PUBLIC KEY", public), Key: block("EC PRIVATE KEY", private)}, nil
}

func encode(der []byte, key *ecdsa.PrivateKey) (Pair, error) {
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode private key: %w", err)
	}
	return Pair{Cert: block("CERTIFICATE", der), Key: block("EC PRIVATE KEY", private)}, nil
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// Kubeconfig is the text of a kubeconfig file for one user of the API server at the given URL.
func Kubeconfig(server string, authority []byte, user Pair) []byte {
	b64 := base64.StdEncoding.EncodeToString
	return fmt.Appendf(nil, `apiVersion: v1
kind: Config
clusters:
- name: lab
  cluster:
    server: %s
    certificate-authority-data: %s
users:
- name: user
  user:
    client-certificate-data: %s
    client-key-data: %s
contexts:
- name: lab
  context: {cluster: lab, user: user}
current-context: lab
`, server, b64(authority), b64(user.Cert), b64(user.Key))
}
