package migrate

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected output anew")

// read makes a world of a file in testdata; edit may change the text.
func read(t *testing.T, name string, edit ...string) *World {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(edit); i += 2 {
		if !bytes.Contains(text, []byte(edit[i])) {
			t.Fatalf("%s has no %q", name, edit[i])
		}
		text = bytes.Replace(text, []byte(edit[i]), []byte(edit[i+1]), 1)
	}
	objects, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	w, err := NewWorld(objects, "")
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// Given clusters with MetalLB of each way to install it, when they are checked, then every line and every step is as it is written down here.
func TestOutput(t *testing.T) {
	for _, name := range []string{"manifests", "chart", "operator"} {
		t.Run(name, func(t *testing.T) {
			w := read(t, name+".yaml")
			report := Check(w)
			var out bytes.Buffer
			if err := report.Write(&out); err != nil {
				t.Fatal(err)
			}
			if err := Steps(w, report, &out); err != nil {
				t.Fatal(err)
			}
			golden := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(golden, out.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), out.String()); diff != "" {
				t.Errorf("go test -update writes it anew (-want +got):\n%s", diff)
			}
		})
	}
}

// lines are those of a report about one object.
func lines(r *Report, object string) []string {
	var found []string
	for _, f := range r.Findings {
		if f.Object == object {
			found = append(found, f.String())
		}
	}
	return found
}

// Given MetalLB's documented objects, when they are checked, then no Service loses an address and nothing has to be corrected; when one thing is different,
// then the Service concerned is the one that changes.
func TestChangesAddresses(t *testing.T) {
	if r := Check(read(t, "manifests.yaml")); r.ChangesAddresses() {
		t.Errorf("documented objects: %v", r.Findings)
	}
	for service, edit := range map[string][2]string{
		"asks":       {"metallb.io/loadBalancerIPs: 203.0.113.12", "metallb.io/loadBalancerIPs: 203.0.113.13"},
		"by-spec":    {"loadBalancerIP: 203.0.113.20", "loadBalancerIP: 203.0.113.19"},
		"from-pool":  {"metallb.universe.tf/address-pool: reserved", "metallb.io/address-pool: public"},
		"shared-udp": {"port: 53, protocol: UDP", "port: 53, protocol: TCP"},
		"plain":      {"clusterIPs: [10.96.1.1]", "clusterIPs: ['fd00:10:96::1']"},
	} {
		r := Check(read(t, "manifests.yaml", edit[:]...))
		var changed []string
		for _, f := range r.Findings {
			if f.Level == Change {
				changed = append(changed, f.Object)
			}
		}
		if !slices.Equal(changed, []string{"Service shop/" + service}) {
			t.Errorf("%q in place of %q: addresses of %v would change, wanted shop/%s", edit[1], edit[0], changed, service)
		}
	}
}

// Given a pool that no longer has an address, or is broken, when that is checked, then the Service keeps the address and it is said what is odd.
func TestAddressesOutliveTheirPool(t *testing.T) {
	for _, edit := range [][2]string{{"198.51.100.0/28", "198.51.100.8/29"}, {"198.51.100.0/28", "nonsense"}} {
		r := Check(read(t, "manifests.yaml", edit[:]...))
		got := lines(r, "Service shop/plain")
		if r.ChangesAddresses() || len(got) != 1 || !strings.Contains(got[0], "NOTE") || !strings.Contains(got[0], "keeps 198.51.100.3; ") {
			t.Errorf("%q in place of %q: %v", edit[1], edit[0], got)
		}
	}
}

// Given the flags of MetalLB's programs in every form, when they are read, then each has its value.
func TestFlags(t *testing.T) {
	got := flags([]string{"--port=1", "-log-level", "debug", "--webhook-http2", "--lb-class=", "stray", "--last"})
	want := map[string]string{"port": "1", "log-level": "debug", "webhook-http2": "true", "lb-class": "", "last": "true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Given a cluster in which this product runs already, when it is checked, then its own programs are not taken for MetalLB's.
func TestOwnProgramsAreNone(t *testing.T) {
	w := read(t, "manifests.yaml",
		"labels: {app: metallb, component: controller}}\nspec", "labels: {app: metallb, component: controller, app.kubernetes.io/managed-by: metallb-operator}}\nspec",
		"labels: {app: metallb, component: speaker}}\nspec", "labels: {app: metallb, component: speaker, app.kubernetes.io/managed-by: metallb-operator}}\nspec")
	if len(w.Workloads) > 0 {
		t.Errorf("found %v", w.Workloads[0])
	}
	own := read(t, "operator.yaml", "command: [/manager]", "command: [/operator]")
	if found := own.of(RoleOperator); len(found) > 0 {
		t.Errorf("found %v", found[0])
	}
}

// Given objects that can't be read, when a world is made of them, then the error names them.
func TestUnreadable(t *testing.T) {
	objects, err := Decode([]byte("{apiVersion: v1, kind: Service, metadata: {name: web, namespace: shop}, spec: {ports: 80}}"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewWorld(objects, ""); err == nil || !strings.Contains(err.Error(), "Service shop/web") {
		t.Errorf("error %v", err)
	}
	if _, err := Decode([]byte("a: b\n---\n- c\n")); err == nil || !strings.Contains(err.Error(), "object 2") {
		t.Errorf("error %v", err)
	}
}

// Given what "kubectl get -o yaml" prints of several kinds, when it is read, then each of the list counts.
func TestLists(t *testing.T) {
	objects, err := Decode([]byte("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n"))
	if err != nil || len(objects) != 2 {
		t.Errorf("found %d objects, error %v", len(objects), err)
	}
}
