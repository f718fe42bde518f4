package announced

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/configstatus"
	"github.com/seed-551707bd/metallb-operator/internal/announce"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// view is what all Services are judged by.
type view struct {
	speakers map[string]announce.Speaker
	lost     map[string]bool
	input    announce.Input
	// survey is made when the first Service asks.
	survey *announce.Survey
	last   intent.Snapshot
}

// refresh reads the configuration, the nodes and what speakers say of themselves anew.
func (v *view) refresh(ctx context.Context, c client.Reader, o *Options) error {
	objects, err := kubeview.Read(ctx, c, o.Namespace)
	if err != nil {
		return fmt.Errorf("reading the configuration: %w", err)
	}
	speakers, err := configstatus.Speakers(ctx, c, o.Namespace)
	if err != nil {
		return err
	}
	snapshot, _ := intent.Build(kubeview.Raw(objects), v.last)
	v.last, v.speakers, v.survey = snapshot, speakers, nil
	v.lost = lost(objects.Nodes)
	v.input = announce.Input{Config: snapshot, IgnoreExcludeLabel: o.IgnoreExcludeLabel, Members: []string{}} // nil would be that all are alive
	for _, name := range slices.Sorted(maps.Keys(speakers)) {
		if !v.lost[name] {
			v.input.Members = append(v.input.Members, name)
		}
	}
	for i := range objects.Nodes {
		info := kubeview.NodeInfo(&objects.Nodes[i])
		info.Links = speakers[info.Name].Links
		v.input.Nodes = append(v.input.Nodes, info)
	}
	return nil
}

// lost returns the nodes that Kubernetes has not heard from for a while. When it has not heard from any, it is Kubernetes that is to be mistrusted.
func lost(nodes []corev1.Node) map[string]bool {
	names := map[string]bool{}
	for i := range nodes {
		if kubeview.Lost(&nodes[i]) {
			names[nodes[i].Name] = true
		}
	}
	if len(names) == len(nodes) {
		return nil
	}
	return names
}

// ask surveys the nodes about the Service of that key.
func (v *view) ask(key ipam.ServiceKey, services []*announce.Service) []announce.View {
	if v.survey == nil {
		v.survey = announce.NewSurvey(v.input)
	}
	return v.survey.Of(key, services)
}

// sharing returns the Service and those that have an address in common with it, with their endpoints.
func (r *reconciler) sharing(ctx context.Context, svc *announce.Service) []*announce.Service {
	all := []*announce.Service{svc}
	if svc.SharingKey == "" {
		return all
	}
	var list corev1.ServiceList
	if err := r.client.List(ctx, &list, client.UnsafeDisableDeepCopy); err != nil {
		return all // of a cache, once it is there, that does not happen
	}
	for i := range list.Items {
		other := &list.Items[i]
		if !r.Classes.Handle(other) || other.Namespace == svc.Key.Namespace && other.Name == svc.Key.Name {
			continue
		}
		one := r.service(other)
		for _, addr := range one.Addresses {
			if slices.Contains(svc.Addresses, addr) {
				all = append(all, one)
				break
			}
		}
	}
	return all
}

// service returns a Service as announcing sees it.
func (r *reconciler) service(svc *corev1.Service) *announce.Service {
	one := kubeview.Service(svc, nil)
	one.Endpoints = kubeview.Count(r.endpoints.about(one.Key)...)
	return &one
}

// assess judges a Service.
func (r *reconciler) assess(ctx context.Context, svc *corev1.Service) announce.Assessment {
	one := r.service(svc)
	heard := &announce.Heard{Routes: r.routes.about(one.Key), Speakers: r.view.speakers, Lost: r.view.lost}
	slices.SortFunc(heard.Routes, func(a, b announce.Route) int { return cmp.Compare(a.Node, b.Node) })
	heard.Answering = slices.Compact(slices.Sorted(slices.Values(r.answering.about(one.Key))))
	heard.Diagnoses = map[announce.Session]string{}
	for i := range heard.Routes {
		for _, peer := range heard.Routes[i].Peers {
			session := announce.Session{Node: heard.Routes[i].Node, Peer: peer}
			if said := r.sessions.about(session); len(said) > 0 {
				heard.Diagnoses[session] = said[0]
			}
		}
	}
	return announce.Assess(one, heard, func() []announce.View { return r.view.ask(one.Key, r.sharing(ctx, one)) })
}
