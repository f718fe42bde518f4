package configstatus

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/intent"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// target is an object with the conditions that it has.
type target struct {
	ref    intent.ObjectRef
	object client.Object
	have   []metav1.Condition
	// refs tells that the kind refers to others, and so has the condition ResolvedRefs.
	refs bool
	// programmed tells that speakers report which generation of it is in force, and so has the condition Programmed.
	programmed bool
	// rest are the fields of the status that the API server wants beside conditions, as they are.
	rest map[string]any
}

// targets lists every object that gets conditions.
func targets(o kubeview.Objects) []target {
	var out []target
	add := func(kind string, object client.Object, have []metav1.Condition, refs bool) *target {
		ref := intent.ObjectRef{Kind: kind, Namespace: object.GetNamespace(), Name: object.GetName()}
		out = append(out, target{ref: ref, object: object, have: have, refs: refs})
		return &out[len(out)-1]
	}
	for i := range o.Pools {
		p := &o.Pools[i]
		// A status of a pool is not valid without its counters. The patch carries the resource version, so that it never takes them back.
		add(intent.KindPool, p, p.Status.Conditions, false).rest = map[string]any{
			"assignedIPv4": p.Status.AssignedIPv4, "assignedIPv6": p.Status.AssignedIPv6,
			"availableIPv4": p.Status.AvailableIPv4, "availableIPv6": p.Status.AvailableIPv6,
		}
	}
	for i := range o.Reservations {
		add(intent.KindReservation, &o.Reservations[i], o.Reservations[i].Status.Conditions, true)
	}
	for i := range o.Quotas {
		add(intent.KindQuota, &o.Quotas[i], o.Quotas[i].Status.Conditions, true)
	}
	for i := range o.Peers {
		add(intent.KindPeer, &o.Peers[i], o.Peers[i].Status.Conditions, true).programmed = true
	}
	for i := range o.BGPAdvertisements {
		add(intent.KindBGPAdvertisement, &o.BGPAdvertisements[i], o.BGPAdvertisements[i].Status.Conditions, true).programmed = true
	}
	for i := range o.L2Advertisements {
		add(intent.KindL2Advertisement, &o.L2Advertisements[i], o.L2Advertisements[i].Status.Conditions, true)
	}
	for i := range o.BFDProfiles {
		add(intent.KindBFDProfile, &o.BFDProfiles[i], o.BFDProfiles[i].Status.Conditions, false).programmed = true
	}
	for i := range o.Communities {
		add(intent.KindCommunity, &o.Communities[i], o.Communities[i].Status.Conditions, false).programmed = true
	}
	for i := range o.Snippets {
		add(intent.KindSnippet, &o.Snippets[i], o.Snippets[i].Status.Conditions, false).programmed = true
	}
	return out
}

// kinds are the kinds that get conditions.
func kinds() []client.Object {
	return []client.Object{
		&v1beta1.IPAddressPool{}, &v1beta1.IPReservation{}, &v1beta1.AddressQuota{},
		&v1beta2.BGPPeer{}, &v1beta1.BGPAdvertisement{}, &v1beta1.L2Advertisement{}, &v1beta1.BFDProfile{}, &v1beta1.Community{}, &v1beta1.FRRSnippet{},
	}
}
