// The speaker announces the addresses of Services from one node: it decides what the node announces and gives FRR its configuration.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"
	kubeconfig "sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager/signals"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/logging"
	"github.com/seed-551707bd/metallb-operator/internal/serving"
)

const (
	// defaultSocket is in the volume that the speaker's container shares with FRR's.
	defaultSocket = "/etc/frr_reloader/reloader.sock"
	// writesPerSecond is how fast status objects are written: a burst of Services must not take the API server's time from the controller,
	// whose addresses users wait for.
	writesPerSecond = 20
	// gcPercent trades a little processor time for memory: a speaker runs on every node, holds every Service and is idle most of the time.
	gcPercent = 20
	// probesHost is where probes are served: the pod has the node's network.
	probesHost = "127.0.0.1"
)

func main() {
	err := run(signals.SetupSignalHandler(), os.Args[1:], os.Getenv)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "speaker:", err)
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
	if getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	crlog.SetLogger(logging.Logr(log))
	klog.SetLogger(logging.Logr(log))
	config, err := kubeconfig.GetConfig()
	if err != nil {
		return fmt.Errorf("find the API server: %w", err)
	}
	log.InfoContext(ctx, "starting", "op", "startup", "node", o.Node, "namespace", o.Namespace, "class", o.Classes.String())
	if len(o.WithoutEffect) > 0 {
		log.InfoContext(ctx, "these flags and variables have no effect", "op", "startup", "flags", o.WithoutEffect)
	}
	p, err := newProgram(ctx, config, o, metrics.Registry, log)
	if err != nil {
		return err
	}
	if err := p.Run(ctx); err != nil {
		return fmt.Errorf("run the speaker: %w", err)
	}
	log.InfoContext(ctx, "stopped; what was announced by BGP still is, and other nodes answer on layer 2", "op", "shutdown")
	return nil
}

// program is the speaker and what it serves.
type program struct {
	server  *serving.Server
	speaker *speaker
}

// Run works until ctx ends, or something fails.
func (p *program) Run(ctx context.Context) error { return p.server.Run(ctx, p.speaker.Start) }

// newProgram returns the program. It has opened the ports of probes and profiles, and does not use the API yet. Its metrics go into the registry;
// those of metrics.Registry are served.
func newProgram(ctx context.Context, config *rest.Config, o Options, registry prometheus.Registerer, log *slog.Logger) (*program, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, coordinationv1.AddToScheme, discoveryv1.AddToScheme, v1beta1.AddToScheme, v1beta2.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register the kinds of objects: %w", err)
		}
	}
	reading := rest.CopyConfig(config)
	reading.QPS = -1 // it watches, and answers the controller
	connections, err := rest.HTTPClientFor(reading)
	if err != nil {
		return nil, fmt.Errorf("set up the clients: %w", err)
	}
	mapper, err := apiutil.NewDynamicRESTMapper(reading, connections)
	if err != nil {
		return nil, fmt.Errorf("set up the clients: %w", err)
	}
	writing := rest.CopyConfig(config)
	writing.QPS, writing.Burst = o.StatusWrites, int(o.StatusWrites)
	writer, err := client.New(writing, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("set up the client for status objects: %w", err)
	}
	answers, err := client.New(reading, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("set up the client for answers to AddressProbes: %w", err)
	}
	s := &speaker{
		Options: o, scheme: scheme, mapper: mapper, config: reading, writer: writer, answers: answers,
		metrics: registry, log: log,
	}
	server, err := o.Listen(ctx, reading, probesHost,
		healthz.Handler{Checks: map[string]healthz.Checker{"loop": s.healthy}}, healthz.Handler{Checks: map[string]healthz.Checker{"frr": s.ready}})
	if err != nil {
		return nil, fmt.Errorf("set up the speaker: %w", err)
	}
	return &program{server: server, speaker: s}, nil
}
