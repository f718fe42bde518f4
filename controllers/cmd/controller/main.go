// The controller gives the addresses of IPAddressPools to Services of type LoadBalancer.
package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	kinds "k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/announced"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/configstatus"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/ledgerstatus"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/service"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
)

// leaseName names the Lease in the namespace of the configuration.
const leaseName = "metallb-controller"

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "controller:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	o, err := parse(args, getenv)
	if err != nil {
		return err
	}
	o.LimitProfiling()
	log, err := logging.New(os.Stdout, o.LogLevel)
	if err != nil {
		return err
	}
	// One worker decides, and what a burst is made of is small steps that goroutines hand to each other: on one processor that wakes no other
	// thread, and the garbage collector finds no idle processor to take from whoever else is on the machine.
	if getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	ctrl.SetLogger(logging.Logr(log))
	klog.SetLogger(logging.Logr(log))
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the API server: %w", err)
	}
	log.Info("starting", "op", "startup", "namespace", o.Namespace, "class", o.Classes.String())
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	if err := setUp(mgr, o, log); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("running the controller: %w", err)
	}
	log.Info("stopped", "op", "shutdown")
	return nil
}

// newManager returns the manager that carries the parts. Of several controllers one works; the others keep their caches warm, so that
// they can take over within the time that the lease takes to change hands.
func newManager(config *rest.Config, o Options) (manager.Manager, error) {
	// Requests are limited by the API server's priority and fairness, not by this client.
	config.QPS = -1
	scheme := kinds.NewScheme()
	for _, add := range []func(*kinds.Scheme) error{corev1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("registering the kinds of objects: %w", err)
		}
	}
	metricsOptions, err := o.Metrics()
	if err != nil {
		return nil, err
	}
	lock, err := newLock(config, o)
	if err != nil {
		return nil, err
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			ByObject:          service.Cached(),
			DefaultNamespaces: map[string]cache.Config{o.Namespace: {}},
			DefaultTransform:  cache.TransformStripManagedFields(),
		},
		LeaderElection:                      true,
		LeaderElectionID:                    leaseName,
		LeaderElectionNamespace:             o.Namespace,
		LeaderElectionResourceLockInterface: lock,
		// The program ends right after, so the next one need not wait for the lease to run out.
		LeaderElectionReleaseOnCancel: true,
		Metrics:                       metricsOptions,
		HealthProbeBindAddress:        ":" + strconv.Itoa(o.HealthPort),
		PprofBindAddress:              o.PprofAddress,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the controller: %w", err)
	}
	return mgr, nil
}

// newLock returns the Lease that leaders hold. It is held in the name of the pod: when the program crashes and its container starts again
// in the same pod, it need not wait until the Lease of the process before it, which is certainly gone, runs out. Outside of a pod the
// manager makes up a name.
func newLock(config *rest.Config, o Options) (resourcelock.Interface, error) {
	if o.PodName == "" {
		return nil, nil
	}
	clients, err := kubernetes.NewForConfig(rest.AddUserAgent(config, "leader-election"))
	if err != nil {
		return nil, fmt.Errorf("setting up leader election: %w", err)
	}
	lock, err := resourcelock.New(resourcelock.LeasesResourceLock, o.Namespace, leaseName, clients.CoreV1(), clients.CoordinationV1(),
		resourcelock.ResourceLockConfig{Identity: o.PodName})
	if err != nil {
		return nil, fmt.Errorf("setting up leader election: %w", err)
	}
	return lock, nil
}

// setUp puts the parts into the manager.
func setUp(mgr manager.Manager, o Options, log *slog.Logger) error {
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("setting up the health endpoint: %w", err)
	}
	if err := mgr.AddReadyzCheck("cache", service.Ready(mgr.GetCache())); err != nil {
		return fmt.Errorf("setting up the readiness endpoint: %w", err)
	}
	services, err := service.SetupWithManager(mgr, service.Options{
		Namespace: o.Namespace,
		Classes:   o.Classes,
		Log:       log,
		Now:       time.Now,
		Metrics:   metrics.Registry,
	})
	if err != nil {
		return err
	}
	if err := ledgerstatus.SetupWithManager(mgr, ledgerstatus.Options{
		Namespace: o.Namespace,
		Shown:     services.Shown,
		Changed:   services.Changed(),
		Now:       time.Now,
		Log:       log,
	}); err != nil {
		return err
	}
	if err := metrics.Registry.Register(announced.NewMetrics(mgr.GetClient(), o.Classes)); err != nil {
		return fmt.Errorf("registering the metrics of Services: %w", err)
	}
	if err := announced.SetupWithManager(mgr, announced.Options{
		Namespace: o.Namespace, Classes: o.Classes, IgnoreExcludeLabel: o.IgnoreExcludeLB, Idle: services.Idle, Now: time.Now,
	}); err != nil {
		return err
	}
	return configstatus.SetupWithManager(mgr, configstatus.Options{Namespace: o.Namespace, PodName: o.PodName, Listens: o.ListenPort != 0, Now: time.Now})
}
