// Package migrate says what becomes of a cluster that runs MetalLB when this product takes its place: Check forecasts every Service's addresses with the
// allocator's own rules and judges the configuration with the programs' own; Steps says how to do it. It changes nothing.
package migrate

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/seed-551707bd/metallb-operator/api/v1beta1"
	"github.com/seed-551707bd/metallb-operator/internal/kubeview"
)

// DefaultNamespace is where MetalLB is in its own manifests.
const DefaultNamespace = "metallb-system"

// Groups of APIs that are looked at.
const (
	group    = "metallb.io"
	groupFRR = "frrk8s.metallb.io"
	groupOLM = "operators.coreos.com"
)

// World is what was found of MetalLB in a cluster.
type World struct {
	// Namespace is where MetalLB and its configuration are.
	Namespace string
	// Objects are the configuration.
	Objects kubeview.Objects
	// Services are all of the cluster; NamespaceLabels are those of its namespaces.
	Services        []corev1.Service
	NamespaceLabels map[string]map[string]string
	// Workloads are MetalLB's Deployments and DaemonSets, wherever they are, in the order in which they were found.
	Workloads []*Workload
	// ConfigMaps are those of Namespace.
	ConfigMaps []corev1.ConfigMap
	// Policies are the NetworkPolicies of Namespace.
	Policies []networkingv1.NetworkPolicy
	// Installations are the MetalLB objects of Namespace.
	Installations []v1beta1.MetalLB
	// Webhooks and Definitions are those that concern MetalLB's kinds.
	Webhooks    []admissionv1.ValidatingWebhookConfiguration
	Definitions []apiextensionsv1.CustomResourceDefinition
	// FRR are objects of frr-k8s, and Others those that nothing here knows: of old kinds of MetalLB's, and of OLM that concern it.
	FRR, Others []*unstructured.Unstructured
	// Releases are the names of Helm's releases in Namespace that MetalLB is part of.
	Releases []string
	// Elsewhere are configuration objects in other namespaces, which MetalLB does not look at either.
	Elsewhere []string
	// Unknown are fields of configuration objects, each with its object, that this product does not know.
	Unknown []UnknownField
	// Unread says which kinds could not be read, and why.
	Unread []string
}

// UnknownField is something in an object that this product does not know.
type UnknownField struct{ Object, Text string }

// NewWorld sorts objects. namespace is where MetalLB is; empty finds out from where its pods are, or else its pools.
func NewWorld(objects []*unstructured.Unstructured, namespace string) (*World, error) {
	w := &World{Namespace: namespace, NamespaceLabels: map[string]map[string]string{}}
	if w.Namespace == "" {
		w.Namespace = home(objects)
	}
	w.Objects.Namespace = w.Namespace
	releases := map[string]bool{}
	var errs []error
	for _, o := range objects {
		if err := w.add(o); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", nameOf(o), err))
		}
		if release := o.GetAnnotations()[helmRelease]; release != "" && w.concerns(o) {
			releases[release] = true
		}
	}
	w.Releases = slices.Sorted(maps.Keys(releases))
	slices.SortFunc(w.Services, func(a, b corev1.Service) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return w, errors.Join(errs...)
}

// helmRelease is what Helm notes on everything that it installs.
const helmRelease = "meta.helm.sh/release-name"

// concerns tells whether an object is a program of MetalLB's or one of its definitions.
func (w *World) concerns(o *unstructured.Unstructured) bool {
	return o.GetKind() == "CustomResourceDefinition" && strings.HasSuffix(o.GetName(), "."+group) ||
		slices.ContainsFunc(w.Workloads, func(l *Workload) bool {
			return l.Kind == o.GetKind() && l.Namespace == o.GetNamespace() && l.Name == o.GetName()
		})
}

// home is the namespace of the speakers, or else of the configuration.
func home(objects []*unstructured.Unstructured) string {
	for _, is := range []func(*unstructured.Unstructured) bool{
		func(o *unstructured.Unstructured) bool {
			if o.GetKind() != "DaemonSet" {
				return false
			}
			l, err := readWorkload(o)
			return err == nil && l != nil && l.Role == RoleSpeaker
		},
		func(o *unstructured.Unstructured) bool { return o.GetKind() == "MetalLB" },
		func(o *unstructured.Unstructured) bool { return o.GetKind() == "IPAddressPool" },
	} {
		if i := slices.IndexFunc(objects, is); i >= 0 {
			return objects[i].GetNamespace()
		}
	}
	return DefaultNamespace
}

// nameOf names an object as problems do.
func nameOf(o client.Object) string {
	kind := o.GetObjectKind().GroupVersionKind().Kind
	if o.GetNamespace() == "" {
		return kind + " " + o.GetName()
	}
	return kind + " " + o.GetNamespace() + "/" + o.GetName()
}

// add puts an object where it belongs. Those that do not matter are left out.
func (w *World) add(o *unstructured.Unstructured) error {
	kind := o.GroupVersionKind()
	switch kind.Group {
	case group:
		return w.addConfiguration(o)
	case groupFRR:
		w.FRR = append(w.FRR, o)
		return nil
	case groupOLM:
		if name, _, _ := unstructured.NestedString(o.Object, "spec", "name"); name == "metallb-operator" {
			w.Others = append(w.Others, o)
		}
		return nil
	default:
		return w.addBuiltIn(o)
	}
}

// addBuiltIn takes in an object of Kubernetes' own kinds.
func (w *World) addBuiltIn(o *unstructured.Unstructured) error {
	switch o.GetKind() {
	case "Service":
		return w.addService(o)
	case "Namespace":
		w.NamespaceLabels[o.GetName()] = o.GetLabels()
		return nil
	case "Node":
		return into(o, &w.Objects.Nodes)
	case "Deployment", "DaemonSet":
		l, err := readWorkload(o)
		if l != nil {
			w.Workloads = append(w.Workloads, l)
		}
		return err
	case "ValidatingWebhookConfiguration":
		return w.addWebhooks(o)
	case "CustomResourceDefinition":
		if strings.HasSuffix(o.GetName(), "."+group) {
			return into(o, &w.Definitions)
		}
		return nil
	}
	if o.GetNamespace() != w.Namespace {
		return nil
	}
	switch o.GetKind() {
	case "ConfigMap":
		if o.GetName() == v1beta1.ExtrasConfigMap {
			if err := into(o, &w.Objects.Extras); err != nil {
				return err
			}
		}
		return into(o, &w.ConfigMaps)
	case "NetworkPolicy":
		return into(o, &w.Policies)
	case "Secret":
		return into(o, &w.Objects.Secrets)
	}
	return nil
}

// addService takes in a Service. One from a file that its author wrote has no cluster IPs yet: it will have one of each family that it names.
func (w *World) addService(o *unstructured.Unstructured) error {
	if err := into(o, &w.Services); err != nil {
		return err
	}
	spec := &w.Services[len(w.Services)-1].Spec
	if spec.Type != corev1.ServiceTypeLoadBalancer || spec.ClusterIP != "" || len(spec.ClusterIPs) > 0 {
		return nil
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	for _, family := range spec.IPFamilies {
		unspecified := netip.IPv4Unspecified()
		if family == corev1.IPv6Protocol {
			unspecified = netip.IPv6Unspecified()
		}
		spec.ClusterIPs = append(spec.ClusterIPs, unspecified.String())
	}
	return nil
}

// addConfiguration takes in an object of metallb.io.
func (w *World) addConfiguration(o *unstructured.Unstructured) error {
	kind := o.GetKind()
	if slices.Contains([]string{"ServiceL2Status", "ServiceBGPStatus", "ConfigurationState", "BGPSessionState", "AddressProbe"}, kind) {
		return nil // written by programs, gone with their pods
	}
	if o.GetNamespace() != w.Namespace {
		w.Elsewhere = append(w.Elsewhere, nameOf(o))
		return nil
	}
	switch kind {
	case "IPAddressPool":
		return strictly(w, o, &w.Objects.Pools)
	case "BGPPeer":
		return w.addPeer(o)
	case "BGPAdvertisement":
		return strictly(w, o, &w.Objects.BGPAdvertisements)
	case "L2Advertisement":
		return strictly(w, o, &w.Objects.L2Advertisements)
	case "BFDProfile":
		return strictly(w, o, &w.Objects.BFDProfiles)
	case "Community":
		return strictly(w, o, &w.Objects.Communities)
	case "IPReservation":
		return strictly(w, o, &w.Objects.Reservations)
	case "AddressQuota":
		return strictly(w, o, &w.Objects.Quotas)
	case "FRRSnippet":
		return strictly(w, o, &w.Objects.Snippets)
	case "MetalLB":
		return strictly(w, o, &w.Installations)
	default:
		w.Others = append(w.Others, o)
		return nil
	}
}

// addPeer takes in a BGPPeer of either version.
func (w *World) addPeer(o *unstructured.Unstructured) error {
	if o.GroupVersionKind().Version != v1beta1.GroupVersion.Version {
		return strictly(w, o, &w.Objects.Peers)
	}
	var old []v1beta1.BGPPeer //nolint:staticcheck // deprecated for users; their objects are read all the same
	if err := strictly(w, o, &old); err != nil {
		return err
	}
	w.Objects.Peers = append(w.Objects.Peers, *old[0].ToV1beta2())
	return nil
}

// addWebhooks takes in webhooks that are asked about MetalLB's kinds, but for this product's own: those never refuse because nobody answers.
func (w *World) addWebhooks(o *unstructured.Unstructured) error {
	var hooks admissionv1.ValidatingWebhookConfiguration
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &hooks); err != nil {
		return err
	}
	refuses := func(h admissionv1.ValidatingWebhook) bool {
		asked := func(r admissionv1.RuleWithOperations) bool {
			return slices.Contains(r.APIGroups, group) || slices.Contains(r.APIGroups, groupFRR)
		}
		return (h.FailurePolicy == nil || *h.FailurePolicy == admissionv1.Fail) && slices.ContainsFunc(h.Rules, asked)
	}
	if slices.ContainsFunc(hooks.Webhooks, refuses) {
		w.Webhooks = append(w.Webhooks, hooks)
	}
	return nil
}

// into adds o to a list of its type.
func into[T any](o *unstructured.Unstructured, list *[]T) error {
	var typed T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, &typed); err != nil {
		return err
	}
	*list = append(*list, typed)
	return nil
}

// strictly is into for what users write: fields that the type does not have are noted.
func strictly[T any](w *World, o *unstructured.Unstructured, list *[]T) error {
	var typed T
	err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &typed, true)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		for _, e := range strict.Errors() {
			w.Unknown = append(w.Unknown, UnknownField{nameOf(o), e.Error()})
		}
	} else if err != nil {
		return err
	}
	*list = append(*list, typed)
	return nil
}
