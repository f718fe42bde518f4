package crd

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// versionsByKind returns every version of every definition as "Kind version".
func versionsByKind(t *testing.T) map[string]apiextensionsv1.CustomResourceDefinitionVersion {
	t.Helper()
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]apiextensionsv1.CustomResourceDefinitionVersion{}
	for _, definition := range definitions {
		for _, version := range definition.Spec.Versions {
			out[definition.Spec.Names.Kind+" "+version.Name] = version
		}
	}
	return out
}

func TestEveryKindPrintsTheColumnsUsersKnow(t *testing.T) {
	const conditions = `.status.conditions[?(@.type=="`
	peer := [][3]string{{"Address", "string", ".spec.peerAddress"}, {"ASN", "string", ".spec.peerASN"}, {"BFD Profile", "string", ".spec.bfdProfile"}, {"Multi Hops", "string", ".spec.ebgpMultiHop"}}
	service := func(node string) [][3]string {
		return [][3]string{{node, "string", ".status.node"}, {"Service Name", "string", ".status.serviceName"}, {"Service Namespace", "string", ".status.serviceNamespace"}}
	}
	age := [3]string{"Age", "date", ".metadata.creationTimestamp"}
	const wide = " (wide)"
	want := map[string][][3]string{
		"IPAddressPool v1beta1": {
			{"Auto Assign", "boolean", ".spec.autoAssign"}, {"Avoid Buggy IPs", "boolean", ".spec.avoidBuggyIPs"}, {"Addresses", "string", ".spec.addresses"},
			{"Disabled" + wide, "boolean", ".spec.disabled"}, {"Conflict Check" + wide, "string", ".spec.conflictCheck"}, {"Services" + wide, "integer", ".status.assignedServices"},
			{"Used IPv4" + wide, "integer", ".status.assignedIPv4"}, {"Free IPv4" + wide, "integer", ".status.availableIPv4"},
			{"Used IPv6" + wide, "integer", ".status.assignedIPv6"}, {"Free IPv6" + wide, "integer", ".status.availableIPv6"}, {"Age" + wide, "date", ".metadata.creationTimestamp"},
		},
		"IPReservation v1beta1": {
			{"For Namespace", "string", ".spec.namespace"}, {"For Service", "string", ".spec.serviceName"},
			{"Reserved", "string", conditions + `Reserved")].status`}, {"Reason", "string", conditions + `Reserved")].reason`},
			{"Addresses", "string", ".status.addresses"}, {"In Use By", "string", ".status.services"},
			{"Pool" + wide, "string", ".spec.pool"}, {"Retain" + wide, "string", ".spec.retainAfterDelete"}, {"Unused Since" + wide, "date", ".status.unusedSince"}, age,
		},
		"AddressQuota v1beta1": {
			{"Namespaces", "string", ".spec.namespaces"}, {"IPv4", "integer", ".spec.ipv4"}, {"IPv6", "integer", ".spec.ipv6"},
			{"Pools", "string", ".spec.pools"}, {"At Limit", "string", ".status.atLimit"}, age,
		},
		"AddressProbe v1beta1": {
			{"Node", "string", ".spec.node"}, {"Addresses", "string", ".spec.addresses"}, {"Completed", "date", ".status.completedAt"},
			{"Results" + wide, "string", ".status.results"}, age,
		},
		"L2Advertisement v1beta1":    {{"IPAddressPools", "string", ".spec.ipAddressPools"}, {"IPAddressPool Selectors", "string", ".spec.ipAddressPoolSelectors"}, {"Interfaces", "string", ".spec.interfaces"}, {"Node Selectors", "string", ".spec.nodeSelectors"}},
		"BGPAdvertisement v1beta1":   {{"IPAddressPools", "string", ".spec.ipAddressPools"}, {"IPAddressPool Selectors", "string", ".spec.ipAddressPoolSelectors"}, {"Peers", "string", ".spec.peers"}, {"Node Selectors", "string", ".spec.nodeSelectors"}},
		"BGPPeer v1beta1":            peer,
		"BGPPeer v1beta2":            peer,
		"BFDProfile v1beta1":         {{"Passive Mode", "boolean", ".spec.passiveMode"}, {"Transmit Interval", "integer", ".spec.transmitInterval"}, {"Receive Interval", "integer", ".spec.receiveInterval"}, {"Multiplier", "integer", ".spec.detectMultiplier"}},
		"Community v1beta1":          nil,
		"FRRSnippet v1beta1":         {{"Priority", "integer", ".spec.priority"}, {"Accepted", "string", conditions + `Accepted")].status`}, {"Programmed", "string", conditions + `Programmed")].status`}, age},
		"ServiceL2Status v1beta1":    service("Allocated Node"),
		"ServiceBGPStatus v1beta1":   service("Node"),
		"ConfigurationState v1beta1": {{"Result", "string", ".status.result"}, {"ErrorSummary", "string", ".status.errorSummary"}, age},
		"BGPSessionState v1beta1":    {{"Node", "string", ".status.node"}, {"Peer", "string", ".status.peer"}, {"VRF", "string", ".status.vrf"}, {"BGP", "string", ".status.bgpStatus"}, {"BFD", "string", ".status.bfdStatus"}, {"Diagnosis", "string", ".status.diagnosis.reason"}, {"Up Since", "date", ".status.establishedAt"}},
		"MetalLB v1beta1":            {{"Available", "string", conditions + `Available")].status`}, {"Degraded", "string", conditions + `Degraded")].status`}, {"Progressing", "string", conditions + `Progressing")].status`}, age},
	}
	got := map[string][][3]string{}
	for kind, version := range versionsByKind(t) {
		got[kind] = nil
		for _, column := range version.AdditionalPrinterColumns {
			name := column.Name
			if column.Priority != 0 {
				name += wide // kubectl hides it but for -o wide
			}
			got[kind] = append(got[kind], [3]string{name, column.Type, column.JSONPath})
		}
	}
	if difference := cmp.Diff(want, got); difference != "" {
		t.Errorf("columns (-want +got):\n%s", difference)
	}
}

func TestEveryKindThatUsersWriteHasConditions(t *testing.T) {
	versions := versionsByKind(t)
	for _, kind := range []string{
		"AddressQuota v1beta1", "IPReservation v1beta1",
		"BFDProfile v1beta1", "BGPAdvertisement v1beta1", "BGPPeer v1beta1", "BGPPeer v1beta2", "Community v1beta1", "FRRSnippet v1beta1",
		"ConfigurationState v1beta1", "IPAddressPool v1beta1", "L2Advertisement v1beta1", "MetalLB v1beta1",
	} {
		conditions := versions[kind].Schema.OpenAPIV3Schema.Properties["status"].Properties["conditions"]
		if conditions.XListType == nil || *conditions.XListType != "map" || !cmp.Equal(conditions.XListMapKeys, []string{"type"}) {
			t.Errorf("%s: status.conditions is no list by type: %v", kind, conditions)
		}
	}
}

// What v1beta2 stores must pass v1beta1, and mean the same there.
func TestVersionsOfBGPPeerDifferInWordsAndPortOnly(t *testing.T) {
	versions := versionsByKind(t)
	bare := func(kind string) apiextensionsv1.JSONSchemaProps {
		out := withoutDescriptions(*versions[kind].Schema.OpenAPIV3Schema)
		port := out.Properties["spec"].Properties["peerPort"]
		port.Default, port.Minimum = nil, nil
		out.Properties["spec"].Properties["peerPort"] = port
		return out
	}
	if difference := cmp.Diff(bare("BGPPeer v1beta2"), bare("BGPPeer v1beta1")); difference != "" {
		t.Errorf("schema (-v1beta2 +v1beta1):\n%s", difference)
	}
	old, stored := versions["BGPPeer v1beta1"], versions["BGPPeer v1beta2"]
	if !old.Served || old.Storage || !old.Deprecated || !stored.Served || !stored.Storage || stored.Deprecated {
		t.Errorf("v1beta1 served %t stored %t deprecated %t, v1beta2 served %t stored %t deprecated %t; want v1beta1 served and deprecated, v1beta2 served and stored",
			old.Served, old.Storage, old.Deprecated, stored.Served, stored.Storage, stored.Deprecated)
	}
}

// withoutDescriptions returns a copy of the schema without its descriptions.
func withoutDescriptions(props apiextensionsv1.JSONSchemaProps) apiextensionsv1.JSONSchemaProps {
	out := *props.DeepCopy()
	out.Description = ""
	for name, property := range out.Properties {
		out.Properties[name] = withoutDescriptions(property)
	}
	if out.Items != nil && out.Items.Schema != nil {
		items := withoutDescriptions(*out.Items.Schema)
		out.Items.Schema = &items
	}
	return out
}
