package admission_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/certs"
	"github.com/seed-551707bd/metallb-operator/test/lab/apiserver"
)

// Given webhooks that are down, when objects are written and deleted, then all of it passes at once; when they are up again, then what became
// wrong meanwhile can be mended in steps, and may stay as it is but not get worse.
func TestWebhooksThatAreDown(t *testing.T) {
	c := newCluster(t, apiserver.Options{})
	c.serve(t)
	c.create(t, pool("public", "192.0.2.0/24"), peer("tor"), bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) {
		s.IPAddressPools, s.Peers = []string{"public"}, []string{"tor"}
	}))
	c.service(t, "default", "web", "public", "192.0.2.1")
	wantRefused(t, c.Delete(t.Context(), peer("tor")), "can't be deleted")
	c.end()

	wantAdmitted(t, c.Delete(t.Context(), peer("tor")))
	wantAdmitted(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.128/25"} }))
	c.create(t, pool("second", "192.0.2.192/26", "192.0.2.160/27"), pool("third", "203.0.113.0/24"), metallb("metallb"),
		password(corev1.SecretTypeBasicAuth, "password", "x"))
	wantAdmitted(t, c.Delete(t.Context(), password(corev1.SecretTypeBasicAuth)))
	wantAdmitted(t, c.Delete(t.Context(), pool("third")))

	c.serve(t)
	wantAdmitted(t, c.edit(t, "second", func(p *v1beta1.IPAddressPool) { p.Labels = map[string]string{"a": "b"} }))
	wantAdmitted(t, c.edit(t, "second", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.192/26"} }))
	if said := strings.Join(c.warnings.take(), "\n"); !strings.Contains(said, "IPAddressPool metallb-system/second: spec.addresses is 192.0.2.192") {
		t.Errorf("no warning of what is still wrong: %q", said)
	}
	wantAdmitted(t, c.edit(t, "second", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"198.51.100.0/24"} }))
	wantRefused(t, c.edit(t, "second", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.192/26"} }), "overlaps")
	// The Service's address is in no pool already: that is not this edit's doing.
	wantAdmitted(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.160/27"} }))
	wantAdmitted(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.0/24"} }))
	wantRefused(t, c.edit(t, "public", func(p *v1beta1.IPAddressPool) { p.Spec.Addresses = []string{"192.0.2.128/25"} }), "default/web (192.0.2.1)")
}

// Given live addresses and objects that name each other, when the definition of a kind or the whole namespace is deleted, then nothing is
// refused and all of it goes.
func TestUninstall(t *testing.T) {
	c := newCluster(t, apiserver.Options{ControllerManager: true})
	c.serve(t)
	c.create(t, pool("public", "192.0.2.0/24"), profile("fast"), community("c", "blue", "1:1"), password(corev1.SecretTypeBasicAuth, "password", "x"),
		peer("tor", func(s *v1beta2.BGPPeerSpec) { s.BFDProfile, s.PasswordSecret.Name = "fast", "s" }),
		bgp("ad", func(s *v1beta1.BGPAdvertisementSpec) {
			s.IPAddressPools, s.Peers, s.Communities = []string{"public"}, []string{"tor"}, []string{"blue"}
		}))
	c.service(t, "default", "web", "public", "192.0.2.1")
	held := community("held", "green", "1:2")
	held.Finalizers = []string{"example.com/hold"}
	green := bgp("green", func(s *v1beta1.BGPAdvertisementSpec) { s.Communities = []string{"green"} })
	c.create(t, held, green)
	wantRefused(t, c.Delete(t.Context(), held), "can't be deleted")
	wantRefused(t, c.Delete(t.Context(), pool("public")), "can't be deleted")

	gone := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "bfdprofiles.metallb.io"}}
	if err := apiextensionsv1.AddToScheme(c.Scheme()); err != nil {
		t.Fatal(err)
	}
	wantAdmitted(t, c.Delete(t.Context(), gone))
	c.awaitGone(t, gone)

	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: lab}}
	wantAdmitted(t, c.Delete(t.Context(), namespace))
	eventually(t, "the object with a finalizer is being deleted", func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(held), held); err != nil {
			return err
		}
		if held.DeletionTimestamp.IsZero() {
			return errors.New("it is not")
		}
		return nil
	})
	wantAdmitted(t, c.Patch(t.Context(), held, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"finalizers":null}}`))))
	c.awaitGone(t, namespace)
}

func (c *cluster) awaitGone(t *testing.T, o client.Object) {
	t.Helper()
	eventually(t, fmt.Sprintf("%T %s is gone", o, o.GetName()), func(ctx context.Context) error {
		if err := c.Get(ctx, client.ObjectKeyFromObject(o), o); !apierrors.IsNotFound(err) {
			return fmt.Errorf("still there: %w, %v", err, o)
		}
		return nil
	})
}

// handshake connects to the webhooks as a caller who trusts authorities.
func (c *cluster) handshake(ctx context.Context, authorities []byte) error {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authorities)
	dialer := tls.Dialer{Config: &tls.Config{RootCAs: roots, ServerName: c.webhooks.Addr().String()}}
	connection, err := dialer.DialContext(ctx, "tcp", c.webhooks.String())
	if err != nil {
		return err
	}
	return connection.Close()
}

// Given webhooks that serve, when their certificate is renewed, by time or because it was lost, then they go on serving with another one, which
// those who trust only the one before do not accept and the API server does; a second replica shows the same.
func TestCertificateChangesWhileServing(t *testing.T) {
	c := newCluster(t, apiserver.Options{})
	var lag atomic.Int64
	lag.Store(int64(certs.Year * 3 / 4))
	c.lag = func() time.Duration { return time.Duration(lag.Load()) }
	c.serve(t)
	before := c.trusted(t)
	if err := c.handshake(t.Context(), before); err != nil {
		t.Fatal(err)
	}

	lag.Store(0) // nine months later
	cert := &corev1.Secret{ObjectMeta: meta(secret)}
	wantAdmitted(t, c.Patch(t.Context(), cert, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"labels":{"somebody":"looks"}}}`))))
	renewed := c.awaitRenewed(t, before)
	if !strings.HasSuffix(string(renewed), string(before)) {
		t.Errorf("the authority before is not trusted any more while other replicas may still show its certificate")
	}

	wantAdmitted(t, c.Delete(t.Context(), cert))
	lost := c.awaitRenewed(t, renewed)

	other := c.keeper(t)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- other.Start(ctx) }()
	var shown *tls.Certificate
	eventually(t, "the second replica has a certificate", func(context.Context) (err error) {
		shown, err = other.GetCertificate(nil)
		return err
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(lost)
	if _, err := shown.Leaf.Verify(x509.VerifyOptions{Roots: roots, DNSName: c.webhooks.Addr().String()}); err != nil {
		t.Errorf("the second replica shows something else: %v", err)
	}
	if string(c.trusted(t)) != string(lost) {
		t.Error("the second replica made the API server trust another authority")
	}
}

// awaitRenewed waits until callers who trust only before are turned away, and those who trust what the API server does are not. It returns
// what that is.
func (c *cluster) awaitRenewed(t *testing.T, before []byte) []byte {
	t.Helper()
	eventually(t, "another certificate is shown", func(ctx context.Context) error {
		var unknown x509.UnknownAuthorityError
		if err := c.handshake(ctx, before); !errors.As(err, &unknown) {
			return fmt.Errorf("a caller who trusts the authority before: %w", err)
		}
		return nil
	})
	now := c.trusted(t)
	if err := c.handshake(t.Context(), now); err != nil {
		t.Errorf("what the API server trusts does not fit what is shown: %v", err)
	}
	c.awaitAsked(t)
	return now
}
