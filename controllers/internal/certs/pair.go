package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// authoritiesKey is where a Secret has the certificates of those who signed, as in every Secret of type kubernetes.io/tls that has them.
const authoritiesKey = corev1.ServiceAccountRootCAKey

// maxAuthorities is how many authorities callers are told to trust: the one that signed the certificate, and the one before it, whose
// certificate another replica may still show.
const maxAuthorities = 2

// pair is a certificate with its key, and what callers need to trust it.
type pair struct {
	// certificate is what the server shows; its Leaf is set.
	certificate tls.Certificate
	// authorities are PEM certificates, the newest first.
	authorities []byte
	// data is what a Secret holds of all this.
	data map[string][]byte
}

// renewAt is when two thirds of the certificate's life are over.
func (p *pair) renewAt() time.Time {
	leaf := p.certificate.Leaf
	return leaf.NotBefore.Add(leaf.NotAfter.Sub(leaf.NotBefore) * 2 / 3)
}

// parse reads a Secret's data. The error says why a server of hosts can't use it at the time now.
func parse(data map[string][]byte, hosts []string, now time.Time) (*pair, error) {
	certificate, err := tls.X509KeyPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("read %s and %s: %w", corev1.TLSCertKey, corev1.TLSPrivateKeyKey, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data[authoritiesKey]) {
		return nil, fmt.Errorf("read %s: no certificate found", authoritiesKey)
	}
	for _, host := range hosts {
		if _, err := certificate.Leaf.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, CurrentTime: now}); err != nil {
			return nil, fmt.Errorf("verify the certificate for %s: %w", host, err)
		}
	}
	return &pair{certificate: certificate, authorities: data[authoritiesKey], data: data}, nil
}

// issue makes an authority, has it sign a certificate for hosts, and forgets the authority's key: it signs nothing else. before are the
// authorities up to now.
func issue(hosts []string, before []byte, now time.Time, lifetime time.Duration) (*pair, error) {
	// Backdated a little, for the clocks of others.
	from, until := now.Add(-lifetime/100), now.Add(lifetime)
	authority := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "metallb-operator webhook authority"}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageCertSign, BasicConstraintsValid: true, IsCA: true, MaxPathLenZero: true,
	}
	server := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "metallb-operator webhooks"}, NotBefore: from, NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, host := range hosts {
		if ip := net.ParseIP(host); ip != nil {
			server.IPAddresses = append(server.IPAddresses, ip)
		} else {
			server.DNSNames = append(server.DNSNames, host)
		}
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the authority's key: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make the server's key: %w", err)
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, &authorityKey.PublicKey, authorityKey)
	if err != nil {
		return nil, fmt.Errorf("make the authority's certificate: %w", err)
	}
	serverDER, err := x509.CreateCertificate(rand.Reader, server, authority, &key.PublicKey, authorityKey)
	if err != nil {
		return nil, fmt.Errorf("make the server's certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode the server's key: %w", err)
	}
	return parse(map[string][]byte{
		corev1.TLSCertKey:       encode("CERTIFICATE", serverDER),
		corev1.TLSPrivateKeyKey: encode("PRIVATE KEY", keyDER),
		authoritiesKey:          append(encode("CERTIFICATE", authorityDER), stillTrusted(before, now)...),
	}, hosts, now)
}

// serial is random: an authority must not give out a number twice (RFC 5280 section 4.1.2.2), and every authority here has the same name.
func serial() *big.Int {
	var bytes [16]byte
	_, _ = rand.Read(bytes[:]) // never fails
	bytes[0] &= 0x7f           // positive
	return new(big.Int).SetBytes(bytes[:])
}

// stillTrusted returns those of PEM certificates, the newest first, that are kept beside a new one.
func stillTrusted(before []byte, now time.Time) []byte {
	var out bytes.Buffer
	for kept := 1; kept < maxAuthorities; {
		var block *pem.Block
		if block, before = pem.Decode(before); block == nil {
			break
		}
		if c, err := x509.ParseCertificate(block.Bytes); err == nil && now.Before(c.NotAfter) {
			out.Write(encode("CERTIFICATE", block.Bytes))
			kept++
		}
	}
	return out.Bytes()
}

func encode(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// errNone is what callers get who come before there is a certificate.
var errNone = errors.New("there is no certificate yet")
