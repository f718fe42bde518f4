package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"
)

const host = "metallb-webhook-service.metallb-system.svc"

func mustIssue(t *testing.T, before []byte, now time.Time) *pair {
	t.Helper()
	p, err := issue([]string{host, "127.0.0.1"}, before, now, Year)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// count counts the certificates in a PEM text.
func count(text []byte) int { return bytes.Count(text, []byte("BEGIN CERTIFICATE")) }

// Given a certificate that was issued, when it is read back, then it serves its hosts only, is renewed after two thirds of its life, and its
// authority's key is nowhere.
func TestIssuedCertificate(t *testing.T) {
	now := time.Now()
	p := mustIssue(t, nil, now)
	if got := p.renewAt().Sub(now).Round(24 * time.Hour); got < 240*24*time.Hour || got > 245*24*time.Hour {
		t.Errorf("renewed after %v, wanted two thirds of a year", got)
	}
	if len(p.data) != 3 || count(p.authorities) != 1 {
		t.Errorf("the Secret has %d keys and %d authorities", len(p.data), count(p.authorities))
	}
	block, _ := pem.Decode(p.authorities)
	authority, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if key := p.certificate.PrivateKey.(*ecdsa.PrivateKey); key.PublicKey.Equal(authority.PublicKey) {
		t.Error("the server has the authority's key")
	}
	if err := p.certificate.Leaf.CheckSignatureFrom(authority); err != nil {
		t.Error(err)
	}
	if p.certificate.Leaf.IsCA {
		t.Error("the server may sign")
	}
	for name, row := range map[string]struct {
		edit  func(map[string][]byte)
		host  string
		after time.Duration
		words string
	}{
		"as it is":            {},
		"for another host":    {host: "elsewhere", words: "verify the certificate for elsewhere"},
		"when it is too late": {after: Year + time.Hour, words: "expired"},
		"without a key":       {edit: func(d map[string][]byte) { delete(d, corev1.TLSPrivateKeyKey) }, words: "tls.key"},
		"without authority":   {edit: func(d map[string][]byte) { delete(d, authoritiesKey) }, words: "ca.crt"},
		"of another authority": {edit: func(d map[string][]byte) { d[authoritiesKey] = mustIssue(t, nil, now).authorities },
			words: "unknown authority"},
	} {
		t.Run(name, func(t *testing.T) {
			data := maps.Clone(p.data)
			if row.edit != nil {
				row.edit(data)
			}
			hosts := []string{host, "127.0.0.1"}
			if row.host != "" {
				hosts = []string{row.host}
			}
			_, err := parse(data, hosts, now.Add(row.after))
			if (err == nil) != (row.words == "") || err != nil && !strings.Contains(err.Error(), row.words) {
				t.Errorf("error %v, wanted %q", err, row.words)
			}
		})
	}
}

// Given authorities from before, when a certificate is issued, then the last one of them that has not expired is kept beside the new one.
func TestAuthoritiesKept(t *testing.T) {
	now := time.Now()
	first := mustIssue(t, nil, now)
	second := mustIssue(t, first.authorities, now.Add(Year/2))
	third := mustIssue(t, second.authorities, now.Add(Year))
	if count(second.authorities) != 2 || !bytes.HasSuffix(second.authorities, first.authorities) {
		t.Errorf("%d authorities after the second", count(second.authorities))
	}
	if count(third.authorities) != 2 || bytes.Contains(third.authorities, first.authorities) {
		t.Errorf("%d authorities after the third", count(third.authorities))
	}
	if late := mustIssue(t, third.authorities, now.Add(9*Year)); count(late.authorities) != 1 {
		t.Errorf("%d authorities when all others have expired", count(late.authorities))
	}
	if odd := mustIssue(t, []byte("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"), now); count(odd.authorities) != 1 {
		t.Errorf("%d authorities when the one before can't be read", count(odd.authorities))
	}
}

func keeperOf(clients *fake.Clientset) *Keeper {
	return NewKeeper(Options{Clients: clients, Namespace: "metallb-system", Secret: "cert", Webhooks: "hooks", Hosts: []string{host}, Lifetime: Year, Now: time.Now, Log: logr.Discard()})
}

func hooks() *admissionregistrationv1.ValidatingWebhookConfiguration {
	return &admissionregistrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "hooks"},
		Webhooks: []admissionregistrationv1.ValidatingWebhook{{Name: "a.example.com"}, {Name: "b.example.com"}}}
}

// Given a Secret that MetalLB left, valid or not, when the Keeper looks at it, then it goes on with a valid one, and replaces any other without a
// trace of the authority's key.
func TestSecretOfAnother(t *testing.T) {
	valid := mustIssue(t, nil, time.Now()).data
	for name, row := range map[string]struct {
		data map[string][]byte
		kept bool
	}{
		"valid":          {valid, true},
		"empty":          {nil, false},
		"half a year on": {mustIssue(t, nil, time.Now().Add(-Year*3/4)).data, false},
		"with a CA key":  {map[string][]byte{"ca.key": []byte("x"), "tls.crt": []byte("x")}, false},
	} {
		t.Run(name, func(t *testing.T) {
			clients := fake.NewClientset(hooks(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Name: "cert", Namespace: "metallb-system"}, Type: corev1.SecretTypeOpaque, Data: row.data})
			k := keeperOf(clients)
			if _, err := k.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
			s, err := clients.CoreV1().Secrets("metallb-system").Get(t.Context(), "cert", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if kept := bytes.Equal(s.Data["tls.crt"], row.data["tls.crt"]); kept != row.kept {
				t.Errorf("kept: %v, wanted %v", kept, row.kept)
			}
			if _, ok := s.Data["ca.key"]; ok {
				t.Error("an authority's key is still there")
			}
			h, err := clients.AdmissionregistrationV1().ValidatingWebhookConfigurations().Get(t.Context(), "hooks", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range h.Webhooks {
				if !bytes.Equal(w.ClientConfig.CABundle, s.Data["ca.crt"]) {
					t.Errorf("webhook %s trusts something else", w.Name)
				}
			}
			if shown, err := k.GetCertificate(nil); err != nil || !bytes.Contains(s.Data["tls.crt"], encode("CERTIFICATE", shown.Certificate[0])) {
				t.Errorf("something else is shown, error %v", err)
			}
		})
	}
}

// Given an API server that fails for a while, when the Keeper runs, then it tries again with growing delays, shows nothing before it has
// something, and renews what it has in time, without anybody telling it.
func TestKeeperGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clients := fake.NewClientset(hooks())
		down := true
		clients.PrependReactor("get", "secrets", func(clienttesting.Action) (bool, runtime.Object, error) {
			return down, nil, errors.New("the API server is away")
		})
		k := keeperOf(clients)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- k.Start(ctx) }()
		time.Sleep(time.Hour)
		synctest.Wait()
		if _, err := k.GetCertificate(nil); err == nil {
			t.Error("a certificate out of nowhere")
		}
		down = false
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		first, err := k.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(Year * 3 / 4)
		synctest.Wait()
		if second, err := k.GetCertificate(nil); err != nil || second.Leaf.Equal(first.Leaf) {
			t.Errorf("nothing new after nine months, error %v", err)
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// Given a folder that is empty at first, when somebody puts a certificate there, then it is shown, and so is the next one.
func TestFiles(t *testing.T) {
	dir := t.TempDir()
	f := NewFiles(dir, logr.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	if _, err := f.GetCertificate(nil); err == nil {
		t.Error("a certificate out of nowhere")
	}
	for range 2 {
		p := mustIssue(t, nil, time.Now())
		for _, name := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if err := os.WriteFile(filepath.Join(dir, "new"), p.data[name], 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		await(t, func() bool {
			shown, err := f.GetCertificate(&tls.ClientHelloInfo{})
			return err == nil && shown != nil && bytes.Equal(shown.Certificate[0], p.certificate.Certificate[0])
		})
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Given a mounted Secret, in which kubelet replaces all files at once by turning one link, when OLM renews the certificate, then it is shown without a
// restart. (certwatcher notices the link's change, or looks again by itself.)
func TestFilesOfAMountedSecret(t *testing.T) {
	dir := t.TempDir()
	mount := func(name string, p *pair) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		for _, file := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
			if err := os.WriteFile(filepath.Join(dir, name, file), p.data[file], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Symlink(name, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")); err != nil {
			t.Fatal(err)
		}
	}
	first, second := mustIssue(t, nil, time.Now()), mustIssue(t, nil, time.Now())
	mount("..1", first)
	for _, file := range []string{corev1.TLSCertKey, corev1.TLSPrivateKeyKey} {
		if err := os.Symlink(filepath.Join("..data", file), filepath.Join(dir, file)); err != nil {
			t.Fatal(err)
		}
	}
	f := NewFiles(dir, logr.Discard())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Start(ctx) }()
	shows := func(p *pair) func() bool {
		return func() bool {
			shown, err := f.GetCertificate(&tls.ClientHelloInfo{})
			return err == nil && shown != nil && bytes.Equal(shown.Certificate[0], p.certificate.Certificate[0])
		}
	}
	await(t, shows(first))
	mount("..2", second)
	if err := os.RemoveAll(filepath.Join(dir, "..1")); err != nil {
		t.Fatal(err)
	}
	await(t, shows(second))
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func await(t *testing.T, done func() bool) {
	t.Helper()
	limit := time.After(time.Minute)
	for !done() {
		select {
		case <-limit:
			t.Fatal("waited a minute in vain")
		case <-time.After(20 * time.Millisecond):
		}
	}
}
