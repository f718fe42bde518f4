package crd

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// object returns the row as an object with the given name.
func (r row) object(t *testing.T, name string) *unstructured.Unstructured {
	t.Helper()
	kind, version, _ := strings.Cut(r.kind, " ")
	text := fmt.Sprintf("apiVersion: metallb.io/%s\nkind: %s\nmetadata: {name: %s, namespace: metallb-system}\n", version, kind, name)
	if r.spec != "" {
		text += "spec: " + r.spec + "\n"
	}
	return parse(t, text)
}

// judge compares what the API said about the row with what is wanted.
func (r row) judge(t *testing.T, complaints []string) {
	t.Helper()
	said := strings.Join(complaints, "\n")
	switch {
	case r.want == "" && said != "":
		t.Errorf("refused, want accepted: %s", said)
	case r.want != "" && said == "":
		t.Errorf("accepted, want refused with %q", r.want)
	case !strings.Contains(said, r.want):
		t.Errorf("refused with\n%s\nwant %q", said, r.want)
	}
	if strings.Contains(said, "hunter2") {
		t.Errorf("the message gives the password away: %s", said)
	}
}

// samples are the objects of testdata/samples by file and position, as users
// write them: together they use every field.
func samples(t *testing.T) map[string]*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob("testdata/samples/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("find the samples: %d files, error %v", len(files), err)
	}
	out := map[string]*unstructured.Unstructured{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, document := range strings.Split(string(text), "\n---\n") {
			out[fmt.Sprintf("%s/%d", filepath.Base(file), i)] = parse(t, document)
		}
	}
	return out
}

func TestSchemaJudgesEveryRow(t *testing.T) {
	all := loadSchemas(t)
	for _, r := range rows() {
		t.Run(r.kind+"/"+r.name, func(t *testing.T) {
			r.judge(t, all.check(t.Context(), r.object(t, "x"), nil))
		})
	}
}

func TestSchemaAcceptsEverySample(t *testing.T) {
	all := loadSchemas(t)
	for name, object := range samples(t) {
		if complaints := all.check(t.Context(), object, nil); len(complaints) > 0 {
			t.Errorf("%s %s: %v", name, object.GetKind(), complaints)
		}
	}
}

func TestSamplesUseEveryFieldThatUsersWrite(t *testing.T) {
	used := map[string]bool{}
	var mark func(path string, value any)
	mark = func(path string, value any) {
		used[path] = true
		switch value := value.(type) {
		case map[string]any:
			for name, below := range value {
				mark(path+"."+name, below)
			}
		case []any:
			for _, below := range value {
				mark(path+"[]", below)
			}
		}
	}
	for _, object := range samples(t) {
		mark(object.GetKind()+" spec", object.Object["spec"])
	}
	definitions, err := Definitions()
	if err != nil {
		t.Fatal(err)
	}
	// Below these lie types of Kubernetes.
	foreign := []string{"affinity", "resources", "frrResources", "reloaderResources", "annotations", "nodeSelector", "controllerNodeSelector", "preference",
		"speakerTolerations", "controllerTolerations"}
	var walk func(path string, props apiextensionsv1.JSONSchemaProps)
	walk = func(path string, props apiextensionsv1.JSONSchemaProps) {
		if !used[path] {
			t.Errorf("no sample has %s", path)
		}
		name := strings.TrimSuffix(path[strings.LastIndex(path, ".")+1:], "[]")
		if slices.Contains(foreign, name) || strings.HasSuffix(name, "Selectors") && name != "preferredNodeSelectors" {
			return
		}
		for name, property := range props.Properties {
			walk(path+"."+name, property)
		}
		if props.Items != nil && props.Items.Schema != nil {
			walk(path+"[]", *props.Items.Schema)
		}
	}
	for _, definition := range definitions {
		for _, version := range definition.Spec.Versions {
			spec := version.Schema.OpenAPIV3Schema.Properties["spec"]
			if len(spec.Properties) > 0 {
				walk(definition.Spec.Names.Kind+" spec", spec)
			}
		}
	}
}

func TestSchemaFillsInTheDefaults(t *testing.T) {
	all := loadSchemas(t)
	for _, r := range []struct {
		kind, spec string
		want       map[string]any
	}{
		{"IPAddressPool v1beta1", `{addresses: [192.0.2.0/24]}`, map[string]any{"autoAssign": true, "avoidBuggyIPs": false, "disabled": nil, "conflictCheck": "None"}},
		{"IPReservation v1beta1", `{namespace: a, pool: b}`, map[string]any{"retainAfterDelete": "Forever", "ipFamilies": nil}},
		{"AddressQuota v1beta1", `{ipv4: 1}`, map[string]any{"ipv6": nil}},
		{"BGPAdvertisement v1beta1", `{}`, map[string]any{"aggregationLength": int64(32), "aggregationLengthV6": int64(128), "localPref": nil, "asPathPrepend": nil, "med": nil}},
		{"BGPPeer v1beta2", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`, map[string]any{"peerPort": int64(179), "disableMP": false, "dualStackAddressFamily": false, "holdTime": nil}},
		{"BGPPeer v1beta1", `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1}`, map[string]any{"peerPort": nil, "holdTime": nil}},
		{"BFDProfile v1beta1", `{}`, map[string]any{"receiveInterval": nil, "echoMode": nil}},
	} {
		object := row{kind: r.kind, spec: r.spec}.object(t, "x")
		if complaints := all.check(t.Context(), object, nil); len(complaints) > 0 {
			t.Errorf("%s: %v", r.kind, complaints)
		}
		for field, want := range r.want {
			if got, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", field); got != want {
				t.Errorf("%s: spec.%s became %v, want %v", r.kind, field, got, want)
			}
		}
	}
}

// change is an update of one object and what the API says to it.
type change struct {
	name, kind, part string
	from, to         string
	want             string
}

func changes() []change {
	const peer = `{myASN: 1, peerASN: 2, peerAddress: 192.0.2.1, enableGracefulRestart: %s}`
	on, off := fmt.Sprintf(peer, "true"), fmt.Sprintf(peer, "false")
	out := []change{
		{"graceful restart off", "BGPPeer v1beta2", "spec", on, off, "spec.enableGracefulRestart cannot be changed"},
		{"graceful restart on", "BGPPeer v1beta2", "spec", off, on, "spec.enableGracefulRestart cannot be changed"},
		{"graceful restart off through v1beta1", "BGPPeer v1beta1", "spec", on, off, "spec.enableGracefulRestart cannot be changed"},
		{"graceful restart as before", "BGPPeer v1beta2", "spec", on, on, ""},
		{"interfaces of a Service", "ServiceL2Status v1beta1", "status", `{node: a, interfaces: [{name: eth0}]}`, `{node: a, interfaces: [{name: eth1}]}`, ""},
		{"peers of a Service", "ServiceBGPStatus v1beta1", "status", `{node: a, peers: [x]}`, `{node: a, peers: [z, x]}`, ""},
		{"verdict", "ConfigurationState v1beta1", "status", `{result: Valid}`, `{result: Invalid, errorSummary: "x"}`, ""},
		{"unknown verdict", "ConfigurationState v1beta1", "status", `{result: Valid}`, `{result: Perhaps}`, "Unsupported value"},
		{"session", "BGPSessionState v1beta1", "status", `{bgpStatus: Idle, node: a, peer: 192.0.2.1}`,
			`{bgpStatus: Established, bfdStatus: up, node: a, peer: 192.0.2.1, vrf: red, establishedAt: "2026-01-01T00:00:00Z", timers: {holdTimeSeconds: 9, keepaliveSeconds: 3},
			prefixes: [{addressFamily: ipv4Unicast, sent: 1, received: 2, accepted: 0}], lastResetReason: "Peer closed the session", lastResetAt: "2025-12-31T23:00:00Z",
			lastNotification: {direction: Received, code: 6, subcode: 2, text: "Cease/Administrative Shutdown"}, bfdIntervals: {transmitMilliseconds: 300, receiveMilliseconds: 300, detectMultiplier: 3}}`, ""},
		{"notification from nobody", "BGPSessionState v1beta1", "status", `{}`, `{lastNotification: {direction: Lost, code: 6, subcode: 2}}`, "Unsupported value"},
		{"pool without counts", "IPAddressPool v1beta1", "status", `{assignedIPv4: 0, assignedIPv6: 0, availableIPv4: 1, availableIPv6: 9223372036854775807}`, `{assignedIPv4: 0}`, "status.availableIPv6: Required"},
	}
	const probe = `{node: a, addresses: [192.0.2.7]}`
	out = append(out,
		change{"node of a probe", "AddressProbe v1beta1", "spec", probe, `{node: b, addresses: [192.0.2.7]}`, "spec.node cannot be changed"},
		change{"addresses of a probe", "AddressProbe v1beta1", "spec", probe, `{node: a, addresses: [192.0.2.7, 192.0.2.8]}`, "spec.addresses cannot be changed"},
		change{"answer", "AddressProbe v1beta1", "status", `{}`, `{completedAt: "2026-01-01T00:00:00Z",
			results: [{address: 192.0.2.7, state: InUse, interface: eth0, hardwareAddress: "02:42:00:00:00:01", message: x}, {address: "2001:db8::7", state: Free}]}`, ""},
		change{"unknown answer", "AddressProbe v1beta1", "status", `{}`, `{results: [{address: 192.0.2.7, state: Perhaps}]}`, "Unsupported value"},
		change{"two answers", "AddressProbe v1beta1", "status", `{}`, `{results: [{address: 192.0.2.7, state: Free}, {address: 192.0.2.7, state: InUse}]}`, "Duplicate value"},
		change{"another address", "IPReservation v1beta1", "spec", `{namespace: a, addresses: [192.0.2.7]}`, `{namespace: a, pool: public, retainAfterDelete: 1h}`, ""},
		change{"reserved", "IPReservation v1beta1", "status", `{}`, `{addresses: [192.0.2.7], services: [web], unusedSince: "2026-01-01T00:00:00Z",
			conditions: [{type: Reserved, status: "True", reason: Reserved, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]}`, ""},
		change{"condition twice", "IPReservation v1beta1", "status", `{}`, `{
			conditions: [{type: Reserved, status: "True", reason: Reserved, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"},
			{type: Reserved, status: "False", reason: Expired, message: "", lastTransitionTime: "2026-01-01T00:00:00Z"}]}`, "Duplicate value"},
		change{"lower limit", "AddressQuota v1beta1", "spec", `{ipv4: 5}`, `{ipv6: 0}`, ""},
		change{"at limit", "AddressQuota v1beta1", "status", `{}`, `{atLimit: [a, b]}`, ""},
	)
	for _, kind := range []string{"ServiceL2Status v1beta1", "ServiceBGPStatus v1beta1"} {
		const from = `{node: a, serviceName: s, serviceNamespace: ns}`
		out = append(out,
			change{"node", kind, "status", from, `{node: b, serviceName: s, serviceNamespace: ns}`, "status.node cannot be changed"},
			change{"service name", kind, "status", from, `{node: a, serviceName: z, serviceNamespace: ns}`, "status.serviceName cannot be changed"},
			change{"service namespace", kind, "status", from, `{node: a, serviceName: s, serviceNamespace: z}`, "status.serviceNamespace cannot be changed"},
		)
	}
	return out
}

// object returns one side of the change.
func (c change) object(t *testing.T, text, name string) *unstructured.Unstructured {
	t.Helper()
	r := row{kind: c.kind, spec: text}
	if c.part == "status" {
		// Of the kinds whose spec is required, some spec.
		kind, _, _ := strings.Cut(c.kind, " ")
		r.spec = map[string]string{
			"IPAddressPool": "{addresses: [192.0.2.0/24]}", "IPReservation": "{namespace: a, pool: public}",
			"AddressQuota": "{ipv4: 1}", "AddressProbe": "{node: a, addresses: [192.0.2.7]}",
		}[kind]
	}
	object := r.object(t, name)
	if c.part == "status" {
		object.Object["status"] = parse(t, "{apiVersion: v1, kind: Status, status: "+text+"}").Object["status"]
	}
	return object
}

func TestSchemaJudgesEveryChange(t *testing.T) {
	all := loadSchemas(t)
	for _, c := range changes() {
		t.Run(c.kind+"/"+c.name, func(t *testing.T) {
			before, after := c.object(t, c.from, "x"), c.object(t, c.to, "x")
			if complaints := all.check(t.Context(), before, nil); len(complaints) > 0 {
				t.Fatalf("the first object is refused: %v", complaints)
			}
			row{want: c.want}.judge(t, all.check(t.Context(), after, before))
		})
	}
}

func TestRulesStayWithinTheRuntimeBudgetAtTheLargestSizes(t *testing.T) {
	all := loadSchemas(t)
	list := func(n int, item func(i int) string) string {
		var out []string
		for i := range n {
			out = append(out, item(i))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	numbered := func(format string) func(int) string {
		return func(i int) string { return fmt.Sprintf(format, i) }
	}
	address := func(i int) string { return fmt.Sprintf(`"10.%d.%d.100 - 10.%d.%d.200"`, i/256, i%256, i/256, i%256) }
	for _, r := range []row{
		{kind: "IPAddressPool v1beta1", spec: "{addresses: " + list(4096, address) + "}"},
		{kind: "IPAddressPool v1beta1", spec: "{addresses: [10.0.0.0/8], serviceAllocation: {namespaces: " + list(256, numbered("a-long-name-that-only-differs-at-its-very-end-%04d")) + "}}"},
		{kind: "IPAddressPool v1beta1", spec: "{addresses: [10.0.0.0/8], serviceAllocation: {namespaces: " + list(512, numbered("a-long-name-that-only-differs-at-its-very-end-%04d")) + "}}"},
		{kind: "L2Advertisement v1beta1", spec: "{interfaces: " + list(256, numbered("enp%04d")) + "}"},
		{kind: "BGPAdvertisement v1beta1", spec: "{peers: " + list(128, numbered(strings.Repeat("long", 60)+"%04d")) + "}"},
		{kind: "BGPAdvertisement v1beta1", spec: "{peers: " + list(256, numbered(strings.Repeat("long", 60)+"%04d")) + "}"},
		{kind: "BGPAdvertisement v1beta1", spec: "{communities: " + list(255, numbered(`"large:4294967295:4294967295:%d"`)) + "}"},
		{kind: "BGPAdvertisement v1beta1", spec: "{extCommunities: " + list(32, numbered(`"rt:4294967295:%05d"`)) + "}"},
		{kind: "IPReservation v1beta1", spec: "{namespace: a, retainAfterDelete: 1000000.000h1000000.000m1000.00s, addresses: " + list(64, numbered(`"2001:db8:1111:2222:3333:4444:5555:%d"`)) + "}"},
		{kind: "AddressQuota v1beta1", spec: "{ipv4: 1, namespaces: " + list(512, numbered(strings.Repeat("long", 14)+"%04d")) + ", pools: " + list(512, numbered(strings.Repeat("long", 60)+"%04d")) + "}"},
		{kind: "AddressProbe v1beta1", spec: "{node: a, addresses: " + list(64, numbered(`"2001:db8:1111:2222:3333:4444:5555:%d"`)) + "}"},
		{kind: "MetalLB v1beta1", spec: "{loadBalancerClasses: " + list(32, numbered(strings.Repeat("long", 60)+".example/"+strings.Repeat("long", 14)+"%d")) + "}"},
		{kind: "FRRSnippet v1beta1", spec: `{rawConfig: "` + strings.Repeat("x", 65536) + `"}`},
		{kind: "Community v1beta1", spec: "{communities: " + list(256, numbered(`{name: `+strings.Repeat("long", 60)+`%d, value: "large:4294967295:4294967295:4294967295"}`)) + "}"},
		{kind: "Community v1beta1", spec: "{communities: " + list(128, numbered(`{name: `+strings.Repeat("long", 60)+`%d, value: "large:4294967295:4294967295:4294967295"}`)) + "}"},
	} {
		if complaints := all.check(t.Context(), r.object(t, "x"), nil); len(complaints) > 0 {
			t.Errorf("%s: %.300s", r.kind, complaints)
		}
	}
}
