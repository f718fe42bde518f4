package migrate

import (
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-551707bd/metallb-operator/controllers/internal/operator/manifests"
)

// leftovers says what of MetalLB's would stand in the way, and what becomes of the ConfigMaps.
func (r *Report) leftovers(w *World) {
	r.configMaps(w)
	for i := range w.Policies {
		p := &w.Policies[i]
		if all := p.Spec.PodSelector; len(all.MatchLabels)+len(all.MatchExpressions) == 0 && p.Labels[manifests.LabelManagedBy] != manifests.ManagedBy {
			r.add(Act, "NetworkPolicy "+p.Namespace+"/"+p.Name, "delete it, or let the operator reach the API server by another one",
				"is for all pods of the namespace, this product's operator among them")
		}
	}
	for i := range w.Webhooks {
		r.add(Act, "ValidatingWebhookConfiguration "+w.Webhooks[i].Name, "delete it (step 3)",
			"refuses edits of the configuration as soon as MetalLB does not answer")
	}
	for i := range w.Definitions {
		if d := &w.Definitions[i]; converts(d) {
			r.add(Act, "CustomResourceDefinition "+d.Name, "replace it (step 4)", "asks MetalLB to convert between versions")
		}
	}
	for _, release := range w.Releases {
		r.add(Act, "Helm release "+w.Namespace+"/"+release, "make Helm forget it (step 5)",
			"helm uninstall would delete the definitions and with them all pools, peers and advertisements")
	}
	for _, o := range w.Others {
		switch o.GetKind() {
		case "AddressPool":
			r.add(Act, nameOf(o), "write it as an IPAddressPool and an advertisement", "is of a kind that MetalLB gave up in 0.14")
		case "Subscription", "ClusterServiceVersion":
			r.add(Act, nameOf(o), "delete it (step 2)", "OLM would put MetalLB's operator back")
		default:
			r.add(Note, nameOf(o), "", "is of a kind that is not known here")
		}
	}
	r.frr(w)
	for _, kind := range w.Unread {
		r.add(Note, "reading", "", "%s", kind)
	}
}

// configMaps says what becomes of those that are not judged with the configuration.
func (r *Report) configMaps(w *World) {
	for i := range w.ConfigMaps {
		m := &w.ConfigMaps[i]
		name := "ConfigMap " + m.Namespace + "/" + m.Name
		switch {
		case m.Name == manifests.ExcludeConfigMap && m.Data[manifests.ExcludeFile] != "":
			r.add(Keep, name, "", "speakers go on leaving out its interfaces")
		case m.Name == "config" && m.Data["config"] != "":
			r.add(Act, name, "write what it says as IPAddressPools, advertisements and BGPPeers", "is the configuration of MetalLB before 0.13: nothing reads it")
		}
	}
}

// converts tells whether a definition has a webhook for versions.
func converts(d *apiextensionsv1.CustomResourceDefinition) bool {
	return d.Spec.Conversion != nil && d.Spec.Conversion.Strategy == apiextensionsv1.WebhookConverter
}

// frr says what becomes of frr-k8s, which may have been there before MetalLB and may be used by others.
func (r *Report) frr(w *World) {
	others := w.otherFRR()
	for _, o := range w.FRR {
		if o.GetKind() != kindFRRConfiguration {
			continue
		}
		if !slices.Contains(others, o) {
			r.add(Act, nameOf(o), "delete it (step 7)", "was written by MetalLB's speaker: with it frr-k8s goes on with sessions that the speakers open, too")
			continue
		}
		what := "is somebody else's: frr-k8s goes on with it"
		if _, raw, _ := unstructured.NestedMap(o.Object, "spec", "raw"); raw {
			what += "; its raw configuration may become an FRRSnippet"
		}
		r.add(Act, nameOf(o), "keep frr-k8s for it, with other routers than the BGPPeers have; or say it in BGPPeers (spec.toReceive) and FRRSnippets", "%s", what)
	}
	for _, l := range w.of(RoleFRR) {
		if len(others) == 0 {
			r.add(Act, l.String(), "delete it (step 7)", "nothing but MetalLB uses it")
		} else {
			r.add(Note, l.String(), "", "stays, as others use it")
		}
	}
}

const kindFRRConfiguration = "FRRConfiguration"

// otherFRR are the FRRConfigurations that are not MetalLB's, which are named after the nodes.
func (w *World) otherFRR() []*unstructured.Unstructured {
	var found []*unstructured.Unstructured
	for _, o := range w.FRR {
		if o.GetKind() == kindFRRConfiguration && !strings.HasPrefix(o.GetName(), "metallb-") {
			found = append(found, o)
		}
	}
	return found
}
