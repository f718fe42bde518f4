package admission

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/ipam"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// pageSize is how many Services are read at a time, so that reading all of them takes little memory.
const pageSize = 500

// gather reads the configuration as it is now. The API server itself is asked, not a cache: an object that was created a moment ago
// counts, and nothing is held in memory between two requests. Of Nodes, which are many and rarely change their labels, the cache is asked.
func (h *Handler) gather(ctx context.Context) (kubeview.Objects, error) {
	objects, err := kubeview.ReadAll(ctx, reader{Reader: h.Live, nodes: h.Nodes}, h.Namespace)
	if err != nil {
		return kubeview.Objects{}, fmt.Errorf("read the configuration: %w", err)
	}
	return objects, nil
}

// reader reads from the API server, but for Nodes, and leaves out Secrets: those that matter are read by name.
type reader struct {
	client.Reader
	nodes client.Reader
}

// List implements client.Reader.
func (r reader) List(ctx context.Context, list client.ObjectList, opts ...client.ListOption) error {
	switch list.(type) {
	case *corev1.NodeList:
		return r.nodes.List(ctx, list, opts...)
	case *corev1.SecretList:
		return nil
	default:
		return r.Reader.List(ctx, list, opts...)
	}
}

// secrets reads the Secrets that BGPPeers name, and no others: a Secret of Helm's is as large as all the configuration.
func (h *Handler) secrets(ctx context.Context, objects kubeview.Objects) ([]corev1.Secret, error) {
	var found []corev1.Secret
	seen := map[string]bool{}
	for i := range objects.Peers {
		name := objects.Peers[i].Spec.PasswordSecret.Name
		if name == "" || seen[name] {
			continue
		}
		seen[name] = true
		var secret corev1.Secret
		err := h.Live.Get(ctx, client.ObjectKey{Namespace: h.Namespace, Name: name}, &secret)
		if apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read Secret %s/%s: %w", h.Namespace, name, err)
		}
		found = append(found, secret)
	}
	return found, nil
}

// addListening tells both configurations whether the nodes accept sessions, where a peer wants that. What the operator is told to do counts, also
// while speakers are still on their way to it.
func (h *Handler) addListening(ctx context.Context, before, after *kubeview.Objects) error {
	waits := func(p v1beta2.BGPPeer) bool { return p.Spec.ListenRange != "" }
	if !slices.ContainsFunc(before.Peers, waits) && !slices.ContainsFunc(after.Peers, waits) {
		return nil
	}
	var installation v1beta1.MetalLB
	err := h.Live.Get(ctx, client.ObjectKey{Namespace: h.Namespace, Name: v1beta1.MetalLBName}, &installation)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("read MetalLB %s/%s: %w", h.Namespace, v1beta1.MetalLBName, err)
	}
	listens := installation.Spec.BGPListenPort != nil
	before.Listens, after.Listens = listens, listens
	return nil
}

// losses asks a about every Service that has addresses. Of which class it is does not matter: an address in its status is live.
func (h *Handler) losses(ctx context.Context, a accounts, selecting bool) ([]loss, error) {
	labels := map[string]map[string]string{}
	if selecting {
		var err error
		if labels, err = h.namespaceLabels(ctx); err != nil {
			return nil, err
		}
	}
	var lost []loss
	var page corev1.ServiceList
	for {
		if err := h.Live.List(ctx, &page, client.Limit(pageSize), client.Continue(page.Continue), client.MatchingFieldsSelector{
			Selector: fields.OneTermEqualSelector("spec.type", string(corev1.ServiceTypeLoadBalancer)),
		}); err != nil {
			return nil, fmt.Errorf("list Services: %w", err)
		}
		for i := range page.Items {
			svc := &page.Items[i]
			held, pool := kubeview.Held(svc)
			if len(held) == 0 {
				continue
			}
			if addresses := a.losses(kubeview.Request(svc, labels[svc.Namespace]), held, pool); len(addresses) > 0 {
				lost = append(lost, loss{service: ipam.ServiceKey{Namespace: svc.Namespace, Name: svc.Name}, addresses: addresses})
			}
		}
		if page.Continue == "" {
			return lost, nil
		}
	}
}

func (h *Handler) namespaceLabels(ctx context.Context) (map[string]map[string]string, error) {
	list := metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("NamespaceList"))
	if err := h.Live.List(ctx, &list); err != nil {
		return nil, fmt.Errorf("list namespaces: %w", err)
	}
	labels := make(map[string]map[string]string, len(list.Items))
	for i := range list.Items {
		labels[list.Items[i].Name] = list.Items[i].Labels
	}
	return labels, nil
}

// ending tells whether a namespace is being deleted: nothing in it is protected any more.
func (h *Handler) ending(ctx context.Context, name string) (bool, error) {
	var namespace metav1.PartialObjectMetadata
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := h.Live.Get(ctx, client.ObjectKey{Name: name}, &namespace); err != nil {
		if apierrors.IsNotFound(err) {
			return true, nil
		}
		return false, fmt.Errorf("read namespace %s: %w", name, err)
	}
	return !namespace.DeletionTimestamp.IsZero(), nil
}
