// Package certs gives the webhooks their certificate: one that the programs make, agree on and renew themselves, or one that somebody else
// puts into a folder. Neither needs a restart.
//
// It is our own because the well-known library for it (open-policy-agent/cert-controller) serves from a mounted Secret, which takes up to a
// minute to appear, ends the program when it does not, and holds every Secret of the namespace in memory.
package certs

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/manager"
)

// Year is how long a certificate is valid where nothing speaks for another time.
const Year = 365 * 24 * time.Hour

// The delays between attempts that fail, and the one after another replica was quicker.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = time.Minute
	again      = 100 * time.Millisecond
)

// Options are all that a Keeper needs.
type Options struct {
	Clients kubernetes.Interface
	// Namespace and Secret name where the certificate is kept, so that all replicas have the same.
	Namespace, Secret string
	// Webhooks names the ValidatingWebhookConfiguration whose callers are told whom to trust. It need not exist.
	Webhooks string
	// Hosts are the names, or addresses, that the certificate is for.
	Hosts []string
	// Lifetime is how long a certificate is valid; after two thirds of it there is another.
	Lifetime time.Duration
	Now      func() time.Time
	Log      logr.Logger
}

// Keeper makes a certificate, renews it, and tells the API server whom to trust. Several programs may do so at once: the Secret's resource
// version decides whose certificate all of them show.
type Keeper struct {
	Options
	// serving is what is shown at present; nil before there is one.
	serving atomic.Pointer[pair]
	// dirty has an entry when there is something to look at.
	dirty chan struct{}
}

// NewKeeper returns a Keeper, which does nothing before it is started.
func NewKeeper(o Options) *Keeper {
	return &Keeper{Options: o, dirty: make(chan struct{}, 1)}
}

// GetCertificate is for tls.Config.
func (k *Keeper) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	p := k.serving.Load()
	if p == nil {
		return nil, errNone
	}
	return &p.certificate, nil
}

// NeedLeaderElection tells the manager that every replica needs its Keeper.
func (*Keeper) NeedLeaderElection() bool { return false }

// Start keeps the certificate until ctx ends. It does not end by itself: what fails is tried again, and the program can do without.
func (k *Keeper) Start(ctx context.Context) error {
	var watches sync.WaitGroup
	defer watches.Wait()
	for _, informer := range k.watched() {
		watches.Go(func() { informer.RunWithContext(ctx) })
	}
	delays := workqueue.NewTypedItemExponentialFailureRateLimiter[string](firstRetry, lastRetry)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-k.dirty:
		case <-timer.C:
		}
		after, err := k.pass(ctx)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			after = delays.When(k.Secret)
			k.Log.Error(err, "the webhooks have no valid certificate, or nobody was told", "event", "certificateFailed", "retryIn", after.String())
		default:
			delays.Forget(k.Secret)
		}
		timer.Reset(after)
	}
}

// pass brings everything to where it should be and returns when to look again if nothing happens before.
func (k *Keeper) pass(ctx context.Context) (time.Duration, error) {
	p, err := k.agree(ctx)
	if apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) {
		return again, nil
	}
	if err != nil {
		return 0, err
	}
	// The API server is told first, so that it trusts the certificate by the time it sees it. Until it could be told the certificate
	// before is shown, which is good for another third of its life.
	if err := k.inject(ctx, p.authorities); err != nil {
		k.serving.CompareAndSwap(nil, p)
		return 0, err
	}
	if before := k.serving.Swap(p); before == nil || !before.certificate.Leaf.Equal(p.certificate.Leaf) {
		k.Log.Info("the webhooks have a certificate", "event", "certificateLoaded", "validUntil", p.certificate.Leaf.NotAfter.Format(time.RFC3339))
	}
	return max(again, p.renewAt().Sub(k.Now())), nil
}

// agree returns the certificate in the Secret. Where there is none that is good enough it puts a new one there.
func (k *Keeper) agree(ctx context.Context) (*pair, error) {
	secrets, name := k.Clients.CoreV1().Secrets(k.Namespace), k.Namespace+"/"+k.Secret
	now := k.Now()
	have, err := secrets.Get(ctx, k.Secret, metav1.GetOptions{})
	missing := apierrors.IsNotFound(err)
	if err != nil && !missing {
		return nil, fmt.Errorf("read Secret %s: %w", name, err)
	}
	if !missing {
		p, err := parse(have.Data, k.Hosts, now)
		if err == nil && now.Before(p.renewAt()) {
			return p, nil
		}
		k.Log.Info("the certificate of the webhooks is renewed", "event", "certificateRenewed", "because", reason(err))
	}
	p, err := issue(k.Hosts, have.Data[authoritiesKey], now, k.Lifetime)
	if err != nil {
		return nil, fmt.Errorf("issue a certificate: %w", err)
	}
	if missing {
		_, err = secrets.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: k.Secret, Namespace: k.Namespace}, Type: corev1.SecretTypeTLS, Data: p.data,
		}, metav1.CreateOptions{})
	} else {
		err = k.replace(ctx, have, p)
	}
	if err != nil {
		return nil, fmt.Errorf("write Secret %s: %w", name, err)
	}
	return p, nil
}

func reason(err error) string {
	if err == nil {
		return "two thirds of its life are over"
	}
	return err.Error()
}

// replace writes p into a Secret, unless it has changed since it was read.
func (k *Keeper) replace(ctx context.Context, have *corev1.Secret, p *pair) error {
	data := map[string]any{}
	for key := range have.Data {
		data[key] = nil // what others left there is gone, such as an authority's key
	}
	for key, value := range p.data {
		data[key] = value
	}
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": have.ResourceVersion}, "data": data})
	if err != nil {
		return fmt.Errorf("compose the patch: %w", err)
	}
	_, err = k.Clients.CoreV1().Secrets(k.Namespace).Patch(ctx, k.Secret, types.MergePatchType, body, metav1.PatchOptions{})
	return err
}

// inject makes the API server trust authorities, and no others, when it calls the webhooks.
func (k *Keeper) inject(ctx context.Context, authorities []byte) error {
	configurations := k.Clients.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	have, err := configurations.Get(ctx, k.Webhooks, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil // its creation comes back here
	}
	if err != nil {
		return fmt.Errorf("read ValidatingWebhookConfiguration %s: %w", k.Webhooks, err)
	}
	var webhooks []map[string]any
	for i := range have.Webhooks {
		w := &have.Webhooks[i]
		if string(w.ClientConfig.CABundle) != string(authorities) {
			webhooks = append(webhooks, map[string]any{"name": w.Name, "clientConfig": map[string]any{"caBundle": authorities}})
		}
	}
	if len(webhooks) == 0 {
		return nil
	}
	body, err := json.Marshal(map[string]any{"webhooks": webhooks})
	if err != nil {
		return fmt.Errorf("compose the patch: %w", err)
	}
	// The list is merged by name, so that all else in it stays as its author wrote it.
	if _, err := configurations.Patch(ctx, k.Webhooks, types.StrategicMergePatchType, body, metav1.PatchOptions{}); err != nil {
		return fmt.Errorf("write whom to trust into ValidatingWebhookConfiguration %s: %w", k.Webhooks, err)
	}
	return nil
}

// watched returns what pulls the Keeper when the Secret or the webhooks change. It keeps no copy of anything else.
func (k *Keeper) watched() []cache.Controller {
	one := func(name string) func(metav1.ListOptions) metav1.ListOptions {
		return func(o metav1.ListOptions) metav1.ListOptions {
			o.FieldSelector = fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()
			return o
		}
	}
	secret, webhooks := one(k.Secret), one(k.Webhooks)
	secrets, configurations := k.Clients.CoreV1().Secrets(k.Namespace), k.Clients.AdmissionregistrationV1().ValidatingWebhookConfigurations()
	return []cache.Controller{
		k.informer(&corev1.Secret{}, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return secrets.List(ctx, secret(o))
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return secrets.Watch(ctx, secret(o))
			},
		}),
		k.informer(&admissionregistrationv1.ValidatingWebhookConfiguration{}, &cache.ListWatch{
			ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
				return configurations.List(ctx, webhooks(o))
			},
			WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
				return configurations.Watch(ctx, webhooks(o))
			},
		}),
	}
}

func (k *Keeper) informer(kind runtime.Object, from *cache.ListWatch) cache.Controller {
	pull := func() {
		select {
		case k.dirty <- struct{}{}:
		default: // there is an entry already
		}
	}
	_, controller := cache.NewInformerWithOptions(cache.InformerOptions{ListerWatcher: cache.ToListWatcherWithWatchListSemantics(from, k.Clients), ObjectType: kind, Handler: cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { pull() }, UpdateFunc: func(any, any) { pull() }, DeleteFunc: func(any) { pull() },
	}})
	return controller
}

var (
	_ manager.Runnable               = (*Keeper)(nil)
	_ manager.LeaderElectionRunnable = (*Keeper)(nil)
)
