package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	"pgregory.net/rapid"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/api/v1beta2"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// fakeAPI is an API server of Services and pools that a test looks into, together with a cache of it that lags behind as the test likes.
type fakeAPI struct {
	*rapid.T
	version, uids int
	services      map[types.NamespacedName]*corev1.Service
	cache         map[types.NamespacedName]*corev1.Service
	pools         map[string]*v1beta1.IPAddressPool
	reservations  map[string]*v1beta1.IPReservation
	// calm are the Services that nobody has edited since all was at rest: they have no reason to lose an address.
	calm map[types.NamespacedName]bool
	// strangers have addresses on the network, asked are those that the controller wants to know about, proved those that it has heard
	// nobody has, or nothing, and used those that some Service had since all was at rest.
	strangers, proved, used map[netip.Addr]bool
	asked                   []netip.Addr
	elapsed                 time.Duration
	// fate is what becomes of writes of reservations.
	fate string
}

// checked is the part of the addresses that are looked for before they are given away.
func checked(addr netip.Addr) bool { return netip.MustParsePrefix("10.0.2.0/24").Contains(addr) }

func (a *fakeAPI) now() time.Time { return time.Unix(int64(a.version), 0).Add(a.elapsed) }

// Ask implements asker.
func (a *fakeAPI) Ask(addr netip.Addr) { a.asked = append(a.asked, addr) }

// reader reads from the cache, or from the API server if live is set.
type reader struct {
	*fakeAPI
	live bool
}

func (r reader) from() map[types.NamespacedName]*corev1.Service {
	if r.live {
		return r.services
	}
	return r.cache
}

// Get implements client.Reader for Services and pools.
func (r reader) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	if pool, ok := into.(*v1beta1.IPAddressPool); ok && r.pools[key.Name] != nil {
		r.pools[key.Name].DeepCopyInto(pool)
		return nil
	}
	svc, ok := r.from()[key]
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, key.Name)
	}
	svc.DeepCopyInto(into.(*corev1.Service))
	return nil
}

// List implements client.Reader for Services and the configuration.
func (r reader) List(_ context.Context, into client.ObjectList, _ ...client.ListOption) error {
	switch list := into.(type) {
	case *corev1.ServiceList:
		list.Items = nil
		for _, key := range slices.SortedFunc(maps.Keys(r.from()), byName) {
			list.Items = append(list.Items, *r.from()[key].DeepCopy())
		}
	case *v1beta1.IPAddressPoolList:
		list.Items = nil
		for _, name := range slices.Sorted(maps.Keys(r.pools)) {
			list.Items = append(list.Items, *r.pools[name])
		}
	case *v1beta1.IPReservationList:
		list.Items = nil
		for _, name := range slices.Sorted(maps.Keys(r.reservations)) {
			list.Items = append(list.Items, *r.reservations[name].DeepCopy())
		}
	case *v1beta1.AddressQuotaList, *corev1.NodeList, *v1beta2.BGPPeerList:
	default:
		return fmt.Errorf("listing %T", into)
	}
	return nil
}

func byName(a, b types.NamespacedName) int { return strings.Compare(a.Name, b.Name) }

var errUnavailable = errors.New("the API server is not available")

// Create and Update are not used by the code under test.
func (a *fakeAPI) Create(context.Context, client.Object, client.Object, ...client.SubResourceCreateOption) error {
	return errors.ErrUnsupported
}

func (a *fakeAPI) Update(context.Context, client.Object, ...client.SubResourceUpdateOption) error {
	return errors.ErrUnsupported
}

func (a *fakeAPI) Apply(context.Context, runtime.ApplyConfiguration, ...client.SubResourceApplyOption) error {
	return errors.ErrUnsupported
}

// Patch writes the status of a reservation.
func (a *fakeAPI) Patch(_ context.Context, obj client.Object, patch client.Patch, _ ...client.SubResourcePatchOption) error {
	r, ok := obj.(*v1beta1.IPReservation)
	if !ok {
		return fmt.Errorf("patching %T", obj)
	}
	return a.writeReservation(r, patch)
}

// patchService is a patcher. It applies a patch, or fails before or after it has done so, as the test draws.
func (a *fakeAPI) patchService(_ context.Context, key types.NamespacedName, patch []byte) (string, error) {
	outcome := rapid.SampledFrom([]string{"", "", "", "", lost, answerLost}).Draw(a.T, "outcome of the write of "+key.Name)
	if outcome == lost {
		return "", errUnavailable
	}
	svc, ok := a.services[key]
	if !ok {
		return "", apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, key.Name)
	}
	before, err := json.Marshal(svc)
	if err != nil {
		return "", err
	}
	text, err := strategicpatch.StrategicMergePatch(before, patch, corev1.Service{})
	if err != nil {
		return "", err
	}
	after := &corev1.Service{}
	if err := json.Unmarshal(text, after); err != nil {
		return "", err
	}
	if after.UID != svc.UID {
		return "", apierrors.NewConflict(schema.GroupResource{Resource: "services"}, key.Name, errors.New("UID differs"))
	}
	if after.Spec.Type != corev1.ServiceTypeLoadBalancer && len(after.Status.LoadBalancer.Ingress) > 0 {
		return "", apierrors.NewBadRequest("status.loadBalancer.ingress may only be used when spec.type is LoadBalancer")
	}
	a.judge(svc, after)
	a.put(after)
	if outcome != "" {
		return "", errUnavailable
	}
	return after.ResourceVersion, nil
}

// The ways in which a write may fail.
const (
	lost       = "lost"
	answerLost = "answer lost"
)

// writeReservation is drawn for before, because the controller writes reservations from goroutines of their own.
func (a *fakeAPI) writeReservation(r *v1beta1.IPReservation, patch client.Patch) error {
	if a.fate != lost {
		a.applyReservation(r, patch)
	}
	if a.fate != "" {
		return errUnavailable
	}
	return nil
}

// applyReservation takes over a status, which the controller writes as a whole.
func (a *fakeAPI) applyReservation(r *v1beta1.IPReservation, patch client.Patch) {
	body, err := patch.Data(r)
	if err != nil {
		a.Fatal(err)
	}
	var sent v1beta1.IPReservation
	if err := json.Unmarshal(body, &sent); err != nil {
		a.Fatal(err)
	}
	have := a.reservations[r.Name]
	if have == nil || have.UID != sent.UID {
		return
	}
	if had := have.Status.Addresses; have.Spec.Pool != "" && len(had) > 0 && len(sent.Status.Addresses) > 0 && !slices.Equal(had, sent.Status.Addresses) {
		a.Fatalf("IPReservation %s kept %v and now %v", r.Name, had, sent.Status.Addresses)
	}
	have = have.DeepCopy()
	have.Status = sent.Status
	a.reservations[r.Name] = have
}

func (a *fakeAPI) put(svc *corev1.Service) {
	a.version++
	svc.ResourceVersion = strconv.Itoa(a.version)
	a.services[client.ObjectKeyFromObject(svc)] = svc
}

// judge fails the test if a write of the controller takes an address away without a reason, or gives one that another Service has.
func (a *fakeAPI) judge(before, after *corev1.Service) {
	key := client.ObjectKeyFromObject(after)
	had, _ := kubeview.Held(before)
	has, _ := kubeview.Held(after)
	for _, addr := range had {
		if !slices.Contains(has, addr) && a.calm[key] {
			a.Fatalf("%s loses %s though nobody changed it", key, addr)
		}
	}
	for _, addr := range has {
		if slices.Contains(had, addr) {
			continue
		}
		for _, other := range a.services {
			held, _ := kubeview.Held(other)
			if client.ObjectKeyFromObject(other) != key && slices.Contains(held, addr) && !mayShare(after, other) {
				a.Fatalf("%s gets %s, which %s has", key, addr, other.Name)
			}
		}
		if checked(addr) && !a.used[addr] && !a.proved[addr] {
			a.Fatalf("%s gets %s, and nobody has looked whether it is free", key, addr)
		}
		a.used[addr] = true
		a.judgeReserved(key, addr)
	}
}

// judgeReserved fails the test if a Service gets an address that is chosen for others.
func (a *fakeAPI) judgeReserved(key types.NamespacedName, addr netip.Addr) {
	for _, r := range a.reservations {
		if r.Spec.Pool != "" && slices.Contains(r.Status.Addresses, addr.String()) && r.Spec.ServiceName != key.Name {
			a.Fatalf("%s gets %s, which is kept for %s", key, addr, r.Spec.ServiceName)
		}
	}
}

func mayShare(a, b *corev1.Service) bool {
	s, o := kubeview.Request(a, nil).Sharing, kubeview.Request(b, nil).Sharing
	return s.Key != "" && s.Key == o.Key && s.Ports[0] != o.Ports[0]
}
