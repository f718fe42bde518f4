package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/mirror"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/addressprobe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/frr"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/node/cluster"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/probe"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/publish"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/sent"
	"github.com/seed-551707bd/metallb-operator/speaker/internal/sessions"
)

// speaker is the part of the program that works on this node's announcements.
type speaker struct {
	Options
	scheme *runtime.Scheme
	mapper meta.RESTMapper
	// config is for watching.
	config *rest.Config
	// writer reads and writes the API directly, at a modest rate. answers does so without limit: it writes the answers to AddressProbes, which
	// addresses wait for and of which there are only as many as the controller asks for, and the states of BGP sessions, which are limited by
	// session and must not wait for a burst of Services, and reads the Leases of nodes that are missing.
	writer, answers client.Client
	metrics         prometheus.Registerer
	log             *slog.Logger
	// running is nil until the API has been reached.
	running atomic.Pointer[running]
}

// running is what the probes look at.
type running struct {
	loop   *node.Loop
	layer2 *layer2
}

// Start works until ctx ends. What was announced to routers by then still is afterwards; what this node answered for on layer 2 has been
// given to others.
func (s *speaker) Start(ctx context.Context) error {
	kinds := append(cluster.ConfigKinds(), &corev1.Service{}, &discoveryv1.EndpointSlice{}, &corev1.Node{}, &corev1.Secret{},
		&v1beta1.ServiceBGPStatus{}, &v1beta1.ServiceL2Status{}, &v1beta1.ConfigurationState{})
	if !s.waitForKinds(ctx, time.Second, kinds) {
		return nil
	}
	caches := cluster.CacheOptions(s.Namespace)
	maps.Copy(caches.ByObject, publish.ByObject(s.Node, s.Namespace))
	caches.Scheme, caches.Mapper = s.scheme, s.mapper
	watched, err := cache.New(s.config, caches)
	if err != nil {
		return fmt.Errorf("set up the caches: %w", err)
	}
	api := mirror.API{Config: s.config, Scheme: s.scheme}
	if api.HTTP, err = rest.HTTPClientFor(s.config); err != nil {
		return fmt.Errorf("set up the watches: %w", err)
	}
	return s.announce(ctx, watched, api)
}

// announce works until ctx ends, with caches that are not started yet. Then it hands over what others can do, and only after that ends what
// it takes to announce.
func (s *speaker) announce(ctx context.Context, watched cache.Cache, api mirror.API) error {
	working, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	trigger := node.NewTrigger()
	source, err := cluster.New(working, watched, api, cluster.Options{Namespace: s.Namespace, Classes: s.Classes, Listens: s.ListenPort != 0, Trigger: trigger, Layer2Exclude: s.ExcludedNodes, Drain: s.DrainOn})
	if err != nil {
		return err
	}
	layer2, err := s.newLayer2(working, api, source.WaitForSync, trigger)
	if err != nil {
		return err
	}
	daemons, bgp := s.connectFRR()
	defer daemons.Close()
	routes := sent.New(daemons, s.log)
	measured := publish.NewMetrics(s.Node, source.Updates)
	publisher, err := publish.New(working, publish.Options{
		Node: s.Node, Namespace: s.Namespace, Pod: s.Pod,
		Client: s.writer, Cache: watched, API: api, Layer2: layer2.responder, Membership: layer2.membership(), Sent: routes, Metrics: measured, Log: s.log,
	})
	if err != nil {
		return err
	}
	for _, c := range collectors(measured, routes, daemons, layer2.responder, layer2.membership()) {
		if err := s.metrics.Register(c); err != nil {
			return fmt.Errorf("register metrics: %w", err)
		}
		defer s.metrics.Unregister(c)
	}
	reporter := sessions.New(sessions.Options{
		Node: s.Node, Namespace: s.Namespace, Pod: s.Pod, FRR: daemons, Client: s.answers, Seen: routes.See, Log: s.log,
	})
	loop := node.New(node.Options{
		Node: s.Node, IgnoreExcludeLabel: s.IgnoreExcludeLB, Conf: s.conf(),
		Trigger: trigger, Source: source, FRR: bgp, Layer2: layer2.responder, Membership: layer2.membership(),
		Publisher: node.Publishers{publisher, routes, reporter}, Observe: publisher.Observe, Drain: s.Drain, Log: s.log,
	})
	s.running.Store(&running{loop: loop, layer2: layer2})
	tasks, working := errgroup.WithContext(working)
	tasks.Go(func() error { return watched.Start(working) })
	tasks.Go(func() error { return source.Start(working) })
	tasks.Go(func() error { return loop.Start(working) })
	tasks.Go(func() error { return publisher.Start(working) })
	tasks.Go(func() error { return routes.Start(working) })
	tasks.Go(func() error { return reporter.Start(working) })
	tasks.Go(func() error { return s.reportSessions(working, reporter) })
	tasks.Go(func() error { return layer2.Start(working) })
	tasks.Go(func() error { return s.answerProbes(working) })
	tasks.Go(func() error {
		select {
		case <-ctx.Done():
		case <-working.Done(): // something failed
		}
		loop.Release()
		layer2.leave(context.WithoutCancel(ctx))
		end()
		return nil
	})
	return tasks.Wait()
}

// frrClient is what the parts of the speaker need of FRR and its reloader.
type frrClient interface {
	node.FRR
	sessions.FRR
	Close()
}

// connectFRR returns who asks FRR, and the same for who gives it its configuration, nil where there is no FRR.
func (s *speaker) connectFRR() (frrClient, node.FRR) {
	if s.WithoutFRR {
		return frr.Absent{}, nil
	}
	reloader := frr.New(s.ReloaderSocket)
	return reloader, reloader
}

// collectors are all metrics that the program has of its own.
func collectors(measured *publish.Metrics, routes *sent.Tracker, shower publish.Shower, edge publish.Layer2, membership publish.Membership) []prometheus.Collector {
	return []prometheus.Collector{measured, routes, publish.NewSessions(shower, measured.InForce), publish.NewLayer2Metrics(edge, membership)}
}

// answerProbes answers the AddressProbes for this node until ctx ends. It has a cache of its own: where their kind is missing, as while an
// upgrade is under way, announcements must not wait for it.
func (s *speaker) answerProbes(ctx context.Context) error {
	if !s.waitForKinds(ctx, time.Minute, []client.Object{&v1beta1.AddressProbe{}}) {
		return nil
	}
	watched, err := cache.New(s.config, cache.Options{
		Scheme: s.scheme, Mapper: s.mapper, ByObject: addressprobe.ByObject(s.Node, s.Namespace), ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return fmt.Errorf("set up the cache of AddressProbes: %w", err)
	}
	answerer, err := addressprobe.New(ctx, addressprobe.Options{Node: s.Node, Cache: watched, Client: s.answers, Ask: probe.Ask, Log: s.log})
	if err != nil {
		return err
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return watched.Start(ctx) })
	tasks.Go(func() error { return answerer.Start(ctx) })
	return tasks.Wait()
}

// reportSessions writes the states of BGP sessions until ctx ends. Announcements do not wait for their kind, either.
func (s *speaker) reportSessions(ctx context.Context, reporter *sessions.Reporter) error {
	if !s.waitForKinds(ctx, time.Minute, []client.Object{&v1beta1.BGPSessionState{}}) {
		return nil
	}
	watched, err := cache.New(s.config, cache.Options{
		Scheme: s.scheme, Mapper: s.mapper, ByObject: sessions.ByObject(s.Node, s.Namespace), ReaderFailOnMissingInformer: true,
	})
	if err != nil {
		return fmt.Errorf("set up the cache of BGPSessionStates: %w", err)
	}
	tasks, ctx := errgroup.WithContext(ctx)
	tasks.Go(func() error { return watched.Start(ctx) })
	tasks.Go(func() error { return reporter.Write(ctx, watched) })
	return tasks.Wait()
}

// waitForKinds returns true once the API server knows the kinds, looking every so often, false when ctx ends first. After a power failure nodes
// come up long before the API does, and a speaker that gave up would be restarted ever more slowly.
func (s *speaker) waitForKinds(ctx context.Context, every time.Duration, kinds []client.Object) bool {
	tick := time.NewTicker(every)
	defer tick.Stop()
	told := ""
	for {
		err := s.findKinds(kinds)
		if err == nil {
			return true
		}
		if text := err.Error(); text != told {
			s.log.WarnContext(ctx, "waiting for the API; what FRR announces stays", "op", "startup", "error", err)
			told = text
		}
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
	}
}

func (s *speaker) findKinds(kinds []client.Object) error {
	for _, kind := range kinds {
		gvk, err := apiutil.GVKForObject(kind, s.scheme)
		if err != nil {
			return fmt.Errorf("name the kind of %T: %w", kind, err)
		}
		if _, err := s.mapper.RESTMapping(gvk.GroupKind(), gvk.Version); err != nil {
			return fmt.Errorf("look for %s: %w", gvk, err)
		}
	}
	return nil
}

// healthy and ready are the probes.
func (s *speaker) healthy(r *http.Request) error {
	if now := s.running.Load(); now != nil {
		return errors.Join(now.loop.Healthy(r), now.layer2.responder.Healthy())
	}
	return nil
}

func (s *speaker) ready(r *http.Request) error {
	if now := s.running.Load(); now != nil {
		return errors.Join(now.loop.Ready(r), now.layer2.ready())
	}
	return errors.New("the API has not been reached yet")
}
