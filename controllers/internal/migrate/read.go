package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// pageSize is how many objects are read at a time.
const pageSize = 500

// kind is something to be read.
type kind struct {
	schema.GroupVersionKind
	// needed: without it nothing can be said.
	needed bool
	opts   []client.ListOption
}

func some(group, version string, names ...string) []kind {
	var all []kind
	for _, name := range names {
		all = append(all, kind{GroupVersionKind: schema.GroupVersionKind{Group: group, Version: version, Kind: name}})
	}
	return all
}

// everywhere are the kinds that are read in all namespaces.
func everywhere() []kind {
	all := []kind{
		{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Service"}, needed: true},
		{GroupVersionKind: v1beta1.GroupVersion.WithKind("IPAddressPool"), needed: true},
	}
	for _, more := range [][]kind{
		some("", "v1", "Namespace", "Node"),
		some(v1beta1.GroupVersion.Group, v1beta1.GroupVersion.Version, "BGPAdvertisement", "L2Advertisement", "BFDProfile", "Community", "MetalLB", "AddressPool",
			"IPReservation", "AddressQuota", "FRRSnippet"),
		some(v1beta2.GroupVersion.Group, v1beta2.GroupVersion.Version, "BGPPeer"),
		some("apps", "v1", "Deployment", "DaemonSet"),
		some("admissionregistration.k8s.io", "v1", "ValidatingWebhookConfiguration"),
		some("apiextensions.k8s.io", "v1", "CustomResourceDefinition"),
		some(groupFRR, "v1beta1", kindFRRConfiguration),
		some(groupOLM, "v1alpha1", "Subscription"),
	} {
		all = append(all, more...)
	}
	return all
}

// Read reads what Check looks at from a cluster. namespace is where MetalLB is; empty finds out. What the caller may not read is noted in Unread,
// unless nothing can be said without it.
func Read(ctx context.Context, c client.Reader, namespace string) (*World, error) {
	var unread []string
	objects, err := readAll(ctx, c, everywhere(), &unread)
	if err != nil {
		return nil, err
	}
	if namespace == "" {
		namespace = home(objects)
	}
	in := client.InNamespace(namespace)
	// Passwords of BGPPeers are in Secrets of this type only, so that no other is read.
	passwords := client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("type", string(corev1.SecretTypeBasicAuth))}
	more, err := readAll(ctx, c, []kind{
		{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "ConfigMap"}, opts: []client.ListOption{in}},
		{GroupVersionKind: schema.GroupVersionKind{Group: "networking.k8s.io", Version: "v1", Kind: "NetworkPolicy"}, opts: []client.ListOption{in}},
		{GroupVersionKind: schema.GroupVersionKind{Version: "v1", Kind: "Secret"}, opts: []client.ListOption{in, passwords}},
	}, &unread)
	if err != nil {
		return nil, err
	}
	w, err := NewWorld(append(objects, more...), namespace)
	if w != nil {
		w.Unread = unread
	}
	return w, err
}

func readAll(ctx context.Context, c client.Reader, kinds []kind, unread *[]string) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	for _, k := range kinds {
		found, err := readKind(ctx, c, k)
		switch {
		case err == nil:
			all = append(all, found...)
		case meta.IsNoMatchError(err): // the cluster has no such kind
		case k.needed:
			return nil, fmt.Errorf("read %ss: %w", k.Kind, err)
		default:
			*unread = append(*unread, fmt.Sprintf("%ss could not be read and count as if there were none: %v", k.Kind, err))
		}
	}
	return all, nil
}

func readKind(ctx context.Context, c client.Reader, k kind) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	page := &unstructured.UnstructuredList{}
	for {
		next := page.GetContinue()
		page = &unstructured.UnstructuredList{}
		page.SetGroupVersionKind(k.GroupVersion().WithKind(k.Kind + "List"))
		opts := append([]client.ListOption{client.Limit(pageSize), client.Continue(next)}, k.opts...)
		if err := c.List(ctx, page, opts...); err != nil {
			return nil, err
		}
		for i := range page.Items {
			all = append(all, &page.Items[i])
		}
		if page.GetContinue() == "" {
			return all, nil
		}
	}
}

// Decode reads the objects of YAML or JSON, as "kubectl get -o yaml" prints them: one after another or in lists.
func Decode(text []byte) ([]*unstructured.Unstructured, error) {
	var all []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := decoder.Decode(&o.Object); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("object %d: %w", len(all)+1, err)
		}
		switch {
		case len(o.Object) == 0:
		case o.IsList():
			items, err := o.ToList()
			if err != nil {
				return nil, fmt.Errorf("object %d: %w", len(all)+1, err)
			}
			for i := range items.Items {
				all = append(all, &items.Items[i])
			}
		default:
			all = append(all, o)
		}
	}
}
