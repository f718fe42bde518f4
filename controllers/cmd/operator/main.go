// The operator turns a MetalLB object into the controller's Deployment, the speakers' DaemonSet and all they need.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
)

// gcPercent trades a little processor time, of which the operator needs hardly any, for memory.
const gcPercent = 20

func main() {
	if err := run(ctrl.SetupSignalHandler(), os.Args[1:], os.Getenv); err != nil {
		fmt.Fprintln(os.Stderr, "operator:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, getenv func(string) string) error {
	options, err := parse(args, getenv)
	if err != nil {
		return err
	}
	logger, err := logging.New(os.Stdout, options.LogLevel)
	if err != nil {
		return err
	}
	slog.SetDefault(logger) // net/http's words about callers
	ctrl.SetLogger(logging.Logr(logger))
	klog.SetLogger(logging.Logr(logger))
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	logger.Info("starting", "op", "startup", "namespace", options.Environment.Namespace,
		"controllerImage", options.Environment.ControllerImage, "speakerImage", options.Environment.SpeakerImage,
		"frrImage", options.Environment.FRRImage)
	return serve(ctx, config, options)
}

func serve(ctx context.Context, config *rest.Config, options Options) error {
	mgr, err := operator.NewManager(config, operator.ManagerOptions{
		Namespace:      options.Environment.Namespace,
		LeaderElection: options.LeaderElection,
		MetricsAddress: options.MetricsAddress,
		MetricsCertDir: options.MetricsCertDir,
		HealthAddress:  options.HealthAddress,
	})
	if err != nil {
		return err
	}
	reconciler := operator.New(operator.Options{
		Client:      mgr.GetClient(),
		Live:        mgr.GetAPIReader(),
		Events:      mgr.GetEventRecorder("metallb-operator"),
		Environment: options.Environment,
		Now:         time.Now,
		Random:      rand.Reader,
	})
	if err := reconciler.SetUp(mgr); err != nil {
		return err
	}
	if err := metrics.Registry.Register(reconciler.Metrics()); err != nil {
		return fmt.Errorf("register the metrics of the operator: %w", err)
	}
	if err := setUpAdmission(mgr, options); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("run the operator: %w", err)
	}
	return nil
}
