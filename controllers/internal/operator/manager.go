package operator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/serving"
)

// How the lease of the leader election is kept.
const (
	leaseDuration = time.Minute
	renewDeadline = 40 * time.Second
	retryPeriod   = 10 * time.Second
)

// ManagerOptions are how the operator's program runs.
type ManagerOptions struct {
	// Namespace is the operator's own, where it installs.
	Namespace string
	// LeaderElection lets only one of several operators act.
	LeaderElection bool
	// MetricsAddress is where metrics are served over HTTPS, to whom the API server allows it, "0" for nowhere.
	MetricsAddress string
	// MetricsCertDir holds the certificate for that, "" for one that is made.
	MetricsCertDir string
	// HealthAddress is where /healthz and /readyz are served, "0" for nowhere.
	HealthAddress string
}

// NewManager returns a manager that can run a Reconciler: it holds in memory what that reads, and answers probes.
func NewManager(config *rest.Config, o ManagerOptions) (manager.Manager, error) {
	scheme, err := NewScheme()
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                  scheme,
		Cache:                   CacheOptions(o.Namespace),
		LeaderElection:          o.LeaderElection,
		LeaderElectionID:        "metallb-operator.metallb.io",
		LeaderElectionNamespace: o.Namespace,
		// The program ends right after, so the next one need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		// What runs goes on without the operator, so that the lease need not be renewed all the time. Who follows a crash waits as long.
		LeaseDuration: new(leaseDuration), RenewDeadline: new(renewDeadline), RetryPeriod: new(retryPeriod),
		Metrics:                serving.Metrics(o.MetricsAddress, o.MetricsCertDir),
		HealthProbeBindAddress: o.HealthAddress,
	})
	if err != nil {
		return nil, fmt.Errorf("set up the operator: %w", err)
	}
	clients, err := kubernetes.NewForConfigAndClient(mgr.GetConfig(), mgr.GetHTTPClient())
	if err != nil {
		return nil, fmt.Errorf("set up the probes of the operator: %w", err)
	}
	may := &rights{clients: clients, namespace: o.Namespace, log: mgr.GetLogger()}
	if err := errors.Join(mgr.AddHealthzCheck("ping", healthz.Ping), mgr.AddReadyzCheck("cache", cacheSynced(mgr.GetCache())),
		mgr.AddReadyzCheck("rights", may.check)); err != nil {
		return nil, fmt.Errorf("set up the probes of the operator: %w", err)
	}
	return mgr, nil
}

// NewScheme returns a scheme with every kind that the Reconciler reads and writes.
func NewScheme() (*runtime.Scheme, error) {
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(scheme), v1beta1.AddToScheme(scheme)); err != nil {
		return nil, fmt.Errorf("register the kinds of the operator: %w", err)
	}
	return scheme, nil
}

// cacheSynced returns a check that passes when c holds all that was asked of it.
func cacheSynced(c cache.Cache) healthz.Checker {
	return func(request *http.Request) error {
		ctx, cancel := context.WithTimeout(request.Context(), time.Second)
		defer cancel()
		if !c.WaitForCacheSync(ctx) {
			return errors.New("the objects of the cluster have not all been read yet")
		}
		return nil
	}
}
