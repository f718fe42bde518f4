// Package product installs this project in a lab the way a user installs it, and waits for what a user waits for. The demo, the
// end-to-end tests and the benchmarks stand on it.
package product

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/test/lab"
	"github.com/seed-551707bd/metallb-operator/test/lab/source"
)

// Namespace is where config/default installs the product.
const Namespace = "metallb-system"

// pollInterval is how often a wait looks again.
const pollInterval = 100 * time.Millisecond

// Product is the product, installed in a lab.
type Product struct {
	*lab.Lab
	// Client reads and writes the lab's cluster as administrator, without a cache.
	Client client.WithWatch
	root   string
}

// In returns the product in l, installed or not.
func In(l *lab.Lab) (*Product, error) {
	log.SetLogger(logr.Discard()) // the client library insists on being told
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1beta1.AddToScheme(scheme), v1beta2.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("build the scheme: %w", err)
	}
	config, err := l.Config()
	if err != nil {
		return nil, err
	}
	c, err := client.NewWithWatch(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the lab's cluster: %w", err)
	}
	root, err := source.Root("")
	if err != nil {
		return nil, err
	}
	return &Product{Lab: l, Client: c, root: root}, nil
}

// Install does what docs/install.md says: it applies config/default and a MetalLB object, and waits until that is Available.
func (p *Product) Install(ctx context.Context) error {
	if err := p.ApplyKustomization(ctx, "config/default"); err != nil {
		return err
	}
	if _, err := p.Kubectl(ctx, "wait", "--for=condition=Established", "--timeout=60s", "crd", "metallbs.metallb.io"); err != nil {
		return err
	}
	object := &v1beta1.MetalLB{}
	object.Name, object.Namespace = "metallb", Namespace
	// Who waits for Available here uses BGP next: the first BGPPeer is not to replace pods.
	object.Spec.FRR = v1beta1.FRRAlways
	if err := p.Client.Create(ctx, object); err != nil {
		return fmt.Errorf("create the MetalLB object: %w", err)
	}
	return p.WaitAvailable(ctx)
}

// ApplyKustomization applies a folder of this project, given relative to its root, with kubectl apply -k.
func (p *Product) ApplyKustomization(ctx context.Context, folder string) error {
	_, err := p.Kubectl(ctx, "apply", "--server-side", "-k", filepath.Join(p.root, folder))
	return err
}

// WaitAvailable waits until the MetalLB object says Available; its error tells what the object said last.
func (p *Product) WaitAvailable(ctx context.Context) error {
	return Eventually(ctx, 3*time.Minute, func(ctx context.Context) error {
		var object v1beta1.MetalLB
		if err := p.Client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: "metallb"}, &object); err != nil {
			return err
		}
		if !meta.IsStatusConditionTrue(object.Status.Conditions, "Available") {
			var said []string
			for _, c := range object.Status.Conditions {
				said = append(said, fmt.Sprintf("%s=%s (%s: %s)", c.Type, c.Status, c.Reason, c.Message))
			}
			return fmt.Errorf("MetalLB %s/metallb is not Available: %s", Namespace, strings.Join(said, "; "))
		}
		return nil
	})
}

// WaitUpdated waits until every speaker is of the version that their DaemonSet wants and ready, and the operator has no more to do about it. kubectl
// rollout status knows no DaemonSet that the operator updates.
func (p *Product) WaitUpdated(ctx context.Context) error {
	return Eventually(ctx, 5*time.Minute, func(ctx context.Context) error {
		var set appsv1.DaemonSet
		if err := p.Client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: "speaker"}, &set); err != nil {
			return err
		}
		s, noted := set.Status, set.Annotations["metallb.io/rollout"]
		if s.ObservedGeneration != set.Generation || s.UpdatedNumberScheduled != s.DesiredNumberScheduled || s.NumberReady != s.DesiredNumberScheduled || noted != "" {
			return fmt.Errorf("generation %d, status %+v, being updated: %s", set.Generation, s, noted)
		}
		var object v1beta1.MetalLB
		if err := p.Client.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: "metallb"}, &object); err != nil {
			return err
		}
		if c := meta.FindStatusCondition(object.Status.Conditions, "Progressing"); c == nil || c.Status != metav1.ConditionFalse {
			return fmt.Errorf("MetalLB %s/metallb: %+v", Namespace, c)
		}
		return nil
	})
}

// Addresses waits until a Service has at least n addresses and returns them.
func (p *Product) Addresses(ctx context.Context, key client.ObjectKey, n int) ([]string, error) {
	var addresses []string
	err := Eventually(ctx, time.Minute, func(ctx context.Context) error {
		var svc corev1.Service
		if err := p.Client.Get(ctx, key, &svc); err != nil {
			return err
		}
		addresses = addresses[:0]
		for _, ingress := range svc.Status.LoadBalancer.Ingress {
			addresses = append(addresses, ingress.IP)
		}
		if len(addresses) < n {
			return fmt.Errorf("service %s has addresses %v: wanted %d", key, addresses, n)
		}
		return nil
	})
	return addresses, err
}

// Eventually calls check until it returns nil, at most for the given time; then it returns what check said last.
func Eventually(ctx context.Context, limit time.Duration, check func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	var last error
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil || last == nil {
			last = err // an error that is only the end of the time hides what was wrong
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", limit, last)
		case <-tick.C:
		}
	}
}
