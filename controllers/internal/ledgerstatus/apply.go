package ledgerstatus

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/controllers/internal/reservation"
)

// fieldOwner is whose the fields are that this package writes. Conditions of other types on the same objects are somebody else's.
const fieldOwner = client.FieldOwner("metallb-controller")

// ApplyReservation writes what an IPReservation keeps to its status. The object is to have name, namespace and UID; with a resource version
// the write fails if the object has changed since.
func ApplyReservation(ctx context.Context, to client.SubResourceWriter, o *v1beta1.IPReservation, s *reservation.Status) error {
	status := map[string]any{}
	if len(s.Addresses) > 0 {
		status["addresses"] = texts(s.Addresses)
	}
	if len(s.Services) > 0 {
		status["services"] = s.Services
	}
	if !s.UnusedSince.IsZero() {
		status["unusedSince"] = metav1.NewTime(s.UnusedSince)
	}
	if s.Verdict.Type != "" {
		status["conditions"] = []metav1.Condition{s.Verdict}
	}
	return apply(ctx, to, "IPReservation", o, &v1beta1.IPReservation{}, status)
}

func texts(addrs []netip.Addr) []string {
	out := make([]string, len(addrs))
	for i, addr := range addrs {
		out[i] = addr.String()
	}
	return out
}

// apply makes the API show exactly these fields of o's status as this program's. The answer goes into answer.
func apply(ctx context.Context, to client.SubResourceWriter, kind string, o, answer client.Object, status map[string]any) error {
	meta := map[string]any{"name": o.GetName(), "namespace": o.GetNamespace(), "uid": o.GetUID()}
	if v := o.GetResourceVersion(); v != "" {
		meta["resourceVersion"] = v
	}
	body, err := json.Marshal(map[string]any{"apiVersion": v1beta1.GroupVersion.String(), "kind": kind, "metadata": meta, "status": status})
	if err != nil {
		return fmt.Errorf("composing the status: %w", err)
	}
	answer.SetName(o.GetName())
	answer.SetNamespace(o.GetNamespace())
	return to.Patch(ctx, answer, client.RawPatch(types.ApplyPatchType, body), fieldOwner, client.ForceOwnership)
}
