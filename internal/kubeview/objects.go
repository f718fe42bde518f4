// Package kubeview turns API objects into the plain values that the pure core works on. It alone reads annotations, label selectors and
// endpoint conditions.
package kubeview

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
)

// Objects are the API objects that make up the configuration, as they were read. What their fields point to may belong to an informer's
// cache: nobody may change it.
type Objects struct {
	// Namespace is the one that all but the Nodes were read from.
	Namespace string
	// Listens tells that the nodes accept BGP sessions which routers open. It is no object's here: whoever reads the objects knows it from how the
	// installation is set up.
	Listens           bool
	Pools             []v1beta1.IPAddressPool
	Peers             []v1beta2.BGPPeer
	BGPAdvertisements []v1beta1.BGPAdvertisement
	L2Advertisements  []v1beta1.L2Advertisement
	BFDProfiles       []v1beta1.BFDProfile
	Communities       []v1beta1.Community
	// Reservations and Quotas concern only who gives out addresses; ReadAll reads them, Read does not.
	Reservations []v1beta1.IPReservation
	Quotas       []v1beta1.AddressQuota
	Snippets     []v1beta1.FRRSnippet
	// Extras is the ConfigMap bgpextras, if there is one; only ReadForNode reads it.
	Extras  []corev1.ConfigMap
	Secrets []corev1.Secret
	Nodes   []corev1.Node
}

// Read lists everything in namespace that announcing depends on, and all Nodes. It is meant for a reader backed by informers: it asks for the
// objects without copying them. Any list that fails fails the whole, so that an object is never taken for deleted because it could not be read.
func Read(ctx context.Context, c client.Reader, namespace string) (Objects, error) {
	var (
		pools       v1beta1.IPAddressPoolList
		peers       v1beta2.BGPPeerList
		bgp         v1beta1.BGPAdvertisementList
		l2          v1beta1.L2AdvertisementList
		profiles    v1beta1.BFDProfileList
		communities v1beta1.CommunityList
		snippets    v1beta1.FRRSnippetList
		secrets     corev1.SecretList
		nodes       corev1.NodeList
	)
	in := []client.ListOption{client.InNamespace(namespace)}
	err := list(ctx, c, []listing{
		{"IPAddressPools", &pools, in},
		{"BGPPeers", &peers, in},
		{"BGPAdvertisements", &bgp, in},
		{"L2Advertisements", &l2, in},
		{"BFDProfiles", &profiles, in},
		{"Communities", &communities, in},
		{"FRRSnippets", &snippets, in},
		{"Secrets", &secrets, in},
		{"Nodes", &nodes, nil},
	})
	if err != nil {
		return Objects{}, err
	}
	return Objects{
		Namespace:         namespace,
		Pools:             pools.Items,
		Peers:             peers.Items,
		BGPAdvertisements: bgp.Items,
		L2Advertisements:  l2.Items,
		BFDProfiles:       profiles.Items,
		Communities:       communities.Items,
		Snippets:          snippets.Items,
		Secrets:           secrets.Items,
		Nodes:             nodes.Items,
	}, nil
}

// ReadForNode lists what Read does, and in namespace what only who configures a node's FRR uses.
func ReadForNode(ctx context.Context, c client.Reader, namespace string) (Objects, error) {
	objects, err := Read(ctx, c, namespace)
	if err != nil {
		return Objects{}, err
	}
	var maps corev1.ConfigMapList
	if err := list(ctx, c, []listing{{"ConfigMaps", &maps, []client.ListOption{client.InNamespace(namespace)}}}); err != nil {
		return Objects{}, err
	}
	for i := range maps.Items {
		if maps.Items[i].Name == v1beta1.ExtrasConfigMap {
			objects.Extras = append(objects.Extras, maps.Items[i])
		}
	}
	return objects, nil
}

// ReadAll lists what Read does, and in namespace what only giving out addresses depends on.
func ReadAll(ctx context.Context, c client.Reader, namespace string) (Objects, error) {
	objects, err := Read(ctx, c, namespace)
	if err != nil {
		return Objects{}, err
	}
	var (
		reservations v1beta1.IPReservationList
		quotas       v1beta1.AddressQuotaList
	)
	in := []client.ListOption{client.InNamespace(namespace)}
	if err := list(ctx, c, []listing{{"IPReservations", &reservations, in}, {"AddressQuotas", &quotas, in}}); err != nil {
		return Objects{}, err
	}
	objects.Reservations, objects.Quotas = reservations.Items, quotas.Items
	return objects, nil
}

// listing is one list to read.
type listing struct {
	what string
	into client.ObjectList
	opts []client.ListOption
}

func list(ctx context.Context, c client.Reader, listings []listing) error {
	for _, l := range listings {
		if err := c.List(ctx, l.into, append(slices.Clone(l.opts), client.UnsafeDisableDeepCopy)...); err != nil {
			return fmt.Errorf("listing %s: %w", l.what, err)
		}
	}
	return nil
}
