package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	crlog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	// handover is how long a program has to end once it was told to, as with controller-runtime's manager.
	handover = 30 * time.Second
	// headerTimeout and idleTimeout keep who connects and says nothing from holding a connection.
	headerTimeout = 32 * time.Second
	idleTimeout   = 90 * time.Second
)

// Server serves metrics, probes and profiles while a program works. It is for a program that needs no more of controller-runtime's manager, which
// brings along leader election, webhooks, two ways to write events and the clients that these use, linked and set up whether used or not.
type Server struct {
	// metrics is nil where none are served.
	metrics  metricsserver.Server
	handover time.Duration
	plain    []plain
}

// plain is something that is served without encryption.
type plain struct {
	name     string
	listener net.Listener
	handler  http.Handler
}

// Listen opens the ports of probes, on the address host, and profiles. Who may read metrics is asked of the API server that config is for.
func (e *Endpoints) Listen(ctx context.Context, config *rest.Config, host string, live, ready healthz.Handler) (*Server, error) {
	if err := registerProcess(); err != nil {
		return nil, err
	}
	s := &Server{handover: handover}
	options, err := e.Metrics()
	if err != nil {
		return nil, err
	}
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("set up the client for metrics: %w", err)
	}
	if s.metrics, err = metricsserver.NewServer(options, config, client); err != nil {
		return nil, fmt.Errorf("set up metrics: %w", err)
	}
	if err := s.listen(ctx, "health probe", net.JoinHostPort(host, strconv.Itoa(e.HealthPort)), probes(live, ready)); err != nil {
		return nil, err
	}
	if e.PprofAddress != "" {
		if err := s.listen(ctx, "pprof", e.PprofAddress, profiles()); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// registerProcess adds what controller-runtime says about a process where it runs controllers.
func registerProcess() error {
	for _, c := range []prometheus.Collector{
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(collectors.MetricsAll)),
	} {
		if err := metrics.Registry.Register(c); err != nil && !errors.As(err, new(prometheus.AlreadyRegisteredError)) {
			return fmt.Errorf("register metrics of the process: %w", err)
		}
	}
	return nil
}

func (s *Server) listen(ctx context.Context, name, address string, handler http.Handler) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("listen for %s: %w", name, err)
	}
	s.plain = append(s.plain, plain{name: name, listener: listener, handler: handler})
	return nil
}

// probes returns what is served as /healthz and /readyz; each check has a page of its own below.
func probes(live, ready healthz.Handler) http.Handler {
	mux := http.NewServeMux()
	for path, checks := range map[string]healthz.Handler{"/healthz": live, "/readyz": ready} {
		handler := http.StripPrefix(path, &checks)
		mux.Handle(path, handler)
		mux.Handle(path+"/", handler)
	}
	return mux
}

func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

// Run serves, and works until ctx ends or something fails; the first error is returned. Everything is served until work has ended, so that its
// end can be followed. Who is not done after half a minute is left behind.
func (s *Server) Run(ctx context.Context, work func(context.Context) error) error {
	tasks, working := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	tasks.Go(func() error {
		defer end()
		return work(working)
	})
	if s.metrics != nil {
		tasks.Go(func() error { return s.metrics.Start(serving) })
	}
	for _, p := range s.plain {
		tasks.Go(func() error { return p.serve(serving) })
	}
	ended := make(chan error, 1)
	go func() { ended <- tasks.Wait() }()
	select {
	case err := <-ended:
		return err
	case <-working.Done():
	}
	late := time.NewTimer(s.handover)
	defer late.Stop()
	select {
	case err := <-ended:
		if ctx.Err() != nil && errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	case <-late.C:
		return fmt.Errorf("%w; not all had ended %s later", context.Cause(working), s.handover)
	}
}

// serve serves until ctx ends, and then what has been asked for by then.
func (p plain) serve(ctx context.Context) error {
	log := crlog.Log.WithValues("name", p.name, "addr", p.listener.Addr().String())
	server := &http.Server{Handler: p.handler, ReadHeaderTimeout: headerTimeout, IdleTimeout: idleTimeout}
	down := make(chan struct{})
	go func() {
		defer close(down)
		<-ctx.Done()
		log.Info("shutting down server")
		if err := server.Shutdown(context.WithoutCancel(ctx)); err != nil {
			log.Error(err, "error shutting down server")
		}
	}()
	log.Info("starting server")
	if err := server.Serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve %s: %w", p.name, err)
	}
	<-down
	return nil
}
